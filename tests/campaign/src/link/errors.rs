//! Frames over a line with errors: each is delivered, once, and as it was.

use rand::{Rng, RngExt};

use super::bench::{Bench, Seen};
use crate::fault::Fault;
use crate::line::{Line, NS_PER_MS, Trouble};
use crate::pieces::{Piece, measure};
use crate::{Scale, Table};

const LINE: Line = Line { baud: 921_600, latency_ns: NS_PER_MS };

/// One packet in so many is hit, in either direction.
const ONE_IN: u32 = 8;

/// Frames on one line before a new one is set up; a unit of work for a thread.
const FRAMES_A_LINE: u64 = 500;

/// Images are from 64 to 4096 bytes long, each octave as often as the others.
const SMALLEST_IMAGE: usize = 64;
const LARGEST_IMAGE: usize = 4096;

/// No frame of such a length takes as long on such a line.
const LIMIT_S: u64 = 600;

/// A kind of error, alone or with all others.
struct Row {
    name: &'static str,
    faults: Vec<Fault>,
    n_frames: u64,
}

fn rows(n_frames: u64) -> Vec<Row> {
    let alone = Fault::ALL.map(|fault| Row { name: fault.name(), faults: vec![fault], n_frames: n_frames / 20 });
    let all = Row { name: "all of these", faults: Fault::ALL.to_vec(), n_frames: n_frames / 2 };
    alone.into_iter().chain([all]).collect()
}

/// The table, and the promises broken.
pub(super) fn run(scale: Scale, seed: u64) -> (Table, Vec<String>) {
    let n_frames = match scale {
        Scale::Small => 20_000,
        Scale::Full => 1_000_000,
    };
    let rows = rows(n_frames);
    let sizes: Vec<u64> = rows.iter().map(|row| row.n_frames).collect();
    let seen = measure(&sizes, FRAMES_A_LINE, |piece| one_line(&rows[piece.row], piece, seed), add);
    let title = format!(
        "link: {n_frames} frames of {SMALLEST_IMAGE} to {LARGEST_IMAGE} bytes, one packet in {ONE_IN} hit; seed {seed}"
    );
    let columns = [
        "error",
        "frames",
        "delivered",
        "wrong",
        "computed again",
        "packets",
        "hit",
        "passed the packet CRC",
        "whole packets lost",
        "sent again",
        "worst resync, bytes",
    ];
    let mut table = Table::new(title, &columns);
    let mut broken = vec![];
    for (Row { name, .. }, seen) in rows.iter().zip(&seen) {
        table.row(&[
            name,
            &seen.n_frames,
            &seen.n_answered,
            &seen.n_wrong,
            &seen.n_computed_again,
            &seen.n_packets,
            &seen.n_hit,
            &seen.receiver.damaged_images,
            &seen.n_collateral,
            &seen.sender.retransmissions,
            &seen.worst_resync_bytes,
        ]);
        broken.extend(check(seen).into_iter().map(|promise| format!("link, {name}: {promise}")));
    }
    (table, broken)
}

fn check(seen: &Seen) -> Vec<String> {
    // A hit packet escapes its CRC once in 2^32, and the image CRC once more: none is to be expected in any campaign.
    let largest = remedis_link::MAX_WIRE as u64;
    [
        (seen.n_wrong > 0, format!("{} wrong images were taken, the bound is 2^-64 a hit packet", seen.n_wrong)),
        (seen.n_answered != seen.n_frames, format!("{} of {} frames delivered", seen.n_answered, seen.n_frames)),
        (seen.n_computed_again > 0, format!("{} frames computed twice", seen.n_computed_again)),
        (seen.n_collateral > 0, format!("{} whole packets lost with others", seen.n_collateral)),
        (seen.worst_resync_bytes > largest, format!("{} bytes until the next packet", seen.worst_resync_bytes)),
    ]
    .into_iter()
    .filter_map(|(is_broken, promise)| is_broken.then_some(promise))
    .collect()
}

fn one_line(row: &Row, piece: Piece, seed: u64) -> Seen {
    let trouble = Trouble { faults: row.faults.clone(), one_in: ONE_IN };
    let mut bench = Bench::new(LINE, trouble, LARGEST_IMAGE, piece.seed(seed));
    for _ in 0..piece.n_frames {
        let image = image(&mut bench);
        if !bench.deliver(image, LIMIT_S) {
            break;
        }
    }
    let seen = bench.seen();
    Seen { n_frames: piece.n_frames, ..seen }
}

/// Random bytes, one time in four of few values: runs of zeros are what COBS is about.
fn image(bench: &mut Bench) -> Vec<u8> {
    let rng = bench.rng();
    let octave = rng.random_range(0..(LARGEST_IMAGE / SMALLEST_IMAGE).ilog2());
    let length = rng.random_range(SMALLEST_IMAGE..=2 * SMALLEST_IMAGE) << octave;
    let mut image = vec![0; length];
    rng.fill_bytes(&mut image);
    if rng.random_ratio(1, 4) {
        image.iter_mut().for_each(|byte| *byte >>= 7);
    }
    image
}

fn add(sum: &mut Seen, seen: &Seen) {
    sum.n_frames += seen.n_frames;
    sum.n_answered += seen.n_answered;
    sum.n_wrong += seen.n_wrong;
    sum.n_computed_again += seen.n_computed_again;
    sum.n_packets += seen.n_packets;
    sum.n_hit += seen.n_hit;
    sum.n_collateral += seen.n_collateral;
    sum.worst_resync_bytes = sum.worst_resync_bytes.max(seen.worst_resync_bytes);
    sum.sender.retransmissions += seen.sender.retransmissions;
    sum.receiver.damaged_images += seen.receiver.damaged_images;
}

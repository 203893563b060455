//! Frames over a line with errors: none is wrong, and each is delivered whose grant the line let through.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use remedis_openmv::{Frame, PixelFormat};

use super::bench::{Bench, Seen};
use crate::fault::Fault;
use crate::line::{Line, NS_PER_MS, Trouble};
use crate::pieces::{Piece, measure};
use crate::{Scale, Table};

const LINE: Line = Line { baud: 921_600, latency_ns: NS_PER_MS };

/// One packet in so many is hit, in either direction, where every granted frame is to be delivered; and where that may take greetings.
const ONE_IN: u32 = 100;
const ONE_IN_HARSH: u32 = 8;

/// Frames on one line before a new one is set up; a unit of work for a thread.
const FRAMES_A_LINE: u64 = 250;

/// Largest payloads of the cameras: small ones, so that small frames come in parts.
const MAX_PAYLOADS: [usize; 4] = [50, 200, 1000, remedis_openmv::MAX_PAYLOAD];

/// Frames have from 4 to 64 pixels a side.
const SIDES: std::ops::RangeInclusive<u32> = 4..=64;

/// No frame takes as long, whatever happens.
const LIMIT_S: u64 = 120;

/// A packet at its largest, with header and CRCs.
const LARGEST_PACKET: u64 = remedis_openmv::MAX_PAYLOAD as u64 + 14;

/// A kind of error, alone or with all others.
struct Row {
    name: &'static str,
    faults: Vec<Fault>,
    one_in: u32,
    n_frames: u64,
}

fn rows(n_frames: u64) -> Vec<Row> {
    let alone = Fault::ALL.map(|fault| Row {
        name: fault.name(),
        faults: vec![fault],
        one_in: ONE_IN,
        n_frames: n_frames / 20,
    });
    let all = |name, one_in| Row { name, faults: Fault::ALL.to_vec(), one_in, n_frames: n_frames / 4 };
    alone.into_iter().chain([all("all of these", ONE_IN), all("all, one packet in 8", ONE_IN_HARSH)]).collect()
}

/// The table, and the promises broken.
pub(super) fn run(scale: Scale, seed: u64) -> (Table, Vec<String>) {
    let n_frames = match scale {
        Scale::Small => 2_000,
        Scale::Full => 100_000,
    };
    let rows = rows(n_frames);
    let sizes: Vec<u64> = rows.iter().map(|row| row.n_frames).collect();
    let seen = measure(&sizes, FRAMES_A_LINE, |piece| one_line(&rows[piece.row], piece, seed), add);
    let title = format!("openmv: {n_frames} frames of 4 to 64 pixels a side, one packet in {ONE_IN} hit; seed {seed}");
    let columns = [
        "error",
        "granted",
        "delivered",
        "wrong",
        "twice",
        "lost",
        "host knows",
        "grant spoiled",
        "packets",
        "hit",
        "asked again",
        "sent again",
        "greetings",
        "worst gap, ms",
        "worst resync, bytes",
    ];
    let mut table = Table::new(title, &columns);
    let mut broken = vec![];
    for (row, seen) in rows.iter().zip(&seen) {
        table.row(&[
            &row.name,
            &seen.n_locked,
            &seen.n_delivered,
            &seen.n_wrong,
            &seen.n_twice,
            &seen.n_lost,
            &seen.host.abandoned_frames,
            &seen.n_unheard,
            &seen.n_packets,
            &seen.n_hit,
            &seen.host.repeats,
            &seen.camera.retransmissions,
            &seen.host.resyncs,
            &seen.worst_gap_ms,
            &seen.worst_resync_bytes,
        ]);
        broken.extend(check(row, seen).into_iter().map(|promise| format!("openmv, {}: {promise}", row.name)));
    }
    (table, broken)
}

fn check(row: &Row, seen: &Seen) -> Vec<String> {
    let (lost, known) = (seen.n_lost, seen.host.abandoned_frames);
    let n_told = seen.n_delivered + lost + seen.n_unheard;
    // A host that does not hear of a grant, or hears a refusal before it, does not know that it loses a frame.
    let undisturbed = lost - seen.n_disturbed;
    let is_explained = lost.checked_sub(known).is_some_and(|unknown| unknown <= seen.n_disturbed);
    // Up to five flipped bits in header or payload never pass. Of heavier damage, a payload passes its CRC-32 once in 2^32 and a header
    // its CRC-16 once in 2^16, and then must still name the number, request and length that are awaited.
    [
        (seen.n_wrong > 0, format!("{} wrong frames were taken, the bound is 2^-32 a hit packet", seen.n_wrong)),
        (seen.n_twice > 0, format!("{} frames delivered twice", seen.n_twice)),
        (seen.n_delivered != row.n_frames, format!("{} of {} frames in time", seen.n_delivered, row.n_frames)),
        (
            row.one_in == ONE_IN && undisturbed > 0,
            format!("{undisturbed} frames whose grant arrived were not delivered"),
        ),
        (n_told != seen.n_locked, format!("{} frames were granted, and {n_told} have a fate", seen.n_locked)),
        (known > seen.host.resyncs, format!("{known} frames lost at {} greetings", seen.host.resyncs)),
        (
            !is_explained,
            format!("the host knows of {known} of {lost} lost frames, {} grants were disturbed", seen.n_disturbed),
        ),
        (seen.host.bad_frames > 0, format!("{} frames contradict themselves", seen.host.bad_frames)),
        (
            seen.worst_resync_bytes > LARGEST_PACKET,
            format!("{} whole bytes until the next packet, promised are {LARGEST_PACKET}", seen.worst_resync_bytes),
        ),
    ]
    .into_iter()
    .filter_map(|(is_broken, promise)| is_broken.then_some(promise))
    .collect()
}

fn one_line(row: &Row, piece: Piece, seed: u64) -> Seen {
    let trouble = Trouble { faults: row.faults.clone(), one_in: row.one_in };
    let max_payload = MAX_PAYLOADS[piece.number as usize % MAX_PAYLOADS.len()];
    let mut bench = Bench::new(LINE, trouble, max_payload, piece.seed(seed));
    bench.run(piece.n_frames, LIMIT_S, frame);
    bench.seen()
}

/// Random bytes in every format; a JPEG file of them is one for whoever carries it.
fn frame(rng: &mut ChaCha8Rng) -> Frame {
    let (width, height) = (rng.random_range(SIDES), rng.random_range(SIDES));
    let pixels = (width * height) as usize;
    let format = [PixelFormat::Grey, PixelFormat::Rgb565, PixelFormat::Jpeg][rng.random_range(0..3)];
    let mut bytes = vec![0; if format == PixelFormat::Rgb565 { 2 * pixels } else { pixels }];
    rng.fill_bytes(&mut bytes);
    if format == PixelFormat::Jpeg {
        bytes = [&[0xff, 0xd8][..], &bytes, &[0xff, 0xd9]].concat();
    }
    Frame { width, height, format, bytes }
}

fn add(sum: &mut Seen, seen: &Seen) {
    sum.n_delivered += seen.n_delivered;
    sum.n_wrong += seen.n_wrong;
    sum.n_twice += seen.n_twice;
    sum.n_locked += seen.n_locked;
    sum.n_lost += seen.n_lost;
    sum.n_disturbed += seen.n_disturbed;
    sum.n_unheard += seen.n_unheard;
    sum.n_packets += seen.n_packets;
    sum.n_hit += seen.n_hit;
    sum.worst_gap_ms = sum.worst_gap_ms.max(seen.worst_gap_ms);
    sum.worst_resync_bytes = sum.worst_resync_bytes.max(seen.worst_resync_bytes);
    sum.host.abandoned_frames += seen.host.abandoned_frames;
    sum.host.bad_frames += seen.host.bad_frames;
    sum.host.repeats += seen.host.repeats;
    sum.host.resyncs += seen.host.resyncs;
    sum.camera.retransmissions += seen.camera.retransmissions;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row in which all went well but for a hundred grants that the line spoiled.
    fn good() -> (Row, Seen) {
        let row = Row { name: "any", faults: Fault::ALL.to_vec(), one_in: ONE_IN, n_frames: 900 };
        let seen = Seen { n_locked: 1000, n_delivered: 900, n_unheard: 100, n_hit: 100_000, ..Seen::default() };
        (row, seen)
    }

    #[track_caller]
    fn breaks(row: &Row, seen: &Seen, promise: &str) {
        assert_eq!(check(row, seen), [promise]);
    }

    #[test]
    fn a_frame_that_was_granted_and_lost_breaks_a_promise_however_many_packets_were_hit() {
        let (row, seen) = good();
        assert_eq!(check(&row, &seen), Vec::<String>::new());
        let mut lost = Seen { n_locked: 1001, n_lost: 1, ..seen };
        lost.host = remedis_openmv::Counters { abandoned_frames: 1, resyncs: 1, ..lost.host };
        breaks(&row, &lost, "1 frames whose grant arrived were not delivered");
        let forgotten = Seen { n_locked: 1001, ..seen };
        breaks(&row, &forgotten, "1001 frames were granted, and 1000 have a fate");
    }

    #[test]
    fn where_one_packet_in_eight_is_hit_a_lost_frame_has_a_greeting_or_a_disturbed_grant() {
        let (row, seen) = good();
        let row = Row { one_in: ONE_IN_HARSH, ..row };
        let mut lost = Seen { n_locked: 1003, n_lost: 3, n_disturbed: 1, ..seen };
        lost.host = remedis_openmv::Counters { abandoned_frames: 2, resyncs: 2, ..lost.host };
        assert_eq!(check(&row, &lost), Vec::<String>::new());
        lost.host.resyncs = 1;
        breaks(&row, &lost, "2 frames lost at 1 greetings");
        lost.host = remedis_openmv::Counters { abandoned_frames: 1, resyncs: 2, ..lost.host };
        breaks(&row, &lost, "the host knows of 1 of 3 lost frames, 1 grants were disturbed");
    }
}

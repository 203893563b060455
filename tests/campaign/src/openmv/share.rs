//! How much of a line is image: frames of 224 x 224 grey pixels, one after the other, from a camera that always has the next.

use rand::Rng;
use remedis_openmv::{Frame, MAX_PAYLOAD, PixelFormat};

use super::bench::Bench;
use crate::line::{Line, NS_PER_MS, Trouble};
use crate::{Scale, Table};

const SIDE: u32 = 224;
const IMAGE_BYTES: usize = 224 * 224;
const RATES: [u32; 3] = [115_200, 921_600, 3_000_000];

/// Both ways together: from the last bit of a packet to the first of what is said to it.
const TURN_AROUNDS_MS: [u64; 4] = [0, 1, 2, 4];

/// What is promised, in percent of the line, up to a turn-around of 1 ms.
const PROMISED_PERCENT: f64 = 90.0;

/// The table, and the promises broken.
pub(super) fn run(scale: Scale) -> (Table, Vec<String>) {
    let n_frames = match scale {
        Scale::Small => 5,
        Scale::Full => 100,
    };
    let title = format!(
        "openmv: {n_frames} frames of 224 x 224 grey, percent of the line that is image by turn-around (bound by arithmetic)"
    );
    let mut table = Table::new(title, &["baud, 8N1", "0 ms", "1 ms", "2 ms", "4 ms"]);
    let mut broken = vec![];
    for baud in RATES {
        let percent = TURN_AROUNDS_MS.map(|ms| percent(baud, ms * NS_PER_MS, n_frames));
        let bound = TURN_AROUNDS_MS.map(|ms| bound(baud, ms * NS_PER_MS));
        for (percent, ms) in percent.iter().zip(TURN_AROUNDS_MS).filter(|(_, ms)| *ms <= 1) {
            if *percent < PROMISED_PERCENT {
                broken.push(format!(
                    "openmv: {percent:.1} % of {baud} baud is image at {ms} ms, promised are {PROMISED_PERCENT} %"
                ));
            }
        }
        let cell = |at: usize| format!("{:.1} ({:.1})", percent[at], bound[at]);
        table.row(&[&baud, &cell(0), &cell(1), &cell(2), &cell(3)]);
    }
    (table, broken)
}

fn percent(baud: u32, turn_around_ns: u64, n_frames: u64) -> f64 {
    let line = Line { baud, latency_ns: turn_around_ns / 2 };
    let mut bench = Bench::new(line, Trouble::none(), MAX_PAYLOAD, 1);
    let frame = |rng: &mut rand_chacha::ChaCha8Rng| {
        let mut bytes = vec![0; IMAGE_BYTES];
        rng.fill_bytes(&mut bytes);
        Frame { width: SIDE, height: SIDE, format: PixelFormat::Grey, bytes }
    };
    assert!(bench.run(1, 60, frame), "a line without errors delivers");
    let start_ns = bench.now_ns();
    assert!(bench.run(n_frames, 60, frame), "a line without errors delivers");
    let seen = bench.seen();
    assert_eq!((seen.host.repeats, seen.host.timeouts), (0, 0), "nothing is asked twice on a line without errors");
    let image_ns = n_frames as f64 * IMAGE_BYTES as f64 * 10.0 * 1e9 / f64::from(baud);
    100.0 * image_ns / (bench.now_ns() - start_ns) as f64
}

/// What no host of this protocol can exceed while packets are acknowledged one by one: bytes that must be said, and turn-arounds that must
/// be waited for.
fn bound(baud: u32, turn_around_ns: u64) -> f64 {
    let (header, crc, frame) = (10, 4, IMAGE_BYTES + 20);
    let parts = frame.div_ceil(MAX_PAYLOAD);
    // Lock and release with their answers; the size, its answer and acknowledgement; the request, and each part with its acknowledgement.
    let bytes = 4 * header + (2 * header + header + 4 + crc) + (header + 8 + crc) + frame + parts * (2 * header + crc);
    let image_ns = IMAGE_BYTES as f64 * 10.0 * 1e9 / f64::from(baud);
    let frame_ns = bytes as f64 * 10.0 * 1e9 / f64::from(baud) + ((parts + 3) as u64 * turn_around_ns) as f64;
    100.0 * image_ns / frame_ns
}

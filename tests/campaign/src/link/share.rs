//! How much of a line is image: frames of 224 x 224 grey pixels, one after the other, answered at once.

use rand::Rng;

use super::bench::Bench;
use crate::line::{Line, NS_PER_MS, Trouble};
use crate::{Scale, Table};

const IMAGE_BYTES: usize = 224 * 224;
const RATES: [u32; 3] = [115_200, 921_600, 3_000_000];
const LATENCIES_MS: [u64; 3] = [1, 4, 16];

/// What is promised, in percent of the line, at a latency of 1 ms.
const PROMISED_PERCENT: f64 = 90.0;

/// The table, and the promises broken.
pub(super) fn run(scale: Scale) -> (Table, Vec<String>) {
    let n_frames = match scale {
        Scale::Small => 5,
        Scale::Full => 200,
    };
    let title = format!("link: {n_frames} frames of 224 x 224 grey, percent of the line that is image");
    let mut table = Table::new(title, &["baud, 8N1", "1 ms each way", "4 ms each way", "16 ms each way"]);
    let mut broken = vec![];
    for baud in RATES {
        let percent =
            LATENCIES_MS.map(|latency_ms| percent(Line { baud, latency_ns: latency_ms * NS_PER_MS }, n_frames));
        if percent[0] < PROMISED_PERCENT {
            broken
                .push(format!("link: {:.1} % of {baud} baud is image, promised are {PROMISED_PERCENT} %", percent[0]));
        }
        let [one, four, sixteen] = percent.map(|percent| format!("{percent:.1}"));
        table.row(&[&baud, &one, &four, &sixteen]);
    }
    (table, broken)
}

fn percent(line: Line, n_frames: u32) -> f64 {
    let mut bench = Bench::new(line, Trouble::none(), IMAGE_BYTES, 1);
    bench.connect();
    let start_ns = bench.now_ns();
    for _ in 0..n_frames {
        let mut image = vec![0; IMAGE_BYTES];
        bench.rng().fill_bytes(&mut image);
        let is_delivered = bench.deliver(image, 60);
        assert!(is_delivered, "a line without errors delivers");
    }
    assert_eq!(bench.seen().sender.retransmissions, 0, "nothing is sent twice on a line without errors");
    let line_ns = f64::from(n_frames) * IMAGE_BYTES as f64 * 10.0 * 1e9 / f64::from(line.baud);
    100.0 * line_ns / (bench.now_ns() - start_ns) as f64
}

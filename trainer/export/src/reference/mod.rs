//! Plain-Rust executors: what the right answer is.
//!
//! Both run one image on one thread in a fixed order of operations; only [`crate::FloatGraph::run_all`] and
//! [`crate::QuantGraph::run_all`] are parallel, over images. So the same bits come out everywhere, whatever the thread count.
//! They are clear first and quick second; speed on a device is another crate's work.

mod float;
mod integer;
mod patches;

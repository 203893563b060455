//! What this processor could do at most.

use std::time::Instant;

use crate::{Backend, Constants, Conv, Layer, Layout, Lines, Requantise, Shape, Store, View, ViewMut, Window};

/// Giga-multiplications a second of the best case: a pointwise layer whose values and weights stay in the first-level cache and whose
/// sums are long. What a layer reaches of this is lost to memory, short sums and tails. Takes some milliseconds.
///
/// # Panics
/// Never: the layer is a valid one.
#[must_use]
pub fn peak_gmacs(backend: Backend) -> f64 {
    /// As many as any loop computes at once.
    const OUTPUTS: usize = 64;
    let (family, shape) = (backend.family(), Shape { height: 1, width: 24, channels: 256 });
    let weights: Vec<i8> = (0..OUTPUTS * shape.channels).map(|at| (at % 199) as i8 / 2).collect();
    let requantise = Requantise { multipliers: vec![1e-4; OUTPUTS], zero_point: 0, low: -128, high: 127 };
    let (weights, bias, requantise) = (&weights, &[3; OUTPUTS], &requantise);
    let layer = Layer { input: shape, input_zero: 0, window: Window::POINT, weights, bias, requantise };
    let mut store = Store::default();
    let conv = Conv::new(&layer, shape.channels, family, &mut store).expect("a valid layer");
    let constants: Constants = store.finish();
    let (from, to) = (Layout::whole(shape, 0, family), Layout::whole(Shape { channels: OUTPUTS, ..shape }, 0, family));
    let (input, mut output, mut scratch) =
        (Lines::new(from.length()), Lines::new(to.length()), Lines::new(conv.scratch()));
    let mut once = || {
        let mut output = ViewMut::new(output.bytes_mut(), to);
        conv.run(backend, &constants, View::new(input.bytes(), from), 0..1, &mut output, scratch.bytes_mut());
    };
    const RUNS: usize = 200;
    let best = (0..20).map(|_| {
        let start = Instant::now();
        (0..RUNS).for_each(|_| once());
        start.elapsed().as_secs_f64()
    });
    let multiplications = (RUNS * conv.n_multiplications() * shape.width) as f64;
    multiplications / best.fold(f64::MAX, f64::min) / 1e9
}

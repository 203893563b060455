//! What every kernel must give, in the plainest Rust: slow, and meant to be read.

use crate::{Requantise, Shape, Window};

/// A convolution in `groups` groups, whose output channels are spread evenly over them.
///
/// `weights` are `[out, tap row, tap column, channel of the group]`; `input_zero` is the stored value of a real zero.
///
/// # Panics
/// If the window does not fit or a list is too short.
#[must_use]
pub fn convolution(
    input: (&[i8], Shape, i8),
    window: Window,
    (weights, groups): (&[i8], usize),
    bias: &[i32],
    requantise: &Requantise,
) -> Vec<i8> {
    let (values, shape, input_zero) = input;
    let [height, width] = window.places(shape).expect("the window fits");
    let (per_group, outputs) = (shape.channels / groups, bias.len());
    let mut out = Vec::with_capacity(height * width * outputs);
    for place in (0..height).flat_map(|row| (0..width).map(move |column| [row, column])) {
        for channel in 0..outputs {
            let first = channel / (outputs / groups) * per_group;
            let mut sum = bias[channel];
            for (number, tap) in window.taps().enumerate() {
                let Some(pixel) = window.pixel(shape, place, tap) else { continue };
                for inner in 0..per_group {
                    let weight = weights[(channel * window.kernel[0] * window.kernel[1] + number) * per_group + inner];
                    let value = values[pixel * shape.channels + first + inner];
                    sum += i32::from(weight) * (i32::from(value) - i32::from(input_zero));
                }
            }
            out.push(requantise.store(sum, channel));
        }
    }
    out
}

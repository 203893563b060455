//! What every kernel must give, in the plainest Rust: slow, and meant to be read.

use crate::Layer;

/// A convolution in `groups` groups, whose output channels are spread evenly over them.
///
/// # Panics
/// If the window does not fit or a list is too short.
#[must_use]
pub fn convolution(layer: &Layer<'_>, groups: usize, values: &[i8]) -> Vec<i8> {
    let Layer { input, input_zero, window, weights, bias, requantise } = *layer;
    let [height, width] = window.places(input).expect("the window fits");
    let (per_group, outputs) = (input.channels / groups, bias.len());
    let mut out = Vec::with_capacity(height * width * outputs);
    for place in (0..height).flat_map(|row| (0..width).map(move |column| [row, column])) {
        for channel in 0..outputs {
            let first = channel / (outputs / groups) * per_group;
            let mut sum = bias[channel];
            for (number, tap) in window.taps().enumerate() {
                let Some(pixel) = window.pixel(input, place, tap) else { continue };
                for inner in 0..per_group {
                    let weight = weights[(channel * window.kernel[0] * window.kernel[1] + number) * per_group + inner];
                    let value = values[pixel * input.channels + first + inner];
                    sum += i32::from(weight) * (i32::from(value) - i32::from(input_zero));
                }
            }
            out.push(requantise.store(sum, channel));
        }
    }
    out
}

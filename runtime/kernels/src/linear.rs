//! The last layer: sums that become real numbers.

use serde::{Deserialize, Serialize};

use crate::constants::{Scratch, scratch_bytes};
use crate::conv::{Matrix, pack, padded, run};
use crate::kernels::Loops;
use crate::picture::BLOCK;
use crate::{Backend, Constants, Family, Layer, LayerError, Span, Store, View, Window};

/// A fully connected layer on one pixel, with real results: `f32(sum) * scale`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    channels: usize,
    outputs: usize,
    weights: Span,
    bias: Span,
    scales: Span,
}

impl Linear {
    /// Packs a layer for `family`; the weights are `[out, in]`, and the multipliers the scales of the results.
    ///
    /// # Errors
    /// If a list has the wrong length, the input is not one pixel, or the sums could leave 32 bits.
    pub fn new(layer: &Layer<'_>, family: Family, store: &mut Store) -> Result<Self, LayerError> {
        let Layer { input, window, .. } = *layer;
        if [input.height, input.width] != [1, 1] || window != Window::POINT {
            return Err(LayerError::Window { window, input });
        }
        layer.check(input.channels)?;
        let weights = pack(layer, input.channels.next_multiple_of(BLOCK), family);
        Ok(Self {
            channels: input.channels,
            outputs: layer.bias.len(),
            weights: store.add(&weights),
            bias: store.add(&padded(&layer.folded_bias(family.offset()), 0)),
            scales: store.add(&padded(&layer.requantise.multipliers, 0.0)),
        })
    }

    /// How many values it reads.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// How many results there are.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Whether the constants that it names are there, with the lengths that `family` needs: for layers from a file.
    #[must_use]
    pub fn fits(&self, family: Family, constants: &Constants) -> bool {
        let outputs = self.outputs.next_multiple_of(BLOCK);
        let step = self.channels.checked_next_multiple_of(BLOCK);
        let depth = step.and_then(|step| run(&Window::POINT, self.channels, step, family));
        let length = depth.and_then(|depth| depth.checked_mul(outputs));
        self.outputs > 0
            && length.is_some_and(|length| length > 0 && constants.holds::<i8>(self.weights, length))
            && constants.holds::<i32>(self.bias, outputs)
            && constants.holds::<f32>(self.scales, outputs)
    }

    /// Bytes of scratch that [`Linear::run`] needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        scratch_bytes::<i32>(self.outputs.next_multiple_of(BLOCK))
    }

    /// Computes the layer.
    ///
    /// # Panics
    /// If the input is another one than the layer's, or `scratch` is shorter than [`Linear::scratch`].
    pub fn run(
        &self,
        backend: Backend,
        constants: &Constants,
        input: View<'_>,
        output: &mut [f32],
        scratch: &mut [u8],
    ) {
        let shape = input.layout.shape;
        assert_eq!([shape.height, shape.width, shape.channels], [1, 1, self.channels], "the input of the last layer");
        assert_eq!(output.len(), self.outputs, "results of the last layer");
        let mut scratch = Scratch::new(scratch);
        let sums = scratch.take::<i32>(self.outputs.next_multiple_of(BLOCK));
        let (weights, bias) = (constants.get::<i8>(self.weights), constants.get(self.bias));
        let matrix =
            Matrix { family: backend.family(), run: weights.len() / sums.len(), kernel_rows: 1, weights, bias };
        let first = input.layout.offset(0, 0);
        match backend.loops() {
            Loops::Bytes(kernels) => (kernels.sums)(&input.values()[first..], matrix, sums),
            Loops::Words(kernels) => (kernels.sums)(&input.values()[first..], matrix, sums),
        }
        for ((output, sum), scale) in output.iter_mut().zip(sums).zip(constants.get::<f32>(self.scales)) {
            *output = *sum as f32 * scale;
        }
    }
}

//! Sums of two values.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::kernels::Loops;
use crate::picture::Value;
use crate::requantise::Limits;
use crate::{Backend, LayerError, View, ViewMut};

/// `store(f32(a - zero_a) * multiplier_a + f32(b - zero_b) * multiplier_b)`, nothing fused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Add {
    /// Stored zeros of the two.
    pub zeros: [i8; 2],
    /// Their scales over the result's.
    pub multipliers: [f32; 2],
    /// Of the result.
    pub limits: Limits,
}

impl Add {
    /// # Errors
    /// If a multiplier is no positive number, or so large that steps could leave 32 bits.
    pub fn check(&self) -> Result<(), LayerError> {
        let Limits { low, high, .. } = self.limits;
        if !self.limits.is_range() {
            return Err(LayerError::Range { low, high });
        }
        let is_usable = |multiplier: f32| multiplier > 0.0 && multiplier < 4e6;
        match self.multipliers.iter().position(|multiplier| !is_usable(*multiplier)) {
            Some(channel) => Err(LayerError::Multiplier { channel, found: self.multipliers[channel] }),
            None => Ok(()),
        }
    }

    /// Adds the given rows of two pictures of the same shape.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn run(&self, backend: Backend, inputs: [View<'_>; 2], rows: Range<usize>, output: &mut ViewMut<'_>) {
        let layout = output.layout;
        assert!(inputs.iter().all(|input| input.layout.shape == layout.shape), "shapes of an addition");
        assert!(inputs.iter().all(|input| input.layout.step == layout.step), "values a pixel");
        match backend.loops() {
            Loops::Bytes(kernels) => self.rows(inputs, rows, output, kernels.add),
            Loops::Words(kernels) => self.rows(inputs, rows, output, kernels.add),
        }
    }

    fn rows<T: Value>(
        &self,
        inputs: [View<'_>; 2],
        rows: Range<usize>,
        output: &mut ViewMut<'_>,
        work: fn(&Self, &[T], &[T], &mut [T]),
    ) {
        for row in rows {
            let [a, b] = inputs.map(|input| input.row::<T>(row));
            work(self, a, b, output.row(row));
        }
    }
}

#[inline(always)]
pub(crate) fn add<T: Value>(layer: &Add, a: &[T], b: &[T], output: &mut [T]) {
    let Add { zeros, multipliers, limits } = *layer;
    let real = |value: T, of: usize| (value.number() - i32::from(zeros[of])) as f32 * multipliers[of];
    for ((output, a), b) in output.iter_mut().zip(a).zip(b) {
        *output = T::of(limits.store_number(real(*a, 0) + real(*b, 1)));
    }
}

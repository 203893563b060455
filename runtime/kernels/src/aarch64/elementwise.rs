//! What is done to one value after the other, sixteen at a time.

use std::arch::aarch64::*;
use std::array::from_fn;

use super::Ends;
use crate::{Add, Quantise, add, border};

/// As [`crate::add::add`].
pub(crate) fn add(layer: &Add, a: &[i8], b: &[i8], output: &mut [i8]) {
    let ends = Ends::of(layer.limits);
    // SAFETY: every 64-bit ARM has these instructions.
    let (zeros, multipliers) = unsafe {
        (layer.zeros.map(|zero| vdup_n_s8(zero)), layer.multipliers.map(|multiplier| vdupq_n_f32(multiplier)))
    };
    let (whole, rest) = output.as_chunks_mut::<16>();
    let (a, b) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for ((output, a), b) in whole.iter_mut().zip(a.0).zip(b.0) {
        // SAFETY: as above; sixteen values are there.
        unsafe {
            let real = |values: &[i8; 16], of: usize| -> [float32x4_t; 4] {
                let values = vld1q_s8(values.as_ptr());
                let [low, high] = [vget_low_s8(values), vget_high_s8(values)].map(|eight| vsubl_s8(eight, zeros[of]));
                let four = [
                    vmovl_s16(vget_low_s16(low)),
                    vmovl_high_s16(low),
                    vmovl_s16(vget_low_s16(high)),
                    vmovl_high_s16(high),
                ];
                four.map(|four| vmulq_f32(vcvtq_f32_s32(four), multipliers[of]))
            };
            let (a, b) = (real(a, 0), real(b, 1));
            vst1q_s8(output.as_mut_ptr(), ends.rounded::<true>(from_fn(|at| vaddq_f32(a[at], b[at]))));
        }
    }
    add::add(layer, a.1, b.1, rest);
}

/// As [`crate::border::quantise`].
pub(crate) fn quantise(layer: &Quantise, values: &[f32], stored: &mut [i8]) {
    let ends = Ends::of(layer.limits);
    let (whole, rest) = stored.as_chunks_mut::<16>();
    let (values, last) = values.as_chunks::<16>();
    for (stored, values) in whole.iter_mut().zip(values) {
        // SAFETY: every 64-bit ARM has these instructions; sixteen values are there.
        unsafe {
            let scale = vdupq_n_f32(layer.scale);
            let steps = from_fn(|at| vdivq_f32(vld1q_f32(values.as_ptr().add(4 * at)), scale));
            vst1q_s8(stored.as_mut_ptr(), ends.rounded::<true>(steps));
        }
    }
    border::quantise(layer, last, rest);
}

/// As [`crate::border::interleave`].
pub(crate) fn interleave(planes: [&[i8]; 4], step: usize, output: &mut [i8]) {
    let whole = if matches!(step, 3 | 4) { output.len() / step / 16 * 16 } else { 0 };
    let used = planes.map(|plane| &plane[..whole]);
    let sixteens = used.map(|plane| plane.as_chunks::<16>().0);
    for (at, output) in output[..whole * step].chunks_exact_mut(16 * step).enumerate() {
        // SAFETY: every 64-bit ARM has these instructions; the slices have 16 and 16 times `step` values.
        unsafe {
            let [a, b, c, d] = sixteens.map(|sixteen| vld1q_s8(sixteen[at].as_ptr()));
            match step {
                3 => vst3q_s8(output.as_mut_ptr(), int8x16x3_t(a, b, c)),
                _ => vst4q_s8(output.as_mut_ptr(), int8x16x4_t(a, b, c, d)),
            }
        }
    }
    border::interleave(planes.map(|plane| &plane[whole..]), step, &mut output[whole * step..]);
}

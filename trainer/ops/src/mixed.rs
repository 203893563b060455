//! Mixed precision: which part of a layer computes in the type of its input, and which always in 32 bits.
//!
//! The type of the images decides. Convolutions, poolings and sums of maps compute in the type they are given, and a weight is rounded
//! to it where it is used; statistics, normalisations and means widen a 16-bit input to 32 bits first. Weights stay in 32 bits, and
//! so do their gradients: a cast is recorded, and its backward pass casts back.
//!
//! Source: Micikevicius et al. 2018, "Mixed Precision Training", sections 3.1 (master weights) and 3.3 (arithmetic precision).

use burn::tensor::{DType, FloatDType, Tensor};

/// A type of 16 bits, or `None`.
pub(crate) fn half<const D: usize>(x: &Tensor<D>) -> Option<FloatDType> {
    match x.dtype() {
        DType::F16 => Some(FloatDType::F16),
        DType::BF16 => Some(FloatDType::BF16),
        _ => None,
    }
}

/// `x` in 32 bits.
pub(crate) fn wide<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.cast(FloatDType::F32)
}

/// `weight` in the type of `x`; itself where it has it.
pub(crate) fn as_input<const D: usize, const E: usize>(weight: Tensor<D>, x: &Tensor<E>) -> Tensor<D> {
    match half(x) {
        Some(narrow) if weight.dtype() != x.dtype() => weight.cast(narrow),
        _ => weight,
    }
}

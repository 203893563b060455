//! The operations as an extension of Burn's back ends: their signatures.
//!
//! `autodiff.rs` records the layers; what their backward passes need is a trait of its own, which autodiff does not have: there
//! are no gradients of gradients.

#![expect(clippy::too_many_arguments, reason = "the macro takes tensors as arguments only")]
#![cfg_attr(
    feature = "ndarray",
    expect(deprecated, reason = "burn-ndarray is given; its users are told by Burn itself")
)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use crate::{Activation, MomentumStep, Window};

/// A tensor and two statistics of it.
pub(crate) type Three<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// Layers of 32-bit floats on `[image, row, column, channel]`.
#[backend_extension(Flex, NdArray: cfg(feature = "ndarray"), Autodiff)]
pub(crate) trait TrainOps: Backend {
    /// Convolution with weights `[out, in / groups, row, column]`.
    fn nhwc_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, window: Window) -> FloatTensor<Self>;
    /// Normalisation of each channel over all pixels, then the activation: with mean and biased variance of the channels.
    fn nhwc_batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        activation: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// `activation(x * scale + shift)` with the numbers of each channel.
    fn nhwc_affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
    /// Normalisation of each image's groups of channels, then the activation: with mean and inverse deviation of the groups.
    fn nhwc_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        activation: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// Kernels `[out, ..]` brought to mean 0 and variance 1: with mean and inverse deviation of each.
    fn weight_standardise(
        weight: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// The largest value under each window.
    fn nhwc_max_pool(x: FloatTensor<Self>, window: Window, outside: f32) -> FloatTensor<Self>;
    /// Mean over the pixels: `[image, channel]`.
    fn nhwc_average(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The activation of a sum.
    fn nhwc_add(a: FloatTensor<Self>, b: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
    /// `velocity = momentum * velocity + push * (gradient + decay * weight)` and `weight - pull * velocity`, in this order of
    /// the numbers: weight and velocity. Without gradients.
    fn momentum_step(
        weight: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: MomentumStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Sums of the squares of the weight and of `gradient + decay * weight`: `[2]`. Without gradients.
    fn squares(weight: FloatTensor<Self>, gradient: FloatTensor<Self>, decay: f32) -> FloatTensor<Self>;
}

/// What a back end below autodiff does for its backward passes; none of it is recorded.
///
/// `packed` weights are `[out, row * column, in]`, or `[row * column, channel]` for depthwise layers.
pub(crate) trait BackwardOps: TrainOps {
    /// Convolution, and the weights as packed for it and for the backward pass.
    fn nhwc_conv_packing(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Gradient of the input, whose shape is `source`.
    fn nhwc_conv_backward_input(
        gradient: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        source: [usize; 4],
        window: Window,
    ) -> FloatTensor<Self>;
    /// Gradient of the weights.
    fn nhwc_conv_backward_weight(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self>;
    /// Gradients of input, scale and shift.
    fn nhwc_batch_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f32,
        activation: Activation,
    ) -> Three<Self>;
    /// Gradients of input, scale and shift.
    fn nhwc_affine_backward(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        activation: Activation,
    ) -> Three<Self>;
    /// Gradients of input, scale and shift.
    fn nhwc_group_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        inverse: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        activation: Activation,
    ) -> Three<Self>;
    /// Gradient of the kernels.
    fn weight_standardise_backward(
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        inverse: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// Gradient of the input; `y` is the result.
    fn nhwc_max_pool_backward(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        window: Window,
        outside: f32,
    ) -> FloatTensor<Self>;
    /// Gradient of the input, whose shape is `source`.
    fn nhwc_average_backward(gradient: FloatTensor<Self>, source: [usize; 4]) -> FloatTensor<Self>;
    /// Gradient of either side; `y` is the result.
    fn nhwc_add_backward(
        y: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
}

//! The same layers in Burn's tensor operations: for devices without kernels of ours, and to hold ours against.

use burn::tensor::module::{batch_norm_train, conv2d as burn_conv2d, max_pool2d as burn_max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Tensor, activation};

use crate::{Activation, Moments, MomentumStep, Outside, Window};

fn to_images(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// See [`conv2d`](crate::conv2d).
#[must_use]
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
    let padding = [0, 1].map(|axis| (window.before[axis], window.after[axis]));
    let options = ConvOptions::new_with_padding([window.stride; 2], padding, [1, 1], window.groups);
    crate::to_pixels(burn_conv2d(to_images(x), weight, None, options))
}

/// See [`batch_norm`](crate::batch_norm).
#[must_use]
pub fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    activation: Activation,
) -> (Tensor<4>, Moments) {
    let found = batch_norm_train(to_images(x), gamma, beta, epsilon);
    let moments = Moments { mean: found.mean, variance: found.variance };
    (activate(crate::to_pixels(found.output), activation), moments)
}

/// See [`affine`](crate::affine).
#[must_use]
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>, activation: Activation) -> Tensor<4> {
    let per_channel = [1, 1, 1, scale.dims()[0]];
    activate(x * scale.reshape(per_channel) + shift.reshape(per_channel), activation)
}

/// See [`group_norm`](crate::group_norm).
#[must_use]
pub fn group_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: usize,
    epsilon: f64,
    activation: Activation,
) -> Tensor<4> {
    let [images, height, width, channels] = x.dims();
    let in_group = channels / groups * height * width;
    let normal = whiten(to_images(x).reshape([1, images * groups, in_group]), epsilon);
    let normal = crate::to_pixels(normal.reshape([images, channels, height, width]));
    affine(normal, gamma, beta, activation)
}

/// See [`standardise`](crate::standardise).
#[must_use]
pub fn standardise(weight: Tensor<4>, epsilon: f64) -> Tensor<4> {
    let shape = weight.dims();
    whiten(weight.reshape([1, shape[0], shape[1] * shape[2] * shape[3]]), epsilon).reshape(shape)
}

/// Each row `[0, row, ..]` less its mean, over the root of its biased variance plus `epsilon`.
///
/// Batch normalisation of one image whose channels are the rows: one recorded operation with a backward pass of its own.
fn whiten(x: Tensor<3>, epsilon: f64) -> Tensor<3> {
    let (rows, device) = (x.dims()[1], x.device());
    batch_norm_train(x, Tensor::ones([rows], &device), Tensor::zeros([rows], &device), epsilon).output
}

/// See [`max_pool2d`](crate::max_pool2d).
#[must_use]
pub fn max_pool2d(x: Tensor<4>, window: Window, outside: Outside) -> Tensor<4> {
    let value = match outside {
        Outside::Nothing => f32::NEG_INFINITY,
        Outside::Zero => 0.0,
    };
    let Window { kernel, stride, before, after, .. } = window;
    let padded = to_images(x).pad((before[1], after[1], before[0], after[0]), PadMode::Constant(value));
    crate::to_pixels(burn_max_pool2d(padded, MaxPoolOptions { stride: [stride; 2], ..MaxPoolOptions::new(kernel) }))
}

/// See [`average`](crate::average).
#[must_use]
pub fn average(x: Tensor<4>) -> Tensor<2> {
    let [images, height, width, channels] = x.dims();
    x.reshape([images, height * width, channels]).mean_dim(1).reshape([images, channels])
}

/// The activation of each value.
#[must_use]
pub fn activate<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    match kind {
        Activation::Identity => x,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

/// See [`momentum_step`](crate::momentum_step).
#[must_use]
pub fn momentum_step<const D: usize>(
    weight: Tensor<D>,
    velocity: Tensor<D>,
    gradient: Tensor<D>,
    MomentumStep { momentum, push, decay, pull }: MomentumStep,
) -> (Tensor<D>, Tensor<D>) {
    let gradient = gradient + weight.clone().mul_scalar(decay);
    let velocity = velocity.mul_scalar(momentum) + gradient.mul_scalar(push);
    (weight - velocity.clone().mul_scalar(pull), velocity)
}

/// See [`squares`](crate::squares).
#[must_use]
pub fn squares<const D: usize>(weight: Tensor<D>, gradient: Tensor<D>, decay: f32) -> Tensor<1> {
    let gradient = gradient + weight.clone().mul_scalar(decay);
    Tensor::cat(vec![weight.square().sum(), gradient.square().sum()], 0)
}

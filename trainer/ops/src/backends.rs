//! The CPU back ends: from their tensors to slices and back.

#![cfg_attr(
    feature = "ndarray",
    expect(deprecated, reason = "burn-ndarray is given; its users are told by Burn itself")
)]

use std::borrow::Cow;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, TensorMetadata};
#[cfg(feature = "ndarray")]
use burn::backend::{BackendTypes, NdArray};
use burn::tensor::TensorData;

use crate::cpu::batch_norm::Channels;
use crate::cpu::{activation, batch_norm, conv, depthwise, group_norm, momentum, pool, standardise};
use crate::extension::{BackwardOps, Three, TrainOps};
use crate::{Activation, MomentumStep, Window};

/// A back end whose tensors lie in this process's memory.
trait Floats: Backend {
    /// The values, row by row: where they are if they lie in this order, else copied.
    fn floats(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]>;
    /// Changes the values, row by row: where they are if nobody else has them.
    fn edit(tensor: &mut FloatTensor<Self>, change: impl FnOnce(&mut [f32]));
}

impl Floats for Flex {
    fn floats(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
        match tensor.layout().contiguous_offsets() {
            Some((start, end)) => Cow::Borrowed(&tensor.storage::<f32>()[start..end]),
            None => Cow::Owned(tensor.to_contiguous().storage::<f32>().to_vec()),
        }
    }

    fn edit(tensor: &mut FloatTensor<Self>, change: impl FnOnce(&mut [f32])) {
        if !tensor.is_contiguous() {
            *tensor = tensor.to_contiguous();
        }
        let (start, end) = tensor.layout().contiguous_offsets().expect("just made contiguous");
        change(&mut tensor.storage_mut::<f32>()[start..end]);
    }
}

#[cfg(feature = "ndarray")]
type Primitive = <NdArray as BackendTypes>::FloatTensorPrimitive;

#[cfg(feature = "ndarray")]
impl Floats for NdArray {
    fn floats(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
        let Primitive::F32(values) = tensor else {
            panic!("an operation of 32-bit floats was given {:?}", tensor.dtype());
        };
        let view = values.view();
        match view.to_slice() {
            Some(values) => Cow::Borrowed(values),
            None => Cow::Owned(view.iter().copied().collect()),
        }
    }

    fn edit(tensor: &mut FloatTensor<Self>, change: impl FnOnce(&mut [f32])) {
        let Primitive::F32(values) = tensor else {
            panic!("an operation of 32-bit floats was given {:?}", tensor.dtype());
        };
        let mut owned = values.clone().into_owned();
        if !owned.is_standard_layout() {
            owned = owned.as_standard_layout().into_owned().into_shared();
        }
        change(owned.as_slice_mut().expect("just put in order"));
        *tensor = owned.into();
    }
}

fn shape<B: Backend, const D: usize>(tensor: &FloatTensor<B>) -> [usize; D] {
    let shape = tensor.shape();
    std::array::from_fn(|i| shape[i])
}

/// A tensor beside `like`.
fn tensor<B: Backend, const D: usize>(values: Vec<f32>, shape: [usize; D], like: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_from_data(TensorData::new(values, shape), &like.device())
}

fn conv<B: Floats>(x: &FloatTensor<B>, weight: &FloatTensor<B>, window: &Window) -> [FloatTensor<B>; 2] {
    let source @ [images, height, width, channels] = shape::<B, 4>(x);
    let [out, ..] = shape::<B, 4>(weight);
    let taps = window.kernel[0] * window.kernel[1];
    let [rows, columns] = window.output([height, width]);
    let values = B::floats(weight);
    let (y, packed) = if window.groups > 1 {
        let packed = depthwise::transpose(&values, taps);
        (depthwise::forward(&B::floats(x), source, &packed, window), tensor::<B, 2>(packed, [taps, channels], x))
    } else if taps == 1 {
        (conv::forward(&B::floats(x), source, &values, out, window), weight.clone())
    } else {
        let packed = conv::pack(&values, [out, channels, taps]);
        (conv::forward(&B::floats(x), source, &packed, out, window), tensor::<B, 3>(packed, [out, taps, channels], x))
    };
    [tensor::<B, 4>(y, [images, rows, columns, out], x), packed]
}

macro_rules! on_the_cpu {
    ($backend:ty) => {
        impl TrainOps for $backend {
            fn nhwc_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
                let [y, _] = conv::<Self>(&x, &weight, &window);
                y
            }

            fn nhwc_batch_norm(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                epsilon: f32,
                activation: Activation,
            ) -> Three<Self> {
                let (gamma, beta) = (Self::floats(&gamma), Self::floats(&beta));
                let norm = Channels { gamma: &gamma, beta: &beta, activation };
                let [y, mean, variance] = batch_norm::forward(&Self::floats(&x), &norm, epsilon);
                let channels = [gamma.len()];
                (
                    tensor::<Self, 4>(y, shape::<Self, 4>(&x), &x),
                    tensor::<Self, 1>(mean, channels, &x),
                    tensor::<Self, 1>(variance, channels, &x),
                )
            }

            fn nhwc_affine(
                x: FloatTensor<Self>,
                scale: FloatTensor<Self>,
                shift: FloatTensor<Self>,
                activation: Activation,
            ) -> FloatTensor<Self> {
                let (scale, shift) = (Self::floats(&scale), Self::floats(&shift));
                let y = batch_norm::affine(&Self::floats(&x), [&scale, &shift], activation);
                tensor::<Self, 4>(y, shape::<Self, 4>(&x), &x)
            }

            fn nhwc_group_norm(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                groups: usize,
                epsilon: f32,
                activation: Activation,
            ) -> Three<Self> {
                let dims @ [images, height, width, channels] = shape::<Self, 4>(&x);
                let (gamma, beta) = (Self::floats(&gamma), Self::floats(&beta));
                let norm = Channels { gamma: &gamma, beta: &beta, activation };
                let image = height * width * channels;
                let [y, mean, inverse] = group_norm::forward(&Self::floats(&x), image, groups, &norm, epsilon);
                (
                    tensor::<Self, 4>(y, dims, &x),
                    tensor::<Self, 2>(mean, [images, groups], &x),
                    tensor::<Self, 2>(inverse, [images, groups], &x),
                )
            }

            fn weight_standardise(weight: FloatTensor<Self>, epsilon: f32) -> Three<Self> {
                let dims @ [out, channels, height, width] = shape::<Self, 4>(&weight);
                let size = channels * height * width;
                let [y, mean, inverse] = standardise::forward(&Self::floats(&weight), size, epsilon);
                (
                    tensor::<Self, 4>(y, dims, &weight),
                    tensor::<Self, 1>(mean, [out], &weight),
                    tensor::<Self, 1>(inverse, [out], &weight),
                )
            }

            fn nhwc_max_pool(x: FloatTensor<Self>, window: Window, outside: f32) -> FloatTensor<Self> {
                let source @ [images, height, width, channels] = shape::<Self, 4>(&x);
                let [rows, columns] = window.output([height, width]);
                let y = pool::max(&Self::floats(&x), source, &window, outside);
                tensor::<Self, 4>(y, [images, rows, columns, channels], &x)
            }

            fn nhwc_average(x: FloatTensor<Self>) -> FloatTensor<Self> {
                let source @ [images, _, _, channels] = shape::<Self, 4>(&x);
                tensor::<Self, 2>(pool::mean(&Self::floats(&x), source), [images, channels], &x)
            }

            fn nhwc_add(a: FloatTensor<Self>, b: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
                let y = activation::add(&Self::floats(&a), &Self::floats(&b), activation);
                tensor::<Self, 4>(y, shape::<Self, 4>(&a), &a)
            }

            fn momentum_step(
                mut weight: FloatTensor<Self>,
                mut velocity: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                step: MomentumStep,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let gradient = Self::floats(&gradient);
                Self::edit(&mut weight, |weight| {
                    Self::edit(&mut velocity, |velocity| momentum::step(weight, velocity, &gradient, &step));
                });
                (weight, velocity)
            }

            fn squares(weight: FloatTensor<Self>, gradient: FloatTensor<Self>, decay: f32) -> FloatTensor<Self> {
                let sums = momentum::squares(&Self::floats(&weight), &Self::floats(&gradient), decay);
                tensor::<Self, 1>(sums.to_vec(), [2], &weight)
            }
        }

        impl BackwardOps for $backend {
            fn nhwc_conv_packing(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                window: Window,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let [y, packed] = conv::<Self>(&x, &weight, &window);
                (y, packed)
            }

            fn nhwc_conv_backward_input(
                gradient: FloatTensor<Self>,
                packed: FloatTensor<Self>,
                source: [usize; 4],
                window: Window,
            ) -> FloatTensor<Self> {
                let of_y = shape::<Self, 4>(&gradient);
                let backward = if window.groups > 1 { depthwise::backward_input } else { conv::backward_input };
                let dx = backward(&Self::floats(&gradient), of_y, &Self::floats(&packed), source, &window);
                tensor::<Self, 4>(dx, source, &gradient)
            }

            fn nhwc_conv_backward_weight(
                x: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                window: Window,
            ) -> FloatTensor<Self> {
                let source = shape::<Self, 4>(&x);
                let [.., out] = shape::<Self, 4>(&gradient);
                let [height, width] = window.kernel;
                let (values, of_y) = (Self::floats(&x), Self::floats(&gradient));
                let dw = if window.groups > 1 {
                    depthwise::backward_weight(&values, source, &of_y, &window)
                } else {
                    conv::backward_weight(&values, source, &of_y, out, &window)
                };
                tensor::<Self, 4>(dw, [out, source[3] / window.groups, height, width], &x)
            }

            fn nhwc_batch_norm_backward(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                mean: FloatTensor<Self>,
                variance: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                epsilon: f32,
                activation: Activation,
            ) -> Three<Self> {
                let (gamma, beta) = (Self::floats(&gamma), Self::floats(&beta));
                let norm = Channels { gamma: &gamma, beta: &beta, activation };
                let moments = [&Self::floats(&mean)[..], &Self::floats(&variance)];
                let parts = batch_norm::backward(&Self::floats(&x), &norm, epsilon, moments, &Self::floats(&gradient));
                gradients::<Self>(parts, &x)
            }

            fn nhwc_affine_backward(
                x: FloatTensor<Self>,
                scale: FloatTensor<Self>,
                shift: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                activation: Activation,
            ) -> Three<Self> {
                let affine = [&Self::floats(&scale)[..], &Self::floats(&shift)];
                let parts =
                    batch_norm::affine_backward(&Self::floats(&x), affine, activation, &Self::floats(&gradient));
                gradients::<Self>(parts, &x)
            }

            fn nhwc_group_norm_backward(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                mean: FloatTensor<Self>,
                inverse: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                activation: Activation,
            ) -> Three<Self> {
                let [_, height, width, channels] = shape::<Self, 4>(&x);
                let (gamma, beta) = (Self::floats(&gamma), Self::floats(&beta));
                let norm = Channels { gamma: &gamma, beta: &beta, activation };
                let moments = [&Self::floats(&mean)[..], &Self::floats(&inverse)];
                let image = height * width * channels;
                let parts = group_norm::backward(&Self::floats(&x), image, &norm, moments, &Self::floats(&gradient));
                gradients::<Self>(parts, &x)
            }

            fn weight_standardise_backward(
                weight: FloatTensor<Self>,
                mean: FloatTensor<Self>,
                inverse: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
            ) -> FloatTensor<Self> {
                let dims @ [_, channels, height, width] = shape::<Self, 4>(&weight);
                let moments = [&Self::floats(&mean)[..], &Self::floats(&inverse)];
                let (values, gradient) = (Self::floats(&weight), Self::floats(&gradient));
                let dw = standardise::backward(&values, channels * height * width, moments, &gradient);
                tensor::<Self, 4>(dw, dims, &weight)
            }

            fn nhwc_max_pool_backward(
                x: FloatTensor<Self>,
                y: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                window: Window,
                outside: f32,
            ) -> FloatTensor<Self> {
                let source = shape::<Self, 4>(&x);
                let (values, y, gradient) = (Self::floats(&x), Self::floats(&y), Self::floats(&gradient));
                let dx = pool::max_backward(&values, source, &window, outside, &y, &gradient);
                tensor::<Self, 4>(dx, source, &x)
            }

            fn nhwc_average_backward(gradient: FloatTensor<Self>, source: [usize; 4]) -> FloatTensor<Self> {
                tensor::<Self, 4>(pool::mean_backward(&Self::floats(&gradient), source), source, &gradient)
            }

            fn nhwc_add_backward(
                y: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                activation: Activation,
            ) -> FloatTensor<Self> {
                let dx = activation::add_backward(&Self::floats(&y), &Self::floats(&gradient), activation);
                tensor::<Self, 4>(dx, shape::<Self, 4>(&y), &y)
            }
        }
    };
}

on_the_cpu!(Flex);
#[cfg(feature = "ndarray")]
on_the_cpu!(NdArray);

/// Gradients of a normalisation's input `x`, scale and shift.
fn gradients<B: Backend>([dx, gamma, beta]: [Vec<f32>; 3], x: &FloatTensor<B>) -> Three<B> {
    let channels = [gamma.len()];
    (tensor::<B, 4>(dx, shape::<B, 4>(x), x), tensor::<B, 1>(gamma, channels, x), tensor::<B, 1>(beta, channels, x))
}

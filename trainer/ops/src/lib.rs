//! Training operations that are quick on a CPU: convolution, normalisation, pooling, each with a backward pass of its own.
//!
//! **Layout**: tensors are `[image, row, column, channel]`, which is how the loops read and write: a pixel's channels side by
//! side make the rows of a matrix product, the lanes of a vector and the terms of a mean. [`to_pixels`] brings images here.
//!
//! **Where**: on Burn's CPU back ends (flex, ndarray) with 32-bit floats these are the kernels of `cpu`, recorded by autodiff
//! as one operation each; on every other device and type they are [`generic`](mod@generic), the same layers written in Burn's
//! tensor operations. The two agree within rounding, and tests hold both against finite differences.
//!
//! **In 16 bits** (`bf16`, `f16`): what an input of that type means for each layer is told in `mixed`.
//!
//! **Why they exist**: Burn 0.22 has no backward convolution for a CPU (it convolves with filters as large as the image, and
//! group after group), and composes normalisations of ten passes over memory.
//!
//! This is one of the two crates that may hold `unsafe`; it stands in `cpu/matrix.rs`, which checks lengths before it hands
//! pointers to `gemm`, and where threads fill columns of one matrix, and in `memory.rs`, which sets up the allocator.
#![expect(unsafe_code, reason = "matrix products on parts of slices; see the crate's documentation")]

mod autodiff;
mod backends;
mod cpu;
mod extension;
pub mod generic;
mod memory;
mod mixed;

use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::{DType, Device, Tensor};

use extension::TrainOps;
pub use memory::keep_memory;
use mixed::{as_input, half, wide};

/// What a layer ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// The larger of 0 and the value.
    Relu,
    /// [`Relu`](Self::Relu), at most 6.
    Relu6,
}

impl Activation {
    /// The smallest and the largest value it returns.
    #[must_use]
    pub fn range(self) -> (f32, f32) {
        match self {
            Self::Identity => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// A kernel and how it slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns under the kernel.
    pub kernel: [usize; 2],
    /// Step in pixels, the same both ways.
    pub stride: usize,
    /// Rows above and columns left of the image.
    pub before: [usize; 2],
    /// Rows below and columns right of the image.
    pub after: [usize; 2],
    /// Channel groups that do not see each other.
    pub groups: usize,
}

impl Window {
    /// A kernel of `kernel` by `kernel` with `padding` pixels on each side.
    #[must_use]
    pub const fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [kernel; 2], stride, before: [padding; 2], after: [padding; 2], groups: 1 }
    }

    /// Rows and columns of the result for an image of `size` rows and columns.
    ///
    /// # Panics
    /// If the image with its padding is smaller than the kernel, or the stride is 0.
    #[must_use]
    pub fn output(&self, size: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let padded = size[axis] + self.before[axis] + self.after[axis];
            assert!(padded >= self.kernel[axis], "{self:?} does not fit an image of {size:?}");
            (padded - self.kernel[axis]) / self.stride + 1
        })
    }
}

/// Mean and biased variance of each channel of a batch.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Mean.
    pub mean: Tensor<1>,
    /// Biased variance.
    pub variance: Tensor<1>,
}

/// Images `[image, channel, row, column]` as `[image, row, column, channel]`.
#[must_use]
pub fn to_pixels(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// Whether the kernels of this crate serve `x`.
fn is_ours<const D: usize>(x: &Tensor<D>) -> bool {
    OWN.load(Ordering::Relaxed) && x.dtype() == DType::F32 && is_cpu(&x.device())
}

static OWN: AtomicBool = AtomicBool::new(true);

/// Makes this process use Burn's own operations everywhere from now on: for benchmarks that say what these kernels bring.
pub fn use_burn_alone() {
    OWN.store(false, Ordering::Relaxed);
}

/// Whether this crate's kernels serve `device`, autodiff or not.
#[must_use]
pub fn is_cpu(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => true,
        #[expect(clippy::allow_attributes, reason = "whether there are others is for Burn's features to say")]
        #[allow(unreachable_patterns, reason = "as above")]
        _ => false,
    }
}

/// Convolution without bias.
///
/// # Shapes
/// - `x`: `[image, row, column, in]`
/// - `weight`: `[out, in / groups, row, column]`, rounded to the type of `x` where that has 16 bits
/// - returns: `[image, row, column, out]`
///
/// # Panics
/// If the shapes do not fit each other.
#[must_use]
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
    let ([.., channels], [out, per_group, height, width]) = (x.dims(), weight.dims());
    assert!(
        per_group * window.groups == channels && out.is_multiple_of(window.groups) && [height, width] == window.kernel,
        "weights {:?} do not fit {window:?} of {channels} channels",
        weight.dims()
    );
    let depthwise = window.groups == channels && out == channels;
    if is_ours(&x) && (window.groups == 1 || depthwise) {
        Tensor::from_dispatch(Dispatch::nhwc_conv(x.into_dispatch(), weight.into_dispatch(), window))
    } else {
        let weight = as_input(weight, &x);
        generic::conv2d(x, weight, window)
    }
}

/// Batch normalisation by the batch's own statistics, then the activation.
///
/// Source: Ioffe and Szegedy 2015, "Batch Normalization", algorithm 1.
///
/// # Shapes
/// - `x` and the result: `[image, row, column, channel]`
/// - `gamma`, `beta`: `[channel]`, scale and shift
#[must_use]
pub fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    activation: Activation,
) -> (Tensor<4>, Moments) {
    if let Some(narrow) = half(&x) {
        let (y, moments) = batch_norm(wide(x), gamma, beta, epsilon, activation);
        return (y.cast(narrow), moments);
    }
    if !is_ours(&x) {
        return generic::batch_norm(x, gamma, beta, epsilon, activation);
    }
    let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
    let (y, mean, variance) = Dispatch::nhwc_batch_norm(x.into_dispatch(), gamma, beta, epsilon as f32, activation);
    (Tensor::from_dispatch(y), Moments { mean: Tensor::from_dispatch(mean), variance: Tensor::from_dispatch(variance) })
}

/// `activation(x * scale + shift)`: what batch normalisation is in evaluation.
///
/// # Shapes
/// - `x` and the result: `[image, row, column, channel]`
/// - `scale`, `shift`: `[channel]`
#[must_use]
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>, activation: Activation) -> Tensor<4> {
    if let Some(narrow) = half(&x) {
        return affine(wide(x), scale, shift, activation).cast(narrow);
    }
    if !is_ours(&x) {
        return generic::affine(x, scale, shift, activation);
    }
    let (scale, shift) = (scale.into_dispatch(), shift.into_dispatch());
    Tensor::from_dispatch(Dispatch::nhwc_affine(x.into_dispatch(), scale, shift, activation))
}

/// Group normalisation of each image, then the activation.
///
/// Source: Wu and He 2018, "Group Normalization", equations 1 to 3.
///
/// # Shapes
/// - `x` and the result: `[image, row, column, channel]`
/// - `gamma`, `beta`: `[channel]`, scale and shift
///
/// # Panics
/// If `groups` does not divide the channels.
#[must_use]
pub fn group_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: usize,
    epsilon: f64,
    activation: Activation,
) -> Tensor<4> {
    let [.., channels] = x.dims();
    assert!(channels.is_multiple_of(groups), "{channels} channels cannot be split into {groups} groups");
    if let Some(narrow) = half(&x) {
        return group_norm(wide(x), gamma, beta, groups, epsilon, activation).cast(narrow);
    }
    if !is_ours(&x) {
        return generic::group_norm(x, gamma, beta, groups, epsilon, activation);
    }
    let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
    let (y, ..) = Dispatch::nhwc_group_norm(x.into_dispatch(), gamma, beta, groups, epsilon as f32, activation);
    Tensor::from_dispatch(y)
}

/// Weights with each output channel's kernel less its mean, over its deviation (biased).
///
/// Source: Qiao et al. 2019, "Weight Standardization", equation 4.
///
/// # Shapes
/// - `weight` and the result: `[out, in, row, column]`
#[must_use]
pub fn standardise(weight: Tensor<4>, epsilon: f64) -> Tensor<4> {
    if !is_ours(&weight) {
        return generic::standardise(weight, epsilon);
    }
    let (y, ..) = Dispatch::weight_standardise(weight.into_dispatch(), epsilon as f32);
    Tensor::from_dispatch(y)
}

/// What lies around an image for [`max_pool2d`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// Nothing: padding never wins.
    Nothing,
    /// Zeros, which win over negative values.
    Zero,
}

/// The largest value under each window.
///
/// # Shapes
/// - `x` and the result: `[image, row, column, channel]`
#[must_use]
pub fn max_pool2d(x: Tensor<4>, window: Window, outside: Outside) -> Tensor<4> {
    if !is_ours(&x) {
        return generic::max_pool2d(x, window, outside);
    }
    let outside = match outside {
        Outside::Nothing => f32::NEG_INFINITY,
        Outside::Zero => 0.0,
    };
    Tensor::from_dispatch(Dispatch::nhwc_max_pool(x.into_dispatch(), window, outside))
}

/// Mean over the pixels of each image.
///
/// # Shapes
/// - `x`: `[image, row, column, channel]`
/// - returns: `[image, channel]`, in 32 bits where `x` has 16
#[must_use]
pub fn average(x: Tensor<4>) -> Tensor<2> {
    let x = if half(&x).is_some() { wide(x) } else { x };
    if !is_ours(&x) {
        return generic::average(x);
    }
    Tensor::from_dispatch(Dispatch::nhwc_average(x.into_dispatch()))
}

/// The activation of a sum.
///
/// # Shapes
/// - `a`, `b` and the result: the same
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn add(a: Tensor<4>, b: Tensor<4>, activation: Activation) -> Tensor<4> {
    assert_eq!(a.dims(), b.dims(), "two maps of one shape");
    if !is_ours(&a) {
        return generic::activate(a + b, activation);
    }
    Tensor::from_dispatch(Dispatch::nhwc_add(a.into_dispatch(), b.into_dispatch(), activation))
}

/// A step of momentum: `velocity = momentum * velocity + push * (gradient + decay * weight)`, then
/// `weight -= pull * velocity`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumStep {
    /// Share of the velocity kept.
    pub momentum: f32,
    /// What the gradient is multiplied with.
    pub push: f32,
    /// Share of the weight added to the gradient.
    pub decay: f32,
    /// What the velocity is multiplied with.
    pub pull: f32,
}

/// Weight and velocity after `step`; the first velocity is 0. No gradient flows through it.
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn momentum_step<const D: usize>(
    weight: Tensor<D>,
    velocity: Option<Tensor<D>>,
    gradient: Tensor<D>,
    step: MomentumStep,
) -> (Tensor<D>, Tensor<D>) {
    assert_eq!(weight.dims(), gradient.dims(), "weight and gradient of one shape");
    let velocity = velocity.unwrap_or_else(|| gradient.zeros_like());
    if !is_ours(&weight) {
        return generic::momentum_step(weight, velocity, gradient, step);
    }
    let (velocity, gradient) = (velocity.into_dispatch(), gradient.into_dispatch());
    let (weight, velocity) = Dispatch::momentum_step(weight.into_dispatch(), velocity, gradient, step);
    (Tensor::from_dispatch(weight), Tensor::from_dispatch(velocity))
}

/// Sums of the squares of `weight` and of `gradient + decay * weight`: `[2]`. No gradient flows through it.
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn squares<const D: usize>(weight: Tensor<D>, gradient: Tensor<D>, decay: f32) -> Tensor<1> {
    assert_eq!(weight.dims(), gradient.dims(), "weight and gradient of one shape");
    if !is_ours(&weight) {
        return generic::squares(weight, gradient, decay);
    }
    Tensor::from_dispatch(Dispatch::squares(weight.into_dispatch(), gradient.into_dispatch(), decay))
}

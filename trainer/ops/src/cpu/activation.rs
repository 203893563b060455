//! Activations that a normalisation ends with.

use crate::Activation;

/// An activation known when the loop around it is compiled.
pub(crate) trait Activate: Copy + Send + Sync {
    /// The value.
    fn value(x: f32) -> f32;
    /// The gradient `g` of the value as the gradient of `x`.
    fn gradient(x: f32, g: f32) -> f32;
}

#[derive(Clone, Copy)]
pub(crate) struct Identity;
#[derive(Clone, Copy)]
pub(crate) struct Relu;
#[derive(Clone, Copy)]
pub(crate) struct Relu6;

impl Activate for Identity {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn gradient(_: f32, g: f32) -> f32 {
        g
    }
}

// NaN must come out as NaN, or a broken step would go on unseen: no `max`, which drops it.
impl Activate for Relu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        if x < 0.0 { 0.0 } else { x }
    }
    #[inline(always)]
    fn gradient(x: f32, g: f32) -> f32 {
        if x <= 0.0 { 0.0 } else { g }
    }
}

impl Activate for Relu6 {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        let x = if x < 0.0 { 0.0 } else { x };
        if x > 6.0 { 6.0 } else { x }
    }
    #[inline(always)]
    fn gradient(x: f32, g: f32) -> f32 {
        if x <= 0.0 || x >= 6.0 { 0.0 } else { g }
    }
}

/// Runs `$call` with `$name` standing for the type of the activation.
macro_rules! with_activation {
    ($activation:expr, $name:ident => $call:expr) => {
        match $activation {
            $crate::Activation::Identity => {
                type $name = $crate::cpu::activation::Identity;
                $call
            }
            $crate::Activation::Relu => {
                type $name = $crate::cpu::activation::Relu;
                $call
            }
            $crate::Activation::Relu6 => {
                type $name = $crate::cpu::activation::Relu6;
                $call
            }
        }
    };
}
pub(crate) use with_activation;

/// `activation(a + b)`.
pub(crate) fn add(a: &[f32], b: &[f32], activation: Activation) -> Vec<f32> {
    with_activation!(activation, A => zip(a, b, |a, b| A::value(a + b)))
}

/// The gradient of either side of [`add`] from its result `y` and the gradient of that.
pub(crate) fn add_backward(y: &[f32], gradient: &[f32], activation: Activation) -> Vec<f32> {
    // Each activation is its own value where its gradient is one, so the result serves for the sum.
    with_activation!(activation, A => zip(y, gradient, A::gradient))
}

fn zip(a: &[f32], b: &[f32], each: impl Fn(f32, f32) -> f32 + Copy + Send + Sync) -> Vec<f32> {
    super::rows::zipped([a, b], 1 << 15, |[a, b], y| {
        super::rows::vectorised(
            #[inline(always)]
            || {
                for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                    *y = each(*a, *b);
                }
            },
        );
    })
}

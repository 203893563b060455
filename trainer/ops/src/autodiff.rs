//! What autodiff records: for each operation the tensors its backward pass needs, and that pass.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, TensorMetadata};

use crate::extension::{BackwardOps, Three, TrainOps};
use crate::{Activation, MomentumStep, Window};

/// Declares a backward pass: the parents' gradients from the state and the gradient of the result.
macro_rules! backward {
    ($name:ident, $parents:literal, $state:ty, |$s:pat_param, $g:ident, $wanted:pat_param| $body:expr) => {
        #[derive(Debug)]
        struct $name;

        impl<B: BackwardOps> Backward<B, $parents> for $name {
            type State = $state;

            fn backward(self, ops: Ops<Self::State, $parents>, grads: &mut Gradients, _: &mut Checkpointer) {
                let $g = grads.consume::<B>(&ops.node);
                let $s = ops.state;
                let $wanted = ops.parents.each_ref().map(Option::is_some);
                let found: [Option<FloatTensor<B>>; $parents] = $body;
                for (parent, gradient) in ops.parents.iter().zip(found) {
                    if let (Some(parent), Some(gradient)) = (parent, gradient) {
                        grads.register::<B>(parent.id, gradient);
                    }
                }
            }
        }
    };
}

backward!(ConvBackward, 2, (FloatTensor<B>, FloatTensor<B>, Window), |(x, packed, window), g, [input, weight]| {
    let source = x.shape().dims();
    [
        input.then(|| B::nhwc_conv_backward_input(g.clone(), packed, source, window)),
        weight.then(|| B::nhwc_conv_backward_weight(x, g, window)),
    ]
});

backward!(
    BatchNormBackward,
    3,
    ([FloatTensor<B>; 5], f32, Activation),
    |([x, gamma, beta, mean, variance], epsilon, activation), g, _| {
        let (x, gamma, beta) = B::nhwc_batch_norm_backward(x, gamma, beta, mean, variance, g, epsilon, activation);
        [Some(x), Some(gamma), Some(beta)]
    }
);

backward!(AffineBackward, 3, ([FloatTensor<B>; 3], Activation), |([x, scale, shift], activation), g, _| {
    let (x, scale, shift) = B::nhwc_affine_backward(x, scale, shift, g, activation);
    [Some(x), Some(scale), Some(shift)]
});

backward!(
    GroupNormBackward,
    3,
    ([FloatTensor<B>; 5], Activation),
    |([x, gamma, beta, mean, inverse], activation), g, _| {
        let (x, gamma, beta) = B::nhwc_group_norm_backward(x, gamma, beta, mean, inverse, g, activation);
        [Some(x), Some(gamma), Some(beta)]
    }
);

backward!(StandardiseBackward, 1, [FloatTensor<B>; 3], |[weight, mean, inverse], g, _| {
    [Some(B::weight_standardise_backward(weight, mean, inverse, g))]
});

backward!(MaxPoolBackward, 1, (FloatTensor<B>, FloatTensor<B>, Window, f32), |(x, y, window, outside), g, _| [Some(
    B::nhwc_max_pool_backward(x, y, g, window, outside)
)]);

backward!(AverageBackward, 1, [usize; 4], |source, g, _| [Some(B::nhwc_average_backward(g, source))]);

backward!(AddBackward, 2, (Option<FloatTensor<B>>, Activation), |(y, activation), g, _| {
    let g = match y {
        Some(y) => B::nhwc_add_backward(y, g, activation),
        None => g,
    };
    [Some(g.clone()), Some(g)]
});

/// A tensor that no gradient flows through.
fn constant<B: BackwardOps, C: CheckpointStrategy>(tensor: FloatTensor<B>) -> FloatTensor<Autodiff<B, C>> {
    <Autodiff<B, C> as AutodiffBackend>::from_inner(tensor)
}

/// Tensors and where autodiff keeps them.
fn apart<B: BackwardOps, C: CheckpointStrategy, const N: usize>(
    tensors: [FloatTensor<Autodiff<B, C>>; N],
) -> ([FloatTensor<B>; N], [NodeGuard; N]) {
    let nodes = tensors.each_ref().map(|tensor| tensor.node());
    (tensors.map(|tensor| tensor.into_primitive()), nodes)
}

impl<B: BackwardOps, C: CheckpointStrategy> TrainOps for Autodiff<B, C> {
    fn nhwc_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        let ([x, weight], nodes) = apart::<B, C, 2>([x, weight]);
        match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (y, packed) = B::nhwc_conv_packing(x.clone(), weight, window);
                prep.finish((x, packed, window), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::nhwc_conv(x, weight, window)),
        }
    }

    fn nhwc_batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        activation: Activation,
    ) -> Three<Self> {
        let ([x, gamma, beta], nodes) = apart::<B, C, 3>([x, gamma, beta]);
        let (y, mean, variance) = B::nhwc_batch_norm(x.clone(), gamma.clone(), beta.clone(), epsilon, activation);
        let y = match BatchNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish(([x, gamma, beta, mean.clone(), variance.clone()], epsilon, activation), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, constant::<B, C>(mean), constant::<B, C>(variance))
    }

    fn nhwc_affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let ([x, scale, shift], nodes) = apart::<B, C, 3>([x, scale, shift]);
        let y = B::nhwc_affine(x.clone(), scale.clone(), shift.clone(), activation);
        match AffineBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(([x, scale, shift], activation), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn nhwc_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        activation: Activation,
    ) -> Three<Self> {
        let ([x, gamma, beta], nodes) = apart::<B, C, 3>([x, gamma, beta]);
        let (y, mean, inverse) =
            B::nhwc_group_norm(x.clone(), gamma.clone(), beta.clone(), groups, epsilon, activation);
        let y = match GroupNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(([x, gamma, beta, mean.clone(), inverse.clone()], activation), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, constant::<B, C>(mean), constant::<B, C>(inverse))
    }

    fn weight_standardise(weight: FloatTensor<Self>, epsilon: f32) -> Three<Self> {
        let ([weight], nodes) = apart::<B, C, 1>([weight]);
        let (y, mean, inverse) = B::weight_standardise(weight.clone(), epsilon);
        let y = match StandardiseBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([weight, mean.clone(), inverse.clone()], y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, constant::<B, C>(mean), constant::<B, C>(inverse))
    }

    fn nhwc_max_pool(x: FloatTensor<Self>, window: Window, outside: f32) -> FloatTensor<Self> {
        let ([x], nodes) = apart::<B, C, 1>([x]);
        let y = B::nhwc_max_pool(x.clone(), window, outside);
        match MaxPoolBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, y.clone(), window, outside), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn nhwc_average(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let ([x], nodes) = apart::<B, C, 1>([x]);
        let source = x.shape().dims();
        let y = B::nhwc_average(x);
        match AverageBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(source, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn nhwc_add(a: FloatTensor<Self>, b: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let ([a, b], nodes) = apart::<B, C, 2>([a, b]);
        let y = B::nhwc_add(a, b, activation);
        match AddBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let kept = (activation != Activation::Identity).then(|| y.clone());
                prep.finish((kept, activation), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn momentum_step(
        weight: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: MomentumStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [weight, velocity, gradient] = [weight, velocity, gradient].map(|tensor| tensor.into_primitive());
        let (weight, velocity) = B::momentum_step(weight, velocity, gradient, step);
        (constant::<B, C>(weight), constant::<B, C>(velocity))
    }

    fn squares(weight: FloatTensor<Self>, gradient: FloatTensor<Self>, decay: f32) -> FloatTensor<Self> {
        constant::<B, C>(B::squares(weight.into_primitive(), gradient.into_primitive(), decay))
    }
}

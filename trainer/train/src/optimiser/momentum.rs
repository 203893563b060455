//! The state both optimisers keep of a parameter.

use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, MomentumStep};

/// The velocity of one parameter.
#[derive(Clone, Debug)]
pub struct Velocity<const D: usize>(pub(super) Tensor<D>);

const NAME: &str = "velocity";

impl<const D: usize> RecordState for Velocity<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, NAME, self.0.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        src.take_tensor(prefix, NAME).map(|data| Self(Tensor::from_data(data, device)))
    }
}

impl<const D: usize> Velocity<D> {
    /// Weight and velocity after `step`; the first velocity is 0.
    pub(super) fn after(
        weight: Tensor<D>,
        before: Option<Self>,
        gradient: Tensor<D>,
        step: MomentumStep,
    ) -> (Tensor<D>, Option<Self>) {
        let (weight, velocity) = ops::momentum_step(weight, before.map(|velocity| velocity.0), gradient, step);
        (weight, Some(Self(velocity)))
    }
}

#[cfg(test)]
pub(super) mod check {
    //! Two steps of an optimiser on one matrix and one vector.

    use burn::module::{Module, Param};
    use burn::optim::{GradientsParams, ModuleOptimizer};
    use burn::tensor::{Device, Tensor};

    use crate::checkpoint::floats;

    #[derive(Module, Debug)]
    struct Net {
        matrix: Param<Tensor<2>>,
        vector: Param<Tensor<1>>,
    }

    /// Starts from matrix `[3, 4]` and vector `[1, 2]`; gradients are `[0.6, 0.8]` and `[0.5, -0.5]` at each step.
    /// The optimiser's state goes through bytes between the two steps.
    pub(in super::super) fn two_steps(make: impl Fn() -> ModuleOptimizer, learning_rate: f64) -> ([f32; 2], [f32; 2]) {
        let device = Device::flex().autodiff();
        let matrix = Tensor::from_data([[3.0, 4.0]], &device);
        let mut net = Net {
            matrix: Param::from_tensor(matrix),
            vector: Param::from_tensor(Tensor::from_data([1.0, 2.0], &device)),
        };
        let mut optimiser = make();
        for _ in 0..2 {
            let pull = net.matrix.val() * Tensor::from_data([[0.6, 0.8]], &device);
            let loss = pull.sum() + (net.vector.val() * Tensor::from_data([0.5, -0.5], &device)).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimiser.step(learning_rate, net, gradients);
            let state = optimiser.into_bytes().unwrap();
            optimiser = make().from_bytes(state).unwrap();
        }
        (floats(net.matrix.val()).try_into().unwrap(), floats(net.vector.val()).try_into().unwrap())
    }

    pub(in super::super) fn assert_close(found: [f32; 2], expected: [f32; 2]) {
        let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6);
        assert!(close, "{found:?}, expected {expected:?}");
    }
}

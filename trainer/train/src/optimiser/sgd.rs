//! Stochastic gradient descent with momentum.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};
use remedis_ops::MomentumStep;

use super::momentum::Velocity;

/// `v = momentum * v + (g + weight_decay * w)`, then `w -= learning_rate * v`.
///
/// Source: the fine-tuning of BiT, google-research/big_transfer; vectors are not decayed.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Share of the velocity kept at each step, from 0 to below 1.
    pub momentum: f64,
    /// Coupled weight decay of kernels and matrices.
    pub weight_decay: f64,
}

impl Optimizer for Sgd {
    type State<const D: usize> = Velocity<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        weight: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Velocity<D>>,
    ) -> (Tensor<D>, Option<Velocity<D>>) {
        let decay = if D > 1 { self.weight_decay as f32 } else { 0.0 };
        let step = MomentumStep { momentum: self.momentum as f32, push: 1.0, decay, pull: learning_rate as f32 };
        Velocity::after(weight, state, gradient, step)
    }

    fn to_device<const D: usize>(state: Velocity<D>, device: &Device) -> Velocity<D> {
        Velocity(state.0.to_device(device))
    }
}

#[cfg(test)]
mod tests {
    use super::super::momentum::check::{assert_close, two_steps};

    // Matrix, decay 0.1: g = [0.6, 0.8] + [0.3, 0.4] = [0.9, 1.2]; w = [2.91, 3.88].
    // Then v = [0.81, 1.08] + [0.6, 0.8] + [0.291, 0.388] = [1.701, 2.268]; w = [2.7399, 3.6532].
    // Vector: v = [0.5, -0.5], then [0.95, -0.95]: w = [1, 2] - 0.1 * [1.45, -1.45].
    #[test]
    fn two_steps_are_those_done_by_hand() {
        let (matrix, vector) = two_steps(|| super::super::sgd(0.1), 0.1);
        assert_close(matrix, [2.7399, 3.6532]);
        assert_close(vector, [0.855, 2.145]);
    }
}

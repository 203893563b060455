//! Layer-wise adaptive rate scaling.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};
use remedis_ops::{self as ops, MomentumStep};

use super::momentum::Velocity;

/// Each kernel moves by a share of its own length: `g += weight_decay * w`, `ratio = trust * |w| / |g|` (1 if either is 0),
/// `v = momentum * v + learning_rate * ratio * g`, `w -= v`. Vectors have a ratio of 1 and no decay.
///
/// Source: You et al. 2017, "Large Batch Training of Convolutional Networks", with the momentum that google-research/simclr
/// calls classic: it holds the learning rates of the past.
#[derive(Clone, Copy, Debug)]
pub struct Lars {
    /// Share of the velocity kept at each step, from 0 to below 1.
    pub momentum: f64,
    /// Trust coefficient, eta in the paper.
    pub trust: f64,
    /// Weight decay of kernels and matrices.
    pub weight_decay: f64,
}

impl Optimizer for Lars {
    type State<const D: usize> = Velocity<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        weight: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Velocity<D>>,
    ) -> (Tensor<D>, Option<Velocity<D>>) {
        let decay = if D > 1 { self.weight_decay as f32 } else { 0.0 };
        let ratio = if D > 1 { self.ratio(&weight, &gradient, decay) } else { 1.0 };
        let push = (learning_rate * ratio) as f32;
        let step = MomentumStep { momentum: self.momentum as f32, push, decay, pull: 1.0 };
        Velocity::after(weight, state, gradient, step)
    }

    fn to_device<const D: usize>(state: Velocity<D>, device: &Device) -> Velocity<D> {
        Velocity(state.0.to_device(device))
    }
}

impl Lars {
    fn ratio<const D: usize>(&self, weight: &Tensor<D>, gradient: &Tensor<D>, decay: f32) -> f64 {
        let squares = crate::checkpoint::floats(ops::squares(weight.clone(), gradient.clone(), decay));
        let [weight, gradient] = [0, 1].map(|i| f64::from(squares[i]).sqrt());
        if weight > 0.0 && gradient > 0.0 { self.trust * weight / gradient } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::momentum::check::{assert_close, two_steps};

    // Matrix: |w| = 5 and decay 0.1 make g = [0.9, 1.2], |g| = 1.5, ratio = 0.001 * 5 / 1.5; with a rate of 10,
    // v = [0.03, 0.04], w = [2.97, 3.96], |w| = 4.95. Then g = [0.897, 1.196] points the same way, and
    // v = 0.9 * [0.03, 0.04] + 10 * 0.001 * 4.95 * [0.6, 0.8] = [0.0567, 0.0756].
    // Vector: v = 10 * [0.5, -0.5], then 0.9 * v + the same: w = [1, 2] - [14.5, -14.5].
    #[test]
    fn two_steps_are_those_done_by_hand() {
        let (matrix, vector) = two_steps(|| super::super::lars(0.1), 10.0);
        assert_close(matrix, [2.9133, 3.8844]);
        assert_close(vector, [-13.5, 16.5]);
    }
}

//! Running statistics of batch normalisation, whichever thread computes.
//!
//! Burn's [`BatchNorm`] keeps them per thread and gives a thread that has not seen the last step those of an earlier one. Steps
//! run on any of several threads here, so they are written where all threads read them.

use burn::module::{Module, ModuleMapper, Param, RunningState};
use burn::nn::BatchNorm;
use burn::tensor::Tensor;
use burn::tensor::module::batch_norm_train;

/// Whether `norm` takes the statistics of the batch `x`, as it decides itself.
pub(crate) fn is_training<const D: usize>(norm: &BatchNorm, x: &Tensor<D>) -> bool {
    x.device().is_autodiff() && norm.training.is_enabled()
}

/// Mixes a batch's mean and biased variance into the running ones, as much of them as `norm` says.
pub(crate) fn remember(norm: &BatchNorm, mean: Tensor<1>, variance: Tensor<1>) {
    let mix = |state: &RunningState<Tensor<1>>, new: Tensor<1>| {
        let old = state.value();
        let mixed = old.mul_scalar(1.0 - norm.momentum) + new.detach().mul_scalar(norm.momentum);
        // The copy shares its value with the original.
        let _ = state.clone().map(&mut Put(mixed.detach()));
    };
    mix(&norm.running_mean, mean);
    mix(&norm.running_var, variance);
}

/// [`BatchNorm::forward`] of `[batch, channel]`.
pub(crate) fn normalise(norm: &BatchNorm, x: Tensor<2>) -> Tensor<2> {
    if !is_training(norm, &x) {
        return norm.forward(x);
    }
    let found = batch_norm_train(x, norm.gamma.val(), norm.beta.val(), norm.epsilon);
    remember(norm, found.mean, found.variance);
    found.output
}

/// Puts a tensor in the place of another of its shape.
struct Put(Tensor<1>);

impl ModuleMapper for Put {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.dims();
        param.map(|_| self.0.clone().reshape(shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::BatchNormConfig;
    use burn::tensor::{Device, Tolerance};

    /// Three batches, each on a thread of its own, leave what Burn's own layer leaves on one.
    #[test]
    fn statistics_are_burns_whichever_thread_computes() {
        let device = Device::flex().autodiff();
        let batches = [[[1.0, 5.0], [3.0, -1.0]], [[2.0, 0.5], [6.0, 0.0]], [[-4.0, 2.0], [0.0, 2.0]]];
        let [ours, burns] = [(); 2].map(|()| BatchNormConfig::new(2).with_momentum(0.3).init(&device));
        for batch in batches {
            let x = || Tensor::<2>::from_data(batch, &device);
            let y = std::thread::scope(|scope| scope.spawn(|| normalise(&ours, x())).join().unwrap());
            y.into_data().assert_approx_eq::<f32>(&burns.forward(x()).into_data(), Tolerance::absolute(1e-6));
        }
        let (ours, burns) = (ours.valid(), burns.valid());
        for (ours, burns) in [(&ours.running_mean, &burns.running_mean), (&ours.running_var, &burns.running_var)] {
            ours.value().into_data().assert_approx_eq::<f32>(&burns.value().into_data(), Tolerance::absolute(1e-6));
        }
    }
}

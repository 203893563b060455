//! Losses: pure functions of tensors, each a mean over the batch; in nats, but for [`vicreg`](vicreg()). Those whose names end in
//! `_of` are sums over a part of the batch.

mod cross_entropy;
mod decoupled;
mod distillation;
mod nt_xent;
mod objective;
mod sigmoid_cross_entropy;
mod similarity;
mod vicreg;

pub use cross_entropy::{cross_entropy, smoothed_cross_entropy};
pub use decoupled::{decoupled, decoupled_of};
pub use distillation::{distillation, embedding_distance};
pub use nt_xent::{nt_xent, nt_xent_of, unit_length};
pub use objective::Objective;
pub use sigmoid_cross_entropy::{SIGMOID_BIAS, one_hot, sigmoid_cross_entropy};
pub use vicreg::vicreg;

#[cfg(test)]
mod check {
    //! Gradients against finite differences.

    use burn::tensor::{Device, Tensor, TensorData};

    use crate::checkpoint::floats;

    /// Largest difference between the gradient of `loss` at `x` and its central differences, in `f32`.
    pub(super) fn gradient_error(x: &[f32], shape: [usize; 2], loss: impl Fn(Tensor<2>) -> Tensor<1>) -> f32 {
        let device = Device::flex().autodiff();
        let at = |x: &[f32]| Tensor::<2>::from_data(TensorData::new(x.to_vec(), shape), &device).require_grad();
        let start = at(x);
        let gradients = loss(start.clone()).backward();
        let gradient = floats(start.grad(&gradients).expect("the loss depends on x"));
        let step = 1e-2;
        let moved = |i: usize, by: f32| {
            let mut x = x.to_vec();
            x[i] += by;
            floats(loss(at(&x)))[0]
        };
        let differences = (0..x.len()).map(|i| (moved(i, step) - moved(i, -step)) / (2.0 * step));
        differences.zip(gradient).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }
}

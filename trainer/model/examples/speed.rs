//! Images per second of training, to size a plan: `cargo run -p remedis-model --example speed [batch] [pixels] [steps]`.
#![expect(clippy::print_stdout, reason = "a program that speaks")]

use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use remedis_model::{BitConfig, Classifier, StudentConfig};

fn main() {
    let number =
        |at: usize, default: usize| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (batch, pixels, steps) = (number(1, 64), number(2, 64), number(3, 4));
    let device = Device::flex().autodiff();
    let x = Tensor::ones([batch, 3, pixels, pixels], &device).mul_scalar(0.5);
    let teacher = Classifier::new(BitConfig::small().init(&device, 1), 4, &device);
    measure("small BiT", teacher, &x, steps, |network, x| network.forward(x));
    measure("small student", StudentConfig::small(4).init(&device, 1), &x, steps, |network, x| network.forward(x));
}

fn measure<M: Module>(
    name: &str,
    mut network: M,
    x: &Tensor<4>,
    steps: usize,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
) {
    let mut optimiser = SgdConfig::new().init();
    let mut best = [f64::INFINITY; 2];
    for _ in 0..steps {
        let began = Instant::now();
        let loss = (forward(&network, x.clone()) - 1.0).powf_scalar(2.0).mean();
        // Values are computed when they are asked for.
        let _ = loss.clone().into_scalar::<f32>();
        best[0] = best[0].min(began.elapsed().as_secs_f64());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimiser.step(0.01, network, gradients);
        best[1] = best[1].min(began.elapsed().as_secs_f64());
    }
    let rate = best.map(|seconds| x.dims()[0] as f64 / seconds);
    println!("{name}: forward {:.0} images/s, whole step {:.0} images/s", rate[0], rate[1]);
}

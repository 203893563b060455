//! Whole training steps and losses against PyTorch in double precision: `golden/torch.json`, made by
//! `tools/peers/torch_golden.py`.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use remedis_model::{BitConfig, Classifier, InvertedResidualConfig, StudentConfig};
use remedis_train::loss::{
    cross_entropy, decoupled, distillation, nt_xent, sigmoid_cross_entropy, unit_length, vicreg,
};
use remedis_train::optimiser::lars;
use serde::Deserialize;

/// Largest difference from PyTorch, relative to the parameter's gradient, or a ten-thousandth of the whole gradient where that is
/// longer.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    batch: usize,
    classes: usize,
    steps: Vec<Step>,
    nt_xent: Loss,
    decoupled: Loss,
    vicreg: Loss,
    sigmoid_cross_entropy: Loss,
    distillation: Loss,
    lars: Lars,
}

#[derive(Deserialize)]
struct Step {
    network: String,
    size: usize,
    /// Which noise the images are.
    images: usize,
    loss: f64,
    parameters: Vec<Parameter>,
}

/// A parameter, in the order of both sides; its values are `centre + spread * noise(position)`.
#[derive(Deserialize)]
struct Parameter {
    name: String,
    shape: Vec<usize>,
    centre: f32,
    spread: f32,
    /// Length of the gradient; 0 where it vanishes but for rounding.
    length: f64,
    /// Inner products of the gradient with the noises from 2000 on.
    products: Vec<f64>,
}

#[derive(Deserialize)]
struct Loss {
    #[serde(default)]
    temperature: f64,
    loss: f64,
    gradient: Vec<f64>,
}

#[derive(Deserialize)]
struct Lars {
    decay: f64,
    rate: f64,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/torch.json")).expect("golden/torch.json is as its script writes it")
}

/// Numbers without order from -1 to 1; the same formula is in `torch_golden.py`.
fn noise(seed: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 2_654_435_761 + seed * 40_503) % 65_521) as f32 / 32_760.5 - 1.0).collect()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn floats<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().expect("32-bit floats")
}

/// PyTorch keeps matrices as `[out, in]`, Burn as `[in, out]`.
fn turned(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

/// Gives the parameters that are trained their noise.
struct Fill<'a>(std::iter::Enumerate<std::slice::Iter<'a, Parameter>>);

impl ModuleMapper for Fill<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let (position, golden) = self.0.next().expect("PyTorch has as many parameters");
        let values: Vec<f32> =
            noise(position, golden.shape.iter().product()).iter().map(|v| golden.centre + golden.spread * v).collect();
        param.map(|old| {
            let values = if D == 2 { turned(&values, [golden.shape[0], golden.shape[1]]) } else { values };
            let mut shape = golden.shape.clone();
            if D == 2 {
                shape.reverse();
            }
            assert_eq!(old.dims().to_vec(), shape, "{}", golden.name);
            tensor(values, old.dims(), &old.device()).require_grad()
        })
    }
}

/// Holds gradients against PyTorch's.
struct Compare<'a> {
    golden: std::slice::Iter<'a, Parameter>,
    gradients: &'a GradientsParams,
    /// Gradients shorter than this are what is left where longer ones cancel, as before another normalisation: their errors
    /// are those of the longer ones.
    shortest: f64,
    /// Error and name of the worst.
    worst: (f64, String),
}

impl ModuleVisitor for Compare<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let golden = self.golden.next().expect("PyTorch has as many parameters");
        let gradient = self.gradients.get::<D>(param.id).expect("every parameter has a gradient");
        let shape = gradient.dims();
        let mut values = floats(gradient);
        if D == 2 {
            values = turned(&values, [shape[0], shape[1]]);
        }
        let product = |with: &[f32]| values.iter().zip(with).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        if golden.length == 0.0 {
            return;
        }
        let scale = golden.length.max(self.shortest);
        self.record(&golden.name, (product(&values).sqrt() - golden.length).abs() / scale);
        // The product of an error with noise is the error's length times the noise's deviation, as often more as less.
        let deviation = (1.0f64 / 3.0).sqrt();
        let of =
            |(seed, expected): (usize, &f64)| ((product(&noise(seed, values.len())) - expected) / deviation).powi(2);
        let squares: f64 = (2000..).zip(&golden.products).map(of).sum();
        self.record(&golden.name, (squares / golden.products.len() as f64).sqrt() / scale);
    }
}

impl Compare<'_> {
    fn record(&mut self, name: &str, error: f64) {
        // Not a number is worse than any.
        if error.is_nan() || error > self.worst.0 {
            self.worst = (error, name.to_owned());
        }
    }
}

/// What rounding may do to a gradient where it puts an activation on the other side of a ReLU, or another pixel is the largest.
const TIE: f64 = 0.05;

/// Of the draws of images that the script keeps, one at least has PyTorch's loss and gradients to 1e-4, and every one but for a tie that
/// this processor's rounding decides otherwise.
fn check<M: Module>(name: &str, network: impl Fn(&Device) -> M, forward: impl Fn(&M, Tensor<4>) -> Tensor<2>) {
    let golden = golden();
    let draws: Vec<&Step> = golden.steps.iter().filter(|step| step.network == name).collect();
    assert!(!draws.is_empty(), "no draw of {name}");
    let off = |step: &&Step| {
        let (error, gradient) = compare(&golden, step, &network, &forward);
        eprintln!("{name}, images {}: worst gradient off by {error:.1e} of its length, {gradient}", step.images);
        assert!(error < TIE, "the gradient of {gradient} is off by {error:.1e} of its length");
        error
    };
    let errors: Vec<f64> = draws.iter().map(off).collect();
    assert!(errors.iter().any(|error| *error < TOLERANCE), "{errors:?}");
}

/// The largest error of a gradient as a share of its length, and whose it is.
fn compare<M: Module>(
    golden: &Golden,
    step: &Step,
    network: impl Fn(&Device) -> M,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
) -> (f64, String) {
    let device = Device::flex().autodiff();
    let mut fill = Fill(step.parameters.iter().enumerate());
    let network = network(&device).map(&mut fill);
    assert!(fill.0.next().is_none(), "PyTorch has more parameters");

    let shape = [golden.batch, 3, step.size, step.size];
    let x = tensor(noise(step.images, shape.iter().product()), shape, &device);
    let classes: Vec<i64> = (0..golden.batch).map(|i| (i * 37 % golden.classes) as i64).collect();
    let loss = cross_entropy(forward(&network, x), Tensor::<1, Int>::from_data(&classes[..], &device));
    let value = f64::from(floats(loss.clone())[0]);
    assert!((value / step.loss - 1.0).abs() < TOLERANCE, "loss {value}, PyTorch's {}", step.loss);
    let gradients = GradientsParams::from_grads(loss.backward(), &network);
    let whole = step.parameters.iter().map(|p| p.length * p.length).sum::<f64>().sqrt();
    let parameters = step.parameters.iter();
    let worst = (0.0, String::new());
    let mut compare = Compare { golden: parameters, gradients: &gradients, shortest: 1e-4 * whole, worst };
    network.visit(&mut compare);
    compare.worst
}

#[test]
fn a_step_of_bit_is_pytorchs() {
    let classes = golden().classes;
    let network = |device: &Device| Classifier::new(BitConfig::r50x1().init(device, 1), classes, device);
    check("bit-r50x1", network, |network, x| network.forward(x));
}

#[test]
fn a_step_of_resnet18_is_pytorchs() {
    let classes = golden().classes;
    let network = |device: &Device| StudentConfig::resnet18(classes).init(device, 1);
    check("resnet18", network, |network, x| network.forward(x));
}

#[test]
fn a_step_of_efficientnet_lite0_is_pytorchs() {
    let classes = golden().classes;
    let network = |device: &Device| InvertedResidualConfig::efficientnet_lite0(classes).init(device, 1);
    check("efficientnet-lite0", network, |network, x| network.forward(x));
}

/// The loss of rows of noise and its gradient are PyTorch's.
fn check_loss(golden: &Loss, rows: Tensor<2>, loss: impl Fn(Tensor<2>) -> Tensor<1>) {
    let rows = rows.require_grad();
    let loss = loss(rows.clone());
    let value = f64::from(floats(loss.clone())[0]);
    assert!((value / golden.loss - 1.0).abs() < TOLERANCE, "loss {value}, PyTorch's {}", golden.loss);
    assert_close(&floats(rows.grad(&loss.backward()).expect("the rows have a gradient")), &golden.gradient);
}

/// The difference's length is within the tolerance of the expected length.
fn assert_close(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let length = expected.iter().map(|v| v * v).sum::<f64>().sqrt();
    let off = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).powi(2)).sum::<f64>().sqrt();
    assert!(off < TOLERANCE * length, "off by {:.1e} of the length", off / length);
}

#[test]
fn nt_xent_is_pytorchs() {
    let golden = golden().nt_xent;
    let rows = tensor(noise(1, 24 * 16), [24, 16], &Device::flex().autodiff());
    check_loss(&golden, rows, |rows| {
        let views = unit_length(rows).chunk(2, 0);
        nt_xent(views[0].clone(), views[1].clone(), golden.temperature)
    });
}

#[test]
fn decoupled_contrastive_learning_is_pytorchs() {
    let golden = golden().decoupled;
    let rows = tensor(noise(1, 24 * 16), [24, 16], &Device::flex().autodiff());
    check_loss(&golden, rows, |rows| {
        let views = unit_length(rows).chunk(2, 0);
        decoupled(views[0].clone(), views[1].clone(), golden.temperature)
    });
}

#[test]
fn vicreg_is_pytorchs() {
    let device = Device::flex().autodiff();
    let widths = tensor([0.5, 6.0].repeat(8), [1, 16], &device);
    let rows = (tensor(noise(1, 24 * 16), [24, 16], &device) * widths).detach();
    check_loss(&golden().vicreg, rows, |rows| {
        let views = rows.chunk(2, 0);
        vicreg(views[0].clone(), views[1].clone())
    });
}

#[test]
fn the_sigmoid_cross_entropy_is_pytorchs() {
    let device = Device::flex().autodiff();
    let [logits, targets] = [6, 7].map(|seed| tensor(noise(seed, 12 * 7), [12, 7], &device));
    let (logits, targets) = ((logits * 8.0).detach(), (targets + 1.0) / 2.0);
    check_loss(&golden().sigmoid_cross_entropy, logits, |logits| sigmoid_cross_entropy(logits, targets.clone()));
}

#[test]
fn the_distillation_loss_is_pytorchs() {
    let golden = golden().distillation;
    let device = Device::flex().autodiff();
    let [student, teacher] = [2, 3].map(|seed| tensor(noise(seed, 12 * 7), [12, 7], &device) * 3.0);
    check_loss(&golden, student.detach(), |student| distillation(student, teacher.clone(), golden.temperature));
}

#[derive(Module, Debug)]
struct Pair {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

#[test]
fn three_steps_of_lars_are_pytorchs() {
    let golden = golden().lars;
    let device = Device::flex().autodiff();
    let mut network = Pair {
        weight: Param::from_tensor(tensor(noise(4, 45), [9, 5], &device)),
        bias: Param::from_tensor(tensor(noise(5, 5), [5], &device)),
    };
    let mut optimiser = lars(golden.decay);
    for t in 0..3 {
        let of_weight = (network.weight.val() * tensor(noise(10 + t, 45), [9, 5], &device)).sum();
        let of_bias = (network.bias.val() * tensor(noise(20 + t, 5), [5], &device)).sum();
        let gradients = GradientsParams::from_grads((of_weight + of_bias).backward(), &network);
        network = optimiser.step(golden.rate, network, gradients);
    }
    assert_close(&floats(network.weight.val()), &golden.weight);
    assert_close(&floats(network.bias.val()), &golden.bias);
}

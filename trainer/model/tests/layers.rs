//! The list of layers says what the network does: a naive evaluator of it gives the network's own logits.
#![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use remedis_model::{
    Activation, BatchNormParts, Convention, InvertedResidualConfig, InvertedResidualNet, Layer, Padding, StageConfig,
    Stem, Student, StudentConfig, Weights,
};

/// `[channel, height, width]` of one image.
struct Value {
    shape: [usize; 3],
    values: Vec<f64>,
}

fn run(layers: &[Layer], input: Value) -> Vec<f64> {
    let mut values = vec![input];
    for layer in layers {
        let next = match layer {
            Layer::Conv { input, weight, shape, stride, padding, groups, batch_norm, activation, .. } => {
                let out = conv(&values[*input], weight, *shape, *stride, *padding, *groups);
                activate(batch_norm.as_ref().map_or_else(|| unreachable!(), |norm| normalise(out, norm)), *activation)
            }
            Layer::Add { a, b, activation, .. } => {
                assert_eq!(values[*a].shape, values[*b].shape);
                let sum = values[*a].values.iter().zip(&values[*b].values).map(|(a, b)| a + b).collect();
                activate(Value { shape: values[*a].shape, values: sum }, *activation)
            }
            Layer::MaxPool { input, kernel, stride, padding, .. } => {
                max_pool(&values[*input], *kernel, *stride, *padding)
            }
            Layer::GlobalAveragePool { input, .. } => {
                let [channels, height, width] = values[*input].shape;
                let mean = |plane: &[f64]| plane.iter().sum::<f64>() / (height * width) as f64;
                let values = values[*input].values.chunks(height * width).map(mean).collect();
                Value { shape: [channels, 1, 1], values }
            }
            Layer::Linear { input, weight, bias, shape, .. } => {
                let row =
                    |row: &[f32]| row.iter().zip(&values[*input].values).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
                let out = weight.chunks(shape[1]).zip(bias).map(|(w, bias)| row(w) + f64::from(*bias)).collect();
                Value { shape: [shape[0], 1, 1], values: out }
            }
        };
        values.push(next);
    }
    values.pop().unwrap().values
}

/// The input position of a kernel's tap, if it is not in the padding.
fn tap(out: usize, stride: usize, k: usize, padding: usize, size: usize) -> Option<usize> {
    (out * stride + k).checked_sub(padding).filter(|&at| at < size)
}

fn conv(
    x: &Value,
    weight: &[f32],
    [out, channels, kh, kw]: [usize; 4],
    stride: usize,
    padding: Padding,
    groups: usize,
) -> Value {
    let [_, height, width] = x.shape;
    let [(above, below), (left, right)] = [padding.around(height, kh, stride), padding.around(width, kw, stride)];
    let shape = [out, (height + above + below - kh) / stride + 1, (width + left + right - kw) / stride + 1];
    let mut values = Vec::new();
    for o in 0..out {
        let first = o / (out / groups) * channels;
        for (r, c) in positions(shape) {
            let mut sum = 0.0;
            for i in 0..channels {
                for (j, k) in positions([1, kh, kw]) {
                    if let (Some(y), Some(z)) = (tap(r, stride, j, above, height), tap(c, stride, k, left, width)) {
                        sum += f64::from(weight[((o * channels + i) * kh + j) * kw + k])
                            * x.values[((first + i) * height + y) * width + z];
                    }
                }
            }
            values.push(sum);
        }
    }
    Value { shape, values }
}

fn positions([_, height, width]: [usize; 3]) -> impl Iterator<Item = (usize, usize)> {
    (0..height).flat_map(move |r| (0..width).map(move |c| (r, c)))
}

fn normalise(x: Value, norm: &BatchNormParts) -> Value {
    let plane = x.shape[1] * x.shape[2];
    let values = x.values.iter().enumerate().map(|(i, x)| {
        let c = i / plane;
        let root = (f64::from(norm.variance[c]) + f64::from(norm.epsilon)).sqrt();
        (x - f64::from(norm.mean[c])) / root * f64::from(norm.gamma[c]) + f64::from(norm.beta[c])
    });
    Value { shape: x.shape, values: values.collect() }
}

fn activate(mut x: Value, activation: Activation) -> Value {
    let (low, high) = activation.range();
    x.values.iter_mut().for_each(|x| *x = x.clamp(f64::from(low), f64::from(high)));
    x
}

fn max_pool(x: &Value, kernel: usize, stride: usize, padding: usize) -> Value {
    let [channels, height, width] = x.shape;
    let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
    let shape = [channels, size(height), size(width)];
    let mut values = Vec::new();
    for channel in 0..channels {
        for (r, c) in positions(shape) {
            let taps = positions([1, kernel, kernel])
                .filter_map(|(j, k)| Some((tap(r, stride, j, padding, height)?, tap(c, stride, k, padding, width)?)));
            values.push(
                taps.map(|(y, z)| x.values[(channel * height + y) * width + z]).fold(f64::NEG_INFINITY, f64::max),
            );
        }
    }
    Value { shape, values }
}

fn image(seed: usize, n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.0 - 1.0).collect()
}

/// What both kinds of student can do.
trait Network: Module {
    fn logits(&self, x: Tensor<4>) -> Tensor<2>;
    fn as_layers(&self) -> Vec<Layer>;
}

impl Network for Student {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.forward(x)
    }
    fn as_layers(&self) -> Vec<Layer> {
        self.layers()
    }
}

impl Network for InvertedResidualNet {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.forward(x)
    }
    fn as_layers(&self) -> Vec<Layer> {
        self.layers()
    }
}

/// Compares the network that `init` makes with its layers, after a few batches have moved its statistics.
fn check<N: Network>(init: impl Fn(&Device) -> N, [channels, height, width]: [usize; 3]) {
    let device = Device::flex().autodiff();
    let trained = init(&device);
    let shape = [4, channels, 32, 32];
    for seed in 0..3 {
        let x = Tensor::from_data(TensorData::new(image(seed, shape.iter().product()), shape), &device);
        let _ = trained.logits(x);
    }
    let network = with_random_head(trained, init(&Device::flex()));
    let pixels = image(9, channels * height * width);
    let x = Tensor::from_data(TensorData::new(pixels.clone(), [1, channels, height, width]), &Device::flex());
    let own: Vec<f32> = network.valid().logits(x).into_data().try_to_vec().unwrap();
    let input = Value { shape: [channels, height, width], values: pixels.into_iter().map(f64::from).collect() };
    let naive = run(&network.as_layers(), input);
    assert_eq!(own.len(), naive.len());
    assert!(own.iter().any(|logit| logit.abs() > 1e-2), "{own:?} would hide a mistake");
    for (own, naive) in own.iter().zip(naive) {
        assert!((f64::from(*own) - naive).abs() < 1e-4, "{own}, the layers give {naive}");
    }
}

/// The head of a new network is zero; `plain` gets the weights of `trained` and other numbers there.
fn with_random_head<N: Network>(trained: N, plain: N) -> N {
    let head = |(name, values): (&str, &remedis_model::Values)| {
        let mut values = values.clone();
        if name.starts_with("head.") {
            values.values = image(5, values.values.len()).iter().map(|v| v * 0.2).collect();
        }
        (name.to_owned(), values)
    };
    Weights::of(&trained).tensors().map(head).collect::<Weights>().apply(plain).unwrap()
}

#[test]
fn a_small_student_is_its_layers() {
    check(|device| StudentConfig::small(3).init(device, 11), [3, 32, 32]);
}

#[test]
fn a_grey_student_in_the_form_of_resnet_18_is_its_layers() {
    let config = StudentConfig { channels: 1, stem: Stem::Seven, blocks: [2, 1, 2, 1], width: 8, n_classes: 2 };
    check(|device| config.init(device, 11), [1, 40, 40]);
}

#[test]
fn inverted_residuals_are_their_layers_at_any_size() {
    let stage =
        |repeats, kernel, stride, expansion, channels| StageConfig { repeats, kernel, stride, expansion, channels };
    let stages = vec![stage(1, 3, 1, 1, 8), stage(2, 5, 2, 3, 12), stage(1, 3, 2, 2, 16)];
    let config = InvertedResidualConfig {
        channels: 3,
        stem: 8,
        stages,
        embedding: 24,
        n_classes: 5,
        convention: Convention::Tensorflow,
    };
    for size in [[3, 32, 32], [3, 27, 34], [3, 9, 5]] {
        check(|device| config.init(device, 3), size);
    }
}

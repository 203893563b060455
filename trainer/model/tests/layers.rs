//! The list of layers says what the network does: a naive evaluator of it gives the network's own logits.
#![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use remedis_model::{BatchNormParts, Layer, Stem, Student, StudentConfig, Weights};

/// `[channel, height, width]` of one image.
struct Value {
    shape: [usize; 3],
    values: Vec<f64>,
}

fn run(layers: &[Layer], input: Value) -> Vec<f64> {
    let mut values = vec![input];
    for layer in layers {
        let next = match layer {
            Layer::Conv { input, weight, shape, stride, padding, groups, batch_norm, relu, .. } => {
                assert_eq!(*groups, 1);
                let out = conv(&values[*input], weight, *shape, *stride, *padding);
                rectify(batch_norm.as_ref().map_or_else(|| unreachable!(), |norm| normalise(out, norm)), *relu)
            }
            Layer::Add { a, b, relu, .. } => {
                assert_eq!(values[*a].shape, values[*b].shape);
                let sum = values[*a].values.iter().zip(&values[*b].values).map(|(a, b)| a + b).collect();
                rectify(Value { shape: values[*a].shape, values: sum }, *relu)
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

fn conv(x: &Value, weight: &[f32], [out, channels, kh, kw]: [usize; 4], stride: usize, padding: usize) -> Value {
    let [_, height, width] = x.shape;
    let size = |n: usize, k: usize| (n + 2 * padding - k) / stride + 1;
    let shape = [out, size(height, kh), size(width, kw)];
    let mut values = Vec::new();
    for o in 0..out {
        for (r, c) in positions(shape) {
            let mut sum = 0.0;
            for i in 0..channels {
                for (j, k) in positions([1, kh, kw]) {
                    if let (Some(y), Some(z)) = (tap(r, stride, j, padding, height), tap(c, stride, k, padding, width))
                    {
                        sum += f64::from(weight[((o * channels + i) * kh + j) * kw + k])
                            * x.values[(i * height + y) * width + z];
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

fn rectify(mut x: Value, relu: bool) -> Value {
    if relu {
        x.values.iter_mut().for_each(|x| *x = x.max(0.0));
    }
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

/// A student whose batch statistics and classifier are not those of a new one.
fn moved(config: StudentConfig) -> Student {
    let device = Device::flex().autodiff();
    let student = config.init(&device, 11);
    let shape = [4, config.channels, 32, 32];
    for seed in 0..3 {
        let x = Tensor::from_data(TensorData::new(image(seed, shape.iter().product()), shape), &device);
        let _ = student.forward(x);
    }
    student
}

fn check(config: StudentConfig, size: usize) {
    let mut student = moved(config);
    student = with_random_head(student, &config);
    let plain = Device::flex();
    let pixels = image(9, config.channels * size * size);
    let x = Tensor::<4>::from_data(TensorData::new(pixels.clone(), [1, config.channels, size, size]), &plain);
    let own: Vec<f32> = student.valid().to_device(&plain).forward(x).into_data().try_to_vec().unwrap();
    let input = Value { shape: [config.channels, size, size], values: pixels.into_iter().map(f64::from).collect() };
    let naive = run(&student.layers(), input);
    assert_eq!(own.len(), config.n_classes);
    assert!(own.iter().any(|logit| logit.abs() > 1e-2), "{own:?} would hide a mistake");
    for (own, naive) in own.iter().zip(naive) {
        assert!((f64::from(*own) - naive).abs() < 1e-4, "{own}, the layers give {naive}");
    }
}

/// The head of a new student is zero; this one has other numbers in it.
fn with_random_head(student: Student, config: &StudentConfig) -> Student {
    use burn::module::{ModuleMapper, Param};
    struct Fill;
    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if D != 2 {
                return param;
            }
            param.map(|tensor| {
                let dims = tensor.dims();
                let values: Vec<f32> = image(5, dims.iter().product()).iter().map(|v| v * 0.2).collect();
                let filled = Tensor::<D>::from_data(TensorData::new(values, dims), &tensor.device());
                filled.set_require_grad(true)
            })
        }
    }
    let student = student.map(&mut Fill);
    Weights::of(&student).apply(config.init(&Device::flex(), 0)).unwrap()
}

#[test]
fn a_small_student_is_its_layers() {
    check(StudentConfig::small(3), 32);
}

#[test]
fn a_grey_student_in_the_form_of_resnet_18_is_its_layers() {
    let config = StudentConfig { channels: 1, stem: Stem::Seven, blocks: [2, 1, 2, 1], width: 8, n_classes: 2 };
    check(config, 40);
}

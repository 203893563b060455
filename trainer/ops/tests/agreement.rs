//! Every operation against the same layer in Burn's tensor operations, against finite differences, and against itself with
//! another number of threads.
#![expect(deprecated, reason = "burn-ndarray is given; its users are told by Burn itself")]

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use proptest::sample::select;
use remedis_ops::{self as ops, Activation, MomentumStep, Outside, Window, generic};

/// Tensors in, one tensor out; all of them flat.
type Layer<'a> = &'a dyn Fn(&[Tensor<1>]) -> Tensor<1>;

/// Numbers without order, from -1 to 1, all different within a few thousand.
fn noise(seed: usize, len: usize) -> Vec<f32> {
    let value = |i: usize| ((i * 2_654_435_761 + seed * 40_503) % 65_521) as f32 / 32_760.5 - 1.0;
    (0..len).map(value).collect()
}

fn tensors(values: &[Vec<f32>], device: &Device) -> Vec<Tensor<1>> {
    values.iter().map(|v| Tensor::from_data(TensorData::new(v.clone(), [v.len()]), device)).collect()
}

fn floats(x: Tensor<1>) -> Vec<f32> {
    x.into_data().try_to_vec().expect("32-bit floats")
}

/// The result, and the gradient of each input for a loss of `sum(result * noise)`.
fn with_gradients(layer: Layer<'_>, values: &[Vec<f32>], device: &Device) -> Vec<Vec<f32>> {
    let device = device.clone().autodiff();
    let inputs: Vec<_> = tensors(values, &device).into_iter().map(Tensor::require_grad).collect();
    let y = layer(&inputs);
    let weights = noise(99, y.dims()[0]);
    let loss = (y.clone() * Tensor::from_data(TensorData::new(weights.clone(), [weights.len()]), &device)).sum();
    let gradients = loss.backward();
    let mut found = vec![floats(y)];
    found.extend(inputs.iter().map(|x| floats(x.grad(&gradients).expect("every input has a gradient"))));
    found
}

fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>], tolerance: f32) {
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "length of tensor {i}");
        let scale = expected.iter().fold(1.0f32, |most, v| most.max(v.abs()));
        for (at, (f, e)) in found.iter().zip(expected).enumerate() {
            assert!((f - e).abs() <= tolerance * scale, "tensor {i} at {at}: {f}, expected {e}; largest {scale}");
        }
    }
}

/// `ours` gives the values and gradients of `reference` on both CPU back ends.
fn agree(ours: Layer<'_>, reference: Layer<'_>, values: &[Vec<f32>]) {
    let expected = with_gradients(reference, values, &Device::flex());
    for device in [Device::flex(), Device::ndarray()] {
        let found = with_gradients(ours, values, &device);
        assert_close(&found, &expected, 2e-5);
    }
}

/// The gradient along a random direction is the difference of the losses on either side.
fn slope_is_the_gradient(layer: Layer<'_>, values: &[Vec<f32>]) {
    let device = Device::flex();
    let found = with_gradients(layer, values, &device);
    let weights = noise(99, found[0].len());
    for (i, gradient) in found[1..].iter().enumerate() {
        let direction = noise(7 + i, gradient.len());
        let step = 1e-2 / (gradient.len() as f32).sqrt();
        let loss_at = |distance: f32| -> f64 {
            let mut moved = values.to_vec();
            moved[i].iter_mut().zip(&direction).for_each(|(v, d)| *v += distance * d);
            let y = floats(layer(&tensors(&moved, &device)));
            y.iter().zip(&weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
        };
        let slope = (loss_at(step) - loss_at(-step)) / f64::from(2.0 * step);
        let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
        let scale = gradient.iter().map(|g| f64::from(g.abs())).sum::<f64>() / (gradient.len() as f64).sqrt();
        assert!((slope - expected).abs() < 0.02 * scale.max(0.1), "input {i}: slope {slope}, gradient {expected}");
    }
}

fn conv_of(window: Window, x: [usize; 4], w: [usize; 4], ours: bool) -> impl Fn(&[Tensor<1>]) -> Tensor<1> {
    move |inputs| {
        let (x, w) = (inputs[0].clone().reshape(x), inputs[1].clone().reshape(w));
        let y = if ours { ops::conv2d(x, w, window) } else { generic::conv2d(x, w, window) };
        let length = y.shape().num_elements();
        y.reshape([length])
    }
}

/// Shapes of an image and of weights, and the window.
fn convolutions() -> impl Strategy<Value = ([usize; 4], [usize; 4], Window)> {
    let window = (select(vec![[1, 1], [3, 3], [5, 5], [7, 7], [2, 3]]), 1..4usize, [0..3usize, 0..3, 0..3, 0..3]);
    let image = (1..4usize, 1..11usize, 1..11usize, 1..20usize);
    (window, image, select(vec![1usize, 3, 16, 33]), any::<bool>()).prop_filter_map(
        "the kernel does not fit",
        |((kernel, stride, [top, left, bottom, right]), (images, height, width, channels), out, depthwise)| {
            let fits = height + top + bottom >= kernel[0] && width + left + right >= kernel[1];
            let groups = if depthwise { channels } else { 1 };
            let out = if depthwise { channels } else { out };
            let window = Window { kernel, stride, before: [top, left], after: [bottom, right], groups };
            fits.then_some(([images, height, width, channels], [out, channels / groups, kernel[0], kernel[1]], window))
        },
    )
}

fn values(lengths: &[usize]) -> Vec<Vec<f32>> {
    lengths.iter().enumerate().map(|(i, &len)| noise(i, len)).collect()
}

const ACTIVATIONS: [Activation; 3] = [Activation::Identity, Activation::Relu, Activation::Relu6];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn convolution_is_burns((x, w, window) in convolutions()) {
        let values = values(&[x.iter().product(), w.iter().product()]);
        agree(&conv_of(window, x, w, true), &conv_of(window, x, w, false), &values);
    }

    #[test]
    fn batch_norm_is_burns(x in [1..4usize, 1..9, 1..9, 1..40], activation in select(ACTIVATIONS.to_vec())) {
        // Of one value the variance is 0, and what divides by epsilon alone is rounding.
        prop_assume!(x[..3].iter().product::<usize>() > 1);
        let layer = |ours: bool| move |inputs: &[Tensor<1>]| {
            let (map, gamma, beta) = (inputs[0].clone().reshape(x), inputs[1].clone(), inputs[2].clone());
            let norm = if ours { ops::batch_norm } else { generic::batch_norm };
            let (y, moments) = norm(map, gamma, beta.mul_scalar(3.0), 1e-2, activation);
            Tensor::cat(vec![y.flatten(0, 3), moments.mean, moments.variance], 0)
        };
        agree(&layer(true), &layer(false), &values(&[x.iter().product(), x[3], x[3]]));
    }

    #[test]
    fn scale_and_shift_are_burns(x in [1..4usize, 1..9, 1..9, 1..40], activation in select(ACTIVATIONS.to_vec())) {
        let layer = |ours: bool| move |inputs: &[Tensor<1>]| {
            let (map, scale, shift) = (inputs[0].clone().reshape(x), inputs[1].clone(), inputs[2].clone());
            let affine = if ours { ops::affine } else { generic::affine };
            affine(map, scale.mul_scalar(5.0), shift.mul_scalar(5.0), activation).flatten(0, 3)
        };
        agree(&layer(true), &layer(false), &values(&[x.iter().product(), x[3], x[3]]));
    }

    #[test]
    fn group_norm_is_burns(
        x in [1..4usize, 1..9, 1..9, 1..9],
        groups in select(vec![1usize, 2, 4, 8]),
        activation in select(ACTIVATIONS.to_vec()),
    ) {
        let x = [x[0], x[1], x[2], x[3] * groups];
        prop_assume!(x[1..].iter().product::<usize>() > groups);
        let layer = |ours: bool| move |inputs: &[Tensor<1>]| {
            let (map, gamma, beta) = (inputs[0].clone().reshape(x), inputs[1].clone(), inputs[2].clone());
            let norm = if ours { ops::group_norm } else { generic::group_norm };
            norm(map, gamma, beta.mul_scalar(3.0), groups, 1e-2, activation).flatten(0, 3)
        };
        agree(&layer(true), &layer(false), &values(&[x.iter().product(), x[3], x[3]]));
    }

    #[test]
    fn standardisation_is_burns(w in [1..70usize, 1..9, 1..4, 1..4]) {
        prop_assume!(w[1..].iter().product::<usize>() > 1);
        let layer = |ours: bool| move |inputs: &[Tensor<1>]| {
            let standardise = if ours { ops::standardise } else { generic::standardise };
            standardise(inputs[0].clone().reshape(w), 1e-4).flatten(0, 3)
        };
        agree(&layer(true), &layer(false), &values(&[w.iter().product()]));
    }

    #[test]
    fn pooling_is_burns(
        x in [1..4usize, 2..9, 2..9, 1..40],
        kernel in 1..4usize,
        stride in 1..4usize,
        outside in select(vec![Outside::Nothing, Outside::Zero]),
    ) {
        let window = Window::square(kernel, stride, kernel / 2);
        let layer = |ours: bool| move |inputs: &[Tensor<1>]| {
            let pool = if ours { ops::max_pool2d } else { generic::max_pool2d };
            pool(inputs[0].clone().reshape(x), window, outside).flatten(0, 3)
        };
        agree(&layer(true), &layer(false), &values(&[x.iter().product()]));
        let layer = |ours: bool| move |inputs: &[Tensor<1>]| {
            let average = if ours { ops::average } else { generic::average };
            average(inputs[0].clone().reshape(x)).flatten(0, 1)
        };
        agree(&layer(true), &layer(false), &values(&[x.iter().product()]));
    }

    #[test]
    fn sums_are_burns(x in [1..4usize, 2..9, 2..9, 1..40], activation in select(ACTIVATIONS.to_vec())) {
        let layer = |ours: bool| move |inputs: &[Tensor<1>]| {
            let [a, b] = [0, 1].map(|i| inputs[i].clone().mul_scalar(5.0).reshape(x));
            let y = if ours { ops::add(a, b, activation) } else { generic::activate(a + b, activation) };
            y.flatten(0, 3)
        };
        agree(&layer(true), &layer(false), &values(&[x.iter().product(), x.iter().product()]));
    }
}

#[test]
fn steps_of_momentum_are_burns() {
    let step = MomentumStep { momentum: 0.9, push: 0.3, decay: 0.05, pull: 0.7 };
    for device in [Device::flex(), Device::ndarray(), Device::flex().autodiff()] {
        for length in [1, 33, 70_000] {
            let inputs = tensors(&values(&[length, length, length]), &device);
            let [weight, velocity, gradient] = [0, 1, 2].map(|i: usize| inputs[i].clone());
            let expected = generic::momentum_step(weight.clone(), velocity.clone(), gradient.clone(), step);
            let found = ops::momentum_step(weight.clone(), Some(velocity.clone()), gradient.clone(), step);
            assert_close(&[floats(found.0), floats(found.1)], &[floats(expected.0), floats(expected.1)], 1e-6);
            // What others hold stays as it was.
            assert_eq!(floats(weight.clone()), noise(0, length));
            assert_eq!(floats(velocity), noise(1, length));
            let expected = generic::squares(weight.clone(), gradient.clone(), 0.1);
            assert_close(&[floats(ops::squares(weight, gradient, 0.1))], &[floats(expected)], 1e-5);
        }
    }
    let (weight, velocity) = ops::momentum_step(
        Tensor::<1>::from_data([1.0, 2.0], &Device::flex()),
        None,
        Tensor::from_data([10.0, 20.0], &Device::flex()),
        MomentumStep { momentum: 0.5, push: 0.1, decay: 1.0, pull: 2.0 },
    );
    assert_close(&[floats(weight), floats(velocity)], &[vec![-1.2, -2.4], vec![1.1, 2.2]], 1e-6);
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let x = [2, 6, 5, 8];
    for (w, window) in [
        ([12, 8, 3, 3], Window::square(3, 1, 1)),
        ([12, 8, 3, 3], Window { before: [0; 2], ..Window::square(3, 2, 1) }),
        ([7, 8, 1, 1], Window::square(1, 2, 0)),
        ([8, 1, 5, 5], Window { groups: 8, ..Window::square(5, 2, 2) }),
    ] {
        slope_is_the_gradient(&conv_of(window, x, w, true), &values(&[x.iter().product(), w.iter().product()]));
    }
    let of_maps = values(&[x.iter().product(), x[3], x[3]]);
    slope_is_the_gradient(
        &|inputs| {
            let (map, gamma, beta) = (inputs[0].clone().reshape(x), inputs[1].clone(), inputs[2].clone());
            ops::batch_norm(map, gamma, beta, 1e-3, Activation::Identity).0.flatten(0, 3)
        },
        &of_maps,
    );
    slope_is_the_gradient(
        &|inputs| {
            let (map, gamma, beta) = (inputs[0].clone().reshape(x), inputs[1].clone(), inputs[2].clone());
            ops::group_norm(map, gamma, beta, 4, 1e-3, Activation::Identity).flatten(0, 3)
        },
        &of_maps,
    );
    slope_is_the_gradient(
        &|inputs| ops::standardise(inputs[0].clone().reshape([8, 6, 2, 5]), 1e-3).flatten(0, 3),
        &of_maps[..1],
    );
    slope_is_the_gradient(
        &|inputs| ops::max_pool2d(inputs[0].clone().reshape(x), Window::square(3, 2, 1), Outside::Zero).flatten(0, 3),
        &of_maps[..1],
    );
    slope_is_the_gradient(&|inputs| ops::average(inputs[0].clone().reshape(x)).flatten(0, 1), &of_maps[..1]);
}

/// Layers large enough to be cut into many parts, each way that the kernels cut them.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let threads = |count: usize| rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    let pools = [threads(1), threads(2), threads(5)];
    let same = |layer: &(dyn Fn(&[Tensor<1>]) -> Tensor<1> + Sync), values: &[Vec<f32>]| {
        let [first, rest @ ..] =
            pools.each_ref().map(|pool| pool.install(|| with_gradients(layer, values, &Device::flex())));
        let bits = |all: &[Vec<f32>]| -> Vec<u32> { all.iter().flatten().map(|v| v.to_bits()).collect() };
        for other in rest {
            assert!(bits(&first) == bits(&other), "results depend on the number of threads");
        }
    };
    for (x, w, window) in [
        // Many pixels and few weights; few pixels and many weights; in between; without patches; channel by channel.
        ([8, 33, 32, 16], [24, 16, 3, 3], Window::square(3, 1, 1)),
        ([2, 4, 4, 256], [512, 256, 3, 3], Window::square(3, 1, 1)),
        ([4, 16, 16, 64], [128, 64, 3, 3], Window::square(3, 2, 1)),
        ([8, 16, 16, 64], [256, 64, 1, 1], Window::square(1, 1, 0)),
        ([8, 17, 16, 96], [96, 1, 3, 3], Window { groups: 96, ..Window::square(3, 2, 1) }),
    ] {
        same(&conv_of(window, x, w, true), &values(&[x.iter().product(), w.iter().product()]));
    }
    let x = [8, 32, 32, 64];
    same(
        &move |inputs| {
            let (map, gamma, beta) = (inputs[0].clone().reshape(x), inputs[1].clone(), inputs[2].clone());
            let (y, _) = ops::batch_norm(map, gamma.clone(), beta.clone(), 1e-3, Activation::Relu);
            ops::group_norm(y, gamma, beta, 32, 1e-3, Activation::Relu6).flatten(0, 3)
        },
        &values(&[x.iter().product(), x[3], x[3]]),
    );
}

#[test]
fn a_broken_value_is_passed_on() {
    let x = Tensor::<4>::from_data(TensorData::new(vec![1.0, f32::NAN, -2.0, 3.0], [1, 2, 2, 1]), &Device::flex());
    let pooled = ops::max_pool2d(x.clone(), Window::square(2, 1, 0), Outside::Nothing);
    let summed = ops::add(x.clone(), x.clone(), Activation::Relu);
    let normed = ops::group_norm(
        x,
        Tensor::ones([1], &Device::flex()),
        Tensor::zeros([1], &Device::flex()),
        1,
        1e-3,
        Activation::Relu6,
    );
    assert!(floats(pooled.flatten(0, 3))[0].is_nan());
    assert!(floats(summed.flatten(0, 3))[1].is_nan());
    assert!(floats(normed.flatten(0, 3)).iter().all(|v| v.is_nan()));
}

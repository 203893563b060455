//! Layers whose input has 16 bits, against the same layers in 32.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use remedis_ops::{self as ops, Activation, Outside, Window};

/// The type, and how far results may lie from those of 32 bits: a few of its roundings, as flex adds up products of `f16` in `f16`.
const TYPES: [(FloatDType, f32); 2] = [(FloatDType::BF16, 1.0 / 64.0), (FloatDType::F16, 1.0 / 128.0)];

fn noise<const D: usize>(seed: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
    let value = |i: usize| ((i * 2_654_435_761 + seed * 40_503) % 65_521) as f32 / 32_760.5 - 1.0;
    Tensor::from_data(TensorData::new((0..shape.iter().product()).map(value).collect::<Vec<_>>(), shape), device)
}

/// Numbers that bf16 holds exactly, all different, so that rounding moves no maximum.
fn images(device: &Device) -> Tensor<4> {
    let value = |i: usize| ((i * 37 % 251) as f32 - 125.0) / 128.0;
    Tensor::from_data(TensorData::new((0..240).map(value).collect::<Vec<_>>(), [2, 6, 5, 4]), device)
}

fn floats<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_to_vec().unwrap()
}

/// Images and parameters in, and a map or an embedding out.
type Layer<'a> = &'a dyn Fn(Tensor<4>, &[Tensor<4>]) -> Tensor<4>;

/// The result, the gradient of the images and of each parameter for a loss of `sum(result * noise)`.
///
/// The loss is computed in 32 bits, the images are rounded to `narrow` where there is one.
fn with_gradients(layer: Layer<'_>, shapes: &[[usize; 4]], narrow: Option<FloatDType>) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let x = images(&device).require_grad();
    let parameters: Vec<_> =
        shapes.iter().enumerate().map(|(i, shape)| noise(2 + i, *shape, &device).require_grad()).collect();
    let seen = narrow.map_or(x.clone(), |narrow| x.clone().cast(narrow));
    let y = layer(seen, &parameters).cast(FloatDType::F32);
    let gradients = (y.clone() * noise(9, y.dims(), &device)).sum().backward();
    let mut found = vec![floats(y)];
    for input in std::iter::once(&x).chain(&parameters) {
        let gradient = input.grad(&gradients).unwrap();
        assert_eq!(gradient.dtype(), DType::F32);
        found.push(floats(gradient));
    }
    found
}

fn agrees(layer: Layer<'_>, shapes: &[[usize; 4]]) {
    let expected = with_gradients(layer, shapes, None);
    for (narrow, tolerance) in TYPES {
        let found = with_gradients(layer, shapes, Some(narrow));
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let scale = expected.iter().fold(1.0f32, |most, v| most.max(v.abs()));
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() <= tolerance * scale, "{narrow:?}, tensor {i}: {f}, expected {e} of {scale}");
            }
        }
    }
}

#[test]
fn convolutions_round_their_weights_and_give_gradients_in_32_bits() {
    agrees(&|x, p| ops::conv2d(x, p[0].clone(), Window::square(3, 2, 1)), &[[8, 4, 3, 3]]);
    agrees(&|x, p| ops::conv2d(x, p[0].clone(), Window::square(1, 1, 0)), &[[8, 4, 1, 1]]);
    agrees(&|x, p| ops::conv2d(x, p[0].clone(), Window { groups: 4, ..Window::square(3, 1, 1) }), &[[4, 1, 3, 3]]);
    agrees(&|x, p| ops::conv2d(x, ops::standardise(p[0].clone(), 1e-10), Window::square(3, 1, 1)), &[[8, 4, 3, 3]]);
}

#[test]
fn normalisations_are_those_of_32_bits_within_rounding() {
    let vector = [1, 1, 1, 4];
    agrees(
        &|x, p| ops::group_norm(x, p[0].clone().reshape([4]), p[1].clone().reshape([4]), 2, 1e-5, Activation::Identity),
        &[vector, vector],
    );
    agrees(
        &|x, p| ops::batch_norm(x, p[0].clone().reshape([4]), p[1].clone().reshape([4]), 1e-5, Activation::Identity).0,
        &[vector, vector],
    );
    agrees(
        &|x, p| ops::affine(x, p[0].clone().reshape([4]), p[1].clone().reshape([4]), Activation::Identity),
        &[vector, vector],
    );
}

#[test]
fn pooling_and_sums_are_those_of_32_bits_within_rounding() {
    for outside in [Outside::Nothing, Outside::Zero] {
        agrees(&|x, _| ops::max_pool2d(x, Window::square(3, 2, 1), outside), &[]);
    }
    agrees(&|x, _| ops::add(x.clone().mul_scalar(2.0), x, Activation::Identity), &[]);
    agrees(&|x, _| ops::average(x).reshape([2, 1, 1, 4]), &[]);
}

#[test]
fn maps_keep_their_type_and_statistics_and_embeddings_have_32_bits() {
    let device = Device::flex();
    let one = || noise(1, [4], &device);
    for (narrow, _) in TYPES {
        let x = || images(&device).cast(narrow);
        let dtype = x().dtype();
        assert_eq!(ops::conv2d(x(), noise(2, [8, 4, 3, 3], &device), Window::square(3, 1, 1)).dtype(), dtype);
        let (y, moments) = ops::batch_norm(x(), one(), one(), 1e-5, Activation::Relu);
        assert_eq!((y.dtype(), moments.mean.dtype(), moments.variance.dtype()), (dtype, DType::F32, DType::F32));
        assert_eq!(ops::group_norm(x(), one(), one(), 2, 1e-5, Activation::Relu).dtype(), dtype);
        assert_eq!(ops::add(x(), x(), Activation::Relu6).dtype(), dtype);
        assert_eq!(ops::average(x()).dtype(), DType::F32);
    }
}

/// A mean of 8,192 equal numbers: added up in bf16, the sum would stop growing at 256 times the number.
#[test]
fn a_mean_is_added_up_in_32_bits() {
    let x = Tensor::<4>::ones([1, 64, 128, 1], &Device::flex()).cast(FloatDType::BF16);
    assert_eq!(floats(ops::average(x)), [1.0]);
}

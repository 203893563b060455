//! Every kernel on every back end of this processor gives the bytes of the plain reference.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod emulated;

use proptest::prelude::*;
use remedis_kernels::{
    Backend, Conv, Depthwise, Family, Layer, LayerError, Layout, Linear, Lines, Requantise, Shape, Store, View,
    ViewMut, Window, reference,
};

/// Where the values of a layer come from: anything, or the extremes.
#[derive(Clone, Copy, Debug)]
enum Values {
    Random(u64),
    Extremes(u64),
    All(i8, i8),
}

impl Values {
    fn list(self, length: usize, weights: bool) -> Vec<i8> {
        let mut state = match self {
            Self::Random(seed) | Self::Extremes(seed) => seed ^ u64::from(weights),
            Self::All(..) => 0,
        };
        let least = if weights { -127 } else { -128 };
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        let mut one = || match self {
            Self::Random(_) => (draw() as i8).max(least),
            Self::Extremes(_) => [least, 127][draw() as usize & 1],
            Self::All(value, weight) => {
                if weights {
                    weight.max(least)
                } else {
                    value
                }
            }
        };
        (0..length).map(|_| one()).collect()
    }
}

#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    window: Window,
    outputs: usize,
    values: Values,
    input_zero: i8,
    requantise: (f32, i8, i8, i8),
}

impl Case {
    fn requantise(&self, outputs: usize) -> Requantise {
        let (multiplier, zero_point, low, high) = self.requantise;
        let multipliers = (0..outputs).map(|channel| multiplier * (1.0 + 0.07 * (channel % 11) as f32)).collect();
        Requantise { multipliers, zero_point, low: low.min(high), high: high.max(low) }
    }

    fn layer<'a>(&self, weights: &'a [i8], bias: &'a [i32], requantise: &'a Requantise) -> Layer<'a> {
        let (input, input_zero, window) = (self.shape, self.input_zero, self.window);
        Layer { input, input_zero, window, weights, bias, requantise }
    }

    fn bias(&self, outputs: usize) -> Vec<i32> {
        (0..outputs).map(|channel| (channel as i32 * 7919 - 3000) * 3 % 40_000).collect()
    }
}

fn values() -> impl Strategy<Value = Values> {
    prop_oneof![
        4 => any::<u64>().prop_map(Values::Random),
        2 => any::<u64>().prop_map(Values::Extremes),
        1 => Just(Values::All(127, -127)),
        1 => Just(Values::All(-128, -127)),
        1 => Just(Values::All(-128, 127)),
    ]
}

fn window() -> impl Strategy<Value = Window> {
    (1..=5_usize, 1..=5_usize, 1..=3_usize, 1..=3_usize, 0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize).prop_map(
        |(rows, columns, down, right, top, left, bottom, other)| Window {
            kernel: [rows, columns],
            stride: [down, right],
            before: [top, left],
            after: [bottom, other],
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1..=9_usize, 1..=11_usize, 1..=70_usize).prop_map(|(height, width, channels)| Shape {
        height,
        width,
        channels,
    });
    let square = (prop_oneof![Just(3_usize), Just(5)], 1..=2_usize, 0..3_usize);
    let square = square.prop_map(|(side, stride, padding)| Window::square(side, stride, padding));
    let window = prop_oneof![1 => Just(Window::POINT), 2 => square, 2 => window()];
    let requantise = (-20.0_f32..-3.0).prop_map(f32::exp2);
    let limits = prop_oneof![any::<(i8, i8)>(), Just((i8::MIN, i8::MAX))];
    let requantise = (requantise, any::<i8>(), limits)
        .prop_map(|(multiplier, zero_point, (low, high))| (multiplier, zero_point, low, high));
    (shape, window, 1..=50_usize, values(), any::<i8>(), requantise).prop_filter_map(
        "the window fits",
        |(shape, window, outputs, values, input_zero, requantise)| {
            window.places(shape)?;
            Some(Case { shape, window, outputs, values, input_zero, requantise })
        },
    )
}

/// Values as they lie in memory, with garbage wherever nothing may be read for its value.
fn picture(values: &[i8], layout: Layout, zero: i8) -> Lines {
    let Layout { shape, margin, .. } = layout;
    let mut lines = Lines::new(layout.length());
    lines.bytes_mut().fill(101);
    let mut view = ViewMut::new(lines.bytes_mut(), layout);
    (0..layout.rows).for_each(|row| view.fill_row(row as isize - margin as isize, zero));
    for (pixel, channels) in values.chunks_exact(shape.channels).enumerate() {
        let [row, column] = [pixel / shape.width, pixel % shape.width];
        for channel in 0..layout.step {
            view.set(row, column, channel, channels.get(channel).copied().unwrap_or(77));
        }
    }
    lines
}

fn pixels(view: View<'_>, shape: Shape) -> Vec<i8> {
    let places = (0..shape.height).flat_map(|row| (0..shape.width).map(move |column| (row, column)));
    let channels = |(row, column)| (0..shape.channels).map(move |channel| view.value(row, column, channel));
    places.flat_map(channels).collect()
}

/// Runs a layer in two parts, as two workers would.
fn in_parts(
    shape: Shape,
    family: Family,
    together: usize,
    mut run: impl FnMut(std::ops::Range<usize>, &mut ViewMut<'_>),
) -> Vec<i8> {
    let layout = Layout::whole(shape, 1, family);
    let mut lines = Lines::new(layout.length());
    let cut = shape.height / 2 / together * together;
    let (mut upper, mut lower) = ViewMut::new(lines.bytes_mut(), layout).split(cut);
    run(0..cut, &mut upper);
    run(cut..shape.height, &mut lower);
    pixels(View::new(lines.bytes(), layout), shape)
}

fn conv(layer: &Layer<'_>, input: &[i8], backend: Backend) -> Result<Vec<i8>, LayerError> {
    let mut store = Store::default();
    let whole = Layout::whole(layer.input, 0, backend.family());
    let step = Conv::thin_step(&layer.window, layer.input.channels).unwrap_or(whole.step);
    let conv = Conv::new(layer, step, backend.family(), &mut store)?;
    let layout = Layout::thin(layer.input, conv.margin(layer.input), step, backend.family());
    let constants = store.finish();
    assert!(conv.fits(backend.family(), &constants));
    let bytes = picture(input, layout, layer.input_zero);
    let mut scratch = Lines::new(conv.scratch());
    scratch.bytes_mut().fill(0x55);
    let output = conv.output(layer.input).unwrap();
    Ok(in_parts(output, backend.family(), conv.rows_together(), |rows, part| {
        conv.run(backend, &constants, View::new(bytes.bytes(), layout), rows, part, scratch.bytes_mut());
    }))
}

fn depthwise(layer: &Layer<'_>, input: &[i8], backend: Backend) -> Result<Vec<i8>, LayerError> {
    let mut store = Store::default();
    let conv = Depthwise::new(layer, backend.family(), &mut store)?;
    let constants = store.finish();
    assert!(conv.fits(backend.family(), &constants));
    let layout = Layout::whole(layer.input, layer.window.margin(layer.input), backend.family());
    let bytes = picture(input, layout, layer.input_zero);
    let output = conv.output(layer.input).unwrap();
    Ok(in_parts(output, backend.family(), 1, |rows, part| {
        conv.run(backend, &constants, View::new(bytes.bytes(), layout), rows, part);
    }))
}

/// Layers that [`Conv`] computes by Winograd's transform.
fn tiled_case() -> impl Strategy<Value = Case> {
    let numbers = (1..=11_usize, 1..=13_usize, 2..=5_usize, 1..=50_usize, values(), any::<i8>());
    (numbers, 0..3_usize, (-20.0_f32..-8.0).prop_map(f32::exp2), any::<i8>()).prop_filter_map(
        "the window fits",
        |((height, width, channels, outputs, values, input_zero), padding, multiplier, zero)| {
            let (shape, window) = (Shape { height, width, channels: 16 * channels }, Window::square(3, 1, padding));
            window.places(shape)?;
            Some(Case { shape, window, outputs, values, input_zero, requantise: (multiplier, zero, -128, 127) })
        },
    )
}

type Run = fn(&Layer<'_>, &[i8], Backend) -> Result<Vec<i8>, LayerError>;

/// Whether `run` gives the bytes of the reference, for a layer of so many groups of channels and outputs.
fn is_exact(case: &Case, [groups, outputs]: [usize; 2], run: Run, backends: &[Backend]) -> Result<(), TestCaseError> {
    let filter = case.window.kernel[0] * case.window.kernel[1] * case.shape.channels / groups;
    let input = case.values.list(case.shape.volume(), false);
    let weights = case.values.list(filter * outputs, true);
    let (bias, requantise) = (case.bias(outputs), case.requantise(outputs));
    let layer = case.layer(&weights, &bias, &requantise);
    let expected = reference::convolution(&layer, groups, &input);
    for backend in backends {
        match run(&layer, &input, *backend) {
            Ok(found) => prop_assert_eq!(&found, &expected, "{:?}", backend),
            Err(error) => prop_assert!(matches!(error, LayerError::Multiplier { .. }), "{error}"),
        }
    }
    Ok(())
}

fn convolution_is_exact(case: &Case, backends: &[Backend]) -> Result<(), TestCaseError> {
    is_exact(case, [1, case.outputs], conv, backends)
}

fn depthwise_convolution_is_exact(case: &Case, backends: &[Backend]) -> Result<(), TestCaseError> {
    is_exact(case, [case.shape.channels; 2], depthwise, backends)
}

/// A last layer's channels, outputs, values and stored zero.
type Last = (usize, usize, Values, i8);

fn last() -> impl Strategy<Value = Last> {
    (1..200_usize, 1..50_usize, values(), any::<i8>())
}

fn last_layer_is_exact(
    (channels, outputs, values, input_zero): Last,
    backends: &[Backend],
) -> Result<(), TestCaseError> {
    let shape = Shape { height: 1, width: 1, channels };
    let (input, weights) = (values.list(channels, false), values.list(channels * outputs, true));
    let bias: Vec<i32> = (0..outputs as i32).map(|at| at * 7919 - 3000).collect();
    let scales: Vec<f32> = (0..outputs).map(|at| 0.001 * (1.0 + at as f32)).collect();
    let requantise = Requantise { multipliers: scales.clone(), zero_point: 0, low: -128, high: 127 };
    let (weights, bias, requantise) = (&weights, &bias, &requantise);
    let layer = Layer { input: shape, input_zero, window: Window::POINT, weights, bias, requantise };
    let sum = |out: usize| {
        let products = input.iter().zip(&weights[out * channels..]);
        let products = products.map(|(value, weight)| (i32::from(*value) - i32::from(input_zero)) * i32::from(*weight));
        bias[out] + products.sum::<i32>()
    };
    let expected: Vec<f32> = (0..outputs).map(|out| sum(out) as f32 * scales[out]).collect();
    for &backend in backends {
        let layout = Layout::whole(shape, 0, backend.family());
        let bytes = picture(&input, layout, input_zero);
        let mut store = Store::default();
        let linear = Linear::new(&layer, backend.family(), &mut store).unwrap();
        let constants = store.finish();
        prop_assert!(linear.fits(backend.family(), &constants));
        let (mut found, mut scratch) = (vec![0.0; outputs], Lines::new(linear.scratch()));
        linear.run(backend, &constants, View::new(bytes.bytes(), layout), &mut found, scratch.bytes_mut());
        prop_assert_eq!(&found, &expected, "{:?}", backend);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 3000 }))]

    #[test]
    fn convolutions_are_exact(case in prop_oneof![3 => case(), 1 => tiled_case()]) {
        convolution_is_exact(&case, &Backend::all())?;
    }

    #[test]
    fn depthwise_convolutions_are_exact(case in case()) {
        depthwise_convolution_is_exact(&case, &Backend::all())?;
    }

    #[test]
    fn last_layers_are_exact(case in last()) {
        last_layer_is_exact(case, &Backend::all())?;
    }
}

// Every product is a signal: few cases.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn emulated_convolutions_are_exact(case in prop_oneof![case(), tiled_case()]) {
        convolution_is_exact(&case, &emulated::backends())?;
    }

    #[test]
    fn emulated_depthwise_convolutions_are_exact(case in case()) {
        depthwise_convolution_is_exact(&case, &emulated::backends())?;
    }

    #[test]
    fn emulated_last_layers_are_exact(case in last()) {
        last_layer_is_exact(case, &emulated::backends())?;
    }
}

#[test]
fn the_longest_sums_of_extremes_are_exact() {
    let shape = Shape { height: 1, width: 7, channels: 1280 };
    let requantise = Requantise { multipliers: vec![2.0_f32.powi(-19); 17], zero_point: 3, low: -128, high: 127 };
    for (value, weight, zero) in [(127, -127, -128), (-128, 127, 127), (-128, -127, 127), (127, 127, -128)] {
        let (input, weights, bias) = (vec![value; shape.volume()], vec![weight; 1280 * 17], vec![1 << 20; 17]);
        let (weights, bias, requantise) = (&weights, &bias, &requantise);
        let layer = Layer { input: shape, input_zero: zero, window: Window::POINT, weights, bias, requantise };
        let expected = reference::convolution(&layer, 1, &input);
        for backend in Backend::all() {
            assert_eq!(conv(&layer, &input, backend).unwrap(), expected, "{backend:?}");
        }
    }
}

#[test]
fn layers_that_could_leave_32_bits_are_refused() {
    let shape = Shape { height: 1, width: 1, channels: 40_000 };
    let requantise = Requantise { multipliers: vec![0.001], zero_point: 0, low: -128, high: 127 };
    let weights = vec![127; 40_000];
    let refusal = |weights: &[i8], bias: &[i32], requantise: &Requantise| {
        let window = Window::POINT;
        let layer = Layer { input: shape, input_zero: 0, window, weights, bias, requantise };
        Conv::new(&layer, shape.channels, Family::Pairs, &mut Store::default()).unwrap_err()
    };
    assert!(matches!(refusal(&weights, &[0], &requantise), LayerError::Overflow { channel: 0, .. }));
    let ones = vec![1; 40_000];
    let steep = Requantise { multipliers: vec![1000.0], ..requantise.clone() };
    assert!(matches!(refusal(&ones, &[0], &steep), LayerError::Multiplier { channel: 0, .. }));
    let undefined = Requantise { multipliers: vec![f32::NAN], ..requantise.clone() };
    assert!(matches!(refusal(&ones, &[0], &undefined), LayerError::Multiplier { channel: 0, .. }));
    let mut lowest = ones.clone();
    lowest[5] = -128;
    assert_eq!(refusal(&lowest, &[0], &requantise), LayerError::Weight { position: 5 });
    assert!(matches!(refusal(&ones[1..], &[0], &requantise), LayerError::Length { expected: 40_000, .. }));
}

/// A convolution runs `vpdpwssd`, or the emulator does.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn instructions_that_are_absent_are_emulated() {
    let shape = Shape { height: 2, width: 3, channels: 32 };
    let requantise = Requantise { multipliers: vec![0.01; 16], zero_point: 3, low: -128, high: 127 };
    let (weights, bias) = (vec![-127; 16 * shape.channels], vec![0; 16]);
    let (window, input_zero) = (Window::POINT, 0);
    let layer = Layer { input: shape, input_zero, window, weights: &weights, bias: &bias, requantise: &requantise };
    let expected = reference::convolution(&layer, 1, &vec![127; shape.volume()]);
    for backend in emulated::backends() {
        let before = emulated::done();
        assert_eq!(conv(&layer, &vec![127; shape.volume()], backend).unwrap(), expected, "{backend:?}");
        // Other tests count as well.
        assert!(emulated::done() >= before + 6 * 16 * 2, "{backend:?} did not need the emulator");
    }
    assert_eq!(emulated::decode([0xC4, 0xE2, 0x6D, 0x52, 0xCB]), Some([1, 2, 3]));
    assert_eq!(emulated::decode([0xC4, 0x42, 0x35, 0x52, 0xC2]), Some([8, 9, 10]));
    assert_eq!(emulated::decode([0xC4, 0xE2, 0x69, 0x52, 0xCB]), None, "128 bits");
    assert_eq!(emulated::decode([0xC4, 0xE2, 0x6D, 0x53, 0xCB]), None, "vpdpwssds saturates");
}

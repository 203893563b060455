//! Times single layers: `cargo run --release -p remedis-kernels --example layers`.
//!
//! Prints milliseconds (least and median of the runs), giga-multiplications a second, and the share of what a loop of the
//! same instructions reaches in registers.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints and may stop at a surprise")]

use std::hint::black_box;
use std::time::Instant;

use remedis_kernels::{Backend, Conv, Depthwise, Layer, Requantise, Shape, Window};

const RUNS: usize = 60;

fn main() {
    let backend = Backend::detect();
    println!("{backend:?}");
    println!("{:28} {:>9} {:>9} {:>8}", "layer", "least ms", "median", "GMAC/s");
    for (side, inputs, outputs) in
        [(112, 16, 96), (56, 96, 24), (28, 144, 32), (14, 64, 384), (14, 384, 96), (7, 960, 320), (1, 1280, 1000)]
    {
        dense(backend, &format!("pointwise {inputs} to {outputs} @{side}"), side, inputs, outputs, Window::POINT);
    }
    for (side, channels) in [(56, 64), (14, 256)] {
        let name = format!("3x3 {channels} to {channels} @{side}");
        dense(backend, &name, side, channels, channels, Window::square(3, 1, 1));
    }
    dense(backend, "stem 3x3/2 3 to 32 @224", 224, 3, 32, Window::square(3, 2, 1));
    for (side, channels, stride) in [(112, 32, 1), (112, 96, 2), (56, 144, 1), (14, 384, 1), (7, 960, 1)] {
        let shape = Shape { height: side, width: side, channels };
        let requantise = requantise(channels);
        let weights: Vec<i8> = (0..9 * channels).map(|at| (at * 37 % 251) as i8 / 2).collect();
        let (window, bias) = (Window::square(3, stride, 1), vec![5; channels]);
        let (weights, bias, requantise) = (&weights, &bias, &requantise);
        let conv = Depthwise::new(&Layer { input: shape, input_zero: 0, window, weights, bias, requantise }).unwrap();
        let (input, mut output) = (vec![7; shape.volume()], vec![0; conv.output().volume()]);
        let mut scratch = vec![0; conv.scratch()];
        time(&format!("depthwise 3x3/{stride} {channels} @{side}"), conv.n_multiplications(), || {
            conv.run(backend, black_box(&input), black_box(&mut output), &mut scratch);
        });
    }
}

fn requantise(outputs: usize) -> Requantise {
    Requantise { multipliers: vec![0.001; outputs], zero_point: -128, low: -128, high: 127 }
}

fn dense(backend: Backend, name: &str, side: usize, inputs: usize, outputs: usize, window: Window) {
    let shape = Shape { height: side, width: side, channels: inputs };
    let length = window.kernel[0] * window.kernel[1] * inputs * outputs;
    let weights: Vec<i8> = (0..length).map(|at| (at * 37 % 251) as i8 / 2).collect();
    let (weights, bias, requantise) = (&weights, &vec![5; outputs], &requantise(outputs));
    let conv = Conv::new(&Layer { input: shape, input_zero: 0, window, weights, bias, requantise }).unwrap();
    let (input, mut output) = (vec![7; shape.volume()], vec![0; conv.output().volume()]);
    let mut scratch = vec![0; conv.scratch()];
    time(name, conv.n_multiplications(), || {
        conv.run(backend, black_box(&input), black_box(&mut output), &mut scratch);
    });
}

fn time(name: &str, multiplications: usize, mut run: impl FnMut()) {
    run();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let rate = multiplications as f64 / times[0] / 1e6;
    println!("{name:28} {:9.4} {:9.4} {rate:8.1}", times[0], times[RUNS / 2]);
}

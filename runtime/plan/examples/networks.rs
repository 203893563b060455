//! Times the networks of the field, with made-up weights, layer by layer:
//! `cargo run --release -p remedis-plan --example networks -- mbv2:224,rn18:96 [threads]`.
//!
//! Least times of the runs. For real models use `remedis bench`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints and may stop at a surprise")]

use std::time::Instant;

use remedis_plan::{Engine, Plan};

#[path = "../tests/common/zoo.rs"]
mod zoo;

const RUNS: usize = 60;

fn main() {
    let names = std::env::args().nth(1).unwrap_or_else(|| "mbv2:96,mbv2:224,lite0:224,rn18:96,rn18:224".into());
    let threads = std::env::args().nth(2).map_or(1, |threads| threads.parse().unwrap());
    for name in names.split(',') {
        let (network, side) = name.split_once(':').unwrap();
        let side = side.parse().unwrap();
        let (graph, shape) = zoo::network(network, side);
        let plan = Plan::compile_here(&graph, &[shape]).unwrap();
        time(name, &plan, threads, &vec![0.3; shape.volume()]);
    }
}

fn time(name: &str, plan: &Plan, threads: usize, input: &[f32]) {
    let mut engine = Engine::new(plan.clone(), threads);
    let mut output = vec![0.0; 1000];
    let mut whole = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        engine.run(&[input], &mut [&mut output]);
        whole = whole.min(start.elapsed().as_secs_f64() * 1e3);
    }
    let mut least = vec![f64::MAX; plan.program().chains.len()];
    for _ in 0..RUNS {
        let mut start = Instant::now();
        engine.watch(&[input], &mut [&mut output], |chain, _| {
            least[chain] = least[chain].min(start.elapsed().as_secs_f64() * 1e3);
            start = Instant::now();
        });
    }
    let mut n_all = 0;
    for (chain, (links, least)) in plan.chains().zip(&least).enumerate() {
        let n: u64 = links.iter().map(|(_, _, n)| n).sum();
        n_all += n;
        let what: Vec<String> =
            links.iter().map(|(link, shape, _)| format!("{} {}", link.operation.kernel(), shape)).collect();
        if std::env::var_os("LAYERS").is_some() {
            println!("{chain:3} {least:8.4} ms {:6.1} GMAC/s  {}", n as f64 / least / 1e6, what.join(" > "));
        }
    }
    println!(
        "{name}: {whole:.3} ms, sum of layers {:.3}, {:.1} GMAC/s",
        least.iter().sum::<f64>(),
        n_all as f64 / whole / 1e6
    );
}

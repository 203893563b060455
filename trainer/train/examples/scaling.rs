//! What a contrastive step costs on 8 to 1,024 GPUs: message sizes from the networks, link speeds from their makers, and arithmetic.
//!
//! `cargo run --release -p remedis-train --example scaling` prints the tables of `trainer/ranks/SCALING.md`. Nothing here was measured
//! on GPUs.

#![expect(clippy::print_stdout, reason = "a program whose output is a table")]

use remedis_model::BitConfig;

/// Views of each GPU in a step: 64 pairs.
const VIEWS: f64 = 128.0;
/// Length of the projections.
const PROJECTION: f64 = 128.0;
/// Multiply-accumulates of forward and backward for each of forward.
const BACKWARD: f64 = 3.0;
/// Multiply-accumulates a second that a GPU is taken to reach: 100 TFLOP/s, a tenth of what the makers of an H100 name for bf16.
const RATE: f64 = 50e12;
/// Host memory to GPU and back, bytes a second each way: half of PCIe 5.0 x16's 64 GB/s.
const STAGING: f64 = 32e9;
/// Seconds of one message between hosts, whatever its size.
const LATENCY: f64 = 3e-6;

/// How hosts of eight GPUs are wired: name and bytes a second that each GPU has of it, at four fifths of the line rate.
const LINKS: [(&str, f64); 3] = [
    ("one 100 Gbit/s Ethernet a host", 0.8 * 12.5e9 / 8.0),
    ("one 400 Gbit/s InfiniBand a host", 0.8 * 50e9 / 8.0),
    ("one 400 Gbit/s InfiniBand a GPU", 0.8 * 50e9),
];

struct Step {
    compute: f64,
    head: f64,
    gradients: f64,
    exposed: f64,
    embeddings: f64,
}

impl Step {
    fn total(&self) -> f64 {
        self.compute + self.head + self.exposed + self.embeddings
    }
}

fn step(config: &BitConfig, gpus: f64, link: f64) -> Step {
    let width = config.embedding_size() as f64;
    let bytes = 4.0 * config.parameters() as f64;
    let compute = BACKWARD * VIEWS * config.macs(224) as f64 / RATE;
    // Every rank judges the embeddings of all ranks.
    let head = BACKWARD * VIEWS * gpus * (width * width + width * PROJECTION) / RATE;
    // A ring passes each byte on twice; then to the host and back.
    let gradients = 2.0 * (gpus - 1.0) / gpus * bytes / link + 2.0 * (gpus - 1.0) * LATENCY + 2.0 * bytes / STAGING;
    // They travel while earlier segments are computed, which is nearly all of the backward pass.
    let exposed = (gradients - compute * 2.0 / 3.0).max(0.02 * gradients);
    let embeddings = (gpus - 1.0) * 4.0 * VIEWS * width / link + gpus.log2().ceil() * LATENCY;
    Step { compute, head, gradients, exposed, embeddings }
}

fn main() {
    for (name, config) in [("R50x1", BitConfig::r50x1()), ("R152x2", BitConfig::r152x2())] {
        println!(
            "{name}: {:.1} million parameters, {:.0} MB of gradients; {:.0} kB of embeddings a GPU; {:.1} GMAC a view\n",
            config.parameters() as f64 / 1e6,
            4.0 * config.parameters() as f64 / 1e6,
            4.0 * VIEWS * config.embedding_size() as f64 / 1e3,
            config.macs(224) as f64 / 1e9
        );
        println!(
            "| GPUs | pairs | link | backbone, ms | head, ms | gradients, ms (not hidden) | embeddings, ms | efficiency |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for gpus in [8.0, 64.0, 256.0, 1024.0] {
            for (link, rate) in LINKS {
                let step = step(&config, gpus, rate);
                println!(
                    "| {gpus} | {} | {link} | {:.0} | {:.1} | {:.0} ({:.0}) | {:.1} | {:.2} |",
                    gpus * VIEWS / 2.0,
                    1e3 * step.compute,
                    1e3 * step.head,
                    1e3 * step.gradients,
                    1e3 * step.exposed,
                    1e3 * step.embeddings,
                    step.compute / step.total()
                );
            }
        }
        println!();
    }
}

//! `remedis bench`: how long a model takes here, from file to answer, and layer by layer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use remedis_inference::Arithmetic;
use remedis_plan::{Backend, Engine};
use rustix::time::{ClockId, clock_gettime};

use crate::model::{Ready, Source};
use crate::tensor;

/// Arguments of `remedis bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// NumPy file with the float32 input, `[1, channel, height, width]`
    #[arg(long)]
    input: PathBuf,
    /// Threads that share each answer
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Answers timed
    #[arg(long, default_value_t = 20)]
    iterations: usize,
    /// Print one JSON object, of the whole only
    #[arg(long)]
    json: bool,
    /// Run the model in float, by tract, even if it is an integer one; `half` is slow where the processor does not compute in it
    #[arg(long, value_name = "PRECISION", num_args = 0..=1, default_missing_value = "single", value_parser = arithmetic)]
    float: Option<Arithmetic>,
    /// Run an ONNX model on these instructions, of those that this processor has [default: the fastest]
    #[arg(long, value_name = "NAME", value_parser = instructions, conflicts_with = "float")]
    instructions: Option<Backend>,
}

fn instructions(name: &str) -> Result<Backend, String> {
    let mut all = Backend::all();
    let found = all.iter().find(|backend| backend.name().eq_ignore_ascii_case(name)).copied();
    all.dedup_by_key(|backend| backend.name());
    let names = || all.iter().map(|backend| format!("\"{}\"", backend.name())).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("expected one of {}", names()))
}

fn arithmetic(name: &str) -> Result<Arithmetic, String> {
    match name {
        "single" => Ok(Arithmetic::Single),
        "half" => Ok(Arithmetic::Half),
        _ => Err("expected single or half".to_owned()),
    }
}

/// Milliseconds: of the process's processor time for one thread, which other work on the machine disturbs least; of the wall clock for more.
#[derive(Clone, Copy)]
struct Clock {
    threads: usize,
    start: Instant,
}

impl Clock {
    fn now(self) -> f64 {
        if self.threads > 1 {
            return self.start.elapsed().as_secs_f64() * 1e3;
        }
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
    }
}

/// # Errors
/// If the model cannot be opened or the input does not fit it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (shape, input) = tensor::read(&args.input)?;
    let clock = Clock { threads: args.threads, start: Instant::now() };
    let start = clock.now();
    let mut ready = Ready::open(&args.source, shape, args.threads, args.float, args.instructions)?;
    let open_ms = clock.now() - start;
    let mut output = ready.answer(&input)?;
    let load_ms = clock.now() - start;
    let mut times = Vec::with_capacity(args.iterations);
    for _ in 0..args.iterations.max(1) {
        let start = clock.now();
        match &mut ready {
            Ready::Integer(engine) => engine.run(&[&input], &mut [&mut output]),
            Ready::Mixed(network) => output = network.run(&input)?,
        }
        times.push(clock.now() - start);
    }
    times.sort_by(f64::total_cmp);
    let (least, median) = (times[0], times[times.len() / 2]);
    if args.json {
        let line = serde_json::json!({
            "open_ms": open_ms, "load_ms": load_ms, "min_ms": least, "median_ms": median,
            "peak_rss_kb": peak_rss_kb()?, "threads": args.threads, "engine": ready.name(),
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Ready::Integer(engine) = &mut ready {
        layers(engine, &input, &mut output, args.iterations.max(1));
    }
    let of = if args.threads == 1 { "processor time" } else { "wall time" };
    println!("engine       {}, {} threads, {} answers, {of}", ready.name(), args.threads, args.iterations);
    println!("open         {open_ms:8.3} ms, with the first answer {load_ms:.3} ms");
    println!("answer       {least:8.3} ms at best, {median:.3} ms in the middle");
    println!("peak memory  {:8.1} MB, the whole process", peak_rss_kb()? as f64 / 1024.0);
    Ok(ExitCode::SUCCESS)
}

/// Least wall time of every chain of layers.
fn layers(engine: &mut Engine, input: &[f32], output: &mut [f32], iterations: usize) {
    let plan = engine.plan().clone();
    let mut least = vec![f64::MAX; plan.program().chains.len()];
    for _ in 0..iterations {
        let mut start = Instant::now();
        engine.watch(&[input], &mut [&mut *output], |chain, _| {
            least[chain] = least[chain].min(start.elapsed().as_secs_f64() * 1e3);
            start = Instant::now();
        });
    }
    let peak = remedis_plan::peak_gmacs(engine.backend());
    println!("{:>9}  {:>7}  {:>5}  layers that run together (peak {peak:.0} GMAC/s a thread)", "ms", "GMAC/s", "share");
    for (links, least) in plan.chains().zip(least) {
        let rate = links.iter().map(|(_, _, n)| n).sum::<u64>() as f64 / least / 1e6;
        let what: Vec<_> = links.iter().map(|(link, size, _)| format!("{} {size}", link.operation.kernel())).collect();
        println!("{least:9.4}  {rate:7.1}  {:4.0}%  {}", 100.0 * rate / peak, what.join(" > "));
    }
    println!();
}

/// The largest resident size that the process had.
fn peak_rss_kb() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.context("/proc/self/status has no VmHWM")
}

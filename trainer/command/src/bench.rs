//! Training steps timed side by side: our kernels, Burn's operations that they replace, and PyTorch.

pub(crate) mod input;
pub(crate) mod ranks;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::ValueEnum;
use remedis_train::bench::{BenchNetwork, Feed, Steps, step_times};
use serde::{Deserialize, Serialize};

use crate::arguments::{BenchArguments, BenchNetworkName, BenchStepsArguments};
use crate::progress::Progress;
use crate::run::{Outcome, use_threads};

/// The twin, which travels inside this program.
const TWIN: &str = include_str!("../../../tools/peers/torch_step.py");
/// Steps of a round of Burn's own operations: each takes seconds.
const BURN_STEPS: u16 = 2;

/// What one process measured.
#[derive(Serialize, Deserialize)]
struct Measured {
    /// Of each step.
    seconds: Vec<f64>,
    /// Largest resident memory of the process; absent where the system does not say.
    peak_mb: Option<f64>,
    /// What computed.
    what: String,
}

/// Who computes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Burn,
    Torch { channels_last: bool },
}

/// A network's times, one entry a round.
struct Times {
    side: Side,
    images_per_s: Vec<f64>,
    peak_mb: Vec<f64>,
    what: String,
}

impl Times {
    fn median(&self) -> f64 {
        median(&self.images_per_s)
    }

    /// Slowest and fastest round.
    fn spread(&self) -> [f64; 2] {
        [self.images_per_s.iter().copied().fold(f64::INFINITY, f64::min), largest(&self.images_per_s)]
    }

    fn peak_mb(&self) -> Option<f64> {
        (!self.peak_mb.is_empty()).then(|| largest(&self.peak_mb))
    }
}

/// One network, as printed. `theirs` is PyTorch in the faster of its two memory layouts.
#[derive(Serialize)]
struct Row {
    model: String,
    ours_images_per_s: f64,
    theirs_images_per_s: Option<f64>,
    ratio: Option<f64>,
    ours_peak_mb: Option<f64>,
    theirs_peak_mb: Option<f64>,
    ours_spread: [f64; 2],
    theirs_spread: Option<[f64; 2]>,
    theirs: Option<String>,
    burn_images_per_s: Option<f64>,
    burn_spread: Option<[f64; 2]>,
    burn_peak_mb: Option<f64>,
    batch: u16,
    size_px: u16,
    threads: u16,
    rounds: u16,
}

pub(crate) fn run(asked: &BenchArguments) -> Result<Outcome> {
    let networks = if asked.networks.is_empty() { BenchNetworkName::value_variants() } else { &asked.networks };
    let mut sides = vec![Side::Ours];
    if asked.against.is_some() {
        sides.extend([Side::Torch { channels_last: false }, Side::Torch { channels_last: true }]);
    }
    if !asked.skip_burn {
        sides.push(Side::Burn);
    }
    let mut progress = Progress::spoken(networks.iter().map(|&network| name(network)).collect())?;
    let mut rows = Vec::new();
    for &network in networks {
        progress.begin(&name(network));
        let fresh = |&side| Times { side, images_per_s: Vec::new(), peak_mb: Vec::new(), what: String::new() };
        let mut times: Vec<Times> = sides.iter().map(fresh).collect();
        let total = sides.len() * usize::from(asked.rounds);
        for done in 0..total {
            progress.count(done, total);
            let place = done % sides.len();
            let times = &mut times[place];
            let measured = measure(times.side, network, asked)?;
            // The first step allocates, packs and warms caches.
            let seconds = median(measured.seconds.get(1..).unwrap_or_default());
            times.images_per_s.push(f64::from(asked.batch) / seconds);
            times.peak_mb.extend(measured.peak_mb);
            times.what = measured.what;
        }
        rows.push(row(network, &times, asked));
    }
    progress.close(true)?;
    if asked.json {
        println!("{}", serde_json::to_string(&rows)?);
    } else {
        print!("{}", table(&rows));
    }
    Ok(Outcome::Done)
}

/// One side's steps in this process; called by [`run`] as a child.
pub(crate) fn steps(asked: &BenchStepsArguments) -> Result<Outcome> {
    use_threads(asked.threads)?;
    if asked.burn {
        remedis_ops::use_burn_alone();
    }
    let [batch, size_px, count] = [asked.batch, asked.size, asked.steps].map(usize::from);
    let times = step_times(network(asked.network), Feed::Noise, Steps { batch, size_px, count }, &Device::flex());
    let seconds = times.iter().map(|time| time.took.as_secs_f64()).collect();
    let what = if asked.burn { "Burn's own operations" } else { "our kernels" }.to_owned();
    println!("{}", serde_json::to_string(&Measured { seconds, peak_mb: peak_mb(), what })?);
    Ok(Outcome::Done)
}

/// Largest resident memory of this process so far, where Linux's `/proc` says.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kb: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kb / 102.4).round() / 10.0)
}

fn measure(side: Side, network: BenchNetworkName, asked: &BenchArguments) -> Result<Measured> {
    let steps = if side == Side::Burn { BURN_STEPS } else { asked.steps };
    let numbers = [("--batch", asked.batch), ("--size", asked.size), ("--threads", asked.threads), ("--steps", steps)];
    let mut command = match side {
        Side::Ours | Side::Burn => {
            let mut command = Command::new(std::env::current_exe().context("finding this program")?);
            command.arg("bench-steps").arg(name(network));
            if side == Side::Burn {
                command.arg("--burn");
            }
            command
        }
        Side::Torch { channels_last } => {
            let python = asked.against.as_deref().context("no Python was given")?;
            let mut command = Command::new(python);
            command.arg("-").arg(name(network));
            if channels_last {
                command.arg("--channels-last");
            }
            command
        }
    };
    command.args(numbers.iter().flat_map(|(name, number)| [(*name).to_owned(), number.to_string()]));
    let given = if matches!(side, Side::Torch { .. }) { TWIN } else { "" };
    answer(&mut command, given).with_context(|| match side {
        Side::Torch { .. } => format!(
            "timing PyTorch's {} with {}; tools/peers/install-torch.sh installs it",
            name(network),
            asked.against.as_deref().unwrap_or(Path::new("python")).display()
        ),
        _ => format!("timing our {}", name(network)),
    })
}

/// The last line that `command` prints when given `input`.
fn answer(command: &mut Command, input: &str) -> Result<Measured> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("the child's standard input")?;
    // A child that ends early shows so in its exit status.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("it ended with {}; what it said is above", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("it printed {line:?} where a line of JSON was expected"))
}

fn row(network: BenchNetworkName, times: &[Times], asked: &BenchArguments) -> Row {
    let of = |wanted: fn(&Side) -> bool| times.iter().filter(move |times| wanted(&times.side));
    let ours = of(|side| *side == Side::Ours).next().expect("our side always runs");
    let burn = of(|side| *side == Side::Burn).next();
    let theirs = of(|side| matches!(side, Side::Torch { .. })).max_by(|a, b| a.median().total_cmp(&b.median()));
    Row {
        model: name(network),
        ours_images_per_s: ours.median(),
        theirs_images_per_s: theirs.map(Times::median),
        ratio: theirs.map(|theirs| ours.median() / theirs.median()),
        ours_peak_mb: ours.peak_mb(),
        theirs_peak_mb: theirs.and_then(Times::peak_mb),
        ours_spread: ours.spread(),
        theirs_spread: theirs.map(Times::spread),
        theirs: theirs.map(|theirs| match theirs.side {
            Side::Torch { channels_last: true } => format!("{}, channels last", theirs.what),
            _ => theirs.what.clone(),
        }),
        burn_images_per_s: burn.map(Times::median),
        burn_spread: burn.map(Times::spread),
        burn_peak_mb: burn.and_then(Times::peak_mb),
        batch: asked.batch,
        size_px: asked.size,
        threads: asked.threads,
        rounds: asked.rounds,
    }
}

/// One line a network and side: median and spread over the rounds, and the peak of memory.
fn table(rows: &[Row]) -> String {
    let mut out = format!("{:<20} {:<52} {:>9}  {:<17} {:>8}\n", "network", "side", "images/s", "spread", "peak MB");
    let mut line = |model: &str, side: &str, median: f64, spread: [f64; 2], peak: Option<f64>| {
        let spread = format!("{:.1} to {:.1}", spread[0], spread[1]);
        let peak = peak.map_or_else(|| "-".to_owned(), |peak| format!("{peak:.0}"));
        out += &format!("{model:<20} {side:<52} {median:>9.1}  {spread:<17} {peak:>8}\n");
    };
    for row in rows {
        let ours = format!("ours, {} threads", row.threads);
        line(&row.model, &ours, row.ours_images_per_s, row.ours_spread, row.ours_peak_mb);
        if let (Some(median), Some(spread)) = (row.burn_images_per_s, row.burn_spread) {
            line("", "before: Burn's own operations", median, spread, row.burn_peak_mb);
        }
        if let (Some(median), Some(spread), Some(ratio)) = (row.theirs_images_per_s, row.theirs_spread, row.ratio) {
            let side = format!("{} (ratio {ratio:.2})", row.theirs.as_deref().unwrap_or("PyTorch"));
            line("", &side, median, spread, row.theirs_peak_mb);
        }
    }
    out
}

fn network(name: BenchNetworkName) -> BenchNetwork {
    match name {
        BenchNetworkName::BitR50x1 => BenchNetwork::BitR50x1,
        BenchNetworkName::Resnet18 => BenchNetwork::Resnet18,
        BenchNetworkName::EfficientnetLite0 => BenchNetwork::EfficientnetLite0,
    }
}

fn name(network: BenchNetworkName) -> String {
    network.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// NaN for no values.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_between_the_two_middles() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_faster_layout_of_pytorch_is_the_one_compared_with() {
        let times = |side, images_per_s: [f64; 2], peak: f64| Times {
            side,
            images_per_s: images_per_s.to_vec(),
            peak_mb: vec![peak],
            what: "it".to_owned(),
        };
        let times = [
            times(Side::Ours, [90.0, 110.0], 5.0),
            times(Side::Torch { channels_last: false }, [40.0, 40.0], 1.0),
            times(Side::Torch { channels_last: true }, [50.0, 50.0], 9.0),
            times(Side::Burn, [2.0, 4.0], 7.0),
        ];
        let asked = BenchArguments {
            against: None,
            networks: Vec::new(),
            batch: 32,
            size: 64,
            threads: 2,
            steps: 3,
            rounds: 2,
            skip_burn: false,
            json: true,
        };
        let row = row(BenchNetworkName::Resnet18, &times, &asked);
        assert_eq!((row.ratio, row.theirs_peak_mb, row.burn_images_per_s), (Some(2.0), Some(9.0), Some(3.0)));
        assert_eq!(row.ours_spread, [90.0, 110.0]);
        assert_eq!(row.theirs.as_deref(), Some("it, channels last"));
        let text = table(&[row]);
        assert!(text.contains("ratio 2.00") && text.contains("90.0 to 110.0"), "{text}");
    }

    #[test]
    fn a_program_that_fails_or_prints_something_else_is_said_so() {
        let error =
            |program: &str| format!("{:#}", answer(Command::new("sh").args(["-c", program]), "").err().unwrap());
        assert!(error("exit 3").contains("exit status: 3"));
        assert!(error("echo hello").contains("\"hello\""));
    }
}

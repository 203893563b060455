//! `remedis run`: answers for image files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use remedis_imaging::{MAX_MEMORY, decode_within};
use remedis_inference::{Decision, GateResult, Model, Prediction, Reason, percent};
use serde::Serialize;

use crate::model::{Ready, Source};
use crate::{bundle, files, tensor};

/// A run that ends sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(2);

/// Arguments of `remedis run`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle; with --input also a plan or an ONNX model
    bundle: PathBuf,
    /// PNG, JPEG or DICOM files, or folders of them
    #[arg(required_unless_present = "input")]
    images: Vec<PathBuf>,
    /// Public key to trust: a .pub file or its base64 line; may be given several times
    #[arg(long = "key", required_unless_present = "input")]
    keys: Vec<String>,
    /// Answer one NumPy file of float32 values, `[1, channel, height, width]`, instead of images: for comparing engines
    #[arg(long, requires = "output", conflicts_with = "images")]
    input: Option<PathBuf>,
    /// Where to write that answer, a NumPy file
    #[arg(long, requires = "input")]
    output: Option<PathBuf>,
    /// Print one JSON object a file
    #[arg(long)]
    json: bool,
    /// Images answered at the same time [default: one a processor]
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: PathBuf,
    #[serde(flatten)]
    answer: Answer,
    /// Names of the probabilities and logits.
    classes: &'a [String],
    latency_ms: f64,
    model_version: String,
    bundle: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Given {
        decision: String,
        /// The class where one was decided.
        class: Option<String>,
        /// Of the nearest class; neither where the picture itself was refused.
        confidence: Option<f32>,
        nearest: Option<String>,
        reason: Option<String>,
        reason_code: Option<&'static str>,
        gates: Vec<Gate>,
        probabilities: Vec<f32>,
        logits: Vec<f32>,
    },
    Failed {
        error: String,
    },
}

/// A gate's result, in the words of `remedis bundle inspect`.
#[derive(Serialize)]
struct Gate {
    name: &'static str,
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
    passed: bool,
}

impl From<&GateResult> for Gate {
    fn from(result: &GateResult) -> Self {
        let GateResult { gate, value, low, high, passed } = *result;
        Self { name: gate.name(), value, low, high, passed }
    }
}

/// # Errors
/// If the bundle is refused or there is no image; a failing image is reported and the others go on (exit 1).
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if let (Some(input), Some(output)) = (&args.input, &args.output) {
        return answer_tensor(args, input, output);
    }
    let files = files::images(&args.images)?;
    let bundle = bundle::open(&args.bundle, &args.keys)?;
    let model = Model::open(&bundle).context("readying the model")?;
    let jobs =
        args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).clamp(1, files.len());
    let progress = progress(files.len(), args.json);
    let mut n_failed = 0;
    let (next, (lines, answers)) = (AtomicUsize::new(0), mpsc::channel());
    std::thread::scope(|scope| -> Result<()> {
        for _ in 0..jobs {
            let (lines, next, files, model, bundle) = (lines.clone(), &next, &files, &model, &bundle);
            scope.spawn(move || {
                while let Some((index, file)) = take(next, files) {
                    let start = Instant::now();
                    let answer = answer(model, file);
                    let line = Line {
                        file: file.clone(),
                        answer,
                        classes: model.classes(),
                        latency_ms: start.elapsed().as_secs_f64() * 1e3,
                        model_version: bundle.manifest().version.clone(),
                        bundle: bundle.digest().to_owned(),
                    };
                    if lines.send((index, line)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(lines);
        // Answers come in any order and are printed in the order of the files.
        let mut waiting = std::collections::BTreeMap::new();
        let mut printed = 0;
        let start = Instant::now();
        for (index, line) in answers {
            waiting.insert(index, line);
            while let Some(line) = waiting.remove(&printed) {
                n_failed += usize::from(matches!(line.answer, Answer::Failed { .. }));
                progress.suspend(|| show(&line, args.json))?;
                printed += 1;
                if start.elapsed() > PATIENCE {
                    progress.set_position(printed as u64);
                }
            }
        }
        Ok(())
    })?;
    progress.finish_and_clear();
    if n_failed > 0 {
        eprintln!("{n_failed} of {} images could not be answered", files.len());
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

/// The model's output for one prepared input.
fn answer_tensor(args: &Args, input: &Path, output: &Path) -> Result<ExitCode> {
    let (shape, values) = tensor::read(input)?;
    let source = Source { model: args.bundle.clone(), keys: args.keys.clone() };
    let mut ready = Ready::open(&source, shape, 1, None, None)?;
    let answer = ready.answer(&values)?;
    tensor::write(output, &[1, answer.len() as u64], &answer)?;
    Ok(ExitCode::SUCCESS)
}

fn take<'a>(next: &AtomicUsize, files: &'a [PathBuf]) -> Option<(usize, &'a PathBuf)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    files.get(index).map(|file| (index, file))
}

fn answer(model: &Model, file: &Path) -> Answer {
    let depth = model.manifest().preprocessing.depth_bits;
    let predict = || anyhow::Ok(model.predict(&decode_within(&std::fs::read(file)?, depth, MAX_MEMORY)?)?);
    // One bad file must not end the answers for the others.
    let prediction = catch_unwind(AssertUnwindSafe(predict))
        .unwrap_or_else(|_panic| Err(anyhow::anyhow!("the program failed on this file; please report it")));
    match prediction {
        Ok(Prediction { logits, probabilities, gates, decision }) => {
            let said = decision.name().to_owned();
            let (class, best, reason) = match decision {
                Decision::Class { name, confidence, .. } => (Some(name.clone()), Some((name, confidence)), None),
                Decision::CannotSay { reason, best } => {
                    (None, best.map(|best| (best.name, best.confidence)), Some(reason))
                }
            };
            let (nearest, confidence) = best.unzip();
            let (reason_code, reason) = (reason.as_ref().map(Reason::code), reason.as_ref().map(Reason::to_string));
            let gates = gates.iter().map(Gate::from).collect();
            Answer::Given {
                decision: said,
                class,
                confidence,
                nearest,
                reason,
                reason_code,
                gates,
                probabilities,
                logits,
            }
        }
        Err(error) => Answer::Failed { error: format!("{error:#}") },
    }
}

fn show(line: &Line, json: bool) -> Result<()> {
    let file = line.file.display();
    let text = match &line.answer {
        _ if json => serde_json::to_string(line)?,
        Answer::Given { decision, reason, confidence, nearest, .. } => match (reason, confidence, nearest) {
            (None, Some(confidence), _) => format!("{file}: {decision} ({})", percent(f64::from(*confidence))),
            (Some(reason), _, Some(nearest)) => format!("{file}: {decision}: {reason} (nearest: {nearest})"),
            (reason, ..) => format!("{file}: {decision}: {}", reason.as_deref().unwrap_or_default()),
        },
        Answer::Failed { error } => {
            eprintln!("{file}: error: {error}");
            return Ok(());
        }
    };
    println!("{text}");
    Ok(())
}

/// A bar on a terminal; nothing where the lines themselves show progress.
fn progress(length: usize, json: bool) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    if json || !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} images, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

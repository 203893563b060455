//! A model from whatever file holds it: a plan, an ONNX file, or a bundle.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use remedis_inference::{Arithmetic, Network};
use remedis_plan::onnx::{self, Outcome, Reading, Value};
use remedis_plan::{Backend, Engine, Family, MAGIC, Plan, Shape};

use crate::bundle;

/// A model file, and what is needed to open it.
#[derive(clap::Args)]
pub(crate) struct Source {
    /// A plan, an ONNX model, or a bundle (with --key)
    pub(crate) model: PathBuf,
    /// Public key that a bundle is trusted with: a .pub file or its base64 line; may be given several times
    #[arg(long = "key")]
    pub(crate) keys: Vec<String>,
}

/// What a file held.
pub(crate) enum Held {
    /// Ready to run.
    Plan(Plan),
    /// The bytes of an ONNX model.
    Onnx(Vec<u8>),
}

impl Source {
    /// # Errors
    /// If the file cannot be read, is a plan that is refused, or a bundle that is not trusted.
    pub(crate) fn read(&self) -> Result<Held> {
        let path = &self.model;
        let mut first = [0; MAGIC.len()];
        let file = std::fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut first));
        file.with_context(|| format!("reading {}", path.display()))?;
        if first == MAGIC {
            let plan = Plan::open(path).with_context(|| format!("opening plan {}", path.display()))?;
            plan.check_family().with_context(|| format!("opening plan {}", path.display()))?;
            return Ok(Held::Plan(plan));
        }
        if first.starts_with(&remedis_bundle::MAGIC) {
            if self.keys.is_empty() {
                bail!("{} is a bundle: name the key that it is trusted with (--key)", path.display());
            }
            return Ok(Held::Onnx(bundle::open(path, &self.keys)?.model().to_vec()));
        }
        Ok(Held::Onnx(std::fs::read(path).with_context(|| format!("reading {}", path.display()))?))
    }
}

/// Reads an ONNX model.
///
/// # Errors
/// If it is none.
pub(crate) fn read(onnx: &[u8], path: &Path) -> Result<Reading> {
    onnx::read(onnx).with_context(|| format!("reading {}", path.display()))
}

/// Plans an ONNX model for `family`, whole.
///
/// # Errors
/// If a node has no integer kernel, which is named, or the file leaves the size of an input open.
pub(crate) fn plan(reading: &Reading, family: Family, path: &Path) -> Result<Plan> {
    let Some(graph) = reading.whole() else {
        let floats: Vec<String> = floats(reading).map(|(name, why)| format!("{name}: {why}")).collect();
        bail!(
            "{} does not run wholly in integers, which a plan needs; these nodes have no integer kernel: {}",
            path.display(),
            floats.join("; ")
        );
    };
    let shapes: Option<Vec<Shape>> = reading.inputs.iter().map(shape).collect();
    let shapes = shapes.with_context(|| format!("{} does not say how large its input is", path.display()))?;
    Plan::compile(graph, &shapes, family).with_context(|| format!("planning {}", path.display()))
}

/// Nodes that run in float, and why.
pub(crate) fn floats(reading: &Reading) -> impl Iterator<Item = (&str, &str)> {
    reading.nodes.iter().filter_map(|node| match &node.outcome {
        Outcome::Float { reason } => Some((node.name.as_str(), reason.as_str())),
        _ => None,
    })
}

/// Size of a value of `[1, channel, height, width]` or `[1, channel]`; an open first size is one.
pub(crate) fn shape(value: &Value) -> Option<Shape> {
    let mut sizes = value.dims.as_ref()?.iter();
    if sizes.next()?.is_some_and(|batch| batch != 1) {
        return None;
    }
    let sizes: Option<Vec<usize>> = sizes.copied().collect();
    match sizes?[..] {
        [channels, height, width] => Some(Shape { height, width, channels }),
        [channels] => Some(Shape { height: 1, width: 1, channels }),
        _ => None,
    }
}

/// A model that answers.
pub(crate) enum Ready {
    /// In integers.
    Integer(Box<Engine>),
    /// With operations in float, by tract.
    Mixed(Network),
}

impl Ready {
    /// Opens a model for one input of `shape`; what has no integer kernel runs in float, and is named on standard error.
    ///
    /// # Errors
    /// If the model cannot be read, does not read such an input, or is a plan for other instructions.
    pub(crate) fn open(
        source: &Source,
        shape: Shape,
        threads: usize,
        float: Option<Arithmetic>,
        instructions: Option<Backend>,
    ) -> Result<Self> {
        let path = &source.model;
        let backend = instructions.unwrap_or_else(Backend::detect);
        let plan = match source.read()? {
            Held::Plan(plan) => plan,
            Held::Onnx(onnx) => {
                let reading = read(&onnx, path)?;
                if float.is_some() || reading.whole().is_none() {
                    if threads > 1 {
                        bail!("a model with operations in float runs on one thread: leave --threads out");
                    }
                    let output = reading.outputs.first().and_then(self::shape);
                    let n_outputs = output.context("the model does not say how many values it gives")?.volume();
                    let dims = [shape.channels, shape.height, shape.width];
                    let network = if let Some(arithmetic) = float {
                        Network::load_float(&onnx, arithmetic, dims, n_outputs)
                    } else {
                        floats(&reading).for_each(|(node, why)| eprintln!("{node} runs in float: {why}"));
                        Network::load(&onnx, dims, n_outputs)
                    };
                    return Ok(Self::Mixed(network.with_context(|| format!("loading {}", path.display()))?));
                }
                plan(&reading, backend.family(), path)?
            }
        };
        let program = plan.program();
        if program.inputs.len() != 1 || program.inputs[0].shape != shape || program.outputs.len() != 1 {
            bail!("{} reads {:?}, the input is {shape:?}", path.display(), program.inputs);
        }
        let (found, wanted) = (program.family, backend.family());
        if found != wanted {
            bail!(
                "{} is for {} processors, expected {}: name the ONNX model",
                path.display(),
                found.name(),
                wanted.name()
            );
        }
        Ok(Self::Integer(Box::new(Engine::on(plan, backend, threads))))
    }

    /// # Errors
    /// If tract fails.
    pub(crate) fn answer(&mut self, input: &[f32]) -> Result<Vec<f32>> {
        match self {
            Self::Integer(engine) => {
                let mut output = vec![0.0; engine.plan().program().outputs[0].shape.volume()];
                engine.run(&[input], &mut [&mut output]);
                Ok(output)
            }
            Self::Mixed(network) => Ok(network.run(input)?),
        }
    }

    /// What runs it, in words.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Integer(engine) => format!("integer, {}", engine.backend().name()),
            Self::Mixed(network) => network.engine().to_owned(),
        }
    }
}

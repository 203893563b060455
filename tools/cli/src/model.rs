//! A model from whatever file holds it: a plan, an ONNX file, or a bundle.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use remedis_plan::onnx::Reading;
use remedis_plan::{Family, MAGIC, Plan, Shape};

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

/// Plans an ONNX model for `family`, whole.
///
/// # Errors
/// If a node has no integer kernel, which is named.
pub(crate) fn plan(onnx: &[u8], family: Family, path: &Path) -> Result<Plan> {
    let reading = Reading::of(onnx).with_context(|| format!("reading {}", path.display()))?;
    let Some(graph) = reading.whole() else {
        let floats: Vec<String> = reading.floats().map(|(name, why)| format!("{name}: {why}")).collect();
        bail!(
            "{} does not run wholly in integers, which a plan needs; these nodes have no integer kernel: {}",
            path.display(),
            floats.join("; ")
        );
    };
    let shapes = reading.input_shapes().with_context(|| format!("reading {}", path.display()))?;
    let shapes: Vec<Shape> = shapes.iter().map(|[channels, height, width]| Shape { height: *height, width: *width, channels: *channels }).collect();
    Plan::compile(graph, &shapes, family).with_context(|| format!("planning {}", path.display()))
}

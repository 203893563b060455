//! The plan of a bundle's model: made once on this device, then mapped at every start.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use remedis_bundle::Bundle;
use remedis_inference::{Model, OpenModelError};
use remedis_plan::{Backend, OpenPlanError, Plan};

use crate::pipeline::judge::chain;

/// Where the plan of a model came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readied {
    /// A node has no integer kernel: the model runs in float and has no plan.
    Float,
    /// It was kept from an earlier start.
    Kept {
        /// Its file.
        path: PathBuf,
    },
    /// It was made from the model in the bundle.
    Made {
        /// What was wrong with the one that was kept.
        instead_of: Option<String>,
        /// Its file, or why it could not be kept. `None` where no folder is set.
        path: Option<Result<PathBuf, String>>,
    },
}

impl fmt::Display for Readied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float => write!(formatter, "the model runs in float, without a plan: `remedis inspect` says why"),
            Self::Kept { path } => write!(formatter, "plan kept in {}", path.display()),
            Self::Made { instead_of, path } => {
                write!(formatter, "plan made from the model in the bundle")?;
                if let Some(reason) = instead_of {
                    write!(formatter, ", because of the one that was kept: {reason}")?;
                }
                match path {
                    Some(Ok(path)) => write!(formatter, "; now kept in {}", path.display()),
                    Some(Err(reason)) => {
                        write!(formatter, "; it cannot be kept and is made again at every start: {reason}")
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

/// Readies a bundle's model, with the plan in `folder` where there is one that is whole, of this version, for this processor and
/// right by the golden vectors; otherwise from the bundle, and keeps it there.
///
/// # Errors
/// If the model in the bundle cannot be readied.
pub fn ready(bundle: &Bundle, folder: Option<&Path>) -> Result<(Model, Readied), OpenModelError> {
    let path =
        folder.map(|folder| folder.join(format!("{}.{}.plan", bundle.digest(), Backend::detect().family().name())));
    let kept = path.as_deref().map_or(Ok(None), |path| kept(bundle, path));
    let instead_of = match (kept, &path) {
        (Ok(Some(model)), Some(path)) => return Ok((model, Readied::Kept { path: path.clone() })),
        (Ok(_), _) => None,
        (Err(reason), _) => Some(reason),
    };
    let Some(plan) = Model::plan(bundle)? else { return Ok((Model::open(bundle)?, Readied::Float)) };
    let model = Model::open_plan(bundle, plan.clone())?;
    let path = path.map(|path| keep(&plan, &path).map(|()| path));
    Ok((model, Readied::Made { instead_of, path }))
}

/// The model by the plan at `path`; `None` where there is none.
fn kept(bundle: &Bundle, path: &Path) -> Result<Option<Model>, String> {
    let plan = match Plan::open(path).and_then(|plan| plan.check_family().map(|()| plan)) {
        Ok(plan) => plan,
        Err(OpenPlanError::Read(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(chain(&error)),
    };
    Model::open_plan(bundle, plan).map(Some).map_err(|error| chain(&error))
}

fn keep(plan: &Plan, path: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| plan.write(path))
        .map_err(|error| format!("{}: {error}", path.display()))
}

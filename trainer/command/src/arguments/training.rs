//! Arguments of the verbs that train, and of those that look before.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use remedis_train::Precision;

use super::{DeviceName, Devices, Recipe};

/// On what, by which plan and where: of every verb that trains, and of `check`.
#[derive(Args)]
pub(crate) struct Given {
    /// Plan file (see `remedis-train plan`); instead of --recipe
    #[arg(conflicts_with = "recipe")]
    pub(crate) plan: Option<PathBuf>,
    /// Images of the hospital with labels: a folder with labels.csv, a folder per class, a zip, or a folder of prepared images (see
    /// `remedis-train prepare`)
    #[arg(long, value_name = "SET")]
    pub(crate) data: PathBuf,
    /// Images of another hospital, joined by class name
    #[arg(long, value_name = "SET")]
    pub(crate) shifted: Option<PathBuf>,
    /// Labelled natural images to start from [default: start from noise]
    #[arg(long, value_name = "SET")]
    pub(crate) natural: Option<PathBuf>,
    /// Weights for the plan's backbone to start from instead: safetensors, PyTorch's .pth, BiT's .npz, or a checkpoint of ours
    #[arg(long, value_name = "FILE", conflicts_with = "natural")]
    pub(crate) start: Option<PathBuf>,
    /// Which built-in plan
    #[arg(long, value_enum, default_value = "demo")]
    pub(crate) recipe: Recipe,
    /// Where to compute: cpu, ndarray, cuda, cuda:N or wgpu (those that this program was built with); several GPUs of this host
    /// share every batch: cuda:0,1 or cuda:all
    #[arg(long, default_value = "cpu")]
    pub(crate) device: Devices,
    /// Threads; the result does not depend on it [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Overrides the plan's precision: the type in which networks compute while they are trained
    #[arg(long, value_enum)]
    pub(crate) precision: Option<PrecisionName>,
    /// Overrides the plan's seed
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Unreadable files of a set to leave out and list in OUT/quarantine.jsonl; more of them end the run [default: 10, or one in a
    /// thousand if that is more: a few are bad sectors, more are a broken copy or a format that is not read]
    #[arg(long, value_name = "N")]
    pub(crate) bad_files: Option<u32>,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) given: Given,
    /// Folder for everything the run writes
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Longest time between two checkpoints, which is what a crash loses; 0 saves after every step
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) save_every: u32,
    /// Checkpoints kept of the stage under way, the newest: with two, one that the disk lost costs minutes, not the stage
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) keep_checkpoints: u8,
    /// Secret key that signs the bundle [default: a new one in OUT/keys]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Begin even if the estimate says that memory will not do
    #[arg(long)]
    pub(crate) ignore_memory: bool,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) progress: ProgressForm,
    /// Print results.json to standard output at the end, instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) given: Given,
    /// Leave out the steps that are timed, which take a minute or so
    #[arg(long)]
    pub(crate) skip_steps: bool,
    /// Print one JSON object, instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// In what networks compute while they are trained; weights, statistics, losses and evaluation have 32 bits always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionName {
    /// 32 bits
    F32,
    /// bfloat16, for GPUs that have it
    Bf16,
    /// Half precision with a loss scale that moves, for GPUs without bfloat16
    F16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
            PrecisionName::F16 => Self::F16,
        }
    }
}

#[derive(Args)]
pub(crate) struct DoctorArguments {
    /// Device that a run would compute on
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceName,
    /// Folder that a run would write to
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) out: PathBuf,
    /// Threads that a run would use [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Print one JSON object, instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// One redrawn block on a terminal, plain lines elsewhere
    Auto,
    /// A plain line every ten seconds
    Plain,
    /// A JSON object a line: every step as in metrics.jsonl, stages and notes
    Json,
}

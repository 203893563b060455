//! What can be typed. Whatever decides a result is in the plan; here are only paths, the device and how to speak.

mod device;
mod training;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use remedis_imaging::Depth;

pub(crate) use device::{DeviceName, Devices};
pub(crate) use training::{CheckArguments, DoctorArguments, Given, ProgressForm, RunArguments};

/// Train with REMEDIS: natural images, unlabelled medical images, few labels, a new site, a small int8 model in a signed bundle.
#[derive(Parser)]
#[command(name = "remedis-train", version, about, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Say what this machine offers: processor, memory, disk, devices, a measured rate
    Doctor(DoctorArguments),
    /// Audit the image sets and the plan, estimate memory and time; trains nothing, exits 1 on leaks
    Check(CheckArguments),
    /// Decode and resize an image set once, into a folder that later runs read at the speed of memory
    Prepare(PrepareArguments),
    /// Run every stage into a folder; the same command resumes what was interrupted
    #[command(mut_arg("shifted", |shifted| shifted.required(true)))]
    Run(RunArguments),
    /// As run, but end after the supervised stage on natural images
    #[command(mut_arg("natural", |natural| natural.required(true)))]
    Pretrain(RunArguments),
    /// As run, but end after the contrastive stage on unlabelled images
    Contrast(RunArguments),
    /// As run, but end after fine-tuning on few labels (and, with --shifted, on the new site's)
    Finetune(RunArguments),
    /// As run, but end after the student has learned from its teacher
    Distill(RunArguments),
    /// As run, but end with float.onnx, int8.onnx and the signed bundle: no results.json, no report
    Export(RunArguments),
    /// Write a recipe as a plan file, every number with its reason, to read and change
    Plan(PlanArguments),
    /// Bring weights that others trained to eight bits, and say how often they still decide the same
    Quantize(QuantizeArguments),
    /// Write report.html of a finished run again
    Report(ReportArguments),
    /// Time training steps on this machine's processor, side by side with PyTorch where it is given
    Bench(BenchArguments),
    /// Time the making of contrastive pairs from JPEG files, side by side with torchvision where it is given
    BenchInput(BenchInputArguments),
    /// Time contrastive steps shared by processes of an MPI launcher, side by side with one process of as many threads
    BenchRanks(BenchRanksArguments),
    /// One side of a bench, in a process of its own so that its memory is its own
    #[command(hide = true)]
    BenchSteps(BenchStepsArguments),
    /// One side of `bench-ranks`
    #[command(hide = true)]
    BenchRankSteps(BenchRankStepsArguments),
}

#[derive(Args)]
pub(crate) struct BenchArguments {
    /// A Python that can import torch (see tools/peers/install-torch.sh), to time beside us
    #[arg(long, value_name = "PYTHON")]
    pub(crate) against: Option<PathBuf>,
    /// Networks to time [default: all]
    #[arg(long = "network", value_enum)]
    pub(crate) networks: Vec<BenchNetworkName>,
    /// Images in a step
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) batch: u16,
    /// Side of the images in pixels
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(32..=1024))]
    pub(crate) size: u16,
    /// Threads on either side
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: u16,
    /// Steps of a round, the first of which is not counted
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) steps: u16,
    /// Rounds; each runs every side once, one after the other
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: u16,
    /// Leave out Burn's own operations, which are what our kernels replace and take long
    #[arg(long)]
    pub(crate) skip_burn: bool,
    /// Print one JSON array of rows as the last line, instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct BenchInputArguments {
    /// JPEG files: a folder of them, or an image set
    #[arg(long, value_name = "SET")]
    pub(crate) images: PathBuf,
    /// How many of them
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) files: u16,
    /// A Python that can import torchvision (see tools/peers/install-torch.sh), to time beside us
    #[arg(long, value_name = "PYTHON")]
    pub(crate) against: Option<PathBuf>,
    /// Side of the views in pixels
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(32..=1024))]
    pub(crate) size: u16,
    /// Rounds; each makes every pair once on one core of either side
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: u16,
    /// Threads of the steps that are fed
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: u16,
    /// Views in a step
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) batch: u16,
    /// Steps of each network that are counted
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) steps: u16,
    /// Print one JSON object as the last line, instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct BenchRanksArguments {
    /// Processes on this machine, one thread each
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) ranks: u16,
    /// What starts them
    #[arg(long, value_name = "PROGRAM", default_value = "mpirun")]
    pub(crate) launcher: PathBuf,
    #[command(flatten)]
    pub(crate) steps: RankSteps,
    /// Rounds; each runs both sides once, one after the other
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: u16,
    /// Print one JSON object as the last line, instead of sentences
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct BenchRankStepsArguments {
    #[arg(long)]
    pub(crate) threads: u16,
    #[command(flatten)]
    pub(crate) steps: RankSteps,
}

/// The contrastive steps that are timed.
#[derive(Args)]
pub(crate) struct RankSteps {
    /// Backbone
    #[arg(long, value_enum, default_value = "bit-small")]
    pub(crate) backbone: RankBackbone,
    /// Pairs in a step, of all ranks together
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) pairs: u16,
    /// Side of the views in pixels
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(32..=1024))]
    pub(crate) size: u16,
    /// Steps of a round, the first of which is not counted
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) count: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RankBackbone {
    /// The small BiT of the demo
    BitSmall,
    /// BiT ResNet-50x1
    BitR50x1,
}

#[derive(Args)]
pub(crate) struct BenchStepsArguments {
    #[arg(value_enum)]
    pub(crate) network: BenchNetworkName,
    #[arg(long)]
    pub(crate) batch: u16,
    #[arg(long)]
    pub(crate) size: u16,
    #[arg(long)]
    pub(crate) threads: u16,
    #[arg(long)]
    pub(crate) steps: u16,
    /// Burn's operations instead of our kernels
    #[arg(long)]
    pub(crate) burn: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchNetworkName {
    /// BiT ResNet-50x1
    BitR50x1,
    /// ResNet-18
    Resnet18,
    /// EfficientNet-Lite0
    EfficientnetLite0,
}

#[derive(Args)]
pub(crate) struct PlanArguments {
    /// Which built-in plan
    #[arg(long, value_enum, default_value = "demo")]
    pub(crate) recipe: Recipe,
    /// File to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct PrepareArguments {
    /// Images to prepare: a folder with labels.csv, a folder per class, or a zip
    #[arg(long, value_name = "SET")]
    pub(crate) data: PathBuf,
    /// Side of the network's input in pixels, as input.size_px of the plan; up to twice that is kept, to draw crops from
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u16).range(16..=2048))]
    pub(crate) size: u16,
    /// Channels of the network's input, as input.channels of the plan
    #[arg(long, value_enum, default_value = "rgb")]
    pub(crate) channels: ChannelsName,
    /// Bits of a sample, 8 or 16, as input.depth_bits of the plan; 16 with --channels grey
    #[arg(long, value_name = "BITS", default_value = "8", value_parser = depth)]
    pub(crate) depth: Depth,
    /// Folder to write; it may then stand wherever a SET may. The same command goes on with what was interrupted
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Threads; the result does not depend on it [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Print one JSON object as the last line, instead of sentences
    #[arg(long)]
    pub(crate) json: bool,
}

fn depth(text: &str) -> Result<Depth, String> {
    let bits: u8 = text.parse().map_err(|_not_a_number| "expected 8 or 16".to_owned())?;
    Depth::try_from(bits).map_err(|error| error.to_string())
}

/// Colour of a network's input.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChannelsName {
    /// Red, green, blue
    Rgb,
    /// One channel
    Grey,
}

#[derive(Args)]
pub(crate) struct QuantizeArguments {
    /// Float weights: safetensors with PyTorch's tensor names
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: PathBuf,
    /// Network that the weights are for; it decides how pixels are normalised
    #[arg(long, value_enum)]
    pub(crate) architecture: Architecture,
    /// Images: a folder with labels.csv, a folder per class, a zip, or a folder of prepared images; labels are not used
    #[arg(long, value_name = "SET")]
    pub(crate) images: PathBuf,
    /// Side of the network's input in pixels; images are scaled and cropped to it
    #[arg(long, value_parser = clap::value_parser!(u16).range(16..=2048))]
    pub(crate) size: u16,
    /// Images to measure activation ranges on, evenly from the train and val splits
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) calibration: u32,
    /// Images to compare decisions on, evenly from the test split; 0 compares none
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) evaluation: u32,
    /// Share of each activation's values to keep, per side; 100 keeps all, less clips what is rare
    #[arg(long, value_name = "PERCENT", default_value_t = 99.99)]
    pub(crate) percentile: f64,
    /// Quantised ONNX file (QDQ) to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Float ONNX file to write as well, its weights rounded to half precision, which halves it
    #[arg(long, value_name = "FILE")]
    pub(crate) half: Option<PathBuf>,
    /// Folder for both models, a few images and their logits, as tools/peers/agree.py reads it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) sample: Option<PathBuf>,
    /// Print the results as JSON to standard output, instead of sentences
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ReportArguments {
    /// Folder of a finished run
    #[arg(value_name = "OUT")]
    pub(crate) folder: PathBuf,
    /// File to write [default: report.html in the folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave out the images of the sets, so that the report may go where they may not
    #[arg(long)]
    pub(crate) without_pictures: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Recipe {
    /// Synthetic cells, minutes on two cores
    Demo,
    /// Real blood cells, about 20 minutes on two cores
    Real,
    /// Every stage in seconds; shapes are real, scores are not
    Tiny,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Architecture {
    /// EfficientNet-Lite0 with the tensor names of EfficientNet-PyTorch, of any number of classes
    EfficientnetLite0,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    fn refusal(line: &str) -> Option<String> {
        Arguments::try_parse_from(line.split(' ')).err().map(|error| error.to_string())
    }

    #[test]
    fn only_a_whole_run_needs_another_hospital_and_only_pretraining_natural_images() {
        assert!(refusal("remedis-train run --data a --out c").is_some_and(|error| error.contains("--shifted")));
        assert!(refusal("remedis-train pretrain --data a --out c").is_some_and(|error| error.contains("--natural")));
        for verb in ["contrast", "finetune", "distill", "export"] {
            assert_eq!(refusal(&format!("remedis-train {verb} --data a --out c")), None);
        }
    }

    #[test]
    fn a_plan_file_and_a_recipe_exclude_each_other() {
        let line = "remedis-train run plan.toml --recipe tiny --data a --shifted b --out c";
        let error = Arguments::try_parse_from(line.split(' ')).err().expect("a refusal").to_string();
        assert!(error.contains("cannot be used with"), "{error}");
    }
}

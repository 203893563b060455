//! `remedis-train quantize`: weights that others trained, in eight bits, and how often they still decide the same.
//!
//! Decisions in eight bits are those of the integer reference, whose bits every engine gives; in float those of the float
//! reference, checked against the network itself.

use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use clap::ValueEnum;
use remedis_data::{Index, Split};
use remedis_export::{FloatGraph, QuantGraph, calibrate_images, correct_biases, float_graph, quantise, write_onnx};
use remedis_imaging::{Channels, Depth, Preprocessing, Resize};
use remedis_metrics::{Interval, argmax, wilson};
use remedis_model::{InvertedResidualConfig, InvertedResidualNet, efficientnet_classes, import_efficientnet};
use remedis_train::{Detail, Pool};
use serde::Serialize;

use crate::arguments::{Architecture, QuantizeArguments};
use crate::progress::Progress;
use crate::run::Outcome;
use crate::run::folder::write_atomic;
use crate::run::ship::{EXPORT_TOLERANCE, evenly, largest_difference};

/// Images between two reports of progress; more would only take memory.
const CHUNK: usize = 16;
/// Images on which the exported graph is checked against the network.
const N_CHECKED: usize = 2;
/// Calibration images on which biases are corrected: means need fewer images than extremes do.
const N_CORRECTED: usize = 32;
/// Images of a sample for peers.
const N_SAMPLED: usize = 16;

/// What was done and found.
#[derive(Debug, Serialize)]
struct Quantised {
    architecture: String,
    /// Channels, rows, columns.
    input: [usize; 3],
    n_classes: usize,
    n_calibration_images: usize,
    percentile: f64,
    n_evaluation_images: usize,
    /// Images on which both forms choose one class.
    n_agree: usize,
    /// Their share with its 95 % interval; absent where nothing was compared.
    agreement: Option<Interval>,
    /// Power of the float logits over the power of their change in eight bits.
    signal_to_noise_db: Option<f64>,
    float_bytes: usize,
    /// Of the file with weights in half precision, if asked for.
    half_bytes: Option<usize>,
    int8_bytes: usize,
}

/// Decisions of both forms on the evaluation images.
#[derive(Default)]
struct Comparison {
    n: usize,
    n_agree: usize,
    signal: f64,
    noise: f64,
}

/// `remedis-train quantize`.
pub(crate) fn run(arguments: &QuantizeArguments) -> Result<Outcome> {
    let mut progress = Progress::spoken(["load", "calibrate", "quantise", "compare"].map(str::to_owned).to_vec())?;
    progress.begin("load");
    let network = arguments.architecture.import(&arguments.weights)?;
    let preprocessing = arguments.architecture.preprocessing(arguments.size);
    let [calibration, evaluation] = pools(arguments, &preprocessing)?;
    progress.begin("calibrate");
    let float = exported(&network, &calibration, &preprocessing)?;
    let ranges = calibrate_images(&float, &calibration.images.to_vec(), &preprocessing, arguments.percentile)
        .context("calibrating on --images")?;
    progress.begin("quantise");
    let int8 = quantise(&float, &ranges).context("quantising the network")?;
    let seen = calibration.subset(&evenly(calibration.len(), N_CORRECTED)).prepared(&preprocessing);
    let int8 = correct_biases(&float, int8, &seen);
    let file = write_onnx(&int8);
    write_atomic(&arguments.output, &file)?;
    if let Some(folder) = &arguments.sample {
        let sample = evaluation.subset(&evenly(evaluation.len(), N_SAMPLED)).prepared(&preprocessing);
        remedis_export::agreement::write_sample(folder, &float, &int8, &sample)
            .with_context(|| format!("writing the sample {}", folder.display()))?;
    }
    let half = arguments.half.as_ref().map(|output| {
        let file = write_onnx(&float.clone().rounded_to_half());
        write_atomic(output, &file).map(|()| file.len())
    });
    progress.begin("compare");
    let comparison = Comparison::of(&float, &int8, &evaluation, &preprocessing, &mut progress);
    progress.close(true)?;
    let results = Quantised {
        architecture: arguments.architecture.name(),
        input: float.input,
        n_classes: float.n_logits(),
        n_calibration_images: calibration.len(),
        percentile: arguments.percentile,
        n_evaluation_images: comparison.n,
        n_agree: comparison.n_agree,
        agreement: wilson(comparison.n_agree as u64, comparison.n as u64),
        signal_to_noise_db: comparison.signal_to_noise_db(),
        float_bytes: write_onnx(&float).len(),
        half_bytes: half.transpose()?,
        int8_bytes: file.len(),
    };
    speak(arguments, &results)?;
    Ok(Outcome::Done)
}

impl Architecture {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The network with the weights of `file`.
    fn import(self, file: &Path) -> Result<InvertedResidualNet> {
        let bytes = std::fs::read(file).with_context(|| format!("reading the weights {}", file.display()))?;
        let Self::EfficientnetLite0 = self;
        let import = || {
            let config = InvertedResidualConfig::efficientnet_lite0(efficientnet_classes(&bytes)?);
            import_efficientnet(config.init(&Device::flex(), 0), &bytes)
        };
        import().with_context(|| format!("importing {} as {}", file.display(), self.name()))
    }

    /// How the network was trained to see: `(pixel - 127) / 128`.
    fn preprocessing(self, size: u16) -> Preprocessing {
        let Self::EfficientnetLite0 = self;
        Preprocessing {
            width: size.into(),
            height: size.into(),
            channels: Channels::Rgb,
            depth_bits: Depth::Eight,
            resize: Resize::CentreCrop,
            mean: vec![127.0 / 255.0; 3],
            std: vec![128.0 / 255.0; 3],
        }
    }
}

/// Images to calibrate and to evaluate on, from different splits.
fn pools(arguments: &QuantizeArguments, preprocessing: &Preprocessing) -> Result<[Pool; 2]> {
    let path = &arguments.images;
    let index = Index::open(path).with_context(|| format!("opening the images {}", path.display()))?;
    index.suits(preprocessing).with_context(|| format!("--images {}", path.display()))?;
    let load = |is_test: bool, wanted: u32| {
        let rows: Vec<usize> =
            (0..index.rows.len()).filter(|&row| (index.rows[row].split == Split::Test) == is_test).collect();
        if rows.is_empty() && wanted > 0 {
            let (needs, found) = if is_test { ("a test", "no test") } else { ("a train or val", "only test") };
            bail!("{} needs {needs} split, found {found} images; change its labels.csv", path.display());
        }
        let rows: Vec<usize> = evenly(rows.len(), wanted as usize).into_iter().map(|at| rows[at]).collect();
        let (pool, bad) = Pool::load(&index, &rows, preprocessing, Detail::Input, &[]);
        match bad.first() {
            Some(bad) => bail!("loading {}: {bad}; remove the row or repair the file", path.display()),
            None => Ok(pool),
        }
    };
    Ok([load(false, arguments.calibration)?, load(true, arguments.evaluation)?])
}

/// The float graph of `network`, checked to give the network's own logits.
fn exported(network: &InvertedResidualNet, images: &Pool, preprocessing: &Preprocessing) -> Result<FloatGraph> {
    let input @ [channels, height, width] =
        [preprocessing.channels.count(), preprocessing.height as usize, preprocessing.width as usize];
    let float = float_graph(&network.layers(), input);
    let sample = images.subset(&evenly(images.len(), N_CHECKED)).prepared(preprocessing);
    let x = TensorData::new(sample.concat(), [sample.len(), channels, height, width]);
    let logits = network.forward(Tensor::from_data(x, &Device::flex())).into_data();
    let logits: Vec<f32> = logits.try_to_vec().context("reading the network's logits")?;
    let difference = largest_difference(&[logits], &[float.run_all(&sample).concat()]);
    if difference.is_nan() || difference > EXPORT_TOLERANCE {
        bail!("the exported network differs from the imported one by {difference}, expected below {EXPORT_TOLERANCE}");
    }
    Ok(float)
}

impl Comparison {
    fn of(
        float: &FloatGraph,
        int8: &QuantGraph,
        images: &Pool,
        preprocessing: &Preprocessing,
        progress: &mut Progress,
    ) -> Self {
        let mut comparison = Self::default();
        let positions: Vec<usize> = (0..images.len()).collect();
        for chunk in positions.chunks(CHUNK) {
            let prepared = images.subset(chunk).prepared(preprocessing);
            for (real, stored) in float.run_all(&prepared).iter().zip(&int8.run_all(&prepared)) {
                comparison.add(real, stored);
            }
            progress.count(comparison.n, images.len());
        }
        comparison
    }

    /// One image's logits in float and in eight bits.
    fn add(&mut self, float: &[f32], int8: &[f32]) {
        self.n += 1;
        self.n_agree += usize::from(argmax(float) == argmax(int8));
        for (&real, &stored) in float.iter().zip(int8) {
            self.signal += f64::from(real).powi(2);
            self.noise += (f64::from(real) - f64::from(stored)).powi(2);
        }
    }

    fn signal_to_noise_db(&self) -> Option<f64> {
        (self.signal > 0.0 && self.noise > 0.0).then(|| 10.0 * (self.signal / self.noise).log10())
    }
}

fn speak(arguments: &QuantizeArguments, results: &Quantised) -> Result<()> {
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(results)?);
        return Ok(());
    }
    let output = arguments.output.display();
    println!(
        "{output}: {:.2} MB in eight bits, {:.2} MB in float; ranges from {} images",
        results.int8_bytes as f64 / 1e6,
        results.float_bytes as f64 / 1e6,
        results.n_calibration_images
    );
    if let (Some(path), Some(bytes)) = (&arguments.half, results.half_bytes) {
        println!("{}: {:.2} MB in float, weights in half precision", path.display(), bytes as f64 / 1e6);
    }
    if let Some(Interval { low, high, .. }) = results.agreement {
        println!(
            "top-1 agreement with float: {} of {} images, {:.1} % ({:.1} to {:.1})",
            results.n_agree,
            results.n_evaluation_images,
            100.0 * results.n_agree as f64 / results.n_evaluation_images as f64,
            100.0 * low,
            100.0 * high
        );
    }
    if let Some(ratio) = results.signal_to_noise_db {
        println!("logits: {ratio:.1} dB of signal to quantisation noise");
    }
    println!("next: remedis inspect {output}; remedis compile {output} --output MODEL.plan");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_of_the_largest_logits_and_noise_of_all() {
        let mut comparison = Comparison::default();
        comparison.add(&[1.0, 3.0], &[1.5, 2.5]);
        comparison.add(&[1.0, 0.5], &[0.5, 1.0]);
        assert_eq!((comparison.n, comparison.n_agree), (2, 1));
        // 11.25 of signal over 4 * 0.25 of noise.
        assert!((comparison.signal_to_noise_db().unwrap() - 10.511_525).abs() < 1e-5);
        assert_eq!(Comparison::default().signal_to_noise_db(), None);
    }

    #[test]
    fn pixels_are_seen_as_in_training() {
        let Preprocessing { mean, std, width, .. } = Architecture::EfficientnetLite0.preprocessing(96);
        // Black is -127/128, white 1.
        assert!((-mean[0] / std[0] + 127.0 / 128.0).abs() < 1e-6 && ((1.0 - mean[0]) / std[0] - 1.0).abs() < 1e-6);
        assert_eq!((width, Architecture::EfficientnetLite0.name().as_str()), (96, "efficientnet-lite0"));
    }
}

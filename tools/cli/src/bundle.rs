//! `remedis bundle`: what is inside a bundle, whether it can be trusted, and a new signature for it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use remedis_bundle::{Bundle, Gates, Measured, Parts, SigningKey, TrustedKeys, write_atomic};
use remedis_inference::Model;

/// Environment variable with the password of an encrypted signing key.
const PASSWORD: &str = "REMEDIS_KEY_PASSWORD";

/// Arguments of `remedis bundle`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Args)]
struct Signed {
    /// The bundle
    bundle: PathBuf,
    /// Public key to trust: a .pub file or its base64 line; may be given several times
    #[arg(long = "key", required = true)]
    keys: Vec<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Show manifest, sections and operating point
    Inspect(Signed),
    /// Check signature and checksums, and compute the golden vectors on this processor
    Verify(Signed),
    /// Sign the content of a bundle with another key
    Sign {
        /// The bundle; its present signature is not needed
        bundle: PathBuf,
        /// Secret key; an encrypted one takes its password from REMEDIS_KEY_PASSWORD
        #[arg(long)]
        secret_key: PathBuf,
        /// Where to write the newly signed bundle
        #[arg(long)]
        output: PathBuf,
    },
    /// Write payload and signature as two files, for `minisign -Vm payload -p KEY`
    Extract {
        /// The bundle
        bundle: PathBuf,
        /// Folder for `payload` and `payload.minisig`
        #[arg(long)]
        out: PathBuf,
    },
}

/// # Errors
/// If the bundle cannot be read, is refused, or a file cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.verb {
        Verb::Inspect(signed) => inspect(signed)?,
        Verb::Verify(signed) => verify(signed)?,
        Verb::Sign { bundle, secret_key, output } => sign(bundle, secret_key, output)?,
        Verb::Extract { bundle, out } => extract(bundle, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens a bundle with the keys on the command line.
pub(crate) fn open(path: &Path, keys: &[String]) -> Result<Bundle> {
    let trusted = TrustedKeys::from_arguments(keys).context("reading the trusted keys")?;
    Bundle::open(path, &trusted).with_context(|| format!("opening bundle {}", path.display()))
}

fn inspect(args: &Signed) -> Result<()> {
    let bundle = open(&args.bundle, &args.keys)?;
    let manifest = bundle.manifest();
    if args.json {
        let sections: Vec<_> = bundle.sections().collect();
        let all = serde_json::json!({
            "digest": bundle.digest(), "signer": bundle.signer(), "manifest": manifest, "sections": sections,
        });
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    println!("{} {}\n{}\n", manifest.name, manifest.version, manifest.intended_use);
    println!("digest     {}\nsigned by  {}", bundle.digest(), bundle.signer());
    let input = &manifest.preprocessing;
    let bits = input.depth_bits.bits();
    println!(
        "input      {} x {} {:?}, {bits} bits a sample, {:?}",
        input.width, input.height, input.channels, input.resize
    );
    println!("seed       {}", manifest.provenance.seed);
    for source in &manifest.provenance.data {
        println!("data       {}: {} images, sha256 {}", source.name, source.n_images, source.sha256);
    }
    let point = &manifest.operating_point;
    println!(
        "\noperating point: an answer from {:.1} % confidence on, which covers {} of {}\n",
        100.0 * point.confidence_threshold,
        percent(&point.coverage),
        point.measured_on
    );
    println!("{:<24} {:>28} {:>28}", "class", "sensitivity", "specificity");
    for class in &point.classes {
        println!("{:<24} {:>28} {:>28}", class.class, percent(&class.sensitivity), percent(&class.specificity));
    }
    match &manifest.gates {
        None => println!("\ngates: none; every picture that can be read is judged"),
        Some(gates) => show_gates(gates),
    }
    println!("\n{:<24} {:>12}", "section", "bytes");
    for (name, size) in bundle.sections() {
        println!("{name:<24} {size:>12}");
    }
    Ok(())
}

fn show_gates(gates: &Gates) {
    let (limits, near) = (&gates.quality, &gates.in_distribution);
    let rows = [
        ("width", format!("{} pixels or more", limits.min_width)),
        ("height", format!("{} pixels or more", limits.min_height)),
        ("aspect", format!("{:.3} to {:.3} times as wide as high", limits.min_aspect, limits.max_aspect)),
        ("exposure", format!("mean luminance {:.3} to {:.3} of white", limits.min_mean, limits.max_mean)),
        ("black", format!("at most {:.1} % of the samples", 100.0 * limits.max_black_share)),
        ("white", format!("at most {:.1} % of the samples", 100.0 * limits.max_white_share)),
        ("sharpness", format!("variance of the Laplacian {:.2} or more", limits.min_sharpness)),
        ("appearance", format!("at most {:.2} deviations from the images that the model knows", near.max_distance)),
        ("energy", format!("at most {:.3} nats", near.max_energy)),
    ];
    println!("\ngates: outside one of these the answer is \"cannot say\"; limits from {}\n", gates.measured_on);
    println!("{:<24} passes", "gate");
    for (name, passes) in rows {
        println!("{name:<24} {passes}");
    }
    println!("\n{:<24} {:>28} {:>28} {:>28}", "refused of", "quality", "unlike", "either");
    for flagged in &gates.flagged {
        let [quality, unlike, either] = [&flagged.quality, &flagged.unlike, &flagged.either].map(percent);
        println!("{:<24} {quality:>28} {unlike:>28} {either:>28}", flagged.images.replace('_', " "));
    }
}

fn percent(measured: &Measured) -> String {
    match (measured.value, measured.low, measured.high) {
        (Some(value), Some(low), Some(high)) => {
            format!("{:.1} % ({:.1} to {:.1}), n {}", 100.0 * value, 100.0 * low, 100.0 * high, measured.n)
        }
        _ => "undefined".to_owned(),
    }
}

fn verify(args: &Signed) -> Result<()> {
    let bundle = open(&args.bundle, &args.keys)?;
    Model::open(&bundle).context("computing the golden vectors")?;
    let (n_golden, signer) = (bundle.manifest().golden.vectors.len(), bundle.signer());
    if args.json {
        println!("{}", serde_json::json!({ "digest": bundle.digest(), "signer": signer, "golden_vectors": n_golden }));
    } else {
        println!(
            "good: signed by {signer}, every checksum fits, {n_golden} of {n_golden} golden vectors came back on this processor"
        );
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading bundle {}", path.display()))
}

fn sign(bundle: &Path, secret_key: &Path, output: &Path) -> Result<()> {
    let bytes = read(bundle)?;
    let parts = Parts::split(&bytes).with_context(|| format!("opening bundle {}", bundle.display()))?;
    let password = std::env::var(PASSWORD).ok();
    let key = SigningKey::load(secret_key, password.as_deref()).with_context(|| {
        format!("opening {} (an encrypted key takes its password from {PASSWORD})", secret_key.display())
    })?;
    let sealed = key.seal(parts.payload).context("sealing")?;
    write_atomic(output, &sealed).with_context(|| format!("writing {}", output.display()))?;
    println!("{}\npublic key: {}", output.display(), key.public_key());
    Ok(())
}

fn extract(bundle: &Path, out: &Path) -> Result<()> {
    let bytes = read(bundle)?;
    let parts = Parts::split(&bytes).with_context(|| format!("opening bundle {}", bundle.display()))?;
    std::fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    for (name, content) in [("payload", parts.payload), ("payload.minisig", parts.signature.as_bytes())] {
        let path = out.join(name);
        write_atomic(&path, content).with_context(|| format!("writing {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

//! `remedis simulate`: plays the imaging hardware, over a pseudo-terminal or a real serial port.

mod camera;
mod hardware;
mod images;
mod line;
mod noise;
mod tally;

use anyhow::{Context, Result, ensure};
use hardware::{Hardware, Pace};
use line::{Line, Pseudo, Serial};
use noise::{Noise, Noisy};
use remedis_link::Timing;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tally::Journal;

/// Play the imaging hardware: send images to a device and wait for its answers.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Images to send, in turn: a set (folder, zip or CSV), a folder of PNG, JPEG or DICOM files, or one of these
    images: PathBuf,
    /// Of a set, send only the images of this split: train, val or test
    #[arg(long)]
    split: Option<String>,
    /// Frames to send
    #[arg(long, default_value_t = 20)]
    frames: u64,
    /// Frames a second at most; 0 sends the next as soon as the last is answered
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// Be a camera with OpenMV's protocol instead: the device takes frames as it likes, and answers nothing
    #[arg(long, conflicts_with_all = ["journal", "first_frame"])]
    openmv: bool,
    /// Probability that a bit is flipped on the line, in either direction
    #[arg(long, default_value_t = 0.0)]
    noise: f64,
    /// Probability that a byte is lost on the line, in either direction
    #[arg(long, default_value_t = 0.0)]
    drop: f64,
    /// Seeds noise and drop
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Make this a link to the pseudo-terminal that the device is to open
    #[arg(long, conflicts_with = "port")]
    link: Option<PathBuf>,
    /// Use this serial port instead of a pseudo-terminal
    #[arg(long)]
    port: Option<String>,
    /// Bits a second on the serial port
    #[arg(long, default_value_t = 921_600, requires = "port")]
    baud: u32,
    /// Id of the first frame; ids count up and must never be used for two images [default: from the clock]
    #[arg(long)]
    first_frame: Option<u64>,
    /// Append every answer to this file as a JSON line, on disk before the device is told
    #[arg(long)]
    journal: Option<PathBuf>,
    /// Seconds without an answer after which to give up
    #[arg(long, default_value_t = 60.0)]
    timeout: f64,
    /// End with a summary in JSON on standard output
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When the images, the port or the journal cannot be opened, or the journal cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    for (name, probability) in [("--noise", args.noise), ("--drop", args.drop)] {
        ensure!((0.0..1.0).contains(&probability), "{name} is a probability from 0 to below 1, found {probability}");
    }
    ensure!(args.rate >= 0.0 && args.rate.is_finite(), "--rate is 0 or more frames a second, found {}", args.rate);
    let timeout = Duration::try_from_secs_f64(args.timeout).context("--timeout is a number of seconds, 0 or more")?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("cannot listen for Ctrl-C")?;
    }
    let images = images::load(&args.images, args.split.as_deref(), args.frames)?;
    let line: Box<dyn Line> = match &args.port {
        Some(port) => Box::new(Serial::open(port, args.baud)?),
        None => {
            let line = Pseudo::open(args.link.as_deref())?;
            eprintln!("imaging hardware on {}", line.path().display());
            Box::new(line)
        }
    };
    let line = Noisy::new(line, Noise::new(args.noise, args.drop, args.seed));
    if args.openmv {
        let summary = camera::show(line, &images, args.frames, args.rate, timeout, &stop)?;
        return finish(args, &summary, summary.unread);
    }
    let mut journal = args.journal.as_deref().map(Journal::open).transpose()?;
    let summary = Hardware::new(line, pace(args, timeout), &images, journal.as_mut()).run(&stop)?;
    finish(args, &summary, summary.unanswered)
}

fn pace(args: &Args, timeout: Duration) -> Pace {
    let clock_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    Pace {
        n_frames: args.frames,
        first_frame: args.first_frame.unwrap_or(clock_ms << 16),
        rate: args.rate,
        timeout,
        session: clock_ms as u32,
        timing: timing(args.port.as_ref().map(|_| args.baud)),
    }
}

/// Prints how it went; 1 when a frame is left over.
fn finish(args: &Args, summary: &(impl serde::Serialize + std::fmt::Display), n_left: u64) -> Result<ExitCode> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(summary)?);
    } else {
        println!("{summary}");
    }
    Ok(if n_left == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Waits that suit the line: two of the largest packets, as much again in the port's buffers and a turn-around, at ten bits a byte.
fn timing(baud: Option<u32>) -> Timing {
    let packets_ms = baud.map_or(0, |baud| 4 * 10 * 1000 * remedis_link::MAX_WIRE as u64 / u64::from(baud.max(1)));
    Timing { ack_ms: 200 + packets_ms, result_ms: 1000 + packets_ms, keepalive_ms: 1000, retries: 8 }
}

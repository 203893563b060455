//! The last act: simulated imaging hardware on one end of a pseudo-terminal, the device program on the other.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{Programs, bundle, key};
use crate::step::capture;

/// What the imaging hardware and the device made of it.
pub(super) struct Played {
    /// The hardware's own summary.
    pub(super) hardware: serde_json::Value,
    /// Records in the device's journal.
    pub(super) journal_records: usize,
}

/// A child process that does not outlive this one's interest in it.
struct Running {
    name: &'static str,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already in the good case; in the bad one there is nobody to tell.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Send `frames` test images of `images` to the device and wait for every answer.
///
/// # Errors
/// If a program cannot start, the device stops early, or a frame goes unanswered.
pub(super) fn play(programs: &Programs, out: &Path, images: &Path, frames: u32) -> Result<Played> {
    println!("== the device: {frames} frames over a serial line");
    let folder = out.join("device");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)?;
    let mut hardware = programs.command("remedis");
    hardware.arg("simulate").arg(images).args(["--split", "test", "--json", "--frames", &frames.to_string()]);
    hardware.arg("--journal").arg(folder.join("acknowledged.jsonl"));
    // A little noise, so that the demo shows what the line is made for.
    hardware.args(["--noise", "1e-6", "--seed", "7"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut hardware = start("remedis simulate", &mut hardware)?;
    let port = port(&mut hardware)?;
    let config = folder.join("device.toml");
    std::fs::write(&config, configuration(out, &port)).with_context(|| format!("writing {}", config.display()))?;
    let log = std::fs::File::create(folder.join("device.log"))?;
    let mut device = programs.command("remedis-device");
    device.arg("run").arg(&config).stdout(log.try_clone()?).stderr(log);
    let mut device = start("remedis-device", &mut device)?;
    let summary = finish(&mut hardware, &mut device, &folder.join("device.log"))?;
    terminate(&mut device)?;
    let journal =
        capture(programs.command("remedis-device").arg("journal").arg(folder.join("answers.sqlite")).arg("--json"))?;
    let hardware: serde_json::Value = serde_json::from_str(&summary).context("reading the simulator's summary")?;
    Ok(Played { hardware, journal_records: journal.lines().filter(|line| !line.trim().is_empty()).count() })
}

fn start(name: &'static str, command: &mut Command) -> Result<Running> {
    Ok(Running { name, child: command.spawn().with_context(|| format!("starting {name}"))? })
}

/// The pseudo-terminal that the simulator says it opened; its later lines are passed on.
fn port(hardware: &mut Running) -> Result<PathBuf> {
    const SAYS: &str = "imaging hardware on ";
    let stderr = hardware.child.stderr.take().context("the simulator's standard error was not kept")?;
    let mut lines = BufReader::new(stderr).lines();
    for line in &mut lines {
        let line = line.context("reading what the simulator says")?;
        if let Some(port) = line.strip_prefix(SAYS) {
            let port = PathBuf::from(port.trim());
            std::thread::spawn(move || lines.map_while(std::result::Result::ok).for_each(|line| eprintln!("{line}")));
            return Ok(port);
        }
        eprintln!("{line}");
    }
    bail!("{} ended before it opened a pseudo-terminal", hardware.name)
}

fn configuration(out: &Path, port: &Path) -> String {
    let quote = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    format!(
        "bundle = {}\ntrusted_keys = [{}]\n\n[link]\nport = {}\nbaud = 921600\ndevice_id = 1\n\
         max_image_bytes = 4194304\nresult_retry_ms = 500\nquiet_after_ms = 10000\n\n[journal]\nanswers = \"answers.sqlite\"\naudit = \"audit.log\"\n\n\
         [screen]\npng = \"screen.png\"\nwidth = 800\nheight = 480\n",
        quote(&bundle(out)),
        quote(&key(out)),
        quote(port),
    )
}

/// Waits for the simulator, which gives up by itself when nobody answers; its summary.
fn finish(hardware: &mut Running, device: &mut Running, log: &Path) -> Result<String> {
    let mut summary = String::new();
    let mut stdout = hardware.child.stdout.take().context("the simulator's output was not kept")?;
    std::io::Read::read_to_string(&mut stdout, &mut summary).context("reading the simulator's summary")?;
    let status = hardware.child.wait()?;
    if let Some(status) = device.child.try_wait()? {
        bail!("{} ended with {status} before the last frame; see {}", device.name, log.display());
    }
    ensure!(
        status.success(),
        "{} ended with {status}: frames went unanswered; see {}\n{summary}",
        hardware.name,
        log.display()
    );
    Ok(summary)
}

/// Asks the device to end, as systemd would, and waits.
fn terminate(device: &mut Running) -> Result<()> {
    crate::step::execute(Command::new("kill").args(["-TERM", &device.child.id().to_string()]))?;
    let status = device.child.wait()?;
    ensure!(status.success(), "{} ended with {status} when asked to stop", device.name);
    Ok(())
}

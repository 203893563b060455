//! Disks that get full and read-only under a running device: nothing is acknowledged meanwhile, and nothing is lost.

use super::Fate;
use super::books::{Books, acknowledged_answers};
use crate::{Outcome, Table};
use anyhow::{Context, Result, bail, ensure};
use remedis_programs::{Process, Yard, wait_until};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const N_FRAMES: usize = 200;
/// Frames answered before the disk fails.
const N_BEFORE: usize = 5;
/// Long enough for several frames, were they answered.
const SILENCE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(yard: impl Fn() -> Result<Yard>) -> Result<Outcome> {
    let columns = [&["disk"][..], &Fate::COLUMNS[1..]].concat();
    let mut table = Table::new("chaos: a disk that fails", &columns);
    let mut broken = vec![];
    for (name, part) in
        [("full", full as fn(&Yard, &mut Vec<String>) -> Result<Option<Fate>>), ("read-only", read_only)]
    {
        let Some(fate) = part(&yard()?, &mut broken)? else {
            ensure!(std::env::var_os("CI").is_none(), "CI gives the device a disk of its own");
            table.row(&[&name, &"not run: this machine lets nobody mount a disk", &"", &"", &"", &""]);
            continue;
        };
        fate.row(&mut table, name, &N_FRAMES.to_string());
        broken.extend(fate.broken("link", &format!("on a disk that was {name}")));
        if fate.acknowledged != N_FRAMES || fate.journalled != N_FRAMES {
            broken.push(format!("on a disk that was {name}: {fate:?} of {N_FRAMES} frames"));
        }
    }
    Ok(Outcome { tables: vec![table], broken })
}

/// Hardware that sends frames while the disk fails, and settings of a device whose books are on that disk.
fn around(yard: &Yard) -> Result<Process> {
    fs::create_dir(yard.at("disk")).context("making a place for the disk")?;
    let (frames, kept) = (N_FRAMES.to_string(), yard.at("acknowledged.jsonl").display().to_string());
    let arguments = ["--frames", &frames, "--rate", "10", "--first-frame", "1", "--journal", &kept, "--timeout", "300"];
    let (hardware, link) = yard.simulate(&arguments)?;
    yard.write_settings(&format!(
        "[link]\nport = {link:?}\nbaud = 921600\n[journal]\nanswers = 'disk/answers.sqlite'\naudit = 'disk/audit.log'\n[screen]\npng = \
         'screen.png'\nwidth = 320\nheight = 240\n[health]\nmin_free_megabytes = 0\nheat_map_ms = 0\n"
    ))?;
    Ok(hardware)
}

fn n_acknowledged(yard: &Yard) -> usize {
    acknowledged_answers(&yard.at("acknowledged.jsonl")).map_or(0, |answers| answers.len())
}

/// Nothing is acknowledged that cannot be kept; one answer may be on its way.
fn silent(yard: &Yard, what: &str, broken: &mut Vec<String>) {
    let n_before = n_acknowledged(yard);
    // Nothing is to happen, which has no event.
    std::thread::sleep(SILENCE);
    let n_more = n_acknowledged(yard) - n_before;
    if n_more > 1 {
        broken.push(format!("{n_more} answers were acknowledged on a disk that was {what}"));
    }
}

fn full(yard: &Yard, broken: &mut Vec<String>) -> Result<Option<Fate>> {
    let mut hardware = around(yard)?;
    let Some(device) = start_on_a_disk_of_its_own(yard)? else { return Ok(None) };
    wait_until("the first answers", || n_acknowledged(yard) >= N_BEFORE)?;
    // The disk is another only for the device, and seen through it.
    let disk = yard.at("disk");
    let inside = PathBuf::from(format!("/proc/{}/root", device.id())).join(disk.strip_prefix("/").unwrap_or(&disk));
    let filled = inside.join("somebody-elses-file");
    // The journal gives up its reserve and makes room for itself; somebody else takes that too.
    let start = Instant::now();
    while !device.said().iter().any(|line| line.starts_with("journal_fault")) {
        ensure!(start.elapsed() < PATIENCE, "the device does not say that it cannot keep answers");
        fill(&filled)?;
    }
    silent(yard, "full", broken);
    fs::remove_file(&filled).context("making room")?;
    device.wait_for("journal_back")?;
    let (summary, status) = hardware.output()?;
    ensure!(status.success(), "the hardware did not get every answer: {summary}");
    for name in ["answers.sqlite", "answers.sqlite-wal"] {
        fs::copy(inside.join(name), yard.at(name)).context("copying the books")?;
    }
    fate(yard, &yard.at("answers.sqlite")).map(Some)
}

fn fate(yard: &Yard, answers: &Path) -> Result<Fate> {
    Books::read(yard, answers)?.of_link(&yard.at("acknowledged.jsonl"))
}

/// Takes all room that is left.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::options().create(true).append(true).open(path).context("filling the disk")?;
    for size in [65_536, 4_096, 512, 1] {
        while file.write_all(&vec![0x55; size]).is_ok() {}
    }
    Ok(())
}

/// The device with a disk of 8 MB that nobody else has; `None` where that cannot be had.
fn start_on_a_disk_of_its_own(yard: &Yard) -> Result<Option<Process>> {
    if !works(Command::new("unshare").args(["-rm", "true"])) {
        return Ok(None);
    }
    let script = "mount -t tmpfs -o size=8m tmpfs \"$0\" && exec \"$1\" run \"$2\"";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script]).arg(yard.at("disk")).arg(yard.device()).arg(yard.at("device.toml"));
    let device = Process::start(&mut command)?;
    device.wait_for("started")?;
    Ok(Some(device))
}

/// A file system that finds itself damaged and becomes read-only under its open files, as ext4 does; then the device is started on it,
/// waits, and goes on once it was repaired.
fn read_only(yard: &Yard, broken: &mut Vec<String>) -> Result<Option<Fate>> {
    let mut hardware = around(yard)?;
    let Some(disk) = Disk::mount(yard)? else { return Ok(None) };
    let mut device = yard.start()?;
    wait_until("the first answers", || n_acknowledged(yard) >= N_BEFORE)?;
    disk.fail()?;
    let reason = device.wait_for("journal_fault")?;
    if !reason.contains("journal_read_only") {
        broken.push(format!("the device says {reason:?} of a disk that is read-only"));
    }
    silent(yard, "read-only", broken);
    device.kill()?;
    let mut device = yard.start()?;
    device.wait_for("journal_fault")?;
    silent(yard, "read-only at the start", broken);
    device.end()?;
    let disk = disk.repair()?;
    let mut device = yard.start()?;
    let (summary, status) = hardware.output()?;
    ensure!(status.success(), "the hardware did not get every answer: {summary}");
    device.end()?;
    let fate = fate(yard, &yard.at("disk/answers.sqlite"))?;
    drop(disk);
    Ok(Some(fate))
}

/// A file system of its own in a file, mounted at `disk`.
struct Disk {
    image: PathBuf,
    at: PathBuf,
}

impl Disk {
    /// `None` where the machine allows none.
    fn mount(yard: &Yard) -> Result<Option<Self>> {
        let disk = Self { image: yard.at("disk.img"), at: yard.at("disk") };
        File::create(&disk.image).and_then(|file| file.set_len(32 << 20)).context("making a disk")?;
        let is_there = works(Command::new("mkfs.ext4").arg("-q").arg(&disk.image)) && disk.mount_image();
        Ok(is_there.then_some(disk))
    }

    fn mount_image(&self) -> bool {
        works(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).args([&self.image, &self.at]))
    }

    /// Has the kernel find an error on it, which makes it read-only.
    fn fail(&self) -> Result<()> {
        let output =
            Command::new("findmnt").args(["-no", "SOURCE"]).arg(&self.at).output().context("starting findmnt")?;
        let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let Some(name) = device.strip_prefix("/dev/") else { bail!("findmnt knows no device of the disk: {device:?}") };
        let trigger = Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error");
        fs::write(&trigger, "a campaign").with_context(|| format!("writing {}", trigger.display()))
    }

    /// As a technician does.
    fn repair(self) -> Result<Self> {
        ensure!(works(Command::new("umount").arg(&self.at)), "the disk cannot be unmounted");
        // 1: errors were corrected.
        let code =
            Command::new("e2fsck").arg("-fy").arg(&self.image).output().context("starting e2fsck")?.status.code();
        ensure!(code.is_some_and(|code| code <= 1), "e2fsck ended with {code:?}");
        ensure!(self.mount_image(), "the repaired disk cannot be mounted");
        Ok(self)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: in the bad case somebody still has files open. One that is not mounted needs nothing.
        works(Command::new("umount").arg("-l").arg(&self.at));
    }
}

/// Whether a command ends well; what it says is of no interest.
fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|done| done.status.success())
}

//! Power cuts between one answer of a running device and the next: the last pages of its store, and the last line of its audit log, cut
//! or garbled.
//!
//! The device is stopped in its tracks after an answer was acknowledged, and again after the next one. A power cut may leave whatever
//! [`tear`] makes of the two moments.

use super::books::{Books, acknowledged_answers};
use crate::{Outcome, Table};
use anyhow::{Context, Result, ensure};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use remedis_programs::{Process, Yard, wait_until};
use remedis_store::torn::{Snapshot, tear};
use remedis_store::{Audit, AuditHead, Finding, Moment, Store, verify};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Cuts, the same number after each moment.
const N_CUTS: usize = 200;
const N_MOMENTS: usize = 20;
/// The device itself goes on from so many of them.
const N_STARTS: usize = 10;
/// More than there are moments, and few enough that the store does not empty its log meanwhile.
const FRAMES: &str = "40";
/// What a disk writes at once.
const PAGE: usize = 4096;

/// The device's files at a moment, and what it had told by then.
struct Stopped {
    store: Snapshot,
    audit: Vec<u8>,
    told: Vec<Value>,
}

/// What was found after the cuts.
#[derive(Default)]
struct Found {
    n_next_whole: usize,
    n_next_absent: usize,
    n_audit_whole: usize,
    n_audit_absent: usize,
    n_audit_torn: usize,
    n_audit_named: usize,
    lost: usize,
    broken: Vec<String>,
}

pub(super) fn run(yard: &Yard, seed: u64) -> Result<Outcome> {
    let moments = moments(yard)?;
    let mut found = Found::default();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for cut in 0..N_CUTS {
        let pair = cut % N_MOMENTS;
        let (before, after) = (&moments[pair], &moments[pair + 1]);
        let torn = tear(&before.store, &after.store, seed.wrapping_mul(1000) + cut as u64);
        let folder = tempfile::tempdir().context("making a folder for torn files")?;
        torn.files.restore(&folder.path().join("answers.sqlite")).context("writing torn files")?;
        open(folder.path(), &before.told, &torn.what, &mut found)?;
        open_audit(folder.path(), &after.audit, &spoil(&after.audit, &mut rng), &mut found)?;
        if cut % (N_CUTS / N_STARTS) == 0 {
            torn.files.restore(&yard.at("answers.sqlite")).context("writing torn files")?;
            fs::write(yard.at("audit.log"), &after.audit).context("writing the audit log")?;
            found.broken.extend(go_on(yard, before.told.len() + 1, &torn.what)?);
        }
    }
    Ok(found.outcome(seed))
}

impl Found {
    fn outcome(mut self, seed: u64) -> Outcome {
        let columns =
            ["power cuts", "acknowledged answers lost", "next answer whole", "absent", "devices that went on"];
        let mut store = Table::new(format!("chaos: torn writes of the store; seed {seed}"), &columns);
        store.row(&[&N_CUTS, &self.lost, &self.n_next_whole, &self.n_next_absent, &N_STARTS]);
        let columns =
            ["last page spoiled", "chain whole", "last line absent", "unfinished line put aside", "break named"];
        let mut audit = Table::new(format!("chaos: torn writes of the audit log; seed {seed}"), &columns);
        let Self { n_audit_whole, n_audit_absent, n_audit_torn, n_audit_named, .. } = &self;
        audit.row(&[&N_CUTS, n_audit_whole, n_audit_absent, n_audit_torn, n_audit_named]);
        if self.lost > 0 {
            self.broken.push(format!("torn writes: {} acknowledged answers are lost", self.lost));
        }
        if self.n_next_whole == 0 || self.n_next_absent == 0 {
            self.broken
                .push("torn writes: all cuts came before, or all after an answer; they prove nothing".to_owned());
        }
        Outcome { tables: vec![store, audit], broken: self.broken }
    }
}

/// Runs the device, and stops it whenever another answer was acknowledged.
fn moments(yard: &Yard) -> Result<Vec<Stopped>> {
    let kept = yard.at("acknowledged.jsonl");
    let arguments = ["--frames", FRAMES, "--rate", "10", "--first-frame", "1"];
    let (hardware, link) = yard.simulate(&[&arguments[..], &["--journal", &kept.display().to_string()]].concat())?;
    write_settings(yard, &link)?;
    let mut device = yard.start()?;
    device.wait_for("started")?;
    let mut moments: Vec<Stopped> = Vec::new();
    while moments.len() <= N_MOMENTS {
        let n_told = moments.last().map_or(0, |last| last.told.len());
        wait_until("another answer", || acknowledged_answers(&kept).is_ok_and(|told| told.len() > n_told))?;
        device.signal("STOP")?;
        wait_until("the device stands still", || stands_still(&device).unwrap_or(false))?;
        let store = Snapshot::of_store(&yard.at("answers.sqlite")).context("reading the store")?;
        let audit = fs::read(yard.at("audit.log")).context("reading the audit log")?;
        moments.push(Stopped { store, audit, told: acknowledged_answers(&kept)? });
        device.signal("CONT")?;
    }
    device.kill()?;
    drop(hardware);
    fs::remove_file(kept).context("removing what the hardware wrote down")?;
    Ok(moments)
}

fn write_settings(yard: &Yard, link: &str) -> Result<()> {
    yard.write_settings(&format!(
        "[link]\nport = {link:?}\nbaud = 921600\n[journal]\nanswers = 'answers.sqlite'\naudit = 'audit.log'\n[health]\nheat_map_ms = 0\n"
    ))
}

/// Whether every thread is stopped.
fn stands_still(device: &Process) -> Result<bool> {
    for entry in fs::read_dir(format!("/proc/{}/task", device.id()))? {
        let stat = fs::read_to_string(entry?.path().join("stat"))?;
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if state != Some('T') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens what a cut left, as the device does: everything told is there, and the next answer whole or not at all.
fn open(folder: &Path, told: &[Value], what: &str, found: &mut Found) -> Result<()> {
    let (store, opened) = match Store::open(&folder.join("answers.sqlite")) {
        Ok(opened) => opened,
        Err(cause) => {
            found.lost += told.len();
            found.broken.push(format!("{what}: the store does not open: {cause}"));
            return Ok(());
        }
    };
    for answer in told {
        let record = store.answers().find("link", &answer["frame"].to_string()).context("reading an answer")?;
        found.lost += usize::from(record.is_none());
    }
    if opened.n_answers > told.len() as u64 {
        found.n_next_whole += 1;
    } else {
        found.n_next_absent += 1;
    }
    Ok(())
}

/// An audit log whose last page is cut or garbled from some byte on.
fn spoil(whole: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut torn = whole.to_vec();
    let last_page = (whole.len() - 1) / PAGE * PAGE;
    let at = rng.random_range(last_page..whole.len());
    if rng.random_bool(0.5) {
        torn.truncate(at);
    } else {
        rng.fill_bytes(&mut torn[at..]);
    }
    torn
}

/// Opens a spoiled audit log: the break is named, or it is an unfinished last line, which opening puts aside. One that is cut just before
/// its last line has nothing to name: the store had not heard of that line yet.
fn open_audit(folder: &Path, whole: &[u8], torn: &[u8], found: &mut Found) -> Result<()> {
    let path = folder.join("audit.log");
    fs::write(&path, torn).context("writing a torn audit log")?;
    let head = head_of(whole)?;
    // The store knows the last line but one for sure: the last one may be what was being written.
    match verify(&path, Some(&head)).context("verifying a torn audit log")?.finding {
        Finding::Whole if torn == whole => found.n_audit_whole += 1,
        Finding::Whole if whole.starts_with(torn) && torn.len() == last_line(whole) => found.n_audit_absent += 1,
        Finding::Whole => found.broken.push("a spoiled audit log verifies".to_owned()),
        Finding::Torn { .. } => {
            found.n_audit_torn += 1;
            Audit::open(&path, Some(&head), Moment { unix_ms: 0, boot: 1 }).context("opening a torn audit log")?;
            let healed = verify(&path, None).context("verifying a healed audit log")?.finding;
            if healed != Finding::Whole {
                found.broken.push(format!("a torn audit log that was opened does not verify: {healed:?}"));
            }
        }
        Finding::Broken { .. } => found.n_audit_named += 1,
    }
    Ok(())
}

/// Where the last line begins.
fn last_line(whole: &[u8]) -> usize {
    let before = whole.strip_suffix(b"\n").unwrap_or(whole);
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// The last line but one, as the store would keep it.
fn head_of(whole: &[u8]) -> Result<AuditHead> {
    let text = std::str::from_utf8(whole).context("the audit log is text")?;
    let lines: Vec<&str> = text.lines().collect();
    ensure!(lines.len() >= 2, "the audit log of a device that started has two lines");
    let last: Value = serde_json::from_str(lines[lines.len() - 1]).context("the last line of the audit log")?;
    let hash = last["previous"].as_str().context("a line knows the one before")?.to_owned();
    Ok(AuditHead { sequence: lines.len() as u64 - 1, hash })
}

/// The device goes on from torn files: hardware that asks everything again, and once more, is answered, each frame once.
fn go_on(yard: &Yard, n_frames: usize, what: &str) -> Result<Vec<String>> {
    let (mut hardware, link) = yard.simulate(&["--frames", &n_frames.to_string(), "--first-frame", "1"])?;
    write_settings(yard, &link)?;
    let mut device = yard.start()?;
    let (summary, status) = hardware.output()?;
    device.end()?;
    let fate = Books::read(yard, &yard.at("answers.sqlite"))?.of_link(&yard.at("acknowledged.jsonl"))?;
    let is_kept = status.success() && fate.journalled >= n_frames && fate.twice == 0;
    Ok((!is_kept).then(|| format!("{what}: the device did not go on: {fate:?}, {summary}")).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_store::Event;

    const NOW: Moment = Moment { unix_ms: 0, boot: 1 };

    /// A log of as many lines as there are reasons.
    fn log(folder: &Path, reasons: &[&str]) -> Vec<u8> {
        let path = folder.join("written.log");
        let _none_yet = fs::remove_file(&path);
        let (mut audit, _) = Audit::open(&path, None, NOW).unwrap();
        for reason in reasons {
            audit.append(&Event::Stopped { reason: (*reason).to_owned() }, NOW).unwrap();
        }
        fs::read(path).unwrap()
    }

    #[test]
    fn every_cut_is_noticed_but_the_one_before_the_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let whole = log(folder.path(), &["one", "two", "three"]);
        let mut found = Found::default();
        for at in 0..=whole.len() {
            open_audit(folder.path(), &whole, &whole[..at], &mut found).unwrap();
        }
        assert_eq!(found.broken, Vec::<String>::new());
        assert_eq!((found.n_audit_whole, found.n_audit_absent), (1, 1));
        let n_last = whole.len() - last_line(&whole);
        // Of the last line and, since the line before it must be there, of no other.
        assert_eq!((found.n_audit_torn, found.n_audit_named), (n_last - 1, last_line(&whole)));
    }

    #[test]
    fn another_last_line_that_fits_the_chain_breaks_the_promise() {
        let folder = tempfile::tempdir().unwrap();
        let [whole, other] = ["three", "four!"].map(|last| log(folder.path(), &["one", "two", last]));
        let mut found = Found::default();
        open_audit(folder.path(), &whole, &other, &mut found).unwrap();
        assert_eq!(found.broken, ["a spoiled audit log verifies"]);
    }
}

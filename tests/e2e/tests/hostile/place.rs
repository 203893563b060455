//! A running device with an honest peer at each of its doors.

use anyhow::{Context, Result, ensure};
use remedis_programs::http::{Page, Reply};
use remedis_programs::{Process, Yard, wait_until};
use serde_json::Value;
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// An honest peer is served within this, on a machine that builds something else at the same time.
const IN_TIME: Duration = Duration::from_secs(30);
/// What systemd lets the device have (`MemoryMax` in remedis-device.service).
const MEMORY_MAX: u64 = 512 << 20;

/// Everything that a device can have, but a camera.
const SECTIONS: &str = "[models]\nfolder = 'models'\n[link]\nport = 'line'\nbaud = 921600\n[folder]\npath = \
     'inbox'\nlook_every_s = 1\n[journal]\nanswers = 'answers.sqlite'\naudit = 'audit.log'\n[screen]\npng = \
     'screen/page.png'\nwidth = 320\nheight = 240\n[web]\naddress = '127.0.0.1:0'\ntoken = 'web.token'\n";

/// The device and what is around it.
pub(crate) struct Place {
    pub(crate) yard: Yard,
    pub(crate) device: Process,
    /// Where its web page is, and the token that opens it.
    pub(crate) address: String,
    pub(crate) token: String,
    n_files: Cell<u32>,
}

impl Place {
    /// Starts a device; nobody is at its doors yet. `None` where there is nothing to start.
    pub(crate) fn start() -> Result<Option<Self>> {
        let Some(yard) = Yard::find()? else { return Ok(None) };
        fs::create_dir(yard.at("inbox"))?;
        fs::create_dir(yard.at("screen"))?;
        let token = yard.token()?;
        yard.write_settings(SECTIONS)?;
        let device = yard.start()?;
        let address = device.wait_for("listening address=")?;
        device.wait_for("started")?;
        Ok(Some(Self { yard, device, address, token, n_files: Cell::new(0) }))
    }

    /// Starts the device that has ended once more.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.device = self.yard.start()?;
        self.address = self.device.wait_for("listening address=")?;
        self.device.wait_for("started").map(drop)
    }

    /// The web page for whoever comes.
    pub(crate) fn page(&self) -> Page {
        Page::new(&self.address)
    }

    /// The web page for who gave the right token.
    pub(crate) fn log_in(&self) -> Result<Page> {
        self.page().log_in(&self.token)
    }

    /// Honest hardware on the line, which goes on for as long as it is not ended; its line is there when this returns.
    pub(crate) fn hardware(&self) -> Result<Process> {
        let (line, journal) = (self.yard.at("line"), self.yard.at("acknowledged.jsonl"));
        let arguments = ["--frames", "1000000", "--rate", "20", "--timeout", "900", "--link"];
        let arguments = [arguments.as_slice(), &[path(&line)?, "--journal", path(&journal)?]].concat();
        Ok(self.yard.simulate(&arguments)?.0)
    }

    /// Puts a file into the inbox, whole.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let unfinished = self.yard.at("unfinished");
        fs::write(&unfinished, bytes)?;
        fs::rename(&unfinished, self.yard.at("inbox").join(name)).with_context(|| format!("putting {name}"))
    }

    /// What is beside the file of this name when it was handed back in `folder`.
    pub(crate) fn handed_back(&self, folder: &str, name: &str) -> Result<Value> {
        let at = self.yard.at("inbox").join(folder).join(format!("{name}.json"));
        let inbox = self.yard.at("inbox").join(name);
        wait_until(&format!("{name} in {folder}"), || at.exists() && !inbox.exists())?;
        Ok(serde_json::from_slice(&fs::read(at)?)?)
    }

    /// Whoever is honest is served, at every door, and in time.
    pub(crate) fn serves_everybody(&self, after: &str) -> Result<()> {
        self.serves_hardware(after)?;
        self.serves_folder(after)?;
        self.serves_page(&self.log_in()?).with_context(|| format!("after {after}"))
    }

    /// New frames of the honest hardware are answered.
    pub(crate) fn serves_hardware(&self, after: &str) -> Result<()> {
        let before = self.acknowledged()?;
        // The frame that was under way meanwhile says nothing.
        in_time(&format!("two frames answered after {after}"), || {
            self.acknowledged().is_ok_and(|now| now >= before + 2)
        })
    }

    fn acknowledged(&self) -> Result<usize> {
        let path = self.yard.at("acknowledged.jsonl");
        Ok(if path.exists() { fs::read_to_string(path)?.lines().count() } else { 0 })
    }

    /// An honest file is answered.
    pub(crate) fn serves_folder(&self, after: &str) -> Result<()> {
        let number = self.n_files.get();
        self.n_files.set(number + 1);
        let name = format!("honest-{number}.png");
        self.put(&name, &fs::read(&self.yard.images("cells_a")?[number as usize % 5])?)?;
        let answer = self.yard.at("inbox/done").join(format!("{name}.json"));
        in_time(&format!("{name} answered after {after}"), || answer.exists())
    }

    /// The pages are shown to somebody who is in.
    pub(crate) fn serves_page(&self, visitor: &Page) -> Result<()> {
        let start = Instant::now();
        ensure!(read(visitor, "/")?.contains("</html>"), "the whole page is shown");
        ensure!(read(visitor, "/metrics")?.contains("remedis_uptime_seconds"), "all metrics are shown");
        ensure!(start.elapsed() < IN_TIME, "the page took {:?}", start.elapsed());
        Ok(())
    }

    /// The value of a metric, by its whole name with labels.
    pub(crate) fn metric(&self, visitor: &Page, name: &str) -> Result<f64> {
        let reply = shown(visitor, "/metrics")?;
        reply.metric(name).with_context(|| format!("no metric {name} in {}", reply.body))
    }

    /// Events of this kind in the audit log.
    pub(crate) fn audited(&self, kind: &str) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.yard.at("audit.log"))?;
        let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(events.into_iter().filter(|event| event["event"] == kind).collect())
    }

    /// The device never took more memory than systemd lets it have: beyond that it would have been killed, and killed again with the
    /// same file after its next start.
    pub(crate) fn stayed_small(&self) -> Result<()> {
        let peak = self.device.memory("VmHWM")?;
        ensure!(peak < MEMORY_MAX, "the device took {} MiB, at most {} are allowed", peak >> 20, MEMORY_MAX >> 20);
        Ok(())
    }

    /// Ends the device, which does that well, with an audit log that verifies.
    pub(crate) fn end(mut self) -> Result<()> {
        self.device.end()?;
        let said = self.yard.verify_audit();
        ensure!(said.code == Some(0), "the audit log verifies: {said:?}");
        Ok(())
    }
}

/// What is shown at `path` to who is in.
pub(crate) fn read(visitor: &Page, path: &str) -> Result<String> {
    Ok(shown(visitor, path)?.body)
}

fn shown(visitor: &Page, path: &str) -> Result<Reply> {
    let reply = visitor.get(path)?;
    ensure!(reply.status == 200, "{path} is shown to who is in, found {}", reply.head);
    Ok(reply)
}

/// Waits until something is so, which must not take long.
pub(crate) fn in_time(what: &str, is_so: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    wait_until(what, is_so)?;
    ensure!(start.elapsed() < IN_TIME, "{what}: only after {:?}", start.elapsed());
    Ok(())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("temporary folders have names of text")
}

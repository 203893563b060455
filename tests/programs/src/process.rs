//! A program that runs beside the test.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longest wait for anything: a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that ends with its test, however that ends, and whose standard error is listened to.
#[derive(Debug)]
pub struct Process {
    child: Child,
    said: Receiver<String>,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("starting a program")?;
        let (sender, said) = channel();
        let stderr = BufReader::new(child.stderr.take().context("it was just asked for")?);
        // Whoever stopped listening needs no more lines, but the program must not be held up by a full pipe.
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        Ok(Self { child, said })
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A size that the kernel keeps of it, such as `VmRSS` now or `VmHWM` at most, in bytes.
    ///
    /// # Errors
    /// When it has ended, or the kernel tells no such size.
    pub fn memory(&self, which: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).context("reading a program's memory")?;
        let of_line =
            |line: &str| line.strip_prefix(which)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.parse().ok();
        let kibibytes: Option<u64> = status.lines().find_map(of_line);
        kibibytes.map(|n| n << 10).with_context(|| format!("the kernel tells no {which}"))
    }

    /// What follows `start` on the next line of standard error that begins with it.
    ///
    /// # Errors
    /// When it says nothing of the kind in two minutes, or ends; with what it said instead.
    pub fn wait_for(&self, start: &str) -> Result<String> {
        let (began, mut others) = (Instant::now(), Vec::new());
        loop {
            match self.said.recv_timeout(PATIENCE.saturating_sub(began.elapsed())) {
                Ok(line) => match line.strip_prefix(start) {
                    Some(rest) => return Ok(rest.trim().to_owned()),
                    None => others.push(line),
                },
                Err(RecvTimeoutError::Timeout) => bail!("not said in {PATIENCE:?}: {start:?}, but {others:#?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("ended without saying {start:?}, but {others:#?}"),
            }
        }
    }

    /// Everything that it has said on standard error and nobody has waited for.
    pub fn said(&self) -> Vec<String> {
        self.said.try_iter().collect()
    }

    /// Sends it a signal by its name, as `kill` knows it.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status =
            Command::new("kill").args(["-s", name, &self.id().to_string()]).status().context("starting kill")?;
        ensure!(status.success(), "kill -s {name} ended with {status}");
        Ok(())
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("killing a program")?;
        self.child.wait().map(drop).context("waiting for the end of a program")
    }

    /// SIGTERM, and waits for a good end.
    ///
    /// # Errors
    /// When it ends badly.
    pub fn end(&mut self) -> Result<()> {
        self.signal("TERM")?;
        let (_, status) = self.output()?;
        ensure!(status.success(), "asked to end, it ended with {status}");
        Ok(())
    }

    /// Waits for the end: its standard output, and how it ended.
    ///
    /// # Errors
    /// When it wrote what is no text.
    pub fn output(&mut self) -> Result<(String, ExitStatus)> {
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut text).context("reading what a program printed")?;
        }
        Ok((text, self.child.wait().context("waiting for the end of a program")?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already in the good case; in the bad one there is nobody to tell.
        let _ended = (self.child.kill(), self.child.wait());
    }
}

/// Waits until `is_so`, which concerns another process and so has no event here.
///
/// # Errors
/// When it is not so in two minutes.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !is_so() {
        ensure!(start.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

//! A device and what is around it: a folder of its own, settings, hardware that is played.

use crate::{Process, Said, Tiny, program, say};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a device runs, with the tiny run's bundle.
#[derive(Debug)]
pub struct Yard {
    folder: tempfile::TempDir,
    device: PathBuf,
    remedis: PathBuf,
    tiny: Tiny,
}

impl Yard {
    /// An empty one; `None`, saying so, where the programs are not built or there is no tiny run.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn find() -> Result<Option<Self>> {
        let (Some(tiny), Some(remedis), Some(device)) = (Tiny::find(), program("remedis"), program("remedis-device"))
        else {
            return Ok(None);
        };
        let folder = tempfile::tempdir().context("making a folder for a device")?;
        Ok(Some(Self { folder, device, remedis, tiny }))
    }

    /// A file or folder of it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The run that the device's bundle is from.
    pub fn tiny(&self) -> &Tiny {
        &self.tiny
    }

    /// The program `remedis-device`.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// The program `remedis`.
    pub fn remedis(&self) -> &Path {
        &self.remedis
    }

    /// Plays hardware: `remedis simulate` on the tiny run's images, and the pseudo-terminal that the device is to open.
    ///
    /// # Errors
    /// When it does not start.
    pub fn simulate(&self, arguments: &[&str]) -> Result<(Process, String)> {
        let mut command = Command::new(&self.remedis);
        command.arg("simulate").arg(self.tiny.set("cells_a")).args(arguments).arg("--json");
        let process = Process::start(&mut command)?;
        let port = process.wait_for("imaging hardware on ")?;
        Ok((process, port))
    }

    /// Writes `device.toml`: the bundle and its key, plans kept, and these sections.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_settings(&self, sections: &str) -> Result<()> {
        let (bundle, key) = (self.tiny.bundle(), self.tiny.key());
        let text = format!("bundle = {bundle:?}\ntrusted_keys = [{key:?}]\nplans = 'plans'\n{sections}");
        fs::write(self.at("device.toml"), text).context("writing the device's settings")
    }

    /// `remedis-device run device.toml`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<Process> {
        Process::start(Command::new(&self.device).arg("run").arg(self.at("device.toml")))
    }

    /// Makes a token that opens the web page, and keeps its hash in `web.token`.
    ///
    /// # Errors
    /// When the device's program makes none.
    pub fn token(&self) -> Result<String> {
        let said = say(&self.device, &[&"token", &self.at("web.token")]);
        ensure!(said.code == Some(0), "no token is made: {}", said.err);
        Ok(said.out.trim().to_owned())
    }

    /// What `remedis audit verify` says of `audit.log`, beside the answers.
    pub fn verify_audit(&self) -> Said {
        say(&self.remedis, &[&"audit", &"verify", &self.at("audit.log"), &"--answers", &self.at("answers.sqlite")])
    }

    /// What is in the journal `file`, as `remedis-device journal --json` prints it.
    ///
    /// # Errors
    /// When it does not print it.
    pub fn journal(&self, file: &Path) -> Result<Vec<Value>> {
        let said = say(&self.device, &[&"journal", &file, &"--json"]);
        ensure!(said.code == Some(0), "the journal does not open: {}", said.err);
        let records = said.out.lines().map(|line| serde_json::from_str(line).context("a record of the journal"));
        records.collect()
    }

    /// The files of a folder, by name; none where there is no folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn files(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let at = self.at(folder);
        if !at.exists() {
            return Ok(vec![]);
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&at).with_context(|| format!("reading {}", at.display()))? {
            let path = entry?.path();
            if path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// All images of a set of the tiny run, by name.
    ///
    /// # Errors
    /// When its folders cannot be read.
    pub fn images(&self, set: &str) -> Result<Vec<PathBuf>> {
        let (mut folders, mut images) = (vec![self.tiny.set(set)], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "png" || end == "jpg") {
                    images.push(path);
                }
            }
        }
        images.sort();
        ensure!(!images.is_empty(), "the tiny set {set} holds no image");
        Ok(images)
    }
}

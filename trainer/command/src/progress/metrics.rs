//! Every step on disk: a line in `metrics.jsonl`, and the same numbers for TensorBoard.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use remedis_train::storage::WriteError;
use serde::Serialize;

use crate::tensorboard::EventFile;

/// Where the steps of a run are recorded.
pub(super) struct Metrics {
    out: PathBuf,
    lines: File,
    events: EventFile,
}

impl Metrics {
    /// Appends to `metrics.jsonl`, whose half-written last line of a killed run is dropped; begins a new file in `tensorboard`.
    pub(super) fn open(out: &Path) -> Result<Self> {
        let path = out.join("metrics.jsonl");
        let lines = open_at_whole_line(&path).with_context(|| format!("opening {}", path.display()))?;
        let folder = out.join("tensorboard");
        let events = EventFile::create(&folder)
            .map_err(|error| WriteError::new(format!("an event file in {}", folder.display()), out, 0, error))?;
        Ok(Self { out: out.to_owned(), lines, events })
    }

    /// Appends `line` as JSON, and `values` of a stage at one of its steps for TensorBoard. What a full disk tears is dropped by the next
    /// [`open`](Self::open).
    pub(super) fn record(
        &mut self,
        line: &impl Serialize,
        stage: &str,
        step: u64,
        values: &[(&str, f64)],
    ) -> Result<(), WriteError> {
        let mut text = serde_json::to_vec(line).expect("a record holds only numbers and words");
        text.push(b'\n');
        let cannot = |name: &str, source| {
            WriteError::new(self.out.join(name).display().to_string(), &self.out, text.len() as u64, source)
        };
        self.lines.write_all(&text).map_err(|source| cannot("metrics.jsonl", source))?;
        let values: Vec<_> = values.iter().map(|(name, value)| (format!("{stage}/{name}"), *value)).collect();
        self.events.scalars(step, &values).map_err(|source| cannot("tensorboard", source))
    }
}

fn open_at_whole_line(path: &Path) -> std::io::Result<File> {
    let written = match std::fs::read(path) {
        Ok(bytes) => bytes.iter().rposition(|&b| b == b'\n').map_or(0, |place| place + 1),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let file = File::options().append(true).create(true).open(path)?;
    file.set_len(written as u64)?;
    Ok(file)
}

//! What a device answered, read as an operator would, and compared with what it told others.

use super::Fate;
use anyhow::{Context, Result};
use remedis_programs::Yard;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The journal of a device.
pub(super) struct Books {
    /// By source and the id that the source gave.
    requests: BTreeMap<(String, String), Vec<Value>>,
    by_sequence: BTreeMap<u64, Value>,
    n_live: usize,
}

impl Books {
    pub(super) fn read(yard: &Yard, file: &Path) -> Result<Self> {
        let mut books = Self { requests: BTreeMap::new(), by_sequence: BTreeMap::new(), n_live: 0 };
        for record in yard.journal(file)? {
            let sequence = record["sequence"].as_u64().context("a record has a number")?;
            match (record["source"].as_str(), record["request"]["id"].as_str()) {
                (Some(source), Some(id)) => {
                    let key = (source.to_owned(), id.to_owned());
                    books.requests.entry(key).or_default().push(record.clone());
                }
                _ => books.n_live += 1,
            }
            books.by_sequence.insert(sequence, record);
        }
        Ok(books)
    }

    /// Answers to frames that nobody asked about.
    pub(super) fn n_live(&self) -> usize {
        self.n_live
    }

    fn fate(&self, source: &str) -> Fate {
        let of_source = self.requests.iter().filter(|((name, _), _)| name == source);
        let counts: Vec<usize> = of_source.map(|(_, records)| records.len()).collect();
        let twice = counts.iter().filter(|&&n| n > 1).count();
        Fate { journalled: counts.len(), twice, ..Fate::default() }
    }

    /// Of the link's frames, by what the hardware wrote down before it confirmed.
    pub(super) fn of_link(&self, acknowledged: &Path) -> Result<Fate> {
        let answers = acknowledged_answers(acknowledged)?;
        let is_kept = |answer: &&Value| {
            let records = self.requests.get(&("link".to_owned(), answer["frame"].to_string()));
            records.is_some_and(|records| records[0]["verdict"]["decision"] == answer["decision"])
        };
        let lost = answers.len() - answers.iter().filter(is_kept).count();
        Ok(Fate { acknowledged: answers.len(), lost, ..self.fate("link") })
    }

    /// Of the folder's files, by the answers beside those that were handed back.
    pub(super) fn of_folder(&self, done: &[PathBuf]) -> Result<Fate> {
        let (mut acknowledged, mut lost) = (0, 0);
        for path in done.iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
            let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            let told: Value = serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))?;
            let answer = &told["answers"][0];
            let record = answer["sequence"].as_u64().and_then(|sequence| self.by_sequence.get(&sequence));
            acknowledged += 1;
            lost += usize::from(record.is_none_or(|record| record["verdict"] != answer["verdict"]));
        }
        Ok(Fate { acknowledged, lost, ..self.fate("folder") })
    }
}

/// What the played hardware wrote down; its last line may be unfinished.
pub(super) fn acknowledged_answers(path: &Path) -> Result<Vec<Value>> {
    if !path.exists() {
        return Ok(vec![]);
    }
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

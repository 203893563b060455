//! One audited set and its rows.

use std::path::Path;

use anyhow::{Context, Result, bail};
use remedis_data::{Audit, Finding, FindingKind, Index, Split, audit};
use remedis_imaging::Preprocessing;
use remedis_train::{BadRow, Detail, Pool};
use sha2::{Digest, Sha256};

use crate::machine;
use crate::results::SetSummary;

/// Bad files that a set may have where the user says nothing: this many, or one in [`BAD_ONE_IN`].
const BAD_LEAST: usize = 10;
const BAD_ONE_IN: usize = 1000;
/// Prepared images to draw from that would take more than one part in this many of the memory that is free stay in their shards.
const MEMORY_PARTS: u64 = 4;
/// Bad files that an error names.
const NAMED: usize = 5;

/// One audited set.
pub(crate) struct Set {
    /// `data`, `shifted` or `natural`: also the name of its argument.
    pub(crate) role: &'static str,
    /// Name of its folder or archive.
    pub(crate) name: String,
    /// SHA-256 of its index and file list.
    pub(crate) sha256: String,
    pub(crate) index: Index,
    pub(crate) audit: Audit,
    /// Rows whose files cannot be used and which nothing here sees, in order.
    pub(crate) bad: Vec<BadRow>,
    /// How many of them there may be.
    bad_allowed: usize,
    /// The most bytes of prepared images to draw from that are held in memory.
    pub(super) held_most: u64,
}

impl Set {
    /// Opens a set and reads every file of it once. What forbids its use is in [`problems`](Self::problems).
    pub(super) fn open(role: &'static str, path: &Path, bad_allowed: Option<u32>) -> Result<Self> {
        let index = Index::open(path).with_context(|| format!("--{role} {}", path.display()))?;
        let audit = audit(&index);
        let mut bad: Vec<usize> = audit
            .errors
            .iter()
            .filter(|finding| is_bad_file(finding.kind))
            .flat_map(|finding| finding.rows.iter().copied())
            .collect();
        bad.sort_unstable();
        // A file that can be read now although the audit could not is good after all.
        let bad = bad.into_iter().filter_map(|row| BadRow::find(&index, row)).collect();
        let name = index.prepared_from().map_or_else(|| set_name(path), str::to_owned);
        let usual = BAD_LEAST.max(index.rows.len() / BAD_ONE_IN);
        let bad_allowed = bad_allowed.map_or(usual, |n| n as usize);
        let held_most = machine::available_memory().map_or(u64::MAX, |(bytes, _)| bytes / MEMORY_PARTS);
        Ok(Self { role, name, sha256: audit.sha256.clone(), index, audit, bad, bad_allowed, held_most })
    }

    /// That the set's images were prepared for another input than this one.
    pub(super) fn unsuited(&self, input: &Preprocessing) -> Option<String> {
        self.index.suits(input).err().map(|error| format!("--{} {}: {error}", self.role, self.name))
    }

    /// What forbids the use of the set, in words.
    ///
    /// Natural images are never tested on, so copies across their splits harm nothing; every other error refuses a set.
    pub(super) fn problems(&self) -> Vec<String> {
        let harmless = [
            FindingKind::PatientInTwoSplits,
            FindingKind::DuplicateAcrossSplits,
            FindingKind::NearDuplicateAcrossSplits,
            FindingKind::ContradictingLabels,
        ];
        let errors = self.audit.errors.iter().filter(|finding| {
            !is_bad_file(finding.kind) && (self.role != "natural" || !harmless.contains(&finding.kind))
        });
        let place = format!("--{} {}", self.role, self.name);
        let refused = errors
            .map(|finding| format!("{place}: {}; `remedis data check` lists everything", without_patients(finding)));
        refused.chain(self.too_many_bad()).collect()
    }

    /// What a reader of the results should know, in words that name no patient.
    pub(super) fn warnings(&self) -> Vec<String> {
        let tell = |found: &Finding| known(found.kind).map(|what| format!("{}: {what} ({})", self.name, found.count));
        let found = self.audit.errors.iter().chain(&self.audit.warnings);
        if self.role == "natural" { Vec::new() } else { found.filter_map(tell).collect() }
    }

    /// That files were left out, if any were.
    pub(crate) fn quarantined(&self) -> Option<String> {
        let n = self.bad.len();
        (n > 0).then(|| {
            format!(
                "{}: {n} of its {} files cannot be read and {} left out; quarantine.jsonl lists which and why",
                self.name,
                self.index.rows.len(),
                if n == 1 { "is" } else { "are" }
            )
        })
    }

    fn too_many_bad(&self) -> Option<String> {
        let found = self.bad.len();
        (found > self.bad_allowed).then(|| {
            let named: Vec<String> = self.bad.iter().take(NAMED).map(BadRow::to_string).collect();
            format!(
                "--{} {}: {found} of its {} files cannot be used, expected at most {}: {}{}; repair the files or remove their \
                 rows, or leave them out with --bad-files {found}",
                self.role,
                self.name,
                self.index.rows.len(),
                self.bad_allowed,
                named.join(", "),
                if found > NAMED { format!(" and {} more", found - NAMED) } else { String::new() }
            )
        })
    }

    /// Rows of these splits whose files can be used.
    pub(crate) fn rows(&self, splits: &[Split]) -> Vec<usize> {
        let is_bad = |row: usize| self.bad.binary_search_by_key(&row, |bad| bad.row).is_ok();
        (0..self.index.rows.len()).filter(|&row| splits.contains(&self.index.rows[row].split) && !is_bad(row)).collect()
    }

    /// Decodes rows; those that have become unreadable since the set was opened join the bad ones.
    pub(crate) fn load(
        &mut self,
        rows: &[usize],
        input: &Preprocessing,
        detail: Detail,
        classes: &[String],
    ) -> Result<Pool> {
        let make = if detail == Detail::Twice && self.stays_in_shards(rows) { Pool::open } else { Pool::load };
        let (pool, bad) = make(&self.index, rows, input, detail, classes);
        self.bad.extend(bad);
        self.bad.sort_by_key(|bad| bad.row);
        self.bad.dedup_by_key(|bad| bad.row);
        match self.too_many_bad() {
            Some(problem) => bail!(problem),
            None => Ok(pool),
        }
    }

    /// Whether these rows, to draw from, are read whenever they are drawn: their images were prepared and memory is short.
    pub(crate) fn stays_in_shards(&self, rows: &[usize]) -> bool {
        let bytes = |&row: &usize| self.index.prepared_bytes(row, Detail::Twice);
        rows.iter().filter_map(bytes).sum::<u64>() > self.held_most
    }

    /// What keeps a row together with others: its patient, else its group, else the file itself.
    pub(super) fn cluster(&self, row: usize) -> &String {
        let row = &self.index.rows[row];
        row.patient.as_ref().or(row.group.as_ref()).unwrap_or(&row.file)
    }

    /// Whether a row has a label of this list.
    pub(crate) fn is_labelled(&self, row: usize, classes: &[String]) -> bool {
        self.index.rows[row].label.as_ref().is_some_and(|label| classes.contains(label))
    }

    /// Rows to adapt to, rows to test on, and whether a set of test rows alone had to be halved.
    pub(crate) fn adaptation(&self) -> (Vec<usize>, Vec<usize>, bool) {
        let train = self.rows(&[Split::Train]);
        let test = self.rows(&[Split::Test]);
        if !train.is_empty() {
            return (train, test, false);
        }
        let (adapt, test) = test
            .into_iter()
            .partition(|&row| Sha256::digest(format!("adaptation:{}", self.cluster(row)).as_bytes())[0] < 128);
        (adapt, test, true)
    }

    /// What the report says of it.
    pub(crate) fn summary(&self) -> SetSummary {
        SetSummary {
            role: self.role,
            name: self.name.clone(),
            sha256: self.sha256.clone(),
            n_images: self.index.rows.len(),
            n_split: Split::ALL.map(|split| self.rows(&[split]).len()),
            n_quarantined: self.bad.len(),
            n_patients: self.audit.n_patients,
            n_classes: self.index.classes().len(),
        }
    }
}

/// What was found, in words that name no patient: a run's errors end in logs.
fn without_patients(finding: &Finding) -> String {
    match finding.kind {
        FindingKind::PatientInTwoSplits => {
            format!("{} patients are in more than one split; keep each patient in one", finding.count)
        }
        _ => finding.message.clone(),
    }
}

/// Name of the set at `path`: of its folder, archive or table.
pub(crate) fn set_name(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Files that are left out rather than a reason to refuse the set.
fn is_bad_file(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::EmptyFile | FindingKind::UnreadableFile)
}

/// What a reader should know, in words that name no patient.
fn known(kind: FindingKind) -> Option<&'static str> {
    Some(match kind {
        FindingKind::NearDuplicateAcrossSplits => "nearly the same pictures are in two splits, which flatters results",
        FindingKind::DuplicateAcrossSplits => "the same files are in two splits, which flatters results",
        FindingKind::Duplicate => "the same files occur twice in one split",
        FindingKind::ContradictingLabels => "the same file has two labels",
        FindingKind::ClassMissingInSplit => "classes are missing in some split",
        FindingKind::PatientsUnknown => {
            "patients are not named, so a patient may be in two splits and intervals may be too narrow"
        }
        _ => return None,
    })
}

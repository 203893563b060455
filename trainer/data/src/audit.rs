//! Looking for what makes a measurement worthless before it is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rayon::prelude::*;
use remedis_imaging::{Depth, decode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::index::{Index, Split};
use crate::likeness::{self, Hash};
use crate::shard::{Content, Record};

/// How many names or rows a message lists before it says how many more there are.
const LISTED: usize = 5;

/// What was found in a set. Errors make it unfit for use; warnings are for a person to weigh.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// SHA-256 of the set, as [`Index::sha256`].
    pub sha256: String,
    /// Rows of the index.
    pub n_images: usize,
    /// Patients named, or 0 when the set names none.
    pub n_patients: usize,
    /// Images by class and split; rows without a label are under an empty name.
    pub classes: BTreeMap<String, SplitCounts>,
    /// Images by site; rows without a site are not counted.
    pub sites: BTreeMap<String, usize>,
    /// Images by `width x height`, in pixels.
    pub sizes: BTreeMap<String, usize>,
    /// Width and height of each row's decoded picture, where it is one.
    #[serde(skip)]
    pub shapes: Vec<Option<[u32; 2]>>,
    /// What forbids the use of the set.
    pub errors: Vec<Finding>,
    /// What a person should know.
    pub warnings: Vec<Finding>,
}

impl Audit {
    /// Whether nothing forbids the use of the set.
    pub fn is_fit(&self) -> bool {
        self.errors.is_empty()
    }
}

/// Images in each split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SplitCounts {
    /// For fitting.
    pub train: usize,
    /// For decisions.
    pub val: usize,
    /// For the result.
    pub test: usize,
}

impl SplitCounts {
    fn of(&mut self, split: Split) -> &mut usize {
        match split {
            Split::Train => &mut self.train,
            Split::Val => &mut self.val,
            Split::Test => &mut self.test,
        }
    }
}

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A file without a byte.
    EmptyFile,
    /// A file that is no picture.
    UnreadableFile,
    /// Two rows name one file.
    FileTwice,
    /// One patient in two splits.
    PatientInTwoSplits,
    /// The same file in two splits.
    DuplicateAcrossSplits,
    /// Nearly the same picture in two splits.
    NearDuplicateAcrossSplits,
    /// The same file twice in one split.
    Duplicate,
    /// The same file with two labels.
    ContradictingLabels,
    /// Fewer than two classes.
    FewerThanTwoClasses,
    /// A class that some split lacks.
    ClassMissingInSplit,
    /// No patients are named.
    PatientsUnknown,
}

/// One kind of thing found, with how often and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// How often.
    pub count: usize,
    /// For a person: what, where, what to do. It may name patients, so it belongs on the screen of whoever holds the
    /// set and not in a log.
    pub message: String,
    /// Rows of the index concerned, from 0, in order.
    pub rows: Vec<usize>,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

/// What one file says of itself.
struct Look {
    length: usize,
    digest: [u8; 32],
    picture: Option<((u32, u32), Option<Hash>)>,
}

impl Look {
    /// What the file said when its picture was prepared.
    fn recorded(record: &Record) -> Option<Self> {
        let picture = match record.content {
            Content::Picture { width, height, likeness, .. } => Some(((width, height), likeness)),
            Content::Bad { .. } => None,
        };
        Some(Self { length: record.bytes as usize, digest: record.sha256?.0, picture })
    }
}

/// Reads every file of a set, on all threads, and reports in an order that does not depend on them.
///
/// Near duplicates are pictures whose 256-bit difference hashes differ in at most 6 bits; nearly flat pictures are not
/// compared.
pub fn audit(index: &Index) -> Audit {
    let looks: Vec<Option<Look>> = (0..index.rows.len()).into_par_iter().map(|row| look(index, row)).collect();
    let mut report = Audit {
        sha256: index.sha256(),
        n_images: index.rows.len(),
        n_patients: index.rows.iter().filter_map(|row| row.patient.as_ref()).collect::<BTreeSet<_>>().len(),
        classes: BTreeMap::new(),
        sites: BTreeMap::new(),
        sizes: BTreeMap::new(),
        shapes: looks.iter().map(|look| look.as_ref()?.picture.as_ref().map(|((w, h), _)| [*w, *h])).collect(),
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    for row in &index.rows {
        *report.classes.entry(row.label.clone().unwrap_or_default()).or_default().of(row.split) += 1;
        if let Some(site) = &row.site {
            *report.sites.entry(site.clone()).or_default() += 1;
        }
    }
    for ((width, height), _) in looks.iter().flatten().filter_map(|look| look.picture.as_ref()) {
        *report.sizes.entry(format!("{width} x {height}")).or_default() += 1;
    }
    files(index, &looks, &mut report);
    patients(index, &mut report);
    copies(index, &looks, &mut report);
    classes(&mut report);
    report
}

fn look(index: &Index, row: usize) -> Option<Look> {
    if let Some(record) = index.record(row) {
        return Look::recorded(record);
    }
    let bytes = index.read(row).ok()?;
    let picture = decode(&bytes, Depth::Eight).ok();
    let picture = picture.map(|image| ((image.width, image.height), likeness::hash(&image)));
    Some(Look { length: bytes.len(), digest: Sha256::digest(&bytes).into(), picture })
}

fn files(index: &Index, looks: &[Option<Look>], report: &mut Audit) {
    let rows_where = |wanted: &dyn Fn(&Option<Look>) -> bool| -> Vec<usize> {
        looks.iter().enumerate().filter(|(_, look)| wanted(look)).map(|(row, _)| row).collect()
    };
    let empty = rows_where(&|look| look.as_ref().is_some_and(|look| look.length == 0));
    let unreadable = rows_where(&|look| look.as_ref().is_none_or(|look| look.length > 0 && look.picture.is_none()));
    let mut names = BTreeSet::new();
    let again: Vec<usize> = (0..index.rows.len()).filter(|&row| !names.insert(&index.rows[row].file)).collect();
    for (kind, rows, what) in [
        (FindingKind::EmptyFile, empty, "empty files: remove the rows or restore the files"),
        (FindingKind::UnreadableFile, unreadable, "files that are no readable PNG, JPEG or DICOM"),
        (FindingKind::FileTwice, again, "rows that name a file already named by another row"),
    ] {
        if !rows.is_empty() {
            let message = format!("{} {what}; {}", rows.len(), listed_rows(&rows));
            report.errors.push(Finding { kind, count: rows.len(), message, rows });
        }
    }
}

fn patients(index: &Index, report: &mut Audit) {
    let mut places: BTreeMap<&str, (BTreeSet<Split>, Vec<usize>)> = BTreeMap::new();
    for (at, row) in index.rows.iter().enumerate() {
        if let Some(patient) = &row.patient {
            let (splits, rows) = places.entry(patient).or_default();
            splits.insert(row.split);
            rows.push(at);
        }
    }
    let torn: Vec<_> = places.iter().filter(|(_, (splits, _))| splits.len() > 1).collect();
    if !torn.is_empty() {
        let names: Vec<String> = torn
            .iter()
            .map(|(patient, (splits, _))| {
                let splits: Vec<String> = splits.iter().map(Split::to_string).collect();
                format!("{patient} ({})", splits.join(" and "))
            })
            .collect();
        let message =
            format!("{} patients are in more than one split: {}; keep each patient in one", torn.len(), listed(&names));
        let rows = torn.iter().flat_map(|(_, (_, rows))| rows).copied().collect();
        report.errors.push(Finding { kind: FindingKind::PatientInTwoSplits, count: torn.len(), message, rows });
    }
    if places.is_empty() {
        report.warnings.push(Finding {
            kind: FindingKind::PatientsUnknown,
            count: index.rows.len(),
            message: "no patients are named: pictures of one patient may be on both sides of a split".to_owned(),
            rows: Vec::new(),
        });
    }
}

fn copies(index: &Index, looks: &[Option<Look>], report: &mut Audit) {
    let mut same: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (row, look) in looks.iter().enumerate() {
        // Files that are no picture are told of as such; web servers send the same error page for many of them.
        if let Some(look) = look.as_ref().filter(|look| look.picture.is_some()) {
            same.entry(look.digest).or_default().push(row);
        }
    }
    let mut sets: Vec<Vec<usize>> = same.into_values().filter(|rows| rows.len() > 1).collect();
    sets.sort();
    let differ = |rows: &[usize], of: &dyn Fn(usize) -> String| rows.iter().any(|&row| of(row) != of(rows[0]));
    let (across, within): (Vec<_>, Vec<_>) =
        sets.iter().partition(|rows| differ(rows, &|row| index.rows[row].split.to_string()));
    let torn: Vec<_> =
        sets.iter().filter(|rows| differ(rows, &|row| index.rows[row].label.clone().unwrap_or_default())).collect();
    let hashes: Vec<Option<Hash>> = looks.iter().map(|look| look.as_ref()?.picture.as_ref()?.1).collect();
    let near = likeness::near_pairs(&hashes, |first, second| {
        let digest = |row: usize| looks[row].as_ref().map(|look| look.digest);
        index.rows[first].split != index.rows[second].split && digest(first) != digest(second)
    });
    let near: Vec<Vec<usize>> = near.into_iter().map(|(first, second)| vec![first, second]).collect();
    let mut add = |is_error: bool, kind, sets: &[&Vec<usize>], what: &str| {
        if sets.is_empty() {
            return;
        }
        let named: Vec<String> = sets.iter().map(|rows| numbers(rows).join(" = ")).collect();
        let message = format!("{} {what}; rows {}", sets.len(), listed(&named));
        let rows: BTreeSet<usize> = sets.iter().flat_map(|rows| rows.iter().copied()).collect();
        let finding = Finding { kind, count: sets.len(), message, rows: rows.into_iter().collect() };
        if is_error { report.errors.push(finding) } else { report.warnings.push(finding) }
    };
    let near: Vec<&Vec<usize>> = near.iter().collect();
    add(true, FindingKind::DuplicateAcrossSplits, &across, "pictures are in more than one split, byte for byte");
    add(false, FindingKind::ContradictingLabels, &torn, "pictures have two labels, byte for byte the same");
    add(false, FindingKind::NearDuplicateAcrossSplits, &near, "pairs of pictures in two splits are nearly the same");
    add(false, FindingKind::Duplicate, &within, "pictures are there more than once in one split");
}

fn classes(report: &mut Audit) {
    let named: Vec<(&String, &SplitCounts)> = report.classes.iter().filter(|(name, _)| !name.is_empty()).collect();
    if named.len() < 2 {
        report.warnings.push(Finding {
            kind: FindingKind::FewerThanTwoClasses,
            count: named.len(),
            message: format!("{} classes: nothing can be told apart; usable without labels only", named.len()),
            rows: Vec::new(),
        });
        return;
    }
    type Part = fn(&SplitCounts) -> usize;
    let parts: [(&str, Part); 3] = [("train", |c| c.train), ("val", |c| c.val), ("test", |c| c.test)];
    let mut lacking = Vec::new();
    for (split, count) in parts {
        // A split without a single image is a choice: a set meant as a target has test images only.
        if named.iter().any(|(_, counts)| count(counts) > 0) {
            let absent = named.iter().filter(|(_, counts)| count(counts) == 0);
            lacking.extend(absent.map(|(name, _)| format!("{name} in {split}")));
        }
    }
    if !lacking.is_empty() {
        report.warnings.push(Finding {
            kind: FindingKind::ClassMissingInSplit,
            count: lacking.len(),
            message: format!("classes without an image: {}", listed(&lacking)),
            rows: Vec::new(),
        });
    }
}

/// Rows as a person counts them: from 1, the heading not counted.
fn numbers(rows: &[usize]) -> Vec<String> {
    rows.iter().map(|row| (row + 1).to_string()).collect()
}

fn listed_rows(rows: &[usize]) -> String {
    format!("rows {}", listed(&numbers(rows)))
}

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(LISTED);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests;

//! The image sets of a run: opened, audited, joined by class name, cut into what each stage may see.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use remedis_data::{Audit, Finding, FindingKind, Index, Split, audit};
use remedis_imaging::Preprocessing;
use remedis_train::{Detail, Pool};
use sha2::{Digest, Sha256};

use crate::arguments::RunArguments;
use crate::results::SetSummary;

/// One audited set.
pub(crate) struct Set {
    /// `data`, `shifted` or `natural`: also the name of its argument.
    pub(crate) role: &'static str,
    /// Name of its folder or archive.
    pub(crate) name: String,
    /// SHA-256 of its index and file list.
    pub(crate) sha256: String,
    index: Index,
    n_patients: usize,
}

/// All sets of a run.
pub(crate) struct Sets {
    pub(crate) natural: Option<Set>,
    pub(crate) data: Set,
    pub(crate) shifted: Set,
    /// Classes of `data`, sorted: the order of logits.
    pub(crate) classes: Vec<String>,
    /// What a reader of the results should know of the sets.
    pub(crate) warnings: Vec<String>,
}

/// What each stage may see. No patient of `test` or `shifted_test` is in any other pool.
pub(crate) struct Pools {
    /// Labelled natural images.
    pub(crate) natural: Option<Pool>,
    /// Training split of `data` with its labels removed.
    pub(crate) unlabelled: Pool,
    /// Training split of `data`.
    pub(crate) train: Pool,
    /// Validation split of `data`, labelled images.
    pub(crate) val: Pool,
    /// Test split of `data`, labelled images.
    pub(crate) test: Pool,
    /// Labelled images of the new site to adapt to.
    pub(crate) adapt: Pool,
    /// Labelled images of the new site to test on.
    pub(crate) shifted_test: Pool,
}

impl Sets {
    /// Opens and audits every set; refuses what would make the results worthless.
    pub(crate) fn open(arguments: &RunArguments) -> Result<Self> {
        let mut warnings = Vec::new();
        let natural = arguments.natural.as_deref().map(|path| Set::open("natural", path, &mut warnings)).transpose()?;
        let data = Set::open("data", &arguments.data, &mut warnings)?;
        let shifted = Set::open("shifted", &arguments.shifted, &mut warnings)?;
        let classes = data.index.classes();
        refuse_missing_classes(&data, &classes)?;
        let shared: Vec<String> = shifted.index.classes().into_iter().filter(|c| classes.contains(c)).collect();
        if shared.len() < 2 {
            bail!(
                "--shifted {} shares {} of the classes of --data ({}), expected at least 2; its classes are {}; sets are \
                 joined by class name, so rename them in its index",
                shifted.name,
                shared.len(),
                classes.join(", "),
                shifted.index.classes().join(", ")
            );
        }
        let left: Vec<String> = shifted.index.classes().into_iter().filter(|c| !classes.contains(c)).collect();
        if !left.is_empty() {
            let (name, left) = (&shifted.name, left.join(", "));
            warnings.push(format!("{name}: images of {left} are left out, as the model does not know these classes"));
        }
        if natural.is_none() && arguments.start.is_none() {
            warnings.push("no natural images were given: training begins from noise".to_owned());
        }
        Ok(Self { natural, data, shifted, classes, warnings })
    }

    /// Every set that was given.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Set> {
        self.natural.iter().chain([&self.data, &self.shifted])
    }

    /// Decodes every image once. May add a warning on how the new site was split.
    pub(crate) fn load(&mut self, preprocessing: &Preprocessing) -> Result<Pools> {
        let natural = match &self.natural {
            Some(set) => {
                Some(set.load(&set.rows(&[Split::Train]), preprocessing, Detail::Twice, &set.index.classes())?)
            }
            None => None,
        };
        let classes = &self.classes;
        let part = |split, detail| self.data.load(&self.data.rows(&[split]), preprocessing, detail, classes);
        let train = part(Split::Train, Detail::Twice)?;
        let mut unlabelled = train.clone();
        unlabelled.labels.fill(None);
        let (val, test) = (labelled(&part(Split::Val, Detail::Input)?), labelled(&part(Split::Test, Detail::Input)?));
        let (adapt_rows, test_rows, is_halved) = self.shifted.adaptation();
        if is_halved {
            self.warnings.push(format!(
                "{}: has only a test split; half of its patients (by a hash of the patient, group or file) became the \
                 labels to adapt to, the other half the test images",
                self.shifted.name
            ));
        }
        let adapt = labelled(&self.shifted.load(&adapt_rows, preprocessing, Detail::Twice, classes)?);
        let shifted_test = labelled(&self.shifted.load(&test_rows, preprocessing, Detail::Input, classes)?);
        for (what, pool) in [("--shifted", &shifted_test), ("--data", &test)] {
            if pool.is_empty() {
                bail!("{what} has no labelled test images of the classes {}; mark rows as test", classes.join(", "));
            }
        }
        refuse_shared_patients(&self.data.name, &train, &test)?;
        refuse_shared_patients(&self.data.name, &val, &test)?;
        refuse_shared_patients(&self.shifted.name, &adapt, &shifted_test)?;
        Ok(Pools { natural, unlabelled, train, val, test, adapt, shifted_test })
    }
}

impl Set {
    fn open(role: &'static str, path: &Path, warnings: &mut Vec<String>) -> Result<Self> {
        let place = || format!("--{role} {}", path.display());
        let index = Index::open(path).with_context(place)?;
        let found = audit(&index);
        refuse_unfit(role, &found).with_context(place)?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let tell = |finding: &Finding| known(finding.kind).map(|what| format!("{name}: {what} ({})", finding.count));
        if role != "natural" {
            warnings.extend(found.errors.iter().chain(&found.warnings).filter_map(tell));
        }
        Ok(Self { role, name, sha256: found.sha256, n_patients: found.n_patients, index })
    }

    fn rows(&self, splits: &[Split]) -> Vec<usize> {
        (0..self.index.rows.len()).filter(|&row| splits.contains(&self.index.rows[row].split)).collect()
    }

    fn load(&self, rows: &[usize], input: &Preprocessing, detail: Detail, classes: &[String]) -> Result<Pool> {
        Pool::load(&self.index, rows, input, detail, classes).with_context(|| format!("--{} {}", self.role, self.name))
    }

    /// Rows to adapt to, rows to test on, and whether a set of test rows alone had to be halved.
    fn adaptation(&self) -> (Vec<usize>, Vec<usize>, bool) {
        let train = self.rows(&[Split::Train]);
        let test = self.rows(&[Split::Test]);
        if !train.is_empty() {
            return (train, test, false);
        }
        let (adapt, test) = test.into_iter().partition(|&row| {
            let row = &self.index.rows[row];
            let key = row.patient.as_ref().or(row.group.as_ref()).unwrap_or(&row.file);
            Sha256::digest(format!("adaptation:{key}").as_bytes())[0] < 128
        });
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
            n_patients: self.n_patients,
            n_classes: self.index.classes().len(),
        }
    }
}

/// Natural images are never tested on, so copies across their splits harm nothing; every other error refuses a set.
fn refuse_unfit(role: &str, found: &Audit) -> Result<()> {
    let harmless = [
        FindingKind::PatientInTwoSplits,
        FindingKind::DuplicateAcrossSplits,
        FindingKind::NearDuplicateAcrossSplits,
        FindingKind::ContradictingLabels,
    ];
    let fatal: Vec<String> = found
        .errors
        .iter()
        .filter(|finding| role != "natural" || !harmless.contains(&finding.kind))
        .map(|finding| finding.message.clone())
        .collect();
    if fatal.is_empty() {
        return Ok(());
    }
    bail!("the audit refuses this set: {}; `remedis data check` lists everything", fatal.join("; "))
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

fn refuse_missing_classes(data: &Set, classes: &[String]) -> Result<()> {
    if classes.len() < 2 {
        bail!("--data {} has the classes {classes:?}, expected at least two to tell apart", data.name);
    }
    for split in Split::ALL {
        let rows = data.rows(&[split]);
        let present: BTreeSet<&String> = rows.iter().filter_map(|&row| data.index.rows[row].label.as_ref()).collect();
        let missing: Vec<&str> = classes.iter().filter(|c| !present.contains(c)).map(String::as_str).collect();
        let fatal = match split {
            Split::Train => !missing.is_empty(),
            Split::Val | Split::Test => present.is_empty(),
        };
        if fatal {
            bail!(
                "--data {} has no labelled {split} images of {}; add some, drop the class, or leave the split column out \
                 to have patients split 70/10/20",
                data.name,
                missing.join(", ")
            );
        }
    }
    Ok(())
}

fn labelled(pool: &Pool) -> Pool {
    pool.subset(&pool.labelled())
}

fn refuse_shared_patients(name: &str, train: &Pool, test: &Pool) -> Result<()> {
    let trained: BTreeSet<&String> = train.clusters.iter().collect();
    let shared = test.clusters.iter().filter(|cluster| trained.contains(cluster)).count();
    if shared > 0 {
        bail!("{name}: {shared} test images are of patients or groups that are trained on; put each in one split");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use remedis_imaging::{Channels, Image, encode_png};

    use super::*;

    fn write(folder: &Path, rows: &[(&str, &str)]) {
        let mut csv = "file,label,split\n".to_owned();
        for (number, (label, split)) in rows.iter().enumerate() {
            let pixels = (0..256).map(|i| ((i * 7 + number * 83) ^ (i * number)) as u8).collect();
            let image = Image { width: 16, height: 16, channels: Channels::Grey, pixels };
            std::fs::write(folder.join(format!("{number}.png")), encode_png(&image)).unwrap();
            csv += &format!("{number}.png,{label},{split}\n");
        }
        std::fs::write(folder.join("labels.csv"), csv).unwrap();
    }

    fn open(rows: &[(&str, &str)]) -> Result<(tempfile::TempDir, Set)> {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), rows);
        let set = Set::open("shifted", folder.path(), &mut Vec::new())?;
        Ok((folder, set))
    }

    #[test]
    fn a_site_with_test_rows_alone_is_halved_without_overlap() {
        let rows: Vec<(&str, &str)> = (0..40).map(|i| (if i % 2 == 0 { "a" } else { "b" }, "test")).collect();
        let (_folder, set) = open(&rows).unwrap();
        let (adapt, test, is_halved) = set.adaptation();
        assert!(is_halved && adapt.len() > 8 && test.len() > 8);
        assert_eq!(adapt.len() + test.len(), 40);
        assert!(adapt.iter().all(|row| !test.contains(row)));
    }

    #[test]
    fn a_class_without_training_images_is_named() {
        let (_folder, set) =
            open(&[("a", "train"), ("a", "val"), ("a", "test"), ("b", "val"), ("b", "test"), ("a", "train")]).unwrap();
        let error = refuse_missing_classes(&set, &set.index.classes()).unwrap_err().to_string();
        assert!(error.contains("no labelled train images of b"), "{error}");
    }
}

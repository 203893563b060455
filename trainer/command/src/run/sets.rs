//! The image sets of a run: opened, audited, joined by class name, cut into what each stage may see.

mod one;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use remedis_data::Split;
use remedis_imaging::Preprocessing;
use remedis_train::{Detail, Pool};
use serde::Serialize;

use crate::arguments::Given;

pub(crate) use one::{Set, set_name};

/// All sets of a run.
pub(crate) struct Sets {
    pub(crate) natural: Option<Set>,
    pub(crate) data: Set,
    pub(crate) shifted: Option<Set>,
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
    /// Labelled images of the new site to adapt to; empty without a new site.
    pub(crate) adapt: Pool,
    /// Labelled images of the new site to test on; empty without a new site.
    pub(crate) shifted_test: Pool,
}

/// A line of `quarantine.jsonl`.
#[derive(Serialize)]
struct Quarantined<'a> {
    set: &'static str,
    /// Row of its table, from 1, the heading not counted.
    row: usize,
    file: &'a str,
    reason: &'a str,
}

impl Pools {
    /// Whether there is another hospital to measure at.
    pub(crate) fn has_new_site(&self) -> bool {
        !self.shifted_test.is_empty()
    }
}

impl Sets {
    /// Opens and audits every set; refuses what would make the results worthless.
    pub(crate) fn open(given: &Given, input: &Preprocessing) -> Result<Self> {
        let (sets, problems) = Self::examine(given, input)?;
        match problems.as_slice() {
            [] => Ok(sets),
            [one] => bail!("{one}"),
            all => bail!("{} things make these sets unfit:\n  {}", all.len(), all.join("\n  ")),
        }
    }

    /// Opens and audits every set, and says what would make the results worthless.
    pub(crate) fn examine(given: &Given, input: &Preprocessing) -> Result<(Self, Vec<String>)> {
        let open = |role, path: &std::path::PathBuf| Set::open(role, path, given.bad_files);
        let natural = given.natural.as_ref().map(|path| open("natural", path)).transpose()?;
        let data = open("data", &given.data)?;
        let shifted = given.shifted.as_ref().map(|path| open("shifted", path)).transpose()?;
        let classes = data.index.classes();
        let sets = Self { natural, data, shifted, classes, warnings: Vec::new() };
        let mut warnings: Vec<String> = sets.all().flat_map(Set::warnings).collect();
        let mut problems: Vec<String> = sets.all().flat_map(Set::problems).collect();
        problems.extend(sets.all().filter_map(|set| set.unsuited(input)));
        problems.extend(missing_classes(&sets.data, &sets.classes));
        problems.extend(shared_patients(&sets.data, &sets.classes));
        if let Some(shifted) = &sets.shifted {
            problems.extend(too_few_shared_classes(shifted, &sets.classes));
            problems.extend(shared_patients(shifted, &sets.classes));
            let theirs = shifted.index.classes();
            let left: Vec<String> = theirs.into_iter().filter(|class| !sets.classes.contains(class)).collect();
            if !left.is_empty() {
                let (name, left) = (&shifted.name, left.join(", "));
                warnings
                    .push(format!("{name}: images of {left} are left out, as the model does not know these classes"));
            }
        }
        if sets.natural.is_none() && given.start.is_none() {
            warnings.push("no natural images were given: training begins from noise".to_owned());
        }
        Ok((Self { warnings, ..sets }, problems))
    }

    /// Every set that was given.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Set> {
        self.natural.iter().chain([&self.data]).chain(&self.shifted)
    }

    /// Decodes every image once. May add warnings: on files left out, on how the new site was split.
    pub(crate) fn load(&mut self, preprocessing: &Preprocessing) -> Result<Pools> {
        let Self { natural, data, shifted, classes, warnings } = self;
        let natural_pool = match natural {
            Some(set) => {
                let (rows, classes) = (set.rows(&[Split::Train]), set.index.classes());
                Some(set.load(&rows, preprocessing, Detail::Twice, &classes)?)
            }
            None => None,
        };
        let mut part = |split, detail| data.load(&data.rows(&[split]), preprocessing, detail, classes);
        let train = part(Split::Train, Detail::Twice)?;
        let mut unlabelled = train.clone();
        unlabelled.labels.fill(None);
        let (val, test) = (labelled(&part(Split::Val, Detail::Input)?), labelled(&part(Split::Test, Detail::Input)?));
        let (mut adapt, mut shifted_test) = (Pool::default(), Pool::default());
        if let Some(shifted) = shifted {
            let (adapt_rows, test_rows, is_halved) = shifted.adaptation();
            if is_halved {
                warnings.push(format!(
                    "{}: has only a test split; half of its patients (by a hash of the patient, group or file) became the \
                     labels to adapt to, the other half the test images",
                    shifted.name
                ));
            }
            adapt = labelled(&shifted.load(&adapt_rows, preprocessing, Detail::Twice, classes)?);
            shifted_test = labelled(&shifted.load(&test_rows, preprocessing, Detail::Input, classes)?);
        }
        let tested = [("--shifted", &shifted_test, shifted.is_some()), ("--data", &test, true)];
        for (what, pool, is_given) in tested {
            if is_given && pool.is_empty() {
                bail!("{what} has no labelled test images of the classes {}; mark rows as test", classes.join(", "));
            }
        }
        let quarantined: Vec<String> = self.all().filter_map(Set::quarantined).collect();
        self.warnings.extend(quarantined);
        Ok(Pools { natural: natural_pool, unlabelled, train, val, test, adapt, shifted_test })
    }

    /// Every file that is left out, one JSON object a line: which set, which row (from 1), which file of it, and why.
    pub(crate) fn quarantine(&self) -> String {
        let line = |set: &Set, bad: &remedis_train::BadRow| {
            let file = &set.index.rows[bad.row].file;
            let line = Quarantined { set: set.role, row: bad.row + 1, file, reason: &bad.reason };
            serde_json::to_string(&line).expect("strings and a number are JSON") + "\n"
        };
        self.all().flat_map(|set| set.bad.iter().map(move |bad| line(set, bad))).collect()
    }
}

fn too_few_shared_classes(shifted: &Set, classes: &[String]) -> Option<String> {
    let theirs = shifted.index.classes();
    let shared = theirs.iter().filter(|class| classes.contains(class)).count();
    (shared < 2).then(|| {
        format!(
            "--shifted {} shares {shared} of the classes of --data ({}), expected at least 2; its classes are {}; sets are \
             joined by class name, so rename them in its index",
            shifted.name,
            classes.join(", "),
            theirs.join(", ")
        )
    })
}

fn missing_classes(data: &Set, classes: &[String]) -> Vec<String> {
    if classes.len() < 2 {
        return vec![format!("--data {} has the classes {classes:?}, expected at least two to tell apart", data.name)];
    }
    let lacking = |split: Split| {
        let rows = data.rows(&[split]);
        let present: BTreeSet<&String> = rows.iter().filter_map(|&row| data.index.rows[row].label.as_ref()).collect();
        let missing: Vec<&str> = classes.iter().filter(|c| !present.contains(c)).map(String::as_str).collect();
        let fatal = match split {
            Split::Train => !missing.is_empty(),
            Split::Val | Split::Test => present.is_empty(),
        };
        fatal.then(|| {
            format!(
                "--data {} has no labelled {split} images of {}; add some, drop the class, or leave the split column out to \
                 have patients split 70/10/20",
                data.name,
                missing.join(", ")
            )
        })
    };
    Split::ALL.into_iter().filter_map(lacking).collect()
}

/// Test images of patients or groups that are trained on, with or without labels, or that decisions are taken on.
fn shared_patients(set: &Set, classes: &[String]) -> Option<String> {
    let labelled = |rows: Vec<usize>| rows.into_iter().filter(|&row| set.is_labelled(row, classes));
    let (seen, test) = if set.role == "shifted" {
        let (adapt, test, _) = set.adaptation();
        (labelled(adapt).collect(), test)
    } else {
        let mut seen = set.rows(&[Split::Train]);
        seen.extend(labelled(set.rows(&[Split::Val])));
        (seen, set.rows(&[Split::Test]))
    };
    let seen: BTreeSet<&String> = seen.iter().map(|&row: &usize| set.cluster(row)).collect();
    let is_shared = |row: &usize| set.is_labelled(*row, classes) && seen.contains(set.cluster(*row));
    let shared = test.iter().filter(|row| is_shared(row)).count();
    (shared > 0).then(|| {
        format!(
            "--{} {}: {shared} test images are of patients or groups that are trained on or decided on; put each in one split",
            set.role, set.name
        )
    })
}

fn labelled(pool: &Pool) -> Pool {
    pool.subset(&pool.labelled())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use remedis_imaging::{Channels, Depth, Image, Resize, encode_png};

    use super::*;

    fn write(folder: &Path, rows: &[(&str, &str)]) {
        let mut csv = "file,label,split\n".to_owned();
        for (number, (label, split)) in rows.iter().enumerate() {
            let pixels: Vec<u8> = (0..256).map(|i| ((i * 7 + number * 83) ^ (i * number)) as u8).collect();
            let image = Image::new(16, 16, Channels::Grey, pixels);
            std::fs::write(folder.join(format!("{number}.png")), encode_png(&image)).unwrap();
            csv += &format!("{number}.png,{label},{split}\n");
        }
        std::fs::write(folder.join("labels.csv"), csv).unwrap();
    }

    fn open(rows: &[(&str, &str)]) -> (tempfile::TempDir, Set) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), rows);
        let set = Set::open("shifted", folder.path(), None).unwrap();
        (folder, set)
    }

    #[test]
    fn a_site_with_test_rows_alone_is_halved_without_overlap() {
        let rows: Vec<(&str, &str)> = (0..40).map(|i| (if i % 2 == 0 { "a" } else { "b" }, "test")).collect();
        let (_folder, set) = open(&rows);
        let (adapt, test, is_halved) = set.adaptation();
        assert!(is_halved && adapt.len() > 8 && test.len() > 8);
        assert_eq!(adapt.len() + test.len(), 40);
        assert!(adapt.iter().all(|row| !test.contains(row)));
    }

    #[test]
    fn a_class_without_training_images_is_named() {
        let (_folder, set) =
            open(&[("a", "train"), ("a", "val"), ("a", "test"), ("b", "val"), ("b", "test"), ("a", "train")]);
        let problems = missing_classes(&set, &set.index.classes());
        assert!(problems.len() == 1 && problems[0].contains("no labelled train images of b"), "{problems:?}");
    }

    fn spoil(folder: &Path, rows: std::ops::Range<usize>) {
        for number in rows {
            std::fs::write(folder.join(format!("{number}.png")), b"<html>404</html>").unwrap();
        }
    }

    fn twenty() -> Vec<(&'static str, &'static str)> {
        (0..20).map(|i| (["a", "b"][i % 2], if i < 14 { "train" } else { "test" })).collect()
    }

    #[test]
    fn a_few_bad_files_are_left_out_and_listed_and_too_many_end_the_run() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &twenty());
        spoil(folder.path(), 10..16);
        std::fs::write(folder.path().join("3.png"), b"").unwrap();
        let set = Set::open("data", folder.path(), None).unwrap();
        assert_eq!((set.problems(), set.rows(&Split::ALL).len()), (Vec::new(), 13));
        assert!(set.quarantined().unwrap().contains("7 of its 20 files cannot be read and are left out"));
        let set = Set::open("data", folder.path(), Some(6)).unwrap();
        let problems = set.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        for words in [
            "7 of its 20 files cannot be used, expected at most 6: row 4 cannot be used: ",
            "row 11 cannot be used: not a PNG, JPEG or DICOM file",
            " and 2 more; repair the files",
            "--bad-files 7",
        ] {
            assert!(problems[0].contains(words), "{words:?} is not in {problems:?}");
        }
    }

    /// 8 x 8 grey pixels.
    fn input(resize: Resize) -> Preprocessing {
        let (mean, std) = (vec![0.5], vec![0.5]);
        Preprocessing { width: 8, height: 8, channels: Channels::Grey, depth_bits: Depth::Eight, resize, mean, std }
    }

    #[test]
    fn prepared_images_beyond_memory_stay_in_their_shards_and_are_the_same() {
        let (_folder, mut set) = open(&twenty());
        let input = input(Resize::CentreCrop);
        let out = tempfile::tempdir().unwrap();
        let geometry = remedis_data::Geometry::of(&input);
        remedis_data::write_shards(&set.index, "twenty", &geometry, out.path(), &mut |_| true).unwrap();
        let mut prepared = Set::open("shifted", out.path(), None).unwrap();
        assert_eq!((prepared.name.as_str(), &prepared.sha256), ("twenty", &set.sha256));
        let rows = set.rows(&[Split::Train]);
        // 14 images of 16 x 16 pixels.
        for (most, stays) in [(14 * 256, false), (14 * 256 - 1, true)] {
            prepared.held_most = most;
            assert_eq!(prepared.stays_in_shards(&rows), stays);
            let [one, other] =
                [&mut set, &mut prepared].map(|set| set.load(&rows, &input, Detail::Twice, &[]).unwrap());
            assert_eq!(one.sha256(), other.sha256());
        }
        set.held_most = 0;
        assert!(!set.stays_in_shards(&rows));
    }

    #[test]
    fn a_file_that_goes_bad_after_the_audit_joins_the_others() {
        let (folder, mut set) = open(&twenty());
        spoil(folder.path(), 2..3);
        let input = input(Resize::Stretch);
        let rows = set.rows(&[Split::Train]);
        let pool = set.load(&rows, &input, Detail::Input, &[]).unwrap();
        assert_eq!((pool.len(), set.bad.len(), set.rows(&[Split::Train]).len()), (13, 1, 13));
        let sets = Sets { natural: None, data: set, shifted: None, classes: Vec::new(), warnings: Vec::new() };
        let line: serde_json::Value = serde_json::from_str(&sets.quarantine()).unwrap();
        assert_eq!((&line["set"], &line["row"], &line["file"]), (&"shifted".into(), &3.into(), &"2.png".into()));
    }
}

//! The run folder: who it belongs to, and writing into it so that a power cut leaves whole files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use remedis_train::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sets::Sets;

/// A folder that this process alone writes, for one plan and one choice of data.
pub(crate) struct Folder {
    path: PathBuf,
    plan_sha256: String,
    /// Held for as long as the run lasts; the system drops it with the process. A rank that only computes has none.
    lock: Option<File>,
}

/// The set that only some verbs need: it may join a run folder later.
const NEW_SITE: &str = "shifted";

/// What a run folder belongs to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    plan_sha256: String,
    /// Role and SHA-256 of each set.
    data: Vec<(String, String)>,
}

impl Owner {
    /// The SHA-256 of the set of this role.
    fn set(&self, role: &str) -> Option<&String> {
        self.data.iter().find(|(known, _)| known == role).map(|(_, sha256)| sha256)
    }

    /// Keeps the new site of an earlier command where this one names none; whether this one names a new site first.
    fn join(&mut self, earlier: &Self) -> bool {
        match (earlier.set(NEW_SITE), self.set(NEW_SITE)) {
            (Some(known), None) => {
                self.data.push((NEW_SITE.to_owned(), known.clone()));
                false
            }
            (known, named) => known.is_none() && named.is_some(),
        }
    }
}

impl Folder {
    /// Makes the folder, or goes on in it when it belongs to the same plan and data.
    pub(crate) fn claim(path: &Path, plan: &Plan, sets: &Sets) -> Result<Self> {
        fs::create_dir_all(path)
            .and_then(|()| fs::create_dir_all(path.join("predictions")))
            .with_context(|| format!("cannot write to {}; choose another --out", path.display()))?;
        let lock = lock(path)?;
        for part in ["", "checkpoints", "predictions", "keys", "agreement"] {
            let part = path.join(part);
            remedis_bundle::remove_unfinished(&part).with_context(|| format!("tidying {}", part.display()))?;
        }
        let text = plan.to_toml_commented();
        let plan_sha256 = sha256(text.as_bytes());
        let data = sets.all().map(|set| (set.role.to_owned(), set.sha256.clone())).collect();
        let mut owner = Owner { plan_sha256: plan_sha256.clone(), data };
        let file = path.join("run.json");
        match fs::read(&file) {
            Ok(bytes) => {
                let found: Owner = serde_json::from_slice(&bytes).with_context(|| format!("in {}", file.display()))?;
                refuse_other(path, &found, &owner)?;
                if owner.join(&found) {
                    write_atomic(&file, &serde_json::to_vec_pretty(&owner)?)?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write_atomic(&path.join("plan.toml"), text.as_bytes())?;
                write_atomic(&file, &serde_json::to_vec_pretty(&owner)?)?;
            }
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        }
        Ok(Self { path: path.to_owned(), plan_sha256, lock: Some(lock) })
    }

    /// The folder of a run whose first rank alone writes, for another rank: nothing is written.
    pub(crate) fn of_another_rank(path: &Path, plan: &Plan) -> Self {
        Self { path: path.to_owned(), plan_sha256: sha256(plan.to_toml_commented().as_bytes()), lock: None }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the resolved plan.
    pub(crate) fn plan_sha256(&self) -> &str {
        &self.plan_sha256
    }

    /// Writes a file of the folder, where this process is the one that does.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if self.lock.is_none() {
            return Ok(());
        }
        write_atomic(&self.path.join(name), bytes)
    }
}

/// Holds the folder for this process, for as long as the file lives.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let file = path.join(".lock");
    let lock = File::options()
        .create(true)
        .append(true)
        .open(&file)
        .with_context(|| format!("cannot write to {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("another remedis-train is writing to {}; wait for it, or choose another --out", path.display())
        }
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", file.display())),
    }
}

fn refuse_other(path: &Path, found: &Owner, wanted: &Owner) -> Result<()> {
    let mut differ = Vec::new();
    if found.plan_sha256 != wanted.plan_sha256 {
        differ.push("another plan or seed".to_owned());
    }
    for (role, _) in found.data.iter().chain(&wanted.data) {
        let (known, named) = (found.set(role), wanted.set(role));
        let may_be_absent = role == NEW_SITE && (known.is_none() || named.is_none());
        let text = format!("other images as --{role}");
        if known != named && !may_be_absent && !differ.contains(&text) {
            differ.push(text);
        }
    }
    if differ.is_empty() {
        return Ok(());
    }
    bail!(
        "{} holds a run with {}; either go on with that one (`remedis-train run {}` and the sets it was begun with), or \
         choose another --out (or remove the folder) to begin anew",
        path.display(),
        differ.join(", "),
        path.join("plan.toml").display()
    )
}

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file so that, whatever happens, either the old or the new one is there whole; a full disk is said in words.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(remedis_train::storage::write_atomic(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(plan: &str, data: &[(&str, &str)]) -> Owner {
        let data = data.iter().map(|(role, sha)| ((*role).to_owned(), (*sha).to_owned())).collect();
        Owner { plan_sha256: plan.to_owned(), data }
    }

    #[test]
    fn the_same_plan_and_data_go_on() {
        let one = owner("p", &[("data", "a"), ("shifted", "b")]);
        let two = owner("p", &[("data", "a"), ("shifted", "b")]);
        assert!(refuse_other(Path::new("out"), &one, &two).is_ok());
    }

    #[test]
    fn another_plan_or_data_is_refused_with_both_ways_out() {
        let one = owner("p", &[("data", "a"), ("shifted", "b")]);
        let two = owner("q", &[("data", "a"), ("shifted", "c"), ("natural", "d")]);
        let error = refuse_other(Path::new("out"), &one, &two).unwrap_err().to_string();
        assert!(
            error.contains("another plan or seed, other images as --shifted, other images as --natural"),
            "{error}"
        );
        assert!(error.contains("go on with that one") && error.contains("choose another --out"), "{error}");
    }

    #[test]
    fn another_hospital_may_join_later_but_not_change() {
        let without = owner("p", &[("data", "a")]);
        let mut with = owner("p", &[("data", "a"), ("shifted", "b")]);
        let other = owner("p", &[("data", "a"), ("shifted", "c")]);
        assert!(refuse_other(Path::new("out"), &without, &with).is_ok() && with.join(&without));
        assert!(refuse_other(Path::new("out"), &with, &other).is_err());
        let mut back = owner("p", &[("data", "a")]);
        assert!(refuse_other(Path::new("out"), &with, &back).is_ok() && !back.join(&with));
        assert_eq!(back, with);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = format!("{:#}", write_atomic(Path::new("/nowhere/at/all"), b"x").unwrap_err());
        assert!(error.starts_with("cannot write /nowhere/at/all"), "{error}");
    }
}

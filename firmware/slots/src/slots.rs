//! The folder as a whole: who is in it, reading it, and tidying it.

use std::io;

use remedis_bundle::{Bundle, OpenBundleError, TrustedKeys};

use crate::change::{Change, Named, OnTrial};
use crate::disk::{Disk, Folder, Found};
use crate::error::{NameError, RemoveError, SlotsError};
use crate::health::Running;
use crate::state::State;
use crate::version::Version;
use crate::{Digest, StateError};

/// Bytes of the largest bundle that is taken, where nothing else is said.
pub const MAX_BUNDLE_BYTES: u64 = 512 * 1024 * 1024;
/// The pointer file.
const STATE: &str = "state.json";
/// Far more than a state has.
const MAX_STATE_BYTES: u64 = 1024 * 1024;
/// How files begin that are not whole yet. Nothing reads them.
const UNFINISHED: &str = ".unfinished-";
const UNFINISHED_STATE: &str = ".unfinished-state";

/// The models on a device.
///
/// Several programs may each have one of these on the same folder: writers lock it for one operation at a time and read the
/// pointer anew, readers need no lock.
#[derive(Debug)]
pub struct Slots<D: Disk = Folder> {
    pub(crate) disk: D,
    pub(crate) trusted: TrustedKeys,
    pub(crate) max_bytes: u64,
    /// What [`Slots::start`] handed out.
    pub(crate) running: Option<Running>,
}

/// What the operator says may be done all the same. Nothing by default.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Allow {
    /// A version lower than the highest one that was good here, or one without an order.
    pub downgrade: bool,
    /// A model of another name than the active one.
    pub other_name: bool,
    /// A model that lost its place here before.
    pub refused_before: bool,
}

/// What a newly activated model has to show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrialRules {
    /// Starts of the program that it has; 0 counts as 1.
    pub starts: u32,
    /// Healthy answers to real images in one run that make it good; 0 counts as 1.
    pub answers: u32,
}

impl Default for TrialRules {
    /// Three starts for ten answers.
    fn default() -> Self {
        Self { starts: 3, answers: 10 }
    }
}

/// One installed bundle.
#[derive(Debug)]
pub struct Slot {
    /// What its file is named by.
    pub digest: Digest,
    /// Length of its file.
    pub bytes: u64,
    /// When it was installed, by the device's clock, where the disk knows.
    pub installed_unix_ms: Option<u64>,
    /// What it is to the device.
    pub role: Role,
    /// What is in it, by a signature checked now.
    pub content: Result<Content, OpenBundleError>,
}

/// What an installed bundle says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Content {
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// Identifier of the key that signed it.
    pub signer: String,
}

/// What an installed bundle is to the device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Role {
    /// It answers, and is good.
    Active,
    /// It answers, and has yet to show that it is good.
    OnTrial(OnTrial),
    /// It returns when the active one fails.
    LastGood,
    /// It lost its place.
    Refused {
        /// Why.
        reason: String,
    },
    /// It is there.
    Installed,
}

impl Slots {
    /// The models in `folder`, which is made if it is not there. Bundles count when one of the `trusted` keys signed them.
    ///
    /// # Errors
    /// When the folder or its pointer file cannot be used.
    pub fn open(folder: &std::path::Path, trusted: TrustedKeys) -> Result<Self, SlotsError> {
        let disk = Folder::at(folder).map_err(|source| SlotsError::Disk { doing: "making the folder", source })?;
        Self::on(disk, trusted)
    }
}

impl<D: Disk> Slots<D> {
    /// The models on `disk`.
    ///
    /// # Errors
    /// When the pointer file cannot be used.
    pub fn on(disk: D, trusted: TrustedKeys) -> Result<Self, SlotsError> {
        let slots = Self { disk, trusted, max_bytes: MAX_BUNDLE_BYTES, running: None };
        slots.read_state()?;
        Ok(slots)
    }

    /// Take no bundle of more than `max_bytes`. Reading one takes twice its size in memory.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// Every installed bundle, by digest; each is read and verified for this.
    ///
    /// # Errors
    /// When the folder or the pointer file cannot be read.
    pub fn list(&self) -> Result<Vec<Slot>, SlotsError> {
        let state = self.read_state()?;
        let mut slots = Vec::new();
        for (digest, found) in self.bundles()? {
            let content = self.load(&digest).map(|bundle| {
                let Named { name, version, .. } = Named::of(&bundle);
                Content { name, version, signer: bundle.signer().to_owned() }
            });
            if !is_gone(&content) {
                let (bytes, installed_unix_ms) = (found.bytes, found.written_unix_ms);
                slots.push(Slot { role: role(&state, &digest), digest, bytes, installed_unix_ms, content });
            }
        }
        Ok(slots)
    }

    /// The last move of the pointer, for an audit log to compare with its own last entry.
    ///
    /// # Errors
    /// When the pointer file cannot be read.
    pub fn last_change(&self) -> Result<Option<Change>, SlotsError> {
        Ok(self.read_state()?.last_change)
    }

    /// Remove the bundle whose digest begins with `digest_prefix`. That its version was good here is still remembered.
    ///
    /// # Errors
    /// When there is not exactly one such bundle, it is needed, or the disk refuses.
    pub fn remove(&mut self, digest_prefix: &str) -> Result<Change, RemoveError> {
        let (_lock, state) = self.begin()?;
        let digest = self.find(digest_prefix)??;
        if let Some(model) = state.needed(&digest) {
            return Err(RemoveError::Needed { model: model.clone() });
        }
        self.disk.remove(&digest.file()).map_err(|source| SlotsError::Disk { doing: "removing a bundle", source })?;
        self.sync_folder()?;
        Ok(Change::Removed { digest })
    }

    /// Remove all bundles that are not needed but the `keep` with the highest versions. Those that are no longer accepted go
    /// first.
    ///
    /// # Errors
    /// When the disk refuses; some may be gone then.
    pub fn prune(&mut self, keep: usize) -> Result<Vec<Change>, RemoveError> {
        let (_lock, state) = self.begin()?;
        let mut spare = Vec::new();
        for (digest, _) in self.bundles()? {
            if state.needed(&digest).is_none() {
                let rank = match self.load(&digest) {
                    Ok(bundle) => Some(Version::parse(&bundle.manifest().version)),
                    Err(OpenBundleError::Read { source, .. }) => {
                        return Err(SlotsError::Disk { doing: "reading a bundle", source }.into());
                    }
                    Err(_) => None,
                };
                spare.push((rank, digest));
            }
        }
        spare.sort();
        spare.truncate(spare.len().saturating_sub(keep));
        let mut changes = Vec::new();
        for (_, digest) in spare {
            self.disk
                .remove(&digest.file())
                .map_err(|source| SlotsError::Disk { doing: "removing a bundle", source })?;
            changes.push(Change::Removed { digest });
        }
        self.sync_folder()?;
        Ok(changes)
    }

    /// Begin to change something: others are kept out, what killed writers left is gone, the pointer is read anew.
    pub(crate) fn begin(&self) -> Result<(D::Lock, State), SlotsError> {
        let lock = self.disk.lock().map_err(|source| SlotsError::Disk { doing: "locking the folder", source })?;
        let lock = lock.ok_or(SlotsError::InUse)?;
        for found in self.files()? {
            if found.name.starts_with(UNFINISHED) {
                // It takes room and does no other harm: a disk that keeps it is no reason to stop.
                let _ = self.disk.remove(&found.name);
            }
        }
        Ok((lock, self.read_state()?))
    }

    fn read_state(&self) -> Result<State, SlotsError> {
        match self.disk.read(STATE, MAX_STATE_BYTES) {
            Ok(bytes) => Ok(State::from_bytes(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::new()),
            Err(source) => Err(SlotsError::Disk { doing: "reading state.json", source }),
        }
    }

    /// The one step by which the pointer moves.
    pub(crate) fn save(&self, state: &State) -> Result<(), SlotsError> {
        use std::io::Write as _;
        let bytes = state.to_bytes().map_err(StateError::Json)?;
        let written = self.disk.create(UNFINISHED_STATE).and_then(|mut file| {
            file.write_all(&bytes)?;
            self.disk.sync(&file)
        });
        let placed = written.and_then(|()| self.disk.rename(UNFINISHED_STATE, STATE));
        placed.map_err(|source| {
            let _ = self.disk.remove(UNFINISHED_STATE);
            SlotsError::Disk { doing: "writing state.json", source }
        })?;
        self.sync_folder()
    }

    pub(crate) fn sync_folder(&self) -> Result<(), SlotsError> {
        self.disk.sync_folder().map_err(|source| SlotsError::Disk { doing: "syncing the folder", source })
    }

    /// The bundle with `digest`, its signature checked now.
    pub(crate) fn load(&self, digest: &Digest) -> Result<Bundle, OpenBundleError> {
        let name = digest.file();
        let bytes = self.disk.read(&name, self.max_bytes).map_err(|source| match source.kind() {
            io::ErrorKind::FileTooLarge => OpenBundleError::TooLarge { limit: self.max_bytes },
            _ => OpenBundleError::Read { path: name.into(), source },
        })?;
        let bundle = Bundle::from_bytes(&bytes, &self.trusted)?;
        if bundle.digest() != digest.as_str() {
            // Another genuine bundle under this one's name.
            let (expected, found) = (digest.to_string(), bundle.digest().to_owned());
            return Err(OpenBundleError::Damaged { expected, found });
        }
        Ok(bundle)
    }

    /// The one installed bundle whose digest begins with `prefix`.
    pub(crate) fn find(&self, prefix: &str) -> Result<Result<Digest, NameError>, SlotsError> {
        let fits = |digest: &Digest| !prefix.is_empty() && digest.as_str().starts_with(prefix);
        let mut fitting = self.bundles()?.into_iter().map(|(digest, _)| digest).filter(fits);
        let prefix = || prefix.chars().take(64).collect();
        let Some(digest) = fitting.next() else { return Ok(Err(NameError::NotInstalled { prefix: prefix() })) };
        Ok(match fitting.count() {
            0 => Ok(digest),
            more => Err(NameError::Ambiguous { prefix: prefix(), n: 1 + more }),
        })
    }

    fn bundles(&self) -> Result<Vec<(Digest, Found)>, SlotsError> {
        let files = self.files()?.into_iter();
        Ok(files.filter_map(|found| Some((Digest::of_file(&found.name)?, found))).collect())
    }

    fn files(&self) -> Result<Vec<Found>, SlotsError> {
        self.disk.files().map_err(|source| SlotsError::Disk { doing: "reading the folder", source })
    }
}

/// Whether the disk failed, which says nothing about a bundle. That a file is not there does.
pub(crate) fn is_disk_failure(error: &OpenBundleError) -> bool {
    matches!(error, OpenBundleError::Read { source, .. } if source.kind() != io::ErrorKind::NotFound)
}

/// Removed by another program since the folder was read.
fn is_gone(content: &Result<Content, OpenBundleError>) -> bool {
    matches!(content, Err(OpenBundleError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound)
}

fn role(state: &State, digest: &Digest) -> Role {
    let is = |model: &Option<Named>| model.as_ref().is_some_and(|model| model.digest == *digest);
    if is(&state.active) {
        return state.on_trial().map_or(Role::Active, Role::OnTrial);
    }
    if is(&state.last_good) {
        return Role::LastGood;
    }
    state.refused(digest).map_or(Role::Installed, |reason| Role::Refused { reason: reason.to_owned() })
}

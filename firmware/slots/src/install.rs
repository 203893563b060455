//! Taking a bundle in: written aside, synced, read back, verified, and only then given its name.

use std::io::{Read, Write};

use remedis_bundle::Bundle;
use sha2::{Digest as _, Sha256};

use crate::change::{Change, Named};
use crate::disk::Disk;
use crate::error::{InstallError, SlotsError};
use crate::slots::{Allow, Slots};
use crate::state::{State, hex};

const UNFINISHED_BUNDLE: &str = ".unfinished-bundle";
/// Bytes that are copied at once.
const CHUNK: usize = 64 * 1024;

impl<D: Disk> Slots<D> {
    /// Take in the bundle that `source` holds. Nothing uses it before [`Slots::activate`].
    ///
    /// Its lengths, digest and signature are checked on what the disk gives back, before its content is interpreted.
    ///
    /// # Errors
    /// When it is not accepted, not wanted without the operator's word, or the disk refuses; nothing of it is left then.
    pub fn install(&mut self, source: impl Read, allow: Allow) -> Result<Change, InstallError> {
        let (_lock, state) = self.begin()?;
        let installed = self.stage(source).and_then(|bundle| self.place(&state, &bundle, allow));
        if installed.is_err() {
            // Best effort: the next writer tries again.
            let _ = self.disk.remove(UNFINISHED_BUNDLE);
        }
        installed
    }

    /// Write what `source` holds aside, and verify what the disk gives back.
    fn stage(&self, source: impl Read) -> Result<Bundle, InstallError> {
        let written = self.write_aside(source)?;
        let bytes = self.disk.read(UNFINISHED_BUNDLE, self.max_bytes).map_err(disk("reading the bundle back"))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != written {
            return Err(InstallError::ReadBack { written, found });
        }
        Bundle::from_bytes(&bytes, &self.trusted).map_err(InstallError::Untrusted)
    }

    /// Copy `source` to the unfinished file and sync it; returns the SHA-256 of what was written.
    fn write_aside(&self, source: impl Read) -> Result<String, InstallError> {
        let mut file = self.disk.create(UNFINISHED_BUNDLE).map_err(disk("writing the bundle"))?;
        let mut source = source.take(self.max_bytes.saturating_add(1));
        let (mut chunk, mut hasher, mut n_bytes) = (vec![0; CHUNK], Sha256::new(), 0);
        loop {
            let n_read = match source.read(&mut chunk) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.map_err(InstallError::Source)?,
            };
            if n_read == 0 {
                break;
            }
            n_bytes += n_read as u64;
            if n_bytes > self.max_bytes {
                return Err(InstallError::TooLarge { limit: self.max_bytes });
            }
            hasher.update(&chunk[..n_read]);
            file.write_all(&chunk[..n_read]).map_err(disk("writing the bundle"))?;
        }
        self.disk.sync(&file).map_err(disk("syncing the bundle"))?;
        Ok(hex(&hasher.finalize()))
    }

    /// Give the unfinished file, which holds `bundle`, its name.
    fn place(&self, state: &State, bundle: &Bundle, allow: Allow) -> Result<Change, InstallError> {
        let model = Named::of(bundle);
        let overrides = state.admit(&model, allow)?;
        // Also over a damaged copy, or one by a key that is no longer trusted.
        let was_there = self.load(&model.digest).is_ok();
        if was_there {
            self.disk.remove(UNFINISHED_BUNDLE).map_err(disk("removing the second copy"))?;
        } else {
            self.disk.rename(UNFINISHED_BUNDLE, &model.digest.file()).map_err(disk("naming the bundle"))?;
        }
        self.sync_folder()?;
        Ok(Change::Installed { model, overrides, was_there })
    }
}

fn disk(doing: &'static str) -> impl Fn(std::io::Error) -> InstallError {
    move |source| SlotsError::Disk { doing, source }.into()
}

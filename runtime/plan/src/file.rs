//! The plan file: a program and its constants, ready to be mapped. Specified in `PLAN.md`.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use remedis_kernels::{ALIGNMENT, Constants, Family, Lines, map};

use crate::arrange::ProgramError;
use crate::engine::Plan;
use crate::program::Program;

/// First bytes of every plan.
pub const MAGIC: [u8; 8] = *b"REMEPLAN";
/// Goes up whenever a layer, its packing or the encoding changes.
pub const VERSION: u32 = 4;
/// Bytes before the program.
const HEADER: usize = 64;

/// Why a plan cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenPlanError {
    /// The file cannot be read.
    #[error("cannot read the plan")]
    Read(#[from] std::io::Error),
    /// Something else than a plan.
    #[error("this is no plan: it should begin with {MAGIC:?}")]
    NoPlan,
    /// Written by another version of this program.
    #[error("the plan has version {found}, this program runs version {VERSION}: compile the model again")]
    Version {
        /// As the file says.
        found: u32,
    },
    /// Cut off, or its lengths are wrong.
    #[error("the plan should be {expected} bytes, found {found}: copy or compile it again")]
    Length {
        /// By its header.
        expected: u64,
        /// Of the file.
        found: u64,
    },
    /// Damaged.
    #[error("the plan's checksum should be {expected:08x}, found {found:08x}: copy or compile it again")]
    Checksum {
        /// As the file says.
        expected: u32,
        /// Of its bytes.
        found: u32,
    },
    /// The program cannot be decoded.
    #[error("the plan's program cannot be decoded")]
    Decode(#[from] postcard::Error),
    /// The program is not one that can run.
    #[error("the plan's program is refused")]
    Program(#[from] ProgramError),
    /// For another processor.
    #[error("the plan is for {} processors, this one is {}: compile the model again here", found.name(), here.name())]
    Family {
        /// As the file says.
        found: Family,
        /// Of this processor.
        here: Family,
    },
}

impl Plan {
    /// The bytes of a plan file.
    ///
    /// # Panics
    /// If memory for the program's text cannot be had.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let program = postcard::to_stdvec(self.program()).expect("a program has an encoding");
        let constants = self.constants().bytes();
        let mut bytes = Vec::with_capacity(HEADER + program.len() + ALIGNMENT + constants.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend((program.len() as u64).to_le_bytes());
        bytes.extend((constants.len() as u64).to_le_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(program);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes.extend(constants);
        let checksum = crc32fast::hash(&bytes[16..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Writes a plan file under another name, syncs it and moves it into place.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let written = File::create(&partial).and_then(|mut file| {
            file.write_all(&self.to_bytes())?;
            file.sync_all()
        });
        let moved = written.and_then(|()| std::fs::rename(&partial, path));
        if moved.is_err() {
            drop(std::fs::remove_file(&partial));
            return moved;
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }

    /// Maps a plan file. Nobody may change it in place while it is open; [`Plan::write`] never does.
    ///
    /// # Errors
    /// If it is no whole, undamaged plan of this version.
    pub fn open(path: &Path) -> Result<Self, OpenPlanError> {
        let file = File::open(path)?;
        if file.metadata()?.len() < HEADER as u64 {
            return Err(OpenPlanError::NoPlan);
        }
        let file = map(&file)?;
        let (program, first) = read(&file)?;
        Ok(Self::new(program, Constants::Mapped { file, first })?)
    }

    /// The same from memory, whose constants are copied.
    ///
    /// # Errors
    /// As [`Plan::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpenPlanError> {
        let (program, first) = read(bytes)?;
        let mut constants = Lines::new(bytes.len() - first);
        constants.bytes_mut()[..bytes.len() - first].copy_from_slice(&bytes[first..]);
        Ok(Self::new(program, Constants::Owned(constants))?)
    }

    /// Refuses plans that would run on plain Rust here.
    ///
    /// # Errors
    /// If the plan is for another family than this processor's.
    pub fn check_family(&self) -> Result<(), OpenPlanError> {
        let (found, here) = (self.program().family, remedis_kernels::Backend::detect().family());
        if found == here { Ok(()) } else { Err(OpenPlanError::Family { found, here }) }
    }
}

/// The program, and where the constants begin.
fn read(bytes: &[u8]) -> Result<(Program, usize), OpenPlanError> {
    let header = bytes.first_chunk::<HEADER>().filter(|header| header[..8] == MAGIC).ok_or(OpenPlanError::NoPlan)?;
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| header[at + byte]));
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    if word(8) != VERSION {
        return Err(OpenPlanError::Version { found: word(8) });
    }
    let found = bytes.len() as u64;
    let program_end = (HEADER as u64).saturating_add(long(16));
    let first = program_end.checked_next_multiple_of(ALIGNMENT as u64).unwrap_or(u64::MAX);
    let expected = first.saturating_add(long(24));
    if expected != found {
        return Err(OpenPlanError::Length { expected, found });
    }
    let checksum = crc32fast::hash(&bytes[16..]);
    if checksum != word(12) {
        return Err(OpenPlanError::Checksum { expected: word(12), found: checksum });
    }
    Ok((postcard::from_bytes(&bytes[HEADER..program_end as usize])?, first as usize))
}

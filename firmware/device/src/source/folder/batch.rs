//! The images of one file: one, or as many as a zip file holds.

use super::archive::Archive;
use super::hand_back::{Identity, Outcome, Told};
use crate::pipeline::judge::hexadecimal;
use remedis_settings::FolderConfig;
use remedis_store::{Answer, Request};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// One image and what it is asked as.
pub(super) struct Member {
    pub(super) request: Request,
    pub(super) bytes: Vec<u8>,
}

/// A file that is being answered.
pub(super) struct Batch {
    name: OsString,
    /// As it was when it was read.
    identity: Option<Identity>,
    images: Images,
    /// Put back because all places were taken.
    next: VecDeque<Member>,
    n_asked: usize,
    /// What each image is asked as, and its name in a zip file.
    members: Vec<(String, Option<String>)>,
    /// Position among the members, by what they are asked as.
    positions: BTreeMap<String, usize>,
    /// By position.
    told: BTreeMap<usize, Told>,
    refused: Option<String>,
}

enum Images {
    One(Option<Vec<u8>>),
    Zip(Box<Archive<BufReader<File>>>),
}

/// Why a file is not taken.
pub(super) enum ReadFault {
    /// It is not there any more.
    Gone,
    /// It cannot be answered.
    Refused {
        /// Why, without its name.
        reason: String,
    },
}

impl From<io::Error> for ReadFault {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::NotFound => Self::Gone,
            _ => Self::Refused { reason: format!("the file cannot be read: {cause}") },
        }
    }
}

impl Batch {
    /// Reads the file `name` of the folder.
    pub(super) fn read(config: &FolderConfig, name: &OsStr) -> Result<Self, ReadFault> {
        let refuse = |reason: String| ReadFault::Refused { reason };
        let file = open(&config.path.join(name))?;
        let identity = Identity::of(&file.metadata()?);
        let mut bytes = Vec::new();
        (&file).take(config.max_file_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > config.max_file_bytes {
            return Err(refuse(format!("the file is larger than {} bytes", config.max_file_bytes)));
        }
        let of_file = Sha256::new_with_prefix(name.as_bytes()).chain_update([0]).chain_update(Sha256::digest(&bytes));
        if !Archive::<File>::is_meant_by(&bytes) {
            let mut batch = Self::new(name.to_owned(), Some(identity), Images::One(Some(bytes)));
            batch.expect(&of_file.finalize(), None);
            return Ok(batch);
        }
        drop(bytes);
        let archive = Archive::open(BufReader::new(file), config.max_file_bytes).map_err(refuse)?;
        let members = archive.names();
        let images = Images::Zip(Box::new(archive));
        let mut batch = Self::new(name.to_owned(), Some(identity), images);
        for (index, member) in members.into_iter().enumerate() {
            let of_member = of_file.clone().chain_update((index as u64).to_le_bytes());
            batch.expect(&of_member.finalize(), Some(member));
        }
        Ok(batch)
    }

    /// A file that gets no answer.
    pub(super) fn refused(name: OsString, reason: String) -> Self {
        Self { refused: Some(reason), ..Self::new(name, None, Images::One(None)) }
    }

    fn new(name: OsString, identity: Option<Identity>, images: Images) -> Self {
        let (next, positions, told) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        Self { name, identity, images, next, n_asked: 0, members: vec![], positions, told, refused: None }
    }

    fn expect(&mut self, hash: &[u8], member: Option<String>) {
        let id = hexadecimal(hash);
        self.positions.insert(id.clone(), self.members.len());
        self.members.push((id, member));
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// What tells the file from another of its name; none where it could not be read.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The next image to be asked about. One that cannot be unpacked is refused by itself.
    pub(super) fn next(&mut self) -> Option<Member> {
        if let Some(member) = self.next.pop_front() {
            return Some(member);
        }
        while self.n_asked < self.members.len() {
            let index = self.n_asked;
            self.n_asked += 1;
            match self.unpack(index) {
                Ok(bytes) => {
                    let (id, fingerprint) = (self.members[index].0.clone(), hexadecimal(&Sha256::digest(&bytes)));
                    return Some(Member { request: Request { id, fingerprint }, bytes });
                }
                Err(reason) => {
                    let member = self.members[index].1.clone();
                    self.told.insert(index, Told::Refused { member, reason });
                }
            }
        }
        None
    }

    fn unpack(&mut self, index: usize) -> Result<Vec<u8>, String> {
        match &mut self.images {
            Images::One(bytes) => Ok(bytes.take().unwrap_or_default()),
            Images::Zip(archive) => archive.unpack(index),
        }
    }

    /// Gives an image back that there was no place for.
    pub(super) fn put_back(&mut self, member: Member) {
        self.next.push_front(member);
    }

    /// Notes an answer, if it is to one of these images.
    pub(super) fn answer(&mut self, request: &str, sequence: u64, answer: Answer) {
        if let Some(&index) = self.positions.get(request) {
            let (member, answer) = (self.members[index].1.clone(), Box::new(answer));
            self.told.insert(index, Told::Answer { sequence, member, answer });
        }
    }

    /// Whether there is something to say of every image.
    pub(super) fn is_done(&self) -> bool {
        self.told.len() == self.members.len()
    }

    /// What is handed back.
    pub(super) fn outcome(&self) -> Outcome {
        match &self.refused {
            Some(reason) => Outcome::Refused { reason: reason.clone() },
            None => Outcome::Answers(self.told.values().cloned().collect()),
        }
    }

    /// The answers' numbers in the journal.
    pub(super) fn sequences(&self) -> impl Iterator<Item = u64> {
        self.told.values().filter_map(Told::sequence)
    }
}

/// Opens a plain file and nothing that took its place since it was seen: a pipe would be waited for, a link may lead anywhere.
fn open(path: &Path) -> Result<File, ReadFault> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(ReadFault::Refused { reason: "it is no plain file".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive::MAX_MEMBERS;
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::fs;
    use std::io::{Cursor, Write};

    fn settings(folder: &Path) -> FolderConfig {
        FolderConfig { path: folder.to_owned(), max_file_bytes: 10_000_000, look_every_s: 1 }
    }

    /// Why the file `name` is refused as a whole.
    fn refusal(folder: &Path, name: &str) -> String {
        match Batch::read(&settings(folder), OsStr::new(name)) {
            Err(ReadFault::Refused { reason }) => reason,
            Err(ReadFault::Gone) => panic!("{name} is not there"),
            Ok(_) => panic!("{name} is taken"),
        }
    }

    fn zip(members: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn what_took_the_place_of_a_file_is_neither_waited_for_nor_followed() {
        let folder = tempfile::tempdir().unwrap();
        mknodat(CWD, folder.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link")).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert_eq!(refusal(folder.path(), "pipe"), "it is no plain file");
        assert_eq!(refusal(folder.path(), "folder"), "it is no plain file");
        assert!(refusal(folder.path(), "link").starts_with("the file cannot be read: "));
    }

    #[test]
    fn a_zip_of_too_many_files_is_refused_by_its_end_alone() {
        let folder = tempfile::tempdir().unwrap();
        let many = zip((0..=MAX_MEMBERS).map(|number| (number.to_string(), vec![])));
        fs::write(folder.path().join("many.zip"), &many).unwrap();
        assert!(refusal(folder.path(), "many.zip").starts_with("the zip file lists more than 10000 files"));
    }

    #[test]
    fn an_image_of_a_zip_may_be_as_large_as_a_file_and_no_larger() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = [10_000_000, 10_000_001, 1];
        let members = sizes.map(|size| (size.to_string(), vec![0; size]));
        fs::write(folder.path().join("large.zip"), zip(members.into_iter())).unwrap();
        let Ok(mut batch) = Batch::read(&settings(folder.path()), OsStr::new("large.zip")) else {
            panic!("it is taken")
        };
        let unpacked = std::iter::from_fn(|| batch.next().map(|member| member.bytes.len()));
        assert_eq!(unpacked.collect::<Vec<_>>(), [10_000_000, 1]);
        let Outcome::Answers(told) = batch.outcome() else { panic!("the others are answered") };
        let [Told::Refused { reason, .. }] = told.as_slice() else { panic!("{told:?}") };
        assert!(reason.contains("it is larger than 10000000 bytes"), "{reason}");
    }
}

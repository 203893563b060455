//! The images of one file: one, or as many as a zip file holds.

use super::hand_back::{Outcome, Told};
use crate::pipeline::judge::hexadecimal;
use remedis_settings::FolderConfig;
use remedis_store::{Answer, Request};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::OsStrExt;

/// Images that a zip file may hold.
const MAX_MEMBERS: usize = 10_000;
/// All images of a zip file together may take this many times what a file may.
const MAX_EXPANSION: u64 = 16;

/// One image and what it is asked as.
pub(super) struct Member {
    pub(super) request: Request,
    pub(super) bytes: Vec<u8>,
}

/// A file that is being answered.
pub(super) struct Batch {
    name: OsString,
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
    Zip(Box<zip::ZipArchive<Cursor<Vec<u8>>>>),
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
        let file = File::open(config.path.join(name))?;
        let mut bytes = Vec::new();
        file.take(config.max_file_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > config.max_file_bytes {
            return Err(refuse(format!("the file is larger than {} bytes", config.max_file_bytes)));
        }
        let of_file = Sha256::new_with_prefix(name.as_bytes()).chain_update([0]).chain_update(Sha256::digest(&bytes));
        if !bytes.starts_with(b"PK\x03\x04") {
            let mut batch = Self::new(name.to_owned(), Images::One(Some(bytes)));
            batch.expect(&of_file.finalize(), None);
            return Ok(batch);
        }
        let zip =
            zip::ZipArchive::new(Cursor::new(bytes)).map_err(|cause| refuse(format!("no readable zip: {cause}")))?;
        check_sizes(&zip, config).map_err(refuse)?;
        // A name that is no text is no reason to leave the image unanswered.
        let members: Vec<String> =
            zip.file_names().map(|name| name.map_or_else(|_| String::new(), |name| name.into_owned())).collect();
        let mut batch = Self::new(name.to_owned(), Images::Zip(Box::new(zip)));
        for (index, member) in members.into_iter().enumerate() {
            let of_member = of_file.clone().chain_update((index as u64).to_le_bytes());
            batch.expect(&of_member.finalize(), Some(member));
        }
        Ok(batch)
    }

    /// A file that gets no answer.
    pub(super) fn refused(name: OsString, reason: String) -> Self {
        Self { refused: Some(reason), ..Self::new(name, Images::One(None)) }
    }

    fn new(name: OsString, images: Images) -> Self {
        let (positions, told) = (BTreeMap::new(), BTreeMap::new());
        Self { name, images, next: VecDeque::new(), n_asked: 0, members: vec![], positions, told, refused: None }
    }

    fn expect(&mut self, hash: &[u8], member: Option<String>) {
        let id = hexadecimal(hash);
        self.positions.insert(id.clone(), self.members.len());
        self.members.push((id, member));
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
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
            Images::Zip(zip) => unpack(zip, index),
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

/// Sizes as the zip file tells them; what it really holds is bounded again when it is unpacked.
fn check_sizes(zip: &zip::ZipArchive<Cursor<Vec<u8>>>, config: &FolderConfig) -> Result<(), String> {
    if zip.is_empty() || zip.len() > MAX_MEMBERS {
        return Err(format!("the zip file holds {} files, expected 1 to {MAX_MEMBERS}", zip.len()));
    }
    let most = u128::from(config.max_file_bytes) * u128::from(MAX_EXPANSION);
    match zip.decompressed_size() {
        Some(size) if size <= most => Ok(()),
        Some(size) => Err(format!("the zip file holds {size} bytes, at most {most} are taken")),
        None => Err("the zip file does not tell how much it holds".into()),
    }
}

fn unpack(zip: &mut zip::ZipArchive<Cursor<Vec<u8>>>, index: usize) -> Result<Vec<u8>, String> {
    let describe = |cause: &dyn std::fmt::Display| format!("file {} of the zip cannot be unpacked: {cause}", index + 1);
    let file = zip.by_index(index).map_err(|cause| describe(&cause))?;
    let size = file.size();
    let mut bytes = Vec::new();
    file.take(size.saturating_add(1)).read_to_end(&mut bytes).map_err(|cause| describe(&cause))?;
    if bytes.len() as u64 != size {
        return Err(describe(&format!("it says that it holds {size} bytes and does not")));
    }
    Ok(bytes)
}

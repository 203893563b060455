//! Event files for TensorBoard, so that a run can be watched beside others.
//!
//! A file is a list of `TFRecord`s: length as u64, masked CRC-32C of it, the bytes of an `Event`, masked CRC-32C of them, all little
//! endian. Sources: `tensorflow/core/lib/io/record_writer.h` for the frame, `tensorflow/core/lib/hash/crc32c.h` for the mask,
//! `tensorflow/core/util/event.proto` and `tensorflow/core/framework/summary.proto` for the messages. Every start of a process opens a
//! file of its own, as TensorBoard expects: it reads all files of a folder as one run, and lets a step that comes again replace
//! what it had from there on. A record that a kill has torn is where its reader stops.

use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

/// CRC-32C (Castagnoli), which catalogues name after iSCSI.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// What the first event of a file must say.
const VERSION: &str = "brain.Event:2";

/// One line of a file: the version, or values at a step.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    // Always written, also when 0: it is one of several kinds of value.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The event file of one process.
#[derive(Debug)]
pub(crate) struct EventFile(File);

impl EventFile {
    /// Begins a new file in `folder`, which is made.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).collect();
        let now = now();
        // TensorBoard reads files in the order of their names, so the time comes first; its own writers end in a counter.
        let create = |counter: u32| {
            let name = format!("events.out.tfevents.{:010}.{host}.{}.{counter}", now as u64, std::process::id());
            File::options().write(true).create_new(true).open(folder.join(name))
        };
        let file = (0..)
            .map(create)
            .find(|file| !matches!(file, Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists));
        let mut out = Self(file.expect("one of 2^32 names is free")?);
        out.write(&Event { wall_time: now, step: 0, file_version: Some(VERSION.to_owned()), summary: None })?;
        Ok(out)
    }

    /// Appends values, each under its tag; what is before the first `/` of a tag groups charts.
    pub(crate) fn scalars(&mut self, step: u64, values: &[(String, f64)]) -> Result<()> {
        let value = |(tag, value): &(String, f64)| Value { tag: tag.clone(), simple_value: Some(*value as f32) };
        let summary = Summary { value: values.iter().map(value).collect() };
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        self.write(&Event { wall_time: now(), step, file_version: None, summary: Some(summary) })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        self.0.write_all(&framed(&event.encode_to_vec()))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc(data).to_le_bytes());
    out
}

/// Rotated and shifted, so that a checksum of data that holds checksums stays a good one.
fn masked_crc(data: &[u8]) -> u32 {
    CRC.checksum(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a file by nothing but the layout: length, four bytes, data, four bytes.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            out.push(bytes[12..12 + length].to_vec());
            bytes = &bytes[16 + length..];
        }
        out
    }

    fn only_file(folder: &Path) -> Vec<u8> {
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        std::fs::read(&files[0]).unwrap()
    }

    /// Python's `tensorboard` 2.21.0 (pip install tensorboard) wrote these:
    ///
    /// ```python
    /// import io
    /// from tensorboard.summary.writer.record_writer import RecordWriter
    /// f = io.BytesIO(); w = RecordWriter(f); w.write(b"hello"); w.flush(); print(f.getvalue().hex(" "))
    /// ```
    #[test]
    fn a_record_has_the_bytes_that_tensorboard_writes() {
        let expected = b"\x05\0\0\0\0\0\0\0\xea\xb2\x04\x3ehello\xbb\x1f\x1c\x19";
        assert_eq!(framed(b"hello"), expected);
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, appendix B.4: 32 bytes of zeros.
        assert_eq!(CRC.checksum(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn events_hold_the_fields_that_readers_look_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path()).unwrap();
        file.scalars(3, &[("contrast/loss".to_owned(), 1.5), ("contrast/waiting_share".to_owned(), 0.0)]).unwrap();
        let records = records(&only_file(folder.path()));
        // Field 1, a double, is the clock; field 3 is text of 13 bytes. A step of 0 is not written.
        assert_eq!((records[0][0], &records[0][9..]), (0x09, &b"\x1a\x0dbrain.Event:2"[..]));
        // Field 2 is the step; field 5 is 53 bytes of summary: twice field 1, in it the tag and a float of 1.5 and of 0.
        let expected = b"\x10\x03\x2a\x35\
            \x0a\x14\x0a\x0dcontrast/loss\x15\x00\x00\xc0\x3f\
            \x0a\x1d\x0a\x16contrast/waiting_share\x15\x00\x00\x00\x00";
        assert_eq!(&records[1][9..], expected);
    }

    /// By hand, with Python's own reader (pip install tensorboard), on the folder of a run:
    ///
    /// ```python
    /// from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    /// events = EventAccumulator("OUT/tensorboard"); events.Reload()
    /// for tag in events.Tags()["scalars"]: print(tag, [(e.step, e.value) for e in events.Scalars(tag)][:3])
    /// ```
    #[test]
    fn every_start_writes_a_file_of_its_own_that_begins_with_the_version() {
        let folder = tempfile::tempdir().unwrap();
        for step in 1..=2 {
            EventFile::create(folder.path()).unwrap().scalars(step, &[("a/loss".to_owned(), 1.0)]).unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        for file in files {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(name.starts_with("events.out.tfevents."), "{name}");
            assert!(records(&std::fs::read(&file).unwrap())[0].ends_with(VERSION.as_bytes()));
        }
    }
}

//! DICOM: the first frame of an image object, as a reader would see it.
//!
//! Why not a DICOM library: building an object from hostile bytes recurses without limit in the one there is, and its
//! run-length and JPEG readers trust the lengths in a file. A picture needs twenty attributes, so this walks the data set
//! once, over borrowed bytes, with an explicit stack. Source: DICOM PS3.5 (encoding) and PS3.3 C.7.6.3, C.11.1, C.11.2.
//!
//! Read: implicit and explicit little endian, explicit big endian, deflated, run-length, and the JPEG processes 1, 2
//! (8 bits) and 14. Not read, and said so by name: JPEG 2000, JPEG-LS, 12-bit JPEG, video, float pixel data.

mod colour;
mod dataset;
mod frame;
mod grey;
mod rle;

use dataset::{Dataset, Tag, tags};
use remedis_bundle::Channels;

use crate::decode::check_size;
use crate::{DecodeError, Image};
use frame::Frame;

/// Why a DICOM file is not a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DicomError {
    /// The file ends inside an element.
    #[error("the file ends too early: {what} needs {expected} bytes, {found} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes that it needs.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// Sequences inside sequences inside sequences.
    #[error("sequences are nested more than {limit} deep")]
    TooDeep {
        /// The deepest nesting that is read.
        limit: usize,
    },
    /// A deflated data set that grows beyond all measure.
    #[error("the deflated data set is larger than {limit} bytes or damaged")]
    Deflate {
        /// The most bytes that are inflated.
        limit: u64,
    },
    /// Bytes that are no data element.
    #[error("no data element at byte {position} of the data set: found {found:02x?}")]
    Malformed {
        /// Where in the data set.
        position: usize,
        /// The bytes there, at most eight.
        found: Vec<u8>,
    },
    /// An attribute that a picture needs.
    #[error("attribute {tag} is missing or has no usable value")]
    Missing {
        /// Its name and number.
        tag: Tag,
    },
    /// An attribute with a value that is not read.
    #[error("attribute {tag} is {found}; expected {expected}")]
    Unsupported {
        /// Its name and number.
        tag: Tag,
        /// Its value.
        found: String,
        /// The values that are read.
        expected: &'static str,
    },
    /// A transfer syntax that is not read.
    #[error("transfer syntax {uid} ({name}) is not supported; convert the file to explicit VR little endian")]
    UnsupportedTransferSyntax {
        /// The identifier in the file.
        uid: String,
        /// Its common name.
        name: &'static str,
    },
    /// A run-length segment that gives too few bytes.
    #[error("run-length segment {segment} is damaged: expected {expected} bytes, found {found}")]
    RunLength {
        /// Which segment, from zero.
        segment: usize,
        /// Bytes that the frame needs.
        expected: usize,
        /// Bytes that it gave.
        found: usize,
    },
    /// The compressed frame and the attributes disagree.
    #[error("the compressed frame has {found:?} (columns, rows, samples), the attributes say {expected:?}")]
    FrameGeometry {
        /// By the attributes.
        expected: (u32, u32, u32),
        /// By the frame.
        found: (u32, u32, u32),
    },
}

/// How the bytes of a data set and its pixels are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PixelCoding {
    Native,
    RunLength,
    Jpeg,
}

struct TransferSyntax {
    encoding: dataset::Encoding,
    deflated: bool,
    pixels: PixelCoding,
}

/// Source: DICOM PS3.5 annex A and PS3.6 table A-1.
fn transfer_syntax(uid: &str) -> Result<TransferSyntax, DicomError> {
    use PixelCoding::{Jpeg, Native, RunLength};
    use dataset::Encoding;
    let explicit = Encoding { explicit: true, big_endian: false };
    let implicit = Encoding { explicit: false, big_endian: false };
    let big_endian = Encoding { explicit: true, big_endian: true };
    let (encoding, deflated, pixels) = match uid.strip_prefix("1.2.840.10008.1.2").unwrap_or("unknown") {
        "" => (implicit, false, Native),
        ".1" => (explicit, false, Native),
        ".1.99" => (explicit, true, Native),
        ".2" => (big_endian, false, Native),
        ".5" => (explicit, false, RunLength),
        ".4.50" | ".4.51" | ".4.57" | ".4.70" => (explicit, false, Jpeg),
        other => {
            let name = match other {
                ".4.80" | ".4.81" => "JPEG-LS",
                ".4.90" | ".4.91" | ".4.92" | ".4.93" => "JPEG 2000",
                ".4.201" | ".4.202" | ".4.203" => "high-throughput JPEG 2000",
                ".4.110" | ".4.111" | ".4.112" => "JPEG XL",
                ".8.1" => "deflated frames",
                _ if other.starts_with(".4.10") => "MPEG video",
                _ => "unknown",
            };
            return Err(DicomError::UnsupportedTransferSyntax { uid: printable(uid.as_bytes()), name });
        }
    };
    Ok(TransferSyntax { encoding, deflated, pixels })
}

/// Reads the first frame.
pub(crate) fn decode(bytes: &[u8]) -> Result<Image, DecodeError> {
    let (uid, start) = dataset::file_meta(bytes)?;
    let syntax = transfer_syntax(&uid)?;
    let body = &bytes[start..];
    let inflated;
    let body = if syntax.deflated {
        inflated = inflate(body)?;
        &inflated
    } else {
        body
    };
    let data = Dataset::walk(body, syntax.encoding.as_seen(body))?;
    let geometry = frame::Geometry::read(&data)?;
    check_size(geometry.columns.into(), geometry.rows.into())?;
    let photometric = data.text(tags::PHOTOMETRIC_INTERPRETATION).unwrap_or_default();
    let frame = Frame::first(&data, geometry, syntax.pixels, &photometric)?;
    let (channels, pixels) = match (frame.geometry.samples, photometric.as_str()) {
        (1, "PALETTE COLOR") => (Channels::Rgb, colour::palette(&data, &frame)?),
        (1, _) => (Channels::Grey, grey::grey(&data, &frame, photometric == "MONOCHROME1")?),
        (3, _) => (Channels::Rgb, colour::colour(&frame, &photometric)?),
        (found, _) => {
            return Err(DicomError::Unsupported {
                tag: tags::SAMPLES_PER_PIXEL,
                found: found.to_string(),
                expected: "1 or 3",
            }
            .into());
        }
    };
    Ok(Image::new(geometry.columns, geometry.rows, channels, pixels))
}

const MAX_INFLATED: u64 = 512 << 20;

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, DicomError> {
    use std::io::Read;
    let mut inflated = Vec::new();
    let outcome = flate2::read::DeflateDecoder::new(bytes).take(MAX_INFLATED + 1).read_to_end(&mut inflated);
    if outcome.is_err() || inflated.len() as u64 > MAX_INFLATED {
        return Err(DicomError::Deflate { limit: MAX_INFLATED });
    }
    Ok(inflated)
}

/// Foreign text for a message: short, and only characters that print.
fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(64)
        .map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { byte as char } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests;

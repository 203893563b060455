//! DICOM: the first frame of an image object, as a reader would see it.
//!
//! dicom-object reads the data set and dicom-pixeldata the frame; both trust lengths in a file and the first recurses once
//! a nested sequence, so `guard` walks the same tokens before they may. What is ours is the way from stored values to what a
//! reader sees. Source: DICOM PS3.5 (encoding) and PS3.3 C.7.6.3, C.11.1, C.11.2.
//!
//! What maps to what, for a grey frame:
//!
//! 1. the stored value, Bits Stored of them below High Bit, signed or not, becomes an output value by the Modality LUT Sequence or
//!    else by Rescale Slope and Intercept, in 64-bit floats;
//! 2. the output value becomes 0 (black) to 1 (white), cut off at both, by the first of these that the file has: Window Center and
//!    Width (the first pair; VOI LUT Function linear, exactly linear or sigmoid), the VOI LUT Sequence, or a range: of all stored values
//!    where they have at most 8 bits without a sign and step 1 changed nothing, else from the frame's least value to its largest;
//! 3. MONOCHROME1 is turned, `1 - x`;
//! 4. `x` becomes `round(255 x)` or, at a [depth](Depth) of 16 bits, `round(65535 x)`.
//!
//! So the depth decides the last rounding alone. A picture of 16 bits is the one that readers see, with up to 257 times the steps; it is
//! not the raw detector values, because their scale is a maker's and changes from site to site, where the window was set to show the
//! anatomy. What lies outside of the window is black or white at either depth, as it is for a reader. Colour frames have 8 bits a
//! sample, and are widened where 16 are asked for.
//!
//! Read: implicit and explicit little endian, explicit big endian, deflated, run-length, and the JPEG processes 1, 2
//! (8 bits) and 14. Not read, and said so by name: JPEG 2000, JPEG-LS, 12-bit JPEG, video, float pixel data, pixels
//! that share chroma without compression, sequences of unknown representation and length, and JPEG whose colours its
//! stream and its attributes tell differently.

mod attributes;
mod colour;
mod frame;
mod grey;
mod guard;

use attributes::{Attributes, Tag};
use dicom_object::{DefaultDicomObject, FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::{TransferSyntaxIndex, TransferSyntaxRegistry};
use frame::Frame;
use remedis_bundle::Channels;

use crate::decode::Room;
use crate::{DecodeError, Image, Samples};

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
    /// More elements or texts than any picture has.
    #[error("the attributes take more than {limit} bytes of memory, pixels not counted")]
    TooMuch {
        /// The most bytes that are taken for them.
        limit: u64,
    },
    /// A deflated data set that grows beyond all measure.
    #[error("the deflated data set is larger than {limit} bytes or damaged")]
    Deflate {
        /// The most bytes that are inflated.
        limit: u64,
    },
    /// Bytes that are no data element.
    #[error("the data set cannot be read beyond byte {position}: {reason}")]
    Malformed {
        /// Where in the data set.
        position: usize,
        /// What the reader says.
        reason: String,
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
    /// A run-length coded frame that does not fit its attributes.
    #[error("the run-length coded frame has {found} segments, expected {expected}")]
    RunLength {
        /// Segments by the attributes: samples a pixel times bytes a sample.
        expected: usize,
        /// Segments by the header of the frame.
        found: usize,
    },
    /// Pixels that cannot be decoded.
    #[error("the pixel data cannot be decoded: {reason}")]
    Pixels {
        /// What the decoder says.
        reason: String,
    },
    /// Pixels so damaged that the decoder gave up without a reason.
    #[error("the pixel data is damaged: its decoder failed without a reason")]
    DamagedPixels,
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

/// The three ways in which a data set is written. Source: DICOM PS3.6 table A-1.
mod uids {
    pub(super) const IMPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
    pub(super) const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
    pub(super) const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
}

struct Syntax {
    is_big_endian: bool,
    is_deflated: bool,
    pixels: PixelCoding,
}

/// Source: DICOM PS3.5 annex A and PS3.6 table A-1.
fn transfer_syntax(uid: &str) -> Result<Syntax, DicomError> {
    use PixelCoding::{Jpeg, Native, RunLength};
    let (is_big_endian, is_deflated, pixels) = match uid.strip_prefix("1.2.840.10008.1.2").unwrap_or("unknown") {
        "" | ".1" => (false, false, Native),
        ".1.99" => (false, true, Native),
        ".2" => (true, false, Native),
        ".5" => (false, false, RunLength),
        ".4.50" | ".4.51" | ".4.57" | ".4.70" => (false, false, Jpeg),
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
            return Err(DicomError::UnsupportedTransferSyntax { uid: uid.to_owned(), name });
        }
    };
    Ok(Syntax { is_big_endian, is_deflated, pixels })
}

/// Reads the first frame: a grey one with samples of the depth asked for, one in colour with 8 bits.
pub(crate) fn decode(bytes: &[u8], room: Room) -> Result<Image, DecodeError> {
    let (uid, start) = guard::file_meta(bytes)?;
    let syntax = transfer_syntax(&uid)?;
    let (object, n_bytes) = open(&bytes[start..], &syntax, uid, room)?;
    let data = Attributes(&object);
    let geometry = frame::Geometry::read(data)?;
    let photometric = data.required_text(attributes::PHOTOMETRIC_INTERPRETATION)?;
    let n_channels = if photometric == "PALETTE COLOR" { 3 } else { geometry.samples as u64 };
    let of_pixels = geometry.memory(syntax.pixels, n_channels, room);
    room.check([geometry.columns.into(), geometry.rows.into()], n_bytes + guard::MAX_MEMORY + of_pixels)?;
    let frame = Frame::first(&object, geometry, syntax.pixels, &photometric)?;
    let (channels, samples): (_, Samples) = match (geometry.samples, photometric.as_str()) {
        (1, "PALETTE COLOR") => (Channels::Rgb, colour::palette(data, &frame)?.into()),
        (1, _) => (Channels::Grey, grey::grey(data, &frame, photometric == "MONOCHROME1", room.depth)),
        _ => (Channels::Rgb, colour::colour(&frame, &photometric)?.into()),
    };
    Ok(Image::new(geometry.columns, geometry.rows, channels, samples))
}

/// Builds the object, having checked that this is safe, and the bytes that it was built of.
fn open(body: &[u8], syntax: &Syntax, uid: String, room: Room) -> Result<(DefaultDicomObject, u64), DicomError> {
    let inflated;
    let (body, uid) = if syntax.is_deflated {
        // It is there twice until the object is built.
        inflated = inflate(body, room.max_memory / 4)?;
        (inflated.as_slice(), uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned())
    } else {
        (body, uid)
    };
    let written = match guard::is_explicit(body) {
        _ if syntax.is_big_endian => uids::EXPLICIT_VR_BIG_ENDIAN,
        true => uids::EXPLICIT_VR_LITTLE_ENDIAN,
        false => uids::IMPLICIT_VR_LITTLE_ENDIAN,
    };
    let elements = TransferSyntaxRegistry.get(written).expect("the three basic syntaxes are built in");
    let safe = guard::safe_part(body, elements)?;
    let object = InMemDicomObject::read_dataset_with_ts(safe, elements)
        .map_err(|error| DicomError::Malformed { position: safe.len(), reason: reason(&error) })?;
    // The pixel decoder asks the file meta information for the transfer syntax and nothing else.
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uid)
        .media_storage_sop_class_uid("")
        .media_storage_sop_instance_uid("")
        .build()
        .expect("a transfer syntax is given");
    Ok((object.with_exact_meta(meta), safe.len() as u64))
}

fn inflate(bytes: &[u8], limit: u64) -> Result<Vec<u8>, DicomError> {
    use std::io::Read;
    let mut inflated = Vec::new();
    let outcome = flate2::read::DeflateDecoder::new(bytes).take(limit + 1).read_to_end(&mut inflated);
    if outcome.is_err() || inflated.len() as u64 > limit {
        return Err(DicomError::Deflate { limit });
    }
    Ok(inflated)
}

/// What the library says, in one line: its own errors carry backtraces, kilobytes each.
fn reason(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Foreign text without the padding that it is written with, short, and only characters that print.
fn printable(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .take(256)
        .map(|&byte| match byte {
            0 => ' ',
            _ if byte.is_ascii_graphic() || byte == b' ' => byte as char,
            _ => '?',
        })
        .collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests;

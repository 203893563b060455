//! The twenty attributes that a picture needs, read leniently: a value of the wrong kind counts as absent.

use std::fmt;

use dicom_object::mem::InMemElement;
use dicom_object::{InMemDicomObject, Tag as Number};

use super::DicomError;

/// Group and element number, with the name for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u16, u16, &'static str);

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({:04x},{:04x})", self.2, self.0, self.1)
    }
}

impl From<Tag> for Number {
    fn from(tag: Tag) -> Self {
        Self(tag.0, tag.1)
    }
}

pub(super) const TRANSFER_SYNTAX: Tag = Tag(0x0002, 0x0010, "Transfer Syntax UID");
pub(super) const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002, "Samples per Pixel");
pub(super) const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004, "Photometric Interpretation");
pub(super) const PLANAR_CONFIGURATION: Tag = Tag(0x0028, 0x0006, "Planar Configuration");
pub(super) const ROWS: Tag = Tag(0x0028, 0x0010, "Rows");
pub(super) const COLUMNS: Tag = Tag(0x0028, 0x0011, "Columns");
pub(super) const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100, "Bits Allocated");
pub(super) const BITS_STORED: Tag = Tag(0x0028, 0x0101, "Bits Stored");
pub(super) const HIGH_BIT: Tag = Tag(0x0028, 0x0102, "High Bit");
pub(super) const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103, "Pixel Representation");
pub(super) const WINDOW_CENTRE: Tag = Tag(0x0028, 0x1050, "Window Center");
pub(super) const WINDOW_WIDTH: Tag = Tag(0x0028, 0x1051, "Window Width");
pub(super) const RESCALE_INTERCEPT: Tag = Tag(0x0028, 0x1052, "Rescale Intercept");
pub(super) const RESCALE_SLOPE: Tag = Tag(0x0028, 0x1053, "Rescale Slope");
pub(super) const VOI_LUT_FUNCTION: Tag = Tag(0x0028, 0x1056, "VOI LUT Function");
pub(super) const PALETTE_DESCRIPTORS: [Tag; 3] = [
    Tag(0x0028, 0x1101, "Red Palette Color Lookup Table Descriptor"),
    Tag(0x0028, 0x1102, "Green Palette Color Lookup Table Descriptor"),
    Tag(0x0028, 0x1103, "Blue Palette Color Lookup Table Descriptor"),
];
pub(super) const PALETTE_DATA: [Tag; 3] = [
    Tag(0x0028, 0x1201, "Red Palette Color Lookup Table Data"),
    Tag(0x0028, 0x1202, "Green Palette Color Lookup Table Data"),
    Tag(0x0028, 0x1203, "Blue Palette Color Lookup Table Data"),
];
pub(super) const MODALITY_LUT: Tag = Tag(0x0028, 0x3000, "Modality LUT Sequence");
pub(super) const LUT_DESCRIPTOR: Tag = Tag(0x0028, 0x3002, "LUT Descriptor");
pub(super) const LUT_DATA: Tag = Tag(0x0028, 0x3006, "LUT Data");
pub(super) const VOI_LUT: Tag = Tag(0x0028, 0x3010, "VOI LUT Sequence");
pub(super) const FRAME_VOI_LUT: Tag = Tag(0x0028, 0x9132, "Frame VOI LUT Sequence");
pub(super) const PIXEL_VALUE_TRANSFORMATION: Tag = Tag(0x0028, 0x9145, "Pixel Value Transformation Sequence");
pub(super) const SHARED_GROUPS: Tag = Tag(0x5200, 0x9229, "Shared Functional Groups Sequence");
pub(super) const FRAME_GROUPS: Tag = Tag(0x5200, 0x9230, "Per-Frame Functional Groups Sequence");
pub(super) const PIXEL_DATA: Tag = Tag(0x7fe0, 0x0010, "Pixel Data");

/// Attributes of one object.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a InMemDicomObject);

impl<'a> Attributes<'a> {
    fn element(self, tag: Tag) -> Option<&'a InMemElement> {
        self.0.get(tag.into())
    }

    /// The first item of a sequence.
    pub(super) fn item(self, sequence: Tag) -> Option<Self> {
        self.element(sequence)?.items()?.first().map(Attributes)
    }

    /// The attributes of `group` that hold for the first frame: its own, or those that all frames share.
    fn of_first_frame(self, group: Tag) -> Option<Self> {
        [FRAME_GROUPS, SHARED_GROUPS].into_iter().find_map(|groups| self.item(groups)?.item(group))
    }

    pub(super) fn u16(self, tag: Tag) -> Option<u16> {
        self.element(tag)?.to_int().ok()
    }

    pub(super) fn required_u16(self, tag: Tag) -> Result<u16, DicomError> {
        self.u16(tag).ok_or(DicomError::Missing { tag })
    }

    pub(super) fn required_text(self, tag: Tag) -> Result<String, DicomError> {
        self.text(tag).ok_or(DicomError::Missing { tag })
    }

    pub(super) fn text(self, tag: Tag) -> Option<String> {
        Some(super::printable(self.element(tag)?.to_str().ok()?.as_bytes()))
    }

    /// Text at the top, or in the functional group of the first frame.
    pub(super) fn text_of_frame(self, tag: Tag, group: Tag) -> Option<String> {
        self.text(tag).or_else(|| self.of_first_frame(group)?.text(tag))
    }

    /// The first number of a decimal string, at the top or in the functional group of the first frame.
    pub(super) fn number_of_frame(self, tag: Tag, group: Tag) -> Option<f64> {
        self.number(tag).or_else(|| self.of_first_frame(group)?.number(tag))
    }

    fn number(self, tag: Tag) -> Option<f64> {
        let text = self.text(tag)?;
        text.split('\\').next()?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// All values as 16-bit words; signed ones keep their bits.
    pub(super) fn words(self, tag: Tag) -> Option<Vec<u16>> {
        let bytes = self.bytes(tag)?;
        Some(bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect())
    }

    /// The value as bytes in the order of this machine.
    pub(super) fn bytes(self, tag: Tag) -> Option<Vec<u8>> {
        Some(self.element(tag)?.to_bytes().ok()?.into_owned())
    }
}

//! Stored grey values to what a reader sees. Source: DICOM PS3.3 C.11.1 (modality) and C.11.2 (values of interest).

use super::attributes::{self, Attributes, Tag};
use super::frame::Frame;
use crate::Samples;
use remedis_bundle::Depth;

/// A lookup table of the file. Source: DICOM PS3.3 C.11.1.1.
pub(super) struct Table {
    first: i64,
    entries: Vec<u16>,
    /// The largest value that an entry may have.
    pub(super) top: f64,
}

impl Table {
    /// From its descriptor (entries, first value, bits) and its data in the same object.
    pub(super) fn read(object: Attributes<'_>, descriptor: Tag, data: Tag, is_signed: bool) -> Option<Self> {
        let &[count, first, bits, ..] = object.words(descriptor)?.as_slice() else { return None };
        let count = if count == 0 { 1 << 16 } else { usize::from(count) };
        let first = if is_signed { i64::from(first.cast_signed()) } else { i64::from(first) };
        let bytes = object.bytes(data)?;
        // Eight-bit entries are written one a byte by some and one a word by others; the length tells.
        let mut entries: Vec<u16> = if bits <= 8 && bytes.len() < 2 * count {
            bytes.iter().map(|&byte| byte.into()).collect()
        } else {
            object.words(data)?
        };
        entries.truncate(count);
        let bits = bits.clamp(1, 16);
        (entries.len() == count).then(|| Self { first, entries, top: f64::from((1_u32 << bits) - 1) })
    }

    /// The entry of a value; the ends hold for what lies outside.
    pub(super) fn look_up(&self, value: i64) -> u16 {
        let index = (value - self.first).clamp(0, self.entries.len() as i64 - 1);
        self.entries[index as usize]
    }
}

enum Modality {
    Rescale { slope: f64, intercept: f64 },
    Table(Table),
}

impl Modality {
    fn apply(&self, stored: i64) -> f64 {
        match self {
            Self::Rescale { slope, intercept } => stored as f64 * slope + intercept,
            Self::Table(table) => table.look_up(stored).into(),
        }
    }
}

enum Window {
    Linear { centre: f64, width: f64 },
    LinearExact { centre: f64, width: f64 },
    Sigmoid { centre: f64, width: f64 },
    Table(Table),
    Range { low: f64, high: f64 },
}

impl Window {
    /// From 0 (black) to 1 (white).
    fn apply(&self, value: f64) -> f64 {
        match self {
            Self::Linear { centre, width } => (value - (centre - 0.5)) / (width - 1.0).max(f64::MIN_POSITIVE) + 0.5,
            Self::LinearExact { centre, width } => (value - centre) / width + 0.5,
            Self::Sigmoid { centre, width } => 1.0 / (1.0 + (-4.0 * (value - centre) / width).exp()),
            Self::Table(table) => f64::from(table.look_up(value as i64)) / table.top,
            Self::Range { low, high } => (value - low) / (high - low).max(f64::MIN_POSITIVE),
        }
    }
}

/// Grey values of the frame, 0 for black and the largest of `depth` for white.
///
/// Without a window of its own, a picture of at most 8 bits is shown as it is and a deeper one from its smallest value
/// to its largest.
pub(super) fn grey(data: Attributes<'_>, frame: &Frame, is_inverted: bool, depth: Depth) -> Samples {
    let modality = modality(data, frame);
    let window = window(data, frame, &modality);
    let top = f64::from(depth.top());
    let shown = (0..frame.geometry.pixels()).map(|pixel| {
        let shown = window.apply(modality.apply(frame.sample(pixel, 0))).clamp(0.0, 1.0);
        let shown = if is_inverted { 1.0 - shown } else { shown };
        (shown * top).round()
    });
    match depth {
        Depth::Eight => Samples::Eight(shown.map(|value| value as u8).collect()),
        Depth::Sixteen => Samples::Sixteen(shown.map(|value| value as u16).collect()),
    }
}

fn table_in(data: Attributes<'_>, sequence: Tag, frame: &Frame) -> Option<Table> {
    let item = data.item(sequence)?;
    Table::read(item, attributes::LUT_DESCRIPTOR, attributes::LUT_DATA, frame.geometry.is_signed)
}

fn modality(data: Attributes<'_>, frame: &Frame) -> Modality {
    if let Some(table) = table_in(data, attributes::MODALITY_LUT, frame) {
        return Modality::Table(table);
    }
    let number = |tag| data.number_of_frame(tag, attributes::PIXEL_VALUE_TRANSFORMATION);
    Modality::Rescale {
        slope: number(attributes::RESCALE_SLOPE).filter(|&slope| slope != 0.0).unwrap_or(1.0),
        intercept: number(attributes::RESCALE_INTERCEPT).unwrap_or(0.0),
    }
}

fn window(data: Attributes<'_>, frame: &Frame, modality: &Modality) -> Window {
    let number = |tag| data.number_of_frame(tag, attributes::FRAME_VOI_LUT);
    if let (Some(centre), Some(width)) = (number(attributes::WINDOW_CENTRE), number(attributes::WINDOW_WIDTH)) {
        let function = data.text_of_frame(attributes::VOI_LUT_FUNCTION, attributes::FRAME_VOI_LUT);
        match function.as_deref() {
            Some("LINEAR_EXACT") if width > 0.0 => return Window::LinearExact { centre, width },
            Some("SIGMOID") if width > 0.0 => return Window::Sigmoid { centre, width },
            _ if width >= 1.0 => return Window::Linear { centre, width },
            _ => {}
        }
    }
    if let Some(table) = table_in(data, attributes::VOI_LUT, frame) {
        return Window::Table(table);
    }
    let is_plain = matches!(modality, Modality::Rescale { slope: 1.0, intercept: 0.0 });
    if frame.geometry.stored <= 8 && !frame.geometry.is_signed && is_plain {
        return Window::Range { low: 0.0, high: f64::from((1_u32 << frame.geometry.stored) - 1) };
    }
    let (low, high) = (0..frame.geometry.pixels())
        .map(|pixel| modality.apply(frame.sample(pixel, 0)))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    Window::Range { low, high }
}

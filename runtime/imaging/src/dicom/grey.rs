//! Stored grey values to what a reader sees. Source: DICOM PS3.3 C.11.1 (modality) and C.11.2 (values of interest).

use super::DicomError;
use super::dataset::{Dataset, tags};
use super::frame::Frame;

/// A lookup table of the file. Source: DICOM PS3.3 C.11.1.1.
pub(super) struct Table {
    first: i64,
    entries: Vec<u16>,
    /// The largest value that an entry may have.
    pub(super) top: f64,
}

impl Table {
    pub(super) fn read(
        descriptor: super::dataset::Value<'_>,
        data: super::dataset::Value<'_>,
        is_signed: bool,
    ) -> Option<Self> {
        let words: Vec<u16> = descriptor.u16s().take(3).collect();
        let &[count, first, bits] = words.as_slice() else { return None };
        let count = if count == 0 { 1 << 16 } else { usize::from(count) };
        let first = if is_signed { i64::from(first.cast_signed()) } else { i64::from(first) };
        // Eight-bit entries are written one a byte by some and one a word by others; the length tells.
        let entries: Vec<u16> = if bits <= 8 && data.bytes.len() < 2 * count {
            data.bytes.iter().take(count).map(|&byte| byte.into()).collect()
        } else {
            data.u16s().take(count).collect()
        };
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

/// Grey values of the frame, 0 for black.
///
/// Without a window of its own, a picture of at most 8 bits is shown as it is and a deeper one from its smallest value
/// to its largest.
pub(super) fn grey(data: &Dataset<'_>, frame: &Frame<'_>, is_inverted: bool) -> Result<Vec<u8>, DicomError> {
    let modality = modality(data, frame);
    let window = window(data, frame, &modality);
    Ok((0..frame.geometry.pixels())
        .map(|pixel| {
            let shown = window.apply(modality.apply(frame.sample(pixel, 0))).clamp(0.0, 1.0);
            let shown = if is_inverted { 1.0 - shown } else { shown };
            (shown * 255.0).round() as u8
        })
        .collect())
}

fn modality(data: &Dataset<'_>, frame: &Frame<'_>) -> Modality {
    let parts =
        data.value_in(tags::MODALITY_LUT, tags::LUT_DESCRIPTOR).zip(data.value_in(tags::MODALITY_LUT, tags::LUT_DATA));
    if let Some(table) = parts.and_then(|(descriptor, data)| Table::read(descriptor, data, frame.geometry.is_signed)) {
        return Modality::Table(table);
    }
    let number = |tag| data.decimal(tag, tags::PIXEL_VALUE_TRANSFORMATION);
    Modality::Rescale {
        slope: number(tags::RESCALE_SLOPE).filter(|&slope| slope != 0.0).unwrap_or(1.0),
        intercept: number(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
    }
}

fn window(data: &Dataset<'_>, frame: &Frame<'_>, modality: &Modality) -> Window {
    let number = |tag| data.decimal(tag, tags::FRAME_VOI_LUT);
    if let (Some(centre), Some(width)) = (number(tags::WINDOW_CENTRE), number(tags::WINDOW_WIDTH)) {
        let function = data
            .value(tags::VOI_LUT_FUNCTION)
            .or_else(|| data.value_in(tags::FRAME_VOI_LUT, tags::VOI_LUT_FUNCTION))
            .map(|value| super::dataset::trimmed(value.bytes).to_vec());
        match function.as_deref() {
            Some(b"LINEAR_EXACT") if width > 0.0 => return Window::LinearExact { centre, width },
            Some(b"SIGMOID") if width > 0.0 => return Window::Sigmoid { centre, width },
            _ if width >= 1.0 => return Window::Linear { centre, width },
            _ => {}
        }
    }
    let parts = data.value_in(tags::VOI_LUT, tags::LUT_DESCRIPTOR).zip(data.value_in(tags::VOI_LUT, tags::LUT_DATA));
    if let Some(table) = parts.and_then(|(descriptor, data)| Table::read(descriptor, data, frame.geometry.is_signed)) {
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

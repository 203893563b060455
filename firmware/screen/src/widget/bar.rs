//! A probability as a length.

use crate::sheet::Sheet;
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// Fills `area` from the left by `share_of_10000`, the rest with the trough's colour; a tick marks
/// `threshold_of_10000`. `colours` are the bar's, the trough's and the tick's.
///
/// Rounded down, so that the bar is full only for certainty. Values above 10 000 count as 10 000.
pub(crate) fn confidence_bar(
    area: Rectangle,
    share_of_10000: u16,
    threshold_of_10000: Option<u16>,
    colours: [Rgb888; 3],
    sheet: &mut dyn Sheet,
) {
    let [full, trough, tick] = colours;
    let along = |share: u16| area.size.width * u32::from(share.min(10_000)) / 10_000;
    let part = |x: u32, width: u32| {
        Rectangle::new(area.top_left + Point::new(x.cast_signed(), 0), Size::new(width, area.size.height))
    };
    sheet.fill(area, trough);
    sheet.fill(part(0, along(share_of_10000)), full);
    if let Some(threshold) = threshold_of_10000 {
        let width = (area.size.width / 100).max(1);
        sheet.fill(part(along(threshold).min(area.size.width.saturating_sub(width)), width), tick);
    }
}

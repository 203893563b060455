//! A probability as a length.

use embedded_graphics::{prelude::*, primitives::Rectangle};

/// Fills `area` from the left by `share_of_10000`, the rest with `trough`; a tick marks `threshold_of_10000`.
///
/// Rounded down, so that the bar is full only for certainty. Values above 10 000 count as 10 000.
///
/// # Errors
/// What the target says.
pub fn confidence_bar<D: DrawTarget>(
    area: Rectangle,
    share_of_10000: u16,
    threshold_of_10000: Option<u16>,
    colours: [D::Color; 3],
    target: &mut D,
) -> Result<(), D::Error> {
    let [full, trough, tick] = colours;
    let along = |share: u16| area.size.width * u32::from(share.min(10_000)) / 10_000;
    let length = along(share_of_10000);
    target.fill_solid(&area, trough)?;
    target.fill_solid(&Rectangle::new(area.top_left, Size::new(length, area.size.height)), full)?;
    if let Some(threshold) = threshold_of_10000 {
        let width = (area.size.width / 100).max(1);
        let x = along(threshold).min(area.size.width.saturating_sub(width)).cast_signed();
        target
            .fill_solid(&Rectangle::new(area.top_left + Point::new(x, 0), Size::new(width, area.size.height)), tick)?;
    }
    Ok(())
}

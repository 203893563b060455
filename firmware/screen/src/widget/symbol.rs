//! A shape for each state of the link, so that no state is told by colour alone.

use crate::LinkState;
use embedded_graphics::{
    prelude::*,
    primitives::{Circle, Line, PrimitiveStyle, Rectangle, Triangle},
};

/// Draws the shape of `state` into the square `area`: disc connected, ring waiting, arrow receiving, cross lost.
///
/// # Errors
/// What the target says.
pub fn link_symbol<D: DrawTarget>(
    area: Rectangle,
    state: LinkState,
    colour: D::Color,
    target: &mut D,
) -> Result<(), D::Error> {
    let side = area.size.width.min(area.size.height);
    let stroke = PrimitiveStyle::with_stroke(colour, (side / 5).max(1));
    let filled = PrimitiveStyle::with_fill(colour);
    let far = side.saturating_sub(1).cast_signed();
    let at = |x: i32, y: i32| area.top_left + Point::new(x, y);
    match state {
        LinkState::Connected => Circle::new(area.top_left, side).into_styled(filled).draw(target),
        LinkState::Waiting => {
            let inset = (side / 10).cast_signed();
            Circle::new(at(inset, inset), side - 2 * inset.cast_unsigned()).into_styled(stroke).draw(target)
        }
        LinkState::Receiving { .. } => {
            Triangle::new(at(0, 0), at(far, 0), at(far / 2, far)).into_styled(filled).draw(target)
        }
        LinkState::Lost => {
            Line::new(at(0, 0), at(far, far)).into_styled(stroke).draw(target)?;
            Line::new(at(0, far), at(far, 0)).into_styled(stroke).draw(target)
        }
    }
}

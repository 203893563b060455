//! A shape for each state, so that none is told by colour alone.

use embedded_graphics::{
    prelude::*,
    primitives::{Circle, Line, PrimitiveStyle, Rectangle, Triangle},
};

/// A shape with a meaning of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    /// There, and well.
    Disc,
    /// Nothing yet.
    Ring,
    /// Something is arriving.
    Arrow,
    /// Gone, or not usable.
    Cross,
    /// Decided.
    Tick,
    /// Not decided.
    Diamond,
    /// A critical alarm: a square with an exclamation mark.
    Alarm,
    /// A warning: a triangle with an exclamation mark.
    Warning,
    /// A notice: a disc with an i.
    Notice,
}

/// Draws `symbol` into the square `area` in the first colour; marks within it in the second.
pub(crate) fn draw_symbol<D: DrawTarget>(
    area: Rectangle,
    symbol: Symbol,
    [ink, paper]: [D::Color; 2],
    target: &mut D,
) -> Result<(), D::Error> {
    let side = area.size.width.min(area.size.height);
    let thickness = (side / 5) | 1;
    let stroke = PrimitiveStyle::with_stroke(ink, thickness);
    let filled = PrimitiveStyle::with_fill(ink);
    let far = side.saturating_sub(1).cast_signed();
    let at = |x: i32, y: i32| area.top_left + Point::new(x, y);
    // Strokes lie on both sides of their line.
    let inset = (thickness / 2).cast_signed();
    let (low, high) = (inset, far - inset);
    match symbol {
        Symbol::Disc => Circle::new(area.top_left, side).into_styled(filled).draw(target),
        Symbol::Ring => {
            let diameter = side.saturating_sub(2 * inset.cast_unsigned());
            Circle::new(at(inset, inset), diameter).into_styled(stroke).draw(target)
        }
        Symbol::Arrow => Triangle::new(at(0, 0), at(far, 0), at(far / 2, far)).into_styled(filled).draw(target),
        Symbol::Cross => {
            Line::new(at(low, low), at(high, high)).into_styled(stroke).draw(target)?;
            Line::new(at(low, high), at(high, low)).into_styled(stroke).draw(target)
        }
        Symbol::Tick => {
            let foot = at(far * 2 / 5, high);
            Line::new(at(low, far * 3 / 5), foot).into_styled(stroke).draw(target)?;
            Line::new(foot, at(high, low)).into_styled(stroke).draw(target)
        }
        Symbol::Diamond => {
            let half = far / 2;
            Triangle::new(at(0, half), at(far, half), at(half, 0)).into_styled(filled).draw(target)?;
            Triangle::new(at(0, half), at(far, half), at(half, far)).into_styled(filled).draw(target)
        }
        Symbol::Alarm => {
            Rectangle::new(area.top_left, Size::new_equal(side)).into_styled(filled).draw(target)?;
            draw_stem(area, thickness, [2, 4, 7, 2], paper, target)
        }
        Symbol::Warning => {
            Triangle::new(at(0, far), at(far, far), at(far / 2, 0)).into_styled(filled).draw(target)?;
            draw_stem(area, (side / 7) | 1, [4, 3, 8, 1], paper, target)
        }
        Symbol::Notice => {
            Circle::new(area.top_left, side).into_styled(filled).draw(target)?;
            draw_stem(area, thickness, [4, 5, 1, 2], paper, target)
        }
    }
}

/// A stem and a dot in the middle, as in `!` and `i`: where each starts and how long it is, in tenths of the side.
fn draw_stem<D: DrawTarget>(
    area: Rectangle,
    width: u32,
    [stem, stem_length, dot, dot_length]: [u32; 4],
    colour: D::Color,
    target: &mut D,
) -> Result<(), D::Error> {
    let side = area.size.width.min(area.size.height);
    let left = (side.saturating_sub(width) / 2).cast_signed();
    for (start, length) in [(stem, stem_length), (dot, dot_length)] {
        let corner = area.top_left + Point::new(left, (start * side / 10).cast_signed());
        target.fill_solid(&Rectangle::new(corner, Size::new(width, (length * side / 10).max(1))), colour)?;
    }
    Ok(())
}

//! Things below each other.

use crate::{
    sheet::{Author, Blank, Sheet, TextLine},
    text::{ELLIPSIS, Lettering, break_line, fitted},
};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// How a text looks, and whether it may be cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) lettering: Lettering,
    pub(crate) colour: Rgb888,
    pub(crate) author: Author,
}

impl Style {
    /// For words from the table of texts, and for numbers.
    pub(crate) const fn ours(lettering: Lettering, colour: Rgb888) -> Self {
        Self { lettering, colour, author: Author::Us }
    }

    /// For names that others chose.
    pub(crate) const fn theirs(lettering: Lettering, colour: Rgb888) -> Self {
        Self { lettering, colour, author: Author::Others }
    }
}

/// Room that is filled from the top.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    room: Rectangle,
}

impl Column {
    pub(crate) const fn new(room: Rectangle) -> Self {
        Self { room }
    }

    /// What is left.
    pub(crate) const fn room(&self) -> Rectangle {
        self.room
    }

    /// The height of what is left.
    pub(crate) const fn height(&self) -> u32 {
        self.room.size.height
    }

    pub(crate) const fn width(&self) -> u32 {
        self.room.size.width
    }

    /// The next `height` pixels; `None`, taking nothing, when there are fewer.
    pub(crate) fn take(&mut self, height: u32) -> Option<Rectangle> {
        if height > self.room.size.height {
            return None;
        }
        let taken = Rectangle::new(self.room.top_left, Size::new(self.room.size.width, height));
        self.skip(height);
        Some(taken)
    }

    /// Leaves `height` pixels empty, or what is left of them.
    pub(crate) fn skip(&mut self, height: u32) {
        let step = height.min(self.room.size.height);
        self.room.top_left.y += step.cast_signed();
        self.room.size.height -= step;
    }

    /// Writes `text`, broken between words into at most `max_lines`; a word longer than a line is broken inside. What
    /// does not fit ends in an ellipsis.
    pub(crate) fn write(&mut self, text: &str, style: Style, max_lines: u32, sheet: &mut dyn Sheet) {
        let Style { lettering, colour, author } = style;
        let columns = lettering.columns(self.room.size.width);
        let n_lines = max_lines.min(self.room.size.height / lettering.height());
        let mut rest = text.trim();
        if author == Author::Us && n_lines == 0 {
            sheet.left_out(text);
        }
        for index in 0..n_lines {
            let Some(row) = (!rest.is_empty() && columns > 0).then(|| self.take(lettering.height())).flatten() else {
                return;
            };
            let (mut text, after) = break_line(rest, columns);
            let is_cut = index + 1 == n_lines && !after.is_empty();
            let is_broken = !after.is_empty() && rest.get(text.len()..).is_some_and(|rest| !rest.starts_with(' '));
            if is_cut {
                text = fitted(rest, columns).0;
            }
            let corner = row.top_left;
            sheet.text(TextLine { text, is_cut, is_broken, author, corner, lettering, colour });
            rest = after;
        }
    }
}

/// Writes one line into `room`'s top left corner, cut where it is too narrow; returns the line's width.
pub(crate) fn line(text: &str, room: Rectangle, style: Style, sheet: &mut dyn Sheet) -> u32 {
    let Style { lettering, colour, author } = style;
    let columns = lettering.columns(room.size.width);
    let (shown, is_cut) = fitted(text, columns);
    if text.trim().is_empty() {
        return 0;
    }
    if room.size.height < lettering.height() || (is_cut && columns < ELLIPSIS.len()) {
        if author == Author::Us {
            sheet.left_out(text);
        }
        return 0;
    }
    let line = TextLine { text: shown, is_cut, is_broken: false, author, corner: room.top_left, lettering, colour };
    sheet.text(line);
    line.area().size.width
}

/// Writes one line into the middle of `room`.
pub(crate) fn centred_line(text: &str, room: Rectangle, style: Style, sheet: &mut dyn Sheet) {
    let size = style.lettering.size(text.trim());
    let place = centre(room, Size::new(size.width.min(room.size.width), size.height));
    line(text, place, style, sheet);
}

/// A rectangle of `size` in the middle of `room`.
pub(crate) fn centre(room: Rectangle, size: Size) -> Rectangle {
    Rectangle::new(room.top_left + room.size.saturating_sub(size) / 2, size)
}

/// The height that `lay_out` takes of a column of `width`, were it endless.
pub(crate) fn needed(width: u32, lay_out: impl FnOnce(&mut Column)) -> u32 {
    const ENDLESS: u32 = 1 << 20;
    let mut column = Column::new(Rectangle::new(Point::zero(), Size::new(width, ENDLESS)));
    lay_out(&mut column);
    ENDLESS - column.height()
}

/// Puts `items` below each other as long as each fits whole, and returns how many were left.
///
/// Every item may end in an empty `gap`. The first is put in any case; while some are left, `reserved_px` stay free for
/// saying so.
pub(crate) fn put_whole<T>(
    items: impl Iterator<Item = T> + Clone,
    column: &mut Column,
    [gap, reserved_px]: [u32; 2],
    sheet: &mut dyn Sheet,
    lay_out: impl Fn(&T, &mut Column, &mut dyn Sheet),
) -> usize {
    let n_items = items.clone().count();
    for (n_put, item) in items.enumerate() {
        let needed = needed(column.width(), |column| lay_out(&item, column, &mut Blank));
        let is_last = n_put + 1 == n_items;
        let room_px = if is_last { column.height() } else { column.height().saturating_sub(reserved_px) };
        if n_put > 0 && needed > if is_last { room_px + gap } else { room_px } {
            return n_items - n_put;
        }
        let mut room = Column::new(Rectangle::new(column.room.top_left, Size::new(column.width(), room_px)));
        lay_out(&item, &mut room, sheet);
        column.skip(room_px - room.height());
    }
    0
}

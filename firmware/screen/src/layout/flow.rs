//! Short texts after each other, going on in the next row when one is full.

use crate::{
    layout::{Column, Scale, Style, centre, line},
    sheet::{Author, Sheet},
    widget::{Pattern, Symbol},
};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// What stands before a text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    None,
    Symbol(Symbol),
    Pattern(Pattern),
}

/// A short text with a mark that belongs to it: never broken over rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag<'a> {
    pub(crate) mark: Mark,
    /// The mark's colour, and what is behind it.
    pub(crate) colours: [Rgb888; 2],
    pub(crate) text: &'a str,
    pub(crate) style: Style,
}

impl<'a> Tag<'a> {
    pub(crate) const fn plain(text: &'a str, style: Style) -> Self {
        Self { mark: Mark::None, colours: [style.colour; 2], text, style }
    }

    /// A text in the symbol's colour.
    pub(crate) const fn with_symbol(symbol: Symbol, text: &'a str, style: Style, paper: Rgb888) -> Self {
        Self { mark: Mark::Symbol(symbol), colours: [style.colour, paper], text, style }
    }

    fn mark_width(&self) -> u32 {
        match self.mark {
            Mark::None => 0,
            Mark::Symbol(_) | Mark::Pattern(_) => Scale::symbol_side(self.style.lettering),
        }
    }

    fn indent(&self) -> u32 {
        match self.mark_width() {
            0 => 0,
            mark if self.text.is_empty() => mark,
            mark => mark + self.style.lettering.cell().width * 3 / 4,
        }
    }

    /// The room it takes when there is enough.
    pub(crate) fn size(&self) -> Size {
        Size::new(self.indent() + self.style.lettering.width(self.text.trim()), self.style.lettering.height())
    }

    /// Puts it into `room`'s top left corner; returns its width.
    pub(crate) fn put(&self, room: Rectangle, sheet: &mut dyn Sheet) -> u32 {
        let height = self.style.lettering.height();
        let side = Size::new_equal(self.mark_width());
        let place = centre(Rectangle::new(room.top_left, Size::new(side.width, height)), side);
        let [ink, paper] = self.colours;
        match self.mark {
            Mark::None => {}
            Mark::Symbol(symbol) => sheet.symbol(place, symbol, [ink, paper]),
            Mark::Pattern(pattern) => sheet.hatch(place, pattern, ink),
        }
        let indent = self.indent();
        if self.text.is_empty() {
            return indent;
        }
        let corner = room.top_left + Point::new(indent.cast_signed(), 0);
        let size = Size::new(room.size.width.saturating_sub(indent), room.size.height);
        indent + line(self.text, Rectangle::new(corner, size), self.style, sheet)
    }
}

/// Fills a column row by row.
pub(crate) struct Flow<'c> {
    column: &'c mut Column,
    row: Option<Rectangle>,
    between: u32,
}

impl<'c> Flow<'c> {
    /// Leaves `between` pixels between the things in a row.
    pub(crate) const fn new(column: &'c mut Column, between: u32) -> Self {
        Self { column, row: None, between }
    }

    /// Puts `tag` into the row, or into a new one when it does not fit. One that is wider than a whole row is broken
    /// between words if it is ours, and cut if it is not.
    pub(crate) fn put(&mut self, tag: &Tag<'_>, sheet: &mut dyn Sheet) {
        self.put_within(tag, u32::MAX, sheet);
    }

    /// As [`Self::put`], with at most `max_width` pixels of the row for it.
    pub(crate) fn put_within(&mut self, tag: &Tag<'_>, max_width: u32, sheet: &mut dyn Sheet) {
        let mut size = tag.size();
        size.width = size.width.min(max_width);
        if size.width > self.column.width() && tag.style.author == Author::Us {
            self.row = None;
            return self.column.write(tag.text, tag.style, u32::MAX, sheet);
        }
        let is_room = self.row.is_some_and(|row| size.width <= row.size.width && size.height <= row.size.height);
        if !is_room {
            self.row = self.column.take(size.height);
        }
        let Some(row) = &mut self.row else {
            sheet.left_out(tag.text);
            return;
        };
        let room = Rectangle::new(row.top_left, Size::new(row.size.width.min(max_width), row.size.height));
        let step = tag.put(room, sheet) + self.between;
        row.top_left.x += step.cast_signed();
        row.size.width = row.size.width.saturating_sub(step);
    }

    /// Puts `tag` into what is left of the row, cut if need be, unless fewer than `min_width` pixels are left.
    pub(crate) fn squeeze(&mut self, tag: &Tag<'_>, min_width: u32, sheet: &mut dyn Sheet) {
        let is_room = self.row.is_none_or(|row| row.size.width >= min_width.min(tag.size().width));
        if is_room && let Some(row) = self.row.take().or_else(|| self.column.take(tag.size().height)) {
            tag.put(row, sheet);
        }
    }
}

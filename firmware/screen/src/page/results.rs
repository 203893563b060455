//! The last answers, newest first.

use crate::{
    Bands, Language, Reason, Theme, Verdict,
    bands::put_right,
    layout::{Column, Flow, Scale, Style, Tag, centre, centred_line, line},
    phrase::{Grouped, Percent, Phrase},
    sheet::{Look, Page, Sheet, paint},
};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct ResultRow<'a> {
    /// When, as the reader is to see it.
    pub time: &'a str,
    /// Which source the image came from.
    pub source: &'a str,
    /// What was decided.
    pub verdict: Verdict<'a>,
}

/// The last answers.
#[derive(Clone, Copy, Debug)]
pub struct ResultsPage<'a> {
    /// Header and footer.
    pub bands: Bands<'a>,
    /// Newest first; as many are shown as fit, and how many is said.
    pub results: &'a [ResultRow<'a>],
    /// Answers given so far, shown or not.
    pub n_answers: u64,
}

impl ResultsPage<'_> {
    /// Draws the page over all of `target`, laid out for its size: 320 x 240 and up, from 4 to 3 to 2 to 1, portrait
    /// too.
    ///
    /// # Errors
    /// What the target says.
    pub fn draw<D>(&self, theme: &Theme, language: Language, target: &mut D) -> Result<(), D::Error>
    where
        D: DrawTarget,
        Rgb888: Into<D::Color>,
    {
        paint(self, theme, language, target)
    }
}

impl Page for ResultsPage<'_> {
    fn lay_out(&self, all: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (Scale { note, gap, stroke, .. }, theme, texts) = (look.scale, look.theme, &look.texts.results);
        let body = self.bands.lay_out(look.texts.titles.results, all, look, sheet);
        let quiet = Style::ours(note, theme.quiet_text);
        if self.results.is_empty() {
            return centred_line(texts.none_yet, body, quiet, sheet);
        }
        let mut column = Column::new(body);
        let heading = column.take(note.height());
        column.skip(gap);
        let row_px = look.scale.label.height() + note.height() + gap + stroke;
        let mut n_shown = 0;
        for row in self.results {
            let Some(room) = column.take(row_px) else { break };
            row.lay_out(room, look, sheet);
            n_shown += 1;
        }
        if let Some(mut room) = heading {
            let total = Phrase::of(format_args!("{n_shown} {} {}", texts.of, Grouped(self.n_answers)));
            put_right(&Tag::plain(total.as_str(), quiet), &mut room, 2 * gap, sheet);
            // The order shows in the times too, so that this may be missing on a narrow screen.
            if note.width(texts.newest_first) <= room.size.width {
                line(texts.newest_first, room, quiet, sheet);
            }
        }
    }
}

impl ResultRow<'_> {
    /// First what was decided, with its symbol and confidence; below in smaller letters when, why not, and whence.
    fn lay_out(&self, room: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (Scale { label, note, gap, stroke, .. }, theme) = (look.scale, look.theme);
        let mut column = Column::new(room);
        if let Some(rule) = column.take(stroke) {
            sheet.fill(rule, theme.trough);
        }
        column.skip(gap / 2);
        let (Some(first), Some(second)) = (column.take(label.height()), column.take(note.height())) else {
            return;
        };
        let colour = self.verdict.colour(theme);
        let side = Scale::symbol_side(label);
        let symbol = centre(Rectangle::new(first.top_left, Size::new(side, first.size.height)), Size::new_equal(side));
        sheet.symbol(symbol, self.verdict.symbol(), [colour, theme.background]);
        let indent = side + 2 * gap;
        self.lay_out_decision(indented(first, indent), colour, look, sheet);
        self.lay_out_origin(indented(second, indent), look, sheet);
    }

    fn lay_out_decision(&self, mut room: Rectangle, colour: Rgb888, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (Scale { label, gap, .. }, theme) = (look.scale, look.theme);
        if let Some(of_10000) = self.confidence_of_10000() {
            let percent = Percent { of_10000, decimal_mark: look.texts.decimal_mark };
            let words = Phrase::of(format_args!("{percent}"));
            // As wide as the widest percentage, so that they stand below each other.
            let width = label.width("100.0 %").min(room.size.width);
            room.size.width -= width;
            let own = label.width(words.as_str()).min(width);
            let corner = room.top_left + Point::new((room.size.width + width - own).cast_signed(), 0);
            line(
                words.as_str(),
                Rectangle::new(corner, Size::new(own, room.size.height)),
                Style::ours(label, colour),
                sheet,
            );
            room.size.width = room.size.width.saturating_sub(gap);
        }
        match (self.verdict, self.verdict.words(look.texts)) {
            (_, Some(words)) => line(words, room, Style::ours(label, colour), sheet),
            (Verdict::Class { name, .. }, None) => line(name, room, Style::theirs(label, theme.text), sheet),
            (_, None) => 0,
        };
    }

    fn lay_out_origin(&self, room: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (Scale { note, .. }, theme) = (look.scale, look.theme);
        let quiet = Style::theirs(note, theme.quiet_text);
        let (reason, own) = match self.verdict {
            // The decision says it already.
            Verdict::Unreadable { reason: Reason::Unreadable } => (None, None),
            Verdict::CannotSay { reason, .. } | Verdict::Unreadable { reason } => {
                (Some(reason), reason.said(look.texts).map(|said| said.short))
            }
            _ => (None, None),
        };
        let between = 2 * note.cell().width;
        let reserved = own.map_or(0, |words| between + note.width(words));
        let mut column = Column::new(room);
        let mut flow = Flow::new(&mut column, between);
        if !self.time.is_empty() {
            flow.put_within(&Tag::plain(self.time.trim(), quiet), room.size.width.saturating_sub(reserved), sheet);
        }
        if let Some(words) = own {
            flow.put(&Tag::plain(words, Style::ours(note, theme.text)), sheet);
        }
        if let Some(Reason::Other(words)) = reason {
            return flow.squeeze(&Tag::plain(words, Style { colour: theme.text, ..quiet }), 0, sheet);
        }
        if !self.source.is_empty() {
            flow.squeeze(&Tag::plain(self.source, quiet), 6 * note.cell().width, sheet);
        }
    }

    /// A confidence is a class's: the one nearest to "cannot say" is not shown here, lest it be taken for an answer.
    const fn confidence_of_10000(&self) -> Option<u16> {
        match self.verdict {
            Verdict::Class { confidence_of_10000, .. } => Some(confidence_of_10000),
            _ => None,
        }
    }
}

fn indented(room: Rectangle, by: u32) -> Rectangle {
    let corner = room.top_left + Point::new(by.cast_signed(), 0);
    Rectangle::new(corner, Size::new(room.size.width.saturating_sub(by), room.size.height))
}

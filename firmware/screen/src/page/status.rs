//! How the device is: its sources, its store, its model and itself.

use crate::{
    Bands, Language, LinkState, Source, Theme,
    language::Texts,
    layout::{Column, Flow, Scale, Style, Tag, line, needed, put_whole},
    phrase::{Grouped, Phrase},
    sheet::{Blank, Look, Page, Sheet, paint},
    text::line_start,
};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// How the store of answers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// Answers in it.
    pub n_answers: u64,
    /// Room left on its disk, in MiB; `None` before it was measured.
    pub disk_free_mib: Option<u64>,
    /// Whether it takes answers.
    pub is_writable: bool,
}

/// How the clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStatus<'a> {
    /// Date and time as the reader is to see them.
    pub time: &'a str,
    /// Whether somebody has told the device the time since it started.
    pub is_set: bool,
}

/// How the device is. Sources and model are shown from the bands.
#[derive(Clone, Copy, Debug)]
pub struct StatusPage<'a> {
    /// Header and footer; sources and model are shown in full.
    pub bands: Bands<'a>,
    /// How the store is, if there is one.
    pub store: Option<StoreStatus>,
    /// How the clock is.
    pub clock: ClockStatus<'a>,
    /// Of the processor, in tenths of a degree Celsius; `None` if it does not say.
    pub temperature_tenths: Option<i16>,
    /// Since the program started, in seconds.
    pub uptime_s: u64,
    /// The program's version.
    pub software: &'a str,
}

impl StatusPage<'_> {
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

    fn lay_out_sources(&self, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (Scale { note, gap, .. }, theme, texts) = (look.scale, look.theme, look.texts);
        let sources = self.bands.sources;
        if sources.is_empty() {
            return column.write(texts.links.no_source, Style::ours(note, theme.quiet_text), 1, sheet);
        }
        let by_rank = (0..LinkState::RANKS).flat_map(|rank| sources.iter().filter(move |s| s.state.rank() == rank));
        let n_left = put_whole(by_rank, column, [gap, note.height()], sheet, |source, column, sheet| {
            source.lay_out(column, look, sheet);
        });
        if n_left > 0 {
            let words = Phrase::of(format_args!("+ {n_left} {}", texts.alarms.more));
            column.write(words.as_str(), Style::ours(note, theme.text), 1, sheet);
        }
    }

    fn lay_out_model(&self, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (theme, texts) = (look.theme, look.texts);
        let mut facts = Facts { column, look, sheet };
        let Some(model) = self.bands.model else {
            return facts.put_ours(texts.status.model, texts.status.unknown, theme.caution);
        };
        facts.put_long(texts.status.model, model.name, 2);
        facts.put_theirs(texts.status.version, model.version);
        facts.put_theirs(texts.status.digest, line_start(model.digest.trim(), 12));
    }

    fn lay_out_device(&self, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (theme, texts, status) = (look.theme, look.texts, &look.texts.status);
        let mut facts = Facts { column, look, sheet };
        if let Some(store) = self.store {
            let n_answers = Phrase::of(format_args!("{}", Grouped(store.n_answers)));
            facts.put_ours(texts.live.answers, n_answers.as_str(), theme.text);
            if let Some(mib) = store.disk_free_mib {
                facts.put_ours(status.disk_free, disk_free(mib, texts).as_str(), theme.text);
            }
            let (words, colour) =
                if store.is_writable { (status.writable, theme.text) } else { (status.not_writable, theme.bad) };
            facts.put_ours(status.store, words, colour);
        }
        if let Some(tenths) = self.temperature_tenths {
            facts.put_ours(status.temperature, degrees(tenths, texts).as_str(), theme.text);
        }
        if self.clock.is_set {
            facts.put_long(status.clock, self.clock.time, 1);
        } else {
            facts.put_ours(status.clock, status.not_set, theme.caution);
        }
        facts.put_ours(status.uptime, duration(self.uptime_s).as_str(), theme.text);
        facts.put_ours(status.language, look.language.own_name(), theme.text);
        facts.put_theirs(status.software, self.software);
    }
}

impl Page for StatusPage<'_> {
    /// In landscape sources and model stand at the left, the device at the right; in portrait all below each other. The
    /// sources get what the rest leaves.
    fn lay_out(&self, all: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let gap = look.scale.gap;
        let body = self.bands.lay_out(look.texts.titles.status, all, look, sheet);
        let model_px = |width| needed(width, |column| self.lay_out_model(column, look, &mut Blank));
        let device_px = |width| needed(width, |column| self.lay_out_device(column, look, &mut Blank));
        if body.size.width < body.size.height {
            let mut column = Column::new(body);
            let rest = model_px(body.size.width) + device_px(body.size.width) + 4 * gap;
            self.lay_out_sources(&mut Column::new(head(&mut column, rest)), look, sheet);
            separate(&mut column, look, sheet);
            self.lay_out_model(&mut column, look, sheet);
            separate(&mut column, look, sheet);
            return self.lay_out_device(&mut column, look, sheet);
        }
        let half = body.size.width.saturating_sub(3 * gap) / 2;
        let size = Size::new(half, body.size.height);
        let mut left = Column::new(Rectangle::new(body.top_left, size));
        let rest = model_px(half) + 2 * gap;
        self.lay_out_sources(&mut Column::new(head(&mut left, rest)), look, sheet);
        separate(&mut left, look, sheet);
        self.lay_out_model(&mut left, look, sheet);
        let corner = body.top_left + Point::new((half + 3 * gap).cast_signed(), 0);
        self.lay_out_device(&mut Column::new(Rectangle::new(corner, size)), look, sheet);
    }
}

impl Source<'_> {
    /// Its name with the symbol of its state; below, the state in words and the counts. Where there is no room for all,
    /// the counts give way.
    fn lay_out(&self, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (Scale { note, gap, .. }, theme) = (look.scale, look.theme);
        let colour = self.state.colour(theme);
        let name = Tag {
            colours: [colour, theme.background],
            ..Tag::with_symbol(self.state.symbol(), self.name, Style::theirs(note, theme.text), theme.background)
        };
        Flow::new(column, 0).put(&name, sheet);
        let whole_px = needed(column.width(), |column| self.lay_out_counts(3, column, look, &mut Blank));
        let n_counts = if whole_px <= column.height() { 3 } else { 0 };
        self.lay_out_counts(n_counts, column, look, sheet);
        column.skip(gap);
    }

    fn lay_out_counts(&self, n_counts: usize, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (note, theme, texts) = (look.scale.note, look.theme, look.texts);
        let mut flow = Flow::new(column, 2 * note.cell().width);
        let colour = self.state.colour(theme);
        flow.put(&Tag::plain(self.state.words(texts).as_str(), Style::ours(note, colour)), sheet);
        let counts = [
            (texts.status.images, self.n_images),
            (texts.status.errors, self.n_errors),
            (texts.live.skipped, self.n_skipped),
        ];
        for (noun, n) in counts.into_iter().take(n_counts) {
            let words = Phrase::of(format_args!("{noun} {}", Grouped(n)));
            flow.put(&Tag::plain(words.as_str(), Style::ours(note, theme.quiet_text)), sheet);
        }
    }
}

/// Facts below each other: what it is at the left, how it is at the right.
struct Facts<'f, 'l> {
    column: &'f mut Column,
    look: &'f Look<'l>,
    sheet: &'f mut dyn Sheet,
}

impl Facts<'_, '_> {
    /// A fact in our words, which take a second row rather than be cut.
    fn put_ours(&mut self, what: &str, how: &str, colour: Rgb888) {
        let note = self.look.scale.note;
        let room = self.put_name(what);
        let (Some(room), how_px) = (room, note.width(how)) else {
            return;
        };
        let style = Style::ours(note, colour);
        if how_px <= room.size.width {
            line(how, at_right(room, how_px), style, self.sheet);
        } else if let Some(row) = self.column.take(note.height()) {
            line(how, at_right(row, how_px), style, self.sheet);
        } else {
            self.sheet.left_out(how);
        }
    }

    /// A fact in others' words, which end in an ellipsis where the row ends.
    fn put_theirs(&mut self, what: &str, how: &str) {
        let note = self.look.scale.note;
        if let Some(room) = self.put_name(what) {
            line(how, at_right(room, note.width(how.trim())), Style::theirs(note, self.look.theme.text), self.sheet);
        }
    }

    /// A fact in others' words, which take up to `max_rows` of their own where half a row is not enough.
    fn put_long(&mut self, what: &str, how: &str, max_rows: u32) {
        let note = self.look.scale.note;
        let style = Style::theirs(note, self.look.theme.text);
        match self.put_name(what) {
            Some(room) if note.width(how.trim()) <= room.size.width => {
                line(how, at_right(room, note.width(how.trim())), style, self.sheet);
            }
            _ => self.column.write(how, style, max_rows, self.sheet),
        }
    }

    /// Writes what the fact is about, and returns what is left of the row.
    fn put_name(&mut self, what: &str) -> Option<Rectangle> {
        let note = self.look.scale.note;
        let Some(row) = self.column.take(note.height()) else {
            self.sheet.left_out(what);
            return None;
        };
        let taken = line(what, row, Style::ours(note, self.look.theme.quiet_text), self.sheet) + note.cell().width;
        Some(at_right(row, row.size.width.saturating_sub(taken)))
    }
}

/// The last `width` pixels of `room`, or all of them.
fn at_right(room: Rectangle, width: u32) -> Rectangle {
    let width = width.min(room.size.width);
    let corner = room.top_left + Point::new((room.size.width - width).cast_signed(), 0);
    Rectangle::new(corner, Size::new(width, room.size.height))
}

/// Takes all but the last `rest` pixels of a column.
fn head(column: &mut Column, rest: u32) -> Rectangle {
    column.take(column.height().saturating_sub(rest)).unwrap_or(column.room())
}

fn separate(column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
    let Scale { gap, stroke, .. } = look.scale;
    column.skip(gap);
    if let Some(rule) = column.take(stroke) {
        sheet.fill(rule, look.theme.trough);
    }
    column.skip(gap.saturating_sub(stroke));
}

fn disk_free(mib: u64, texts: &Texts) -> Phrase {
    match mib {
        0..1024 => Phrase::of(format_args!("{mib}\u{A0}MiB")),
        _ => Phrase::of(format_args!("{}{}{}\u{A0}GiB", mib / 1024, texts.decimal_mark, mib % 1024 * 10 / 1024)),
    }
}

fn degrees(tenths: i16, texts: &Texts) -> Phrase {
    let (sign, size) = (if tenths < 0 { "-" } else { "" }, tenths.unsigned_abs());
    Phrase::of(format_args!("{sign}{}{}{}\u{A0}\u{B0}C", size / 10, texts.decimal_mark, size % 10))
}

/// In its two largest units.
fn duration(seconds: u64) -> Phrase {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours) {
        (0, 0) => Phrase::of(format_args!("{minutes} min {} s", seconds % 60)),
        (0, _) => Phrase::of(format_args!("{hours} h {} min", minutes % 60)),
        _ => Phrase::of(format_args!("{days} d {} h", hours % 24)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_written_as_their_reader_writes_them() {
        let (english, german) = (Language::English.texts(), Language::German.texts());
        assert_eq!(disk_free(1023, german).as_str(), "1023\u{A0}MiB");
        assert_eq!(disk_free(12_800, german).as_str(), "12,5\u{A0}GiB");
        assert_eq!(degrees(435, english).as_str(), "43.5\u{A0}\u{B0}C");
        assert_eq!(degrees(-5, german).as_str(), "-0,5\u{A0}\u{B0}C");
        assert_eq!(duration(59).as_str(), "0 min 59 s");
        assert_eq!(duration(3 * 3600 + 5 * 60).as_str(), "3 h 5 min");
        assert_eq!(duration(90_000).as_str(), "1 d 1 h");
    }
}

//! What every page has: a header that says where one is and whether all is well, and a footer that says which model
//! answers.

use crate::{
    AlarmBadge, LinkState, Source,
    layout::{Style, Tag, centre, line},
    phrase::Phrase,
    sheet::{Look, Sheet},
    text::line_start,
};
use embedded_graphics::{prelude::*, primitives::Rectangle};

/// Which model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelLabel<'a> {
    /// The bundle's name.
    pub name: &'a str,
    /// The bundle's version.
    pub version: &'a str,
    /// The bundle's SHA-256 digest in hexadecimal; its first eight digits are shown, on the status page twelve.
    pub digest: &'a str,
    /// Whether it has yet to prove itself, with the model before it waiting to come back.
    pub is_on_trial: bool,
}

/// The header and the footer of every page.
#[derive(Clone, Copy, Debug)]
pub struct Bands<'a> {
    /// Where images come from. One source's state is said in a word, several are counted by state.
    pub sources: &'a [Source<'a>],
    /// What is wrong, summed up; see [`AlarmBadge::of`].
    pub alarms: Option<AlarmBadge>,
    /// The time as the reader is to see it, such as `14:32`; left out where there is no room, and when empty.
    pub clock: &'a str,
    /// Which model answers, if there is one.
    pub model: Option<ModelLabel<'a>>,
}

impl Bands<'_> {
    /// Lays out a whole page's background, header and footer, and returns the room between them.
    pub(crate) fn lay_out(&self, title: &str, all: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) -> Rectangle {
        let gap = look.scale.gap;
        let (header_px, footer_px) = (look.scale.label.height() + 2 * gap, look.scale.note.height() + gap);
        let Size { width, height } = all.size;
        sheet.fill(all, look.theme.background);
        let header = Rectangle::new(all.top_left, Size::new(width, header_px.min(height)));
        let down = Point::new(0, height.saturating_sub(footer_px).cast_signed());
        let footer = Rectangle::new(all.top_left + down, Size::new(width, footer_px.min(height)));
        for band in [header, footer] {
            sheet.fill(band, look.theme.band);
        }
        self.lay_out_header(title, inset(header, gap, 0), look, sheet);
        self.lay_out_footer(inset(footer, gap, 0), look, sheet);
        let between = Size::new(width, height.saturating_sub(header_px + footer_px));
        inset(Rectangle::new(all.top_left + Point::new(0, header_px.cast_signed()), between), gap, gap)
    }

    /// Room is given to the title, then from the right to alarms and links; the clock gets what they leave.
    fn lay_out_header(&self, title: &str, mut room: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (scale, theme) = (&look.scale, look.theme);
        let style = Style::ours(scale.label, theme.text);
        let taken = line(title, middle(room, scale.label.height()), style, sheet) + 2 * scale.gap;
        room = Rectangle::new(
            room.top_left + Point::new(taken.cast_signed(), 0),
            Size::new(room.size.width.saturating_sub(taken), room.size.height),
        );
        self.lay_out_badge(&mut room, look, sheet);
        self.lay_out_links(&mut room, look, sheet);
        let clock = Tag::plain(self.clock.trim(), Style::theirs(scale.note, theme.quiet_text));
        if !clock.text.is_empty() && clock.size().width <= room.size.width {
            put_right(&clock, &mut room, 2 * look.scale.gap, sheet);
        }
    }

    fn lay_out_badge(&self, room: &mut Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let Some(AlarmBadge { severity, n_alarms }) = self.alarms else {
            return;
        };
        let (scale, theme) = (&look.scale, look.theme);
        let (count, fill) = (count(n_alarms as usize), severity.colour(theme));
        let style = Style::ours(scale.label, theme.background);
        let tag = Tag::with_symbol(severity.symbol(), count.as_str(), style, fill);
        let place = cut_right(room, tag.size().width + 2 * scale.gap);
        room.size.width = room.size.width.saturating_sub(2 * scale.gap);
        sheet.fill(inset(place, 0, scale.gap / 2), fill);
        tag.put(centre(place, tag.size()), sheet);
    }

    fn lay_out_links(&self, room: &mut Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (texts, quiet) = (look.texts, Style::ours(look.scale.note, look.theme.quiet_text));
        match self.sources {
            [] => put_right(&Tag::plain(texts.links.no_source, quiet), room, 2 * look.scale.gap, sheet),
            [only] => {
                let words = only.state.words(texts);
                let (full, bare) = (link_tag(only.state, words.as_str(), look), link_tag(only.state, "", look));
                put_right(
                    if full.size().width <= room.size.width { &full } else { &bare },
                    room,
                    2 * look.scale.gap,
                    sheet,
                );
            }
            several => {
                let counts = [0, 1, 2, 3].map(|rank| Count::of(several, rank));
                let width = |n_ranks: usize| counts.iter().take(n_ranks).map(|count| count.width(look)).sum::<u32>();
                // Where there is no room for all, what wants attention most stays; the status page has the rest.
                let n_ranks = (0..=counts.len()).rev().find(|&n| width(n) <= room.size.width).unwrap_or(0);
                for Count { state, words } in counts.iter().take(n_ranks).rev() {
                    if let Some(state) = state {
                        put_right(&link_tag(*state, words.as_str(), look), room, 2 * look.scale.gap, sheet);
                    }
                }
            }
        }
    }

    fn lay_out_footer(&self, room: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (texts, theme, note) = (look.texts, look.theme, look.scale.note);
        let mut room = middle(room, note.height());
        let gap = note.cell().width;
        let quiet = Style::theirs(note, theme.quiet_text);
        let Some(ModelLabel { name, version, digest, is_on_trial }) = self.model else {
            line(texts.live.no_model, room, Style::ours(note, theme.quiet_text), sheet);
            return;
        };
        put_right(&Tag::plain(line_start(digest.trim(), 8), quiet), &mut room, gap, sheet);
        let max_columns = if note.columns(room.size.width) < 40 { 8 } else { 16 };
        let width = note.width(version.trim()).min(max_columns * note.cell().width);
        line(version, cut_right(&mut room, width), quiet, sheet);
        room.size.width = room.size.width.saturating_sub(gap);
        if is_on_trial {
            let style = Style::ours(note, theme.caution);
            put_right(&Tag::plain(texts.live.on_trial, style), &mut room, gap, sheet);
        }
        line(name, room, Style::theirs(note, theme.text), sheet);
    }
}

/// How many sources are in a state.
struct Count {
    /// The state of one of them, if there is one.
    state: Option<LinkState>,
    words: Phrase,
}

impl Count {
    fn of(sources: &[Source<'_>], rank: u8) -> Self {
        let of_rank = || sources.iter().filter(|source| source.state.rank() == rank);
        Self { state: of_rank().next().map(|source| source.state), words: count(of_rank().count()) }
    }

    /// What it takes of the header, with the gap beside it.
    fn width(&self, look: &Look<'_>) -> u32 {
        self.state.map_or(0, |state| link_tag(state, self.words.as_str(), look).size().width + 2 * look.scale.gap)
    }
}

fn link_tag<'a>(state: LinkState, text: &'a str, look: &Look<'_>) -> Tag<'a> {
    let style = Style::ours(look.scale.note, state.colour(look.theme));
    Tag::with_symbol(state.symbol(), text, style, look.theme.band)
}

/// A count of at most three characters.
fn count(n: usize) -> Phrase {
    if n > 99 { Phrase::of(format_args!("99+")) } else { Phrase::of(format_args!("{n}")) }
}

/// Takes `width` pixels from the right of `room`.
fn cut_right(room: &mut Rectangle, width: u32) -> Rectangle {
    let width = width.min(room.size.width);
    room.size.width -= width;
    let corner = room.top_left + Point::new(room.size.width.cast_signed(), 0);
    Rectangle::new(corner, Size::new(width, room.size.height))
}

/// Puts `tag` at the right of `room` and takes its place, and `gap` pixels, from `room`.
pub(crate) fn put_right(tag: &Tag<'_>, room: &mut Rectangle, gap: u32, sheet: &mut dyn Sheet) {
    let place = cut_right(room, tag.size().width);
    room.size.width = room.size.width.saturating_sub(gap);
    tag.put(middle(place, tag.size().height), sheet);
}

/// The `height` pixels in the middle of `room`.
fn middle(room: Rectangle, height: u32) -> Rectangle {
    centre(room, Size::new(room.size.width, height.min(room.size.height)))
}

fn inset(room: Rectangle, x: u32, y: u32) -> Rectangle {
    let corner = room.top_left + Point::new(x.cast_signed(), y.cast_signed());
    Rectangle::new(corner, room.size.saturating_sub(Size::new(2 * x, 2 * y)))
}

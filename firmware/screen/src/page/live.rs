//! The page that is usually up: the last image, what was decided about it, and how far to trust the moment.

use crate::{
    Bands, HeatMap, Language, Picture, Reason, Theme, Verdict,
    layout::{Column, Flow, Scale, Style, Tag, centre, centred_line, line, needed},
    phrase::{Grouped, Percent, Phrase},
    sheet::{Blank, Look, Page, Sheet, paint},
    text::break_line,
    widget::confidence_bar,
};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// The live page.
#[derive(Clone, Copy, Debug)]
pub struct LivePage<'a> {
    /// Header and footer.
    pub bands: Bands<'a>,
    /// The image the verdict is about.
    pub picture: Option<Picture<'a>>,
    /// Where the model looked, laid over the picture.
    pub heat_map: Option<HeatMap<'a>>,
    /// What was decided.
    pub verdict: Verdict<'a>,
    /// The bundle's threshold, below which it cannot say, in units of 1/10000: a tick on the bar.
    pub threshold_of_10000: Option<u16>,
    /// Which source the image came from; empty if there is none.
    pub source: &'a str,
    /// When the image came, as the reader is to see it; empty if there is none.
    pub time: &'a str,
    /// Images answered so far.
    pub n_answers: u64,
    /// Images passed over so far because a newer one was there.
    pub n_skipped: u64,
    /// Whether the verdict is older than it should be when looked at.
    pub is_stale: bool,
}

impl LivePage<'_> {
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

    /// Room for the image with its captions, and for the verdict: beside each other, or in portrait below.
    fn split(&self, body: Rectangle, look: &Look<'_>) -> (Rectangle, Rectangle) {
        let (Size { width, height }, gap) = (body.size, look.scale.gap);
        let captions_px = |width: u32| gap + needed(width, |column| self.lay_out_captions(column, look, &mut Blank));
        if width >= height {
            // The captions of a narrower panel may take more rows, so it is narrowed twice; but no narrower than they
            // need.
            let half = width.saturating_sub(gap) * 46 / 100;
            let least = half.min(24 * look.scale.note.cell().width);
            let panel = |width: u32| half.min(height.saturating_sub(captions_px(width))).max(least);
            let panel = panel(half).min(panel(panel(half)));
            let right = body.top_left + Point::new((panel + 2 * gap).cast_signed(), 0);
            let left = Size::new(panel, height.min(panel + captions_px(panel)));
            let down = Point::new(0, (height.saturating_sub(left.height) / 2).cast_signed());
            let rest = Size::new(width.saturating_sub(panel + 2 * gap), height);
            return (Rectangle::new(body.top_left + down, left), Rectangle::new(right, rest));
        }
        let verdict_px = gap + needed(width, |column| self.lay_out_verdict(column, look, &mut Blank));
        let most = (width + captions_px(width)).min(height * 2 / 3);
        // However much there is to say, a picture is left; what others wrote is cut for it.
        let least = width / 6 + captions_px(width);
        let top = height.saturating_sub(verdict_px).min(most).max(least).min(height);
        let below = body.top_left + Point::new(0, (top + gap).cast_signed());
        let rest = Size::new(width, height.saturating_sub(top + gap));
        (Rectangle::new(body.top_left, Size::new(width, top)), Rectangle::new(below, rest))
    }

    fn lay_out_image(&self, room: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (scale, theme) = (&look.scale, look.theme);
        let captions_px = needed(room.size.width, |column| self.lay_out_captions(column, look, &mut Blank));
        let mut column = Column::new(room);
        let above = room.size.height.saturating_sub(captions_px + scale.gap);
        if let Some(above) = column.take(above) {
            let side = above.size.width.min(above.size.height);
            let frame = centre(above, Size::new_equal(side));
            sheet.fill(frame, theme.trough);
            let inner = centre(frame, frame.size.saturating_sub(Size::new_equal(2 * scale.stroke)));
            sheet.fill(inner, theme.background);
            let nothing = match self.verdict {
                Verdict::None => look.texts.live.no_image_yet,
                _ => look.texts.live.no_picture,
            };
            match &self.picture {
                Some(picture) => sheet.picture(inner, picture, self.heat_map.as_ref()),
                // An empty frame says it too, where it is small.
                None if scale.note.width(nothing) > inner.size.width => {}
                None => centred_line(nothing, inner, Style::ours(scale.note, theme.quiet_text), sheet),
            }
        }
        column.skip(scale.gap);
        self.lay_out_captions(&mut column, look, sheet);
    }

    /// Time and source, counts, and the heat-map's scale. The scale's row is kept free where there is a picture without
    /// a heat-map: heat-maps come later than verdicts, and the picture should not jump.
    fn lay_out_captions(&self, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (note, theme, texts) = (look.scale.note, look.theme, &look.texts.live);
        let quiet = Style::theirs(note, theme.quiet_text);
        let mut flow = Flow::new(column, note.cell().width);
        for (text, colour) in [(self.time.trim(), theme.quiet_text), (self.source.trim(), theme.text)] {
            if !text.is_empty() {
                flow.put(&Tag::plain(text, Style { colour, ..quiet }), sheet);
            }
        }
        let mut flow = Flow::new(column, 2 * note.cell().width);
        let style = Style::ours(note, theme.quiet_text);
        for (noun, n, is_shown) in
            [(texts.answers, self.n_answers, true), (texts.skipped, self.n_skipped, self.n_skipped > 0)]
        {
            if is_shown {
                flow.put(&Tag::plain(Phrase::of(format_args!("{noun} {}", Grouped(n))).as_str(), style), sheet);
            }
        }
        if self.picture.is_some()
            && let Some(row) = column.take(note.height())
            && self.heat_map.is_some()
        {
            let taken = line(texts.relevance, row, style, sheet) + note.cell().width;
            let ramp = Size::new(row.size.width.saturating_sub(taken), row.size.height * 3 / 5);
            let down = (row.size.height - ramp.height) / 2;
            sheet.ramp(Rectangle::new(row.top_left + Point::new(taken.cast_signed(), down.cast_signed()), ramp));
        }
    }

    fn lay_out_verdict(&self, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (scale, theme, texts) = (&look.scale, look.theme, look.texts);
        if self.is_stale && !matches!(self.verdict, Verdict::None | Verdict::Working) {
            stale_mark(column, look, sheet);
        }
        let colour = match self.verdict {
            Verdict::None => theme.text,
            other => other.colour(theme),
        };
        if let Some(words) = self.verdict.words(texts) {
            // On nearly square screens the column is too narrow for some long word.
            let is_wide = words.split(' ').all(|word| scale.large.width(word) <= column.width());
            let lettering = if is_wide { scale.large } else { scale.label };
            column.write(words, Style::ours(lettering, colour), u32::MAX, sheet);
            column.skip(scale.gap);
        }
        match self.verdict {
            Verdict::None | Verdict::Working => {}
            Verdict::Class { name, confidence_of_10000 } => {
                let doubled = scale.large.doubled();
                let room_px = column.height().saturating_sub(self.confidence_px(look));
                let is_doubled = fits_whole(name, doubled.columns(column.width()), room_px / doubled.height());
                let lettering = if is_doubled { doubled } else { scale.large };
                let n_lines = (room_px / lettering.height()).clamp(1, 4);
                column.write(name, Style::theirs(lettering, theme.text), n_lines, sheet);
                column.skip(scale.gap);
                self.lay_out_confidence(confidence_of_10000, theme.good, column, look, sheet);
            }
            Verdict::CannotSay { reason, best } => {
                let best_px = 2 * scale.note.height() + scale.gap + self.confidence_px(look);
                lay_out_reason(reason, best.map_or(0, |_| best_px), column, look, sheet);
                if let Some((name, confidence_of_10000)) = best {
                    column.write(texts.live.nearest, Style::ours(scale.note, theme.quiet_text), 1, sheet);
                    let lines = lines_above(column, self.confidence_px(look), scale.note.height());
                    column.write(name, Style::theirs(scale.note, theme.text), lines.clamp(1, 2), sheet);
                    column.skip(scale.gap);
                    self.lay_out_confidence(confidence_of_10000, theme.caution, column, look, sheet);
                }
            }
            Verdict::Unreadable { reason } => lay_out_reason(reason, 0, column, look, sheet),
        }
    }

    /// What [`Self::lay_out_confidence`] takes, with the gap above it.
    const fn confidence_px(&self, look: &Look<'_>) -> u32 {
        let threshold_px = if self.threshold_of_10000.is_some() { look.scale.note.height() } else { 0 };
        look.scale.gap + look.scale.label.height() + threshold_px
    }

    /// A bar with the percentage beside it, and what would have been needed below.
    fn lay_out_confidence(
        &self,
        confidence_of_10000: u16,
        colour: Rgb888,
        column: &mut Column,
        look: &Look<'_>,
        sheet: &mut dyn Sheet,
    ) {
        let (scale, theme, texts) = (&look.scale, look.theme, look.texts);
        let decimal_mark = texts.decimal_mark;
        let words = Phrase::of(format_args!("{}", Percent { of_10000: confidence_of_10000, decimal_mark }));
        let Some(row) = column.take(scale.label.height()) else {
            sheet.left_out(words.as_str());
            return;
        };
        let words_px = scale.label.width(words.as_str());
        let bar = Size::new(row.size.width.saturating_sub(words_px + scale.gap), row.size.height);
        let colours = [colour, theme.trough, theme.text];
        confidence_bar(Rectangle::new(row.top_left, bar), confidence_of_10000, self.threshold_of_10000, colours, sheet);
        let corner = row.top_left + Point::new((row.size.width.saturating_sub(words_px)).cast_signed(), 0);
        let room = Rectangle::new(corner, Size::new(words_px, row.size.height));
        line(words.as_str(), room, Style::ours(scale.label, colour), sheet);
        if let Some(of_10000) = self.threshold_of_10000 {
            let percent = Percent { of_10000, decimal_mark };
            let words = Phrase::of(format_args!("{} {percent}", texts.live.needed));
            column.write(words.as_str(), Style::ours(scale.note, theme.quiet_text), 1, sheet);
        }
    }
}

impl Page for LivePage<'_> {
    fn lay_out(&self, all: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let body = self.bands.lay_out(look.texts.titles.live, all, look, sheet);
        let (image, verdict) = self.split(body, look);
        self.lay_out_image(image, look, sheet);
        self.lay_out_verdict(&mut Column::new(verdict), look, sheet);
    }
}

/// Says why, and leaves `reserved_px` at the column's end if others' words are what there is to cut.
fn lay_out_reason(reason: Reason<'_>, reserved_px: u32, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
    let (note, colour) = (look.scale.note, look.theme.text);
    match (reason.said(look.texts), reason) {
        (Some(said), _) => column.write(said.sentence, Style::ours(note, colour), u32::MAX, sheet),
        (None, Reason::Other(words)) => {
            // About as many letters, however wide the column.
            let most = if note.columns(column.width()) < 34 { 4 } else { 2 };
            let n_lines = lines_above(column, reserved_px, note.height()).clamp(1, most);
            column.write(words, Style::theirs(note, colour), n_lines, sheet);
        }
        (None, _) => {}
    }
    column.skip(look.scale.gap);
}

/// Whether `text` needs no more than two lines, and no more than `n_lines`, without breaking a word.
fn fits_whole(text: &str, columns: usize, n_lines: u32) -> bool {
    let (first, rest) = break_line(text.trim(), columns);
    let is_unbroken = |line: &str| line.split(' ').all(|word| word.chars().count() <= columns);
    let needed = if rest.is_empty() { 1 } else { 2 };
    needed <= n_lines && is_unbroken(text) && !first.is_empty() && break_line(rest, columns).1.is_empty()
}

/// A filled banner: a result that nobody looked at in time must not be taken for a new one.
fn stale_mark(column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
    let (Scale { label, gap, .. }, theme) = (look.scale, look.theme);
    let Some(banner) = column.take(label.height() + gap) else {
        sheet.left_out(look.texts.live.old_result);
        return;
    };
    sheet.fill(banner, theme.caution);
    let room = centre(banner, Size::new(banner.size.width.saturating_sub(2 * gap), label.height()));
    line(look.texts.live.old_result, room, Style::ours(label, theme.background), sheet);
    column.skip(gap);
}

/// How many lines fit before `reserved_px` at the column's end.
const fn lines_above(column: &Column, reserved_px: u32, line_px: u32) -> u32 {
    column.height().saturating_sub(reserved_px) / line_px
}

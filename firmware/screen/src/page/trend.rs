//! Answers over time: how many, of which kind, and how large a share got a class.

use crate::{
    Bands, Language, Theme,
    layout::{Column, Flow, Mark, Scale, Style, Tag, centred_line, line},
    phrase::{Grouped, Percent, Phrase},
    sheet::{Look, Page, Sheet, paint},
    widget::Pattern,
};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// The answers of one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket<'a> {
    /// When, in few letters, such as `14:00`.
    pub label: &'a str,
    /// How many named a class.
    pub n_class: u32,
    /// How many said "cannot say".
    pub n_cannot_say: u32,
    /// How many images could not be judged.
    pub n_unreadable: u32,
}

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketLength {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// A day of the calendar.
    Day,
}

/// Answers over time.
#[derive(Clone, Copy, Debug)]
pub struct TrendPage<'a> {
    /// Header and footer.
    pub bands: Bands<'a>,
    /// Oldest first. When there are more than fit, the newest are shown.
    pub buckets: &'a [Bucket<'a>],
    /// How long each is.
    pub bucket_length: BucketLength,
}

impl TrendPage<'_> {
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

    /// What the patterns mean, with each kind's sum.
    fn lay_out_legend(&self, sums: [u64; 3], column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (note, theme, texts) = (look.scale.note, look.theme, &look.texts.trend);
        let mut flow = Flow::new(column, 2 * note.cell().width);
        let kinds = kinds(theme).into_iter().zip([texts.class, texts.cannot_say, texts.unreadable]).zip(sums);
        for (((pattern, colour), word), sum) in kinds {
            let words = Phrase::of(format_args!("{word} {}", Grouped(sum)));
            let style = Style::ours(note, theme.text);
            flow.put(&Tag { mark: Mark::Pattern(pattern), colours: [colour; 2], text: words.as_str(), style }, sheet);
        }
    }

    const fn title(&self, look: &Look<'_>) -> &'static str {
        match self.bucket_length {
            BucketLength::Minute => look.texts.trend.per_minute,
            BucketLength::Hour => look.texts.trend.per_hour,
            BucketLength::Day => look.texts.trend.per_day,
        }
    }
}

impl Page for TrendPage<'_> {
    fn lay_out(&self, all: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (Scale { note, gap, .. }, theme, texts) = (look.scale, look.theme, look.texts);
        let body = self.bands.lay_out(texts.titles.trend, all, look, sheet);
        let sums = [|b: &Bucket<'_>| b.n_class, |b: &Bucket<'_>| b.n_cannot_say, |b: &Bucket<'_>| b.n_unreadable]
            .map(|of| self.buckets.iter().map(|bucket| u64::from(of(bucket))).sum::<u64>());
        let total: u64 = sums.iter().sum();
        let quiet = Style::ours(note, theme.quiet_text);
        if total == 0 {
            return centred_line(texts.trend.none, body, quiet, sheet);
        }
        let mut column = Column::new(body);
        self.lay_out_legend(sums, &mut column, look, sheet);
        column.skip(gap);
        // Two titles and the labels of the time axis; the counts get two thirds of the rest.
        let charts_px = column.height().saturating_sub(3 * note.height() + 3 * gap);
        let chart = Chart::new(self.buckets, column.room(), look);
        column.write(self.title(look), quiet, 1, sheet);
        column.skip(gap / 2);
        if let Some(room) = column.take(charts_px * 2 / 3) {
            chart.lay_out_counts(room, look, sheet);
        }
        column.skip(gap);
        let of_10000 = u16::try_from(sums[0] * 10_000 / total).unwrap_or(10_000);
        let share = Percent { of_10000, decimal_mark: texts.decimal_mark };
        column.write(Phrase::of(format_args!("{} {share}", texts.trend.coverage)).as_str(), quiet, 1, sheet);
        column.skip(gap / 2);
        if let Some(room) = column.take(charts_px / 3) {
            chart.lay_out_coverage(room, look, sheet);
        }
        column.skip(gap);
        if let Some(row) = column.take(note.height()) {
            chart.lay_out_time(row, look, sheet);
        }
    }
}

/// How each kind of answer is filled: class, cannot say, unreadable.
const fn kinds(theme: &Theme) -> [(Pattern, Rgb888); 3] {
    [(Pattern::Solid, theme.good), (Pattern::Stripes, theme.caution), (Pattern::Dots, theme.bad)]
}

/// Buckets along a common time axis.
struct Chart<'a> {
    buckets: &'a [Bucket<'a>],
    /// From the left of the room to the axis.
    left: u32,
    /// Of one bucket, the space to the next included.
    step: u32,
    /// The counts' axis ends here.
    most: u64,
}

impl<'a> Chart<'a> {
    fn new(buckets: &'a [Bucket<'a>], room: Rectangle, look: &Look<'_>) -> Self {
        let (Scale { note, gap, stroke, .. }, width) = (look.scale, room.size.width);
        let most = round_up(buckets.iter().map(Bucket::total).max().unwrap_or(0));
        let widest = note.width(Phrase::of(format_args!("{}", Grouped(most))).as_str()).max(note.width("100\u{A0}%"));
        let left = widest + gap;
        let plot = width.saturating_sub(left);
        // At least two pixels of bar and one of space, at any scale.
        let n_shown = buckets.len().min((plot / (3 * stroke)) as usize);
        let (_, shown) = buckets.split_at(buckets.len() - n_shown);
        let step = plot.checked_div(u32::try_from(n_shown).unwrap_or(u32::MAX)).unwrap_or(0);
        Self { buckets: shown, left, step: step.min(8 * note.cell().width), most }
    }

    /// The part of `room` above the axis that belongs to a bucket, without the space to the next.
    fn place(&self, index: usize, room: Rectangle) -> Rectangle {
        let x = self.left + self.step * u32::try_from(index).unwrap_or(0);
        let bar = self.step - (self.step / 4).max(1);
        Rectangle::new(room.top_left + Point::new(x.cast_signed(), 0), Size::new(bar, room.size.height))
    }

    fn lay_out_counts(&self, room: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let top = Phrase::of(format_args!("{}", Grouped(self.most)));
        let plot = self.lay_out_axis(top.as_str(), room, look, sheet);
        for (index, bucket) in self.buckets.iter().enumerate() {
            let bar = self.place(index, plot);
            let counts = [bucket.n_class, bucket.n_cannot_say, bucket.n_unreadable];
            let mut below = 0;
            for ((pattern, colour), count) in kinds(look.theme).into_iter().zip(counts) {
                let above = below + u64::from(count);
                let [low, high] = [below, above].map(|n| scaled(n, self.most, bar.size.height));
                let down = Point::new(0, (bar.size.height - high).cast_signed());
                sheet.hatch(
                    Rectangle::new(bar.top_left + down, Size::new(bar.size.width, high - low)),
                    pattern,
                    colour,
                );
                below = above;
            }
        }
    }

    /// A bar from nothing to everything; a bucket without answers has none.
    fn lay_out_coverage(&self, room: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let plot = self.lay_out_axis("100\u{A0}%", room, look, sheet);
        for (index, bucket) in self.buckets.iter().enumerate().filter(|(_, bucket)| bucket.total() > 0) {
            let bar = self.place(index, plot);
            sheet.fill(bar, look.theme.trough);
            let high = scaled(u64::from(bucket.n_class), bucket.total(), bar.size.height);
            let down = Point::new(0, (bar.size.height - high).cast_signed());
            sheet.fill(Rectangle::new(bar.top_left + down, Size::new(bar.size.width, high)), look.theme.busy);
        }
    }

    /// Lines at the top and the bottom with what they mean beside them; returns the room above the lower line.
    fn lay_out_axis(&self, top: &str, room: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) -> Rectangle {
        let (Scale { note, gap, stroke, .. }, theme) = (look.scale, look.theme);
        let (right, down) = (self.left.cast_signed(), room.size.height.saturating_sub(stroke).cast_signed());
        let rule = Size::new(room.size.width.saturating_sub(self.left), stroke);
        for y in [0, down] {
            sheet.fill(Rectangle::new(room.top_left + Point::new(right, y), rule), theme.trough);
        }
        let low = room.size.height.saturating_sub(note.height()).cast_signed();
        for (text, y) in [(top, 0), ("0", low)] {
            let x = self.left.saturating_sub(gap + note.width(text)).cast_signed();
            let place = Rectangle::new(room.top_left + Point::new(x, y), note.size(text));
            // Where the chart is too low for two labels, the upper one says enough.
            if y == 0 || low.cast_unsigned() >= note.height() {
                line(text, place, Style::ours(note, theme.quiet_text), sheet);
            }
        }
        Rectangle::new(room.top_left, Size::new(room.size.width, down.cast_unsigned()))
    }

    /// As many labels as stand clear of each other, each beginning below its bucket.
    fn lay_out_time(&self, row: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let note = look.scale.note;
        let end = row.top_left.x + row.size.width.cast_signed();
        let mut free_from = row.top_left.x;
        for (index, bucket) in self.buckets.iter().enumerate() {
            let corner = self.place(index, row).top_left;
            let label = bucket.label.trim();
            let size = note.size(label);
            let right = corner.x + size.width.cast_signed();
            if corner.x >= free_from && right <= end && !label.is_empty() {
                line(label, Rectangle::new(corner, size), Style::theirs(note, look.theme.quiet_text), sheet);
                free_from = right + note.cell().width.cast_signed();
            }
        }
    }
}

impl Bucket<'_> {
    fn total(&self) -> u64 {
        u64::from(self.n_class) + u64::from(self.n_cannot_say) + u64::from(self.n_unreadable)
    }
}

/// `n` of `most` as a height, rounded to the nearest pixel but never to nothing.
fn scaled(n: u64, most: u64, height: u32) -> u32 {
    let most = most.max(1);
    let px = (n.min(most) * u64::from(height) + most / 2) / most;
    if n > 0 && px == 0 { height.min(1) } else { px as u32 }
}

/// The least whole number of two digits, and zeros after, that divides well and is no less than `n`.
fn round_up(n: u64) -> u64 {
    const TENTHS: [u64; 10] = [10, 12, 15, 20, 25, 30, 40, 50, 60, 80];
    let mut power = 1u64;
    loop {
        let ends = TENTHS.into_iter().map(|tenths| tenths.saturating_mul(power)).filter(|end| end % 10 == 0);
        if let Some(end) = ends.map(|end| end / 10).find(|&end| end >= n) {
            return end;
        }
        power = power.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (most, end) in
            [(0, 1), (1, 1), (7, 8), (10, 10), (11, 12), (201, 250), (u64::from(u32::MAX), 5_000_000_000)]
        {
            assert_eq!(round_up(most), end);
        }
    }

    #[test]
    fn one_of_many_is_still_seen() {
        assert_eq!(scaled(1, 1000, 50), 1);
        assert_eq!(scaled(0, 1000, 50), 0);
        assert_eq!(scaled(500, 1000, 51), 26);
        assert_eq!(scaled(1000, 1000, 51), 51);
    }
}

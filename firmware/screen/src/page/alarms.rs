//! What is wrong, since when, and what to do: the worst first.

use crate::{
    Alarm, AlarmKind, Bands, Language, Severity, Theme,
    layout::{Column, Flow, Scale, Style, Tag, centre, centred_line, put_whole},
    phrase::Phrase,
    sheet::{Look, Page, Sheet, paint},
    widget::Symbol,
};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// All alarms there are now.
#[derive(Clone, Copy, Debug)]
pub struct AlarmPage<'a> {
    /// Header and footer.
    pub bands: Bands<'a>,
    /// In any order; shown by severity, and as given among equals. What does not fit is counted.
    pub alarms: &'a [Alarm<'a>],
}

impl AlarmPage<'_> {
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

    fn by_severity(&self) -> impl Iterator<Item = &Alarm<'_>> + Clone {
        Severity::ALL.into_iter().flat_map(|of| self.alarms.iter().filter(move |alarm| alarm.severity() == of))
    }
}

impl Page for AlarmPage<'_> {
    fn lay_out(&self, all: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (scale, theme, texts) = (&look.scale, look.theme, look.texts);
        let body = self.bands.lay_out(texts.titles.alarms, all, look, sheet);
        if self.alarms.is_empty() {
            return lay_out_calm(body, look, sheet);
        }
        let mut column = Column::new(body);
        let sizes = [scale.gap, scale.note.height()];
        let n_left = put_whole(self.by_severity(), &mut column, sizes, sheet, |alarm, column, sheet| {
            alarm.lay_out(column, look, sheet);
        });
        if n_left > 0 {
            let words = Phrase::of(format_args!("+ {n_left} {}", texts.alarms.more));
            column.write(words.as_str(), Style::ours(scale.note, theme.text), 1, sheet);
        }
    }
}

impl Alarm<'_> {
    /// A coloured edge with, beside it: severity, since when and which source; what is wrong; what to do.
    fn lay_out(&self, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (Scale { note, label, gap, .. }, theme) = (look.scale, look.theme);
        let (edge_px, before) = (gap.max(3), column.room());
        let indent = edge_px + gap;
        let corner = before.top_left + Point::new(indent.cast_signed(), 0);
        let size = Size::new(before.size.width.saturating_sub(indent), before.size.height);
        let mut inner = Column::new(Rectangle::new(corner, size));
        self.lay_out_heading(&mut inner, look, sheet);
        let (what, to_do) = match (self.kind.remedy(look.texts), self.kind) {
            (Some(remedy), _) => (
                (remedy.what, Style::ours(label, theme.text), u32::MAX),
                (remedy.to_do, Style::ours(note, theme.quiet_text), u32::MAX),
            ),
            (None, AlarmKind::Other { what, to_do, .. }) => {
                ((what, Style::theirs(label, theme.text), 3), (to_do, Style::theirs(note, theme.quiet_text), 4))
            }
            (None, _) => return,
        };
        for (text, style, max_lines) in [what, to_do] {
            inner.write(text, style, max_lines, sheet);
        }
        let taken = before.size.height - inner.height();
        if let Some(row) = column.take(taken) {
            sheet.fill(Rectangle::new(row.top_left, Size::new(edge_px, taken)), self.severity().colour(theme));
        }
        column.skip(gap);
    }

    fn lay_out_heading(&self, column: &mut Column, look: &Look<'_>, sheet: &mut dyn Sheet) {
        let (note, theme, texts) = (look.scale.note, look.theme, look.texts);
        let severity = self.severity();
        let colour = severity.colour(theme);
        let quiet = Style::theirs(note, theme.quiet_text);
        let mut flow = Flow::new(column, note.cell().width);
        let word = Style::ours(note, colour);
        flow.put(&Tag::with_symbol(severity.symbol(), severity.word(texts), word, theme.background), sheet);
        if !self.since.is_empty() {
            flow.put(&Tag::plain(texts.alarms.since, Style::ours(note, theme.quiet_text)), sheet);
            flow.put(&Tag::plain(self.since.trim(), quiet), sheet);
        }
        if let AlarmKind::SourceLost { source } | AlarmKind::SourceNoisy { source } = self.kind
            && !source.is_empty()
        {
            let style = Style { colour: theme.text, ..quiet };
            flow.squeeze(&Tag::plain(source, style), 10 * note.cell().width, sheet);
        }
    }
}

/// Says in large letters that nothing is wrong.
fn lay_out_calm(body: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet) {
    let (Scale { large, gap, .. }, theme) = (look.scale, look.theme);
    let side = 2 * large.height();
    let mut middle = Column::new(centre(body, Size::new(body.size.width, side + gap + large.height())));
    let colour: Rgb888 = theme.good;
    if let Some(row) = middle.take(side) {
        sheet.symbol(centre(row, Size::new_equal(side)), Symbol::Tick, [colour, theme.background]);
    }
    middle.skip(gap);
    if let Some(row) = middle.take(large.height()) {
        centred_line(look.texts.alarms.none, row, Style::ours(large, colour), sheet);
    }
}

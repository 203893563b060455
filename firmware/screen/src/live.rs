//! The one page that is always up: the last image, what was decided about it, and how far to trust the moment.

use crate::{Lettering, Picture, Theme, confidence_bar, draw_line, draw_picture, draw_wrapped, link_symbol};
use core::fmt::{self, Write};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// What the link to the imaging hardware is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The port is open; the hardware has not spoken (lately).
    Waiting,
    /// The hardware is there.
    Connected,
    /// An image is arriving.
    Receiving {
        /// How much of it has arrived, 0 to 100.
        percent: u8,
    },
    /// There is no port.
    Lost,
}

/// What was decided about the last image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// No image yet.
    None,
    /// The image is being judged.
    Working,
    /// It shows this.
    Class {
        /// The class.
        name: &'a str,
        /// Calibrated probability in units of 1/10000.
        confidence_of_10000: u16,
    },
    /// The device declines to name a class. As good a result as any other.
    CannotSay {
        /// Why, for the reader.
        reason: &'a str,
        /// The class that came nearest with its probability in units of 1/10000, if the image could be read.
        best: Option<(&'a str, u16)>,
    },
}

/// Which model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelLabel<'a> {
    /// The bundle's name.
    pub name: &'a str,
    /// The bundle's version.
    pub version: &'a str,
    /// The bundle's SHA-256 digest in hexadecimal; its first eight digits are shown.
    pub digest: &'a str,
}

/// The live page; [`LivePage::draw`] covers the whole target.
#[derive(Clone, Copy, Debug)]
pub struct LivePage<'a> {
    /// The image the verdict is about.
    pub picture: Option<Picture<'a>>,
    /// What was decided.
    pub verdict: Verdict<'a>,
    /// The bundle's threshold, below which it cannot say, in units of 1/10000: a tick on the bar.
    pub threshold_of_10000: Option<u16>,
    /// Which model answers.
    pub model: ModelLabel<'a>,
    /// What the link is doing.
    pub link: LinkState,
    /// Frames answered so far.
    pub n_frames: u64,
    /// Whether the verdict is older than it should be when looked at.
    pub is_stale: bool,
}

impl LivePage<'_> {
    /// Draws the page over all of `target`, laid out for its size: 320 x 240 and up, portrait too.
    ///
    /// # Errors
    /// What the target says.
    pub fn draw<D>(&self, theme: &Theme, target: &mut D) -> Result<(), D::Error>
    where
        D: DrawTarget,
        Rgb888: Into<D::Color>,
    {
        let layout = Layout::new(target.bounding_box());
        let mut target = target.color_converted::<Rgb888>();
        target.clear(theme.background)?;
        self.draw_header(&layout, theme, &mut target)?;
        self.draw_image(&layout, theme, &mut target)?;
        self.draw_verdict(&layout, theme, &mut target)?;
        self.draw_footer(&layout, theme, &mut target)
    }

    fn draw_header<D: DrawTarget<Color = Rgb888>>(
        &self,
        layout: &Layout,
        theme: &Theme,
        target: &mut D,
    ) -> Result<(), D::Error> {
        target.fill_solid(&layout.header, theme.band)?;
        let lettering = Lettering::label(layout.unit);
        let side = 10 * layout.unit;
        let middle = |height: u32| (layout.header.size.height.saturating_sub(height) / 2).cast_signed();
        let mut words = Words::<24>::new();
        let colour = match self.link {
            LinkState::Waiting => words.put(format_args!("WAITING"), theme.quiet_text),
            LinkState::Connected => words.put(format_args!("CONNECTED"), theme.good),
            LinkState::Receiving { percent } => words.put(format_args!("RECEIVING {percent} %"), theme.busy),
            LinkState::Lost => words.put(format_args!("LINK LOST"), theme.bad),
        };
        let corner = layout.header.top_left + Point::new(layout.margin, middle(side));
        link_symbol(Rectangle::new(corner, Size::new_equal(side)), self.link, colour, target)?;
        let beside = 2 * layout.margin + side.cast_signed();
        let corner = layout.header.top_left + Point::new(beside, middle(lettering.cell().height));
        draw_line(words.as_str(), corner, lettering, colour, target)?;
        self.draw_count(layout, theme, target)
    }

    fn draw_count<D: DrawTarget<Color = Rgb888>>(
        &self,
        layout: &Layout,
        theme: &Theme,
        target: &mut D,
    ) -> Result<(), D::Error> {
        let lettering = Lettering::small(layout.unit);
        let mut words = Words::<32>::new();
        let noun = if self.n_frames == 1 { "frame" } else { "frames" };
        words.put(format_args!("{} {noun}", self.n_frames), theme.text);
        let right =
            layout.header.size.width.cast_signed() - layout.margin - lettering.width(words.as_str()).cast_signed();
        let down = (layout.header.size.height.saturating_sub(lettering.cell().height) / 2).cast_signed();
        let corner = layout.header.top_left + Point::new(right, down);
        draw_line(words.as_str(), corner, lettering, theme.quiet_text, target)
    }

    fn draw_image<D: DrawTarget<Color = Rgb888>>(
        &self,
        layout: &Layout,
        theme: &Theme,
        target: &mut D,
    ) -> Result<(), D::Error> {
        let frame = layout.image;
        let edge = layout.unit.cast_signed();
        target.fill_solid(&frame, theme.trough)?;
        let inner = Rectangle::new(
            frame.top_left + Point::new_equal(edge),
            frame.size.saturating_sub(Size::new_equal(2 * layout.unit)),
        );
        target.fill_solid(&inner, theme.background)?;
        if let Some(picture) = &self.picture {
            return draw_picture(picture, inner, target);
        }
        let lettering = Lettering::small(layout.unit);
        let words = if self.verdict == Verdict::None { "no image yet" } else { "no picture" };
        let size = Size::new(lettering.width(words), lettering.cell().height);
        let corner = inner.top_left + inner.size.saturating_sub(size) / 2;
        draw_line(words, corner, lettering, theme.quiet_text, target)
    }

    fn draw_verdict<D: DrawTarget<Color = Rgb888>>(
        &self,
        layout: &Layout,
        theme: &Theme,
        target: &mut D,
    ) -> Result<(), D::Error> {
        let mut column = Column { area: layout.verdict, gap: 4 * layout.unit };
        if self.is_stale && !matches!(self.verdict, Verdict::None | Verdict::Working) {
            stale_mark(&mut column, layout, theme, target)?;
        }
        let (large, small) = (Lettering::large(layout.unit), Lettering::small(layout.unit));
        match self.verdict {
            Verdict::None => column.write("READY", large, 1, theme.text, target)?,
            Verdict::Working => column.write("READING ...", large, 1, theme.busy, target)?,
            Verdict::Class { name, confidence_of_10000 } => {
                column.write("RESULT", small, 1, theme.quiet_text, target)?;
                column.write(name, large, 3, theme.text, target)?;
                self.draw_confidence(&mut column, large, confidence_of_10000, theme.good, theme, target)?;
            }
            Verdict::CannotSay { reason, best } => {
                column.write("RESULT", small, 1, theme.quiet_text, target)?;
                column.write("CANNOT SAY", large, 2, theme.caution, target)?;
                column.write(reason, small, 4, theme.text, target)?;
                if let Some((name, confidence_of_10000)) = best {
                    let mut words = Words::<96>::new();
                    words.put(format_args!("nearest: {name}"), theme.text);
                    column.write(words.as_str(), small, 2, theme.quiet_text, target)?;
                    let label = Lettering::label(layout.unit);
                    self.draw_confidence(&mut column, label, confidence_of_10000, theme.caution, theme, target)?;
                }
            }
        }
        Ok(())
    }

    fn draw_confidence<D: DrawTarget<Color = Rgb888>>(
        &self,
        column: &mut Column,
        lettering: Lettering,
        confidence_of_10000: u16,
        colour: Rgb888,
        theme: &Theme,
        target: &mut D,
    ) -> Result<(), D::Error> {
        let bar = column.take(3 * column.gap);
        confidence_bar(bar, confidence_of_10000, self.threshold_of_10000, [colour, theme.trough, theme.text], target)?;
        // Rounded down like the bar: 100 % is said of certainty only.
        let mut words = Words::<16>::new();
        words.put(format_args!("{}.{} %", confidence_of_10000 / 100, confidence_of_10000 / 10 % 10), colour);
        column.write(words.as_str(), lettering, 1, colour, target)
    }

    fn draw_footer<D: DrawTarget<Color = Rgb888>>(
        &self,
        layout: &Layout,
        theme: &Theme,
        target: &mut D,
    ) -> Result<(), D::Error> {
        target.fill_solid(&layout.footer, theme.band)?;
        let ModelLabel { name, version, digest } = self.model;
        let digest = digest.get(..8).unwrap_or(digest);
        let mut words = Words::<96>::new();
        words.put(format_args!("{digest}"), theme.quiet_text);
        let lettering = Lettering::small(layout.unit);
        let down = (layout.footer.size.height.saturating_sub(lettering.cell().height) / 2).cast_signed();
        let right =
            layout.footer.size.width.cast_signed() - layout.margin - lettering.width(words.as_str()).cast_signed();
        draw_line(
            words.as_str(),
            layout.footer.top_left + Point::new(right, down),
            lettering,
            theme.quiet_text,
            target,
        )?;
        words.put(format_args!("{name} {version}"), theme.text);
        let corner = layout.footer.top_left + Point::new(layout.margin, down);
        let room = Size::new((right - 2 * layout.margin).max(0).cast_unsigned(), lettering.cell().height);
        draw_wrapped(words.as_str(), Rectangle::new(corner, room), lettering, theme.text, target).map(drop)
    }
}

/// A filled banner: a result that nobody looked at in time must not be taken for a new one.
fn stale_mark<D: DrawTarget<Color = Rgb888>>(
    column: &mut Column,
    layout: &Layout,
    theme: &Theme,
    target: &mut D,
) -> Result<(), D::Error> {
    let lettering = Lettering::label(layout.unit);
    let banner = column.take(lettering.cell().height + 4 * layout.unit);
    target.fill_solid(&banner, theme.caution)?;
    let inset = Point::new_equal((2 * layout.unit).cast_signed());
    draw_line("OLD RESULT", banner.top_left + inset, lettering, theme.background, target)
}

/// Where things go.
struct Layout {
    /// Target pixels per unit of design; the design is for 320 x 240.
    unit: u32,
    margin: i32,
    header: Rectangle,
    image: Rectangle,
    verdict: Rectangle,
    footer: Rectangle,
}

impl Layout {
    fn new(all: Rectangle) -> Self {
        let Size { width, height } = all.size;
        let (short, long) = (width.min(height), width.max(height));
        let unit = (short / 240).min(long / 320).max(1);
        let (header_px, footer_px, gap) = (22 * unit, 16 * unit, 6 * unit);
        let body_px = height.saturating_sub(header_px + footer_px + 2 * gap);
        let top = (header_px + gap).cast_signed();
        let margin = gap.cast_signed();
        let row = |y: u32, height: u32| {
            Rectangle::new(all.top_left + Point::new(0, y.cast_signed()), Size::new(width, height))
        };
        let inner = width.saturating_sub(2 * gap);
        let (image, verdict) = if width >= height {
            let side = body_px.min(inner.saturating_sub(gap) / 2);
            let down = (body_px.saturating_sub(side) / 2).cast_signed();
            let right = margin + (side + gap).cast_signed();
            let room = Size::new(inner.saturating_sub(side + gap), body_px);
            (
                Rectangle::new(all.top_left + Point::new(margin, top + down), Size::new_equal(side)),
                Rectangle::new(all.top_left + Point::new(right, top + down), room),
            )
        } else {
            let side = inner.min(body_px.saturating_sub(gap) / 2);
            let room = Size::new(inner, body_px.saturating_sub(side + gap));
            let middle = margin + (inner.saturating_sub(side) / 2).cast_signed();
            (
                Rectangle::new(all.top_left + Point::new(middle, top), Size::new_equal(side)),
                Rectangle::new(all.top_left + Point::new(margin, top + (side + gap).cast_signed()), room),
            )
        };
        let footer = row(height.saturating_sub(footer_px), footer_px);
        Self { unit, margin, header: row(0, header_px), image, verdict, footer }
    }
}

/// Fills an area from the top.
struct Column {
    area: Rectangle,
    gap: u32,
}

impl Column {
    /// The next `height` pixels, or what is left of them.
    fn take(&mut self, height: u32) -> Rectangle {
        let taken =
            Rectangle::new(self.area.top_left, Size::new(self.area.size.width, height.min(self.area.size.height)));
        let step = (height + self.gap).min(self.area.size.height);
        self.area.top_left.y += step.cast_signed();
        self.area.size.height -= step;
        taken
    }

    fn write<D: DrawTarget<Color = Rgb888>>(
        &mut self,
        text: &str,
        lettering: Lettering,
        n_lines: u32,
        colour: Rgb888,
        target: &mut D,
    ) -> Result<(), D::Error> {
        let room = Size::new(self.area.size.width, self.area.size.height.min(n_lines * lettering.cell().height));
        let used = draw_wrapped(text, Rectangle::new(self.area.top_left, room), lettering, colour, target)?;
        self.take(used);
        Ok(())
    }
}

/// A short formatted text without an allocator; what does not fit is cut between letters.
struct Words<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Words<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Replaces the text; hands `with` through, so that a word and its colour are chosen in one place.
    fn put<T>(&mut self, text: fmt::Arguments<'_>, with: T) -> T {
        self.len = 0;
        // A text that is too long is cut; nothing else can fail.
        let _cut = self.write_fmt(text);
        with
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl<const N: usize> Write for Words<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let end = self.len + letter.len_utf8();
            let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
            letter.encode_utf8(room);
            self.len = end;
        }
        Ok(())
    }
}

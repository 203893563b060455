//! What a page consists of before anything is painted.
//!
//! A page says where each thing goes; a [`Sheet`] takes it down. One paints it, one only measures, and the tests' one
//! looks for texts that are cut, overlap or lack contrast. So what is checked is what is painted.

use crate::{
    language::{Language, Texts},
    layout::Scale,
    text::{ELLIPSIS, Lettering, draw_line},
    theme::Theme,
    widget::{HeatMap, Pattern, Picture, Symbol, draw_hatched, draw_picture, draw_ramp, draw_symbol},
};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// Who chose the words: ours are never cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    Us,
    Others,
}

/// One line of text where it is to stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextLine<'a> {
    pub(crate) text: &'a str,
    /// Whether an ellipsis follows.
    pub(crate) is_cut: bool,
    /// Whether it ends within a word.
    pub(crate) is_broken: bool,
    pub(crate) author: Author,
    pub(crate) corner: Point,
    pub(crate) lettering: Lettering,
    pub(crate) colour: Rgb888,
}

impl TextLine<'_> {
    /// What the letters cover, the ellipsis included.
    pub(crate) fn area(&self) -> Rectangle {
        let mut size = self.lettering.size(self.text);
        if self.is_cut {
            size.width += self.lettering.width(ELLIPSIS);
        }
        Rectangle::new(self.corner, size)
    }
}

/// Takes down what a page consists of, in painting order.
pub(crate) trait Sheet {
    fn fill(&mut self, area: Rectangle, colour: Rgb888);
    fn hatch(&mut self, area: Rectangle, pattern: Pattern, colour: Rgb888);
    fn text(&mut self, line: TextLine<'_>);
    /// `colours` are the symbol's and what is behind it.
    fn symbol(&mut self, area: Rectangle, symbol: Symbol, colours: [Rgb888; 2]);
    fn picture(&mut self, area: Rectangle, picture: &Picture<'_>, heat_map: Option<&HeatMap<'_>>);
    fn ramp(&mut self, area: Rectangle);
    /// Says that a text of ours found no room.
    fn left_out(&mut self, text: &str);
}

/// Everything a layout depends on but what it shows.
pub(crate) struct Look<'a> {
    pub(crate) theme: &'a Theme,
    pub(crate) language: Language,
    pub(crate) texts: &'static Texts,
    pub(crate) scale: Scale,
    /// How many steps the scale is below what the screen's size asks for.
    pub(crate) steps: u32,
}

impl<'a> Look<'a> {
    /// The most steps down from the lettering that a screen's size asks for.
    pub(crate) const MAX_STEPS: u32 = 3;

    fn new(theme: &'a Theme, language: Language, size: Size, steps: u32) -> Self {
        Self { theme, language, texts: language.texts(), scale: Scale::new(size, steps), steps }
    }

    /// The largest lettering in which all that `page` has to say in our words finds room.
    ///
    /// Bitmap fonts grow by leaps, and on a screen just above one a full page may not fit.
    pub(crate) fn fitting(page: &dyn Page, theme: &'a Theme, language: Language, all: Rectangle) -> Self {
        let mut look = Self::new(theme, language, all.size, 0);
        while look.steps < Self::MAX_STEPS {
            let mut trial = Trial { is_whole: true };
            page.lay_out(all, &look, &mut trial);
            if trial.is_whole {
                break;
            }
            look = Self::new(theme, language, all.size, look.steps + 1);
        }
        look
    }
}

/// Something that covers a whole screen.
pub(crate) trait Page {
    fn lay_out(&self, all: Rectangle, look: &Look<'_>, sheet: &mut dyn Sheet);
}

/// Paints `page` over all of `target`.
pub(crate) fn paint<D>(page: &dyn Page, theme: &Theme, language: Language, target: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget,
    Rgb888: Into<D::Color>,
{
    let all = target.bounding_box();
    let look = Look::fitting(page, theme, language, all);
    let mut painter = Painter { target: &mut target.color_converted::<Rgb888>(), outcome: Ok(()) };
    page.lay_out(all, &look, &mut painter);
    painter.outcome
}

/// A sheet for finding out how much room something takes.
pub(crate) struct Blank;

impl Sheet for Blank {
    fn fill(&mut self, _: Rectangle, _: Rgb888) {}
    fn hatch(&mut self, _: Rectangle, _: Pattern, _: Rgb888) {}
    fn text(&mut self, _: TextLine<'_>) {}
    fn symbol(&mut self, _: Rectangle, _: Symbol, _: [Rgb888; 2]) {}
    fn picture(&mut self, _: Rectangle, _: &Picture<'_>, _: Option<&HeatMap<'_>>) {}
    fn ramp(&mut self, _: Rectangle) {}
    fn left_out(&mut self, _: &str) {}
}

/// A sheet for finding out whether our words find room.
struct Trial {
    is_whole: bool,
}

impl Sheet for Trial {
    fn fill(&mut self, _: Rectangle, _: Rgb888) {}
    fn hatch(&mut self, _: Rectangle, _: Pattern, _: Rgb888) {}
    fn text(&mut self, line: TextLine<'_>) {
        self.is_whole &= line.author == Author::Others || !(line.is_cut || line.is_broken);
    }
    fn symbol(&mut self, _: Rectangle, _: Symbol, _: [Rgb888; 2]) {}
    fn picture(&mut self, _: Rectangle, _: &Picture<'_>, _: Option<&HeatMap<'_>>) {}
    fn ramp(&mut self, _: Rectangle) {}
    fn left_out(&mut self, _: &str) {
        self.is_whole = false;
    }
}

/// A sheet that is a display. After the target's first error nothing more is painted.
struct Painter<'a, D: DrawTarget> {
    target: &'a mut D,
    outcome: Result<(), D::Error>,
}

impl<D: DrawTarget> Painter<'_, D> {
    fn paint(&mut self, something: impl FnOnce(&mut D) -> Result<(), D::Error>) {
        if self.outcome.is_ok() {
            self.outcome = something(self.target);
        }
    }
}

impl<D: DrawTarget<Color = Rgb888>> Sheet for Painter<'_, D> {
    fn fill(&mut self, area: Rectangle, colour: Rgb888) {
        self.paint(|target| target.fill_solid(&area, colour));
    }

    fn hatch(&mut self, area: Rectangle, pattern: Pattern, colour: Rgb888) {
        self.paint(|target| draw_hatched(area, pattern, colour, target));
    }

    fn text(&mut self, line: TextLine<'_>) {
        let TextLine { text, corner, lettering, colour, .. } = line;
        self.paint(|target| draw_line(text, corner, lettering, colour, target));
        if line.is_cut {
            let after = corner + Point::new(lettering.width(text).cast_signed(), 0);
            self.paint(|target| draw_line(ELLIPSIS, after, lettering, colour, target));
        }
    }

    fn symbol(&mut self, area: Rectangle, symbol: Symbol, colours: [Rgb888; 2]) {
        self.paint(|target| draw_symbol(area, symbol, colours, target));
    }

    fn picture(&mut self, area: Rectangle, picture: &Picture<'_>, heat_map: Option<&HeatMap<'_>>) {
        self.paint(|target| draw_picture(picture, heat_map, area, target));
    }

    fn ramp(&mut self, area: Rectangle) {
        self.paint(|target| draw_ramp(area, target));
    }

    fn left_out(&mut self, _: &str) {}
}

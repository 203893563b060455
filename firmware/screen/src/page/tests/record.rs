//! A sheet that remembers, and what is wrong with it.

use super::std::{format, string::String, vec, vec::Vec};
use crate::{
    HeatMap, Language, Picture, Theme,
    sheet::{Author, Look, Page, Sheet, TextLine},
    text::Lettering,
    theme::contrast,
    widget::{Pattern, Symbol},
};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

#[derive(Debug)]
struct Written {
    text: String,
    area: Rectangle,
    author: Author,
    is_cut: bool,
    is_broken: bool,
    colour: Rgb888,
    paper: Rgb888,
}

/// Something that no text may touch.
#[derive(Debug)]
struct Drawn {
    #[expect(dead_code, reason = "a failing test prints it")]
    what: String,
    area: Rectangle,
}

#[derive(Debug)]
pub(super) struct Record {
    all: Rectangle,
    texts: Vec<Written>,
    drawn: Vec<Drawn>,
    fills: Vec<(Rectangle, Rgb888)>,
    faults: Vec<String>,
    /// How many steps the lettering is below what the size asks for.
    pub(super) steps: u32,
}

impl Record {
    pub(super) fn of(page: &dyn Page, theme: &Theme, language: Language, size: Size) -> Self {
        let all = Rectangle::new(Point::zero(), size);
        let mut record = Self { all, texts: vec![], drawn: vec![], fills: vec![], faults: vec![], steps: 0 };
        let look = Look::fitting(page, theme, language, all);
        page.lay_out(all, &look, &mut record);
        record.steps = look.steps;
        record
    }

    /// One of each fault.
    pub(super) fn broken() -> Self {
        let all = Rectangle::new(Point::zero(), Size::new(100, 100));
        let mut record = Self { all, texts: vec![], drawn: vec![], fills: vec![], faults: vec![], steps: 0 };
        record.fill(all, Rgb888::BLACK);
        let line = |text, x, colour| TextLine {
            text,
            is_cut: true,
            is_broken: true,
            author: Author::Us,
            corner: Point::new(x, 0),
            lettering: Lettering::note(240),
            colour,
        };
        record.text(line("one", 0, Rgb888::new(40, 40, 40)));
        record.text(line("two", 10, Rgb888::WHITE));
        record.text(line("three", 90, Rgb888::WHITE));
        record.left_out("four");
        record
    }

    /// All texts, a line each, in painting order.
    pub(super) fn words(&self) -> String {
        self.texts.iter().map(|written| format!("{}\n", written.text.replace('\u{A0}', " "))).collect()
    }

    /// The colour behind `area`, which must be one.
    fn paper(&mut self, what: &str, area: Rectangle) -> Rgb888 {
        let overlapping = self.fills.iter().rev().find(|(fill, _)| overlaps(*fill, area));
        match overlapping {
            Some((fill, colour)) if is_within(area, *fill) => *colour,
            other => {
                self.faults.push(format!("{what} at {area:?} overlaps the edge of {other:?}"));
                Rgb888::BLACK
            }
        }
    }

    fn draw(&mut self, what: String, area: Rectangle) {
        if !is_within(area, self.all) {
            self.faults.push(format!("{what} at {area:?} leaves the screen"));
        }
        for other in self.drawn.iter().filter(|other| overlaps(other.area, area)) {
            self.faults.push(format!("{what} at {area:?} overlaps {other:?}"));
        }
        self.drawn.push(Drawn { what, area });
    }
}

impl Sheet for Record {
    fn fill(&mut self, area: Rectangle, colour: Rgb888) {
        if !is_within(area, self.all) {
            self.faults.push(format!("fill at {area:?} leaves the screen"));
        }
        for written in self.texts.iter().filter(|written| overlaps(written.area, area)) {
            self.faults.push(format!("a fill at {area:?} overlaps {written:?}"));
        }
        self.fills.push((area, colour));
    }

    fn hatch(&mut self, area: Rectangle, pattern: Pattern, _: Rgb888) {
        self.draw(format!("{pattern:?}"), area);
    }

    fn text(&mut self, line: TextLine<'_>) {
        let TextLine { text, is_cut, is_broken, author, colour, .. } = line;
        let area = line.area();
        let paper = self.paper(text, area);
        self.texts.push(Written { text: text.into(), area, author, is_cut, is_broken, colour, paper });
    }

    fn symbol(&mut self, area: Rectangle, symbol: Symbol, [ink, paper]: [Rgb888; 2]) {
        let behind = self.paper("symbol", area);
        if behind != paper || contrast(ink, behind) < 3.0 {
            self.faults.push(format!("{symbol:?} has a contrast of {} on {behind:?}", contrast(ink, behind)));
        }
        self.draw(format!("{symbol:?}"), area);
    }

    fn picture(&mut self, area: Rectangle, _: &Picture<'_>, _: Option<&HeatMap<'_>>) {
        self.draw("picture".into(), area);
        if area.size.width * 7 < self.all.size.width.min(self.all.size.height) {
            self.faults.push(format!("the picture at {area:?} is too small"));
        }
    }

    fn ramp(&mut self, area: Rectangle) {
        self.draw("ramp".into(), area);
    }

    fn left_out(&mut self, text: &str) {
        self.faults.push(format!("{text:?} found no room"));
    }
}

/// Everything wrong with a page.
///
/// Contrast: WCAG 2.1, success criteria 1.4.3 for text and 1.4.11 for symbols.
pub(super) fn faults(record: &Record) -> Vec<String> {
    let mut found = record.faults.clone();
    for (index, written) in record.texts.iter().enumerate() {
        let Written { text, area, author, is_cut, is_broken, colour, paper } = written;
        if !is_within(*area, record.all) {
            found.push(format!("{text:?} at {area:?} leaves the screen"));
        }
        if *author == Author::Us && *is_cut {
            found.push(format!("{text:?} is cut"));
        }
        if *author == Author::Us && *is_broken {
            found.push(format!("{text:?} breaks a word"));
        }
        if contrast(*colour, *paper) < 4.5 {
            found.push(format!("{text:?} has a contrast of {} on {paper:?}", contrast(*colour, *paper)));
        }
        for other in record.texts.iter().skip(index + 1).filter(|other| overlaps(other.area, *area)) {
            found.push(format!("{text:?} at {area:?} overlaps {other:?}"));
        }
        for other in record.drawn.iter().filter(|other| overlaps(other.area, *area)) {
            found.push(format!("{text:?} at {area:?} overlaps {other:?}"));
        }
    }
    found
}

fn overlaps(a: Rectangle, b: Rectangle) -> bool {
    !a.intersection(&b).is_zero_sized()
}

fn is_within(inner: Rectangle, outer: Rectangle) -> bool {
    inner.is_zero_sized() || inner.intersection(&outer) == inner
}

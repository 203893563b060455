extern crate std;

use super::*;
use crate::{
    sheet::Sheet,
    text::{Lettering, break_line, draw_line, fitted},
};
use embedded_graphics::{
    mock_display::MockDisplay,
    pixelcolor::{BinaryColor, Rgb888},
    prelude::*,
    primitives::Rectangle,
};
use std::vec::Vec;

/// A sheet with nothing but fills.
struct Fills(MockDisplay<Rgb888>);

impl Sheet for Fills {
    fn fill(&mut self, area: Rectangle, colour: Rgb888) {
        let Ok(()) = self.0.fill_solid(&area, colour);
    }
    fn hatch(&mut self, _: Rectangle, _: Pattern, _: Rgb888) {}
    fn text(&mut self, _: crate::sheet::TextLine<'_>) {}
    fn symbol(&mut self, _: Rectangle, _: Symbol, _: [Rgb888; 2]) {}
    fn picture(&mut self, _: Rectangle, _: &Picture<'_>, _: Option<&HeatMap<'_>>) {}
    fn ramp(&mut self, _: Rectangle) {}
    fn left_out(&mut self, _: &str) {}
}

fn bar(area: Rectangle, share: u16, threshold: Option<u16>) -> MockDisplay<Rgb888> {
    let mut fills = Fills(MockDisplay::new());
    fills.0.set_allow_overdraw(true);
    confidence_bar(area, share, threshold, [Rgb888::GREEN, Rgb888::BLACK, Rgb888::WHITE], &mut fills);
    fills.0
}

#[test]
fn half_confidence_fills_half_the_bar_and_the_threshold_is_ticked() {
    bar(Rectangle::new(Point::new(1, 1), Size::new(8, 2)), 5_000, Some(7_500)).assert_pattern(&[
        "         ", //
        " GGGGKKWK",
        " GGGGKKWK",
    ]);
}

#[test]
fn only_certainty_fills_the_bar() {
    for (share, filled) in [(9_999, 7), (10_000, 8), (u16::MAX, 8)] {
        let display = bar(Rectangle::new(Point::zero(), Size::new(8, 1)), share, None);
        let lit = (0..8).filter(|&x| display.get_pixel(Point::new(x, 0)) == Some(Rgb888::GREEN)).count();
        assert_eq!(lit, filled, "{share}");
    }
}

fn symbol(symbol: Symbol, side: u32) -> MockDisplay<BinaryColor> {
    let mut display = MockDisplay::new();
    display.set_allow_overdraw(true);
    let area = Rectangle::new(Point::zero(), Size::new_equal(side));
    draw_symbol(area, symbol, [BinaryColor::On, BinaryColor::Off], &mut display).unwrap();
    display
}

#[test]
fn every_state_of_a_link_has_a_shape_of_its_own() {
    symbol(Symbol::Cross, 5).assert_pattern(&["#   #", " # # ", "  #  ", " # # ", "#   #"]);
    symbol(Symbol::Ring, 5).assert_pattern(&[" ### ", "## ##", "#   #", "## ##", " ### "]);
    symbol(Symbol::Disc, 5).assert_pattern(&[" ### ", "#####", "#####", "#####", " ### "]);
    symbol(Symbol::Arrow, 5).assert_pattern(&["#####", "#####", " ### ", " ### ", "  #  "]);
}

#[test]
fn decisions_and_alarms_have_shapes_of_their_own() {
    symbol(Symbol::Tick, 11).assert_pattern(&[
        "        #  ", //
        "       ### ",
        "      #### ",
        "      #### ",
        "     ####  ",
        "  # ####   ",
        " #######   ",
        " ######    ",
        "  #####    ",
        "   ###     ",
        "           ",
    ]);
    symbol(Symbol::Diamond, 11).assert_pattern(&[
        "     #     ", //
        "    ###    ",
        "   #####   ",
        "  #######  ",
        " ######### ",
        "###########",
        " ######### ",
        "  #######  ",
        "   #####   ",
        "    ###    ",
        "     #     ",
    ]);
    symbol(Symbol::Alarm, 11).assert_pattern(&[
        "###########", //
        "###########",
        "####...####",
        "####...####",
        "####...####",
        "####...####",
        "###########",
        "####...####",
        "####...####",
        "###########",
        "###########",
    ]);
    symbol(Symbol::Warning, 11).assert_pattern(&[
        "     #     ", //
        "     #     ",
        "    ###    ",
        "    ###    ",
        "   ##.##   ",
        "   ##.##   ",
        "  ###.###  ",
        "  #######  ",
        " ####.#### ",
        " ######### ",
        "###########",
    ]);
    symbol(Symbol::Notice, 11).assert_pattern(&[
        "   #####   ", //
        "  ##...##  ",
        " ###...### ",
        "###########",
        "####...####",
        "####...####",
        "####...####",
        "####...####",
        " ###...### ",
        "  #######  ",
        "   #####   ",
    ]);
}

#[test]
fn no_two_symbols_look_alike_at_the_smallest_size() {
    let all = [
        Symbol::Disc,
        Symbol::Ring,
        Symbol::Arrow,
        Symbol::Cross,
        Symbol::Tick,
        Symbol::Diamond,
        Symbol::Alarm,
        Symbol::Warning,
        Symbol::Notice,
    ];
    let pixels = |of| {
        let display = symbol(of, 11);
        let area = Rectangle::new(Point::zero(), Size::new_equal(11));
        area.points().map(|point| display.get_pixel(point) == Some(BinaryColor::On)).collect::<Vec<_>>()
    };
    for (index, a) in all.into_iter().enumerate() {
        for b in all.into_iter().skip(index + 1) {
            let n_differing = pixels(a).iter().zip(pixels(b)).filter(|(a, b)| *a != b).count();
            assert!(n_differing >= 12, "{a:?} and {b:?} differ in {n_differing} pixels");
        }
    }
}

#[test]
fn patterns_differ_without_colour() {
    let hatched = |pattern| {
        let mut display = MockDisplay::new();
        let area = Rectangle::new(Point::zero(), Size::new(8, 4));
        draw_hatched(area, pattern, BinaryColor::On, &mut display).unwrap();
        display
    };
    hatched(Pattern::Solid).assert_pattern(&["########", "########", "########", "########"]);
    hatched(Pattern::Stripes).assert_pattern(&["##  ##  ", "#  ##  #", "  ##  ##", " ##  ## "]);
    hatched(Pattern::Dots).assert_pattern(&["##  ##  ", "##  ##  ", "        ", "        "]);
}

fn pictured(picture: &Picture<'_>, map: Option<&HeatMap<'_>>, side: u32) -> MockDisplay<Rgb888> {
    let mut display = MockDisplay::new();
    draw_picture(picture, map, Rectangle::new(Point::zero(), Size::new_equal(side)), &mut display).unwrap();
    display
}

#[test]
fn a_wide_picture_sits_in_the_middle_and_small_ones_grow() {
    let picture = Picture::new(2, 1, Samples::Grey(&[0, 255])).unwrap();
    pictured(&picture, None, 4).assert_pattern(&["    ", "KKWW", "KKWW", "    "]);
}

#[test]
fn shrinking_averages() {
    let picture = Picture::new(2, 2, Samples::Rgb(&[255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0])).unwrap();
    pictured(&picture, None, 1).assert_pattern(&["R"]);
}

#[test]
fn a_picture_of_the_wrong_length_is_none() {
    assert!(Picture::new(2, 2, Samples::Grey(&[0; 3])).is_none());
    assert!(Picture::new(0, 2, Samples::Grey(&[])).is_none());
}

#[test]
fn a_heat_map_of_the_wrong_length_is_none() {
    assert!(HeatMap::new(2, 2, &[0; 3]).is_none());
    assert!(HeatMap::new(0, 2, &[]).is_none());
    assert!(HeatMap::new(u32::MAX, u32::MAX, &[0]).is_none());
}

#[test]
fn no_relevance_leaves_the_picture_as_it_is() {
    let picture = Picture::new(2, 2, Samples::Grey(&[0, 80, 160, 255])).unwrap();
    let map = HeatMap::new(3, 3, &[0; 9]).unwrap();
    pictured(&picture, Some(&map), 8).assert_eq(&pictured(&picture, None, 8));
}

#[test]
fn half_the_highest_relevance_is_outlined_in_white_within_black() {
    let grey = [128; 64];
    let picture = Picture::new(8, 8, Samples::Grey(&grey)).unwrap();
    let map = HeatMap::new(2, 1, &[0, 255]).unwrap();
    let display = pictured(&picture, Some(&map), 8);
    let at = |x| display.get_pixel(Point::new(x, 4)).unwrap();
    assert_eq!((at(3), at(4)), (Rgb888::BLACK, Rgb888::WHITE));
    // Cold cells keep the image's grey; hot ones are yellow, with the image still to be seen.
    assert_eq!(at(0), Rgb888::new(128, 128, 128));
    assert_eq!(at(7), Rgb888::new(189, 183, 94));
}

#[test]
fn a_map_of_the_middle_lies_over_the_middle() {
    let grey = [128; 64];
    let picture = Picture::new(16, 4, Samples::Grey(&grey)).unwrap();
    // The model saw the middle half: 4 pixels at each side were cut off.
    let map = HeatMap::new(2, 1, &[0, 255]).unwrap().over_part([0.25, 0.0, 0.5, 1.0]).unwrap();
    let display = pictured(&picture, Some(&map), 16);
    let at = |x| display.get_pixel(Point::new(x, 7)).unwrap();
    assert_eq!((at(7), at(8)), (Rgb888::BLACK, Rgb888::WHITE));
    assert_eq!(at(11), Rgb888::new(189, 183, 94));
    for x in [0, 3, 12, 15] {
        assert_eq!(at(x), Rgb888::new(128, 128, 128), "{x} was not seen");
    }
}

#[test]
fn a_part_that_is_no_part_of_the_image_is_none() {
    let map = HeatMap::new(1, 1, &[255]).unwrap();
    for part in [[0.0, 0.0, 0.0, 1.0], [0.5, 0.0, 0.6, 1.0], [-0.1, 0.0, 1.0, 1.0], [0.0, f32::NAN, 1.0, 1.0]] {
        assert!(map.over_part(part).is_none(), "{part:?}");
    }
    // Shares of thirds do not sum up to one exactly.
    assert!(map.over_part([1.0 / 3.0, 0.0, 2.0 / 3.0, 1.000_001]).is_some());
}

#[test]
fn lines_break_between_words_and_long_words_inside() {
    assert_eq!(break_line("not sure enough", 10), ("not sure", "enough"));
    assert_eq!(break_line("not sure enough", 8), ("not sure", "enough"));
    assert_eq!(break_line("adenocarcinoma", 5), ("adeno", "carcinoma"));
    assert_eq!(break_line("short", 10), ("short", ""));
}

#[test]
fn what_does_not_fit_makes_room_for_an_ellipsis() {
    assert_eq!(fitted("a long reason", 13), ("a long reason", false));
    assert_eq!(fitted("a long reason", 10), ("a long", true));
    assert_eq!(fitted("größere", 6), ("grö", true));
}

fn lettered(text: &str, lettering: Lettering) -> MockDisplay<BinaryColor> {
    let mut display = MockDisplay::new();
    display.set_allow_overdraw(true);
    draw_line(text, Point::zero(), lettering, BinaryColor::On, &mut display).unwrap();
    display
}

#[test]
fn letters_double() {
    let (once, twice) = (lettered("i", Lettering::note(240)), lettered("i", Lettering::note(480)));
    for point in Rectangle::new(Point::zero(), Size::new(12, 26)).points() {
        assert_eq!(twice.get_pixel(point), once.get_pixel(point / 2), "{point}");
    }
}

#[test]
fn an_umlaut_has_its_dots_and_what_is_no_letter_leaves_the_line_straight() {
    lettered("Ü", Lettering::note(240)).assert_pattern(&[
        "     ", //
        " # # ", " # # ", "     ", "#   #", "#   #", "#   #", "#   #", "#   #", "#   #", " ### ",
    ]);
    lettered("a\nb", Lettering::note(240)).assert_eq(&lettered("a b", Lettering::note(240)));
    lettered("\u{201C}x\u{2013}", Lettering::note(240)).assert_eq(&lettered("\"x-", Lettering::note(240)));
    lettered("\u{4E2D}", Lettering::note(240)).assert_eq(&lettered("?", Lettering::note(240)));
}

/// The promise of the crate's documentation: capitals of at least 1/30, 1/25 and 1/20 of the shorter side.
#[test]
fn capitals_grow_with_the_screen() {
    for shorter_side in 1..=1600 {
        for (lettering, share) in [
            (Lettering::note(shorter_side), 30),
            (Lettering::label(shorter_side), 25),
            (Lettering::large(shorter_side), 20),
        ] {
            let cell = lettering.cell();
            // An H, one pixel in each square of the magnified font.
            let mut target = Rows { seen: Vec::new(), size: cell };
            draw_line("H", Point::zero(), lettering, BinaryColor::On, &mut target).unwrap();
            let (top, end) = (target.seen.iter().map(|rows| rows.0).min(), target.seen.iter().map(|rows| rows.1).max());
            let capital = (end.unwrap() - top.unwrap()).cast_unsigned();
            assert!(capital * share >= shorter_side, "{capital} px of {shorter_side}");
            assert!(
                capital * share <= shorter_side * 2 || capital <= 13,
                "{capital} px of {shorter_side} is too large"
            );
        }
    }
}

/// Notes the first row and the one after the last of everything filled.
struct Rows {
    seen: Vec<(i32, i32)>,
    size: Size,
}

impl OriginDimensions for Rows {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Rows {
    type Color = BinaryColor;
    type Error = core::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        self.seen.extend(pixels.into_iter().map(|Pixel(point, _)| (point.y, point.y + 1)));
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, _: BinaryColor) -> Result<(), Self::Error> {
        self.seen.push((area.top_left.y, area.top_left.y + area.size.height.cast_signed()));
        Ok(())
    }
}

use super::*;
use crate::{Lettering, LinkState, draw_line, draw_wrapped, text::break_line};
use embedded_graphics::{
    mock_display::MockDisplay,
    pixelcolor::{BinaryColor, Rgb888},
    prelude::*,
    primitives::Rectangle,
};

#[test]
fn half_confidence_fills_half_the_bar_and_the_threshold_is_ticked() {
    let mut display = MockDisplay::new();
    display.set_allow_overdraw(true);
    let area = Rectangle::new(Point::new(1, 1), Size::new(8, 2));
    let colours = [Rgb888::GREEN, Rgb888::BLACK, Rgb888::WHITE];
    confidence_bar(area, 5_000, Some(7_500), colours, &mut display).unwrap();
    display.assert_pattern(&[
        "         ", //
        " GGGGKKWK",
        " GGGGKKWK",
    ]);
}

#[test]
fn only_certainty_fills_the_bar() {
    for (share, filled) in [(9_999, 7), (10_000, 8), (u16::MAX, 8)] {
        let mut display = MockDisplay::<BinaryColor>::new();
        display.set_allow_overdraw(true);
        let colours = [BinaryColor::On, BinaryColor::Off, BinaryColor::Off];
        confidence_bar(Rectangle::new(Point::zero(), Size::new(8, 1)), share, None, colours, &mut display).unwrap();
        let lit = (0..8).filter(|&x| display.get_pixel(Point::new(x, 0)) == Some(BinaryColor::On)).count();
        assert_eq!(lit, filled, "{share}");
    }
}

fn symbol(state: LinkState) -> MockDisplay<BinaryColor> {
    let mut display = MockDisplay::new();
    display.set_allow_overdraw(true);
    link_symbol(Rectangle::new(Point::zero(), Size::new(5, 5)), state, BinaryColor::On, &mut display).unwrap();
    display
}

#[test]
fn every_state_of_the_link_has_a_shape_of_its_own() {
    symbol(LinkState::Lost).assert_pattern(&["#   #", " # # ", "  #  ", " # # ", "#   #"]);
    symbol(LinkState::Waiting).assert_pattern(&[" ### ", "## ##", "#   #", "## ##", " ### "]);
    symbol(LinkState::Connected).assert_pattern(&[" ### ", "#####", "#####", "#####", " ### "]);
    symbol(LinkState::Receiving { percent: 3 }).assert_pattern(&["#####", "#####", " ### ", " ### ", "  #  "]);
}

#[test]
fn a_wide_picture_sits_in_the_middle_and_small_ones_grow() {
    let picture = Picture::new(2, 1, Samples::Grey(&[0, 255])).unwrap();
    let mut display = MockDisplay::new();
    draw_picture(&picture, Rectangle::new(Point::zero(), Size::new(4, 4)), &mut display).unwrap();
    display.assert_pattern(&["    ", "KKWW", "KKWW", "    "]);
}

#[test]
fn shrinking_averages() {
    let picture = Picture::new(2, 2, Samples::Rgb(&[255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0])).unwrap();
    let mut display = MockDisplay::new();
    draw_picture(&picture, Rectangle::new(Point::zero(), Size::new(1, 1)), &mut display).unwrap();
    display.assert_pattern(&["R"]);
}

#[test]
fn a_picture_of_the_wrong_length_is_none() {
    assert!(Picture::new(2, 2, Samples::Grey(&[0; 3])).is_none());
    assert!(Picture::new(0, 2, Samples::Grey(&[])).is_none());
}

#[test]
fn lines_break_between_words_and_long_words_inside() {
    assert_eq!(break_line("not sure enough", 10), ("not sure", "enough"));
    assert_eq!(break_line("not sure enough", 8), ("not sure", "enough"));
    assert_eq!(break_line("adenocarcinoma", 5), ("adeno", "carcinoma"));
    assert_eq!(break_line("short", 10), ("short", ""));
}

#[test]
fn letters_double_and_what_does_not_fit_ends_in_dots() {
    let (mut once, mut twice) = (MockDisplay::<BinaryColor>::new(), MockDisplay::<BinaryColor>::new());
    draw_line("i", Point::zero(), Lettering::small(1), BinaryColor::On, &mut once).unwrap();
    draw_line("i", Point::zero(), Lettering::small(2), BinaryColor::On, &mut twice).unwrap();
    for point in Rectangle::new(Point::zero(), Size::new(12, 20)).points() {
        assert_eq!(twice.get_pixel(point), once.get_pixel(point / 2), "{point}");
    }
    let (mut cut, mut expected) = (MockDisplay::<BinaryColor>::new(), MockDisplay::<BinaryColor>::new());
    let area = Rectangle::new(Point::zero(), Size::new(60, 10));
    draw_wrapped("a long reason", area, Lettering::small(1), BinaryColor::On, &mut cut).unwrap();
    draw_line("a long...", Point::zero(), Lettering::small(1), BinaryColor::On, &mut expected).unwrap();
    cut.assert_eq(&expected);
}

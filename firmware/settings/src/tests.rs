use super::*;

const EXAMPLE: &str = include_str!("../../device/example.toml");

/// The example with every setting that it has commented out.
fn whole_example() -> String {
    let is_setting = |line: &str| line.starts_with('[') || line.split(' ').nth(1) == Some("=");
    let line = |line: &'static str| line.strip_prefix("# ").filter(|bare| is_setting(bare)).unwrap_or(line);
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_valid_and_has_every_section() {
    let config = Config::parse(EXAMPLE).unwrap();
    assert!(config.link.is_some() && config.openmv.is_some() && config.folder.is_some());
    assert!(config.models.is_some() && config.screen.is_some() && config.web.is_some());
}

#[test]
fn every_setting_of_the_example_is_explained() {
    let example = whole_example();
    let explained: Vec<String> =
        Config::parse(&example).unwrap().explain().into_iter().map(|line| line.setting).collect();
    let mut section = String::new();
    for line in example.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        }
        let Some((name, _)) = line.split_once(" = ") else { continue };
        // The size is said with the picture.
        if !["width", "height"].contains(&name) {
            assert!(explained.contains(&format!("{section}{name}")), "{section}{name} is not in {explained:?}");
        }
    }
}

#[test]
fn a_page_in_no_language_of_its_own_is_explained_as_the_browsers_wish() {
    let explained = |text: &str| {
        let lines = Config::parse(text).unwrap().explain();
        lines.into_iter().find(|line| line.setting == "web.language").unwrap().to_string()
    };
    let meaning = "of the pages, where nobody picked another there; none: as the browser wishes";
    assert_eq!(explained(EXAMPLE), format!("web.language = none: {meaning}"));
    assert_eq!(explained(&whole_example()), format!("web.language = english: {meaning}"));
}

#[test]
fn a_misspelt_setting_is_named() {
    let error = Config::parse(&EXAMPLE.replace("max_age_days =", "max_age =")).unwrap_err();
    let ConfigError::Parse(cause) = error else { panic!("{error}") };
    assert!(cause.to_string().contains("unknown field `max_age`"), "{cause}");
}

#[test]
fn an_impossible_value_is_refused_with_the_range() {
    let error = Config::parse(&EXAMPLE.replace("width = 800", "width = 12")).unwrap_err();
    assert_eq!(error.to_string(), "screen.width is 12, expected 320 to 4096");
}

#[test]
fn a_panel_fits_its_controller() {
    let with = |from: &str, to: &str| Config::parse(&whole_example().replace(from, to)).map(drop);
    let refused = |from: &str, to: &str| with(from, to).unwrap_err().to_string();
    with("rotation = 90", "rotation = 270").unwrap();
    with("controller = \"ili9341\"", "controller = \"ili9488\"").unwrap();
    let error = refused("rotation = 90", "rotation = 0");
    assert!(error.starts_with("screen.spi is 320 x 240 turned by 0 degrees, expected at most"), "{error}");
    assert_eq!(refused("rotation = 90", "rotation = 45"), "screen.spi.rotation is 45, expected 0, 90, 180 or 270");
    assert_eq!(refused("rotation = 90", "rotation = 360"), "screen.spi.rotation is 360, expected 0, 90, 180 or 270");
    assert_eq!(refused("megahertz = 32", "megahertz = 0"), "screen.spi.megahertz is 0, expected 1 to 125");
    assert_eq!(refused("height = 240", "height = 200"), "screen.spi.height is 200, expected 240 to 4096");
    assert_eq!(refused("width = 320", "width = 240"), "screen.spi.width is 240, expected 320 to 4096");
}

#[test]
fn a_panel_may_leave_out_what_is_usual() {
    let panel = "[screen.spi]\ndevice = 's'\ncontroller = 'st7796'\nwidth = 320\nheight = 480\ndata_command = 9";
    let parsed = Config::parse(&EXAMPLE.replace("# [screen.spi]", panel)).unwrap();
    let spi = parsed.screen.unwrap().spi.unwrap();
    assert_eq!((spi.rotation, spi.is_inverted, spi.is_bgr, spi.megahertz), (0, false, false, 32));
    assert_eq!((spi.gpio_chip.as_path(), spi.reset, spi.backlight), (Path::new("/dev/gpiochip0"), None, None));
}

#[test]
fn rates_that_a_line_cannot_have_are_refused() {
    let told = |others: &str| {
        let text = EXAMPLE.replace("other_bauds = [115200, 3000000]", &format!("other_bauds = {others}"));
        Config::parse(&text).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(told("[1, 2, 3, 4, 5, 6, 7]"), "");
    assert_eq!(
        told("[1, 2, 3, 4, 5, 6, 7, 8]"),
        "link.other_bauds is a list of 8 rates, expected at most 7: a line has 8 rates, and link.baud is one of them"
    );
    let each_once = "expected each rate once, and not the one of link.baud";
    assert_eq!(told("[9600, 9600]"), format!("link.other_bauds is [9600, 9600] beside 921600, {each_once}"));
    assert_eq!(told("[921600]"), format!("link.other_bauds is [921600] beside 921600, {each_once}"));
    assert!(
        told("[9600, 0]").starts_with("link.other_bauds is 0 among others, expected rates"),
        "{}",
        told("[9600, 0]")
    );
}

#[test]
fn every_rate_of_a_line_is_one_it_may_go_to() {
    let link = Config::parse(EXAMPLE).unwrap().link.unwrap();
    let rates = link.rates().unwrap();
    assert_eq!((rates.base(), rates.as_slice()), (921_600, &[115_200, 921_600, 3_000_000][..]));
}

#[test]
fn a_device_that_nothing_comes_to_is_refused() {
    let error = Config::parse("bundle = 'b'\ntrusted_keys = ['k']\n[journal]\nanswers = 'a'\naudit = 'b'").unwrap_err();
    assert!(matches!(error, ConfigError::NoSource), "{error}");
}

#[test]
fn relative_paths_start_at_the_file_and_absolute_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("device.toml");
    std::fs::write(&file, whole_example()).unwrap();
    let config = Config::open(&file).unwrap();
    assert_eq!(config.bundle, folder.path().join("bundle.remedis"));
    assert_eq!(config.link.unwrap().port, Path::new("/dev/ttyUSB0"));
    assert_eq!(config.screen.unwrap().spi.unwrap().device, Path::new("/dev/spidev0.0"));
}

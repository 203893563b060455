use super::*;

const EXAMPLE: &str = include_str!("../../device/example.toml");

#[test]
fn the_example_is_valid_and_has_every_section() {
    let config = Config::parse(EXAMPLE).unwrap();
    assert!(config.link.is_some() && config.openmv.is_some() && config.folder.is_some());
    assert!(config.models.is_some() && config.screen.is_some() && config.web.is_some());
}

#[test]
fn every_setting_of_the_example_is_explained() {
    let explained: Vec<String> =
        Config::parse(EXAMPLE).unwrap().explain().into_iter().map(|line| line.setting).collect();
    let mut section = String::new();
    for line in EXAMPLE.lines().map(|line| line.trim_start_matches("# ")) {
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
    std::fs::write(&file, EXAMPLE).unwrap();
    let config = Config::open(&file).unwrap();
    assert_eq!(config.bundle, folder.path().join("bundle.remedis"));
    assert_eq!(config.link.unwrap().port, Path::new("/dev/ttyUSB0"));
}

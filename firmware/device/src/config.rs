//! What the device is told in its TOML file. `example.toml` shows every setting; `remedis-device check` explains them.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Every setting. Relative paths are relative to the file the settings came from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model bundle.
    pub bundle: PathBuf,
    /// minisign public key files; a bundle signed by none of them is refused.
    pub trusted_keys: Vec<PathBuf>,
    /// The folder where plans are kept that were made of models, so that a start need not make them again; only the device's user
    /// may write there. Without it a plan is made at every start.
    pub plans: Option<PathBuf>,
    /// The line to the imaging hardware.
    pub link: LinkConfig,
    /// Where answers are kept.
    pub journal: JournalConfig,
    /// Where the page goes; without this section there is no screen.
    pub screen: Option<ScreenConfig>,
}

/// The serial line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkConfig {
    /// The port, such as `/dev/ttyUSB0`. Prefer a name under `/dev/serial/by-id`: it survives replugging.
    pub port: PathBuf,
    /// Bits a second, the same as the hardware's. Frames are 8 data bits, no parity, 1 stop bit.
    pub baud: u32,
    /// Tells this device from others on the same bench.
    #[serde(default)]
    pub device_id: u64,
    /// Largest image taken, in bytes, 1 to 16 777 216. The device keeps two of this size in memory.
    #[serde(default = "default_max_image_bytes")]
    pub max_image_bytes: u32,
    /// How long to wait for the hardware to confirm a result before it is sent again, in milliseconds.
    #[serde(default = "default_result_retry_ms")]
    pub result_retry_ms: u64,
    /// The hardware counts as absent after this silence, in milliseconds.
    #[serde(default = "default_quiet_after_ms")]
    pub quiet_after_ms: u64,
}

/// The journal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// The file; begun when it does not exist.
    pub path: PathBuf,
}

/// The screen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenConfig {
    /// A PNG file that always holds the current page.
    pub png: Option<PathBuf>,
    /// A Linux framebuffer, such as `/dev/fb0`; its size is asked of the kernel.
    pub framebuffer: Option<PathBuf>,
    /// Width of the PNG page in pixels, 320 to 4096.
    #[serde(default = "default_width")]
    pub width: u32,
    /// Height of the PNG page in pixels, 240 to 4096.
    #[serde(default = "default_height")]
    pub height: u32,
    /// A result counts as old after this long, in seconds, and is marked so.
    #[serde(default = "default_stale_after_s")]
    pub stale_after_s: u64,
}

fn default_max_image_bytes() -> u32 {
    4 * 1024 * 1024
}
fn default_result_retry_ms() -> u64 {
    500
}
fn default_quiet_after_ms() -> u64 {
    10_000
}
fn default_width() -> u32 {
    800
}
fn default_height() -> u32 {
    480
}
fn default_stale_after_s() -> u64 {
    300
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML, or has an unknown or missing setting.
    #[error("cannot understand the settings")]
    Parse(#[from] toml::de::Error),
    /// A setting has a value that cannot work.
    #[error("{setting} is {found}, expected {expected}")]
    Value {
        /// Which.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
}

impl Config {
    /// Reads and checks the settings in `path`.
    ///
    /// # Errors
    /// When the file cannot be read, holds an unknown setting, lacks one, or one has an impossible value.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let mut config: Self = toml::from_str(&text)?;
        config.check()?;
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let limit = remedis_link::MAX_FRAME;
        let bad = |setting, found: &dyn ToString, expected| {
            Err(ConfigError::Value { setting, found: found.to_string(), expected })
        };
        if self.trusted_keys.is_empty() {
            return bad("trusted_keys", &"empty", "at least one minisign public key file");
        }
        if self.link.baud == 0 {
            return bad("link.baud", &0, "the hardware's rate in bits a second, such as 921600");
        }
        if !(1..=limit).contains(&self.link.max_image_bytes) {
            return bad("link.max_image_bytes", &self.link.max_image_bytes, "1 to 16777216");
        }
        if self.link.result_retry_ms == 0 {
            return bad("link.result_retry_ms", &0, "at least 1");
        }
        let Some(screen) = &self.screen else { return Ok(()) };
        if !(320..=4096).contains(&screen.width) {
            return bad("screen.width", &screen.width, "320 to 4096");
        }
        if !(240..=4096).contains(&screen.height) {
            return bad("screen.height", &screen.height, "240 to 4096");
        }
        Ok(())
    }

    fn resolve(&mut self, folder: &Path) {
        let mut paths = vec![&mut self.bundle, &mut self.journal.path, &mut self.link.port];
        paths.extend(self.trusted_keys.iter_mut().chain(&mut self.plans));
        if let Some(screen) = &mut self.screen {
            paths.extend(screen.png.iter_mut().chain(&mut screen.framebuffer));
        }
        for path in paths {
            *path = folder.join(&*path);
        }
    }

    /// Every setting with its value and what it means, one line each.
    pub fn explain(&self) -> Vec<String> {
        let mut lines = vec![
            format!("bundle = {}: the model", self.bundle.display()),
            format!("trusted_keys = {} file(s): a bundle signed by none of them is refused", self.trusted_keys.len()),
            match &self.plans {
                Some(folder) => format!("plans = {}: where the packed model is kept between starts", folder.display()),
                None => "plans: none, the model is packed again at every start".into(),
            },
            format!("link.port = {}: where images come from", self.link.port.display()),
            format!("link.baud = {}: bits a second, 8N1, no flow control", self.link.baud),
            format!("link.device_id = {}: told to the hardware in the greeting", self.link.device_id),
            format!("link.max_image_bytes = {}: larger images are refused", self.link.max_image_bytes),
            format!("link.result_retry_ms = {}: an unconfirmed result is sent again", self.link.result_retry_ms),
            format!("link.quiet_after_ms = {}: silence after which the screen says WAITING", self.link.quiet_after_ms),
            format!("journal.path = {}: every answer, before the hardware hears it", self.journal.path.display()),
        ];
        let Some(screen) = &self.screen else {
            lines.push("screen: none, the device runs without one".into());
            return lines;
        };
        lines.push(match &screen.png {
            Some(path) => format!("screen.png = {}: the page, {} x {}", path.display(), screen.width, screen.height),
            None => "screen.png: none".into(),
        });
        lines.push(match &screen.framebuffer {
            Some(path) => format!("screen.framebuffer = {}: size as the kernel says", path.display()),
            None => "screen.framebuffer: none".into(),
        });
        lines.push(format!("screen.stale_after_s = {}: older results are marked OLD RESULT", screen.stale_after_s));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_complete_and_valid() {
        let config: Config = toml::from_str(include_str!("../example.toml")).unwrap();
        config.check().unwrap();
        assert!(config.screen.is_some());
    }

    #[test]
    fn a_misspelt_setting_is_named() {
        let text = include_str!("../example.toml").replace("baud =", "baudrate =");
        let error = toml::from_str::<Config>(&text).unwrap_err();
        assert!(error.to_string().contains("unknown field `baudrate`"), "{error}");
    }

    #[test]
    fn an_impossible_value_is_refused_with_the_range() {
        let text = include_str!("../example.toml").replace("width = 800", "width = 12");
        let error = toml::from_str::<Config>(&text).unwrap().check().unwrap_err();
        assert_eq!(error.to_string(), "screen.width is 12, expected 320 to 4096");
    }

    #[test]
    fn relative_paths_start_at_the_file_and_absolute_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("device.toml");
        std::fs::write(&file, include_str!("../example.toml")).unwrap();
        let config = Config::open(&file).unwrap();
        assert_eq!(config.bundle, folder.path().join("model.remedis"));
        assert_eq!(config.link.port, Path::new("/dev/ttyUSB0"));
    }
}

//! Where people look.

mod spi;

pub use spi::{Controller, SpiConfig};

use crate::explain::Explain;
use crate::{ConfigError, value};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the pages are written in.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

/// A page of the screen.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Page {
    /// The newest image and its answer.
    #[default]
    Live,
    /// The last answers.
    Results,
    /// How answers were spread over the last hours.
    Trend,
    /// How the device does.
    Status,
    /// What is wrong.
    Alarms,
}

/// The screen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenConfig {
    /// A PNG file that always holds the current page.
    pub png: Option<PathBuf>,
    /// A Linux framebuffer, such as `/dev/fb0`; its size is asked of the kernel.
    pub framebuffer: Option<PathBuf>,
    /// Keys or a touch panel that turn pages, such as `/dev/input/event0`.
    pub input: Option<PathBuf>,
    /// The page at the beginning: live, results, trend, status or alarms.
    #[serde(default)]
    pub page: Page,
    /// Width of the PNG page in pixels, 320 to 4096.
    #[serde(default = "default_width")]
    pub width: u32,
    /// Height of the PNG page in pixels, 240 to 4096.
    #[serde(default = "default_height")]
    pub height: u32,
    /// What the pages are written in: english or german.
    #[serde(default)]
    pub language: Language,
    /// A panel on SPI that the kernel does not drive.
    pub spi: Option<SpiConfig>,
}

/// The local web page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebConfig {
    /// Where it listens; only this machine can reach the default.
    #[serde(default = "default_address")]
    pub address: SocketAddr,
    /// The file with the hash of the token that opens it: `remedis-device token FILE` makes one.
    pub token: PathBuf,
    /// Names other than the address by which browsers reach it.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Whether a proxy before it speaks TLS with browsers.
    #[serde(default)]
    pub is_behind_tls: bool,
    /// What the pages are written in: english or german; none is whichever the browser would rather have.
    pub language: Option<Language>,
}

fn default_width() -> u32 {
    800
}
fn default_height() -> u32 {
    480
}
fn default_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8470))
}

impl ScreenConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(320..=4096).contains(&self.width) {
            return value("screen.width", self.width, "320 to 4096");
        }
        if !(240..=4096).contains(&self.height) {
            return value("screen.height", self.height, "240 to 4096");
        }
        self.spi.as_ref().map_or(Ok(()), SpiConfig::check)
    }

    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let spi = self.spi.iter_mut().flat_map(SpiConfig::paths);
        self.png.iter_mut().chain(&mut self.framebuffer).chain(&mut self.input).chain(spi)
    }

    pub(crate) fn explain(&self, lines: &mut Explain) {
        let png = format!("the current page, {} x {}", self.width, self.height);
        lines.optional_path("png", self.png.as_deref(), &png);
        lines.optional_path("framebuffer", self.framebuffer.as_deref(), "the panel; its size as the kernel says");
        lines.optional_path("input", self.input.as_deref(), "keys or touch that turn pages");
        lines.value("page", self.page.name(), "the page at the beginning");
        lines.value("language", self.language.name(), "of the pages");
        lines.section("screen.spi", self.spi.as_ref(), "no panel on SPI", SpiConfig::explain);
    }
}

impl Page {
    /// As the settings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Results => "results",
            Self::Trend => "trend",
            Self::Status => "status",
            Self::Alarms => "alarms",
        }
    }

    /// The next one, round and round.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Live => Self::Results,
            Self::Results => Self::Trend,
            Self::Trend => Self::Status,
            Self::Status => Self::Alarms,
            Self::Alarms => Self::Live,
        }
    }
}

impl WebConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    pub(crate) fn explain(&self, lines: &mut Explain) {
        let reach = if self.address.ip().is_loopback() {
            "only this machine can reach it"
        } else {
            "others can reach it, unencrypted: put a TLS proxy before it"
        };
        lines.value("address", self.address, reach);
        lines.path("token", &self.token, "the hash of the token that opens it");
        let hosts = if self.hosts.is_empty() { "none".to_owned() } else { self.hosts.join(", ") };
        lines.value("hosts", hosts, "other names by which browsers reach it");
        lines.value("is_behind_tls", self.is_behind_tls, "whether a proxy before it speaks TLS with browsers");
        let whose = "of the pages, where nobody picked another there; none: as the browser wishes";
        lines.optional("language", self.language.map(Language::name), whose);
    }
}

impl Language {
    /// As the settings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "english",
            Self::German => "german",
        }
    }
}

//! A panel on SPI that the kernel does not drive.

use crate::explain::Explain;
use crate::{ConfigError, value};
use serde::Deserialize;
use std::path::PathBuf;

/// What drives the panel's glass.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// Sitronix, 240 x 320.
    St7789,
    /// Sitronix, 320 x 480.
    St7796,
    /// Ilitek, 240 x 320.
    Ili9341,
    /// Ilitek, 320 x 240.
    Ili9342c,
    /// Ilitek, 320 x 480.
    Ili9486,
    /// Ilitek, 320 x 480.
    Ili9488,
}

/// A panel on SPI.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpiConfig {
    /// The bus with its chip select, such as `/dev/spidev0.0`.
    pub device: PathBuf,
    /// What drives the panel's glass.
    pub controller: Controller,
    /// Width in pixels of the panel as it is mounted, 320 to 4096.
    pub width: u32,
    /// Height in pixels of the panel as it is mounted, 240 to 4096.
    pub height: u32,
    /// How the picture is turned against the controller's own upright, clockwise: 0, 90, 180 or 270 degrees.
    #[serde(default)]
    pub rotation: u16,
    /// Whether the panel shows the negative of what it is sent.
    #[serde(default)]
    pub is_inverted: bool,
    /// Whether the glass has blue where the controller has red.
    #[serde(default)]
    pub is_bgr: bool,
    /// Rate of the bus, 1 to 125 MHz.
    #[serde(default = "default_megahertz")]
    pub megahertz: u32,
    /// Whose lines the next three are.
    #[serde(default = "default_gpio_chip")]
    pub gpio_chip: PathBuf,
    /// The line that tells commands (low) from data.
    pub data_command: u32,
    /// The line that resets the panel while it is low; without it the panel is reset by a command.
    pub reset: Option<u32>,
    /// The line that lights the panel, from its first page on.
    pub backlight: Option<u32>,
}

fn default_megahertz() -> u32 {
    32
}
fn default_gpio_chip() -> PathBuf {
    "/dev/gpiochip0".into()
}

impl SpiConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(320..=4096).contains(&self.width) {
            return value("screen.spi.width", self.width, "320 to 4096");
        }
        if !(240..=4096).contains(&self.height) {
            return value("screen.spi.height", self.height, "240 to 4096");
        }
        if !(self.rotation < 360 && self.rotation.is_multiple_of(90)) {
            return value("screen.spi.rotation", self.rotation, "0, 90, 180 or 270");
        }
        if !(1..=125).contains(&self.megahertz) {
            return value("screen.spi.megahertz", self.megahertz, "1 to 125");
        }
        let (upright, most) = (self.upright(), self.controller.size());
        if upright.0 > most.0 || upright.1 > most.1 {
            let found = format!("{} x {} turned by {} degrees", self.width, self.height, self.rotation);
            let expected = "at most what the controller has when turned so: 240 x 320 (st7789, ili9341), 320 x 240 (ili9342c) or \
                            320 x 480 (st7796, ili9486, ili9488)";
            return value("screen.spi", found, expected);
        }
        Ok(())
    }

    /// Width and height in pixels as the controller has them, before the picture is turned.
    pub fn upright(&self) -> (u32, u32) {
        if self.rotation.is_multiple_of(180) { (self.width, self.height) } else { (self.height, self.width) }
    }

    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.device, &mut self.gpio_chip].into_iter()
    }

    pub(crate) fn explain(&self, lines: &mut Explain) {
        lines.path("device", &self.device, "the bus with its chip select");
        lines.value("controller", self.controller.name(), "drives the panel");
        lines.value("width", self.width, "pixels across of the panel as it is mounted");
        lines.value("height", self.height, "pixels down of the panel as it is mounted");
        lines.value("rotation", self.rotation, "degrees clockwise by which the picture is turned");
        lines.value("is_inverted", self.is_inverted, "whether the panel shows the negative of what it is sent");
        lines.value("is_bgr", self.is_bgr, "whether the panel has blue where the controller has red");
        lines.value("megahertz", self.megahertz, "rate of the bus");
        lines.path("gpio_chip", &self.gpio_chip, "whose lines the next three are");
        lines.value("data_command", self.data_command, "the line that tells commands from data");
        lines.optional("reset", self.reset, "the line that resets the panel; none resets by a command");
        lines.optional("backlight", self.backlight, "the line that lights the panel, from its first page on");
    }
}

impl Controller {
    /// As the settings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::St7789 => "st7789",
            Self::St7796 => "st7796",
            Self::Ili9341 => "ili9341",
            Self::Ili9342c => "ili9342c",
            Self::Ili9486 => "ili9486",
            Self::Ili9488 => "ili9488",
        }
    }

    /// The largest panel it drives: width and height in pixels, not turned.
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::St7789 | Self::Ili9341 => (240, 320),
            Self::Ili9342c => (320, 240),
            Self::St7796 | Self::Ili9486 | Self::Ili9488 => (320, 480),
        }
    }
}

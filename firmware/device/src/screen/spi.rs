//! A panel on SPI, through the kernel's spidev and GPIO character devices.
//!
//! Nothing is read from a panel: a bus or a line that the kernel no longer serves is noticed, a panel that was unplugged is not.

use super::Canvas;
use super::output::{Fault, Output};
use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};
use embedded_hal::{digital::OutputPin, spi::SpiDevice};
use linux_embedded_hal::gpio_cdev::{self, Chip, LineRequestFlags};
use linux_embedded_hal::spidev::{Spidev, SpidevOptions};
use linux_embedded_hal::{CdevPin, Delay, SpidevDevice};
use mipidsi::interface::{Interface, InterfaceKind, InterfacePixelFormat};
use mipidsi::models::{self, Model};
use mipidsi::options::{ColorInversion, ColorOrder, Orientation, Rotation};
use mipidsi::{Builder, Display, InitError};
use remedis_settings::{Controller, SpiConfig};
use std::error::Error;
use std::path::{Path, PathBuf};

/// Bytes written at once; spidev takes no more unless it is told to when it is loaded.
const MOST_AT_ONCE: usize = 4096;

/// Why a panel on SPI cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpiError {
    /// The bus or the chip of the lines is not there, or not ours.
    #[error("cannot open {}", path.display())]
    Open {
        /// Which device.
        path: PathBuf,
        /// Why.
        source: Fault,
    },
    /// A line cannot be had or set.
    #[error("cannot set the {line} line")]
    Line {
        /// What it is for.
        line: &'static str,
        /// Why.
        source: Fault,
    },
    /// The bus does not take what is written.
    #[error("cannot write to the bus")]
    Bus(#[source] Fault),
    /// The settings' check should have said so.
    #[error("the panel is not one that {controller} drives: {reason}")]
    Panel {
        /// The controller.
        controller: &'static str,
        /// Why not.
        reason: String,
    },
}

/// A bus whose faults can be told.
pub(super) trait Bus: SpiDevice<Error: Error + Send + Sync + 'static> + Send + 'static {}
impl<S: SpiDevice<Error: Error + Send + Sync + 'static> + Send + 'static> Bus for S {}

/// A line whose faults can be told.
pub(super) trait Line: OutputPin<Error: Error + Send + Sync + 'static> + Send + 'static {}
impl<P: OutputPin<Error: Error + Send + Sync + 'static> + Send + 'static> Line for P {}

/// What leads to a panel.
pub(super) struct Wires<S, P> {
    pub(super) bus: S,
    pub(super) data_command: P,
    pub(super) reset: Option<P>,
    pub(super) backlight: Option<P>,
}

/// Opens what the settings name.
///
/// # Errors
/// When one is not there, not ours, or in use.
pub(super) fn open(settings: &SpiConfig) -> Result<Wires<SpidevDevice, CdevPin>, SpiError> {
    let bus = bus(&settings.device, settings.megahertz)
        .map_err(|cause| SpiError::Open { path: settings.device.clone(), source: cause.into() })?;
    let mut chip = Chip::new(&settings.gpio_chip)
        .map_err(|cause| SpiError::Open { path: settings.gpio_chip.clone(), source: cause.into() })?;
    let mut line = |line, number, level| {
        output_line(&mut chip, number, level).map_err(|cause| SpiError::Line { line, source: cause.into() })
    };
    Ok(Wires {
        bus,
        data_command: line("data_command", settings.data_command, 0)?,
        reset: settings.reset.map(|number| line("reset", number, 1)).transpose()?,
        backlight: settings.backlight.map(|number| line("backlight", number, 0)).transpose()?,
    })
}

fn bus(path: &Path, megahertz: u32) -> std::io::Result<SpidevDevice> {
    let mut bus = Spidev::open(path)?;
    // The rest of the mode, such as the sense of the chip select, is the board's to say.
    bus.configure(SpidevOptions::new().bits_per_word(8).max_speed_hz(megahertz * 1_000_000))?;
    Ok(SpidevDevice(bus))
}

fn output_line(chip: &mut Chip, number: u32, level: u8) -> Result<CdevPin, gpio_cdev::Error> {
    CdevPin::new(chip.get_line(number)?.request(LineRequestFlags::OUTPUT, level, "remedis-device")?)
}

type Open<S, P> = Box<dyn FnMut(&SpiConfig) -> Result<Wires<S, P>, SpiError> + Send>;

/// A panel: opened when a page is first put there, and anew after a fault.
pub(super) struct SpiPanel<S, P> {
    settings: SpiConfig,
    open: Open<S, P>,
    running: Option<Running<P>>,
}

struct Running<P> {
    display: Box<dyn Paint + Send>,
    backlight: Option<P>,
}

impl<S, P> SpiPanel<S, P> {
    pub(super) fn new(
        settings: SpiConfig,
        open: impl FnMut(&SpiConfig) -> Result<Wires<S, P>, SpiError> + Send + 'static,
    ) -> Self {
        Self { settings, open: Box::new(open), running: None }
    }
}

impl<S: Bus, P: Line> Output for SpiPanel<S, P> {
    fn name(&self) -> &'static str {
        "spi"
    }

    fn open(&mut self) -> Result<Size, Fault> {
        if self.running.is_none() {
            self.running = Some(start(&self.settings, (self.open)(&self.settings)?)?);
        }
        Ok(Size::new(self.settings.width, self.settings.height))
    }

    fn put(&mut self, before: Option<&Canvas>, page: &Canvas) -> Result<(), Fault> {
        // Kept only when all went well.
        let mut running = self.running.take().ok_or("it is not open")?;
        page.damage(before).try_for_each(|area| running.display.paint(page, &area))?;
        // Lit only now, so that nobody sees what the panel held before.
        if let Some(line) = &mut running.backlight {
            line.set_high().map_err(|cause| SpiError::Line { line: "backlight", source: cause.into() })?;
        }
        self.running = Some(running);
        Ok(())
    }
}

fn start<S: Bus, P: Line>(settings: &SpiConfig, wires: Wires<S, P>) -> Result<Running<P>, SpiError> {
    let Wires { bus, data_command, reset, backlight } = wires;
    let wire = Wire { bus, data_command, chunk: Vec::with_capacity(MOST_AT_ONCE) };
    let display = match settings.controller {
        Controller::St7789 => begin(models::ST7789, settings, wire, reset),
        Controller::St7796 => begin(models::ST7796, settings, wire, reset),
        Controller::Ili9341 => begin(models::ILI9341Rgb565, settings, wire, reset),
        Controller::Ili9342c => begin(models::ILI9342CRgb565, settings, wire, reset),
        // Over SPI these two take no pixels of 16 bits.
        Controller::Ili9486 => begin(models::ILI9486Rgb666, settings, wire, reset),
        Controller::Ili9488 => begin(models::ILI9488Rgb666, settings, wire, reset),
    }?;
    Ok(Running { display, backlight })
}

fn begin<M, S, P>(
    model: M,
    settings: &SpiConfig,
    wire: Wire<S, P>,
    reset: Option<P>,
) -> Result<Box<dyn Paint + Send>, SpiError>
where
    M: Model<ColorFormat: InterfacePixelFormat<u8> + From<Rgb888>> + Send + 'static,
    S: Bus,
    P: Line,
{
    let panel = |reason: String| SpiError::Panel { controller: settings.controller.name(), reason };
    let rotation = Rotation::try_from_degree(settings.rotation.into()).map_err(|cause| panel(format!("{cause:?}")))?;
    let (width, height) = settings.upright();
    let [width, height] = [width, height].map(|side| u16::try_from(side).unwrap_or(u16::MAX));
    let builder = Builder::new(model, wire)
        .display_size(width, height)
        .orientation(Orientation::new().rotate(rotation))
        .invert_colors(if settings.is_inverted { ColorInversion::Inverted } else { ColorInversion::Normal })
        .color_order(if settings.is_bgr { ColorOrder::Bgr } else { ColorOrder::Rgb });
    let failed = |cause: InitError<SpiError, Fault>| match cause {
        InitError::Interface(cause) => cause,
        InitError::ResetPin(source) => SpiError::Line { line: "reset", source },
        InitError::InvalidConfiguration(cause) => panel(format!("{cause:?}")),
    };
    Ok(match reset {
        Some(line) => Box::new(builder.reset_pin(line).init(&mut Delay).map_err(|cause| failed(boxed(cause)))?),
        None => Box::new(builder.init(&mut Delay).map_err(|cause| failed(boxed(cause)))?),
    })
}

fn boxed<P: Error + Send + Sync + 'static>(cause: InitError<SpiError, P>) -> InitError<SpiError, Fault> {
    match cause {
        InitError::Interface(cause) => InitError::Interface(cause),
        InitError::ResetPin(cause) => InitError::ResetPin(cause.into()),
        InitError::InvalidConfiguration(cause) => InitError::InvalidConfiguration(cause),
    }
}

/// A panel of any controller.
trait Paint {
    /// Sends the pixels of `area`, in the panel's own colours.
    fn paint(&mut self, page: &Canvas, area: &Rectangle) -> Result<(), SpiError>;
}

impl<S, P, M, R> Paint for Display<Wire<S, P>, M, R>
where
    S: Bus,
    P: Line,
    M: Model<ColorFormat: InterfacePixelFormat<u8> + From<Rgb888>>,
    R: OutputPin,
{
    fn paint(&mut self, page: &Canvas, area: &Rectangle) -> Result<(), SpiError> {
        self.fill_contiguous(area, page.colours(area).map(Into::into))
    }
}

/// Commands and pixels on the bus. mipidsi's own borrows its buffer, and writes nothing as a transfer of no bytes, which not every
/// driver of the kernel takes.
struct Wire<S, P> {
    bus: S,
    data_command: P,
    chunk: Vec<u8>,
}

impl<S: Bus, P: Line> Wire<S, P> {
    fn write(bus: &mut S, bytes: &[u8]) -> Result<(), SpiError> {
        if bytes.is_empty() {
            return Ok(());
        }
        bus.write(bytes).map_err(|cause| SpiError::Bus(cause.into()))
    }
}

impl<S: Bus, P: Line> Interface for Wire<S, P> {
    type Word = u8;
    type Error = SpiError;

    const KIND: InterfaceKind = InterfaceKind::Serial4Line;

    fn send_command(&mut self, command: u8, arguments: &[u8]) -> Result<(), SpiError> {
        let line = |cause: P::Error| SpiError::Line { line: "data_command", source: cause.into() };
        self.data_command.set_low().map_err(line)?;
        Self::write(&mut self.bus, &[command])?;
        self.data_command.set_high().map_err(line)?;
        Self::write(&mut self.bus, arguments)
    }

    fn send_pixels<const N: usize>(&mut self, pixels: impl IntoIterator<Item = [u8; N]>) -> Result<(), SpiError> {
        self.chunk.clear();
        for pixel in pixels {
            if self.chunk.len() + N > MOST_AT_ONCE {
                Self::write(&mut self.bus, &self.chunk)?;
                self.chunk.clear();
            }
            self.chunk.extend(pixel);
        }
        Self::write(&mut self.bus, &self.chunk)
    }

    fn send_repeated_pixel<const N: usize>(&mut self, pixel: [u8; N], count: u32) -> Result<(), SpiError> {
        self.send_pixels((0..count).map(|_| pixel))
    }
}

#[cfg(test)]
mod tests;

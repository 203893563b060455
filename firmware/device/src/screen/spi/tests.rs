//! Panels played by a simulation of what a controller's data sheet says: commands, windows, turned memory.

use super::*;
use crate::board::{Board, State};
use crate::log::Log;
use crate::operation::alarm::Alarm;
use crate::screen::Screen;
use crate::screen::output::Shown;
use crate::screen::pages::Pages;
use crate::screen::png::PngFile;
use embedded_graphics::pixelcolor::{Rgb565, raw::ToBytes};
use embedded_hal::{digital, spi};
use remedis_settings::{Config, Language, Page};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

/// A panel's controller and glass, upright.
struct Glass {
    size: (usize, usize),
    bytes_per_pixel: usize,
    /// As sent; none where nothing was.
    memory: Vec<Vec<u8>>,
    is_data: bool,
    is_reset: bool,
    is_lit: bool,
    is_cut: bool,
    n_resets: u32,
    n_bytes: usize,
    command: u8,
    arguments: Vec<u8>,
    address_mode: u8,
    columns: (usize, usize),
    rows: (usize, usize),
    at: (usize, usize),
    written_rows: BTreeSet<usize>,
}

impl Glass {
    fn new(controller: Controller) -> Self {
        let (width, height) = controller.size();
        let size = (width as usize, height as usize);
        let bytes_per_pixel = if matches!(controller, Controller::Ili9486 | Controller::Ili9488) { 3 } else { 2 };
        Self {
            size,
            bytes_per_pixel,
            memory: vec![vec![]; size.0 * size.1],
            is_data: false,
            is_reset: false,
            is_lit: false,
            is_cut: false,
            n_resets: 0,
            n_bytes: 0,
            command: 0,
            arguments: vec![],
            address_mode: 0,
            columns: (0, 0),
            rows: (0, 0),
            at: (0, 0),
            written_rows: BTreeSet::new(),
        }
    }

    fn reset(&mut self) {
        self.n_resets += 1;
        self.memory.fill(vec![]);
        self.address_mode = 0;
    }

    fn take(&mut self, byte: u8) {
        self.n_bytes += 1;
        if !self.is_data {
            (self.command, self.arguments) = (byte, vec![]);
            match byte {
                0x01 => self.reset(),
                0x2C => self.at = (self.columns.0, self.rows.0),
                _ => {}
            }
            return;
        }
        self.arguments.push(byte);
        match (self.command, &self.arguments[..]) {
            (0x2A, &[a, b, c, d]) => {
                self.columns = (u16::from_be_bytes([a, b]).into(), u16::from_be_bytes([c, d]).into())
            }
            (0x2B, &[a, b, c, d]) => self.rows = (u16::from_be_bytes([a, b]).into(), u16::from_be_bytes([c, d]).into()),
            (0x36, &[mode]) => self.address_mode = mode,
            (0x2C, pixel) if pixel.len() == self.bytes_per_pixel => self.take_pixel(),
            _ => {}
        }
    }

    fn take_pixel(&mut self) {
        let pixel = std::mem::take(&mut self.arguments);
        let (column, row) = self.at;
        self.written_rows.insert(row);
        let (width, height) = self.size;
        let is = |bit: u8| self.address_mode & bit != 0;
        let (x, y) = if is(0x20) { (row, column) } else { (column, row) };
        let x = if is(0x40) { width - 1 - x } else { x };
        let y = if is(0x80) { height - 1 - y } else { y };
        self.memory[y * width + x] = pixel;
        self.at = match self.at {
            (column, row) if column < self.columns.1 => (column + 1, row),
            (_, row) if row < self.rows.1 => (self.columns.0, row + 1),
            _ => (self.columns.0, self.rows.0),
        };
    }

    /// What someone sees who looks at the panel when it is mounted as `settings` say. A glass smaller than the memory shows its first
    /// columns and rows.
    fn seen(&self, settings: &SpiConfig) -> Vec<u8> {
        let (width, height) = settings.upright();
        let (width, height) = (width as usize, height as usize);
        let upright = |(column, row): (usize, usize)| match settings.rotation {
            90 => (width - 1 - row, column),
            180 => (width - 1 - column, height - 1 - row),
            270 => (row, height - 1 - column),
            _ => (column, row),
        };
        let (columns, rows) = (0..settings.width as usize, 0..settings.height as usize);
        let points = rows.flat_map(|row| columns.clone().map(move |column| (column, row)));
        points.map(upright).flat_map(|(x, y)| self.memory[y * self.size.0 + x].clone()).collect()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the cable is cut")]
struct Cut;

impl spi::Error for Cut {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

impl digital::Error for Cut {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

/// One end of the cable.
#[derive(Clone)]
struct Cable(Arc<Mutex<Glass>>);

impl Cable {
    fn to(controller: Controller) -> Self {
        Self(Arc::new(Mutex::new(Glass::new(controller))))
    }

    fn glass(&self) -> MutexGuard<'_, Glass> {
        self.0.lock().unwrap()
    }

    fn whole(&self) -> Result<MutexGuard<'_, Glass>, Cut> {
        let glass = self.glass();
        if glass.is_cut { Err(Cut) } else { Ok(glass) }
    }
}

impl spi::ErrorType for Cable {
    type Error = Cut;
}

impl SpiDevice for Cable {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), Cut> {
        let mut glass = self.whole()?;
        for operation in operations {
            let spi::Operation::Write(bytes) = operation else { panic!("{operation:?}: a panel is only written to") };
            assert!((1..=4096).contains(&bytes.len()), "spidev takes no {} bytes at once", bytes.len());
            bytes.iter().for_each(|&byte| glass.take(byte));
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Role {
    DataCommand,
    Reset,
    Backlight,
}

struct Pin(Cable, Role);

impl Pin {
    fn set(&self, is_high: bool) -> Result<(), Cut> {
        let mut glass = self.0.whole()?;
        match self.1 {
            Role::DataCommand => glass.is_data = is_high,
            Role::Backlight => glass.is_lit = is_high,
            Role::Reset => {
                if is_high && glass.is_reset {
                    glass.reset();
                }
                glass.is_reset = !is_high;
            }
        }
        Ok(())
    }
}

impl digital::ErrorType for Pin {
    type Error = Cut;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Cut> {
        self.set(false)
    }

    fn set_high(&mut self) -> Result<(), Cut> {
        self.set(true)
    }
}

fn settings(controller: Controller, (width, height): (u32, u32), rotation: u16) -> SpiConfig {
    let lines = "data_command = 25\nreset = 24\nbacklight = 18";
    let spi = format!(
        "device = '/dev/spidev0.0'\ncontroller = '{}'\nwidth = {width}\nheight = {height}\nrotation = {rotation}\n{lines}",
        controller.name()
    );
    let others = "bundle = 'b'\ntrusted_keys = ['k']\n[folder]\npath = 'f'\n[journal]\nanswers = 'a'\naudit = 'b'";
    Config::parse(&format!("{others}\n[screen.spi]\n{spi}")).unwrap().screen.unwrap().spi.unwrap()
}

/// A panel at the end of `cable`, with the lines that the settings name.
fn panel(settings: &SpiConfig, cable: &Cable) -> Shown {
    let cable = cable.clone();
    Shown::nothing(SpiPanel::new(settings.clone(), move |settings| {
        let open = cable.whole().map(drop);
        open.map_err(|cause| SpiError::Open { path: settings.device.clone(), source: cause.into() })?;
        let pin = |role| Pin(cable.clone(), role);
        Ok(Wires {
            bus: cable.clone(),
            data_command: pin(Role::DataCommand),
            reset: settings.reset.map(|_| pin(Role::Reset)),
            backlight: settings.backlight.map(|_| pin(Role::Backlight)),
        })
    }))
}

fn page(page: Page, size: Size) -> Canvas {
    Pages::new(Language::English, 0, None).draw(&State { page, ..State::default() }, 0, size)
}

/// Pixels as a panel of 16 bits is sent them, of the page as the PNG file has it.
fn rgb565_of_png(page: &Canvas) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("screen.png");
    Shown::nothing(PngFile { path: path.clone(), size: page.size() }).show(0, |_| page.clone()).unwrap();
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let picture = image::load(file, image::ImageFormat::Png).unwrap().into_rgb8();
    picture.pixels().flat_map(|&image::Rgb([r, g, b])| Rgb565::from(Rgb888::new(r, g, b)).to_be_bytes()).collect()
}

#[test]
fn a_panel_shows_what_the_png_file_shows_however_it_is_turned() {
    let turned = [
        (Controller::Ili9341, (320, 240), 90),
        (Controller::St7789, (320, 240), 270),
        (Controller::Ili9342c, (320, 240), 180),
        (Controller::St7796, (320, 480), 0),
        (Controller::St7796, (480, 320), 90),
        // Smaller than what its controller has.
        (Controller::St7796, (400, 320), 270),
    ];
    for (controller, size, rotation) in turned {
        let (cable, settings) = (Cable::to(controller), settings(controller, size, rotation));
        let mut shown = panel(&settings, &cable);
        for name in [Page::Live, Page::Status] {
            let page = page(name, Size::new(size.0, size.1));
            shown.show(0, |_| page.clone()).unwrap();
            assert!(cable.glass().seen(&settings) == rgb565_of_png(&page), "{controller:?} {rotation} {name:?}");
        }
    }
}

#[test]
fn controllers_without_16_bits_on_spi_are_sent_18() {
    let controller = Controller::Ili9488;
    let (cable, settings) = (Cable::to(controller), settings(controller, (480, 320), 90));
    let page = page(Page::Status, Size::new(480, 320));
    panel(&settings, &cable).show(0, |_| page.clone()).unwrap();
    // Six bits of each colour, to the left of a byte.
    let six = |&full: &u8| (((u32::from(full) * 63 + 127) / 255) << 2) as u8;
    assert!(cable.glass().seen(&settings) == page.pixels().iter().map(six).collect::<Vec<_>>());
}

#[test]
fn only_what_changed_is_sent() {
    let (cable, settings) = (Cable::to(Controller::Ili9341), settings(Controller::Ili9341, (320, 240), 90));
    let mut shown = panel(&settings, &cable);
    let first = page(Page::Live, Size::new(320, 240));
    let mut second = first.clone();
    second.fill_solid(&Rectangle::new(Point::new(300, 7), Size::new(4, 2)), Rgb888::GREEN).unwrap();
    second.fill_solid(&Rectangle::new(Point::new(0, 200), Size::new(1, 1)), Rgb888::GREEN).unwrap();
    shown.show(0, |_| first).unwrap();
    (cable.glass().written_rows, cable.glass().n_bytes) = (BTreeSet::new(), 0);

    shown.show(0, |_| second.clone()).unwrap();
    assert_eq!(cable.glass().written_rows, BTreeSet::from([7, 8, 200]));
    // Two windows of eleven bytes, and nine pixels.
    assert_eq!(cable.glass().n_bytes, 2 * 11 + 2 * 9);
    assert!(cable.glass().seen(&settings) == rgb565_of_png(&second));

    shown.show(0, |_| second).unwrap();
    assert_eq!(cable.glass().n_bytes, 2 * 11 + 2 * 9);
}

#[test]
fn a_panel_is_dark_until_its_first_page_is_there() {
    let (cable, settings) = (Cable::to(Controller::Ili9341), settings(Controller::Ili9341, (320, 240), 90));
    let draws = cable.clone();
    panel(&settings, &cable)
        .show(0, |size| {
            assert!(!draws.glass().is_lit);
            page(Page::Live, size)
        })
        .unwrap();
    assert!(cable.glass().is_lit);
}

#[test]
fn a_panel_without_a_reset_line_is_reset_by_a_command() {
    let mut settings = settings(Controller::Ili9341, (320, 240), 90);
    settings.reset = None;
    let cable = Cable::to(Controller::Ili9341);
    panel(&settings, &cable).show(0, |size| page(Page::Live, size)).unwrap();
    assert_eq!(cable.glass().n_resets, 1);
}

#[test]
fn a_panel_that_was_lost_is_an_alarm_and_is_drawn_whole_when_it_is_back() {
    let (cable, settings) = (Cable::to(Controller::Ili9341), settings(Controller::Ili9341, (320, 240), 90));
    let board = Arc::new(Board::default());
    let outputs = vec![panel(&settings, &cable)];
    let pages = Pages::new(Language::English, 0, None);
    let log = Log::to(false, std::io::sink());
    let mut screen = Screen { board: Arc::clone(&board), pages, outputs, log, is_well: true };
    let mut look = |page| {
        let outcome = screen.put(&State { page, ..State::default() });
        screen.say(outcome);
        board.look(|state| state.alarms.iter().map(|(alarm, on)| (alarm, on.detail.clone())).collect::<Vec<_>>())
    };
    assert_eq!(look(Page::Live), []);

    cable.glass().is_cut = true;
    let lost = "spi: cannot set the data_command line: the cable is cut".to_owned();
    assert_eq!(look(Page::Status), [(Alarm::DisplayLost, lost)]);
    let gone = "spi: cannot open /dev/spidev0.0: the cable is cut".to_owned();
    assert_eq!(look(Page::Status), [(Alarm::DisplayLost, gone)]);

    cable.glass().is_cut = false;
    assert_eq!(look(Page::Status), []);
    assert_eq!(cable.glass().n_resets, 2);
    // No pixel is left as the reset made it.
    assert_eq!(cable.glass().seen(&settings).len(), 320 * 240 * 2);
}

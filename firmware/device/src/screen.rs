//! Puts the page on a PNG file, a framebuffer and a panel on SPI, in a thread of its own: the newest page wins, a slow or lost display
//! holds nothing up.

mod canvas;
mod framebuffer;
mod keys;
mod output;
mod pages;
mod png;
mod spi;

pub use canvas::Canvas;
pub use framebuffer::{Framebuffer, FramebufferError, Geometry, PixelFormat};
pub use keys::listen;
pub use pages::Pages;
pub use spi::SpiError;

use crate::board::{Board, State};
use crate::ledger::Ledger;
use crate::log::{Log, Note};
use crate::operation::alarm::Alarm;
use crate::operation::clock::up_ms;
use crate::operation::pulse::Pulse;
use embedded_graphics::prelude::Size;
use output::Shown;
use remedis_settings::ScreenConfig;
use std::sync::Arc;
use std::time::Duration;

/// The page is looked at again this often, for its clock and for results that grow old.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The screen and what it shows.
pub struct Screen {
    board: Arc<Board>,
    pages: Pages,
    outputs: Vec<Shown>,
    log: Log,
    is_well: bool,
}

impl Screen {
    /// A screen of what `board` shows; results older than `stale_after_ms` are marked. Without a ledger there is no trend.
    pub fn new(
        config: ScreenConfig,
        board: Arc<Board>,
        ledger: Option<Arc<Ledger>>,
        stale_after_ms: u64,
        log: Log,
    ) -> Self {
        let pages = Pages::new(config.language, stale_after_ms, ledger);
        Self { board, pages, outputs: outputs(config), log, is_well: true }
    }

    /// Draws until the board is closed.
    pub fn run(mut self, pulse: &Pulse) {
        let mut seen = 0;
        while let Some((state, number)) = self.board.wait(seen, LOOK_EVERY) {
            pulse.beat();
            seen = number;
            let outcome = self.put(&state);
            self.say(outcome);
        }
        pulse.end();
    }

    fn say(&mut self, outcome: Result<(), String>) {
        match outcome {
            Err(reason) => {
                self.board.raise(Alarm::DisplayLost, &reason);
                if self.is_well {
                    self.log.note(&Note::ScreenFailed { reason: &reason });
                }
                self.is_well = false;
            }
            Ok(()) => {
                self.board.clear(Alarm::DisplayLost);
                if !self.is_well {
                    self.log.note(&Note::ScreenBack);
                }
                self.is_well = true;
            }
        }
    }

    fn put(&mut self, state: &State) -> Result<(), String> {
        let now_ms = up_ms();
        let show = |shown: &mut Shown| shown.show(now_ms, |size| self.pages.draw(state, now_ms, size)).err();
        // One that is lost does not keep the page from the others.
        let faults: Vec<String> = self.outputs.iter_mut().filter_map(show).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}

fn outputs(config: ScreenConfig) -> Vec<Shown> {
    let size = Size::new(config.width, config.height);
    let png = config.png.map(|path| Shown::nothing(png::PngFile { path, size }));
    let framebuffer = config.framebuffer.map(|path| Shown::nothing(framebuffer::Panel::new(path)));
    let spi = config.spi.map(|settings| Shown::nothing(spi::SpiPanel::new(settings, spi::open)));
    [png, framebuffer, spi].into_iter().flatten().collect()
}

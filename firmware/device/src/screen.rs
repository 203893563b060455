//! Puts the page on a PNG file and a framebuffer, in a thread of its own: the newest page wins, a slow or lost display holds nothing
//! up.

mod canvas;
mod framebuffer;
mod keys;
mod pages;
mod png;

pub use canvas::Canvas;
pub use framebuffer::{Framebuffer, FramebufferError, Geometry, PixelFormat};
pub use keys::listen;
pub use pages::Pages;

use crate::board::{Board, State};
use crate::ledger::Ledger;
use crate::log::{Log, Note};
use crate::operation::alarm::Alarm;
use crate::operation::clock::up_ms;
use crate::operation::pulse::Pulse;
use crate::pipeline::judge::chain;
use embedded_graphics::prelude::Size;
use remedis_settings::ScreenConfig;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The page is looked at again this often, for its clock and for results that grow old.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The screen and what it shows.
pub struct Screen {
    config: ScreenConfig,
    board: Arc<Board>,
    pages: Pages,
    log: Log,
    is_well: bool,
    /// What the PNG file and the panel show now.
    on_png: Option<Canvas>,
    on_panel: Option<Canvas>,
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
        Self { config, board, pages, log, is_well: true, on_png: None, on_panel: None }
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
        let png = self.config.png.clone().map_or(Ok(()), |path| self.put_png(&path, state));
        let panel = self.config.framebuffer.clone().map_or(Ok(()), |path| self.put_panel(&path, state));
        png.and(panel)
    }

    fn put_png(&mut self, path: &Path, state: &State) -> Result<(), String> {
        let page = self.pages.draw(state, up_ms(), Size::new(self.config.width, self.config.height));
        if self.on_png.as_ref() != Some(&page) {
            self.on_png = None;
            png::replace(path, &page).map_err(|cause| format!("png: {}", chain(&cause)))?;
            self.on_png = Some(page);
        }
        Ok(())
    }

    fn put_panel(&mut self, path: &Path, state: &State) -> Result<(), String> {
        // Asked anew each time: the display may have gone, or come back in another mode.
        let panel = Framebuffer::open(path).map_err(|cause| format!("framebuffer: {}", chain(&cause)))?;
        let page = self.pages.draw(state, up_ms(), panel.geometry().size);
        let before = self.on_panel.take();
        if before.as_ref() != Some(&page) {
            panel.put(before.as_ref(), &page).map_err(|cause| format!("framebuffer: {}", chain(&cause)))?;
        }
        self.on_panel = Some(page);
        Ok(())
    }
}

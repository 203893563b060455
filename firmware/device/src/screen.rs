//! Puts the page on a PNG file and a framebuffer, in a thread of its own: the newest page wins, a slow or lost display
//! holds nothing up.

mod canvas;
mod framebuffer;
mod png;

pub use canvas::Canvas;
pub use framebuffer::{Framebuffer, FramebufferError, Geometry, PixelFormat};

use crate::config::ScreenConfig;
use crate::journal::{Verdict, of_10000};
use crate::log::{Log, Note};
use crate::worker::{ModelName, chain};
use embedded_graphics::prelude::Size;
use remedis_bundle::Channels;
use remedis_imaging::Image;
use remedis_screen::{LinkState, LivePage, ModelLabel, Picture, Samples, Theme};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Everything a page shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The image the verdict is about, with 8 bits a sample.
    pub image: Option<Arc<Image>>,
    /// What was decided.
    pub verdict: Shown,
    /// Which model answers.
    pub model: ModelName,
    /// What the link is doing.
    pub link: LinkState,
    /// Frames answered so far.
    pub n_frames: u64,
    /// Whether the verdict is old.
    pub is_stale: bool,
}

/// A verdict, or why there is none yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// No image yet.
    None,
    /// The image is being judged.
    Working,
    /// Decided.
    Decided(Verdict),
}

impl From<&Verdict> for Shown {
    fn from(verdict: &Verdict) -> Self {
        Shown::Decided(verdict.clone())
    }
}

impl Page {
    /// The page as pixels.
    pub fn draw(&self, size: Size) -> Canvas {
        let mut canvas = Canvas::new(size);
        let Ok(()) = self.live().draw(&Theme::DARK, &mut canvas);
        canvas
    }

    fn live(&self) -> LivePage<'_> {
        let verdict = match &self.verdict {
            Shown::None => remedis_screen::Verdict::None,
            Shown::Working => remedis_screen::Verdict::Working,
            Shown::Decided(Verdict::Class { name, confidence, .. }) => {
                remedis_screen::Verdict::Class { name, confidence_of_10000: of_10000(*confidence) }
            }
            Shown::Decided(Verdict::CannotSay { reason, name, confidence, .. }) => {
                remedis_screen::Verdict::CannotSay { reason, best: Some((name, of_10000(*confidence))) }
            }
            Shown::Decided(Verdict::Unreadable { reason }) => remedis_screen::Verdict::CannotSay { reason, best: None },
        };
        LivePage {
            picture: self.image.as_deref().and_then(picture),
            verdict,
            threshold_of_10000: Some(of_10000(self.model.confidence_threshold)),
            model: ModelLabel { name: &self.model.name, version: &self.model.version, digest: &self.model.digest },
            link: self.link,
            n_frames: self.n_frames,
            is_stale: self.is_stale,
        }
    }
}

fn picture(image: &Image) -> Option<Picture<'_>> {
    let samples = match image.channels {
        Channels::Grey => Samples::Grey(image.as_u8()),
        Channels::Rgb => Samples::Rgb(image.as_u8()),
    };
    Picture::new(image.width, image.height, samples)
}

/// The thread that draws. Dropping it draws the last page and ends the thread.
#[derive(Debug)]
pub struct Screen {
    slot: Arc<Slot>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    newest: Option<Page>,
    is_over: bool,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest page not drawn yet; waits for one. `None` when there will be no more.
    fn next(&self) -> Option<Page> {
        let idle = |state: &mut State| state.newest.is_none() && !state.is_over;
        self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner).newest.take()
    }
}

impl Screen {
    /// Starts drawing to what `config` names.
    ///
    /// # Errors
    /// When the system has no room for a thread. A display that is missing is only noted in `log`.
    pub fn spawn(config: ScreenConfig, log: Log) -> std::io::Result<Self> {
        let slot = Arc::new(Slot::default());
        let queue = Arc::clone(&slot);
        let thread = std::thread::Builder::new().name("screen".into()).spawn(move || {
            let mut is_well = true;
            while let Some(page) = queue.next() {
                let outcome = put(&config, &page);
                if let (Err(reason), true) = (&outcome, is_well) {
                    log.note(&Note::ScreenFailed { reason: reason.clone() });
                }
                if outcome.is_ok() && !is_well {
                    log.note(&Note::ScreenBack);
                }
                is_well = outcome.is_ok();
            }
        })?;
        Ok(Self { slot, thread: Some(thread) })
    }

    /// Something that shows pages; it never waits for the display.
    pub fn door(&self) -> impl FnMut(Page) + Send + use<> {
        let slot = Arc::clone(&self.slot);
        move |page| {
            slot.lock().newest = Some(page);
            slot.changed.notify_all();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.slot.lock().is_over = true;
        self.slot.changed.notify_all();
        // A thread that panicked has nothing more to draw.
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

fn put(config: &ScreenConfig, page: &Page) -> Result<(), String> {
    let to_png = |path: &Path| {
        let canvas = page.draw(Size::new(config.width, config.height));
        png::replace(path, &canvas).map_err(|cause| format!("png: {}", chain(&cause)))
    };
    let to_framebuffer = |path: &Path| {
        // Asked anew each time: the display may have gone, or come back in another mode.
        let put = Framebuffer::open(path).and_then(|screen| {
            let canvas = page.draw(screen.geometry().size);
            screen.put(&canvas)
        });
        put.map_err(|cause| format!("framebuffer: {}", chain(&cause)))
    };
    let png = config.png.as_deref().map_or(Ok(()), to_png);
    let framebuffer = config.framebuffer.as_deref().map_or(Ok(()), to_framebuffer);
    png.and(framebuffer)
}

//! What screen and web page say of the device.

use anyhow::{Context, Result, bail};
use embedded_graphics::prelude::RgbColor;
use remedis_programs::http::{Page, Reply};
use remedis_programs::{Process, Yard};
use remedis_screen::Theme;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Two looks are so far apart; each is two requests, of which the page takes 20 a second.
const LOOK_EVERY: Duration = Duration::from_millis(120);
/// The banner over a result that is old has more pixels than this; other things in its colour do not come with time.
const BANNER_PIXELS: usize = 1000;

/// The device's web page and the file with its screen.
pub(super) struct Watched {
    token: String,
    page: Page,
    screen: PathBuf,
}

/// The stages in the order of an image's way, then what comes after the answer.
const STAGES: [&str; 6] = ["wait", "decode", "judge", "store", "whole", "heat_map"];

/// Latency of a stage.
pub(super) struct StageTimes {
    pub(super) name: String,
    /// Images since the device was started.
    pub(super) n: u64,
    /// The latest of them, which the quantiles are of: all of them for ten minutes after a start, then those of five to ten minutes.
    pub(super) n_recent: u64,
    /// p50, p99, p99.9.
    pub(super) ms: [f64; 3],
}

impl Watched {
    pub(super) fn open(yard: &Yard, device: &Process, token: &str) -> Result<Self> {
        let page = Page::new("");
        Self { token: token.to_owned(), page, screen: yard.at("screen.png") }.again(device)
    }

    /// The same of a device that was started again: at another address, and sessions are over.
    pub(super) fn again(&self, device: &Process) -> Result<Self> {
        let address = device.wait_for("listening address=")?;
        let page = Page::new(&address).log_in(&self.token)?.with("Authorization", &format!("Bearer {}", self.token));
        Ok(Self { token: self.token.clone(), page, screen: self.screen.clone() })
    }

    fn metrics(&self) -> Result<Reply> {
        let reply = self.page.get("/metrics")?;
        if reply.status != 200 {
            bail!("metrics are answered with {}", reply.status);
        }
        Ok(reply)
    }

    pub(super) fn n_answers(&self) -> Result<u64> {
        self.metrics()?.metric("remedis_journal_answers").context("metrics tell the answers").map(|n| n as u64)
    }

    pub(super) fn stages(&self) -> Result<Vec<StageTimes>> {
        let metrics = self.metrics()?;
        let of = |name: &str| {
            let count = |what| Some(metrics.metric(&format!("remedis_stage_{what}{{stage=\"{name}\"}}"))? as u64);
            let (n, n_recent) = (count("seconds_count")?, count("recent_images")?);
            let quantile =
                |q| metrics.metric(&format!("remedis_stage_recent_seconds{{stage=\"{name}\",quantile=\"{q}\"}}"));
            let ms = [quantile("0.5")?, quantile("0.99")?, quantile("0.999")?].map(|s| (s * 1e5).round() / 100.0);
            Some(StageTimes { name: name.to_owned(), n, n_recent, ms })
        };
        STAGES.iter().map(|name| of(name).with_context(|| format!("metrics tell of the stage {name}"))).collect()
    }

    /// Once the sources fell silent: the age of the newest result when the screen, and when the web page, marked it as old.
    ///
    /// The age is counted from when its answer was first seen, so it may be a look more.
    pub(super) fn marks(&self, patience: Duration) -> Result<(Duration, Duration)> {
        let (mut n_answers, mut since, mut before) = (self.n_answers()?, Instant::now(), self.caution_pixels()?);
        let (mut on_screen, mut on_page) = (None, None);
        while on_screen.is_none() || on_page.is_none() {
            let n = self.n_answers()?;
            if n > n_answers {
                (n_answers, since, before) = (n, Instant::now(), usize::MAX);
            }
            let pixels = self.caution_pixels()?;
            before = before.min(pixels);
            if pixels > before + BANNER_PIXELS {
                on_screen.get_or_insert(since.elapsed());
            }
            if self.page.get("/")?.body.contains("class=\"stale\"") {
                on_page.get_or_insert(since.elapsed());
            }
            if since.elapsed() > patience {
                bail!("not marked as old after {patience:?}: screen {on_screen:?}, web page {on_page:?}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        on_screen.zip(on_page).context("both were seen")
    }

    /// Pixels of the screen in the colour of caution.
    fn caution_pixels(&self) -> Result<usize> {
        let screen = image::open(&self.screen).context("reading the screen")?.to_rgb8();
        let caution = Theme::DARK.caution;
        let colour = [caution.r(), caution.g(), caution.b()];
        Ok(screen.pixels().filter(|pixel| pixel.0 == colour).count())
    }
}

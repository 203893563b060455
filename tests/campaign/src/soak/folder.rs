//! Puts images into the watched folder as fast as they are answered, and takes away what is handed back.

use anyhow::{Context, Result};
use remedis_programs::Yard;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// So many files wait at most: the device is to be the one that is waited for.
const N_WAITING: usize = 16;

/// Feeds on a thread of its own, until all were handed back or it is dropped.
pub(super) struct Feeder {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_paused: AtomicBool,
    is_over: AtomicBool,
    n_handed_back: AtomicU64,
}

impl Feeder {
    pub(super) fn start(yard: &Yard, n_files: u64) -> Result<Self> {
        let images = yard.images("cells_a")?;
        let (inbox, beside) = (yard.at("inbox"), yard.at("unfinished"));
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            if let Err(cause) = feed(&images, &inbox, &beside, n_files, &shared) {
                eprintln!("the folder is fed no more: {cause:#}");
            }
        });
        Ok(Self { state })
    }

    pub(super) fn n_handed_back(&self) -> u64 {
        self.state.n_handed_back.load(Ordering::SeqCst)
    }

    pub(super) fn pause(&self, is_paused: bool) {
        self.state.is_paused.store(is_paused, Ordering::SeqCst);
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
    }
}

fn feed(images: &[PathBuf], inbox: &Path, beside: &Path, n_files: u64, state: &State) -> Result<()> {
    let mut n_put = 0;
    while !state.is_over.load(Ordering::SeqCst) {
        state.n_handed_back.fetch_add(take_away(&inbox.join("done"))?, Ordering::SeqCst);
        let may_put = n_put < n_files && !state.is_paused.load(Ordering::SeqCst);
        if may_put && names(inbox)?.len() < N_WAITING {
            put(&images[n_put as usize % images.len()], beside, &inbox.join(format!("{n_put:06}.png")))?;
            n_put += 1;
        } else {
            // Files of another process have no event here.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

fn put(image: &Path, beside: &Path, place: &Path) -> Result<()> {
    fs::copy(image, beside).context("copying an image")?;
    fs::rename(beside, place).context("putting an image into the inbox")
}

fn names(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(vec![]);
    }
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.is_file()).collect())
}

/// A folder with 50,000 files would slow the disk down, which is not the device's doing. The image is moved in last, so what comes
/// with it is whole. How many there were.
fn take_away(done: &Path) -> Result<u64> {
    let mut n = 0;
    for image in names(done)?.iter().filter(|path| path.extension().is_some_and(|end| end == "png")) {
        for path in [image.with_extension("png.json"), image.clone()] {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        n += 1;
    }
    Ok(n)
}

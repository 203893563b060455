//! Keys and touch panels that turn pages.

use crate::board::Board;
use crate::stop::Stop;
use evdev::{Device, EventSummary, KeyCode};
use remedis_settings::Page;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A device that is not there is looked for again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Starts the thread that turns a page at each key pressed or touch begun at `path`. It is no matter if the device is not there.
///
/// # Errors
/// When the system has no room for a thread.
pub fn listen(path: PathBuf, board: Arc<Board>, stop: Arc<Stop>) -> std::io::Result<()> {
    let listening = move || {
        while !stop.is_set() {
            // Unplugged or not there yet.
            let _gone = hear(&path, &board);
            stop.wait(TRY_AGAIN);
        }
    };
    // Reading waits for a key, and nobody waits for this thread.
    std::thread::Builder::new().name("keys".into()).spawn(listening).map(drop)
}

fn hear(path: &Path, board: &Board) -> std::io::Result<()> {
    let mut device = Device::open(path)?;
    loop {
        for event in device.fetch_events()? {
            if let EventSummary::Key(_, key, 1) = event.destructure() {
                board.change(|state| {
                    state.page = if key == KeyCode::KEY_HOME { Page::Live } else { state.page.next() };
                });
            }
        }
    }
}

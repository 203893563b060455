//! A keyboard made by the kernel (uinput) turns the pages; skipped where there is none to be had.

use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, EventType, InputEvent, KeyCode};
use remedis_device::board::Board;
use remedis_device::config::Page;
use remedis_device::log::Log;
use remedis_device::screen;
use remedis_device::stop::Stop;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A keyboard and the device that the kernel gave it.
fn keyboard() -> io::Result<(VirtualDevice, PathBuf)> {
    let keys = AttributeSet::from_iter([KeyCode::KEY_SPACE, KeyCode::KEY_HOME]);
    let mut keyboard = VirtualDevice::builder()?.name("remedis test keyboard").with_keys(&keys)?.build()?;
    let node =
        keyboard.enumerate_dev_nodes_blocking()?.next().unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))?;
    Ok((keyboard, node))
}

fn press(keyboard: &mut VirtualDevice, key: KeyCode) -> io::Result<()> {
    let events = [1, 0].map(|value| InputEvent::new(EventType::KEY.0, key.0, value));
    keyboard.emit(&events)
}

/// Whether the board shows `page` within `patience`.
fn comes_to(board: &Board, page: Page, patience: Duration) -> bool {
    let give_up = Instant::now() + patience;
    while board.look(|state| state.page) != page {
        if Instant::now() > give_up {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn keys_of_a_real_device_turn_the_pages() {
    let (mut keyboard, node) = match keyboard() {
        Ok(keyboard) => keyboard,
        Err(cause) => return println!("skipped: no keyboard from /dev/uinput: {cause}"),
    };
    // udev may be about to open it to us, or not be there at all.
    if !can_be_read(&node) {
        return println!("skipped: {} cannot be read", node.display());
    }
    let (board, stop) = (Arc::new(Board::default()), Arc::new(Stop::default()));
    screen::listen(node, Arc::clone(&board), Log::to(false, io::sink()), Arc::clone(&stop)).unwrap();
    let mut turn = |key, page, patience| {
        press(&mut keyboard, key).unwrap();
        comes_to(&board, page, patience)
    };
    // Pressed again and again, for keys are heard only once the thread listens.
    board.change(|state| state.page = Page::Status);
    assert!((0..100).any(|_| turn(KeyCode::KEY_HOME, Page::Live, Duration::from_millis(200))));
    for (key, page) in
        [(KeyCode::KEY_SPACE, Page::Results), (KeyCode::KEY_SPACE, Page::Trend), (KeyCode::KEY_HOME, Page::Live)]
    {
        assert!(turn(key, page, Duration::from_secs(20)), "{key:?} did not turn to {page:?}");
    }
    stop.set();
}

fn can_be_read(node: &Path) -> bool {
    (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        std::fs::File::open(node).is_ok()
    })
}

//! Keys and touch panels that turn pages.

use crate::board::Board;
use crate::stop::Stop;
use evdev::{Device, EventSummary, InputEvent, KeyCode};
use remedis_settings::Page;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A device that is not there is looked for again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What the kernel says of a key that went down; it says 0 when it goes up, and 2 while it is held.
const DOWN: i32 = 1;

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
            // Looked at first: a finger that moves is many events, and turns nothing.
            if let Some(page) = board.look(|state| turned(event, state.page)) {
                board.change(|state| state.page = page);
            }
        }
    }
}

/// The page that `event` turns to from `page`, if it turns any: home is the live page, every other key and a touch the next one.
fn turned(event: InputEvent, page: Page) -> Option<Page> {
    let EventSummary::Key(_, key, DOWN) = event.destructure() else { return None };
    match key {
        KeyCode::KEY_HOME => Some(Page::Live),
        KeyCode::BTN_TOUCH => Some(page.next()),
        // With a touch come the tool that touches and the buttons on it: they are no touches of their own.
        KeyCode(0x140..=0x14F) => None,
        _ => Some(page.next()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evdev::{AbsoluteAxisCode, EventType};

    fn after(kind: EventType, code: u16, value: i32) -> Option<Page> {
        turned(InputEvent::new(kind.0, code, value), Page::Trend)
    }

    fn key(key: KeyCode, value: i32) -> Option<Page> {
        after(EventType::KEY, key.0, value)
    }

    #[test]
    fn a_key_pressed_turns_to_the_next_page_and_home_to_the_live_one() {
        assert_eq!(key(KeyCode::KEY_SPACE, 1), Some(Page::Status));
        assert_eq!(key(KeyCode::BTN_0, 1), Some(Page::Status));
        assert_eq!(key(KeyCode::KEY_HOME, 1), Some(Page::Live));
    }

    #[test]
    fn a_key_released_or_held_turns_nothing() {
        for code in [KeyCode::KEY_SPACE, KeyCode::KEY_HOME, KeyCode::BTN_TOUCH] {
            assert_eq!((key(code, 0), key(code, 2)), (None, None));
        }
    }

    #[test]
    fn a_touch_turns_one_page_whatever_touches_and_however_it_moves() {
        assert_eq!(key(KeyCode::BTN_TOUCH, 1), Some(Page::Status));
        assert_eq!(key(KeyCode::BTN_TOOL_FINGER, 1), None);
        assert_eq!(key(KeyCode::BTN_TOOL_DOUBLETAP, 1), None);
        assert_eq!(key(KeyCode::BTN_TOOL_PEN, 1), None);
        assert_eq!(after(EventType::ABSOLUTE, AbsoluteAxisCode::ABS_X.0, 1), None);
        assert_eq!(after(EventType::SYNCHRONIZATION, 0, 1), None);
    }
}

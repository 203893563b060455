//! Keys and touch panels that turn pages.

use crate::board::Board;
use crate::log::{Log, Note};
use crate::pipeline::judge::chain;
use crate::stop::Stop;
use evdev::{Device, EventSummary, InputEvent, KeyCode};
use remedis_settings::Page;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A device that is not there is looked for again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What the kernel says of a key that went down; it says 0 when it goes up, and 2 while it is held.
const DOWN: i32 = 1;

/// Starts the thread that turns a page at each key pressed or touch begun at `path`. It is no matter if the device is not there; the log
/// says why nothing is heard.
///
/// # Errors
/// When the system has no room for a thread.
pub fn listen(path: PathBuf, board: Arc<Board>, log: Log, stop: Arc<Stop>) -> std::io::Result<()> {
    let listening = move || {
        let mut said = Said { log, reason: None };
        while !stop.is_set() {
            // Unplugged, not there yet, forbidden, or no input device.
            let Err(cause) = hear(&path, &board, &mut said);
            said.lost(format!("{}: {}", path.display(), chain(&cause)));
            stop.wait(TRY_AGAIN);
        }
    };
    // Reading waits for a key, and nobody waits for this thread.
    std::thread::Builder::new().name("keys".into()).spawn(listening).map(drop)
}

/// What the log was told of the keys.
struct Said {
    log: Log,
    /// Why they are not heard.
    reason: Option<String>,
}

impl Said {
    /// A reason is said once as long as it is the same.
    fn lost(&mut self, reason: String) {
        if self.reason.as_ref() != Some(&reason) {
            self.log.note(&Note::KeysLost { reason: &reason });
            self.reason = Some(reason);
        }
    }

    fn heard(&mut self) {
        if self.reason.take().is_some() {
            self.log.note(&Note::KeysBack);
        }
    }
}

fn hear(path: &Path, board: &Board, said: &mut Said) -> std::io::Result<Infallible> {
    let mut device = Device::open(path)?;
    said.heard();
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
    use crate::log::tests::Lines;
    use evdev::{AbsoluteAxisCode, EventType};
    use std::time::Instant;

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
    fn why_no_key_is_heard_is_said_once_and_so_is_that_keys_are_back() {
        let (out, folder) = (Lines::default(), tempfile::tempdir().unwrap());
        let log = Log::to(false, out.clone());
        let (board, stop) = (Arc::new(Board::default()), Arc::new(Stop::default()));
        listen(folder.path().join("event7"), Arc::clone(&board), log.clone(), Arc::clone(&stop)).unwrap();
        let give_up = Instant::now() + Duration::from_secs(30);
        while out.text().is_empty() {
            assert!(Instant::now() < give_up, "nothing is said");
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.set();
        let absent = out.text();
        assert!(absent.starts_with("keys_lost reason=") && absent.contains("event7: No such file"), "{absent}");
        let mut said = Said { log, reason: None };
        ["forbidden", "forbidden", "unplugged"].into_iter().for_each(|reason| said.lost(reason.to_owned()));
        [(); 2].into_iter().for_each(|()| said.heard());
        said.lost("unplugged".to_owned());
        let expected =
            "keys_lost reason=forbidden\nkeys_lost reason=unplugged\nkeys_back\nkeys_lost reason=unplugged\n";
        assert_eq!(out.text().strip_prefix(&absent), Some(expected));
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

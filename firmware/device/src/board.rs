//! What people may see of the device: written by whoever knows, read by screen, web page and metrics.

mod shown;
mod sources;

pub use shown::{Shown, for_people};
pub use sources::{SourceState, SourceStatus};

use crate::operation::alarm::{Alarm, Alarms};
use crate::operation::clock::up_ms;
use crate::pipeline::{HeatMap, ModelName};
use remedis_settings::Page;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Results with their pictures that are kept in memory; with pictures of at most [`Shown::MAX_SIDE`] pixels, 15 MB.
const N_RECENT: usize = 12;

/// Everything there is to see, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Which model answers.
    pub model: ModelName,
    /// Where images come from, in the order of the settings.
    pub sources: Vec<SourceStatus>,
    /// The last results, the newest first.
    pub recent: VecDeque<Arc<Shown>>,
    /// The source whose image is being judged now, and since when, in [`up_ms`].
    pub working: Option<(usize, u64)>,
    /// What is wrong.
    pub alarms: Alarms,
    /// Whether the clock that dates answers can be believed.
    pub is_clock_trusted: bool,
    /// When this run of the device began, in [`up_ms`].
    pub started_ms: u64,
    /// The page that the screen shows.
    pub page: Page,
    /// Answers in the journal.
    pub n_answers: u64,
    /// Degrees Celsius.
    pub celsius: Option<f64>,
    /// Bytes free where answers are kept.
    pub free_bytes: Option<u64>,
    /// Bytes there in all.
    pub total_bytes: Option<u64>,
}

/// The board itself. Who changes it wakes who looks at it.
#[derive(Debug, Default)]
pub struct Board {
    board: Mutex<Numbered>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Numbered {
    state: State,
    /// Counts changes.
    number: u64,
    is_over: bool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Numbered> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what there is to see, and wakes who looks, when it is another than before.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut board = self.lock();
        let outcome = change(&mut board.state);
        board.number += 1;
        drop(board);
        self.changed.notify_all();
        outcome
    }

    /// Looks at it.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// Waits for a change after number `seen`, at most `patience`: the state and its number, or `None` once there will be no more.
    pub fn wait(&self, seen: u64, patience: Duration) -> Option<(State, u64)> {
        let is_same = |board: &mut Numbered| board.number == seen && !board.is_over;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, is_same);
        let (board, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let is_last = board.is_over && board.number == seen;
        (!is_last).then(|| (board.state.clone(), board.number))
    }

    /// There will be no more changes.
    pub fn close(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Turns an alarm on. Whether anything changed.
    pub fn raise(&self, alarm: Alarm, detail: &str) -> bool {
        // Looked at first: an alarm that is only repeated wakes nobody.
        let is_repeated =
            self.look(|state| state.alarms.iter().any(|(on, raised)| on == alarm && raised.detail == detail));
        !is_repeated && self.change(|state| state.alarms.raise(alarm, up_ms(), detail))
    }

    /// Turns an alarm off. Whether it was on.
    pub fn clear(&self, alarm: Alarm) -> bool {
        let is_on = self.look(|state| state.alarms.iter().any(|(on, _)| on == alarm));
        is_on && self.change(|state| state.alarms.clear(alarm))
    }

    /// Shows a new result.
    pub fn show(&self, shown: Shown) {
        self.change(|state| {
            state.working = None;
            state.recent.truncate(N_RECENT - 1);
            state.recent.push_front(Arc::new(shown));
        });
    }

    /// Adds the heat-map of the answer `sequence`.
    pub fn show_heat_map(&self, sequence: u64, map: HeatMap) {
        self.change(|state| {
            if let Some(shown) = state.recent.iter_mut().find(|shown| shown.sequence == sequence) {
                Arc::make_mut(shown).heat_map = Some(map);
            }
        });
    }
}

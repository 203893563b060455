//! The thread that looks after the device: feeds systemd's watchdog while all pulses beat, and looks at clocks, disk, temperature
//! and the size of the journal.

use super::alarm::Alarm;
use super::clock::{JumpWatch, is_plausible, unix_ms, up_ms};
use super::pulse::{Overdue, Pulses};
use crate::board::Board;
use crate::ledger::Ledger;
use crate::log::{Log, Note};
use crate::stop::Stop;
use remedis_settings::{HealthConfig, JournalConfig};
use remedis_store::{Clock, Event, Retention};
use sd_notify::NotifyState;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often it looks, at most; the watchdog may ask for more.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Journals are cut this often.
const RETAIN_EVERY_MS: u64 = 60_000;
/// An alarm that tells of something that is over is shown for this long.
const PASSING_SHOWN_MS: u64 = 3_600_000;

/// What it looks after.
pub struct Watch {
    /// Signs of life of every part.
    pub pulses: Pulses,
    /// Where alarms are raised.
    pub board: Arc<Board>,
    /// What is cut, and where jumps of the clock are noted.
    pub ledger: Arc<Ledger>,
    /// Bounds.
    pub health: HealthConfig,
    /// How much is kept.
    pub journal: JournalConfig,
    /// The device's log.
    pub log: Log,
}

impl Watch {
    /// Looks until it is time to end.
    pub fn run(&self, stop: &Stop) {
        let fed_every = sd_notify::watchdog_enabled().map(|limit| limit / 3);
        let pause = fed_every.map_or(LOOK_EVERY, |every| every.min(LOOK_EVERY)).max(Duration::from_millis(10));
        let mut clock = JumpWatch::new(up_ms(), unix_ms());
        let mut retained_ms = None;
        loop {
            let now_ms = up_ms();
            self.feed(now_ms);
            if let Some(by_ms) = clock.look(now_ms, unix_ms()) {
                self.clock_jumped(by_ms);
            }
            self.forget(now_ms);
            self.trust_clock();
            self.feel_temperature();
            self.look_at_disk();
            // A full disk is given room at once, where the settings allow it.
            let is_full = self.board.look(|state| state.alarms.iter().any(|(alarm, _)| alarm == Alarm::DiskFull));
            if is_full || retained_ms.is_none_or(|at_ms| now_ms > at_ms + RETAIN_EVERY_MS) {
                // What one look cannot do, the next goes on with.
                retained_ms = self.cut(now_ms).then_some(now_ms);
            }
            if stop.wait(pause) {
                return;
            }
        }
    }

    /// Feeds the watchdog while every part gets on; when one hangs that a new start can help, systemd starts the device anew.
    fn feed(&self, now_ms: u64) {
        match self.pulses.overdue(now_ms) {
            None => {
                if self.board.clear(Alarm::Hanging) {
                    self.log.note(&Note::Moving);
                }
                tell(&[NotifyState::Watchdog]);
            }
            Some(Overdue { part, silent_ms, is_vital }) => {
                if self.board.raise(Alarm::Hanging, part) {
                    self.log.note(&Note::Hanging { part, silent_ms });
                }
                if !is_vital {
                    tell(&[NotifyState::Watchdog]);
                }
            }
        }
    }

    /// Takes alarms off that were shown for long enough.
    fn forget(&self, now_ms: u64) {
        let is_old = |since_ms: u64| now_ms.saturating_sub(since_ms) > PASSING_SHOWN_MS;
        let old: Vec<Alarm> = self.board.look(|state| {
            let passing = state.alarms.iter().filter(|(alarm, raised)| alarm.passes() && is_old(raised.since_ms));
            passing.map(|(alarm, _)| alarm).collect()
        });
        for alarm in old {
            self.board.clear(alarm);
        }
    }

    fn clock_jumped(&self, by_ms: i64) {
        self.log.note(&Note::ClockJumped { by_ms });
        // Shown for as long as the first one would be.
        self.board.clear(Alarm::ClockJumped);
        self.board.raise(Alarm::ClockJumped, &format!("by {:.0} s", by_ms as f64 / 1000.0));
        self.audit(&Event::ClockJumped { by_ms });
    }

    fn trust_clock(&self) {
        let is_trusted = is_plausible(unix_ms());
        if self.board.look(|state| state.is_clock_trusted) != is_trusted {
            self.board.change(|state| state.is_clock_trusted = is_trusted);
        }
    }

    fn feel_temperature(&self) {
        let Some(celsius) = self.health.thermometer.as_deref().and_then(temperature) else { return };
        if self.board.look(|state| state.celsius) != Some(celsius) {
            self.board.change(|state| state.celsius = Some(celsius));
        }
        match celsius > self.health.max_celsius {
            true => self.board.raise(Alarm::Hot, &format!("{celsius:.0} degrees Celsius")),
            false => self.board.clear(Alarm::Hot),
        };
    }

    fn look_at_disk(&self) {
        let folder = self.journal.answers.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        let Ok(found) = rustix::fs::statvfs(&folder) else { return };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        // In whole megabytes, so that not every answer is a change to be drawn.
        let free_megabytes = free >> 20;
        if self.board.look(|state| state.free_bytes) != Some(free_megabytes << 20) {
            let total_bytes = found.f_blocks.saturating_mul(found.f_frsize);
            self.board.change(|state| {
                (state.free_bytes, state.total_bytes) = (Some(free_megabytes << 20), Some(total_bytes));
            });
        }
        match free_megabytes < self.health.min_free_megabytes {
            true => self.board.raise(Alarm::DiskLow, &format!("{free_megabytes} MB free")),
            false => self.board.clear(Alarm::DiskLow),
        };
    }

    /// Removes old answers. Whether that is done, for now.
    fn cut(&self, now_ms: u64) -> bool {
        let JournalConfig { max_age_days, max_megabytes, .. } = self.journal;
        if max_age_days == 0 && max_megabytes == 0 {
            return true;
        }
        let unlimited = |limit: u32| if limit == 0 { u32::MAX } else { limit };
        let max_bytes = if max_megabytes == 0 { u64::MAX } else { u64::from(max_megabytes) << 20 };
        let policy = Retention { max_age_days: unlimited(max_age_days), max_bytes };
        let is_trusted = self.board.look(|state| state.is_clock_trusted);
        let clock = Clock { unix_ms: unix_ms(), is_trusted, uptime_ms: now_ms };
        match self.ledger.retain(&policy, clock) {
            Ok(retained) => {
                let removed = retained.n_removed_by_age + retained.n_removed_by_size;
                if removed > 0 {
                    self.board.change(|state| state.n_answers = state.n_answers.saturating_sub(removed));
                    self.log.note(&Note::Retained { removed, bytes: retained.bytes });
                }
                retained.is_complete
            }
            Err(cause) => {
                self.log.note(&Note::JournalFault { reason: &cause.to_string() });
                true
            }
        }
    }

    fn audit(&self, event: &Event) {
        if let Err(cause) = self.ledger.audit(event) {
            self.log.note(&Note::AuditFault { reason: &cause.to_string() });
        }
    }
}

/// Tells systemd, where it listens.
pub fn tell(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _nobody = sd_notify::notify(states);
}

/// What the kernel's file says, in degrees Celsius.
fn temperature(path: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.trim().parse::<i32>().ok().map(|thousandths| f64::from(thousandths) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_thousandths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("temp");
        std::fs::write(&path, "48312\n").unwrap();
        assert_eq!(temperature(&path), Some(48.312));
        std::fs::write(&path, "hot").unwrap();
        assert_eq!(temperature(&path), None);
    }

    #[test]
    fn more_answers_than_one_look_can_remove_go_with_the_next_looks() {
        const N: u64 = 2_300;
        let folder = tempfile::tempdir().unwrap();
        let journal = JournalConfig {
            answers: folder.path().join("answers.sqlite"),
            audit: folder.path().join("audit.log"),
            max_age_days: 1,
            max_megabytes: 0,
        };
        let (ledger, _) = Ledger::open(&journal).unwrap();
        let old = unix_ms() - 10 * 24 * 3_600_000;
        for number in 0..N {
            ledger.append(&answer(number, old)).unwrap();
        }
        // Young ones tell that it is the old ones' time that is right.
        ledger.append(&answer(N, unix_ms())).unwrap();
        let (board, stop) = (Arc::new(Board::default()), Arc::new(Stop::default()));
        board.change(|state| (state.n_answers, state.is_clock_trusted) = (N + 1, true));
        let (ledger, log) = (Arc::new(ledger), Log::to(false, std::io::sink()));
        let (pulses, health) = (Pulses::default(), HealthConfig::default());
        let watch = Watch { pulses, board: Arc::clone(&board), ledger: Arc::clone(&ledger), health, journal, log };
        std::thread::scope(|scope| {
            let watching = Arc::clone(&stop);
            scope.spawn(move || watch.run(&watching));
            let mut seen = 0;
            while board.look(|state| state.n_answers) > 1 {
                let (_, number) = board.wait(seen, Duration::from_secs(30)).unwrap();
                assert_ne!(number, seen, "the next look comes in time");
                seen = number;
            }
            stop.set();
        });
        assert_eq!(ledger.read(remedis_store::Answers::count).unwrap(), 1);
    }

    fn answer(number: u64, unix_ms: u64) -> remedis_store::Answer {
        use remedis_store::{Answer, ModelId, Trace, Verdict};
        Answer {
            source: "folder".into(),
            request: None,
            image_sha256: format!("{number:064x}"),
            image_bytes: 1,
            verdict: Verdict::Unreadable { reason: "none".into() },
            probabilities: vec![],
            model: ModelId { name: "m".into(), version: "1".into(), digest: "00".repeat(32) },
            unix_ms,
            is_clock_trusted: true,
            boot: 1,
            uptime_ms: up_ms(),
            trace: Trace {
                preprocessing: String::new(),
                plan: String::new(),
                gates: vec![],
                timings_ms: vec![],
                skipped_frames: 0,
                link: None,
            },
        }
    }
}

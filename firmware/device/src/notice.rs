//! What people see of a device that gives no answers: the page of alarms, and why.

use crate::board::Board;
use crate::ledger;
use crate::log::Log;
use crate::operation::alarm::Alarm;
use crate::operation::clock::{is_plausible, unix_ms, up_ms};
use crate::operation::pulse::Pulses;
use crate::screen::Screen;
use crate::stop::Stop;
use crate::web::{self, DeviceView, Door, Logins};
use remedis_settings::{Config, Page};
use remedis_slots::StartError;
use remedis_store::{OpenAuditError, OpenStoreError};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A screen of its own, and perhaps a web page, until it is dropped.
pub(crate) struct Notice {
    pub(crate) board: Arc<Board>,
    stop: Arc<Stop>,
    screen: Option<JoinHandle<()>>,
    door: Option<Door>,
}

impl Notice {
    /// Shows alarms as they are raised on its board.
    pub(crate) fn put(config: &Config, log: &Log) -> std::io::Result<Self> {
        let board = Arc::new(Board::default());
        board.change(|state| {
            (state.page, state.started_ms) = (Page::Alarms, up_ms());
            state.is_clock_trusted = is_plausible(unix_ms());
        });
        let screen = show(config, &board, log)?;
        Ok(Self { board, stop: Arc::default(), screen, door: None })
    }

    /// The same, on the web page too.
    ///
    /// # Errors
    /// When the page has no token, or the system no room for a thread.
    pub(crate) fn put_everywhere(config: &Config, log: &Log) -> anyhow::Result<Self> {
        let mut notice = Self::put(config, log)?;
        let page = config.web.as_ref().map(web::settings).transpose()?;
        let view = DeviceView {
            board: Arc::clone(&notice.board),
            ledger: None,
            telemetry: Arc::default(),
            queue: Arc::default(),
            stale_after_ms: 0,
            log: log.clone(),
            logins: Logins::new(None, log.clone())?,
        };
        notice.door = page.map(|page| Door::open(page, Arc::new(view), &notice.stop)).transpose()?;
        Ok(notice)
    }

    /// Leaves a last page behind, which tells of `alarm`.
    pub(crate) fn leave(config: &Config, alarm: Alarm, log: &Log) -> std::io::Result<()> {
        let notice = Self::put(config, log)?;
        notice.board.raise(alarm, "");
        Ok(())
    }
}

fn show(config: &Config, board: &Arc<Board>, log: &Log) -> std::io::Result<Option<JoinHandle<()>>> {
    let Some(settings) = config.screen.clone() else { return Ok(None) };
    let screen = Screen::new(settings, Arc::clone(board), None, 0, log.clone());
    let pulse = Pulses::default().part("screen", u64::MAX);
    std::thread::Builder::new().name("screen".into()).spawn(move || screen.run(&pulse)).map(Some)
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.stop.set();
        self.board.close();
        if let Some(door) = self.door.take() {
            door.close();
        }
        // A screen that panicked shows nothing any more either.
        let _panicked = self.screen.take().map(JoinHandle::join);
    }
}

/// The alarm of a device that ended for this reason.
pub(crate) fn alarm_of(cause: &anyhow::Error) -> Alarm {
    let is_audit = matches!(cause.downcast_ref(), Some(OpenAuditError::Damaged { .. }));
    let is_model = cause.downcast_ref::<StartError>().is_some();
    let is_store = cause.downcast_ref::<OpenStoreError>().is_some_and(|cause| !is_in_use(cause));
    ledger::passing(cause)
        .or(is_audit.then_some(Alarm::AuditBroken))
        .or(is_model.then_some(Alarm::NoModel))
        .or(is_store.then_some(Alarm::JournalFault))
        .unwrap_or(Alarm::Stopped)
}

/// Whether another device has the books: what that one shows is not ours to cover.
pub(crate) fn is_in_use(cause: &OpenStoreError) -> bool {
    matches!(cause, OpenStoreError::InUse { .. })
}

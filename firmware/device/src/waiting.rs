//! A device whose disk takes nothing yet: it says so on its screen and waits, rather than be started again and again.

use crate::ledger;
use crate::log::{Log, Note};
use crate::notice::Notice;
use crate::operation::watch::tell;
use crate::run::{Device, Order};
use remedis_settings::Config;
use remedis_store::Event;
use sd_notify::NotifyState;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// The disk is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Opens the device's books, however long a full or read-only disk takes; `None` when it is ordered to end before.
///
/// # Errors
/// When the books cannot be opened for another reason, which would not pass.
pub(crate) fn open(config: &Config, log: &Log, inbox: &Receiver<Order>) -> anyhow::Result<Option<Device>> {
    let mut notice = None;
    loop {
        let (alarm, cause) = match Device::open(config, log) {
            Ok(device) => {
                if notice.is_some() {
                    log.note(&Note::JournalBack);
                    device.audit(&Event::StoreRecovered);
                }
                return Ok(Some(device));
            }
            Err(cause) => match ledger::passing(&cause) {
                Some(alarm) => (alarm, cause),
                None => return Err(cause),
            },
        };
        let notice = match &notice {
            Some(notice) => notice,
            None => notice.insert(Notice::put(config, log)?),
        };
        if notice.board.raise(alarm, "") {
            log.note(&Note::JournalFault { reason: alarm.code() });
        }
        // It does what it can, so it is neither late nor hanging.
        tell(&[NotifyState::Ready, NotifyState::Status(&format!("{cause:#}")), NotifyState::Watchdog]);
        match inbox.recv_timeout(TRY_AGAIN) {
            Ok(Order::Look) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::End | Order::JudgeGone) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

//! A device whose disk takes nothing yet: it says so on its screen and its web page and waits, rather than be started again and again.

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
/// When the books cannot be opened for another reason, which would not pass, or the web page has no token.
pub(crate) fn open(config: &Config, log: &Log, inbox: &Receiver<Order>) -> anyhow::Result<Option<Device>> {
    until(config, log, inbox, || Device::open(config, log))
}

/// Waits until `open` opens them.
fn until(
    config: &Config,
    log: &Log,
    inbox: &Receiver<Order>,
    mut open: impl FnMut() -> anyhow::Result<Device>,
) -> anyhow::Result<Option<Device>> {
    let mut notice = None;
    loop {
        let (alarm, cause) = match open() {
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
            None => notice.insert(Notice::put_everywhere(config, log)?),
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

#[cfg(test)]
mod tests {
    use super::*;
    use remedis_store::OpenAuditError;
    use std::io::{Error, ErrorKind, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::path::Path;
    use std::sync::mpsc::channel;

    fn settings(folder: &Path, address: SocketAddr) -> Config {
        let token = remedis_web::Token::generate().unwrap().digest();
        std::fs::write(folder.join("web.token"), token.to_string()).unwrap();
        let text = format!(
            "bundle = 'b'\ntrusted_keys = ['k']\n[journal]\nanswers = 'answers.sqlite'\naudit = 'audit.log'\n
             [folder]\npath = 'inbox'\n[web]\naddress = '{address}'\ntoken = 'web.token'\n"
        );
        std::fs::write(folder.join("device.toml"), text).unwrap();
        Config::open(&folder.join("device.toml")).unwrap()
    }

    /// The answer of `/health`: its first line and its text.
    fn health(address: SocketAddr) -> (String, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), text.to_owned())
    }

    #[test]
    fn a_device_that_waits_for_its_disk_says_so_to_whoever_asks_for_its_health() {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = settings(folder.path(), address);
        let (log, (_orders, inbox)) = (Log::to(false, std::io::sink()), channel());
        let mut said = vec![];
        let open = || {
            if !said.is_empty() || TcpStream::connect(address).is_ok() {
                said.push(health(address));
                return Device::open(&config, &log);
            }
            let source = Error::from(ErrorKind::StorageFull);
            Err(OpenAuditError::Full { path: config.journal.audit.clone(), source }.into())
        };
        assert!(until(&config, &log, &inbox, open).unwrap().is_some());
        assert_eq!(said, [("HTTP/1.1 503 Service Unavailable".to_owned(), "not ok: disk_full\n".to_owned())]);
        assert!(TcpListener::bind(address).is_ok(), "the address is free for the device that runs");
    }
}

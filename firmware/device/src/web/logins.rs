//! Who logged in, for the audit log: written by a thread of its own, since a visitor must not wait for a disk.
//!
//! Whoever reaches the page can try tokens for years, and the audit log is never shortened: so the first refusal is written at once, and
//! those of the hour after it as one number.

use crate::ledger::Ledger;
use crate::log::{Log, Note};
use remedis_store::Event;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Refusals are told one by one no more often than this.
const SPAN: Duration = Duration::from_secs(3600);

/// Something about a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    Accepted,
    /// So many.
    Refused(u64),
}

/// The way to the audit log. What was told is there once this is dropped.
#[derive(Debug)]
pub struct Logins {
    /// None once there is no more to tell.
    sender: Option<Sender<Login>>,
    writer: Option<JoinHandle<()>>,
}

impl Logins {
    /// Writes to the audit log of `ledger`; without books the log for people has it all.
    ///
    /// # Errors
    /// When the system has no room for a thread.
    pub fn new(ledger: Option<Arc<Ledger>>, log: Log) -> io::Result<Self> {
        let (sender, inbox) = channel();
        let Some(ledger) = ledger else { return Ok(Self { sender: None, writer: None }) };
        let write = move |event: &Event| {
            if let Err(cause) = ledger.audit(event) {
                log.note(&Note::AuditFault { reason: &cause.to_string() });
            }
        };
        let writer = std::thread::Builder::new().name("logins".into()).spawn(move || write_all(&inbox, write))?;
        Ok(Self { sender: Some(sender), writer: Some(writer) })
    }

    /// Never waits.
    pub(super) fn tell(&self, login: Login) {
        if let Some(sender) = &self.sender {
            // A writer that has ended by a fault takes no more; the log for people has the login.
            let _ended = sender.send(login);
        }
    }
}

impl Drop for Logins {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(writer) = self.writer.take() {
            // One that panicked has ended too.
            let _panicked = writer.join();
        }
    }
}

/// Until nobody is left to tell anything.
fn write_all(inbox: &Receiver<Login>, mut write: impl FnMut(&Event)) {
    let mut refusals = Refusals::default();
    loop {
        let told = inbox.recv_timeout(SPAN);
        let now = Instant::now();
        let events = match told {
            Ok(Login::Accepted) => refusals.end().into_iter().chain([Event::OperatorLogin { ok: true }]).collect(),
            Ok(Login::Refused(n)) => refusals.add(n, now),
            Err(RecvTimeoutError::Timeout) => refusals.add(0, now),
            Err(RecvTimeoutError::Disconnected) => refusals.end().into_iter().collect::<Vec<_>>(),
        };
        events.iter().for_each(&mut write);
        if told == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// Refusals that are not written yet.
#[derive(Debug, Default)]
struct Refusals {
    count: u64,
    /// When one was last written.
    told: Option<Instant>,
}

impl Refusals {
    /// `n` more at `now`: what is to be written.
    fn add(&mut self, n: u64, now: Instant) -> Vec<Event> {
        self.count += n;
        if self.count == 0 || self.told.is_some_and(|told| now < told + SPAN) {
            return vec![];
        }
        self.told = Some(now);
        match self.count {
            1 => {
                self.count = 0;
                vec![Event::OperatorLogin { ok: false }]
            }
            _ => self.end().into_iter().collect(),
        }
    }

    /// All that are left, as one number.
    fn end(&mut self) -> Option<Event> {
        let count = std::mem::take(&mut self.count);
        (count > 0).then_some(Event::LoginsRefused { count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_of_wrong_tokens_is_a_line_an_hour_and_loses_none() {
        let (start, mut refusals, mut events) = (Instant::now(), Refusals::default(), vec![]);
        let n = 365 * 24 * 60;
        for minute in 0..n {
            events.extend(refusals.add(1, start + Duration::from_secs(60 * minute)));
        }
        events.extend(refusals.end());
        assert_eq!(events.first(), Some(&Event::OperatorLogin { ok: false }));
        assert!(events.len() <= 365 * 24 + 1, "{} lines", events.len());
        let count = |event: &Event| match event {
            Event::LoginsRefused { count } => *count,
            _ => 1,
        };
        assert_eq!(events.iter().map(count).sum::<u64>(), n);
    }

    #[test]
    fn who_comes_in_after_wrong_tokens_is_written_after_them() {
        let (sender, inbox) = channel();
        for login in [Login::Refused(1), Login::Refused(3), Login::Refused(20), Login::Accepted, Login::Refused(2)] {
            sender.send(login).unwrap();
        }
        drop(sender);
        let mut events = vec![];
        write_all(&inbox, |event| events.push(event.clone()));
        let login = |ok| Event::OperatorLogin { ok };
        let refused = |count| Event::LoginsRefused { count };
        assert_eq!(events, [login(false), refused(23), login(true), refused(2)]);
    }

    #[test]
    fn who_tells_does_not_wait_for_the_writer_and_the_end_does() {
        let (sender, inbox) = channel();
        let (entered, is_in) = channel();
        let (go, held) = channel::<()>();
        let (written, events) = channel();
        let writer = std::thread::spawn(move || {
            write_all(&inbox, |event| {
                entered.send(()).unwrap();
                held.recv().unwrap();
                written.send(event.clone()).unwrap();
            });
        });
        let logins = Logins { sender: Some(sender), writer: Some(writer) };
        logins.tell(Login::Refused(1));
        is_in.recv().unwrap();
        // The disk hangs: this returns all the same.
        logins.tell(Login::Accepted);
        go.send(()).unwrap();
        go.send(()).unwrap();
        drop(logins);
        assert_eq!(events.try_iter().count(), 2);
    }
}

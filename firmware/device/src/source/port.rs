//! Keeps a serial port open and hands over what arrives.
//!
//! Knows nothing of protocols. When the port goes away (unplugged, hung up) it says so and opens it again, waiting longer after each
//! failure. What arrived before anybody listened is thrown away: the protocols begin with a greeting.

mod latency;
mod writer;

pub(super) use writer::Writer;

use crate::log::Note;
use crate::pipeline::Desk;
use crate::stop::Stop;
use serialport::{ClearBuffer, SerialPort, TTYPort};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::{Arc, mpsc::SyncSender};
use std::time::Duration;

/// A read returns after this long without a byte, to see whether it is time to end.
const READ_LIMIT: Duration = Duration::from_millis(200);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What happens to a port.
pub enum PortEvent {
    /// It is open; write here.
    Opened(Writer),
    /// Its USB adapter collects bytes for so long before it hands them over, and cannot be told otherwise.
    Slow {
        /// Milliseconds.
        latency_ms: u32,
    },
    /// Bytes arrived.
    Bytes(Vec<u8>),
    /// It is gone, for this reason.
    Lost(String),
}

/// Starts the thread that owns the port, and tells what happens to it as its owner's event. It ends when `stop` is set or nobody listens any more.
///
/// # Errors
/// When the system has no room for a thread.
pub(super) fn spawn<E: Send + 'static>(
    path: PathBuf,
    baud: u32,
    as_event: fn(PortEvent) -> E,
    events: SyncSender<E>,
    stop: Arc<Stop>,
) -> std::io::Result<()> {
    std::thread::Builder::new().name("port".into()).spawn(move || {
        let tell = |event: PortEvent| events.send(as_event(event)).map_err(|_unsent| ListenerGone);
        let port = Port { path, baud, sysfs: PathBuf::from(latency::SYSFS) };
        // A listener that has gone is the other reason to end, and needs no message.
        let _listener_gone = port.keep_open(&tell, &stop);
    })?;
    Ok(())
}

struct ListenerGone;

/// Which port, and how it is opened.
struct Port {
    path: PathBuf,
    baud: u32,
    /// Where the kernel keeps settings of USB adapters.
    sysfs: PathBuf,
}

impl Port {
    fn keep_open(
        &self,
        tell: &impl Fn(PortEvent) -> Result<(), ListenerGone>,
        stop: &Stop,
    ) -> Result<(), ListenerGone> {
        let mut pause = FIRST_PAUSE;
        let (mut told, mut told_latency) = (String::new(), None);
        while !stop.is_set() {
            let reason = match self.open() {
                Ok((reader, writer)) => {
                    tell(PortEvent::Opened(writer))?;
                    let latency = latency::lower(&self.sysfs, &self.path);
                    if let Some(latency_ms) = latency.filter(|_| latency != told_latency) {
                        tell(PortEvent::Slow { latency_ms })?;
                    }
                    told_latency = latency;
                    let (reason, has_heard) = read(reader, tell, stop)?;
                    if has_heard {
                        pause = FIRST_PAUSE;
                    }
                    told.clear();
                    reason
                }
                Err(cause) => format!("cannot open {}: {cause}", self.path.display()),
            };
            if stop.is_set() {
                break;
            }
            if told != reason {
                told.clone_from(&reason);
                tell(PortEvent::Lost(reason))?;
            }
            stop.wait(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    /// The port for reading and for writing, without what arrived before anybody listened.
    fn open(&self) -> serialport::Result<(TTYPort, Writer)> {
        let file = Writer::open(&self.path)?;
        let reader = serialport::new(self.path.to_string_lossy(), self.baud).timeout(READ_LIMIT).open_native()?;
        reader.clear(ClearBuffer::Input)?;
        let writer = Writer::new(file, reader.try_clone_native()?, self.baud);
        Ok((reader, writer))
    }
}

/// Reads until the port is lost or it is time to end: why, and whether anything arrived.
fn read(
    mut port: TTYPort,
    tell: &impl Fn(PortEvent) -> Result<(), ListenerGone>,
    stop: &Stop,
) -> Result<(String, bool), ListenerGone> {
    let mut bytes = [0; 4096];
    let mut has_heard = false;
    while !stop.is_set() {
        match port.read(&mut bytes) {
            Ok(0) => return Ok(("the port was hung up".into(), has_heard)),
            Ok(n) => {
                has_heard = true;
                tell(PortEvent::Bytes(bytes[..n].to_vec()))?;
            }
            Err(cause) if is_passing(cause.kind()) => {}
            Err(cause) => return Ok((cause.to_string(), has_heard)),
        }
    }
    Ok(("stopped".into(), has_heard))
}

/// Says in the log that the port's adapter collects bytes for so long, and what helps.
pub(super) fn note_slow(desk: &Desk, latency_ms: u32) {
    desk.log().note(&Note::SlowPort { source: desk.name(), latency_ms, advice: latency::ADVICE });
}

/// Whether an error says nothing about the port's health.
pub(super) fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::Path;
    use std::sync::mpsc::channel;

    /// The far end of a line, and the name of its near end.
    fn line() -> (TTYPort, PathBuf) {
        let (far, near) = TTYPort::pair().unwrap();
        (far, PathBuf::from(near.name().unwrap()))
    }

    fn link(path: &Path, to: &Path) {
        // There is none at first.
        let _none = std::fs::remove_file(path);
        std::os::unix::fs::symlink(to, path).unwrap();
    }

    #[test]
    fn an_adapter_that_stays_slow_is_told_once_however_often_it_is_plugged_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usb-FTDI_1-if00-port0");
        let [(far, name), (mut other_far, other_name)] = [line(), line()];
        let (sysfs, _timer) = latency::tests::fixed_sysfs(folder.path(), &name, "16\n");
        let (_, _other_timer) = latency::tests::fixed_sysfs(folder.path(), &other_name, "16\n");
        link(&path, &name);
        let (events, inbox) = channel();
        let stop = Arc::new(Stop::default());
        let (to_stop, port) = (Arc::clone(&stop), Port { path: path.clone(), baud: 9600, sysfs });
        let thread = std::thread::spawn(move || {
            let tell = |event| events.send(event).map_err(|_unsent| ListenerGone);
            let _listener_gone = port.keep_open(&tell, &to_stop);
        });
        let next = || inbox.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(matches!(next(), PortEvent::Opened(_)));
        assert!(matches!(next(), PortEvent::Slow { latency_ms: 16 }));
        link(&path, &other_name);
        drop(far);
        assert!(matches!(next(), PortEvent::Lost(_)));
        let opened = next();
        assert!(matches!(opened, PortEvent::Opened(_)));
        other_far.write_all(b"!").unwrap();
        assert!(matches!(next(), PortEvent::Bytes(bytes) if bytes == b"!"));
        stop.set();
        thread.join().unwrap();
    }
}

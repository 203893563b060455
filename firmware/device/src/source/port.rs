//! Keeps a serial port open and hands over what arrives.
//!
//! Knows nothing of protocols. When the port goes away (unplugged, hung up) it says so and opens it again, waiting longer after each
//! failure. What arrived before anybody listened is thrown away: the protocols begin with a greeting.

mod writer;

pub(super) use writer::Writer;

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
        let port = Port { path, baud };
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
}

impl Port {
    fn keep_open(
        &self,
        tell: &impl Fn(PortEvent) -> Result<(), ListenerGone>,
        stop: &Stop,
    ) -> Result<(), ListenerGone> {
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        while !stop.is_set() {
            let reason = match self.open() {
                Ok((reader, writer)) => {
                    tell(PortEvent::Opened(writer))?;
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

/// Whether an error says nothing about the port's health.
pub(super) fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

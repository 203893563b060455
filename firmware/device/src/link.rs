//! Keeps the serial port open and hands over what arrives.
//!
//! Knows nothing of the protocol. When the port goes away (unplugged, hung up) it says so and opens it again, waiting
//! longer after each failure.

use crate::{Event, config::LinkConfig, stop::Stop};
use serialport::{ClearBuffer, SerialPort, TTYPort};
use std::io::{ErrorKind, Read};
use std::sync::{Arc, mpsc::SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

/// A read returns after this long without a byte, to see whether it is time to end.
const READ_LIMIT: Duration = Duration::from_millis(200);

/// A write that takes longer than this is given up; the protocol repeats what was in it.
const WRITE_LIMIT: Duration = Duration::from_millis(500);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Starts the thread that owns the port. It ends when `stop` is set or nobody listens any more.
///
/// # Errors
/// When the system has no room for a thread.
pub fn spawn(config: LinkConfig, events: SyncSender<Event>, stop: Arc<Stop>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("link".into()).spawn(move || {
        // A listener that has gone is the other reason to end, and needs no message.
        let _listener_gone = keep_open(&config, &events, &stop);
    })
}

struct ListenerGone;

fn keep_open(config: &LinkConfig, events: &SyncSender<Event>, stop: &Stop) -> Result<(), ListenerGone> {
    let tell = |event| events.send(event).map_err(|_unsent| ListenerGone);
    let mut pause = FIRST_PAUSE;
    let mut told = String::new();
    while !stop.is_set() {
        let reason = match open(config) {
            Ok((reader, writer)) => {
                tell(Event::Opened(Box::new(writer)))?;
                let (reason, has_heard) = read(reader, &tell, stop)?;
                if has_heard {
                    pause = FIRST_PAUSE;
                }
                told.clear();
                reason
            }
            Err(cause) => format!("cannot open {}: {cause}", config.port.display()),
        };
        if stop.is_set() {
            break;
        }
        if told != reason {
            told.clone_from(&reason);
            tell(Event::Lost(reason))?;
        }
        stop.wait(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// The port for reading and for writing, without what arrived before anybody listened.
fn open(config: &LinkConfig) -> serialport::Result<(TTYPort, TTYPort)> {
    let path = config.port.to_string_lossy();
    let reader = serialport::new(path, config.baud).timeout(READ_LIMIT).open_native()?;
    reader.clear(ClearBuffer::Input)?;
    let mut writer = reader.try_clone_native()?;
    writer.set_timeout(WRITE_LIMIT)?;
    Ok((reader, writer))
}

/// Reads until the port is lost or it is time to end: why, and whether anything arrived.
fn read(
    mut port: TTYPort,
    tell: &impl Fn(Event) -> Result<(), ListenerGone>,
    stop: &Stop,
) -> Result<(String, bool), ListenerGone> {
    let mut bytes = [0; 4096];
    let mut has_heard = false;
    while !stop.is_set() {
        match port.read(&mut bytes) {
            Ok(0) => return Ok(("the port was hung up".into(), has_heard)),
            Ok(n) => {
                has_heard = true;
                tell(Event::Bytes(bytes[..n].to_vec()))?;
            }
            Err(cause) if is_passing(cause.kind()) => {}
            Err(cause) => return Ok((cause.to_string(), has_heard)),
        }
    }
    Ok(("stopped".into(), has_heard))
}

/// Whether an error says nothing about the port's health.
pub(crate) fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

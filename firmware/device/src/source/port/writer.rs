//! The end of a port for writing, which keeps nobody waiting for ever.
//!
//! A peer may be there and read nothing, such as a microcontroller on USB whose program hangs. What it does not take in time is thrown
//! away: the protocols repeat what matters.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use serialport::{ClearBuffer, SerialPort, TTYPort};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A packet that is not taken within this time is given up.
const WRITE_LIMIT: Duration = Duration::from_millis(500);
/// What drivers and USB may add to the time that bytes take on the line.
const SLACK: Duration = Duration::from_millis(100);
/// Longest wait for bytes to leave, however slow the line.
const LONGEST_DRAIN: Duration = Duration::from_secs(2);
/// Between two looks at what has not left yet: of that the kernel tells by no event but `tcdrain`, which waits for ever.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A port, to write to.
#[derive(Debug)]
pub struct Writer {
    /// Opened on its own, so that it need not block: a port that blocks takes a packet whole, and waits for ever when it had room for the
    /// beginning only.
    file: File,
    port: TTYPort,
    baud: u32,
    /// Whether the last packet was not taken: then none is waited for, or each of many would cost its time.
    is_stuck: bool,
}

impl Writer {
    /// The file that a writer needs; a port that is in exclusive use can no longer be opened.
    pub(super) fn open(path: &Path) -> io::Result<File> {
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
        File::options().read(true).write(true).custom_flags(flags).open(path)
    }

    /// The end for writing of `port`, which runs at `baud`.
    pub(super) fn new(file: File, port: TTYPort, baud: u32) -> Self {
        Self { file, port, baud, is_stuck: false }
    }

    /// Bits a second that the port runs at.
    pub fn baud(&self) -> u32 {
        self.baud
    }

    /// Writes a packet whole.
    ///
    /// # Errors
    /// When the port is gone, or does not take the packet in time; a part of it may then have been written.
    pub fn write(&mut self, packet: &[u8]) -> io::Result<()> {
        let limit = if self.is_stuck { Duration::ZERO } else { WRITE_LIMIT };
        let written = self.write_until(Instant::now() + limit, packet);
        self.is_stuck = written.is_err();
        written
    }

    fn write_until(&mut self, end: Instant, mut packet: &[u8]) -> io::Result<()> {
        while !packet.is_empty() {
            match self.file.write(packet) {
                Ok(n) if n > 0 => packet = &packet[n..],
                Err(cause) if !super::is_passing(cause.kind()) => return Err(cause),
                Ok(_) | Err(_) => self.wait_for_room(end)?,
            }
        }
        Ok(())
    }

    fn wait_for_room(&self, end: Instant) -> io::Result<()> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let limit = Timespec::try_from(left).expect("half a second at most");
        match poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], Some(&limit)) {
            // Whether there is room now, the next write tells.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Goes to another rate. What was written leaves at the rate before, or is thrown away when it does not leave in time.
    ///
    /// # Errors
    /// When the port is gone or cannot have this rate.
    pub fn set_baud(&mut self, baud: u32) -> serialport::Result<()> {
        self.drain()?;
        self.port.set_baud_rate(baud)?;
        self.baud = baud;
        Ok(())
    }

    fn drain(&mut self) -> serialport::Result<()> {
        if is_drained(|| self.port.bytes_to_write(), self.baud)? {
            // Only what the chip holds is left, and no flow control keeps it there.
            self.port.flush()?;
        } else {
            self.port.clear(ClearBuffer::Output)?;
        }
        Ok(())
    }
}

impl Drop for Writer {
    /// The kernel waits half a minute before it closes a port whose peer does not read.
    fn drop(&mut self) {
        // Of a port that is gone there is nothing to wait for.
        let _gone = self.drain();
    }
}

/// Waits until no bytes are `waiting` to leave, for as long as they take at `baud`; whether they have left.
fn is_drained(waiting: impl Fn() -> serialport::Result<u32>, baud: u32) -> serialport::Result<bool> {
    let end = Instant::now() + (time_of(waiting()?, baud) + SLACK).min(LONGEST_DRAIN);
    while waiting()? > 0 {
        if Instant::now() >= end {
            return Ok(false);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(true)
}

/// How long bytes take on a line: ten bits each, with those at their beginning and end.
fn time_of(n_bytes: u32, baud: u32) -> Duration {
    Duration::from_micros(u64::from(n_bytes) * 10_000_000 / u64::from(baud.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::io::Read;

    /// A busy machine may add so much to any time.
    const BUSY: Duration = Duration::from_secs(5);

    /// The far end of a line, and the writer at the near one.
    fn line() -> (TTYPort, Writer) {
        let (far, near) = TTYPort::pair().unwrap();
        let file = Writer::open(Path::new(&near.name().unwrap())).unwrap();
        (far, Writer::new(file, near, 9600))
    }

    /// Writes packets of 15 bytes until one is not taken: how many were.
    fn fill(writer: &mut Writer) -> usize {
        let start = Instant::now();
        for n in 0.. {
            if let Err(cause) = writer.write(&[7; 15]) {
                assert_eq!(cause.kind(), ErrorKind::TimedOut);
                assert!(start.elapsed() < WRITE_LIMIT + BUSY, "{:?}", start.elapsed());
                return n;
            }
        }
        unreachable!("a line takes no end of bytes")
    }

    #[test]
    fn a_far_end_that_does_not_read_costs_a_packet_and_no_more_time_than_stated() {
        let (mut far, mut writer) = line();
        let n = fill(&mut writer);
        let start = Instant::now();
        for _ in 0..100 {
            assert_eq!(writer.write(&[7; 15]).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        assert!(start.elapsed() < BUSY, "a packet of many costs no time: {:?}", start.elapsed());
        let mut taken = vec![0; n * 15];
        far.read_exact(&mut taken).unwrap();
        assert!(taken.iter().all(|byte| *byte == 7));
        writer.write(b"again").unwrap();
        let mut rest = [0; 64];
        let mut heard = vec![];
        while !heard.ends_with(b"again") {
            let n = far.read(&mut rest).unwrap();
            heard.extend_from_slice(&rest[..n]);
        }
        assert!(heard.len() < 15 + 5, "a part of one packet: {heard:?}");
    }

    #[test]
    fn a_rate_is_changed_also_when_the_far_end_does_not_read() {
        let (far, mut writer) = line();
        fill(&mut writer);
        let start = Instant::now();
        writer.set_baud(57_600).unwrap();
        assert!(start.elapsed() < LONGEST_DRAIN + BUSY);
        assert_eq!((far.baud_rate().unwrap(), writer.baud()), (57_600, 57_600));
    }

    #[test]
    fn bytes_that_leave_are_waited_for_and_bytes_that_stay_are_not() {
        let left = Cell::new(30_u32);
        let leaving = || {
            left.set(left.get().saturating_sub(1));
            Ok(left.get())
        };
        assert!(is_drained(leaving, 9600).unwrap());
        let start = Instant::now();
        assert!(!is_drained(|| Ok(100), 9600).unwrap());
        let waited = start.elapsed();
        assert!(waited >= time_of(100, 9600) && waited < BUSY, "{waited:?}");
        let start = Instant::now();
        assert!(!is_drained(|| Ok(u32::MAX), 50).unwrap());
        assert!(start.elapsed() < LONGEST_DRAIN + BUSY);
    }

    #[test]
    fn a_byte_is_ten_bits() {
        assert_eq!(time_of(96, 9600), Duration::from_millis(100));
        assert_eq!(time_of(1, 0), Duration::from_secs(10));
    }
}

//! The two lines a simulated hardware can sit on. Neither ever blocks for ever, and neither dies with the device.

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use serialport::{SerialPort, TTYPort};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A byte line with time.
pub(crate) trait Line {
    /// Waits up to `patience` for bytes; 0 when none came.
    fn read(&mut self, into: &mut [u8], patience: Duration) -> io::Result<usize>;

    /// Writes what the line takes at once. The rest is lost, as on a wire nobody listens to.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Line for Box<dyn Line> {
    fn read(&mut self, into: &mut [u8], patience: Duration) -> io::Result<usize> {
        self.as_mut().read(into, patience)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.as_mut().write(bytes)
    }
}

/// A pseudo-terminal: the hardware holds the master, the device opens [`Pseudo::path`].
pub(crate) struct Pseudo {
    master: OwnedFd,
    /// Held open so that the line outlives a device that dies: without any slave, reads would fail with EIO.
    _slave: OwnedFd,
    path: PathBuf,
    link: Option<PathBuf>,
}

impl Pseudo {
    /// Opens a pseudo-terminal in raw mode and points `link` to it.
    pub(crate) fn open(link: Option<&Path>) -> Result<Self> {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("no pseudo-terminal")?;
        rustix::pty::grantpt(&master).context("cannot grant the pseudo-terminal")?;
        rustix::pty::unlockpt(&master).context("cannot unlock the pseudo-terminal")?;
        rustix::fs::fcntl_setfl(&master, OFlags::NONBLOCK).context("cannot make the pseudo-terminal non-blocking")?;
        let name = rustix::pty::ptsname(&master, Vec::new()).context("the pseudo-terminal has no name")?;
        let slave = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())
            .context("cannot open the pseudo-terminal")?;
        let mut settings = tcgetattr(&slave).context("cannot read the terminal settings")?;
        settings.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &settings).context("cannot set the terminal to raw mode")?;
        let target = PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes()));
        if let Some(link) = link {
            point(link, &target)?;
        }
        let path = link.unwrap_or(&target).to_path_buf();
        Ok(Pseudo { master, _slave: slave, path, link: link.map(Path::to_path_buf) })
    }

    /// What the device is to open.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes `link` a symbolic link to `target`, in place of an older one.
fn point(link: &Path, target: &Path) -> Result<()> {
    match link.symlink_metadata() {
        Ok(found) if found.is_symlink() => {
            std::fs::remove_file(link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        Ok(_) => bail!("{} exists and is not a link: remove it or choose another --link", link.display()),
        Err(_) => {}
    }
    std::os::unix::fs::symlink(target, link).with_context(|| format!("cannot make the link {}", link.display()))
}

impl Drop for Pseudo {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            // Nothing depends on it: a link left behind is replaced by the next run.
            let _ = std::fs::remove_file(link);
        }
    }
}

impl Line for Pseudo {
    fn read(&mut self, into: &mut [u8], patience: Duration) -> io::Result<usize> {
        let limit = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&limit)) {
            Ok(0) | Err(Errno::INTR) => return Ok(0),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match rustix::io::read(&self.master, into) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            read => Ok(read?),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match rustix::io::write(&self.master, bytes) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A serial port, opened again when it was unplugged.
pub(crate) struct Serial {
    name: String,
    baud: u32,
    port: Option<TTYPort>,
}

impl Serial {
    /// Opens the port `name`.
    pub(crate) fn open(name: &str, baud: u32) -> Result<Self> {
        let port = open_port(name, baud)
            .with_context(|| format!("cannot open serial port {name}: is it plugged in, and may you use it?"))?;
        Ok(Serial { name: name.to_owned(), baud, port: Some(port) })
    }

    /// Lets `act` use the port; a port that fails is dropped, and opened again the next time.
    fn with_port<T>(&mut self, nothing: T, act: impl FnOnce(&mut TTYPort) -> io::Result<T>) -> T {
        if self.port.is_none() {
            self.port = open_port(&self.name, self.baud).ok();
        }
        let Some(port) = &mut self.port else { return nothing };
        match act(port) {
            Ok(done) => done,
            Err(error) if is_patience(&error) => nothing,
            Err(_) => {
                self.port = None;
                nothing
            }
        }
    }
}

fn open_port(name: &str, baud: u32) -> serialport::Result<TTYPort> {
    serialport::new(name, baud).open_native()
}

fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Line for Serial {
    fn read(&mut self, into: &mut [u8], patience: Duration) -> io::Result<usize> {
        let n = self.with_port(0, |port| {
            port.set_timeout(patience)?;
            match port.read(into)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                n => Ok(n),
            }
        });
        if self.port.is_none() {
            // An unplugged port has no event to wait for.
            std::thread::sleep(patience);
        }
        Ok(n)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with_port((), |port| {
            port.set_timeout(Duration::from_secs(1))?;
            port.write_all(bytes)
        });
        Ok(())
    }
}

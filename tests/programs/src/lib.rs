//! The built programs, driven from outside as a user would: found, started, listened to, ended.
//!
//! The programs come from the target folder this test was built into, and the tiny run (a whole chain on synthetic images)
//! from the folder in `REMEDIS_TINY`; `cargo xtask check` makes both first. Without them a test says that it was skipped, which in CI
//! is a failure.

pub mod http;
mod process;
mod yard;

pub use process::{Process, wait_until};
pub use yard::Yard;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Says that a test is skipped, and why.
///
/// # Panics
/// In CI: what a test there lacks would never be noticed.
pub fn skip(why: &str) {
    skip_where(std::env::var_os("CI").is_some(), why);
}

fn skip_where(is_ci: bool, why: &str) {
    assert!(!is_ci, "CI skips nothing, but {why}");
    eprintln!("skipped: {why}");
}

/// The built program `name`, or `None`, saying so, where it was not built.
pub fn program(name: &str) -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    // A test lies in a folder beside the programs, a program among them.
    let at = here.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|at| at.is_file());
    if at.is_none() {
        let folder = here.ancestors().nth(2).unwrap_or(&here).display();
        skip(&format!(
            "{name} is not built in {folder}; run `cargo xtask check`, or `cargo build --workspace --bins` first"
        ));
    }
    at
}

/// A finished run of the tiny recipe.
#[derive(Clone, Debug)]
pub struct Tiny {
    /// The demo's output folder: `data/`, `run/`, `device/`, `summary.json`.
    pub folder: PathBuf,
}

impl Tiny {
    /// The run named by `REMEDIS_TINY`, or `None`, saying so.
    pub fn find() -> Option<Self> {
        let Some(folder) =
            std::env::var_os("REMEDIS_TINY").map(PathBuf::from).filter(|at| at.join("summary.json").is_file())
        else {
            skip("REMEDIS_TINY does not name a finished tiny run; `cargo xtask check` makes one");
            return None;
        };
        Some(Self { folder })
    }

    /// The signed bundle.
    pub fn bundle(&self) -> PathBuf {
        self.folder.join("run/bundle.remedis")
    }

    /// The public key that signed it.
    pub fn key(&self) -> PathBuf {
        self.folder.join("run/keys/signing.pub")
    }

    /// The synthetic image set `name`: `cells_a`, `cells_b` or `natural`.
    pub fn set(&self, name: &str) -> PathBuf {
        self.folder.join("data").join(name)
    }
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Run `program` with `arguments` to its end.
///
/// # Panics
/// If it cannot be started.
pub fn say(program: &Path, arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Said {
    let mut command = Command::new(program);
    for argument in arguments {
        command.arg(argument.as_ref());
    }
    let Output { status, stdout, stderr } = command.output().expect("the program was just found, so it starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Random moments to kill at, always the same ones: xorshift (Marsaglia 2003).
#[derive(Debug)]
pub struct Moments(u64);

impl Default for Moments {
    fn default() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }
}

impl Moments {
    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The Python of the test peers, from the folder in `REMEDIS_PEERS` or where `install-peers.sh` puts them; `None`, saying so, where
/// there is none.
pub fn peer_python() -> Option<PathBuf> {
    let named = std::env::var_os("REMEDIS_PEERS").map(PathBuf::from);
    let folder = named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/remedis/peers")))?;
    let python = folder.join("bin/python");
    if !python.exists() {
        skip("there are no test peers; tools/peers/install-peers.sh installs them");
        return None;
    }
    Some(python)
}

/// Run `tools/peers/<script>` in the peers' Python.
///
/// # Panics
/// If Python cannot be started.
pub fn peer_says(python: &Path, script: &str, arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Said {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/peers").join(script);
    say(python, &[&[&script as &dyn AsRef<std::ffi::OsStr>], arguments].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "CI skips nothing, but there is no browser")]
    fn in_ci_a_test_that_is_skipped_fails() {
        skip_where(true, "there is no browser");
    }

    #[test]
    fn elsewhere_it_says_so_and_passes() {
        skip_where(false, "there is no browser");
    }
}

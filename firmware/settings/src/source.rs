//! Where images come from.

use crate::explain::Explain;
use crate::{ConfigError, value};
use remedis_link::{MAX_RATES, Rates};
use serde::Deserialize;
use std::path::PathBuf;

/// Our own link over a serial line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkConfig {
    /// The port, such as `/dev/ttyUSB0`. Prefer a name under `/dev/serial/by-id`: it survives replugging.
    pub port: PathBuf,
    /// Bits a second at which the line begins. Frames are 8 data bits, no parity, 1 stop bit.
    pub baud: u32,
    /// Other rates that are listened at in turn while nothing sensible arrives, and that the hardware may ask for; 7 at most.
    #[serde(default)]
    pub other_bauds: Vec<u32>,
    /// Tells this device from others on the same bench.
    #[serde(default)]
    pub device_id: u64,
    /// Largest image taken, in bytes, 1 to 16 777 216. The device keeps two of this size in memory.
    #[serde(default = "default_max_image_bytes")]
    pub max_image_bytes: u32,
    /// How long to wait for the hardware to confirm a result before it is sent again, in milliseconds.
    #[serde(default = "default_result_retry_ms")]
    pub result_retry_ms: u64,
    /// The hardware counts as absent after this silence, in milliseconds, 2000 or more: with nothing to say it pings once a second.
    #[serde(default = "default_quiet_after_ms")]
    pub quiet_after_ms: u64,
}

/// A camera with OpenMV's firmware 5 or later.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenMvConfig {
    /// The port, such as `/dev/serial/by-id/usb-OpenMV_...`.
    pub port: PathBuf,
    /// Bits a second; a camera on USB takes any.
    #[serde(default = "default_openmv_baud")]
    pub baud: u32,
    /// MicroPython that the camera is to run, in a file; without it the camera is left to run what it has.
    pub script: Option<PathBuf>,
    /// Largest frame taken, in bytes.
    #[serde(default = "default_max_image_bytes")]
    pub max_image_bytes: u32,
    /// Without a frame for so long, in milliseconds, the camera counts as lost and is begun again. 3000 or more, and longer than from
    /// one frame to the next: it would be begun again before a frame can come.
    #[serde(default = "default_quiet_after_ms")]
    pub quiet_after_ms: u64,
}

/// A folder where images are put, and answers handed back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder. Below it the device makes `done` and `failed`.
    pub path: PathBuf,
    /// Largest file taken, in bytes.
    #[serde(default = "default_max_file_bytes")]
    pub max_file_bytes: u64,
    /// The folder is also looked through so often, in seconds: shared folders of other hosts announce nothing.
    #[serde(default = "default_look_every_s")]
    pub look_every_s: u64,
}

/// Hardware pings once a second when it has nothing to say (`firmware/link/WIRE.md`), and one ping may be lost.
const LEAST_LINK_QUIET_MS: u64 = 2_000;
/// A camera that was given `firmware/device/camera.py` shows nothing for two seconds, until exposure and gain have settled.
const LEAST_OPENMV_QUIET_MS: u64 = 3_000;

fn default_max_image_bytes() -> u32 {
    4 * 1024 * 1024
}
fn default_result_retry_ms() -> u64 {
    500
}
fn default_quiet_after_ms() -> u64 {
    10_000
}
fn default_openmv_baud() -> u32 {
    921_600
}
fn default_max_file_bytes() -> u64 {
    64 * 1024 * 1024
}
fn default_look_every_s() -> u64 {
    5
}

impl LinkConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.baud == 0 {
            return value("link.baud", 0, "the hardware's rate in bits a second, such as 921600");
        }
        self.check_other_bauds()?;
        if !(1..=remedis_link::MAX_FRAME).contains(&self.max_image_bytes) {
            return value("link.max_image_bytes", self.max_image_bytes, "1 to 16777216");
        }
        if self.result_retry_ms == 0 {
            return value("link.result_retry_ms", 0, "at least 1");
        }
        if self.quiet_after_ms < LEAST_LINK_QUIET_MS {
            let expected = "at least 2000: hardware with nothing to say pings once a second";
            return value("link.quiet_after_ms", self.quiet_after_ms, expected);
        }
        Ok(())
    }

    fn check_other_bauds(&self) -> Result<(), ConfigError> {
        const { assert!(MAX_RATES == 8, "the message below says so") };
        let others = &self.other_bauds;
        if others.contains(&0) {
            return value("link.other_bauds", "0 among others", "rates in bits a second, such as 115200");
        }
        if others.len() >= MAX_RATES {
            let found = format!("a list of {} rates", others.len());
            return value("link.other_bauds", found, "at most 7: a line has 8 rates, and link.baud is one of them");
        }
        if self.rates().is_none() {
            let found = format!("{others:?} beside {}", self.baud);
            return value("link.other_bauds", found, "each rate once, and not the one of link.baud");
        }
        Ok(())
    }

    /// The rates of the line, beginning at `baud`; settings that were checked have some.
    pub fn rates(&self) -> Option<Rates> {
        let mut all: Vec<u32> = self.other_bauds.iter().copied().chain([self.baud]).collect();
        all.sort_unstable();
        Rates::new(self.baud, &all)
    }

    pub(crate) fn explain(&self, lines: &mut Explain) {
        let others: Vec<String> = self.other_bauds.iter().map(u32::to_string).collect();
        let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        lines.path("port", &self.port, "where images come from");
        lines.value("baud", self.baud, "bits a second at the beginning, 8N1");
        lines.value("other_bauds", others, "rates that the hardware may also use");
        lines.value("device_id", self.device_id, "told to the hardware in the greeting");
        lines.value("max_image_bytes", self.max_image_bytes, "larger images are refused");
        lines.value("result_retry_ms", self.result_retry_ms, "an unconfirmed result is sent again");
        lines.value("quiet_after_ms", self.quiet_after_ms, "silence after which the screen says WAITING");
    }
}

impl OpenMvConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.baud == 0 {
            return value("openmv.baud", 0, "the camera's rate in bits a second, such as 921600");
        }
        if !(1..=1 << 26).contains(&self.max_image_bytes) {
            return value("openmv.max_image_bytes", self.max_image_bytes, "1 to 67108864");
        }
        if self.quiet_after_ms < LEAST_OPENMV_QUIET_MS {
            let expected =
                "at least 3000, and longer than from one frame to the next: a camera takes two seconds to begin";
            return value("openmv.quiet_after_ms", self.quiet_after_ms, expected);
        }
        Ok(())
    }

    pub(crate) fn explain(&self, lines: &mut Explain) {
        lines.path("port", &self.port, "the camera");
        lines.value("baud", self.baud, "bits a second; a camera on USB takes any");
        lines.optional_path("script", self.script.as_deref(), "MicroPython that the camera is given to run");
        lines.value("max_image_bytes", self.max_image_bytes, "longer frames are not read");
        lines.value(
            "quiet_after_ms",
            self.quiet_after_ms,
            "without a frame for so long the camera counts as lost, and is begun again",
        );
    }
}

impl FolderConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.max_file_bytes == 0 {
            return value("folder.max_file_bytes", 0, "at least 1");
        }
        if self.look_every_s == 0 {
            return value("folder.look_every_s", 0, "at least 1");
        }
        Ok(())
    }

    pub(crate) fn explain(&self, lines: &mut Explain) {
        lines.path(
            "path",
            &self.path,
            "PNG, JPEG, DICOM and zip files put here are answered, then moved to done or failed",
        );
        lines.value("max_file_bytes", self.max_file_bytes, "larger files are not read");
        lines.value("look_every_s", self.look_every_s, "the folder is also looked through so often");
    }
}

//! How long a USB adapter collects bytes before it hands them over.
//!
//! FTDI's do so for 16 ms unless they are told otherwise, and a fast line waits for its acknowledgements. The shipped service cannot tell
//! them, as it may not write the kernel's settings: `systemd/60-remedis.rules` has udev do it. (The driver's `ASYNC_LOW_LATENCY` would be
//! another way, by an `ioctl` that no crate offers without `unsafe`.)

use std::path::Path;

/// Where the kernel keeps settings of USB adapters.
pub(super) const SYSFS: &str = "/sys/bus/usb-serial/devices";

/// As short as it goes.
const LOW_MS: u32 = 1;

/// What helps against an adapter that collects for long, for people.
pub(super) const ADVICE: &str =
    "copy 60-remedis.rules to /etc/udev/rules.d and plug the adapter in again, or write 1 to its latency_timer";

/// Has the adapter of this port hand bytes over at once, where its driver lets us. How long it collects them, in milliseconds, where
/// that is long and cannot be changed.
pub(super) fn lower(sysfs: &Path, port: &Path) -> Option<u32> {
    let device = port.canonicalize().ok()?;
    // Most drivers have no such timer.
    let timer = sysfs.join(device.file_name()?).join("latency_timer");
    let found_ms: u32 = std::fs::read_to_string(&timer).ok()?.trim().parse().ok()?;
    let is_low = found_ms <= LOW_MS || std::fs::write(&timer, LOW_MS.to_string()).is_ok();
    (!is_low).then_some(found_ms)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::path::PathBuf;

    /// A folder in place of sysfs, where the adapter of `port` has this timer.
    fn sysfs(folder: &Path, port: &Path, timer: &str) -> PathBuf {
        let adapter = folder.join("devices").join(port.file_name().unwrap());
        fs::create_dir_all(&adapter).unwrap();
        fs::write(adapter.join("latency_timer"), timer).unwrap();
        folder.join("devices")
    }

    /// As above, with a timer that nobody may write, not even root, while the file lives.
    pub(in crate::source::port) fn fixed_sysfs(folder: &Path, port: &Path, timer: &str) -> (PathBuf, File) {
        let sealed = memfd_create("latency_timer", MemfdFlags::ALLOW_SEALING).unwrap();
        let mut sealed = File::from(sealed);
        sealed.write_all(timer.as_bytes()).unwrap();
        fcntl_add_seals(&sealed, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW).unwrap();
        let sysfs = sysfs(folder, port, "");
        let place = sysfs.join(port.file_name().unwrap()).join("latency_timer");
        fs::remove_file(&place).unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), sealed.as_raw_fd());
        std::os::unix::fs::symlink(path, place).unwrap();
        (sysfs, sealed)
    }

    /// A port under its lasting name, and as the kernel calls it.
    fn names(folder: &Path) -> [PathBuf; 2] {
        let [lasting, device] = ["usb-FTDI_1-if00-port0", "ttyUSB3"].map(|name| folder.join(name));
        fs::write(&device, "").unwrap();
        std::os::unix::fs::symlink(&device, &lasting).unwrap();
        [lasting, device]
    }

    #[test]
    fn a_long_timer_is_lowered_by_the_ports_lasting_name_too() {
        let folder = tempfile::tempdir().unwrap();
        let [lasting, device] = names(folder.path());
        let sysfs = sysfs(folder.path(), &device, "16\n");
        assert_eq!(lower(&sysfs, &lasting), None);
        assert_eq!(fs::read_to_string(sysfs.join("ttyUSB3/latency_timer")).unwrap(), "1");
    }

    #[test]
    fn only_a_long_timer_that_cannot_be_changed_is_told() {
        for (timer, told) in [("16\n", Some(16)), ("2\n", Some(2)), ("1\n", None), ("0\n", None), ("", None)] {
            let folder = tempfile::tempdir().unwrap();
            let [lasting, device] = names(folder.path());
            let (sysfs, _timer) = fixed_sysfs(folder.path(), &device, timer);
            assert_eq!(lower(&sysfs, &lasting), told, "{timer:?}");
        }
    }

    #[test]
    fn a_port_without_a_timer_has_nothing_to_tell() {
        let folder = tempfile::tempdir().unwrap();
        let [lasting, _] = names(folder.path());
        assert_eq!(lower(folder.path(), &lasting), None);
        assert_eq!(lower(folder.path(), &folder.path().join("not there")), None);
    }

    #[test]
    fn the_shipped_rules_lower_the_timer_and_give_ports_to_a_group_of_the_service() {
        let rules = include_str!("../../../systemd/60-remedis.rules");
        let unit = include_str!("../../../systemd/remedis-device.service");
        let lines = |of: &str| rules.lines().filter(|line| line.contains(of)).collect::<Vec<_>>();
        assert!(lines("DRIVER==\"ftdi_sio\"")[0].ends_with("ATTR{latency_timer}=\"1\""), "{rules}");
        let (_, group) = lines("SUBSYSTEM==\"tty\"")[0].split_once("GROUP=\"").unwrap();
        let (group, _) = group.split_once('"').unwrap();
        let groups = unit.lines().find_map(|line| line.strip_prefix("SupplementaryGroups=")).unwrap();
        assert!(groups.split(' ').any(|of_service| of_service == group), "{group} is none of {groups}");
    }
}

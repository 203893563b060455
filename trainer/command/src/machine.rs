//! What this machine offers, from where Linux says it; `None` where it does not.

use std::path::{Path, PathBuf};

/// Memory that this process may still take, in bytes, and who says so: the machine, or a limit of its control group.
pub(crate) fn available_memory() -> Option<(u64, &'static str)> {
    let machine = available(&std::fs::read_to_string("/proc/meminfo").ok()?);
    let group = own_group(&std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
        .and_then(|group| room(Path::new("/sys/fs/cgroup"), &group));
    match (machine, group) {
        (Some(machine), Some(group)) if group < machine => Some((group, "the control group's memory.max")),
        (Some(machine), _) => Some((machine, "/proc/meminfo")),
        (None, group) => group.map(|group| (group, "the control group's memory.max")),
    }
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

/// The group of version 2 that `/proc/self/cgroup` names.
fn own_group(cgroup: &str) -> Option<String> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::/")).map(str::to_owned)
}

/// The least room under the limits of a group and of those around it; file cache that the kernel can drop counts as room.
fn room(root: &Path, group: &str) -> Option<u64> {
    let inner = root.join(group);
    inner.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(room_of).min()
}

fn room_of(folder: &Path) -> Option<u64> {
    let number = |name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = (number("memory.max")?, number("memory.current")?);
    let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cache = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse::<u64>().ok());
    Some(limit.saturating_sub(used.saturating_sub(cache.unwrap_or(0))))
}

/// The processor's name.
pub(crate) fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The instruction sets of this processor that our kernels and `gemm` choose between when they run, widest last.
pub(crate) fn instruction_sets() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let sets = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(target_arch = "aarch64")]
    let sets = [("neon", true)];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let sets: [(&str, bool); 0] = [];
    sets.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}

/// The first of these programs that the shell would find.
pub(crate) fn on_path<'a>(names: &[&'a str]) -> Option<(&'a str, PathBuf)> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| {
        let found = folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file())?;
        Some((*name, found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_kernel_calls_available() {
        assert_eq!(available("MemTotal:       24100000 kB\nMemAvailable:   1000 kB\n"), Some(1_024_000));
        assert_eq!(available("MemTotal: 5 kB\n"), None);
    }

    #[test]
    fn the_tightest_group_around_a_process_decides() {
        let root = tempfile::tempdir().unwrap();
        let job = root.path().join("slurm/job_7");
        std::fs::create_dir_all(&job).unwrap();
        let write = |folder: &Path, name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write(&job, "memory.max", "max\n");
        write(&job, "memory.current", "100\n");
        let slurm = job.parent().unwrap();
        write(slurm, "memory.max", "1000\n");
        write(slurm, "memory.current", "900\n");
        write(slurm, "memory.stat", "anon 600\ninactive_file 250\n");
        assert_eq!(own_group("1:name=x:/y\n0::/slurm/job_7\n").as_deref(), Some("slurm/job_7"));
        assert_eq!(room(root.path(), "slurm/job_7"), Some(350));
        assert_eq!(room(root.path(), "elsewhere"), None);
    }

    #[test]
    fn a_shell_is_found_and_nonsense_is_not() {
        assert_eq!(on_path(&["no-such-program", "sh"]).map(|(name, _)| name), Some("sh"));
        assert_eq!(on_path(&["no-such-program"]), None);
    }
}

//! The readers of foreign weights: whatever opens lists its tensors, and gives as many numbers as it lists or says why not.
#![no_main]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

/// In memory, without a name: PyTorch's reader opens a path.
static FILE: LazyLock<File> =
    LazyLock::new(|| tempfile::tempfile_in("/dev/shm").expect("memory is a place to write to"));

fuzz_target!(|data: &[u8]| {
    for bytes in std::iter::once(data.to_vec()).chain(remedis_fuzz::weight_files(data)) {
        FILE.set_len(0).and_then(|()| FILE.write_all_at(&bytes, 0)).expect("memory is a place to write to");
        let path = format!("/proc/self/fd/{}", FILE.as_raw_fd());
        remedis_fuzz::read_weights(Path::new(&path));
    }
});

//! The reader of prepared images: whatever opens answers every question about its pictures, within the file's own size.
#![no_main]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use remedis_data::{Content, Detail, Shard};

/// In memory, without a name: shards are read by position from a file.
static FILE: LazyLock<File> =
    LazyLock::new(|| tempfile::tempfile_in("/dev/shm").expect("memory is a place to write to"));

fuzz_target!(|data: &[u8]| {
    for bytes in [data, &remedis_fuzz::shard_file(data)] {
        FILE.set_len(0).and_then(|()| FILE.write_all_at(bytes, 0)).expect("memory is a place to write to");
        let path = format!("/proc/self/fd/{}", FILE.as_raw_fd());
        let Ok(shard) = Shard::open(Path::new(&path)) else { continue };
        assert_eq!(shard.records().len(), shard.key().n_rows);
        let mut most = 0;
        for (at, record) in shard.records().iter().enumerate() {
            let is_picture = matches!(record.content, Content::Picture { .. });
            for detail in [Detail::Input, Detail::Twice] {
                if let Ok(image) = shard.image(at, detail) {
                    assert_eq!(image.is_some(), is_picture);
                    most = most.max(image.map_or(0, |image| image.samples.len() * image.samples.depth().bytes()));
                }
            }
        }
        assert!(most <= bytes.len());
    }
});

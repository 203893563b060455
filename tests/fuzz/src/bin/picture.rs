//! The readers of PNG, JPEG and DICOM files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remedis_imaging::{Channels, decode};

fuzz_target!(|data: &[u8]| {
    if let Ok(image) = decode(data) {
        let samples = if image.channels == Channels::Grey { 1 } else { 3 };
        assert_eq!(image.pixels.len(), image.width as usize * image.height as usize * samples);
    }
});

//! The readers of PNG, JPEG and DICOM files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remedis_imaging::{Channels, Depth, decode};

fuzz_target!(|data: &[u8]| {
    // One picture at either depth.
    let [shallow, deep] = [Depth::Eight, Depth::Sixteen].map(|depth| decode(data, depth).ok());
    assert_eq!(shallow.is_some(), deep.is_some());
    for (image, depth) in [(shallow, Depth::Eight), (deep, Depth::Sixteen)] {
        let Some(image) = image else { continue };
        let samples = if image.channels == Channels::Grey { 1 } else { 3 };
        assert_eq!(image.samples.len(), image.width as usize * image.height as usize * samples);
        assert_eq!(image.samples.depth(), depth);
    }
});

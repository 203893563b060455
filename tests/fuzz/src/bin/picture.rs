//! The readers of PNG, JPEG and DICOM files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remedis_imaging::{Channels, Depth, MAX_MEMORY, decode, decode_within};

fuzz_target!(|data: &[u8]| {
    // One picture at either depth.
    let [shallow, deep] = [Depth::Eight, Depth::Sixteen].map(|depth| decode(data, depth).ok());
    assert_eq!(shallow.is_some(), deep.is_some());
    // Who gives an answer takes less, and what is taken is the same.
    if let Ok(judged) = decode_within(data, Depth::Eight, MAX_MEMORY) {
        assert_eq!(Some(&judged), shallow.as_ref());
    }
    for (image, depth) in [(shallow, Depth::Eight), (deep, Depth::Sixteen)] {
        let Some(image) = image else { continue };
        let samples = if image.channels == Channels::Grey { 1 } else { 3 };
        assert_eq!(image.samples.len(), image.width as usize * image.height as usize * samples);
        assert_eq!(image.samples.depth(), depth);
    }
});

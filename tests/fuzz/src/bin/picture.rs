//! The door of images: the readers of PNG, JPEG and DICOM files, and of zip files of them.
#![no_main]

#[path = "../../../../firmware/device/src/source/folder/archive.rs"]
mod archive;

use archive::{Archive, MAX_MEMBERS};
use libfuzzer_sys::fuzz_target;
use remedis_imaging::{Channels, DecodeError, Depth, Image, MAX_MEMORY, decode, decode_within};
use std::io::Cursor;

/// The largest image of a zip file; a small one, so that files that tell of more are met.
const MAX_BYTES: u64 = 1 << 16;
/// Images of a zip file that are read; all are unpacked.
const MAX_IMAGES: usize = 4;
/// Memory of the largest picture that is read more than once: 16 million grey pixels. 556 bytes of JPEG told of 41 million, which the
/// program that ships reads in 0.3 s and this one in 3 s.
const MAX_OFTEN: u64 = 48 << 20;

fuzz_target!(|data: &[u8]| {
    match Archive::<Cursor<&[u8]>>::is_meant_by(data) {
        true => images_of_a_zip(data),
        false => image(data),
    }
});

fn images_of_a_zip(data: &[u8]) {
    let Ok(mut archive) = Archive::open(Cursor::new(data), MAX_BYTES) else { return };
    let n_members = archive.names().len();
    assert!((1..=MAX_MEMBERS).contains(&n_members));
    for index in 0..n_members {
        if let Ok(bytes) = archive.unpack(index) {
            assert!(bytes.len() as u64 <= MAX_BYTES);
            if index < MAX_IMAGES {
                image(&bytes);
            }
        }
    }
    assert!(archive.unpack(n_members).is_err());
}

fn image(data: &[u8]) {
    if let Err(DecodeError::Memory { .. }) = decode_within(data, Depth::Sixteen, MAX_OFTEN) {
        return whole(decode_within(data, Depth::Eight, MAX_MEMORY).ok(), Depth::Eight);
    }
    // One picture at either depth.
    let [shallow, deep] = [Depth::Eight, Depth::Sixteen].map(|depth| decode(data, depth).ok());
    assert_eq!(shallow.is_some(), deep.is_some());
    // Who gives an answer takes less, and what is taken is the same.
    if let Ok(judged) = decode_within(data, Depth::Eight, MAX_MEMORY) {
        assert_eq!(Some(&judged), shallow.as_ref());
    }
    whole(shallow, Depth::Eight);
    whole(deep, Depth::Sixteen);
}

fn whole(image: Option<Image>, depth: Depth) {
    let Some(image) = image else { return };
    let samples = if image.channels == Channels::Grey { 1 } else { 3 };
    assert_eq!(image.samples.len(), image.width as usize * image.height as usize * samples);
    assert_eq!(image.samples.depth(), depth);
}

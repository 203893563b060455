//! Streams of real encoders, cut at every place.

use super::*;
use crate::{DecodeError, Image, MAX_MEMORY, decode_within};
use remedis_bundle::{Channels, Depth};

/// 40 x 24 pixels with something in every block, as `image` writes them: baseline, three components without subsampling.
fn baseline(channels: Channels) -> Vec<u8> {
    use image::codecs::jpeg::JpegEncoder;
    let n = 40 * 24 * channels.count();
    let samples: Vec<u8> = (0..n as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let kind = if channels == Channels::Grey { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
    let mut stream = Vec::new();
    JpegEncoder::new_with_quality(&mut stream, 60).encode(&samples, 40, 24, kind).unwrap();
    stream
}

/// Subsampled, progressive and with restarts; tools/peers/jpeg_streams.py drew them.
const DRAWN: [&[u8]; 3] = [
    include_bytes!("streams/subsampled-restarts.jpg"),
    include_bytes!("streams/progressive.jpg"),
    include_bytes!("streams/progressive-restarts.jpg"),
];

fn start_of_data(stream: &[u8]) -> usize {
    let scan = stream.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    scan + 2 + usize::from(u16::from_be_bytes([stream[scan + 2], stream[scan + 3]]))
}

#[test]
fn a_whole_stream_is_whole() {
    for channels in [Channels::Grey, Channels::Rgb] {
        assert_eq!(check(&baseline(channels)), Ok(()));
    }
    for stream in DRAWN {
        assert_eq!(check(stream), Ok(()));
        assert!(decode_within(stream, Depth::Eight, MAX_MEMORY).is_ok());
    }
}

#[test]
fn a_first_scan_that_is_cut_lacks_blocks_whatever_its_kind() {
    for stream in DRAWN {
        let start = start_of_data(stream);
        let length = length_of_data(&stream[start..]);
        for end in start..start + length / 2 {
            assert!(check(&[&stream[..end], &[0xff, 0xd9]].concat()).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn a_stream_that_is_cut_and_closed_is_not() {
    for channels in [Channels::Grey, Channels::Rgb] {
        let stream = baseline(channels);
        // The last byte but one before the end marker may be padding.
        for end in start_of_data(&stream)..stream.len() - 4 {
            let closed = [&stream[..end], &[0xff, 0xd9]].concat();
            let missing = check(&closed).expect_err("cut");
            assert!(missing.found < missing.expected, "{missing:?}");
        }
    }
}

#[test]
fn the_door_says_how_much_is_there() {
    let stream = baseline(Channels::Grey);
    let half = start_of_data(&stream) + (stream.len() - start_of_data(&stream)) / 2;
    let closed = [&stream[..half], &[0xff, 0xd9]].concat();
    let error = decode_within(&closed, Depth::Eight, MAX_MEMORY).unwrap_err();
    assert!(matches!(error, DecodeError::JpegCut { expected: 15, found: 5..=9 }), "{error}");
    assert!(decode_within(&stream, Depth::Eight, MAX_MEMORY).is_ok_and(|image: Image| image.height == 24));
}

#[test]
fn a_picture_that_says_it_is_higher_than_it_is_lacks_the_rest() {
    let mut stream = baseline(Channels::Grey);
    let frame = stream.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    stream[frame + 6] = 48;
    assert_eq!(check(&stream), Err(Missing { expected: 30, found: 15 }));
}

#[test]
fn what_is_no_stream_is_left_to_the_decoder() {
    for bytes in [&[][..], &[0xff, 0xd8], &[0xff, 0xd8, 0xff, 0xda, 0, 3, 1], &[0xff, 0xd8, 0xff, 0xc4, 0, 4, 0, 0]] {
        assert_eq!(check(bytes), Ok(()));
    }
}

/// A JPEG stream up to its first scan: this kind of frame, of these components, and as many in the scan.
fn stream(frame: u8, n_components: u8, n_in_scan: u8) -> Vec<u8> {
    let tables = [0xff, 0xc4, 0, 3, 0];
    let frame = [0xff, frame, 0, 8, 8, 0, 16, 0, 16, n_components];
    let scan = [0xff, 0xda, 0, 3, n_in_scan];
    [[0xff, 0xd8].as_slice(), &tables, &frame, &scan, &[0x12, 0x34]].concat()
}

#[test]
fn only_a_stream_whose_first_scan_has_everything_is_read_row_by_row() {
    assert!(has_one_scan(&stream(0xc0, 3, 3)) && has_one_scan(&stream(0xc1, 1, 1)));
    assert!(!has_one_scan(&stream(0xc0, 3, 1)), "one component after the other");
    assert!(!has_one_scan(&stream(0xc2, 3, 3)), "progressive");
    assert!(!has_one_scan(&stream(0xc0, 3, 3)[..12]), "cut");
    assert!(!has_one_scan(&[0xff, 0xd8, 0, 0, 0, 0]), "something between the segments");
}

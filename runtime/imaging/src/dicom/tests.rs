use super::*;
use remedis_bundle::Depth;

/// With memory for any picture.
fn decode(bytes: &[u8], depth: Depth) -> Result<Image, DecodeError> {
    super::decode(bytes, Room { depth, max_memory: crate::MAX_MEMORY, is_judged: true })
}

/// Explicit little-endian data element with a short length.
fn element(tag: (u16, u16), representation: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let mut bytes = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    bytes.extend(representation);
    if [b"OB", b"OW", b"SQ", b"UN"].contains(&representation) {
        bytes.extend([0, 0]);
        bytes.extend((value.len() as u32).to_le_bytes());
    } else {
        bytes.extend((value.len() as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes
}

fn short(element_number: u16, value: u16) -> Vec<u8> {
    element((0x0028, element_number), b"US", &value.to_le_bytes())
}

/// A file around `body`, which is its data set.
fn file(uid: &str, body: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(element((2, 0x10), b"UI", uid.as_bytes()));
    bytes.extend(body.concat());
    bytes
}

const EXPLICIT: &str = "1.2.840.10008.1.2.1\0";

/// Attributes of a 2 x 1 grey picture of 16 bits.
fn two_pixels(photometric: &[u8]) -> Vec<Vec<u8>> {
    vec![
        short(2, 1),
        element((0x0028, 4), b"CS", photometric),
        short(0x10, 1),
        short(0x11, 2),
        short(0x100, 16),
        short(0x101, 12),
        short(0x102, 11),
        short(0x103, 0),
    ]
}

fn pixels(values: [u16; 2]) -> Vec<u8> {
    element((0x7fe0, 0x10), b"OW", &values.map(u16::to_le_bytes).concat())
}

#[test]
fn window_maps_its_ends_to_black_and_white() {
    let mut body = two_pixels(b"MONOCHROME2 ");
    body.push(element((0x0028, 0x1050), b"DS", b"100\\7"));
    body.push(element((0x0028, 0x1051), b"DS", b"101 "));
    body.push(pixels([50, 100]));
    // (100 - 99.5) / 100 + 0.5 = 0.505
    assert_eq!(decode(&file(EXPLICIT, &body), Depth::Eight).unwrap().as_u8(), [1, 129]);
}

#[test]
fn monochrome1_is_turned() {
    let mut body = two_pixels(b"MONOCHROME1 ");
    body.push(pixels([10, 20]));
    assert_eq!(decode(&file(EXPLICIT, &body), Depth::Eight).unwrap().as_u8(), [255, 0]);
}

#[test]
fn rescale_comes_before_the_window() {
    let mut body = two_pixels(b"MONOCHROME2 ");
    body.push(element((0x0028, 0x1050), b"DS", b"0.5 "));
    body.push(element((0x0028, 0x1051), b"DS", b"201 "));
    body.push(element((0x0028, 0x1052), b"DS", b"-1024 "));
    body.push(element((0x0028, 0x1053), b"DS", b"1 "));
    body.push(pixels([1024, 924]));
    assert_eq!(decode(&file(EXPLICIT, &body), Depth::Eight).unwrap().as_u8(), [128, 0]);
}

/// The same way as at 8 bits, with another largest number.
#[test]
fn the_depth_decides_the_last_rounding_alone() {
    let sixteen = |photometric: &[u8], attributes: &[Vec<u8>], values| {
        let body = [two_pixels(photometric), attributes.to_vec(), vec![pixels(values)]].concat();
        decode(&file(EXPLICIT, &body), Depth::Sixteen).unwrap().samples
    };
    let text = |number, value: &[u8]| element((0x0028, number), b"DS", value);
    // A window: (100 - 99.5) / 100 + 0.5 = 0.505, times 65535.
    let window = [text(0x1050, b"100 "), text(0x1051, b"101 ")];
    assert_eq!(sixteen(b"MONOCHROME2 ", &window, [50, 100]), Samples::from(vec![328_u16, 33_095]));
    assert_eq!(sixteen(b"MONOCHROME1 ", &window, [50, 100]), Samples::from(vec![65_207_u16, 32_440]));
    // Beyond its ends.
    assert_eq!(sixteen(b"MONOCHROME2 ", &window, [0, 4095]), Samples::from(vec![0_u16, 65_535]));
    // None: from the smallest to the largest, here of two neighbouring stored values and of the whole range.
    assert_eq!(sixteen(b"MONOCHROME2 ", &[], [10, 11]), Samples::from(vec![0_u16, 65_535]));
    // After the rescale, 0 and 1 lie about the middle of a window: -0.5 / 8192 + 0.5 and 0.5 / 8192 + 0.5.
    let rescaled = [text(0x1050, b"1 "), text(0x1051, b"8193"), text(0x1052, b"-1024 "), text(0x1053, b"1 ")];
    assert_eq!(sixteen(b"MONOCHROME2 ", &rescaled, [1024, 1025]), Samples::from(vec![32_764_u16, 32_771]));
}

#[test]
fn bits_above_the_stored_ones_are_ignored() {
    let mut body = two_pixels(b"MONOCHROME2 ");
    body.push(pixels([0xf001, 0x0002]));
    assert_eq!(decode(&file(EXPLICIT, &body), Depth::Eight).unwrap().as_u8(), [0, 255]);
}

#[test]
fn a_hundred_thousand_nested_sequences_are_refused() {
    let mut nested = Vec::new();
    for _ in 0..100_000 {
        nested.extend([0x08, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff]);
        nested.extend([0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]);
    }
    let error = decode(&file(EXPLICIT, &[nested]), Depth::Eight).unwrap_err();
    assert!(matches!(error, DecodeError::Dicom(DicomError::TooDeep { limit: 32 })), "{error:?}");
}

#[test]
fn a_length_beyond_the_file_takes_no_memory() {
    let mut body = two_pixels(b"MONOCHROME2 ");
    let mut lying = pixels([1, 2]);
    lying[8..12].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    body.push(lying);
    let error = decode(&file(EXPLICIT, &body), Depth::Eight).unwrap_err();
    let is_truncated =
        matches!(error, DecodeError::Dicom(DicomError::Truncated { expected: 0xffff_fff0, found: 4, .. }));
    assert!(is_truncated, "{error:?}");
}

#[test]
fn more_rows_than_pixels_are_refused() {
    let mut body = two_pixels(b"MONOCHROME2 ");
    body[2] = short(0x10, 60_000);
    body.push(pixels([1, 2]));
    let error = decode(&file(EXPLICIT, &body), Depth::Eight).unwrap_err();
    let is_truncated = matches!(
        error,
        DecodeError::Dicom(DicomError::Truncated { what: "the first frame", expected: 240_000, found: 4 })
    );
    assert!(is_truncated, "{error:?}");
}

#[test]
fn jpeg_2000_is_named() {
    let error = decode(&file("1.2.840.10008.1.2.4.90", &[]), Depth::Eight).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        source,
        "transfer syntax 1.2.840.10008.1.2.4.90 (JPEG 2000) is not supported; convert the file to explicit VR little endian"
    );
}

#[test]
fn a_sequence_of_unknown_representation_is_refused_not_misread() {
    let mut unknown = vec![0x09, 0, 1, 0x10, b'U', b'N', 0, 0, 0xff, 0xff, 0xff, 0xff];
    unknown.extend([0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]);
    // Implicit inside: no representation is written.
    unknown.extend([0x09, 0, 2, 0x10, 2, 0, 0, 0, 7, 7]);
    unknown.extend([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0]);
    unknown.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    let mut body = vec![unknown];
    body.extend(two_pixels(b"MONOCHROME2 "));
    body.push(pixels([5, 6]));
    // Implicit inside (PS3.5 6.2.2 note 2), which the library's reader takes for explicit: no picture, rather than a wrong one.
    let error = decode(&file(EXPLICIT, &body), Depth::Eight).unwrap_err();
    assert!(matches!(error, DecodeError::Dicom(DicomError::Truncated { what: "a value", .. })), "{error:?}");
}

#[test]
fn more_attributes_than_any_picture_has_are_refused_before_they_are_built() {
    let numbered = |number: u32| element((0x0029, number as u16), b"LO", &[]);
    let many: Vec<Vec<u8>> = (0..200_000).map(numbered).collect();
    // Two million texts in a value of two million bytes, written with the length in four.
    let separators =
        [[8, 0, 0x19, 1].as_slice(), b"UC\0\0", &2_000_000_u32.to_le_bytes(), &[b'\\'; 2_000_000]].concat();
    let few_each: Vec<Vec<u8>> = (0..100).map(|number| element((0x0029, number), b"LO", &[b'\\'; 60_000])).collect();
    for body in [many, vec![separators], few_each] {
        let body = [body, two_pixels(b"MONOCHROME2 "), vec![pixels([1, 2])]].concat();
        let error = decode(&file(EXPLICIT, &body), Depth::Eight).unwrap_err();
        assert!(matches!(error, DecodeError::Dicom(DicomError::TooMuch { .. })), "{error:?}");
    }
}

//! Files that lie. Each is small; what it says of itself, or becomes when it is unpacked, is not.

use flate2::{Compress, Compression, FlushCompress};
use remedis_imaging::{Channels, Image, encode_png};
use remedis_programs::Moments;

/// What one piece of a bomb unpacks to.
const PIECE: u64 = 1 << 20;

/// Deflated, without an end. It refers to nothing before it, so that it may stand after anything, any number of times.
fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(bytes.len() + 1024);
    let outcome = Compress::new(Compression::default(), false).compress_vec(bytes, &mut packed, FlushCompress::Full);
    outcome.expect("there is room for all of it");
    packed
}

/// A deflated stream of zeros, so many mebibytes of them, at about a thousandth of their size.
pub(crate) fn deflated_zeros(n_mebibytes: u64) -> Vec<u8> {
    let mut stream = deflated(&vec![0; PIECE as usize]).repeat(n_mebibytes as usize);
    stream.extend(LAST_BLOCK);
    stream
}

/// An empty block that ends a deflated stream.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// As above, in the wrapping that PNG asks for.
fn zlib_zeros(n_mebibytes: u64) -> Vec<u8> {
    // Adler-32 of zeros: the first sum stays 1, the second counts them.
    let adler = ((((n_mebibytes * PIECE) % 65_521) as u32) << 16) | 1;
    [&[0x78, 0xda], deflated_zeros(n_mebibytes).as_slice(), &adler.to_be_bytes()].concat()
}

/// An honest PNG that cannot be made smaller, of so many pixels a side.
pub(crate) fn noise(side: u32) -> Vec<u8> {
    let mut moments = Moments::default();
    let samples: Vec<u8> = (0..side * side * 3).map(|_| moments.draw().to_be_bytes()[0]).collect();
    encode_png(&Image::new(side, side, Channels::Rgb, samples))
}

/// How a PNG keeps a pixel: bits of a sample, and the number of its kind of colour.
#[derive(Clone, Copy)]
pub(crate) struct Pixel {
    pub(crate) bits: u8,
    pub(crate) colour: u8,
}

pub(crate) const GREY: Pixel = Pixel { bits: 8, colour: 0 };
pub(crate) const COLOUR: Pixel = Pixel { bits: 8, colour: 2 };
/// Eight bytes a pixel, the most that there is.
pub(crate) const DEEP_COLOUR: Pixel = Pixel { bits: 16, colour: 6 };

/// A PNG with this header, checksums right, and black pixels: so many mebibytes of them, whatever the header says, and one more for
/// what stands before each row.
pub(crate) fn png(width: u32, height: u32, pixel: Pixel, n_mebibytes: u64) -> Vec<u8> {
    png_of(width, height, pixel, &[chunk(b"IDAT", &zlib_zeros(n_mebibytes + 1))])
}

/// A PNG of one grey pixel before whose data stands a colour profile that unpacks to so many mebibytes.
pub(crate) fn png_with_a_profile(n_mebibytes: u64) -> Vec<u8> {
    let profile = [b"p\0\0".as_slice(), &zlib_zeros(n_mebibytes)].concat();
    png_of(1, 1, GREY, &[chunk(b"iCCP", &profile), chunk(b"IDAT", &zlib_zeros(1))])
}

fn png_of(width: u32, height: u32, pixel: Pixel, chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = [&width.to_be_bytes(), &height.to_be_bytes(), [pixel.bits, pixel.colour, 0, 0, 0].as_slice()].concat();
    let between = chunks.concat();
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"IHDR", &header), &between, &chunk(b"IEND", &[])].concat()
}

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let covered = [kind, content].concat();
    let checksum = crc32fast::hash(&covered);
    [&(content.len() as u32).to_be_bytes(), covered.as_slice(), &checksum.to_be_bytes()].concat()
}

/// What a DICOM file says of its grey pixels, of 16 bits each.
pub(crate) struct Dicom {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    /// How many bytes of them there are, as it says.
    pub(crate) n_bytes: u32,
}

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

impl Dicom {
    /// The file, with these pixels.
    pub(crate) fn file(&self, pixels: &[u8]) -> Vec<u8> {
        [with_meta(EXPLICIT), self.attributes(), pixels.to_vec()].concat()
    }

    /// The file with everything deflated, and zeros for pixels.
    pub(crate) fn deflated(&self, n_mebibytes: u64) -> Vec<u8> {
        [with_meta(DEFLATED), deflated(&self.attributes()), deflated_zeros(n_mebibytes)].concat()
    }

    /// The file with a text of as many empty parts before its pixels, deflated.
    pub(crate) fn with_parts(&self, n_parts: u32) -> Vec<u8> {
        let text =
            [[8, 0, 0x19, 1].as_slice(), b"UC\0\0", &n_parts.to_le_bytes(), &vec![b'\\'; n_parts as usize]].concat();
        [with_meta(DEFLATED), deflated(&[text, self.attributes()].concat()), LAST_BLOCK.to_vec()].concat()
    }

    /// The file with as many empty attributes before its pixels, deflated.
    pub(crate) fn with_elements(&self, n_elements: u32) -> Vec<u8> {
        let element = |number: u32| element_of(0x0009, number as u16, b"LO", &[]);
        let elements: Vec<u8> = (0..n_elements).flat_map(element).collect();
        [with_meta(DEFLATED), deflated(&[elements, self.attributes()].concat()), LAST_BLOCK.to_vec()].concat()
    }

    fn attributes(&self) -> Vec<u8> {
        let short = |element, value: u16| element_of(0x0028, element, b"US", &value.to_le_bytes());
        let pixels = [&[0xe0, 0x7f, 0x10, 0x00], b"OW\0\0".as_slice(), &self.n_bytes.to_le_bytes()].concat();
        [
            short(0x0002, 1),
            element_of(0x0028, 0x0004, b"CS", b"MONOCHROME2 "),
            short(0x0010, self.rows),
            short(0x0011, self.columns),
            short(0x0100, 16),
            short(0x0101, 16),
            short(0x0102, 15),
            short(0x0103, 0),
            pixels,
        ]
        .concat()
    }
}

fn with_meta(syntax: &str) -> Vec<u8> {
    let mut syntax = syntax.as_bytes().to_vec();
    if syntax.len() % 2 == 1 {
        syntax.push(0);
    }
    let meta = element_of(0x0002, 0x0010, b"UI", &syntax);
    let length = element_of(0x0002, 0x0000, b"UL", &(meta.len() as u32).to_le_bytes());
    [vec![0; 128], b"DICM".to_vec(), length, meta].concat()
}

fn element_of(group: u16, element: u16, kind: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let length = value.len() as u16;
    [&group.to_le_bytes(), &element.to_le_bytes(), kind.as_slice(), &length.to_le_bytes(), value].concat()
}

/// A file in a zip.
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    /// Its bytes as they stand there.
    pub(crate) packed: &'a [u8],
    pub(crate) is_deflated: bool,
    /// How many bytes it unpacks to, as it says.
    pub(crate) n_bytes: u32,
    pub(crate) crc: u32,
}

impl<'a> Member<'a> {
    /// An honest one.
    pub(crate) fn stored(name: &'a str, bytes: &'a [u8]) -> Self {
        let (n_bytes, crc) = (bytes.len() as u32, crc32fast::hash(bytes));
        Self { name, packed: bytes, is_deflated: false, n_bytes, crc }
    }

    /// What stands before its bytes and in the directory alike, from the version that is needed on.
    fn facts(&self) -> Vec<u8> {
        let method: u16 = if self.is_deflated { 8 } else { 0 };
        let (n_packed, n_name) = (self.packed.len() as u32, self.name.len() as u16);
        let head = [20_u16, 0, method, 0, 0x21].map(u16::to_le_bytes).concat();
        let sizes = [self.crc, n_packed, self.n_bytes].map(u32::to_le_bytes).concat();
        [head, sizes, [n_name, 0].map(u16::to_le_bytes).concat()].concat()
    }
}

/// A zip of these files.
pub(crate) fn zip(members: &[Member<'_>]) -> Vec<u8> {
    let (mut files, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let at = files.len() as u32;
        files.extend([b"PK\x03\x04".as_slice(), &member.facts(), member.name.as_bytes(), member.packed].concat());
        let rest = [[0; 10].as_slice(), &at.to_le_bytes()].concat();
        directory.extend([b"PK\x01\x02\x14\0", member.facts().as_slice(), &rest, member.name.as_bytes()].concat());
    }
    ended(files, &directory, members.len() as u64)
}

/// A zip whose directory has so many entries, each with a name of its own, for one empty file: in the format of large zips.
pub(crate) fn zip_of_names(n_names: u32) -> Vec<u8> {
    let empty = Member::stored("", &[]);
    let file = [b"PK\x03\x04".as_slice(), &empty.facts()].concat();
    let mut directory = Vec::with_capacity(n_names as usize * 50);
    for number in 0..n_names {
        let name = number.to_le_bytes();
        let mut facts = empty.facts();
        facts[22..24].copy_from_slice(&4_u16.to_le_bytes());
        directory.extend([b"PK\x01\x02\x14\0", facts.as_slice(), &[0; 14], &name].concat());
    }
    ended(file, &directory, n_names.into())
}

fn ended(files: Vec<u8>, directory: &[u8], n_entries: u64) -> Vec<u8> {
    let (at, length) = (files.len() as u64, directory.len() as u64);
    let short = u16::try_from(n_entries).unwrap_or(u16::MAX);
    let large = if short == u16::MAX { end_of_large(at, length, n_entries) } else { Vec::new() };
    let counts = [0, 0, short, short].map(u16::to_le_bytes).concat();
    let places = [length as u32, at as u32].map(u32::to_le_bytes).concat();
    [files, directory.to_vec(), large, b"PK\x05\x06".to_vec(), counts, places, vec![0; 2]].concat()
}

/// The end of a directory that counts further than 65,534.
fn end_of_large(at: u64, length: u64, n_entries: u64) -> Vec<u8> {
    let facts = [44_u64].map(u64::to_le_bytes).concat();
    let versions = [&45_u16.to_le_bytes(), &45_u16.to_le_bytes(), [0; 8].as_slice()].concat();
    let counts = [n_entries, n_entries, length, at].map(u64::to_le_bytes).concat();
    let here = (at + length).to_le_bytes();
    [b"PK\x06\x06".as_slice(), &facts, &versions, &counts, b"PK\x06\x07\0\0\0\0", &here, &1_u32.to_le_bytes()].concat()
}

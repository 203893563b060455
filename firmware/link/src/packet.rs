//! Packets on the wire: `00 COBS(body, CRC-32) 00`. What the body says is the business of [`crate::Message`].

use crate::fields::Writer;
use crate::{MAX_REPLY_WIRE, MAX_WIRE};

/// CRC-32/AUTOSAR, polynomial 0xF4ACFB13: Hamming distance 6 up to 32 738 bits.
/// Source: Koopman, "32-bit cyclic redundancy codes for internet applications", 2002 (there written 0xFA567D89).
static PACKET_CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_AUTOSAR);

const CRC_LEN: usize = 4;

/// One packet ready for the port, delimiters included.
#[derive(Clone)]
pub struct Packet {
    bytes: [u8; MAX_WIRE],
    len: usize,
}

impl Packet {
    /// An empty packet, to be filled by [`crate::encode`], [`crate::Sender::poll`] or [`crate::Receiver::poll`].
    pub const fn new() -> Self {
        Packet { bytes: [0; MAX_WIRE], len: 0 }
    }

    /// The bytes to write to the port.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Frames what `write` puts into the body; the packet is empty when that is too long.
    pub(crate) fn fill(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        self.len = 0;
        let Some((first, rest)) = self.bytes.split_first_mut() else { return };
        let mut writer = Writer::new(rest, PACKET_CRC.digest());
        write(&mut writer);
        let Some(length) = writer.finish() else { return };
        let Some(last) = rest.get_mut(length) else { return };
        (*first, *last) = (0, 0);
        self.len = length + 2;
    }
}

impl Default for Packet {
    fn default() -> Self {
        Packet::new()
    }
}

/// What the bytes received so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Not a whole packet yet; every byte given was taken.
    NeedMore,
    /// A packet with a good CRC: its body, for [`crate::decode`].
    Frame {
        /// Header and payload, without the CRC.
        body: &'a [u8],
    },
    /// Noise, or a damaged packet, up to a delimiter; the next byte starts afresh.
    Corrupt {
        /// How many bytes were thrown away.
        skipped: usize,
    },
}

/// Cuts a byte stream into packets, in whatever pieces it arrives.
///
/// Holds one packet of up to `N` bytes on the wire, because a UART hands over bytes and not packets; memory is bounded whatever
/// comes in. Longer packets count as damaged.
pub struct Deframer<const N: usize = MAX_WIRE> {
    buffer: [u8; N],
    /// Bytes since the last delimiter; past the buffer's length they are only counted.
    received: usize,
}

impl Deframer {
    /// A deframer that has seen nothing and holds the largest packet there is.
    pub const fn new() -> Self {
        Deframer { buffer: [0; MAX_WIRE], received: 0 }
    }
}

impl Deframer<MAX_REPLY_WIRE> {
    /// A deframer that has seen nothing and holds the largest packet that a device sends.
    pub const fn for_replies() -> Self {
        Deframer { buffer: [0; MAX_REPLY_WIRE], received: 0 }
    }
}

impl<const N: usize> Deframer<N> {
    /// Takes bytes from the front of `received` up to the end of one packet. Call until [`Step::NeedMore`].
    pub fn next(&mut self, received: &mut &[u8]) -> Step<'_> {
        while let Some((&byte, rest)) = received.split_first() {
            *received = rest;
            if byte != 0 {
                if let Some(slot) = self.buffer.get_mut(self.received) {
                    *slot = byte;
                }
                self.received = self.received.saturating_add(1);
            } else if self.received > 0 {
                let len = core::mem::take(&mut self.received);
                return match unwrap(&mut self.buffer, len) {
                    Some(body) => Step::Frame { body },
                    None => Step::Corrupt { skipped: len },
                };
            }
        }
        Step::NeedMore
    }
}

impl Default for Deframer {
    fn default() -> Self {
        Deframer::new()
    }
}

/// The body of the COBS-coded packet in `buffer[..len]`, when its CRC is right.
fn unwrap(buffer: &mut [u8], len: usize) -> Option<&[u8]> {
    let packet = buffer.get_mut(..len)?;
    let decoded = cobs::decode_in_place(packet).ok()?;
    let (body, crc) = packet.get(..decoded)?.split_last_chunk::<CRC_LEN>()?;
    (PACKET_CRC.checksum(body) == u32::from_le_bytes(*crc)).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_packet_crc_is_the_catalogued_one() {
        assert_eq!(PACKET_CRC.checksum(b"123456789"), 0x1697_D06A);
        assert_eq!(crate::image_crc(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn noise_before_a_packet_costs_only_the_noise() {
        let mut packet = Packet::new();
        let hi = |body: &mut Writer<'_>| {
            body.put(b"hi");
        };
        packet.fill(hi);
        let mut stream = Vec::from(*b"noise");
        stream.extend_from_slice(packet.as_bytes());
        let mut deframer = Deframer::new();
        let mut rest = &stream[..];
        assert_eq!(deframer.next(&mut rest), Step::Corrupt { skipped: 5 });
        assert_eq!(deframer.next(&mut rest), Step::Frame { body: b"hi" });
        assert_eq!(deframer.next(&mut rest), Step::NeedMore);
    }

    #[test]
    fn endless_noise_without_a_delimiter_stays_bounded() {
        let mut deframer = Deframer::new();
        let noise = [0x55; 5000];
        assert_eq!(deframer.next(&mut &noise[..]), Step::NeedMore);
        assert_eq!(deframer.next(&mut &[0][..]), Step::Corrupt { skipped: 5000 });
    }
}

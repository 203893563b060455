//! Packets: a header of ten bytes with a CRC-16 of its own, then up to 4,082 bytes of payload with a CRC-32.

use crc::{Algorithm, Crc};

/// Largest payload: up to here a single bit error to five of them never pass the payload's CRC.
pub const MAX_PAYLOAD: usize = 4082;

const SYNC: u16 = 0xD5AA;
const HEADER_LEN: usize = 10;
const CRC_LEN: usize = 4;

/// Hamming distance 6 up to 114 bits; a header has 64.
const HEADER_CRC: Crc<u16> = Crc::<u16>::new(&Algorithm {
    width: 16,
    poly: 0xF94F,
    init: 0xFFFF,
    refin: false,
    refout: false,
    xorout: 0,
    check: 0xE541,
    residue: 0,
});

/// Hamming distance 6 up to 32,738 bits.
const PAYLOAD_CRC: Crc<u32> = Crc::<u32>::new(&Algorithm {
    width: 32,
    poly: 0xFA56_7D89,
    init: 0xFFFF_FFFF,
    refin: false,
    refout: false,
    xorout: 0,
    check: 0x41B4_03D3,
    residue: 0,
});

/// Bits of a header that say what kind of packet it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Yes, without data.
    pub const ACK: Self = Self(1);
    /// No, with a [`Status`].
    pub const NAK: Self = Self(1 << 1);
    /// Sent again.
    pub const RETRANSMISSION: Self = Self(1 << 2);
    /// The other side must answer with [`Flags::ACK`].
    pub const WANTS_ACK: Self = Self(1 << 3);
    /// More of the same payload follows.
    pub const FRAGMENT: Self = Self(1 << 4);
    /// Unasked for, and out of the sequence.
    pub const EVENT: Self = Self(1 << 5);

    /// Whether any bit of `other` is set.
    #[must_use]
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a packet asks for or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "section 4.2 of the protocol's text says what they do")]
pub enum Opcode {
    Sync = 0x00,
    GetCaps = 0x01,
    SetCaps = 0x02,
    Stats = 0x03,
    Version = 0x04,
    Reset = 0x10,
    Boot = 0x11,
    Info = 0x12,
    SystemEvent = 0x13,
    ChannelList = 0x20,
    ChannelPoll = 0x21,
    ChannelLock = 0x22,
    ChannelUnlock = 0x23,
    ChannelShape = 0x24,
    ChannelSize = 0x25,
    ChannelRead = 0x26,
    ChannelWrite = 0x27,
    ChannelIoctl = 0x28,
    ChannelEvent = 0x29,
}

impl Opcode {
    const ALL: [Self; 19] = [
        Self::Sync,
        Self::GetCaps,
        Self::SetCaps,
        Self::Stats,
        Self::Version,
        Self::Reset,
        Self::Boot,
        Self::Info,
        Self::SystemEvent,
        Self::ChannelList,
        Self::ChannelPoll,
        Self::ChannelLock,
        Self::ChannelUnlock,
        Self::ChannelShape,
        Self::ChannelSize,
        Self::ChannelRead,
        Self::ChannelWrite,
        Self::ChannelIoctl,
        Self::ChannelEvent,
    ];

    /// The one of this byte, if it is known.
    #[must_use]
    pub fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|opcode| *opcode as u8 == byte)
    }
}

/// Why the other side said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "section 4.5 of the protocol's text")]
pub enum Status {
    Success = 0,
    Failed = 1,
    Invalid = 2,
    Timeout = 3,
    Busy = 4,
    Checksum = 5,
    Sequence = 6,
    Overflow = 7,
    Fragment = 8,
    Unknown = 9,
}

impl Status {
    /// That of a NAK's payload.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        const ALL: [Status; 9] = [
            Status::Success,
            Status::Failed,
            Status::Invalid,
            Status::Timeout,
            Status::Busy,
            Status::Checksum,
            Status::Sequence,
            Status::Overflow,
            Status::Fragment,
        ];
        match payload {
            [low, 0, ..] => ALL.into_iter().find(|status| *status as u8 == *low).unwrap_or(Self::Unknown),
            _ => Self::Unknown,
        }
    }
}

/// Where data go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel(pub u8);

impl Channel {
    /// Protocol and system.
    pub const SYSTEM: Self = Self(0);
    /// Scripts to run.
    pub const STDIN: Self = Self(1);
    /// What they print.
    pub const STDOUT: Self = Self(2);
    /// Frames.
    pub const STREAM: Self = Self(3);
}

/// All of a packet but its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Counts what the camera sent; a command has the number of the answer that it waits for.
    pub sequence: u8,
    /// Where it goes.
    pub channel: Channel,
    /// What kind it is of.
    pub flags: Flags,
    /// An [`Opcode`], if it is a known one.
    pub opcode: u8,
}

/// A packet whose CRCs are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub header: Header,
    /// At most [`MAX_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
}

/// Appends a packet to `to`.
///
/// # Panics
/// If the payload is longer than [`MAX_PAYLOAD`].
pub fn encode(header: Header, payload: &[u8], to: &mut Vec<u8>) {
    assert!(payload.len() <= MAX_PAYLOAD, "a payload of {} bytes", payload.len());
    let [sync_low, sync_high] = SYNC.to_le_bytes();
    let [low, high] = (payload.len() as u16).to_le_bytes();
    let start = [sync_low, sync_high, header.sequence, header.channel.0, header.flags.0, header.opcode, low, high];
    to.extend(start);
    to.extend(HEADER_CRC.checksum(&start).to_le_bytes());
    if !payload.is_empty() {
        to.extend(payload);
        to.extend(PAYLOAD_CRC.checksum(payload).to_le_bytes());
    }
}

/// What a parser has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParserCounters {
    /// Packets handed out.
    pub packets: u64,
    /// Headers whose CRC or length was wrong.
    pub bad_headers: u64,
    /// Payloads whose CRC was wrong.
    pub bad_payloads: u64,
    /// Bytes passed over while looking for a packet.
    pub skipped_bytes: u64,
}

/// Bytes to packets. Keeps no more than one packet's bytes, and what was pushed last.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    bytes: Vec<u8>,
    /// What came before was used.
    start: usize,
    counters: ParserCounters,
}

impl Parser {
    /// Takes bytes off the line. Take all packets ([`next_packet`](Self::next_packet)) before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets what has come of a packet.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// What was met so far.
    #[must_use]
    pub fn counters(&self) -> ParserCounters {
        self.counters
    }

    /// The next whole packet. A damaged one is passed over a byte at a time, so that one inside it is found.
    #[must_use]
    pub fn next_packet(&mut self) -> Option<Packet> {
        loop {
            let bytes = self.bytes.get(self.start..)?;
            let sync = SYNC.to_le_bytes();
            let at = bytes.windows(2).position(|two| two == sync).unwrap_or_else(|| {
                // The last byte may be the first of the pattern.
                if bytes.last() == Some(&sync[0]) { bytes.len() - 1 } else { bytes.len() }
            });
            self.start += at;
            self.counters.skipped_bytes += at as u64;
            let bytes = self.bytes.get(self.start..)?;
            let (head, rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
            let [_, _, sequence, channel, flags, opcode, low, high, crc @ ..] = *head;
            let (checked, _) = head.split_at(HEADER_LEN - 2);
            let length = usize::from(u16::from_le_bytes([low, high]));
            if HEADER_CRC.checksum(checked) != u16::from_le_bytes(crc) || length > MAX_PAYLOAD {
                self.counters.bad_headers += 1;
                self.pass_over_one();
                continue;
            }
            let header = Header { sequence, channel: Channel(channel), flags: Flags(flags), opcode };
            if length == 0 {
                self.start += HEADER_LEN;
                self.counters.packets += 1;
                return Some(Packet { header, payload: Vec::new() });
            }
            let payload = rest.get(..length)?;
            let crc = rest.get(length..)?.first_chunk::<CRC_LEN>()?;
            if PAYLOAD_CRC.checksum(payload) != u32::from_le_bytes(*crc) {
                self.counters.bad_payloads += 1;
                self.pass_over_one();
                continue;
            }
            let payload = payload.to_vec();
            self.start += HEADER_LEN + length + CRC_LEN;
            self.counters.packets += 1;
            return Some(Packet { header, payload });
        }
    }

    /// Whether a whole [`Opcode::Sync`] command lies in the bytes of a packet that has not come to its end. A cut packet would
    /// otherwise swallow as many commands as its header promised bytes.
    #[must_use]
    pub fn holds_sync(&self) -> bool {
        let bytes = self.bytes.get(self.start..).unwrap_or_default();
        let is_sync = |head: &[u8]| {
            let (checked, crc) = head.split_at(HEADER_LEN - 2);
            matches!(checked, [0xAA, 0xD5, _, 0, _, 0, 0, 0]) && crc == HEADER_CRC.checksum(checked).to_le_bytes()
        };
        bytes.windows(HEADER_LEN).any(is_sync)
    }

    fn pass_over_one(&mut self) {
        self.start += 1;
        self.counters.skipped_bytes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> (Packet, Vec<u8>) {
        let header = Header { sequence: 7, channel: Channel::STREAM, flags: Flags::WANTS_ACK, opcode: 0x26 };
        let mut bytes = Vec::new();
        encode(header, payload, &mut bytes);
        (Packet { header, payload: payload.to_vec() }, bytes)
    }

    fn all(parser: &mut Parser) -> Vec<Packet> {
        std::iter::from_fn(|| parser.next_packet()).collect()
    }

    // CRCs by openmv 1.0.7, crc16(b"\xaa\xd5\x00\x00\x00\x00\x00\x00") and crc32(b"123456789").
    #[test]
    fn checksums_are_those_of_openmvs_client() {
        assert_eq!(HEADER_CRC.checksum(&[0xaa, 0xd5, 0, 0, 0, 0, 0, 0]), 0xACB0);
        assert_eq!(HEADER_CRC.checksum(b"123456789"), 0xE541);
        assert_eq!(PAYLOAD_CRC.checksum(b"123456789"), 0x41B4_03D3);
    }

    #[test]
    fn packets_come_back_byte_by_byte_and_between_noise() {
        let (empty, bytes_of_empty) = packet(&[]);
        let (full, bytes_of_full) = packet(&[0xaa; MAX_PAYLOAD]);
        let line = [&[1, 2, 0xaa, 0xd5, 3][..], &bytes_of_empty, &[0xaa], &bytes_of_full, &bytes_of_empty].concat();
        for step in [1, 3, 1000, line.len()] {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for bytes in line.chunks(step) {
                parser.push(bytes);
                found.extend(all(&mut parser));
            }
            assert_eq!(found, [empty.clone(), full.clone(), empty.clone()], "{step} bytes at a time");
            assert_eq!(parser.counters().skipped_bytes, 6);
        }
    }

    #[test]
    fn no_flip_of_up_to_five_bits_passes() {
        let (sent, bytes) = packet(b"a row of pixels");
        let bits = bytes.len() * 8;
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut damaged = bytes.clone();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            for turn in 0..(state >> 60) as usize % 5 + 1 {
                let bit = (state >> 8).rotate_left(11 * turn as u32) as usize % bits;
                damaged[bit / 8] ^= 1 << (bit % 8);
            }
            let mut parser = Parser::default();
            parser.push(&damaged);
            for found in all(&mut parser) {
                assert!(found == sent && damaged == bytes, "{found:?}");
            }
        }
    }

    #[test]
    fn statuses_of_other_firmware_are_unknown() {
        assert_eq!(Status::of(&[4, 0]), Status::Busy);
        for strange in [&[4, 1][..], &[77, 0], &[4], &[]] {
            assert_eq!(Status::of(strange), Status::Unknown);
        }
    }
}

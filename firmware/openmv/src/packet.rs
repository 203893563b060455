//! Packets: a header of ten bytes with a CRC-16 of its own, then up to 4,082 bytes of payload with a CRC-32.

use crc::{Algorithm, Crc};

/// Largest payload: up to here a single bit error to five of them never pass the payload's CRC.
pub const MAX_PAYLOAD: usize = 4082;

pub(crate) const SYNC: u16 = 0xD5AA;
pub(crate) const HEADER_LEN: usize = 10;
pub(crate) const CRC_LEN: usize = 4;

/// Hamming distance 6 up to 114 bits; a header has 64.
pub(crate) static HEADER_CRC: Crc<u16> = Crc::<u16>::new(&Algorithm {
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
pub(crate) static PAYLOAD_CRC: Crc<u32> = Crc::<u32>::new(&Algorithm {
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

#[cfg(test)]
mod tests {
    use super::*;

    // CRCs by openmv 1.0.7, crc16(b"\xaa\xd5\x00\x00\x00\x00\x00\x00") and crc32(b"123456789").
    #[test]
    fn checksums_are_those_of_openmvs_client() {
        assert_eq!(HEADER_CRC.checksum(&[0xaa, 0xd5, 0, 0, 0, 0, 0, 0]), 0xACB0);
        assert_eq!(HEADER_CRC.checksum(b"123456789"), 0xE541);
        assert_eq!(PAYLOAD_CRC.checksum(b"123456789"), 0x41B4_03D3);
    }

    #[test]
    fn statuses_of_other_firmware_are_unknown() {
        assert_eq!(Status::of(&[4, 0]), Status::Busy);
        for strange in [&[4, 1][..], &[77, 0], &[4], &[]] {
            assert_eq!(Status::of(strange), Status::Unknown);
        }
    }
}

//! The wire between imaging hardware and the device: packets, messages and the two state machines that use them.
//!
//! For bare metal: no std, no allocation, no clock and no port. The caller moves the bytes and tells the time in
//! milliseconds; nothing here waits. The byte layout is specified in `WIRE.md`.
//!
//! - [`Packet`] and [`Deframer`]: bytes to packets and back (COBS, CRC-32), resynchronising after noise.
//! - [`Message`]: what a packet says.
//! - [`Sender`]: the imaging hardware's side. Keeps the line full as far as the device lets it, sends again what was lost, goes on where
//!   a cut image stopped, then awaits the result.
//! - [`Receiver`]: the device's side. Assembles frames, answers each exactly once, repeats known answers.
//! - [`Rates`] and [`BaudProbe`]: which rates the line may run at, and finding the one that the other side speaks.
#![no_std]
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::allow_attributes))]

#[cfg(test)]
extern crate std;

mod codec;
mod fields;
mod message;
mod packet;
mod rates;
mod receiver;
mod sender;

pub use codec::{DecodeError, EncodeError, decode, encode};
pub use message::{Decision, ErrorCode, Format, FrameHeader, Message, NakReason, Outcome};
pub use packet::{Deframer, Packet, Step};
pub use rates::{BaudProbe, MAX_RATES, Rates};
pub use receiver::{Identity, Known, Received, Receiver, ReceiverCounters};
pub use sender::{Heard, Sender, SenderCounters, Timing};

/// The protocol version in the first byte of every packet.
pub const PROTOCOL_VERSION: u8 = 2;

/// Largest payload of one frame chunk, in bytes.
///
/// With its header a packet stays below 32 738 bits, where the packet CRC finds every error of up to five bits. Larger ones would
/// gain 1.5 % of the line at most and cost a microcontroller their length in memory.
pub const MAX_CHUNK: usize = 1024;

/// How many bytes of a frame a device lets be under way, unless it is told otherwise: what a line of 3 Mbaud holds in 100 ms, and half of
/// what Linux buffers for a terminal, so that a device that is late in reading loses nothing.
pub const DEFAULT_CREDIT: u32 = 32 * 1024;

/// Largest image a frame may carry, in bytes (16 MiB).
pub const MAX_FRAME: u32 = 16 * 1024 * 1024;

/// Largest packet before COBS: header 4, chunk header 12, chunk, CRC 4.
pub const MAX_PACKET: usize = 4 + 12 + MAX_CHUNK + 4;

/// Largest packet on the wire: COBS adds one byte in 254, and a delimiter stands on either side.
pub const MAX_WIRE: usize = MAX_PACKET + MAX_PACKET / 254 + 1 + 2;

/// Largest packet on the wire that a device sends, so that the hardware need not hold more.
pub const MAX_REPLY_WIRE: usize = 64;

const IMAGE_CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// CRC-32 of a whole image as [`FrameHeader::crc`] carries it: CRC-32/ISO-HDLC, the one of zip and PNG.
///
/// A different polynomial than the packet's, so that what passes one by chance does not pass the other.
pub fn image_crc(image: &[u8]) -> u32 {
    IMAGE_CRC.checksum(image)
}

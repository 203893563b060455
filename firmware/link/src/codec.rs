//! Messages to the bytes of a packet's body and back. Tables in `WIRE.md`; a change here is a change there.

use crate::fields::{Reader, Writer};
use crate::{
    Decision, ErrorCode, Format, FrameHeader, MAX_CHUNK, Message, NakReason, Outcome, PROTOCOL_VERSION, Packet,
};
use core::fmt;

/// Why a message cannot be put into a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The chunk is empty or longer than [`MAX_CHUNK`].
    ChunkLength {
        /// Its length in bytes.
        found: usize,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EncodeError::ChunkLength { found } = self;
        write!(f, "chunk of {found} bytes, a packet holds 1 to {MAX_CHUNK}")
    }
}

impl core::error::Error for EncodeError {}

/// Why the body of a good packet is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Another protocol version.
    Version {
        /// The version found.
        found: u8,
    },
    /// A message type this version does not know.
    UnknownType {
        /// The type found.
        found: u8,
    },
    /// Too short, too long, or a code without a meaning.
    Malformed {
        /// The message type.
        message_type: u8,
    },
    /// Shorter than a header.
    NoHeader,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Version { found } => {
                write!(f, "packet of protocol version {found}, this side speaks {PROTOCOL_VERSION}")
            }
            DecodeError::UnknownType { found } => write!(f, "unknown message type {found:#04x}"),
            DecodeError::Malformed { message_type } => {
                write!(f, "message of type {message_type:#04x} has a wrong length or an unknown code")
            }
            DecodeError::NoHeader => write!(f, "packet is shorter than its 4-byte header"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Puts `message` into `packet`, ready for the port.
///
/// # Errors
/// When a chunk is empty or longer than [`MAX_CHUNK`]; `packet` is then empty.
pub fn encode(sequence: u16, message: &Message<'_>, packet: &mut Packet) -> Result<(), EncodeError> {
    packet.clear();
    match message {
        Message::FrameChunk { bytes, .. } if bytes.is_empty() || bytes.len() > MAX_CHUNK => {
            return Err(EncodeError::ChunkLength { found: bytes.len() });
        }
        _ => {}
    }
    packet.fill(|body| {
        body.u8(PROTOCOL_VERSION).u8(type_of(message)).u16(sequence);
        write_fields(message, body);
    });
    Ok(())
}

fn type_of(message: &Message<'_>) -> u8 {
    match message {
        Message::Hello { .. } => 0x01,
        Message::HelloAck { .. } => 0x02,
        Message::Rate { .. } => 0x03,
        Message::RateAck { .. } => 0x04,
        Message::FrameStart(_) => 0x10,
        Message::FrameChunk { .. } => 0x11,
        Message::FrameEnd { .. } => 0x12,
        Message::Ack { .. } => 0x20,
        Message::Nak { .. } => 0x21,
        Message::Result(_) => 0x30,
        Message::ResultAck { .. } => 0x31,
        Message::Ping { .. } => 0x40,
        Message::Pong { .. } => 0x41,
        Message::Error { .. } => 0x7F,
    }
}

fn write_fields(message: &Message<'_>, body: &mut Writer<'_>) {
    match *message {
        Message::Hello { min_version, max_version, max_chunk, session } => {
            body.u8(min_version).u8(max_version).u16(max_chunk).u32(session)
        }
        Message::HelloAck { version, max_chunk, session, device_id, credit } => {
            body.u8(version).u16(max_chunk).u32(session).u64(device_id).u32(credit)
        }
        Message::Rate { baud } | Message::RateAck { baud } => body.u32(baud),
        Message::FrameStart(FrameHeader { id, format, width, height, length, crc }) => {
            body.u64(id).u8(format.code()).u16(width).u16(height).u32(length).u32(crc)
        }
        Message::FrameChunk { frame_id, offset, bytes } => body.u64(frame_id).u32(offset).put(bytes),
        Message::FrameEnd { frame_id } | Message::ResultAck { frame_id } => body.u64(frame_id),
        Message::Ack { frame_id, offset, credit } => body.u64(frame_id).u32(offset).u32(credit),
        Message::Nak { sequence, reason, frame_id, detail } => {
            body.u16(sequence).u8(reason.code()).u64(frame_id).u32(detail)
        }
        Message::Result(Outcome { frame_id, decision, class, confidence, model }) => {
            body.u64(frame_id).u8(decision.code()).u16(class).u16(confidence).put(&model)
        }
        Message::Ping { token } | Message::Pong { token } => body.u32(token),
        Message::Error { code, detail } => body.u8(code.code()).u32(detail),
    };
}

/// Reads the body of a good packet: its sequence number and message.
///
/// # Errors
/// When it is of another version, of an unknown type, or not laid out as its type asks.
pub fn decode(body: &[u8]) -> Result<(u16, Message<'_>), DecodeError> {
    let mut fields = Reader(body);
    let header = (fields.u8(), fields.u8(), fields.u16());
    let (Some(version), Some(message_type), Some(sequence)) = header else {
        return Err(DecodeError::NoHeader);
    };
    if version != PROTOCOL_VERSION {
        return Err(DecodeError::Version { found: version });
    }
    if !matches!(message_type, 0x01..=0x04 | 0x10..=0x12 | 0x20 | 0x21 | 0x30 | 0x31 | 0x40 | 0x41 | 0x7F) {
        return Err(DecodeError::UnknownType { found: message_type });
    }
    read_fields(message_type, &mut fields)
        .filter(|_| fields.0.is_empty())
        .map(|message| (sequence, message))
        .ok_or(DecodeError::Malformed { message_type })
}

fn read_fields<'a>(message_type: u8, body: &mut Reader<'a>) -> Option<Message<'a>> {
    Some(match message_type {
        0x01 => Message::Hello {
            min_version: body.u8()?,
            max_version: body.u8()?,
            max_chunk: body.u16()?,
            session: body.u32()?,
        },
        0x02 => Message::HelloAck {
            version: body.u8()?,
            max_chunk: body.u16()?,
            session: body.u32()?,
            device_id: body.u64()?,
            credit: body.u32()?,
        },
        0x03 => Message::Rate { baud: body.u32()? },
        0x04 => Message::RateAck { baud: body.u32()? },
        0x10 => Message::FrameStart(FrameHeader {
            id: body.u64()?,
            format: Format::from_code(body.u8()?)?,
            width: body.u16()?,
            height: body.u16()?,
            length: body.u32()?,
            crc: body.u32()?,
        }),
        0x11 => {
            let (frame_id, offset, bytes) = (body.u64()?, body.u32()?, body.rest());
            if bytes.is_empty() || bytes.len() > MAX_CHUNK {
                return None;
            }
            Message::FrameChunk { frame_id, offset, bytes }
        }
        0x12 => Message::FrameEnd { frame_id: body.u64()? },
        0x20 => Message::Ack { frame_id: body.u64()?, offset: body.u32()?, credit: body.u32()? },
        0x21 => Message::Nak {
            sequence: body.u16()?,
            reason: NakReason::from_code(body.u8()?)?,
            frame_id: body.u64()?,
            detail: body.u32()?,
        },
        0x30 => Message::Result(Outcome {
            frame_id: body.u64()?,
            decision: Decision::from_code(body.u8()?)?,
            class: body.u16()?,
            confidence: body.u16().filter(|&confidence| confidence <= 10_000)?,
            model: body.bytes8()?,
        }),
        0x31 => Message::ResultAck { frame_id: body.u64()? },
        0x40 => Message::Ping { token: body.u32()? },
        0x41 => Message::Pong { token: body.u32()? },
        0x7F => Message::Error { code: ErrorCode::from_code(body.u8()?)?, detail: body.u32()? },
        _ => return None,
    })
}

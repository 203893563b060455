//! What packets say. Tables in `WIRE.md`; a change here is a change there.

use crate::fields::{Reader, Writer};
use crate::{MAX_CHUNK, PROTOCOL_VERSION, Packet};
use core::fmt;

/// A `u8` code with a name per value; unknown codes do not decode.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant = $code,)* }

        impl $name {
            /// The code on the wire.
            pub fn code(self) -> u8 {
                self as u8
            }

            /// The value with this code, or `None` for a code this version does not know.
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// How the bytes of an image are to be read.
    Format {
        /// A PNG file.
        Png = 1,
        /// A JPEG file.
        Jpeg = 2,
        /// A DICOM file.
        Dicom = 3,
        /// Rows of one byte a pixel.
        RawGrey8 = 4,
        /// Rows of three bytes a pixel: red, green, blue.
        RawRgb8 = 5,
    }
}

codes! {
    /// What the device decided about an image.
    Decision {
        /// It names a class.
        Class = 0,
        /// It is not sure enough to name one; class and confidence are its best guess.
        CannotSay = 1,
        /// The image could not be read, so there is no class; sending it again will not help.
        Unreadable = 2,
    }
}

codes! {
    /// Why a message was not taken.
    NakReason {
        /// A packet arrived damaged; which one is unknown. Send again what is unacknowledged.
        Damaged = 1,
        /// No such frame is being received (the device may have restarted). Send its `FrameStart`.
        UnknownFrame = 2,
        /// A chunk starts past what has arrived; detail is the offset wanted.
        OutOfOrder = 3,
        /// All bytes arrived but their CRC-32 is not the announced one. Start the frame again.
        ImageDamaged = 4,
        /// The frame is larger than the device takes; detail is its limit in bytes.
        TooLarge = 5,
        /// The header contradicts itself, or the format is not supported.
        BadHeader = 6,
        /// Another frame is being worked on. Try later.
        Busy = 7,
        /// This frame id was answered before for another image.
        IdReused = 8,
    }
}

impl NakReason {
    /// Whether sending the same frame again cannot help.
    pub fn is_final(self) -> bool {
        matches!(self, NakReason::TooLarge | NakReason::BadHeader | NakReason::IdReused)
    }
}

codes! {
    /// A fault that belongs to no single message.
    ErrorCode {
        /// A packet of another protocol version; detail is the version spoken here.
        Version = 1,
        /// A packet with a good CRC that is no message of this version; detail is its type.
        Malformed = 2,
    }
}

/// Announces one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Chosen by the imaging hardware; never used for two images.
    pub id: u64,
    /// How to read the bytes.
    pub format: Format,
    /// Width in pixels; 0 when the format itself says.
    pub width: u16,
    /// Height in pixels; 0 when the format itself says.
    pub height: u16,
    /// Length of the image in bytes, 1 to [`crate::MAX_FRAME`].
    pub length: u32,
    /// [`crate::image_crc`] of the whole image.
    pub crc: u32,
}

impl FrameHeader {
    /// A header for `image`, or `None` when it is empty or larger than [`crate::MAX_FRAME`].
    pub fn new(id: u64, format: Format, width: u16, height: u16, image: &[u8]) -> Option<Self> {
        let length = u32::try_from(image.len()).ok().filter(|&length| length > 0 && length <= crate::MAX_FRAME)?;
        Some(FrameHeader { id, format, width, height, length, crc: crate::image_crc(image) })
    }

    /// Whether a raw image has the length its geometry asks for; encoded formats are not looked into.
    pub(crate) fn is_consistent(&self) -> bool {
        let pixels = u64::from(self.width) * u64::from(self.height);
        match self.format {
            Format::Png | Format::Jpeg | Format::Dicom => true,
            Format::RawGrey8 => u64::from(self.length) == pixels,
            Format::RawRgb8 => u64::from(self.length) == 3 * pixels,
        }
    }
}

/// The device's answer to one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The frame answered.
    pub frame_id: u64,
    /// What was decided.
    pub decision: Decision,
    /// Index into the bundle's classes; [`Outcome::NO_CLASS`] when there is none.
    pub class: u16,
    /// Calibrated probability of `class` in units of 1/10000, 0 to 10000.
    pub confidence: u16,
    /// The first eight bytes of the bundle's SHA-256 digest: which model answered.
    pub model: [u8; 8],
}

impl Outcome {
    /// The class index that means "none".
    pub const NO_CLASS: u16 = 0xFFFF;
}

/// One message. Each is a packet of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Hardware to device: opens a session.
    Hello {
        /// Lowest protocol version the hardware speaks.
        min_version: u8,
        /// Highest protocol version the hardware speaks.
        max_version: u8,
        /// Largest chunk the hardware will send, in bytes.
        max_chunk: u16,
        /// Any number that differs from the last session's.
        session: u32,
    },
    /// Device to hardware: the session is open.
    HelloAck {
        /// The version to speak.
        version: u8,
        /// Largest chunk the device takes, in bytes.
        max_chunk: u16,
        /// The session of the `Hello` answered.
        session: u32,
        /// Who answers.
        device_id: u64,
    },
    /// Announces an image.
    FrameStart(FrameHeader),
    /// A piece of the announced image.
    FrameChunk {
        /// The frame it belongs to.
        frame_id: u64,
        /// Where the piece starts in the image, in bytes.
        offset: u32,
        /// The piece, at most [`MAX_CHUNK`] bytes.
        bytes: &'a [u8],
    },
    /// The image is complete. Also asks again for a result that has not come.
    FrameEnd {
        /// The frame that ends.
        frame_id: u64,
    },
    /// The message with this sequence number was taken.
    Ack {
        /// Sequence number of the message acknowledged.
        sequence: u16,
    },
    /// The message with this sequence number was not taken.
    Nak {
        /// Sequence number of the message refused; 0 with [`NakReason::Damaged`].
        sequence: u16,
        /// Why.
        reason: NakReason,
        /// As the reason says, else 0.
        detail: u32,
    },
    /// The answer, sent only once it is durable on the device.
    Result(Outcome),
    /// The answer to this frame arrived; the device need not repeat it.
    ResultAck {
        /// The frame whose answer arrived.
        frame_id: u64,
    },
    /// Are you there?
    Ping {
        /// Comes back in the `Pong`.
        token: u32,
    },
    /// I am.
    Pong {
        /// The token of the `Ping`.
        token: u32,
    },
    /// Something belongs to no message.
    Error {
        /// What.
        code: ErrorCode,
        /// As the code says.
        detail: u32,
    },
}

/// Why a message cannot be put into a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The chunk is longer than [`MAX_CHUNK`].
    ChunkTooLong {
        /// Its length in bytes.
        found: usize,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EncodeError::ChunkTooLong { found } = self;
        write!(f, "chunk of {found} bytes, at most {MAX_CHUNK} fit in a packet")
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
/// When a chunk is longer than [`MAX_CHUNK`]; `packet` is then empty.
pub fn encode(sequence: u16, message: &Message<'_>, packet: &mut Packet) -> Result<(), EncodeError> {
    let filled = packet.fill(|body| {
        body.u8(PROTOCOL_VERSION).u8(type_of(message)).u16(sequence);
        write_fields(message, body);
    });
    match (message, filled) {
        (Message::FrameChunk { bytes, .. }, None) => Err(EncodeError::ChunkTooLong { found: bytes.len() }),
        // Every other message has a fixed length of a few bytes.
        _ => Ok(()),
    }
}

fn type_of(message: &Message<'_>) -> u8 {
    match message {
        Message::Hello { .. } => 0x01,
        Message::HelloAck { .. } => 0x02,
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
        Message::HelloAck { version, max_chunk, session, device_id } => {
            body.u8(version).u16(max_chunk).u32(session).u64(device_id)
        }
        Message::FrameStart(FrameHeader { id, format, width, height, length, crc }) => {
            body.u64(id).u8(format.code()).u16(width).u16(height).u32(length).u32(crc)
        }
        Message::FrameChunk { frame_id, offset, bytes } => body.u64(frame_id).u32(offset).put(bytes),
        Message::FrameEnd { frame_id } | Message::ResultAck { frame_id } => body.u64(frame_id),
        Message::Ack { sequence } => body.u16(sequence),
        Message::Nak { sequence, reason, detail } => body.u16(sequence).u8(reason.code()).u32(detail),
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
    if !matches!(message_type, 0x01 | 0x02 | 0x10..=0x12 | 0x20 | 0x21 | 0x30 | 0x31 | 0x40 | 0x41 | 0x7F) {
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
        },
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
        0x20 => Message::Ack { sequence: body.u16()? },
        0x21 => Message::Nak { sequence: body.u16()?, reason: NakReason::from_code(body.u8()?)?, detail: body.u32()? },
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

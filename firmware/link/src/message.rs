//! What packets say. Tables in `WIRE.md`; a change here is a change there.

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
        /// A packet after the one with the sequence number given arrived damaged. Send again what is unacknowledged.
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
        /// The rate of this line does not change.
        FixedRate = 9,
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
    /// Hardware to device: opens a session. Laid out alike in every version, so that two sides can find a common one.
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
        /// How many bytes of a frame may be under way unacknowledged.
        credit: u32,
    },
    /// Hardware to device: proposes another rate for the line.
    Rate {
        /// Bits a second.
        baud: u32,
    },
    /// Device to hardware: the rate it listens at as soon as this packet is out; not the proposed one if it does not take that.
    RateAck {
        /// Bits a second.
        baud: u32,
    },
    /// Announces an image.
    FrameStart(FrameHeader),
    /// A piece of the announced image.
    FrameChunk {
        /// The frame it belongs to.
        frame_id: u64,
        /// Where the piece starts in the image, in bytes.
        offset: u32,
        /// The piece, 1 to [`crate::MAX_CHUNK`] bytes.
        bytes: &'a [u8],
    },
    /// The image is sent whole: asks for what is missing of it, or for its result.
    FrameEnd {
        /// The frame that ends.
        frame_id: u64,
    },
    /// The frame is accepted and its bytes before `offset` have arrived; all of them also means that the image CRC is right.
    Ack {
        /// The frame.
        frame_id: u64,
        /// The next byte wanted.
        offset: u32,
        /// How many bytes from there on may be under way; 0 pauses the hardware.
        credit: u32,
    },
    /// A packet was not taken.
    Nak {
        /// Sequence number of the packet refused; with [`NakReason::Damaged`], of the last good one before.
        sequence: u16,
        /// Why.
        reason: NakReason,
        /// The frame it is about; 0 when it is about none.
        frame_id: u64,
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

//! OpenMV's camera protocol, version 2, so that a stock OpenMV or Arduino camera is an image source: sans IO, both sides.
//!
//! The caller moves the bytes and tells the time in milliseconds; nothing here waits. `OPENMV.md` beside this crate says what is
//! spoken, and how either side recovers.
//!
//! - [`Parser`] and [`encode`]: bytes to packets and back, resynchronising after noise.
//! - [`Host`]: connects, starts a script, reads frames, and gets over whatever goes wrong by itself.
//! - [`Frame`]: a picture off the camera, and its pixels.
//! - [`Camera`]: the camera's side, for tests and for cameras of one's own.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::allow_attributes))]

mod camera;
mod frame;
mod host;
mod packet;
mod parser;

pub use camera::{Camera, CameraSettings, Stats};
pub use frame::{Frame, FrameError, PixelFormat, Pixels};
pub use host::{Counters, Heard, Host, Settings, Trouble};
pub use packet::{Channel, Flags, Header, MAX_PAYLOAD, Opcode, Packet, Status, encode};
pub use parser::{Parser, ParserCounters};

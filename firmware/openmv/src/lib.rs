//! OpenMV's camera protocol, version 2, so that a stock OpenMV or Arduino camera is an image source: sans IO, both sides.
//!
//! The caller moves the bytes and tells the time in milliseconds; nothing here waits. The protocol is described in `docs/protocol.md`
//! of the public repository openmv/openmv (2025); where firmware and text differ (the sizes of `SYS_INFO` and of the largest payload),
//! this follows the firmware and its maker's client, the PyPI package `openmv`.
//!
//! - [`Parser`] and [`encode`]: bytes to packets and back, resynchronising after noise.
//! - [`Host`]: connects, starts a script, reads frames, and begins again by itself after whatever went wrong.
//! - [`Camera`]: the camera's side, for tests and for cameras of one's own.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::allow_attributes))]

mod camera;
mod frame;
mod host;
mod packet;

pub use camera::Camera;
pub use frame::{Frame, FrameError, PixelFormat};
pub use host::{Host, HostCounters, Settings};
pub use packet::{Channel, Flags, Header, MAX_PAYLOAD, Opcode, Packet, Parser, ParserCounters, Status, encode};

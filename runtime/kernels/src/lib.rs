//! Integer kernels of the device: 8-bit layers on `[row, column, channel]` (NHWC) values, exact on every processor.
//!
//! **The contract**: whatever [`Backend`] runs a layer, the bytes are those of [`reference`](mod@reference), the plain Rust that anyone
//! can read. Sums are exact in 32 bits (constructors refuse layers that could overflow) and there is one rounding rule,
//! in [`Requantise`].
//!
//! A layer is packed once for a [`Family`] of processors into a [`Store`] and runs without allocating on whatever rows it is
//! asked for: the caller owns pictures ([`Layout`]) and scratch. This is one of the two crates that may hold `unsafe`; it stands
//! in the modules named after a processor, whose functions check every length before they touch a pointer, in the mapping of
//! files, and in [`Team`].
#![expect(unsafe_code, reason = "processor instructions, mapped files and threads; see the crate's documentation")]

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod add;
#[cfg(all(target_arch = "arm", target_os = "linux"))]
mod arm;
mod backend;
mod border;
mod constants;
mod conv;
mod depthwise;
mod geometry;
mod kernels;
mod linear;
mod peak;
mod picture;
mod pool;
mod portable;
pub mod reference;
mod requantise;
mod team;
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use add::Add;
pub use backend::{Backend, Family};
pub use border::{Dequantise, Quantise};
pub use constants::{ALIGNMENT, Constants, Lines, Span, Store, map};
pub use conv::Conv;
pub use depthwise::Depthwise;
pub use geometry::{Shape, Window};
pub use linear::Linear;
pub use peak::peak_gmacs;
pub use picture::{Layout, SLACK, View, ViewMut};
pub use pool::{AveragePool, MaxPool};
pub use requantise::{Layer, LayerError, Limits, Requantise};
pub use team::Team;

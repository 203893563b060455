//! Integer kernels of the device: 8-bit convolutions on `[row, column, channel]` (NHWC) values, exact on every processor.
//!
//! **The contract**: whatever [`Backend`] runs a layer, the bytes are those of [`reference`](mod@reference), the plain Rust that anyone
//! can read. Sums are exact in 32 bits (constructors refuse layers that could overflow) and there is one rounding rule,
//! in [`Requantise`].
//!
//! A layer is built once ([`Conv::new`], [`Depthwise::new`] pack the weights) and runs without allocating: the caller owns
//! input, output and scratch. This is one of the two crates that may hold `unsafe`; it stands in the modules named after
//! a processor, whose functions check every length before they touch a pointer.
#![expect(unsafe_code, reason = "processor instructions; see the crate's documentation")]

mod backend;
mod conv;
mod depthwise;
mod geometry;
mod pack;
mod portable;
pub mod reference;
mod requantise;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use backend::Backend;
pub use conv::Conv;
pub use depthwise::Depthwise;
pub use geometry::{Shape, Window};
pub use requantise::{Layer, LayerError, Requantise};

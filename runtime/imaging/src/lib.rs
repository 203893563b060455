//! From the bytes of a picture file to the numbers a model sees.
//!
//! This is the only preprocessing path in the workspace: training, evaluation and the device all call [`prepare`], so
//! that what a model meets in the field is what it was trained on. Every step gives the same result on every processor.
//!
//! Samples have 8 bits or 16, as the model's [`Preprocessing`] says: [`decode`] makes them of that [`Depth`], [`resize`] keeps it in
//! whole numbers, [`normalise`] ends it. There is one way for both; they differ in the largest number, 255 or 65,535.
//!
//! [`Quality`] measures a resized picture: how well it was taken and how it looks, for the limits that a bundle sets.
//!
//! [`decode`] reads PNG, JPEG and DICOM and answers any other bytes, damaged ones included, with an error: it does not
//! panic, does not recurse over its input and bounds the memory that it takes; [`decode_within`] keeps to any other bound. It does
//! *not* apply EXIF orientation, colour profiles or DICOM overlays, and of a film of many frames it reads the first.

mod decode;
mod dicom;
mod gate;
mod image;
mod jpeg;
mod prepare;
mod quality;
mod samples;

pub use decode::{DecodeError, MAX_MEMORY, MAX_PIXELS, decode, decode_within};
pub use dicom::DicomError;
pub use gate::{Gate, GateResult, energy};
pub use image::{Image, encode_png};
pub use prepare::{PrepareError, normalise, prepare, resize, scale, seen, standardise, unit};
pub use quality::{ChannelStatistics, Quality, distance};
pub use samples::{Sample, Samples};

pub use remedis_bundle::{Channels, Depth, Preprocessing, Resize};

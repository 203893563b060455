//! Integer networks: what a file says ([`Graph`]), what a processor does ([`Program`]), and an engine that does it.
mod arrange;
mod engine;
mod file;
mod graph;
mod lower;
pub mod onnx;
mod probabilities;
mod program;

pub use arrange::ProgramError;
pub use engine::{Engine, Plan};
pub use file::{MAGIC, OpenPlanError, VERSION};
pub use graph::{Affine, Graph, Node, Op, Output as GraphOutput, Stored, Weights};
pub use lower::LowerError;
pub use probabilities::probabilities;
pub use program::{Input, Link, Operation, Output, Program};
pub use remedis_kernels::{Backend, Family, Shape, peak_gmacs};

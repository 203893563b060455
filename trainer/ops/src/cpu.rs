//! The kernels: plain slices in, plain vectors out, `[image, row, column, channel]` throughout.
//!
//! **Determinism**: how work is cut depends on shapes alone, never on the number of threads, and partial sums are added in the
//! order of the cuts. The same shapes and values give the same bits with one thread and with sixty-four.
//!
//! **Vectors**: matrix products are the `gemm` crate's, which picks AVX-512, AVX2 or NEON when it runs. The other loops run
//! along the channels, are compiled for each of these by `pulp` and leave the choice of instructions to the compiler.

pub(crate) mod activation;
pub(crate) mod batch_norm;
pub(crate) mod conv;
pub(crate) mod depthwise;
pub(crate) mod group_norm;
mod matrix;
pub(crate) mod momentum;
mod patches;
pub(crate) mod pool;
mod rows;
pub(crate) mod standardise;

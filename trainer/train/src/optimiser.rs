//! Optimisers. Their state is written and read exactly through Burn's `ModuleOptimizer`.
//!
//! Vectors (biases, scales and shifts of normalisations) get no weight decay and no trust ratio: matching names, as the
//! published code does, would miss the group normalisation of BiT.

mod lars;
mod momentum;
mod sgd;

pub use lars::Lars;
pub use momentum::Velocity;
pub use sgd::Sgd;

use burn::optim::ModuleOptimizer;

/// SGD with momentum 0.9 and weight decay on kernels only.
#[must_use]
pub fn sgd(weight_decay: f64) -> ModuleOptimizer {
    ModuleOptimizer::from(Sgd { momentum: 0.9, weight_decay })
}

/// LARS with momentum 0.9, a trust coefficient of 0.001 and weight decay on kernels only.
#[must_use]
pub fn lars(weight_decay: f64) -> ModuleOptimizer {
    ModuleOptimizer::from(Lars { momentum: 0.9, trust: 0.001, weight_decay })
}

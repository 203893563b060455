//! In how many bits networks compute while they are trained, and the loss scale that keeps small gradients in 16 of them.
//!
//! Mixed precision: images go into a network in 16 bits and with them its convolutions; weights, the optimiser's state, statistics,
//! normalisations, heads and losses stay in 32 bits (see `remedis-ops`, which does the casts). Heads stay because they end in
//! a loss and their products are a thousandth of those of BiT R50x1 (more where hundreds of ranks judge each other's embeddings). Evaluation, training in eight bits and export compute in 32 bits always.
//!
//! Source: Micikevicius et al. 2018, "Mixed Precision Training".

use std::fmt;

use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// The type in which networks compute while they are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits throughout.
    F32,
    /// bfloat16: the range of 32 bits with 8 bits of mantissa; needs no loss scale.
    Bf16,
    /// IEEE half: 11 bits of mantissa and a narrow range; gradients need a loss scale.
    F16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    const fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        }
    }

    /// Images as a network takes them in this precision.
    pub(crate) fn of_images(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::F32 => x,
            Self::Bf16 | Self::F16 => x.cast(self.dtype()),
        }
    }

    /// Whether `device` computes in it, as Burn says.
    #[must_use]
    pub fn is_supported(self, device: &Device) -> bool {
        self == Self::F32 || device.supports_dtype(self.dtype())
    }

    /// Refuses a device that does not compute in it.
    ///
    /// # Errors
    /// If it does not, with what it does compute in.
    pub fn check(self, device: &Device) -> Result<(), Unsupported> {
        if self.is_supported(device) {
            return Ok(());
        }
        let supported = Self::ALL.into_iter().filter(|other| other.is_supported(device)).collect();
        Err(Unsupported { wanted: self, supported })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

/// A device that does not compute in the precision wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this device does not compute in {wanted}, only in {}; set the plan's precision or --precision to one of these",
    list(supported)
)]
pub struct Unsupported {
    /// What was wanted.
    pub wanted: Precision,
    /// What there is.
    pub supported: Vec<Precision>,
}

fn list(all: &[Precision]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What the loss is multiplied with before the backward pass, and gradients divided by after it.
///
/// Half precision loses gradients below 6e-8 and those above 65,504, so its scale moves: a step whose gradients are not finite is left
/// out and halves it, a long row of good steps doubles it. All scales are powers of two, which round nothing. Other precisions
/// have a scale of 1 for ever.
///
/// Source: section 3.2 of the paper; first scale, factors and row as PyTorch's `GradScaler` has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    factor: f64,
    /// Good steps since the factor last moved.
    good_steps: u32,
    /// Steps left out.
    skipped: u64,
    moves: bool,
}

/// The first scale of half precision.
const FIRST: f64 = 65_536.0;
/// Beyond this, squares of scaled gradients come near the end of 32 bits.
const LARGEST: f64 = 16_777_216.0;
/// Good steps before the scale doubles.
const ROW: u32 = 2_000;

impl LossScale {
    /// The scale before the first step.
    #[must_use]
    pub fn new(precision: Precision) -> Self {
        let moves = precision == Precision::F16;
        Self { factor: if moves { FIRST } else { 1.0 }, good_steps: 0, skipped: 0, moves }
    }

    /// What the loss is multiplied with.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Steps left out so far.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The gradients of a step were finite.
    pub(crate) fn keep(&mut self) {
        if !self.moves {
            return;
        }
        self.good_steps += 1;
        if self.good_steps == ROW {
            (self.factor, self.good_steps) = ((2.0 * self.factor).min(LARGEST), 0);
        }
    }

    /// The gradients of a step were not finite: whether a smaller scale may help, and the step is left out.
    pub(crate) fn back_off(&mut self) -> bool {
        if !self.moves || self.factor <= 1.0 {
            return false;
        }
        (self.factor, self.good_steps) = (self.factor / 2.0, 0);
        self.skipped += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_halves_after_an_overflow_and_doubles_after_a_long_row() {
        let mut scale = LossScale::new(Precision::F16);
        (0..5).for_each(|_| scale.keep());
        assert!(scale.back_off());
        assert_eq!((scale.factor(), scale.skipped()), (32_768.0, 1));
        (1..ROW).for_each(|_| scale.keep());
        assert_eq!(scale.factor(), 32_768.0);
        scale.keep();
        assert_eq!(scale.factor(), 65_536.0);
        (0..20 * ROW).for_each(|_| scale.keep());
        assert_eq!(scale.factor(), LARGEST);
    }

    #[test]
    fn at_a_scale_of_one_an_overflow_is_a_failure() {
        let mut scale = LossScale::new(Precision::F16);
        assert_eq!((0..100).filter(|_| scale.back_off()).count(), 16);
        for precision in [Precision::F32, Precision::Bf16] {
            let mut scale = LossScale::new(precision);
            (0..2 * ROW).for_each(|_| scale.keep());
            assert!(!scale.back_off());
            assert_eq!((scale.factor(), scale.skipped()), (1.0, 0));
        }
    }

    #[test]
    fn flex_computes_in_all_three() {
        assert!(Precision::ALL.into_iter().all(|precision| precision.check(&Device::flex()).is_ok()));
    }

    #[test]
    fn a_device_without_the_type_is_refused_with_what_it_has() {
        let error = Unsupported { wanted: Precision::Bf16, supported: vec![Precision::F32, Precision::F16] };
        assert_eq!(
            error.to_string(),
            "this device does not compute in bf16, only in f32, f16; set the plan's precision or --precision to one of these"
        );
    }
}

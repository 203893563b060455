//! Which instructions a layer runs on.

/// Instructions that compute the same bytes at different speeds. A value is the proof that this processor has them, so only
/// [`Backend::detect`] and [`Backend::all`] make one of more than plain Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend(Instructions);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// Plain Rust.
    Portable,
    /// 256-bit `pmaddwd` of x86-64: pairs of products summed in 32 bits, which cannot saturate. The 8-bit `pmaddubsw` can,
    /// and gives wrong sums for large weights.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Backend {
    /// Plain Rust, for every processor.
    pub const PORTABLE: Self = Self(Instructions::Portable);

    /// The fastest one of this processor.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self(Instructions::Avx2);
        }
        Self::PORTABLE
    }

    /// Every one that this processor has.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::PORTABLE];
        all.extend(Some(Self::detect()).filter(|found| *found != Self::PORTABLE));
        all
    }

    pub(crate) fn instructions(self) -> Instructions {
        self.0
    }
}

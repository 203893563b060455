//! Which instructions a layer runs on.

/// Instructions that compute the same bytes at different speeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// Plain Rust.
    Portable,
    /// 256-bit `pmaddwd` of x86-64: pairs of products summed in 32 bits, which cannot saturate. The 8-bit `pmaddubsw` can,
    /// and gives wrong sums for large weights.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Backend {
    /// The fastest one of this processor.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Portable
    }

    /// Every one that this processor has.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        all.extend(Some(Self::detect()).filter(|found| *found != Self::Portable));
        all
    }
}

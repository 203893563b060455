//! Which instructions a layer runs on, and which order of weights they want.

use serde::{Deserialize, Serialize};

use crate::kernels::{Kernels, Loops};

/// Instructions that compute the same bytes at different speeds. A value is the proof that this processor has them, so only
/// [`Backend::detect`] and [`Backend::all`] make one of more than plain Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend(Instructions);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// Plain Rust, on the weights of any family.
    Portable(Family),
    /// 512-bit VNNI of x86-64: four products of bytes summed in 32 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 256-bit `pmaddwd` of x86-64: pairs of products summed in 32 bits, which cannot saturate. The 8-bit `pmaddubsw` can,
    /// and gives wrong sums for large weights.
    #[cfg(target_arch = "x86_64")]
    Avx2(Madd),
    /// 128-bit NEON: two pairs of products summed in 16 bits, then in 32.
    #[cfg(any(target_arch = "aarch64", all(target_arch = "arm", target_os = "linux")))]
    Neon,
    /// The same with the registers of 64-bit ARM, which Winograd needs.
    #[cfg(target_arch = "aarch64")]
    Neon64,
    /// NEON with the 8-bit dot product.
    #[cfg(target_arch = "aarch64")]
    Dot,
    /// NEON with the 8-bit matrix product, and the dot product.
    #[cfg(target_arch = "aarch64")]
    I8mm,
}

/// What adds the products of pairs to sums.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Madd {
    /// Two instructions, which every AVX2 has.
    Avx2,
    /// One, of AVX-VNNI.
    AvxVnni,
}

/// Processors that want their weights in one order. Plans are made for a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Family {
    /// Vectors without a dot product: pairs of products (NEON of every ARM, and plain Rust anywhere).
    Pairs,
    /// x86-64 with AVX2.
    Avx2,
    /// ARM with the 8-bit dot product (ARMv8.2 `SDOT`): four products a lane.
    Dot,
    /// 64-bit ARM without it (Cortex-A53, A72): pairs, and Winograd where that is faster.
    Neon,
    /// ARM with the 8-bit matrix product (ARMv8.6 `SMMLA`): eight products a lane, for two pixels together.
    I8mm,
    /// x86-64 with AVX-512 and its VNNI: four products a lane.
    Avx512,
}

impl Family {
    /// Every family, for compiling ahead.
    pub const ALL: [Self; 6] = [Self::Pairs, Self::Avx2, Self::Dot, Self::Neon, Self::I8mm, Self::Avx512];

    /// Bytes of a stored value in memory.
    #[must_use]
    pub const fn value_bytes(self) -> usize {
        match self {
            Self::Pairs | Self::Dot | Self::Neon | Self::I8mm | Self::Avx512 => 1,
            Self::Avx2 => 2,
        }
    }

    /// What is added to stored values before they are multiplied; 128 times the weights less is in the biases.
    pub(crate) const fn offset(self) -> i32 {
        match self {
            Self::Pairs | Self::Avx2 | Self::Dot | Self::Neon | Self::I8mm => 0,
            Self::Avx512 => 128,
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pairs => "pairs",
            Self::Avx2 => "avx2",
            Self::Dot => "dot",
            Self::Neon => "neon",
            Self::I8mm => "i8mm",
            Self::Avx512 => "avx512",
        }
    }
}

impl Instructions {
    /// Those of this kind of processor, fastest first.
    const NATIVE: &[Self] = &[
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2(Madd::AvxVnni),
        #[cfg(target_arch = "x86_64")]
        Self::Avx2(Madd::Avx2),
        #[cfg(target_arch = "aarch64")]
        Self::I8mm,
        #[cfg(target_arch = "aarch64")]
        Self::Dot,
        #[cfg(target_arch = "aarch64")]
        Self::Neon64,
        #[cfg(any(target_arch = "aarch64", all(target_arch = "arm", target_os = "linux")))]
        Self::Neon,
    ];

    /// Whether this processor has them.
    fn are_here(self) -> bool {
        match self {
            Self::Portable(_) => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512vl")
                    && std::arch::is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(Madd::Avx2) => std::arch::is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(Madd::AvxVnni) => {
                std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("avxvnni")
            }
            #[cfg(target_arch = "aarch64")]
            Self::I8mm => std::arch::is_aarch64_feature_detected!("i8mm") && Self::Dot.are_here(),
            #[cfg(target_arch = "aarch64")]
            Self::Dot => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon64 | Self::Neon => true,
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            Self::Neon => crate::arm::has_neon(),
        }
    }

    fn family(self) -> Family {
        match self {
            Self::Portable(family) => family,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Family::Avx512,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Family::Avx2,
            #[cfg(any(target_arch = "aarch64", all(target_arch = "arm", target_os = "linux")))]
            Self::Neon => Family::Pairs,
            #[cfg(target_arch = "aarch64")]
            Self::Neon64 => Family::Neon,
            #[cfg(target_arch = "aarch64")]
            Self::Dot => Family::Dot,
            #[cfg(target_arch = "aarch64")]
            Self::I8mm => Family::I8mm,
        }
    }
}

impl Backend {
    /// The fastest one of this processor.
    #[must_use]
    pub fn detect() -> Self {
        Self::native().next().unwrap_or(Self::portable(Family::Pairs))
    }

    /// Plain Rust on the weights of any family, for every processor.
    #[must_use]
    pub const fn portable(family: Family) -> Self {
        Self(Instructions::Portable(family))
    }

    /// Every one that this processor has.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Family::ALL.map(Self::portable).into_iter().chain(Self::native()).collect()
    }

    /// Every one of this kind of processor, whether this one has it or not: for tests, which emulate what is absent.
    ///
    /// # Safety
    /// What this processor lacks may only be run where something else gives its results.
    #[doc(hidden)]
    #[must_use]
    pub unsafe fn possible() -> Vec<Self> {
        let native = Instructions::NATIVE.iter().copied().map(Self);
        Family::ALL.map(Self::portable).into_iter().chain(native).collect()
    }

    /// The order of weights that it reads.
    #[must_use]
    pub fn family(self) -> Family {
        self.0.family()
    }

    /// What people call its instructions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Instructions::Portable(_) => "plain Rust",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(Madd::Avx2) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(Madd::AvxVnni) => "AVX2 with VNNI",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => "AVX-512 with VNNI",
            #[cfg(any(target_arch = "aarch64", all(target_arch = "arm", target_os = "linux")))]
            Instructions::Neon => "NEON",
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon64 => "NEON with Winograd",
            #[cfg(target_arch = "aarch64")]
            Instructions::Dot => "NEON with dot product",
            #[cfg(target_arch = "aarch64")]
            Instructions::I8mm => "NEON with matrix product",
        }
    }

    /// The fastest one of this processor that reads the weights of `family`.
    #[must_use]
    pub fn for_family(family: Family) -> Self {
        Self::native().find(|found| found.family() == family).unwrap_or(Self::portable(family))
    }

    /// Those of more than plain Rust, fastest first.
    fn native() -> impl Iterator<Item = Self> {
        Instructions::NATIVE.iter().copied().filter(|instructions| instructions.are_here()).map(Self)
    }

    /// What runs layers on them.
    pub(crate) fn loops(self) -> Loops {
        match self.0 {
            Instructions::Portable(Family::Avx2) => Loops::Words(Kernels::portable()),
            Instructions::Portable(_) => Loops::Bytes(Kernels::portable()),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => Loops::Bytes(crate::x86::avx512::kernels()),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(madd) => Loops::Words(crate::x86::kernels(madd)),
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            Instructions::Neon => Loops::Bytes(crate::arm::kernels()),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => Loops::Bytes(crate::aarch64::pairs()),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon64 => Loops::Bytes(crate::aarch64::neon()),
            #[cfg(target_arch = "aarch64")]
            Instructions::Dot => Loops::Bytes(crate::aarch64::dot()),
            #[cfg(target_arch = "aarch64")]
            Instructions::I8mm => Loops::Bytes(crate::aarch64::i8mm()),
        }
    }

    pub(crate) fn instructions(self) -> Instructions {
        self.0
    }
}

/// Calls a plain function, compiled for the instructions of `$backend` where that makes it faster: the body is the same Rust, so the
/// result is too (the compiler never fuses or reorders floating point on its own).
macro_rules! vectorised {
    ($backend:expr, $function:ident($($argument:expr),*)) => {
        match $backend.instructions() {
            #[cfg(target_arch = "x86_64")]
            $crate::backend::Instructions::Avx512 => {
                // SAFETY: `Backend` carries these instructions only where the processor was seen to have them.
                unsafe { crate::x86::avx512::with_avx512(|| $function($($argument),*)) }
            }
            #[cfg(target_arch = "x86_64")]
            $crate::backend::Instructions::Avx2(_) => {
                // SAFETY: `Backend` carries these instructions only where the processor was seen to have them.
                unsafe { crate::x86::with_avx2(|| $function($($argument),*)) }
            }
            _ => $function($($argument),*),
        }
    };
}
pub(crate) use vectorised;

//! Which instructions this processor has.

/// The instruction set that kernels may use. Only [`Isa::best`] can make a vector one, after asking the processor,
/// so holding one is proof that its instructions exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(pub(crate) Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Isa {
    /// Plain code that runs everywhere: the twin that tests compare with.
    pub const SCALAR: Self = Self(Set::Scalar);

    /// The best there is here.
    #[inline]
    #[must_use]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::sync::atomic::{AtomicU8, Ordering};
            /// 0 before the processor was asked, then 1 for scalar and 2 for AVX2.
            static ANSWER: AtomicU8 = AtomicU8::new(0);
            match ANSWER.load(Ordering::Relaxed) {
                2 => Self(Set::Avx2),
                1 => Self::SCALAR,
                _ => {
                    let best = Self::ask();
                    ANSWER.store(if best == Self::SCALAR { 1 } else { 2 }, Ordering::Relaxed);
                    best
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::SCALAR
    }

    #[cfg(target_arch = "x86_64")]
    #[cold]
    fn ask() -> Self {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx2") && has!("bmi1") && has!("bmi2") { Self(Set::Avx2) } else { Self::SCALAR }
    }
}

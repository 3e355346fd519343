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

    /// The best there is here. The standard library asks the processor once and remembers.
    #[inline]
    #[must_use]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
        {
            return Self(Set::Avx2);
        }
        Self::SCALAR
    }
}

//! Numbers that are not written the shortest way: fractions that end in a zero.

use crate::isa::{Isa, Set};

/// True where some text in `bytes` ends with a point, digits, the last of which is a zero, and its quote (`"8477.0"`).
#[inline]
#[must_use]
pub fn has_padding(isa: Isa, bytes: &[u8]) -> bool {
    match isa.0 {
        Set::Scalar => scalar(bytes),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` with this set is only made by `Isa::best`, after the processor said that it has AVX2.
        Set::Avx2 => unsafe { avx2::has_padding(bytes) },
    }
}

fn scalar(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'.', bytes).any(|point| {
        let fraction = &bytes[point + 1..];
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        fraction[..digits].ends_with(b"0") && fraction.get(digits) == Some(&b'"')
    })
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_set1_epi8,
        _mm256_sub_epi8,
    };

    const PIECE: usize = u64::BITS as usize;

    #[target_feature(enable = "avx2")]
    pub(super) fn has_padding(bytes: &[u8]) -> bool {
        let mut ends = Ends::default();
        let (pieces, rest) = bytes.as_chunks::<PIECE>();
        let mut last = [0; PIECE];
        last[..rest.len()].copy_from_slice(rest);
        pieces.iter().chain([&last]).fold(0, |any, piece| any | ends.padded(&Masks::new(piece))) != 0
    }

    /// A bit for each byte of a piece, the first one lowest.
    struct Masks {
        digits: u64,
        zeros: u64,
        points: u64,
        quotes: u64,
    }

    impl Masks {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn new(piece: &[u8; PIECE]) -> Self {
            let half = |at: usize| {
                // SAFETY: 32 bytes from either half of 64.
                unsafe { _mm256_loadu_si256(piece.as_ptr().add(at).cast::<__m256i>()) }
            };
            let (low, high) = (half(0), half(PIECE / 2));
            let bits = |low: __m256i, high: __m256i| {
                let bits = |mask| u64::from(_mm256_movemask_epi8(mask).cast_unsigned());
                bits(low) | bits(high) << (PIECE / 2)
            };
            let is = |byte: u8| {
                let byte = _mm256_set1_epi8(byte.cast_signed());
                bits(_mm256_cmpeq_epi8(low, byte), _mm256_cmpeq_epi8(high, byte))
            };
            let digit = |v: __m256i| {
                let value = _mm256_sub_epi8(v, _mm256_set1_epi8(b'0'.cast_signed()));
                _mm256_cmpeq_epi8(_mm256_min_epu8(value, _mm256_set1_epi8(9)), value)
            };
            Self { digits: bits(digit(low), digit(high)), zeros: is(b'0'), points: is(b'.'), quotes: is(b'"') }
        }
    }

    /// What the piece before leaves to the next one.
    #[derive(Default)]
    struct Ends {
        /// Its last byte is a point.
        point: u64,
        /// It ends within a fraction.
        fraction: u64,
        /// Its last byte is a zero.
        zero: u64,
    }

    impl Ends {
        /// The quotes of texts whose fraction ends in a zero.
        #[inline]
        fn padded(&mut self, masks: &Masks) -> u64 {
            let Masks { digits, zeros, points, quotes } = masks;
            // A one added to the first of a run of ones is carried to the place behind the last of them.
            let first = points << 1 | self.point;
            let (sum, over) = first.overflowing_add(*digits);
            let (sum, over_again) = sum.overflowing_add(self.fraction);
            let behind_fractions = sum & !digits;
            let behind_zeros = zeros << 1 | self.zero;
            *self = Self { point: points >> 63, fraction: u64::from(over | over_again), zero: zeros >> 63 };
            behind_fractions & behind_zeros & quotes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_twins_agree(text in "[0-9.\",]{0,300}", run in "([\"][0-9]{1,40}([.][0-9]{1,60}[1-9])?[\"],){0,9}", end in "[0-9.\"]{0,80}") {
            for text in [&text, &run, &format!("{run}{end}"), &format!("{text}{end}")] {
                prop_assert_eq!(has_padding(Isa::best(), text.as_bytes()), scalar(text.as_bytes()), "{}", text);
            }
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(has_padding(Isa::best(), &bytes), scalar(&bytes));
        }
    }

    #[test]
    fn only_zeros_behind_a_point_are_padding() {
        for isa in [Isa::SCALAR, Isa::best()] {
            for before in 0..140 {
                for (text, expected) in [
                    (r#"["8477.0","10"]"#, true),
                    (r#"["8477","1.250"]"#, true),
                    (r#"["8477.000000000000000000000000","1"]"#, true),
                    (r#"["8470","100"]"#, false),
                    (r#"["8470.01","0"]"#, false),
                    (r#"["0.05","0"]"#, false),
                    (r#"["8470.0"#, false),
                    (r#"["8470.","0"]"#, false),
                    (r#"[8470.0,0]"#, false),
                ] {
                    let text = format!("{}{text}", "1".repeat(before));
                    assert_eq!(has_padding(isa, text.as_bytes()), expected, "{text}");
                }
            }
        }
    }
}

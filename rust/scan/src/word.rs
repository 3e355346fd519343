//! Names and texts in a frame: runs of letters, digits, `_` and `-`, and where a text ends.

use crate::swar;

/// How many of the first bytes are digits, `_` or letters of the alphabet that begins with `FIRST` (`A` or `a`), if
/// any; the run must end within the slice.
#[inline(always)]
pub(crate) fn run<const FIRST: u8>(bytes: &[u8]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if let Some(n) = bytes.first_chunk::<16>().map(sse2::run::<FIRST>)
        && n < 16
    {
        return (n > 0).then_some(n);
    }
    by_byte::<FIRST>(bytes)
}

/// The scalar twin, and what reads long names and the last bytes of a frame.
#[cold]
fn by_byte<const FIRST: u8>(bytes: &[u8]) -> Option<usize> {
    let part = |b: &u8| b.is_ascii_digit() || *b == b'_' || b.wrapping_sub(FIRST) < 26;
    bytes.iter().position(|b| !part(b)).filter(|n| *n > 0)
}

/// How many of the first bytes are ASCII letters, digits, `_` or `-`, if any; the run must end within the slice.
#[inline(always)]
pub(crate) fn name(bytes: &[u8]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if let Some(n) = bytes.first_chunk::<16>().map(sse2::name) {
        if n < 16 {
            return (n > 0).then_some(n);
        }
        if let Some(more) = bytes.get(16..).and_then(|rest| rest.first_chunk::<16>()).map(sse2::name)
            && more < 16
        {
            return Some(16 + more);
        }
    }
    name_by_byte(bytes)
}

/// The scalar twin, and what reads long names and the last bytes of a frame.
#[cold]
fn name_by_byte(bytes: &[u8]) -> Option<usize> {
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    bytes.iter().position(|b| !part(b)).filter(|n| *n > 0)
}

/// Where the first quote or backslash stands: the end of a JSON text, or an escape in it.
#[inline]
#[must_use]
pub fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(swar::load) {
        match swar::before_quote(chunk) {
            8 => at += 8,
            n => return Some(at + n),
        }
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|b| matches!(b, b'"' | b'\\')).map(|n| at + n)
}

/// Where the first `BYTE` stands; quick where that is near.
#[inline(always)]
pub(crate) fn find<const BYTE: u8>(bytes: &[u8]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if let Some(n) = bytes.first_chunk::<16>().map(sse2::find::<BYTE>)
        && n < 16
    {
        return Some(n);
    }
    memchr::memchr(BYTE, bytes)
}

/// Where the last quote stands; quick where that is near the end.
#[inline(always)]
#[must_use]
pub fn last_quote(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    for _ in 0..2 {
        let Some((before, chunk)) = rest.split_last_chunk::<8>() else { break };
        if let Some(n) = swar::before_last_quote(u64::from_le_bytes(*chunk)) {
            return Some(before.len() + n);
        }
        rest = before;
    }
    memchr::memrchr(b'"', rest)
}

/// What stands before `literal`, if that ends the bytes.
#[inline(always)]
#[must_use]
pub fn before<'a, const N: usize>(bytes: &'a [u8], literal: &[u8; N]) -> Option<&'a [u8]> {
    bytes.split_last_chunk::<N>().filter(|(_, last)| *last == literal).map(|(rest, _)| rest)
}

/// Part of the base of the architecture, so there is nothing to ask the processor.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
        _mm_sub_epi8,
    };

    #[inline(always)]
    pub(super) fn run<const FIRST: u8>(bytes: &[u8; 16]) -> usize {
        // SAFETY: the array is 16 bytes, and SSE2 is part of x86-64.
        unsafe {
            let v = _mm_loadu_si128(bytes.as_ptr().cast::<__m128i>());
            let below = |first: u8, last: i8| {
                let from = _mm_sub_epi8(v, _mm_set1_epi8(first as i8));
                _mm_cmpeq_epi8(_mm_min_epu8(from, _mm_set1_epi8(last)), from)
            };
            let underscore = _mm_cmpeq_epi8(v, _mm_set1_epi8(b'_' as i8));
            let part = _mm_or_si128(_mm_or_si128(below(b'0', 9), below(FIRST, 25)), underscore);
            (!_mm_movemask_epi8(part)).trailing_zeros() as usize
        }
    }

    /// 32 where it is not there.
    #[inline(always)]
    pub(super) fn find<const BYTE: u8>(bytes: &[u8; 16]) -> usize {
        // SAFETY: the array is 16 bytes, and SSE2 is part of x86-64.
        unsafe {
            let v = _mm_loadu_si128(bytes.as_ptr().cast::<__m128i>());
            let found = _mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(BYTE as i8)));
            found.trailing_zeros() as usize
        }
    }

    #[inline(always)]
    pub(super) fn name(bytes: &[u8; 16]) -> usize {
        // SAFETY: the array is 16 bytes, and SSE2 is part of x86-64.
        unsafe {
            let v = _mm_loadu_si128(bytes.as_ptr().cast::<__m128i>());
            let within = |v: __m128i, first: u8, last: i8| {
                let from = _mm_sub_epi8(v, _mm_set1_epi8(first as i8));
                _mm_cmpeq_epi8(_mm_min_epu8(from, _mm_set1_epi8(last)), from)
            };
            let lower = _mm_or_si128(v, _mm_set1_epi8(0x20));
            let marks = _mm_or_si128(
                _mm_cmpeq_epi8(v, _mm_set1_epi8(b'_' as i8)),
                _mm_cmpeq_epi8(v, _mm_set1_epi8(b'-' as i8)),
            );
            let part = _mm_or_si128(_mm_or_si128(within(v, b'0', 9), within(lower, b'a', 25)), marks);
            (!_mm_movemask_epi8(part)).trailing_zeros() as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_twins_agree(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(run::<b'A'>(&bytes), by_byte::<b'A'>(&bytes));
            prop_assert_eq!(run::<b'a'>(&bytes), by_byte::<b'a'>(&bytes));
            prop_assert_eq!(name(&bytes), name_by_byte(&bytes));
        }

        #[test]
        fn a_text_ends_where_a_plain_loop_ends_it(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "[a-z\"\\\\!#\\]\\[]{0,30}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                prop_assert_eq!(quote_or_escape(bytes), bytes.iter().position(|b| *b == b'"' || *b == b'\\'));
            }
        }

        #[test]
        fn a_quote_is_where_a_plain_loop_finds_it(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "[a\"!#\u{a2}]{0,30}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let wanted = bytes.iter().rposition(|b| *b == b'"');
                prop_assert_eq!(last_quote(bytes), wanted);
                prop_assert_eq!(find::<b'"'>(bytes), bytes.iter().position(|b| *b == b'"'));
            }
        }

        #[test]
        fn names_of_any_length(name in "[A-Z0-9_]{1,40}", behind in "[a-z\"@]{1,30}") {
            prop_assert_eq!(run::<b'A'>(format!("{name}{behind}").as_bytes()), Some(name.len()));
            let name = name.to_lowercase();
            prop_assert_eq!(run::<b'a'>(format!("{name}@").as_bytes()), Some(name.len()));
        }

        #[test]
        fn names_with_dashes_of_any_length(text in "[A-Za-z0-9_-]{1,40}", behind in "[\"@]{1,30}") {
            prop_assert_eq!(name(format!("{text}{behind}").as_bytes()), Some(text.len()));
        }
    }

    #[test]
    fn every_byte_is_sorted_alike() {
        for byte in 0..=255u8 {
            let bytes = [byte, b'"', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let expected = (byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_').then_some(1);
            assert_eq!(run::<b'A'>(&bytes), expected, "{byte}");
            let expected = (byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).then_some(1);
            assert_eq!(name(&bytes), expected, "{byte}");
        }
    }
}

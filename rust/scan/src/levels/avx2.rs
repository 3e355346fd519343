//! One level a step: one 32-byte load finds its four quotes and two points, then both numbers become integers side by
//! side in one register. Whatever does not fit that window goes to the scalar twin, level by level.

use std::arch::x86_64::{
    __m128i, __m256i, _blsr_u32, _bzhi_u32, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_set1_epi8, _mm256_and_si256,
    _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_extract_epi64, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_packus_epi32,
    _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_sub_epi8,
    _tzcnt_u32,
};

use super::{LevelScales, Run, Stop, level};

/// Bytes that must be readable from a level's `[` on.
const WINDOW: usize = 40;
/// Behind `["`.
const OPEN: usize = 2;
/// Between the last byte of the price and the first of the size: `","`.
const BETWEEN: u32 = 3;
/// Digits that a mantissa may have: one lane of the register must stay free.
const DIGITS: u32 = 15;

/// `-16 … 15`: loaded from offset `n`, lane `j` holds `j - (16 - n)`.
static SLIDE: [i8; 32] = {
    let mut table = [0i8; 32];
    let mut i = 0;
    while i < 32 {
        table[i] = i as i8 - 16;
        i += 1;
    }
    table
};

/// What a text is made of, as bit positions counted from its first byte.
#[derive(Clone, Copy)]
struct Text {
    /// Digits before the point.
    whole: u32,
    /// Where the closing quote stands.
    end: u32,
}

#[target_feature(enable = "avx2,bmi1,bmi2")]
pub(super) fn levels(
    bytes: &[u8],
    mut at: usize,
    scales: LevelScales,
    room: usize,
    mut push: impl FnMut(i64, i64),
) -> Run {
    for _ in 0..room {
        let found = match bytes.get(at..).and_then(|rest| rest.first_chunk::<WINDOW>()) {
            Some(window) => pair(window, scales).map(|(price, size, len)| (price, size, at + len)),
            None => None,
        };
        let Some((price, size, end)) = found.or_else(|| level(bytes, at, scales)) else {
            return Run { at, stop: Stop::Odd };
        };
        match bytes.get(end) {
            Some(b',') => {
                push(price, size);
                at = end + 1;
            }
            Some(b']') => {
                push(price, size);
                return Run { at: end + 1, stop: Stop::Closed };
            }
            _ => {
                return Run { at, stop: Stop::Odd };
            }
        }
    }
    Run { at, stop: Stop::Full }
}

/// The level that `window` starts with, and its length; `None` sends it to the scalar twin.
#[target_feature(enable = "avx2,bmi1,bmi2")]
#[inline]
fn pair(window: &[u8; WINDOW], scales: LevelScales) -> Option<(i64, i64, usize)> {
    // SAFETY: 32 bytes from offset 2 of 40 lie within the window.
    let v = unsafe { _mm256_loadu_si256(window.as_ptr().add(OPEN).cast::<__m256i>()) };
    let values = _mm256_sub_epi8(v, _mm256_set1_epi8(b'0' as i8));
    let is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(values, _mm256_set1_epi8(9)), values);
    let others = !bits(is_digit);
    let quotes = bits(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(b'"' as i8)));
    let points = bits(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(b'.' as i8)));
    let zeros = bits(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(b'0' as i8)));

    let price_end = _tzcnt_u32(quotes);
    let behind = _blsr_u32(quotes);
    let size_at = price_end + BETWEEN;
    let closing = _tzcnt_u32(_blsr_u32(behind));
    if price_end > DIGITS || _tzcnt_u32(behind) + 1 != size_at || closing > 31 || closing - size_at > DIGITS {
        return None;
    }
    // Between the quotes stand digits and points only.
    let between = 0b111 << price_end;
    if _bzhi_u32(others, closing) != _bzhi_u32(points, closing) | between {
        return None;
    }
    let price = text(_bzhi_u32(points, price_end), zeros, price_end, scales.price)?;
    let size_end = closing - size_at;
    let size = text(_bzhi_u32(points >> size_at, size_end), zeros >> size_at, size_end, scales.size)?;

    let comma = window[OPEN + 1 + price_end as usize];
    let close = window[OPEN + 1 + closing as usize];
    if window[0] != b'[' || window[1] != b'"' || comma != b',' || close != b']' {
        return None;
    }
    // SAFETY: `size_at` is at most 18, so these 16 bytes end before byte 36 of the 40.
    let size_text = unsafe { _mm_loadu_si128(window.as_ptr().add(OPEN + size_at as usize).cast::<__m128i>()) };
    let both = _mm256_set_m128i(size_text, _mm256_castsi256_si128(v));
    let (price, size) = integers(both, price, size, scales);
    Some((price, size, OPEN + closing as usize + 2))
}

/// Checks one text: at most one point, digits on both sides of it, nothing but zeros beyond `scale`, and room for it.
#[target_feature(enable = "avx2,bmi1,bmi2")]
#[inline]
fn text(points: u32, zeros: u32, end: u32, scale: u8) -> Option<Text> {
    let whole = _tzcnt_u32(points | 1 << end);
    let kept_end = whole + 1 + u32::from(scale);
    let cut = _bzhi_u32(u32::MAX, end) & !_bzhi_u32(u32::MAX, kept_end);
    let plain = whole != 0
        && whole + 1 != end
        && _blsr_u32(points) == 0
        && whole + u32::from(scale) <= DIGITS
        && cut & !zeros == 0;
    // A point as the last byte is `whole + 1 == end`; without a point `whole` is `end`.
    plain.then_some(Text { whole, end })
}

/// Both texts as integers at their scales.
#[target_feature(enable = "avx2,bmi1,bmi2")]
#[inline]
fn integers(texts: __m256i, price: Text, size: Text, scales: LevelScales) -> (i64, i64) {
    // Bytes behind the closing quote count as zeros: they stand for fraction digits that were not written.
    let lanes = _mm256_set_m128i(slide(16), slide(16));
    let ends = _mm256_set_m128i(_mm_set1_epi8(size.end as i8), _mm_set1_epi8(price.end as i8));
    let digits = _mm256_and_si256(_mm256_sub_epi8(texts, _mm256_set1_epi8(b'0' as i8)), _mm256_cmpgt_epi8(ends, lanes));
    // Right-aligned without the point: lane `j` takes byte `j - (16 - wanted digits)`, one more from the point on.
    // Lanes before the first digit have the high bit set and become zero.
    let base =
        _mm256_set_m128i(slide(size.whole + u32::from(scales.size)), slide(price.whole + u32::from(scales.price)));
    let last_whole = _mm256_set_m128i(_mm_set1_epi8(size.whole as i8 - 1), _mm_set1_epi8(price.whole as i8 - 1));
    let from = _mm256_sub_epi8(base, _mm256_cmpgt_epi8(base, last_whole));
    let aligned = _mm256_shuffle_epi8(digits, from);
    // 16 digits → 8 pairs → 4 fours → 2 eights.
    let pairs = _mm256_maddubs_epi16(aligned, _mm256_set1_epi16(0x010a));
    let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_0064));
    let packed = _mm256_packus_epi32(fours, fours);
    let eights = _mm256_madd_epi16(packed, _mm256_set1_epi32(0x0001_2710));
    (join(_mm_cvtsi128_si64(_mm256_castsi256_si128(eights))), join(_mm256_extract_epi64::<2>(eights)))
}

/// Two groups of eight digits, the higher one in the lower half.
#[inline(always)]
fn join(eights: i64) -> i64 {
    (eights & 0xffff_ffff) * 100_000_000 + (eights >> 32)
}

/// Lane `j` holds `j - (16 - n)`; `n` at most 16.
#[target_feature(enable = "avx2")]
#[inline]
fn slide(n: u32) -> __m128i {
    debug_assert!(n <= 16);
    // SAFETY: `n` is at most 16 (a mantissa has at most DIGITS digits), so 16 bytes from there end within the 32.
    unsafe { _mm_loadu_si128(SLIDE.as_ptr().add(n as usize).cast::<__m128i>()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn bits(mask: __m256i) -> u32 {
    _mm256_movemask_epi8(mask) as u32
}

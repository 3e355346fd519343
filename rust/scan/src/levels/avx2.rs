//! Two numbers a step: one 32-byte load finds their quotes and points, then both numbers become integers side by
//! side in one register. Whatever does not fit that window goes to the scalar twin.

use std::arch::x86_64::{
    __m128i, __m256i, _blsr_u32, _bzhi_u32, _bzhi_u64, _mm_loadu_si128, _mm256_and_si256, _mm256_castsi256_si128,
    _mm256_cmpeq_epi8, _mm256_extract_epi64, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_packus_epi32, _mm256_set_m128i, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_sub_epi8, _tzcnt_u32,
};

use super::actions::{action, by_number};
use super::{LevelScales, Run, Stop, behind, between, level, more};
use crate::swar;

/// Bytes that must be readable from the first digit on.
const WINDOW: usize = 40;
/// Digits that a mantissa may have: one lane of the register must stay free.
const DIGITS: u32 = 15;
/// What stands between two levels, behind the quote.
const NEXT: u32 = u32::from_le_bytes(*b"],[\"");

/// Shuffles that drop the point and put the last digit into the last lane, by digits before the point and digits in
/// all. Lanes before the first digit have the high bit set and become zero.
static ALIGN: [[[i8; 16]; 16]; 16] = {
    let mut table = [[[-1i8; 16]; 16]; 16];
    let mut whole = 0;
    while whole < 16 {
        let mut total = whole;
        while total < 16 {
            let mut digit = 0;
            while digit < total {
                let behind_point = digit >= whole;
                table[whole][total][16 - total + digit] = (digit + behind_point as usize) as i8;
                digit += 1;
            }
            total += 1;
        }
        whole += 1;
    }
    table
};

/// Sixteen lanes to keep, then sixteen to drop: loaded from offset `16 - n`, the first `n` are kept.
static KEEP: [u8; 32] = {
    let mut table = [0u8; 32];
    let mut i = 0;
    while i < 16 {
        table[i] = 0xff;
        i += 1;
    }
    table
};

#[target_feature(enable = "avx2,bmi1,bmi2")]
pub(super) fn levels<const MORE: usize>(
    bytes: &[u8],
    mut at: usize,
    scales: LevelScales,
    room: usize,
    mut push: impl FnMut(i64, i64),
) -> Run {
    for _ in 0..room {
        // SAFETY: this function is compiled for the same instructions.
        let bracket = if MORE > 0 { unsafe { bracket(bytes, at) } } else { None };
        let found = match behind(bytes, at, b"[\"") {
            // SAFETY: this function is compiled for the same instructions.
            Some(digits) => unsafe { window::<3, 2, 0, 0, false>(bytes, digits, scales) },
            None => None,
        };
        let Some((price, size, quote)) = found.or_else(|| level(bytes, at, scales)) else {
            return Run { at, stop: Stop::Odd };
        };
        let end = match bracket {
            Some(end) if further::<MORE>(bytes, quote) == Some(end) => end,
            _ => match more::<MORE>(bytes, quote) {
                Some(end) => end,
                None => return Run { at, stop: Stop::Odd },
            },
        };
        let tail = bytes.get(end..).unwrap_or_default();
        if tail.first_chunk::<4>().is_some_and(|four| u32::from_le_bytes(*four) == NEXT) {
            push(price, size);
            at = end + 2;
            continue;
        }
        match tail {
            [b']', b',', ..] => {
                push(price, size);
                at = end + 2;
            }
            [b']', b']', ..] => {
                push(price, size);
                return Run { at: end + 2, stop: Stop::Closed };
            }
            _ => return Run { at, stop: Stop::Odd },
        }
    }
    Run { at, stop: Stop::Full }
}

/// Where the level at `at` seems to end: its bracket, found apart from what stands before it, so that the next level need
/// not wait until all texts of this one are read.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn bracket(bytes: &[u8], at: usize) -> Option<usize> {
    let piece = bytes.get(at..)?.first_chunk::<64>()?;
    // SAFETY: the instructions are there, as the caller promised, and these are 32 bytes from either half of 64.
    let half = |from| unsafe {
        let half = _mm256_loadu_si256(piece.as_ptr().add(from).cast::<__m256i>());
        u64::from(bits(_mm256_cmpeq_epi8(half, _mm256_set1_epi8(b']' as i8))))
    };
    let brackets = half(0) | half(32) << 32;
    (brackets != 0).then(|| at + brackets.trailing_zeros() as usize)
}

/// As [`more`], where the further texts are two: a zero and at most seven digits.
#[inline(always)]
fn further<const MORE: usize>(bytes: &[u8], quote: usize) -> Option<usize> {
    const ZERO: u64 = u64::from_le_bytes(*b"\",\"0\",\"\0");
    let texts = bytes.get(quote..)?.first_chunk::<16>()?;
    let (zero, count) = (swar::load(texts)?, swar::load(&texts[7..])?);
    let n = swar::digits(count);
    (MORE == 2 && zero << 8 == ZERO << 8 && n > 0 && texts.get(7 + n) == Some(&b'"')).then_some(quote + 8 + n)
}

#[target_feature(enable = "avx2,bmi1,bmi2")]
pub(super) fn pair<const N: u32, const A: u8, const B: u8>(
    bytes: &[u8],
    at: usize,
    scales: LevelScales,
) -> Option<(i64, i64, usize)> {
    // SAFETY: this function is compiled for the same instructions.
    unsafe { window::<N, 4, A, B, false>(bytes, at, scales) }
}

/// Levels with an action before two bare numbers; see [`super::actions()`].
#[target_feature(enable = "avx2,bmi1,bmi2")]
pub(super) fn actions(
    bytes: &[u8],
    mut at: usize,
    scales: LevelScales,
    room: usize,
    mut push: impl FnMut(i64, i64),
) -> Run {
    for _ in 0..room {
        let found = action(bytes, at).and_then(|(first, keep)| {
            // SAFETY: this function is compiled for the same instructions.
            let numbers =
                unsafe { window::<1, 1, 0, 0, true>(bytes, first, scales) }.or_else(|| by_number(bytes, first, scales));
            numbers.map(|(price, size, end)| (price, size & keep, end))
        });
        let Some((price, size, end)) = found else { return Run { at, stop: Stop::Odd } };
        match bytes.get(end..) {
            Some([b']', b',', ..]) => {
                push(price, size);
                at = end + 2;
            }
            Some([b']', b']', ..]) => {
                push(price, size);
                return Run { at: end + 2, stop: Stop::Closed };
            }
            _ => return Run { at, stop: Stop::Odd },
        }
    }
    Run { at, stop: Stop::Full }
}

/// Two numbers with [`between`] between them, and where the quote behind the second stands. It is `N` bytes long and
/// has `QUOTES` quotes. Where they are `BARE`, commas and closing brackets count as the quotes do, and JSON's rule that
/// no number begins with a needless zero.
///
/// Inlined into every loop: a result of four words would go through memory, written in one width and read in another, and
/// the next level waits for it. An attribute for the instructions forbids that, so they are a promise of the caller.
///
/// # Safety
/// The processor has AVX2, BMI1 and BMI2.
#[inline(always)]
unsafe fn window<const N: u32, const QUOTES: usize, const A: u8, const B: u8, const BARE: bool>(
    bytes: &[u8],
    at: usize,
    scales: LevelScales,
) -> Option<(i64, i64, usize)> {
    // SAFETY: the instructions are there, as the caller promised; reads are argued for where they stand.
    unsafe {
        const { assert!(N <= 8, "sixteen bytes of the second text must lie within the window") };
        let window = bytes.get(at..)?.first_chunk::<WINDOW>()?;
        // 32 bytes from the start of 40 lie within the window.
        let v = _mm256_loadu_si256(window.as_ptr().cast::<__m256i>());
        let values = _mm256_sub_epi8(v, _mm256_set1_epi8(b'0' as i8));
        let digits = bits(_mm256_cmpeq_epi8(_mm256_min_epu8(values, _mm256_set1_epi8(9)), values));
        let is = |byte: u8| _mm256_cmpeq_epi8(v, _mm256_set1_epi8(byte as i8));
        let quotes = bits(if BARE { _mm256_or_si256(is(b','), is(b']')) } else { is(b'"') });
        let points = bits(is(b'.'));
        let zeros = bits(is(b'0'));

        let price_end = _tzcnt_u32(quotes);
        let size_at = price_end + N;
        let mut behind = quotes;
        for _ in 0..QUOTES {
            behind = _blsr_u32(behind);
        }
        let closing = _tzcnt_u32(behind);
        let size_end = closing.wrapping_sub(size_at);
        // A closing quote before the second text wraps around.
        if (price_end | size_end) > DIGITS || closing > 31 {
            return None;
        }
        let middle = window.get(price_end as usize..)?.first_chunk::<8>()?;
        if _bzhi_u64(u64::from_le_bytes(*middle), 8 * N) != between::<A, B>(N) {
            return None;
        }

        let price_points = _bzhi_u32(points, price_end);
        let size_points = _bzhi_u32(points, closing) & (u32::MAX << size_at);
        let price_whole = _tzcnt_u32(price_points | 1 << price_end);
        let size_whole = _tzcnt_u32(size_points | 1 << closing) - size_at;
        let price_total = price_whole + u32::from(scales.price);
        let size_total = size_whole + u32::from(scales.size);
        if price_total > DIGITS || size_total > DIGITS {
            return None;
        }
        // Around the middle stand digits and points only; first and last of each text are digits, so that every point has
        // digits on both sides; no text has two points.
        let edges = 1 | (1u32 << price_end) >> 1 | 1 << size_at | (1u32 << closing) >> 1;
        let known = digits | points | ((1u32 << N) - 1) << price_end;
        let wrong = _bzhi_u32(!known, closing) | (edges & !digits) | _blsr_u32(price_points) | _blsr_u32(size_points);
        // Nothing but zeros beyond the scale.
        let price_cut = u64::from(_bzhi_u32(!zeros, price_end)) >> (price_total + 1);
        let size_cut = u64::from(_bzhi_u32(!zeros, closing)) >> (size_at + size_total + 1);
        if u64::from(wrong) | price_cut | size_cut != 0 {
            return None;
        }
        if BARE && (zeros & u32::from(price_whole > 1)) | (zeros >> size_at & u32::from(size_whole > 1)) != 0 {
            return None;
        }

        // `size_at` is at most 15 + 8, so these 16 bytes end before byte 40.
        let size_text = _mm_loadu_si128(window.as_ptr().add(size_at as usize).cast::<__m128i>());
        let texts = _mm256_set_m128i(size_text, _mm256_castsi256_si128(v));
        // Bytes behind a text count as zeros: they stand for fraction digits that were not written.
        let kept = _mm256_set_m128i(keep(size_end), keep(price_end));
        let digits = _mm256_and_si256(_mm256_sub_epi8(texts, _mm256_set1_epi8(b'0' as i8)), kept);
        let order = _mm256_set_m128i(align(size_whole, size_total), align(price_whole, price_total));
        let aligned = _mm256_shuffle_epi8(digits, order);
        // 16 digits → 8 pairs → 4 fours → 2 eights.
        let pairs = _mm256_maddubs_epi16(aligned, _mm256_set1_epi16(0x010a));
        let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_0064));
        let packed = _mm256_packus_epi32(fours, fours);
        let eights = _mm256_madd_epi16(packed, _mm256_set1_epi32(0x0001_2710));
        let price = join(_mm256_extract_epi64::<0>(eights));
        let size = join(_mm256_extract_epi64::<2>(eights));
        Some((price, size, at + closing as usize))
    }
}

/// Two groups of eight digits, the higher one in the lower half.
#[inline(always)]
fn join(eights: i64) -> i64 {
    (eights & 0xffff_ffff) * 100_000_000 + (eights >> 32)
}

/// A mask of the first `n` lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn keep(n: u32) -> __m128i {
    let n = n.min(16) as usize;
    // SAFETY: 16 bytes from an offset of at most 16 lie within the 32.
    unsafe { _mm_loadu_si128(KEEP.as_ptr().add(16 - n).cast::<__m128i>()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn align(whole: u32, total: u32) -> __m128i {
    let lanes = &ALIGN[whole as usize & 15][total as usize & 15];
    // SAFETY: the array is 16 bytes.
    unsafe { _mm_loadu_si128(lanes.as_ptr().cast::<__m128i>()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn bits(mask: __m256i) -> u32 {
    _mm256_movemask_epi8(mask) as u32
}

//! Lists of `["price","size"]` pairs, the bulk of all bytes that exchanges send.

use crate::fixed;
use crate::isa::{Isa, Set};

#[cfg(target_arch = "x86_64")]
mod avx2;

/// Scales that the mantissas are wanted at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelScales {
    /// Fraction digits of prices.
    pub price: u8,
    /// Fraction digits of sizes.
    pub size: u8,
}

/// How far [`levels`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where it stopped: behind the list, or at the `[` of the level it left.
    pub at: usize,
    /// Why.
    pub stop: Stop,
}

/// Why [`levels`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The list is closed.
    Closed,
    /// The level is not two plain numbers at these scales; nothing of it was handed out.
    Odd,
    /// One level more than allowed.
    Full,
}

/// Reads `["p","q"],["p","q"]]` from `at`, the `[` of a level, to the end of the list, handing each level out as
/// mantissas at `scales`; at most `room` of them.
#[inline]
pub fn levels(isa: Isa, bytes: &[u8], at: usize, scales: LevelScales, room: usize, push: impl FnMut(i64, i64)) -> Run {
    match isa.0 {
        Set::Scalar => scalar(bytes, at, scales, room, push),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` with this set is only made by `Isa::best`, after the processor said that it has the
        // instructions this function is compiled for.
        Set::Avx2 => unsafe { avx2::levels(bytes, at, scales, room, push) },
    }
}

fn scalar(bytes: &[u8], mut at: usize, scales: LevelScales, room: usize, mut push: impl FnMut(i64, i64)) -> Run {
    for _ in 0..room {
        let Some((price, size, quote)) = level(bytes, at, scales) else { return Run { at, stop: Stop::Odd } };
        match bytes.get(quote + 1..) {
            Some([b']', b',', ..]) => {
                push(price, size);
                at = quote + 3;
            }
            Some([b']', b']', ..]) => {
                push(price, size);
                return Run { at: quote + 3, stop: Stop::Closed };
            }
            _ => return Run { at, stop: Stop::Odd },
        }
    }
    Run { at, stop: Stop::Full }
}

/// Reads two numbers, `P` and `Q` of `P","NAME":"Q"`: from the first digit of one to the quote behind the other. Says
/// both mantissas at `scales` and where that quote stands; `None` where they are not two plain numbers at these scales.
#[inline]
#[must_use]
pub fn pair<const NAME: u8>(isa: Isa, bytes: &[u8], at: usize, scales: LevelScales) -> Option<(i64, i64, usize)> {
    let found = match isa.0 {
        Set::Scalar => None,
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as in `levels`.
        Set::Avx2 => unsafe { avx2::pair::<NAME>(bytes, at, scales) },
    };
    found.or_else(|| by_text::<7, NAME>(bytes, at, scales))
}

/// What stands between the two numbers of a level (`","`, 3 bytes) or of two fields (`","NAME":"`, 7), lowest byte
/// first.
const fn between<const NAME: u8>(len: u32) -> u64 {
    match len {
        3 => u64::from_le_bytes([b'"', b',', b'"', 0, 0, 0, 0, 0]),
        _ => u64::from_le_bytes([b'"', b',', b'"', NAME, b'"', b':', b'"', 0]),
    }
}

/// One level from its `[` on: its mantissas and where the quote behind the size stands.
#[cold]
#[inline(never)]
fn level(bytes: &[u8], at: usize, scales: LevelScales) -> Option<(i64, i64, usize)> {
    by_text::<3, 0>(bytes, behind(bytes, at, b"[\"")?, scales)
}

/// The scalar twin of both.
#[cold]
#[inline(never)]
fn by_text<const N: usize, const NAME: u8>(bytes: &[u8], at: usize, scales: LevelScales) -> Option<(i64, i64, usize)> {
    let (price, end) = fixed(bytes, at, scales.price)?;
    let middle = bytes.get(end..)?.first_chunk::<N>()?;
    if *middle != between::<NAME>(N as u32).to_le_bytes()[..N] {
        return None;
    }
    fixed(bytes, end + N, scales.size).map(|(size, quote)| (price, size, quote))
}

/// The position behind `literal`, if it stands at `at`.
#[inline(always)]
fn behind<const N: usize>(bytes: &[u8], at: usize, literal: &[u8; N]) -> Option<usize> {
    (bytes.get(at..)?.first_chunk::<N>()? == literal).then_some(at + N)
}

#[cfg(test)]
mod tests;

//! Lists of `["price","size"]` levels, the bulk of all bytes that exchanges send.

use crate::fixed;
use crate::isa::{Isa, Set};

mod actions;
#[cfg(target_arch = "x86_64")]
mod avx2;

pub use actions::actions;

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
    levels_with::<0>(isa, bytes, at, scales, room, push)
}

/// The same where each level has `MORE` further texts of digits, which are stepped over (OKX: `["p","q","0","n"]`).
#[inline]
pub fn levels_with<const MORE: usize>(
    isa: Isa,
    bytes: &[u8],
    at: usize,
    scales: LevelScales,
    room: usize,
    push: impl FnMut(i64, i64),
) -> Run {
    match isa.0 {
        Set::Scalar => scalar::<MORE>(bytes, at, scales, room, push),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` with this set is only made by `Isa::best`, after the processor said that it has the
        // instructions this function is compiled for.
        Set::Avx2 => unsafe { avx2::levels::<MORE>(bytes, at, scales, room, push) },
    }
}

fn scalar<const MORE: usize>(
    bytes: &[u8],
    mut at: usize,
    scales: LevelScales,
    room: usize,
    mut push: impl FnMut(i64, i64),
) -> Run {
    for _ in 0..room {
        let found = level(bytes, at, scales);
        let Some((price, size, end)) = found.and_then(|(p, q, quote)| Some((p, q, more::<MORE>(bytes, quote)?))) else {
            return Run { at, stop: Stop::Odd };
        };
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

/// From the quote behind the size to behind the last of the further texts.
#[inline(always)]
fn more<const MORE: usize>(bytes: &[u8], quote: usize) -> Option<usize> {
    let mut at = quote + 1;
    for _ in 0..MORE {
        let first = behind(bytes, at, b",\"")?;
        let n = bytes.get(first..)?.iter().position(|b| !b.is_ascii_digit()).filter(|n| *n > 0)?;
        at = behind(bytes, first + n, b"\"")?;
    }
    Some(at)
}

/// Reads two numbers, `P` and `Q` of `P","NAME":"Q"`: from the first digit of one to the quote behind the other. Says
/// both mantissas at `scales` and where that quote stands; `None` where they are not two plain numbers at these scales.
#[inline]
#[must_use]
pub fn pair<const NAME: u8>(isa: Isa, bytes: &[u8], at: usize, scales: LevelScales) -> Option<(i64, i64, usize)> {
    fields::<7, NAME, 0>(isa, bytes, at, scales)
}

/// The same where the name of the second number has two letters, `A` and `B`.
#[inline]
#[must_use]
pub fn pair2<const A: u8, const B: u8>(
    isa: Isa,
    bytes: &[u8],
    at: usize,
    scales: LevelScales,
) -> Option<(i64, i64, usize)> {
    fields::<8, A, B>(isa, bytes, at, scales)
}

#[inline(always)]
fn fields<const N: u32, const A: u8, const B: u8>(
    isa: Isa,
    bytes: &[u8],
    at: usize,
    scales: LevelScales,
) -> Option<(i64, i64, usize)> {
    let found = match isa.0 {
        Set::Scalar => None,
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as in `levels_with`.
        Set::Avx2 => unsafe { avx2::pair::<N, A, B>(bytes, at, scales) },
    };
    found.or_else(|| by_text::<N, A, B>(bytes, at, scales))
}

/// What stands between the two numbers of a level (`","`, 3 bytes; bare numbers `,`, 1) or of two fields (`","A":"`, 7,
/// or `","AB":"`, 8), lowest byte first.
const fn between<const A: u8, const B: u8>(len: u32) -> u64 {
    match len {
        1 => b',' as u64,
        3 => u64::from_le_bytes([b'"', b',', b'"', 0, 0, 0, 0, 0]),
        7 => u64::from_le_bytes([b'"', b',', b'"', A, b'"', b':', b'"', 0]),
        _ => u64::from_le_bytes([b'"', b',', b'"', A, B, b'"', b':', b'"']),
    }
}

/// One level from its `[` on: its mantissas and where the quote behind the size stands.
#[cold]
#[inline(never)]
fn level(bytes: &[u8], at: usize, scales: LevelScales) -> Option<(i64, i64, usize)> {
    by_text::<3, 0, 0>(bytes, behind(bytes, at, b"[\"")?, scales)
}

/// The scalar twin of both.
#[cold]
#[inline(never)]
fn by_text<const N: u32, const A: u8, const B: u8>(
    bytes: &[u8],
    at: usize,
    scales: LevelScales,
) -> Option<(i64, i64, usize)> {
    let (price, end) = fixed(bytes, at, scales.price)?;
    let middle = bytes.get(end..)?.get(..N as usize)?;
    if *middle != between::<A, B>(N).to_le_bytes()[..N as usize] {
        return None;
    }
    fixed(bytes, end + N as usize, scales.size).map(|(size, quote)| (price, size, quote))
}

/// The position behind `literal`, if it stands at `at`.
#[inline(always)]
fn behind<const N: usize>(bytes: &[u8], at: usize, literal: &[u8; N]) -> Option<usize> {
    (bytes.get(at..)?.first_chunk::<N>()? == literal).then_some(at + N)
}

#[cfg(test)]
mod tests;

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
        let Some((price, size, end)) = level(bytes, at, scales) else {
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

/// One level: its mantissas and the byte behind it.
#[inline(always)]
fn level(bytes: &[u8], at: usize, scales: LevelScales) -> Option<(i64, i64, usize)> {
    let at = behind(bytes, at, b"[\"")?;
    let (price, end) = fixed(bytes, at, scales.price)?;
    let at = behind(bytes, end, b"\",\"")?;
    let (size, end) = fixed(bytes, at, scales.size)?;
    Some((price, size, behind(bytes, end, b"\"]")?))
}

/// The position behind `literal`, if it stands at `at`.
#[inline(always)]
fn behind<const N: usize>(bytes: &[u8], at: usize, literal: &[u8; N]) -> Option<usize> {
    (bytes.get(at..)?.first_chunk::<N>()? == literal).then_some(at + N)
}

#[cfg(test)]
mod tests;

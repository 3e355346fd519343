//! Lists of levels that say what is done to them: `["new",228.51,0.22]` (Deribit).

use super::{LevelScales, Run, Stop};
use crate::bare;
use crate::isa::{Isa, Set};

/// Reads `["new",p,q],["delete",p,q]]` from `at`, the `[` of a level, to the end of the list, handing each level out as
/// mantissas at `scales`, the size of a `delete` as 0; at most `room` of them. An action is `new`, `change` or `delete`.
#[inline]
pub fn actions(isa: Isa, bytes: &[u8], at: usize, scales: LevelScales, room: usize, push: impl FnMut(i64, i64)) -> Run {
    match isa.0 {
        Set::Scalar => scalar(bytes, at, scales, room, push),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` with this set is only made by `Isa::best`, after the processor said that it has the
        // instructions this function is compiled for.
        Set::Avx2 => unsafe { super::avx2::actions(bytes, at, scales, room, push) },
    }
}

fn scalar(bytes: &[u8], mut at: usize, scales: LevelScales, room: usize, mut push: impl FnMut(i64, i64)) -> Run {
    for _ in 0..room {
        let found = action(bytes, at).and_then(|(first, keep)| {
            by_number(bytes, first, scales).map(|(price, size, end)| (price, size & keep, end))
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

/// The action of the level at `at`: where its price begins, and the bits of the size that count. Without a branch
/// between the three, since nothing foretells which comes next.
#[inline(always)]
pub(super) fn action(bytes: &[u8], at: usize) -> Option<(usize, i64)> {
    const NEW: u64 = u64::from_le_bytes(*b"[\"new\",\0");
    const CHANGE: u64 = u64::from_le_bytes(*b"[\"change");
    const DELETE: u64 = u64::from_le_bytes(*b"[\"delete");
    // The shortest level has eleven bytes.
    let start = bytes.get(at..)?.first_chunk::<10>()?;
    let [word @ .., quote, comma] = start;
    let word = u64::from_le_bytes(*word);
    let is_new = word << 8 == NEW << 8;
    let is_delete = word == DELETE;
    let is_long = (is_delete | (word == CHANGE)) & (*quote == b'"') & (*comma == b',');
    let first = at + if is_new { 7 } else { 10 };
    (is_new | is_long).then_some((first, i64::from(is_delete) - 1))
}

/// `P,Q` from the first digit on: both mantissas and where the byte behind them stands. The scalar twin of the window.
#[inline(never)]
pub(super) fn by_number(bytes: &[u8], at: usize, scales: LevelScales) -> Option<(i64, i64, usize)> {
    let (price, comma) = bare(bytes, at, scales.price)?;
    if bytes.get(comma) != Some(&b',') {
        return None;
    }
    bare(bytes, comma + 1, scales.size).map(|(size, end)| (price, size, end))
}

#[cfg(test)]
mod tests;

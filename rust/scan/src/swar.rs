//! Eight digits a step in an ordinary register.

const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The eight bytes at `at`, first byte lowest; `None` where the slice ends before.
#[inline(always)]
pub(crate) fn load(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<8>().map(|chunk| u64::from_le_bytes(*chunk))
}

/// How many of the eight bytes are digits before the first that is none.
#[inline(always)]
pub(crate) fn digits(chunk: u64) -> usize {
    let t = chunk ^ ZEROS;
    // A byte 0 … 9 plus 0x76 stays below 0x80. A carry only ever reaches bytes behind the first that is no digit.
    let none = (t.wrapping_add(0x7676_7676_7676_7676) | t) & HIGH_BITS;
    (none.trailing_zeros() / 8) as usize
}

/// The value of the first `n` bytes, all digits; `n` at most 8.
#[inline(always)]
pub(crate) fn value(chunk: u64, n: usize) -> u64 {
    if n == 0 {
        return 0;
    }
    // Leading zeros instead of the bytes behind: shifted-in zero bytes are digit 0 once `ZEROS` is taken off.
    let t = (chunk ^ ZEROS) << (64 - 8 * n);
    let pairs = t.wrapping_mul(10).wrapping_add(t >> 8);
    const LOW: u64 = 0x0000_00ff_0000_00ff;
    const MUL_1: u64 = 0x000f_4240_0000_0064;
    const MUL_2: u64 = 0x0000_2710_0000_0001;
    let high = (pairs & LOW).wrapping_mul(MUL_1);
    let low = ((pairs >> 16) & LOW).wrapping_mul(MUL_2);
    u64::from((high.wrapping_add(low) >> 32) as u32)
}

/// True where the bytes `from..to` of the eight are all `0`; `from <= to <= 8`.
#[inline(always)]
pub(crate) fn zeros(chunk: u64, from: usize, to: usize) -> bool {
    if from >= to {
        return true;
    }
    let t = (chunk ^ ZEROS) >> (8 * from);
    t << (64 - 8 * (to - from)) == 0
}

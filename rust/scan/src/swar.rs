//! Eight digits a step in an ordinary register.

const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The first eight bytes, the very first lowest; `None` where there are fewer.
#[inline(always)]
pub(crate) fn load(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk::<8>().map(|chunk| u64::from_le_bytes(*chunk))
}

/// The high bit of the first byte that is no digit, and of some behind it.
#[inline(always)]
fn others(chunk: u64) -> u64 {
    let t = chunk ^ ZEROS;
    // A byte 0 … 9 plus 0x76 stays below 0x80. A carry only ever reaches bytes behind the first that is no digit.
    (t.wrapping_add(0x7676_7676_7676_7676) | t) & HIGH_BITS
}

/// How many of the eight bytes are digits before the first that is none.
#[inline(always)]
pub(crate) fn digits(chunk: u64) -> usize {
    (others(chunk).trailing_zeros() / 8) as usize
}

/// True where all eight are digits.
#[inline(always)]
pub(crate) fn all_digits(chunk: u64) -> bool {
    others(chunk) == 0
}

/// The value of the first `n` bytes, all digits; `n` less than 8.
#[inline(always)]
pub(crate) fn value(chunk: u64, n: usize) -> u64 {
    // Leading zeros instead of the bytes behind: shifted-in zero bytes are digit 0 once `ZEROS` is taken off. In two
    // steps, since a shift by 64 is none.
    sum((chunk ^ ZEROS) << (56 - 8 * n) << 8)
}

/// The value of eight digits.
#[inline(always)]
pub(crate) fn value8(chunk: u64) -> u64 {
    sum(chunk ^ ZEROS)
}

#[inline(always)]
fn sum(t: u64) -> u64 {
    const LOW: u64 = 0x0000_00ff_0000_00ff;
    const MUL_1: u64 = 0x000f_4240_0000_0064;
    const MUL_2: u64 = 0x0000_2710_0000_0001;
    let pairs = t.wrapping_mul(10).wrapping_add(t >> 8);
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

/// The high bit of the first byte that is zero, and of some behind it.
#[inline(always)]
fn zero_bytes(v: u64) -> u64 {
    v.wrapping_sub(0x0101_0101_0101_0101) & !v & HIGH_BITS
}

/// How many of the eight bytes stand before the first quote or backslash.
#[inline(always)]
pub(crate) fn before_quote(chunk: u64) -> usize {
    const QUOTES: u64 = 0x2222_2222_2222_2222;
    const BACKSLASHES: u64 = 0x5c5c_5c5c_5c5c_5c5c;
    ((zero_bytes(chunk ^ QUOTES) | zero_bytes(chunk ^ BACKSLASHES)).trailing_zeros() / 8) as usize
}

/// How many of the eight bytes stand before the last quote, if there is one.
#[inline(always)]
pub(crate) fn before_last_quote(chunk: u64) -> Option<usize> {
    const QUOTES: u64 = 0x2222_2222_2222_2222;
    let v = chunk ^ QUOTES;
    // Exact for every byte: nothing is carried from one to the next.
    let zeros = !(((v & !HIGH_BITS) + !HIGH_BITS) | v) & HIGH_BITS;
    (zeros != 0).then(|| 7 - (zeros.leading_zeros() / 8) as usize)
}

//! A position in a frame of a known shape.

use crate::{fixed, swar};

/// Walks forward over a frame. Every step either takes exactly what was asked for or leaves the cursor where it was
/// and says no; nothing is guessed and nothing is read beyond the slice.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// `A-Z`, `0-9` and `_`: the letters of nearly every symbol. All others leave the fast path.
const SYMBOL: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 128 {
        table[b] = (b as u8).is_ascii_uppercase() || (b as u8).is_ascii_digit() || b == b'_' as usize;
        b += 1;
    }
    table
};

impl<'a> Cursor<'a> {
    /// At byte `at` of `bytes`.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where it stands.
    #[inline]
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// True behind the last byte.
    #[inline]
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next byte, not taken.
    #[inline]
    #[must_use]
    pub fn next(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// What is left.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Goes to byte `at`, which lies ahead.
    #[inline]
    pub fn set(&mut self, at: usize) {
        self.at = at;
    }

    /// Takes `literal` if it stands here.
    #[inline(always)]
    #[must_use]
    pub fn eat<const N: usize>(&mut self, literal: &[u8; N]) -> bool {
        let here = self.rest().first_chunk::<N>() == Some(literal);
        if here {
            self.at += N;
        }
        here
    }

    /// [`Self::eat`] for use with `?`.
    #[inline(always)]
    #[must_use]
    pub fn expect<const N: usize>(&mut self, literal: &[u8; N]) -> Option<()> {
        self.eat(literal).then_some(())
    }

    /// An integer as JSON writes it, without sign, at most 18 digits.
    #[inline(always)]
    #[must_use]
    pub fn integer(&mut self) -> Option<i64> {
        let (mut value, mut n) = (0u64, 0);
        while let Some(chunk) = swar::load(self.bytes, self.at + n) {
            let digits = swar::digits(chunk);
            if digits < 8 {
                if n + digits > 18 {
                    return None;
                }
                value = value * TEN_TO[digits] + swar::value(chunk, digits);
                n += digits;
                return self.take_integer(value, n);
            }
            if n >= 16 {
                return None;
            }
            value = value * TEN_TO[8] + swar::value(chunk, 8);
            n += 8;
        }
        self.integer_at_the_end(value, n)
    }

    #[inline(always)]
    fn take_integer(&mut self, value: u64, digits: usize) -> Option<i64> {
        // JSON knows no leading zeros.
        if digits == 0 || digits > 1 && self.next() == Some(b'0') {
            return None;
        }
        self.at += digits;
        i64::try_from(value).ok()
    }

    #[cold]
    fn integer_at_the_end(&mut self, mut value: u64, mut n: usize) -> Option<i64> {
        while let Some(digit) = self.bytes.get(self.at + n).filter(|b| b.is_ascii_digit()) {
            if n >= 18 {
                return None;
            }
            value = value * 10 + u64::from(digit - b'0');
            n += 1;
        }
        self.take_integer(value, n)
    }

    /// A symbol of `A-Z`, `0-9` and `_`, and the quote behind it.
    #[inline(always)]
    #[must_use]
    pub fn symbol(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let n = rest.iter().position(|b| !SYMBOL[usize::from(*b)])?;
        if n == 0 || rest.get(n) != Some(&b'"') {
            return None;
        }
        self.at += n + 1;
        // SAFETY: `n` is the position of the first byte that is not in SYMBOL, so `rest[..n]` is within the slice and
        // holds ASCII letters, digits and underscores only, which is UTF-8.
        Some(unsafe { std::str::from_utf8_unchecked(rest.get_unchecked(..n)) })
    }

    /// Steps over the symbol in a stream's name: lower-case letters, digits and `_`.
    #[inline(always)]
    #[must_use]
    pub fn stream_symbol(&mut self) -> Option<()> {
        let lower = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
        let n = self.rest().iter().position(|b| !lower(b)).filter(|n| *n > 0)?;
        self.at += n;
        Some(())
    }

    /// A plain number at `scale` and the quote behind it; see [`crate::fixed`].
    #[inline(always)]
    #[must_use]
    pub fn fixed(&mut self, scale: u8) -> Option<i64> {
        let (value, quote) = fixed(self.bytes, self.at, scale)?;
        self.at = quote + 1;
        Some(value)
    }

    /// Steps over a plain number (digits, perhaps a point and digits) and the quote behind it.
    #[inline(always)]
    #[must_use]
    pub fn skip_number(&mut self) -> Option<()> {
        let whole = self.digits_from(self.at)?;
        let mut end = self.at + whole;
        if self.bytes.get(end) == Some(&b'.') {
            let fraction = self.digits_from(end + 1)?;
            end += 1 + fraction;
        }
        if self.bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        Some(())
    }

    /// How many digits stand from `at` on, if any.
    #[inline(always)]
    fn digits_from(&self, at: usize) -> Option<usize> {
        let n = match swar::load(self.bytes, at).map(swar::digits) {
            Some(n) if n < 8 => n,
            _ => {
                let rest = self.bytes.get(at..)?;
                rest.iter().position(|b| !b.is_ascii_digit())?
            }
        };
        (n > 0).then_some(n)
    }

    /// The bytes up to the next quote, and the quote. No byte of them may be a backslash or a control character, so
    /// they are what a JSON text of that length holds.
    #[inline]
    #[must_use]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let n = memchr::memchr(b'"', rest)?;
        let text = rest.get(..n)?;
        if text.iter().any(|b| *b < 0x20 || *b == b'\\') {
            return None;
        }
        self.at += n + 1;
        Some(text)
    }
}

const TEN_TO: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

#[cfg(test)]
mod tests;

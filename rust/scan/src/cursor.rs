//! A position in a frame of a known shape.

use crate::bare::{self, bare_exact};
use crate::{Exact, Isa, LevelScales, pair, pair2, swar, word};

/// Walks forward over a frame. Every step either takes exactly what was asked for or leaves the cursor where it was
/// and says no; nothing is guessed and nothing is read beyond the slice.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    rest: &'a [u8],
}

const TEN_TO: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

impl<'a> Cursor<'a> {
    /// At byte `at` of `bytes`, or at their end if they end before.
    #[inline(always)]
    #[must_use]
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, rest: bytes.get(at..).unwrap_or_default() }
    }

    /// Where it stands.
    #[inline(always)]
    #[must_use]
    pub fn at(&self) -> usize {
        self.bytes.len() - self.rest.len()
    }

    /// True behind the last byte.
    #[inline(always)]
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, not taken.
    #[inline(always)]
    #[must_use]
    pub fn next(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// What is left.
    #[inline(always)]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Goes to byte `at`.
    #[inline(always)]
    pub fn set(&mut self, at: usize) {
        *self = Self::new(self.bytes, at);
    }

    /// Takes `literal` if it stands here.
    #[inline(always)]
    #[must_use]
    pub fn eat<const N: usize>(&mut self, literal: &[u8; N]) -> bool {
        match self.rest.split_first_chunk::<N>() {
            Some((here, rest)) if here == literal => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// [`Self::eat`] for use with `?`.
    #[inline(always)]
    #[must_use]
    pub fn expect<const N: usize>(&mut self, literal: &[u8; N]) -> Option<()> {
        self.eat(literal).then_some(())
    }

    /// An integer, most likely a time: 13 digits, milliseconds since 2001.
    #[inline(always)]
    #[must_use]
    pub fn millis(&mut self) -> Option<i64> {
        if let Some((digits, rest)) = self.rest.split_first_chunk::<13>()
            && let (Some(head), Some(tail)) = (swar::load(digits), swar::load(&digits[5..]))
            && swar::all_digits(head)
            && swar::all_digits(tail)
            && digits[0] != b'0'
            && rest.first().is_none_or(|b| !b.is_ascii_digit())
        {
            // A known length: what follows need not wait for the digits to be counted.
            self.rest = rest;
            return Some((swar::value8(head) * TEN_TO[5] + swar::value(tail >> 24, 5)) as i64);
        }
        self.integer()
    }

    /// An integer as JSON writes it, without sign, at most 18 digits.
    #[inline(always)]
    #[must_use]
    pub fn integer(&mut self) -> Option<i64> {
        let (Some(head), Some(last)) = (swar::load(self.rest), self.rest.last_chunk::<8>()) else {
            return self.take(any_integer(self.rest)?);
        };
        // What would lie beyond the end reads as zero bytes, which are no digits.
        let tail = match self.rest.get(8..).and_then(swar::load) {
            Some(tail) => tail,
            None => u64::from_le_bytes(*last).checked_shr(8 * (16 - self.rest.len() as u32)).unwrap_or(0),
        };
        let (value, n) = if swar::all_digits(head) {
            let more = swar::digits(tail);
            if more == 8 {
                return self.take(any_integer(self.rest)?);
            }
            (swar::value8(head) * TEN_TO[more] + swar::value(tail, more), 8 + more)
        } else {
            let n = swar::digits(head);
            (swar::value(head, n), n)
        };
        // JSON knows no leading zeros.
        if n == 0 || n > 1 && head as u8 == b'0' {
            return None;
        }
        self.rest = self.rest.get(n..)?;
        Some(value as i64)
    }

    #[inline(always)]
    fn take(&mut self, (value, rest): (i64, &'a [u8])) -> Option<i64> {
        self.rest = rest;
        Some(value)
    }

    /// A symbol of `A-Z`, `0-9` and `_`, and the quote behind it.
    #[inline(always)]
    #[must_use]
    pub fn symbol(&mut self) -> Option<&'a str> {
        let (name, rest) = self.rest.split_at_checked(word::run::<b'A'>(self.rest)?)?;
        let (b'"', rest) = rest.split_first()? else { return None };
        self.rest = rest;
        // SAFETY: the run holds ASCII letters, digits and underscores only, which is UTF-8.
        Some(unsafe { std::str::from_utf8_unchecked(name) })
    }

    /// A name of ASCII letters, digits, `_` and `-`, and the quote behind it.
    #[inline(always)]
    #[must_use]
    pub fn name(&mut self) -> Option<&'a str> {
        self.name_before::<b'"'>()
    }

    /// The same with another byte behind it, which is taken too.
    #[inline(always)]
    #[must_use]
    pub fn name_before<const END: u8>(&mut self) -> Option<&'a str> {
        let (name, rest) = self.rest.split_at_checked(word::name(self.rest)?)?;
        let (end, rest) = rest.split_first()?;
        if *end != END {
            return None;
        }
        self.rest = rest;
        // SAFETY: the run holds ASCII letters, digits, underscores and dashes only, which is UTF-8.
        Some(unsafe { std::str::from_utf8_unchecked(name) })
    }

    /// Steps over the symbol in a stream's name: lower-case letters, digits and `_`.
    #[inline(always)]
    #[must_use]
    pub fn stream_symbol(&mut self) -> Option<()> {
        self.rest = self.rest.get(word::run::<b'a'>(self.rest)?..)?;
        Some(())
    }

    /// Two plain numbers with `","NAME":"` between them, and the quote behind the second; see [`crate::pair`].
    #[inline(always)]
    #[must_use]
    pub fn pair<const NAME: u8>(&mut self, isa: Isa, scales: LevelScales) -> Option<(i64, i64)> {
        let (first, second, quote) = pair::<NAME>(isa, self.rest, 0, scales)?;
        self.rest = self.rest.get(quote + 1..)?;
        Some((first, second))
    }

    /// The same where the name has two letters; see [`crate::pair2`].
    #[inline(always)]
    #[must_use]
    pub fn pair2<const A: u8, const B: u8>(&mut self, isa: Isa, scales: LevelScales) -> Option<(i64, i64)> {
        let (first, second, quote) = pair2::<A, B>(isa, self.rest, 0, scales)?;
        self.rest = self.rest.get(quote + 1..)?;
        Some((first, second))
    }

    /// Steps over a plain number (digits, perhaps a point and digits) and the quote behind it.
    #[inline]
    #[must_use]
    pub fn skip_number(&mut self) -> Option<()> {
        let digits = |text: &'a [u8]| {
            let n = text.iter().position(|b| !b.is_ascii_digit()).filter(|n| *n > 0)?;
            text.split_at_checked(n)
        };
        let (_, mut rest) = digits(self.rest)?;
        if let Some((b'.', fraction)) = rest.split_first() {
            (_, rest) = digits(fraction)?;
        }
        let (b'"', rest) = rest.split_first()? else { return None };
        self.rest = rest;
        Some(())
    }

    /// A bare number at `scale`, up to the comma or bracket behind it; see [`crate::bare`].
    #[inline(always)]
    #[must_use]
    pub fn bare(&mut self, scale: u8) -> Option<i64> {
        let (value, end) = bare::bare(self.rest, 0, scale)?;
        self.rest = self.rest.get(end..)?;
        Some(value)
    }

    /// A bare number of any size, up to the comma or bracket behind it; see [`crate::bare_exact`].
    #[inline(always)]
    #[must_use]
    pub fn number(&mut self) -> Option<Exact> {
        let (number, end) = bare_exact(self.rest, 0)?;
        self.rest = self.rest.get(end..)?;
        Some(number)
    }

    /// Steps over a value that is no list and no object: an ASCII text, a number, or one of the three words.
    #[inline]
    #[must_use]
    pub fn skip_scalar(&mut self) -> Option<()> {
        match self.next()? {
            b'"' => {
                self.expect(b"\"")?;
                // Most texts are words.
                return if self.name().is_some() { Some(()) } else { self.text()?.is_ascii().then_some(()) };
            }
            b't' => return self.expect(b"true"),
            b'f' => return self.expect(b"false"),
            b'n' => return self.expect(b"null"),
            _ => {}
        }
        match bare::plain_len(self.rest) {
            Some(n) => {
                self.rest = self.rest.get(n..)?;
                Some(())
            }
            None => self.number().map(|_| ()),
        }
    }

    /// The bytes up to the next `END`, whatever they are, and it.
    #[inline(always)]
    #[must_use]
    pub fn until<const END: u8>(&mut self) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(word::find::<END>(self.rest)?)?;
        self.rest = rest.get(1..)?;
        Some(bytes)
    }

    /// The bytes up to the next quote, and the quote. No byte of them may be a backslash or a control character, so
    /// they are what a JSON text of that length holds.
    #[inline]
    #[must_use]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let (text, rest) = self.rest.split_at_checked(word::find::<b'"'>(self.rest)?)?;
        if text.iter().any(|b| *b < 0x20 || *b == b'\\') {
            return None;
        }
        self.rest = rest.get(1..)?;
        Some(text)
    }
}

/// One digit at a time: long integers, and those at the end of a frame. Takes and yields what is left, so that cursors
/// can stay in registers.
#[cold]
#[inline(never)]
fn any_integer(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let n = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at_checked(n)?;
    if n == 0 || n > 18 || n > 1 && digits[0] == b'0' {
        return None;
    }
    Some((digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')), rest))
}

#[cfg(test)]
mod tests;

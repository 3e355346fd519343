//! Bare JSON numbers straight into an `i64` at a wanted scale.

use crate::fixed::{POW10, SAFE_DIGITS};
use crate::{Exact, NumberError, exact, swar};

/// [`exact`] of a number as JSON writes it: no leading zeros.
///
/// # Errors
/// As [`exact`].
pub fn json_number(text: &[u8]) -> Result<Exact, NumberError> {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [b'0', b'0'..=b'9', ..] => Err(NumberError::Syntax),
        _ => exact(text),
    }
}

/// What may stand behind a number in a document without whitespace.
#[inline(always)]
fn ends(byte: u8) -> bool {
    matches!(byte, b',' | b']' | b'}')
}

/// Reads the number at `at` of `bytes`, up to the comma or bracket that ends it: its mantissa at `scale`, and where that
/// byte stands. Signs and exponents are taken (`3.0e6`); digits beyond `scale` may only be zeros.
///
/// `None` for a finer number, for more than 18 digits at that scale, and for what is no JSON number.
/// [`json_number`] says what such a text is.
#[inline]
#[must_use]
pub fn bare(bytes: &[u8], at: usize, scale: u8) -> Option<(i64, usize)> {
    let text = bytes.get(at..)?;
    plain(text, usize::from(scale)).or_else(|| by_digit(text, scale)).map(|(value, n)| (value, at + n))
}

/// At most seven digits on either side of the point, and perhaps an exponent of one digit.
#[inline]
fn plain(text: &[u8], wanted: usize) -> Option<(i64, usize)> {
    let head = swar::load(text)?;
    let whole = swar::digits(head);
    if whole == 0 || whole == 8 || whole + wanted > SAFE_DIGITS || whole > 1 && text[0] == b'0' {
        return None;
    }
    let value = swar::value(head, whole) as i64;
    match text.get(whole)? {
        b'.' => {
            let behind = text.get(whole + 1..)?;
            let tail = swar::load(behind)?;
            let fraction = swar::digits(tail);
            if fraction == 0 || fraction == 8 {
                return None;
            }
            match behind.get(fraction..)? {
                [end, ..] if ends(*end) => {
                    let kept = fraction.min(wanted);
                    let part = swar::value(tail, kept) as i64 * POW10[wanted - kept];
                    let whole_part = value * POW10[wanted];
                    swar::zeros(tail, kept, fraction).then_some((whole_part + part, whole + 1 + fraction))
                }
                [b'e', power @ b'0'..=b'9', end, ..] if ends(*end) => {
                    let digits = value * POW10[fraction] + swar::value(tail, fraction) as i64;
                    let shift = (wanted + usize::from(power - b'0')).checked_sub(fraction)?;
                    let value = digits.checked_mul(*POW10.get(shift)?)?;
                    (value < POW10[SAFE_DIGITS]).then_some((value, whole + 1 + fraction + 2))
                }
                _ => None,
            }
        }
        end if ends(*end) => Some((value * POW10[wanted], whole)),
        _ => None,
    }
}

/// The number at `at` of `bytes`, up to the comma or bracket that ends it, as [`json_number`] reads it, and where that
/// byte stands.
#[inline]
#[must_use]
pub fn bare_exact(bytes: &[u8], at: usize) -> Option<(Exact, usize)> {
    let text = bytes.get(at..)?;
    short(text).or_else(|| long(text)).map(|(number, n)| (number, at + n))
}

/// At most seven digits on either side of the point.
#[inline]
fn short(text: &[u8]) -> Option<(Exact, usize)> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let sign = text.len() - digits.len();
    let signed = |value: u64| i128::from(if sign > 0 { -(value as i64) } else { value as i64 });
    let head = swar::load(digits)?;
    let whole = swar::digits(head);
    if whole == 0 || whole == 8 || whole > 1 && digits[0] == b'0' {
        return None;
    }
    let value = swar::value(head, whole);
    match digits.get(whole)? {
        b'.' => {
            let behind = digits.get(whole + 1..)?;
            let tail = swar::load(behind)?;
            let mut scale = swar::digits(tail);
            if scale == 0 || scale == 8 || !ends(*behind.get(scale)?) {
                return None;
            }
            let n = sign + whole + 1 + scale;
            let mut digits = value * POW10[scale].unsigned_abs() + swar::value(tail, scale);
            while scale > 0 && digits.is_multiple_of(10) {
                digits /= 10;
                scale -= 1;
            }
            Some((Exact { mantissa: signed(digits), scale: scale as u8 }, n))
        }
        end if ends(*end) => Some((Exact { mantissa: signed(value), scale: 0 }, sign + whole)),
        _ => None,
    }
}

/// How long the number at the start of `text` is, if it is a plain one up to the comma or bracket that ends it.
#[inline]
pub(crate) fn plain_len(text: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let sign = text.len() - digits.len();
    let whole = swar::digits(swar::load(digits)?);
    if whole == 0 || whole == 8 || whole > 1 && digits[0] == b'0' {
        return None;
    }
    match digits.get(whole)? {
        b'.' => {
            let behind = digits.get(whole + 1..)?;
            let fraction = swar::digits(swar::load(behind)?);
            let is_plain = fraction > 0 && fraction < 8 && ends(*behind.get(fraction)?);
            is_plain.then_some(sign + whole + 1 + fraction)
        }
        end => ends(*end).then_some(sign + whole),
    }
}

/// The same by way of the exact reader.
#[cold]
#[inline(never)]
fn long(text: &[u8]) -> Option<(Exact, usize)> {
    let n = text.iter().position(|b| ends(*b))?;
    json_number(text.get(..n)?).ok().map(|number| (number, n))
}

/// [`bare`] by way of the exact reader.
#[cold]
#[inline(never)]
fn by_digit(text: &[u8], scale: u8) -> Option<(i64, usize)> {
    let n = text.iter().position(|b| ends(*b))?;
    let value = i64::try_from(json_number(text.get(..n)?).ok()?.at_scale(scale)?).ok()?;
    (value.unsigned_abs() < POW10[SAFE_DIGITS].unsigned_abs()).then_some((value, n))
}

#[cfg(test)]
mod tests;

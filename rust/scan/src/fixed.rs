//! Plain decimal texts straight into an `i64` at a wanted scale.

use crate::swar;

/// Powers of ten that an `i64` holds.
pub(crate) const POW10: [i64; 19] = {
    let mut table = [1i64; 19];
    let mut n = 1;
    while n < table.len() {
        table[n] = table[n - 1] * 10;
        n += 1;
    }
    table
};

/// Digits that fit an `i64` whatever they are.
pub(crate) const SAFE_DIGITS: usize = 18;

/// Reads the number at `at` of `bytes`, up to the quote that ends it: its mantissa at `scale`, and where the quote
/// stands. Digits beyond `scale` may only be zeros.
///
/// `None` for everything that is not plain: a sign, an exponent, a finer number, more than 18 digits at that scale, no
/// digit where one must be, no quote. [`crate::exact`] says what such a text is.
#[inline]
#[must_use]
pub fn fixed(bytes: &[u8], at: usize, scale: u8) -> Option<(i64, usize)> {
    let wanted = usize::from(scale);
    let text = bytes.get(at..)?;
    let Some(head) = swar::load(text) else { return by_digit(text, at, wanted) };
    let whole = swar::digits(head);
    if whole == 0 {
        return None;
    }
    if whole == 8 || whole + wanted > SAFE_DIGITS {
        return by_digit(text, at, wanted);
    }
    let value = swar::value(head, whole) as i64 * POW10[wanted];
    match text.get(whole)? {
        b'"' => Some((value, at + whole)),
        b'.' => {
            let behind = text.get(whole + 1..)?;
            let Some(tail) = swar::load(behind) else { return by_digit(text, at, wanted) };
            let fraction = swar::digits(tail);
            if behind.get(fraction) != Some(&b'"') {
                return if fraction == 8 { by_digit(text, at, wanted) } else { None };
            }
            let kept = fraction.min(wanted);
            if fraction == 0 || !swar::zeros(tail, kept, fraction) {
                return None;
            }
            let part = if kept == 8 { swar::value8(tail) } else { swar::value(tail, kept) };
            let part = part as i64 * POW10[wanted - kept];
            Some((value + part, at + whole + 1 + fraction))
        }
        _ => None,
    }
}

/// The same, one digit at a time: for long texts and for the last bytes of a frame.
#[cold]
fn by_digit(text: &[u8], at: usize, wanted: usize) -> Option<(i64, usize)> {
    let end = text.iter().position(|b| *b == b'"')?;
    let text = text.get(..end)?;
    let point = text.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(point) => (text.get(..point)?, text.get(point + 1..)?),
        None => (text, &[][..]),
    };
    let kept = fraction.get(..wanted).unwrap_or(fraction);
    let cut = &fraction[kept.len()..];
    let plain = !whole.is_empty()
        && (point.is_none() || !fraction.is_empty())
        && whole.iter().chain(fraction).all(u8::is_ascii_digit)
        && cut.iter().all(|b| *b == b'0')
        && wanted <= SAFE_DIGITS;
    if !plain {
        return None;
    }
    let value = whole
        .iter()
        .chain(kept)
        .try_fold(0i64, |v, d| v.checked_mul(10)?.checked_add(i64::from(d - b'0')))?
        .checked_mul(POW10[wanted - kept.len()])?;
    (value < POW10[SAFE_DIGITS]).then_some((value, at + end))
}

#[cfg(test)]
mod tests;

//! Any number text, exactly: digit by digit, for texts that the fast kernels leave, and as their oracle.

/// The most significant digits that an exact number here has: those of a `decimal128(38, …)`.
pub const MAX_DIGITS: u32 = 38;

/// 10^38: every mantissa is below it.
const LIMIT: u128 = 10u128.pow(MAX_DIGITS);

/// An exact number, `mantissa × 10^-scale`, without trailing zeros behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact {
    /// The digits, signed; below 10^38.
    pub mantissa: i128,
    /// How many stand behind the point; at most 38.
    pub scale: u8,
}

impl Exact {
    /// The mantissa at `scale`, which must not be smaller than the number's own; `None` beyond 38 digits.
    #[must_use]
    pub fn at_scale(self, scale: u8) -> Option<i128> {
        let by = 10u128.checked_pow(u32::from(scale.checked_sub(self.scale)?))?;
        let magnitude = self.mantissa.unsigned_abs().checked_mul(by).filter(|m| *m < LIMIT)?;
        signed_magnitude(self.mantissa < 0, magnitude)
    }
}

/// Why a text is no number here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// Not a number (also `NaN`, `Infinity`, an empty text).
    Syntax,
    /// A number, and more than 38 digits are needed to write it down.
    Range,
}

/// Reads `text` as a decimal number: `-`, digits, a fraction, an exponent, as in JSON; leading zeros are taken too.
///
/// # Errors
/// [`NumberError`]: the whole text must be one number, and 38 digits must hold it.
pub fn exact(text: &[u8]) -> Result<Exact, NumberError> {
    match short(text) {
        Some(number) => Ok(number),
        None => long(text),
    }
}

/// Digits and perhaps a point among them, few enough for an ordinary register: nearly every number there is.
#[inline]
fn short(text: &[u8]) -> Option<Exact> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let (mut value, mut point) = (0u64, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() && at > 0 => point = Some(at + 1),
            _ => return None,
        }
    }
    let mut scale = match point {
        Some(point) if point == digits.len() => return None,
        Some(point) => digits.len() - point,
        None => 0,
    };
    while scale > 0 && value.is_multiple_of(10) {
        value /= 10;
        scale -= 1;
    }
    let mantissa = if text.len() > digits.len() { -i128::from(value) } else { i128::from(value) };
    Some(Exact { mantissa, scale: scale as u8 })
}

fn long(text: &[u8]) -> Result<Exact, NumberError> {
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let (whole, text) = split_digits(text);
    let (fraction, text) = match text.split_first() {
        Some((b'.', rest)) => {
            let (fraction, rest) = split_digits(rest);
            if fraction.is_empty() {
                return Err(NumberError::Syntax);
            }
            (fraction, rest)
        }
        _ => (&[][..], text),
    };
    if whole.is_empty() {
        return Err(NumberError::Syntax);
    }
    let exponent = exponent(text)?;

    // Significant digits only, so that a text of any length costs one pass and no big numbers.
    let mut magnitude = 0u128;
    let mut pending_zeros = 0u32; // behind the last non-zero digit
    let mut overflow = false;
    for digit in whole.iter().chain(fraction).map(|d| u128::from(d - b'0')) {
        if digit == 0 {
            pending_zeros = pending_zeros.saturating_add(1);
            continue;
        }
        let scaled = 10u128.checked_pow(pending_zeros.saturating_add(1)).and_then(|by| magnitude.checked_mul(by));
        match scaled.and_then(|m| m.checked_add(digit)) {
            _ if magnitude == 0 => magnitude = digit,
            Some(m) if m < LIMIT => magnitude = m,
            _ => overflow = true,
        }
        pending_zeros = 0;
    }
    if magnitude == 0 {
        return Ok(Exact { mantissa: 0, scale: 0 });
    }
    if overflow {
        return Err(NumberError::Range);
    }
    // value = magnitude × 10^shift
    let behind_point = i64::try_from(fraction.len()).map_err(|_| NumberError::Range)?;
    let shift = exponent.saturating_add(i64::from(pending_zeros)).saturating_sub(behind_point);
    let scale = if shift < 0 {
        u8::try_from(shift.unsigned_abs()).ok().filter(|s| u32::from(*s) <= MAX_DIGITS).ok_or(NumberError::Range)?
    } else {
        let by = u32::try_from(shift).ok().and_then(|s| 10u128.checked_pow(s)).ok_or(NumberError::Range)?;
        magnitude = magnitude.checked_mul(by).filter(|m| *m < LIMIT).ok_or(NumberError::Range)?;
        0
    };
    let mantissa = signed_magnitude(negative, magnitude).ok_or(NumberError::Range)?;
    Ok(Exact { mantissa, scale })
}

/// Reads `text` as an integer without a sign.
///
/// # Errors
/// [`NumberError::Range`] beyond `u64`.
pub fn unsigned(text: &[u8]) -> Result<u64, NumberError> {
    let (digits, rest) = split_digits(text);
    if digits.is_empty() || !rest.is_empty() {
        return Err(NumberError::Syntax);
    }
    digits.iter().try_fold(0u64, |v, d| v.checked_mul(10)?.checked_add(u64::from(d - b'0'))).ok_or(NumberError::Range)
}

/// Reads `text` as an integer, with `-` or without.
///
/// # Errors
/// [`NumberError::Range`] beyond `i64`.
pub fn signed(text: &[u8]) -> Result<i64, NumberError> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let magnitude = unsigned(digits)?;
    let value = if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
    value.ok_or(NumberError::Range)
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let n = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(n)
}

/// The value of `e5`, `E-5`, `e+5` or nothing; saturated, since beyond a few dozen the size no longer matters.
fn exponent(text: &[u8]) -> Result<i64, NumberError> {
    let Some((b'e' | b'E', text)) = text.split_first() else {
        return if text.is_empty() { Ok(0) } else { Err(NumberError::Syntax) };
    };
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (digits, rest) = split_digits(text);
    if digits.is_empty() || !rest.is_empty() {
        return Err(NumberError::Syntax);
    }
    let value = digits.iter().fold(0i64, |v, d| v.saturating_mul(10).saturating_add(i64::from(d - b'0')));
    Ok(if negative { -value } else { value })
}

fn signed_magnitude(negative: bool, magnitude: u128) -> Option<i128> {
    let value = i128::try_from(magnitude).ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests;

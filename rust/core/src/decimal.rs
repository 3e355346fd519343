//! Exact decimal numbers: `mantissa × 10^-scale`. No float is ever on the way in.

use std::fmt;

/// The largest scale a number may have: 10^38 is the largest power of ten in an `i128`.
pub const MAX_SCALE: u8 = 38;
/// Fraction digits of the `decimal128(38, 18)` columns.
pub const DECIMAL_SCALE: u8 = 18;

/// Powers of ten that an `f64` holds exactly (10^0 … 10^22).
const F64_POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Up to 15 significant digits survive the way through a double and back.
const EXACT_DIGITS: u64 = 1_000_000_000_000_000;

/// An exact decimal number. Two decimals are equal when their values are, whatever their scales.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decimal {
    /// The digits, signed.
    pub mantissa: i128,
    /// How many of them stand behind the point; at most [`MAX_SCALE`].
    pub scale: u8,
}

/// Powers of ten in an `i128` (10^0 … 10^38).
const I128_POW10: [i128; MAX_SCALE as usize + 1] = {
    let mut powers = [1; MAX_SCALE as usize + 1];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// `10^n` as `i128`; `None` above 38.
#[inline]
#[must_use]
pub fn pow10(n: u8) -> Option<i128> {
    I128_POW10.get(usize::from(n)).copied()
}

/// `10^n` as a double, where a double holds it exactly (up to 10^22).
#[inline]
#[must_use]
pub fn f64_pow10(n: u8) -> Option<f64> {
    F64_POW10.get(usize::from(n)).copied()
}

impl Decimal {
    /// A number from its parts.
    #[must_use]
    pub const fn new(mantissa: i128, scale: u8) -> Self {
        Self { mantissa, scale }
    }

    /// True for zero of any scale.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// The mantissa at another scale; `None` if digits would be lost or the type cannot hold it.
    #[inline]
    #[must_use]
    pub fn at_scale(self, scale: u8) -> Option<i128> {
        if scale >= self.scale {
            self.mantissa.checked_mul(pow10(scale - self.scale)?)
        } else {
            let by = pow10(self.scale - scale)?;
            (self.mantissa % by == 0).then(|| self.mantissa / by)
        }
    }

    /// The same number without trailing zeros behind the point.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        // Nearly all numbers are short, and long division is slow.
        if let Ok(mut mantissa) = i64::try_from(self.mantissa) {
            while self.scale > 0 && mantissa % 10 == 0 {
                mantissa /= 10;
                self.scale -= 1;
            }
            return Self::new(mantissa.into(), self.scale);
        }
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    /// The mantissa of a `decimal128(38, 18)`; `None` beyond that type.
    #[must_use]
    pub fn to_decimal128(self) -> Option<i128> {
        let v = self.at_scale(DECIMAL_SCALE)?;
        (v.unsigned_abs() < 10u128.pow(38)).then_some(v)
    }

    /// The nearest double, correctly rounded.
    #[inline]
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match i64::try_from(self.mantissa) {
            Ok(m) => fixed_to_f64(m, self.scale),
            Err(_) => self.to_f64_slow(),
        }
    }

    /// True where the shortest text of [`Self::to_f64`] is not the decimal itself (flag `lossy`).
    #[inline]
    #[must_use]
    pub fn is_lossy(self) -> bool {
        self.mantissa.unsigned_abs() >= u128::from(EXACT_DIGITS) && self.is_lossy_slow()
    }

    #[cold]
    fn to_f64_slow(self) -> f64 {
        // The standard parser is correctly rounded for any length.
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    #[cold]
    fn is_lossy_slow(self) -> bool {
        let shortest = format!("{}", self.to_f64());
        shortest != self.trimmed().to_string()
    }
}

/// The nearest double to `mantissa × 10^-scale`. One division of two exactly held numbers is correctly rounded.
#[inline]
#[must_use]
pub fn fixed_to_f64(mantissa: i64, scale: u8) -> f64 {
    if mantissa.unsigned_abs() < (1 << 53) && usize::from(scale) < F64_POW10.len() {
        mantissa as f64 / F64_POW10[usize::from(scale)]
    } else {
        Decimal::new(i128::from(mantissa), scale).to_f64_slow()
    }
}

/// As [`Decimal::is_lossy`], for an `i64` mantissa.
#[inline]
#[must_use]
pub fn fixed_is_lossy(mantissa: i64, scale: u8) -> bool {
    mantissa.unsigned_abs() >= EXACT_DIGITS && Decimal::new(i128::from(mantissa), scale).is_lossy_slow()
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.trimmed(), other.trimmed());
        a.mantissa == b.mantissa && (a.mantissa == 0 || a.scale == b.scale)
    }
}

impl Eq for Decimal {}

/// Plain digits, no exponent; the scale decides how many stand behind the point.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        if scale == 0 {
            write!(f, "{sign}{digits}")
        } else if digits.len() > scale {
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            write!(f, "{sign}{whole}.{fraction}")
        } else {
            write!(f, "{sign}0.{digits:0>scale$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_double_is_the_one_the_standard_parser_finds(m in any::<i64>(), scale in 0u8..=30) {
            let d = Decimal::new(i128::from(m), scale);
            let expected: f64 = d.to_string().parse().expect("a plain decimal");
            prop_assert_eq!(d.to_f64().to_bits(), expected.to_bits());
            prop_assert_eq!(fixed_to_f64(m, scale).to_bits(), expected.to_bits());
        }

        #[test]
        fn lossy_means_that_the_shortest_text_differs(m in any::<i64>(), scale in 0u8..=18) {
            let d = Decimal::new(i128::from(m), scale);
            let differs = format!("{}", d.to_f64()) != d.trimmed().to_string();
            prop_assert_eq!(d.is_lossy(), differs);
            prop_assert_eq!(fixed_is_lossy(m, scale), differs);
        }

        #[test]
        fn a_change_of_scale_keeps_the_value_or_refuses(m in any::<i64>(), from in 0u8..=18, to in 0u8..=18) {
            let d = Decimal::new(i128::from(m), from);
            if let Some(v) = d.at_scale(to) {
                prop_assert_eq!(Decimal::new(v, to), d);
            } else {
                prop_assert!(to < from);
            }
        }
    }

    #[test]
    fn texts() {
        assert_eq!(Decimal::new(75040, 4).to_string(), "7.5040");
        assert_eq!(Decimal::new(-5, 3).to_string(), "-0.005");
        assert_eq!(Decimal::new(42, 0).to_string(), "42");
        assert_eq!(Decimal::new(75040, 4).trimmed().to_string(), "7.504");
        assert_eq!(Decimal::new(0, 4), Decimal::new(0, 0));
    }

    #[test]
    fn a_decimal_column_holds_twenty_digits_before_the_point_and_eighteen_behind_it() {
        assert_eq!(Decimal::new(15, 1).to_decimal128(), Some(1_500_000_000_000_000_000));
        assert_eq!(Decimal::new(10i128.pow(20), 0).to_decimal128(), None);
        assert_eq!(Decimal::new(1, 19).to_decimal128(), None, "never rounded");
    }
}

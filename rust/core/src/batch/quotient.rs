//! `size × multiplier ÷ price` as one rational: rounded once, when a column asks for it.

use std::cmp::Ordering;

use crate::decimal::{DECIMAL_SCALE, Decimal, pow10};

/// The size of an inverse contract in base units. Exact until it is asked for as a number of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quotient {
    is_negative: bool,
    /// `size × multiplier × 10^tens ÷ price`, of the mantissas.
    size: u128,
    multiplier: u128,
    price: u128,
    tens: i32,
}

/// Integers up to it are exact in a double.
const EXACT: u128 = 1 << f64::MANTISSA_DIGITS;

impl Quotient {
    /// `None` where something is divided by a price that is not above zero: it is worth nobody knows what. Nothing is nothing
    /// at any price.
    pub(super) fn new(size: Decimal, multiplier: Decimal, price: Decimal) -> Option<Self> {
        if size.is_zero() {
            return Some(Self { is_negative: false, size: 0, multiplier: 0, price: 1, tens: 0 });
        }
        (price.mantissa > 0).then(|| Self {
            is_negative: (size.mantissa < 0) ^ (multiplier.mantissa < 0),
            size: size.mantissa.unsigned_abs(),
            multiplier: multiplier.mantissa.unsigned_abs(),
            price: price.mantissa.unsigned_abs(),
            tens: i32::from(price.scale) - i32::from(size.scale) - i32::from(multiplier.scale),
        })
    }

    /// The nearest double; of two that are equally near, the even one.
    pub(super) fn to_f64(self) -> Option<f64> {
        let value = match self.short(self.tens) {
            // One division of two exactly held numbers is correctly rounded.
            Some((numerator, denominator)) if numerator <= EXACT && denominator <= EXACT => {
                numerator as f64 / denominator as f64
            }
            _ => self.to_f64_wide()?,
        };
        Some(if self.is_negative { -value } else { value })
    }

    /// The mantissa of a `decimal128(38, 18)`, half to even; `None` beyond that type.
    pub(super) fn to_decimal128(self) -> Option<i128> {
        let tens = self.tens + i32::from(DECIMAL_SCALE);
        let (floor, rest) = match self.short(tens) {
            Some((numerator, denominator)) => {
                let rest = numerator % denominator;
                (numerator / denominator, rest.cmp(&(denominator - rest)))
            }
            None => self.floor_wide(tens)?,
        };
        let rounds_up = rest == Ordering::Greater || (rest == Ordering::Equal && floor % 2 == 1);
        let value = i128::try_from(floor.checked_add(u128::from(rounds_up))?).ok()?;
        (value < 10i128.pow(38)).then_some(if self.is_negative { -value } else { value })
    }

    /// Numerator and denominator, where they fit.
    fn short(self, tens: i32) -> Option<(u128, u128)> {
        let tens_of = |n: i32| pow10(u8::try_from(n.max(0)).ok()?).map(i128::unsigned_abs);
        let numerator = self.size.checked_mul(self.multiplier)?.checked_mul(tens_of(tens)?)?;
        Some((numerator, self.price.checked_mul(tens_of(-tens)?)?))
    }

    /// Numerator and denominator; `None` only for scales that no [`Decimal`] has.
    fn wide(self, tens: i32) -> Option<(Wide, Wide)> {
        let numerator = Wide::from(self.size).times(self.multiplier)?.times_tens(tens)?;
        Some((numerator, Wide::from(self.price).times_tens(-tens)?))
    }

    #[cold]
    fn to_f64_wide(self) -> Option<f64> {
        let (numerator, denominator) = self.wide(self.tens)?;
        if numerator.bits() == 0 {
            return Some(0.0);
        }
        // A quotient of 63 or 64 bits: more than a double has, so that the last bit may say whether there was a rest.
        let shift = 63 + i32::try_from(denominator.bits()).ok()? - i32::try_from(numerator.bits()).ok()?;
        let (quotient, rest) = if shift >= 0 {
            numerator.shifted(shift.unsigned_abs())?.divided(denominator)?
        } else {
            numerator.divided(denominator.shifted(shift.unsigned_abs())?)?
        };
        let bits = quotient.low_u64()? | u64::from(rest.bits() > 0);
        // Within 10^±114, so a normal double, and × 2^-shift is exact.
        let power = u64::try_from(i64::from(f64::MAX_EXP) - 1 - i64::from(shift)).ok()?;
        Some(bits as f64 * f64::from_bits(power << (f64::MANTISSA_DIGITS - 1)))
    }

    /// The whole part at that scale, and how the rest compares with a half.
    #[cold]
    fn floor_wide(self, tens: i32) -> Option<(u128, Ordering)> {
        let (numerator, denominator) = self.wide(tens)?;
        let (quotient, rest) = numerator.divided(denominator)?;
        Some((quotient.low_u128()?, rest.cmp(&denominator.minus(rest))))
    }
}

const LIMBS: usize = 8;

/// A number of 512 bits, the highest limb first: so they compare as the numbers do. The largest here, two mantissas of
/// 127 bits and 56 zeros, has 441.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wide([u64; LIMBS]);

impl From<u128> for Wide {
    fn from(number: u128) -> Self {
        let mut limbs = [0; LIMBS];
        limbs[LIMBS - 1] = number as u64;
        limbs[LIMBS - 2] = (number >> u64::BITS) as u64;
        Self(limbs)
    }
}

impl Wide {
    fn times_limb(self, factor: u64) -> Option<Self> {
        let mut limbs = self.0;
        let mut carry = 0;
        for limb in limbs.iter_mut().rev() {
            let product = u128::from(*limb) * u128::from(factor) + carry;
            *limb = product as u64;
            carry = product >> u64::BITS;
        }
        (carry == 0).then_some(Self(limbs))
    }

    fn times(self, factor: u128) -> Option<Self> {
        let low = self.times_limb(factor as u64)?;
        match (factor >> u64::BITS) as u64 {
            0 => Some(low),
            high => low.plus(self.times_limb(high)?.shifted(u64::BITS)?),
        }
    }

    /// × 10^n, and nothing for a negative `n`.
    fn times_tens(self, n: i32) -> Option<Self> {
        (0..n).try_fold(self, |number, _| number.times_limb(10))
    }

    fn plus(self, other: Self) -> Option<Self> {
        let mut limbs = self.0;
        let mut carry = false;
        for (limb, other) in limbs.iter_mut().zip(other.0).rev() {
            let (sum, first) = limb.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first | second);
        }
        (!carry).then_some(Self(limbs))
    }

    /// `other` is not larger.
    fn minus(self, other: Self) -> Self {
        let mut limbs = self.0;
        let mut borrow = false;
        for (limb, other) in limbs.iter_mut().zip(other.0).rev() {
            let (difference, first) = limb.overflowing_sub(other);
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (difference, first | second);
        }
        Self(limbs)
    }

    fn bits(self) -> u32 {
        let zero = self.0.iter().take_while(|limb| **limb == 0).count();
        self.0.get(zero).map_or(0, |limb| (LIMBS - zero) as u32 * u64::BITS - limb.leading_zeros())
    }

    fn shifted(self, by: u32) -> Option<Self> {
        let fits = self.bits() + by <= LIMBS as u32 * u64::BITS;
        fits.then(|| (0..by).fold(self, |number, _| number.doubled()))
    }

    fn doubled(self) -> Self {
        let below = |i: usize| self.0.get(i + 1).map_or(0, |limb| limb >> (u64::BITS - 1));
        Self(std::array::from_fn(|i| (self.0[i] << 1) | below(i)))
    }

    /// Quotient and rest, a bit at a time. `None` for a rest that cannot be doubled: the largest divisor here has 380
    /// bits.
    fn divided(self, divisor: Self) -> Option<(Self, Self)> {
        let (mut quotient, mut rest) = (Self::from(0), Self::from(0));
        if divisor.bits() >= LIMBS as u32 * u64::BITS {
            return None;
        }
        for i in (0..self.bits()).rev() {
            let limb = LIMBS - 1 - (i / u64::BITS) as usize;
            rest = rest.doubled();
            rest.0[LIMBS - 1] |= (self.0[limb] >> (i % u64::BITS)) & 1;
            quotient = quotient.doubled();
            if rest >= divisor {
                rest = rest.minus(divisor);
                quotient.0[LIMBS - 1] |= 1;
            }
        }
        Some((quotient, rest))
    }

    fn low_u64(self) -> Option<u64> {
        u64::try_from(self.low_u128()?).ok()
    }

    fn low_u128(self) -> Option<u128> {
        let [.., high, low] = self.0;
        (self.bits() <= u128::BITS).then(|| (u128::from(high) << u64::BITS) | u128::from(low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    fn ten_to(n: u8) -> BigInt {
        BigInt::from(10).pow(u32::from(n))
    }

    /// Numerator and denominator, the denominator positive.
    fn exactly(size: Decimal, multiplier: Decimal, price: Decimal) -> (BigInt, BigInt) {
        let numerator = BigInt::from(size.mantissa) * multiplier.mantissa * ten_to(price.scale);
        let denominator = BigInt::from(price.mantissa) * ten_to(size.scale) * ten_to(multiplier.scale);
        if price.mantissa < 0 { (-numerator, -denominator) } else { (numerator, denominator) }
    }

    /// × 2^1100: every double is an integer then.
    fn scaled(value: f64) -> BigInt {
        let bits = value.abs().to_bits();
        let (exponent, fraction) = ((bits >> 52) as usize, bits & ((1 << 52) - 1));
        let magnitude = match exponent {
            0 => BigInt::from(fraction) << (1100 - 1074),
            _ => BigInt::from(fraction | (1 << 52)) << (1100 - 1075 + exponent),
        };
        if value < 0.0 { -magnitude } else { magnitude }
    }

    /// By definition: the value lies between the middles to both neighbours, on a middle only if the double is even.
    fn is_the_nearest(value: f64, (numerator, denominator): &(BigInt, BigInt)) -> bool {
        let twice = (numerator << 1101usize, denominator);
        let middle = |neighbour: f64| (scaled(value) + scaled(neighbour)) * twice.1;
        let (low, high) = (middle(value.next_down()), middle(value.next_up()));
        let inside = low < twice.0 && twice.0 < high;
        inside || ((low == twice.0 || high == twice.0) && value.to_bits() & 1 == 0)
    }

    fn half_even((numerator, denominator): &(BigInt, BigInt)) -> BigInt {
        let scaled: BigInt = numerator * ten_to(DECIMAL_SCALE);
        let floor = |n: &BigInt, d: &BigInt| {
            let q = n / d;
            if &q * d > *n { q - 1 } else { q }
        };
        let whole = floor(&scaled, denominator);
        let twice_the_rest: BigInt = (&scaled - &whole * denominator) * 2;
        let rounds_up = match twice_the_rest.cmp(denominator) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => floor(&whole, &BigInt::from(2)) * 2 != whole,
        };
        if rounds_up { whole + 1 } else { whole }
    }

    /// Numbers of any length, short ones as often as long ones.
    fn number() -> impl Strategy<Value = Decimal> {
        (any::<i128>(), 0u32..128, 0u8..=38).prop_map(|(m, cut, scale)| Decimal::new(m >> cut, scale))
    }

    /// What an exchange sends.
    fn usual() -> impl Strategy<Value = (Decimal, Decimal, Decimal)> {
        let of = |limit: i128, scales: std::ops::RangeInclusive<u8>| {
            (1..limit, scales).prop_map(|(m, scale)| Decimal::new(m, scale))
        };
        let multiplier = prop_oneof![Just(1i128), Just(10), Just(100)].prop_map(|m| Decimal::new(m, 0));
        (of(1_000_000_000, 0..=3), multiplier, of(1_000_000_000, 0..=6))
    }

    fn check(size: Decimal, multiplier: Decimal, price: Decimal) -> Result<(), TestCaseError> {
        let Some(quotient) = Quotient::new(size, multiplier, price) else {
            prop_assert!(price.mantissa <= 0 && !size.is_zero());
            return Ok(());
        };
        if size.is_zero() {
            prop_assert_eq!((quotient.to_f64().map(f64::to_bits), quotient.to_decimal128()), (Some(0), Some(0)));
            return Ok(());
        }
        let exact = exactly(size, multiplier, price);
        let double = quotient.to_f64().expect("a double holds it");
        prop_assert!(is_the_nearest(double, &exact), "{size} × {multiplier} ÷ {price} is not {double}");
        let decimal = half_even(&exact);
        let fits = BigInt::from(-(10i128.pow(38))) < decimal && decimal < BigInt::from(10i128.pow(38));
        prop_assert_eq!(quotient.to_decimal128().map(BigInt::from), fits.then_some(decimal));
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn a_quotient_is_rounded_once(size in number(), multiplier in number(), price in number()) {
            check(size, multiplier, price)?;
        }

        #[test]
        fn usual_quotients_are_rounded_once((size, multiplier, price) in usual()) {
            check(size, multiplier, price)?;
        }

        #[test]
        fn both_ways_to_a_double_agree((size, multiplier, price) in usual()) {
            let quotient = Quotient::new(size, multiplier, price).expect("no zero");
            let wide = quotient.to_f64_wide().expect("a double holds it");
            prop_assert_eq!(quotient.to_f64().expect("a double holds it").to_bits(), wide.to_bits());
        }

        /// n + ½ of the last digit of a decimal: the case that half to even decides.
        #[test]
        fn a_half_goes_to_the_even_digit(n in 0i128..1_000_000, scale in 0u8..=19, is_negative in any::<bool>()) {
            let size = Decimal::new(if is_negative { -(2 * n + 1) } else { 2 * n + 1 }, scale);
            let price = Decimal::new(2 * 10i128.pow(u32::from(18 - scale.min(18))), 0);
            check(size, Decimal::new(1, 0), price)?;
        }
    }

    #[test]
    fn quotients_at_the_edges() {
        let d = Decimal::new;
        let longest = d(i128::MAX, 38);
        for (size, multiplier, price) in [
            (d(i128::MAX, 0), d(i128::MIN, 0), d(1, 38)),
            (d(1, 38), d(1, 38), d(i128::MIN, 0)),
            (longest, longest, longest),
            (d(i128::MIN, 0), d(1, 0), d(i128::MIN, 38)),
            (d(0, 5), d(1, 0), d(0, 0)),
            (d(1, 0), d(1, 0), d(0, 0)),
            (d((1 << 53) + 1, 0), d(1, 0), d(1, 0)),
            (d((1 << 54) + 2, 0), d(1, 0), d(2, 0)),
            (d(1, 0), d(0, 0), d(3, 0)),
        ] {
            check(size, multiplier, price).expect("as by definition");
        }
    }
}

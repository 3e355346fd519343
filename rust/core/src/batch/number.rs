//! Prices and sizes as `float`, `decimal` or `fixed`: checked once, when a row is written.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::config::Numeric;
use crate::decimal::{DECIMAL_SCALE, Decimal, f64_pow10, pow10};
use crate::event::{Level, Scales};
use crate::instrument::Conversion;

use super::column::{Nullable, Plain};
use super::quotient::Quotient;
use super::schema::{DECIMAL_PRECISION, list_item};
use super::units::Units;
use super::{OutOfRange, RowError};

/// What a number is in a column. The type decides the mode: `f64`, `i128` or `i64`.
pub(super) trait Number: Copy + Default + Debug + 'static {
    /// The mode of which this is the type.
    const NUMERIC: Numeric;

    /// The number in a column; `None` beyond its type. `scale` counts in `fixed` only.
    fn encode(value: Decimal, scale: u8) -> Option<Self>;

    /// Whether the column says less than was sent.
    fn is_lossy(_value: Decimal) -> bool {
        false
    }

    /// Appends prices and sizes of one side of a book message; true if one of them is lossy. After an error the ends
    /// of both may hold some of them.
    fn extend_side(
        prices: &mut Vec<Self>,
        sizes: &mut Vec<Self>,
        levels: &[Level],
        scales: Scales,
    ) -> Result<bool, OutOfRange>;

    /// As [`Self::extend_side`], with sizes that become others. `sent` are the scales of `levels`.
    fn extend_converted(
        prices: &mut Vec<Self>,
        sizes: &mut Vec<Self>,
        levels: &[Level],
        sent: Scales,
        units: Units<'_>,
    ) -> Result<bool, RowError> {
        let levels = levels.iter().map(|level| level_decimals(level, sent));
        extend_each(prices, sizes, levels, units.scales(sent)?, units)
    }

    /// The size of an inverse contract in base units, rounded once.
    fn quotient(size: Quotient) -> Result<Self, RowError>;

    /// The column.
    fn array(values: Vec<Self>, nulls: Option<NullBuffer>) -> ArrayRef;
}

/// All mantissas below it are exact in a double, and so short (15 digits) that none is lossy.
const SHORT: u64 = 1 << 49;

impl Number for f64 {
    const NUMERIC: Numeric = Numeric::Float;

    #[inline]
    fn encode(value: Decimal, _: u8) -> Option<Self> {
        Some(value.to_f64())
    }

    #[inline]
    fn is_lossy(value: Decimal) -> bool {
        value.is_lossy()
    }

    #[inline]
    fn extend_side(
        prices: &mut Vec<Self>,
        sizes: &mut Vec<Self>,
        levels: &[Level],
        scales: Scales,
    ) -> Result<bool, OutOfRange> {
        let bits = levels.iter().fold(0, |bits, l| bits | l.price.unsigned_abs() | l.size.unsigned_abs());
        let (Some(price), Some(size), true) = (f64_pow10(scales.price), f64_pow10(scales.size), bits < SHORT) else {
            return extend_as_sent(prices, sizes, levels, scales);
        };
        // One division of two exactly held numbers is correctly rounded.
        prices.extend(levels.iter().map(|l| l.price as f64 / price));
        sizes.extend(levels.iter().map(|l| l.size as f64 / size));
        Ok(false)
    }

    #[inline]
    fn extend_converted(
        prices: &mut Vec<Self>,
        sizes: &mut Vec<Self>,
        levels: &[Level],
        sent: Scales,
        units: Units<'_>,
    ) -> Result<bool, RowError> {
        let scales = units.scales(sent)?;
        let Some((price, convert)) = f64_pow10(sent.price).zip(Doubles::new(levels, sent, scales, units)) else {
            let levels = levels.iter().map(|level| level_decimals(level, sent));
            return extend_each(prices, sizes, levels, scales, units);
        };
        prices.extend(levels.iter().map(|l| l.price as f64 / price));
        // Of exactly held numbers, one product that is one too and one division: correctly rounded.
        match convert {
            Doubles::Times { factor, power } => sizes.extend(levels.iter().map(|l| l.size as f64 * factor / power)),
            Doubles::OverPrice { above, below } => {
                sizes.extend(levels.iter().map(|l| l.size as f64 * above / (l.price as f64 * below)));
            }
        }
        Ok(false)
    }

    #[inline]
    fn quotient(size: Quotient) -> Result<Self, RowError> {
        Ok(size.to_f64().ok_or(OutOfRange)?)
    }

    fn array(values: Vec<Self>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(Float64Array::new(ScalarBuffer::from(values), nulls))
    }
}

impl Number for i128 {
    const NUMERIC: Numeric = Numeric::Decimal;

    #[inline]
    fn encode(value: Decimal, _: u8) -> Option<Self> {
        value.to_decimal128()
    }

    #[inline]
    fn extend_side(
        prices: &mut Vec<Self>,
        sizes: &mut Vec<Self>,
        levels: &[Level],
        scales: Scales,
    ) -> Result<bool, OutOfRange> {
        // 19 digits and at most 18 zeros behind them are 37 digits: no product here leaves the type.
        let factor = |scale| DECIMAL_SCALE.checked_sub(scale).and_then(pow10);
        let (Some(price), Some(size)) = (factor(scales.price), factor(scales.size)) else {
            return extend_as_sent(prices, sizes, levels, scales);
        };
        prices.extend(levels.iter().map(|l| i128::from(l.price) * price));
        sizes.extend(levels.iter().map(|l| i128::from(l.size) * size));
        Ok(false)
    }

    #[inline]
    fn quotient(size: Quotient) -> Result<Self, RowError> {
        Ok(size.to_decimal128().ok_or(OutOfRange)?)
    }

    fn array(values: Vec<Self>, nulls: Option<NullBuffer>) -> ArrayRef {
        let array = Decimal128Array::new(ScalarBuffer::from(values), nulls);
        Arc::new(
            array
                .with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE as i8)
                .expect("a precision and a scale that decimal128 has"),
        )
    }
}

impl Number for i64 {
    const NUMERIC: Numeric = Numeric::Fixed;

    #[inline]
    fn encode(value: Decimal, scale: u8) -> Option<Self> {
        Self::try_from(value.at_scale(scale)?).ok()
    }

    #[inline]
    fn extend_side(
        prices: &mut Vec<Self>,
        sizes: &mut Vec<Self>,
        levels: &[Level],
        _: Scales,
    ) -> Result<bool, OutOfRange> {
        prices.extend(levels.iter().map(|l| l.price));
        sizes.extend(levels.iter().map(|l| l.size));
        Ok(false)
    }

    fn quotient(_: Quotient) -> Result<Self, RowError> {
        Err(RowError::QuotientInFixed)
    }

    fn array(values: Vec<Self>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(Int64Array::new(ScalarBuffer::from(values), nulls))
    }
}

/// What turns the sizes of a message into base units in doubles, where everything on the way is held exactly.
enum Doubles {
    Times { factor: f64, power: f64 },
    OverPrice { above: f64, below: f64 },
}

impl Doubles {
    /// `None` where a number is too long, and for prices below or at zero.
    #[inline]
    fn new(levels: &[Level], sent: Scales, scales: Scales, units: Units<'_>) -> Option<Self> {
        let bits = |of: fn(&Level) -> i64| levels.iter().fold(0, |bits, l| bits | of(l).unsigned_abs());
        let (prices, sizes) = (bits(|l| l.price), bits(|l| l.size));
        let fits = |bits: u64, factor: u64| bits.checked_mul(factor).is_some_and(|product| product < SHORT);
        match units.conversion() {
            Conversion::Times(multiplier) => {
                let factor = u64::try_from(multiplier.mantissa).ok()?;
                let power = f64_pow10(scales.size)?;
                (fits(prices, 1) && fits(sizes, factor)).then_some(Self::Times { factor: factor as f64, power })
            }
            Conversion::OverPrice(multiplier) => {
                let tens = i16::from(sent.price) - i16::from(sent.size) - i16::from(multiplier.scale);
                let ten_to = |n: i16| 10u64.checked_pow(u32::try_from(n.max(0)).ok()?);
                let above = u64::try_from(multiplier.mantissa).ok()?.checked_mul(ten_to(tens)?)?;
                let below = ten_to(-tens)?;
                let positive = levels.iter().all(|l| l.price > 0);
                (positive && fits(prices, below) && fits(sizes, above))
                    .then_some(Self::OverPrice { above: above as f64, below: below as f64 })
            }
            Conversion::None | Conversion::Unknown => None,
        }
    }
}

/// As [`Number::extend_side`], number by number.
#[cold]
fn extend_as_sent<N: Number>(
    prices: &mut Vec<N>,
    sizes: &mut Vec<N>,
    levels: &[Level],
    scales: Scales,
) -> Result<bool, OutOfRange> {
    let mut lossy = false;
    for level in levels {
        let (price, size) = level_decimals(level, scales);
        prices.push(N::encode(price, scales.price).ok_or(OutOfRange)?);
        sizes.push(N::encode(size, scales.size).ok_or(OutOfRange)?);
        lossy |= N::is_lossy(price) || N::is_lossy(size);
    }
    Ok(lossy)
}

/// Appends prices and sizes of one side, level by level: any mantissa, any scale, any conversion. `scales` are those
/// of the rows.
pub(super) fn extend_each<N: Number>(
    prices: &mut Vec<N>,
    sizes: &mut Vec<N>,
    levels: impl Iterator<Item = (Decimal, Decimal)>,
    scales: Scales,
    units: Units<'_>,
) -> Result<bool, RowError> {
    let mut lossy = false;
    for (price, size) in levels {
        let (size, size_is_lossy) = units.level::<N>(size, price, scales.size)?;
        prices.push(N::encode(price, scales.price).ok_or(OutOfRange)?);
        sizes.push(size);
        lossy |= size_is_lossy || N::is_lossy(price);
    }
    Ok(lossy)
}

/// Price and size of a level.
pub(super) fn level_decimals<M: Copy + Into<i128>>(level: &Level<M>, scales: Scales) -> (Decimal, Decimal) {
    (Decimal::new(level.price.into(), scales.price), Decimal::new(level.size.into(), scales.size))
}

/// Prices, or sizes, of one row.
pub(super) struct Numbers<T> {
    /// What stands in the columns.
    pub(super) values: T,
    /// The scale they share in `fixed`; `None` where there is no number.
    pub(super) scale: Option<i8>,
    /// One of them says less than was sent.
    pub(super) lossy: bool,
}

/// One number that is always there.
// Always inline, as below: a result that goes through memory costs more than the number.
#[inline(always)]
pub(super) fn one<N: Number>(given: Decimal) -> Result<Numbers<N>, OutOfRange> {
    let Some(value) = N::encode(given, given.scale) else {
        let Numbers { values: [value], scale, lossy } = shorter([Some(&given)])?;
        return Ok(Numbers { values: value.ok_or(OutOfRange)?, scale, lossy });
    };
    let scale = match N::NUMERIC {
        Numeric::Fixed => Some(column_scale(given.scale)?),
        Numeric::Float | Numeric::Decimal => None,
    };
    Ok(Numbers { values: value, scale, lossy: N::is_lossy(given) })
}

/// Numbers that may be missing. In `fixed` they share the smallest scale that says them all as they were sent; only
/// where one would not fit, trailing zeros are left out.
#[inline(always)]
pub(super) fn some<N: Number, const K: usize>(
    given: [Option<&Decimal>; K],
) -> Result<Numbers<[Option<N>; K]>, OutOfRange> {
    match at_shared_scale(given) {
        Err(OutOfRange) if N::NUMERIC == Numeric::Fixed => shorter(given),
        numbers => numbers,
    }
}

#[inline(always)]
fn at_shared_scale<N: Number, const K: usize>(
    given: [Option<&Decimal>; K],
) -> Result<Numbers<[Option<N>; K]>, OutOfRange> {
    let scale = match N::NUMERIC {
        Numeric::Fixed => given.iter().flatten().map(|d| d.scale).max(),
        Numeric::Float | Numeric::Decimal => None,
    };
    let mut numbers = Numbers { values: [None; K], scale: scale.map(column_scale).transpose()?, lossy: false };
    for (value, given) in numbers.values.iter_mut().zip(given) {
        if let Some(given) = given {
            *value = Some(N::encode(*given, scale.unwrap_or_default()).ok_or(OutOfRange)?);
            numbers.lossy |= N::is_lossy(*given);
        }
    }
    Ok(numbers)
}

#[cold]
fn shorter<N: Number, const K: usize>(given: [Option<&Decimal>; K]) -> Result<Numbers<[Option<N>; K]>, OutOfRange> {
    let trimmed = given.map(|d| d.map(|d| d.trimmed()));
    at_shared_scale(trimmed.each_ref().map(Option::as_ref))
}

#[inline]
pub(super) fn column_scale(scale: u8) -> Result<i8, OutOfRange> {
    i8::try_from(scale).map_err(|_| OutOfRange)
}

impl<N: Number> Plain<N> {
    pub(super) fn numbers(self) -> ArrayRef {
        N::array(self.into_vec(), None)
    }
}

impl<N: Number> Nullable<N> {
    pub(super) fn numbers(self) -> ArrayRef {
        let (values, nulls) = self.into_parts();
        N::array(values, nulls)
    }
}

/// A list column: the values of all rows and where each row's end.
pub(super) fn list<N: Number>(values: Vec<N>, offsets: &OffsetBuffer<i32>) -> ArrayRef {
    let values = N::array(values, None);
    Arc::new(ListArray::new(list_item(values.data_type().clone()), offsets.clone(), values, None))
}

/// Scales of one row, for `fixed`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowScales {
    pub(super) price: Option<i8>,
    pub(super) size: Option<i8>,
}

impl RowScales {
    #[inline]
    pub(super) fn of(scales: Scales) -> Result<Self, OutOfRange> {
        Ok(Self { price: Some(column_scale(scales.price)?), size: Some(column_scale(scales.size)?) })
    }

    #[inline]
    pub(super) const fn each(self) -> [Option<i8>; 2] {
        [self.price, self.size]
    }
}

/// The scale columns, at the end of a table in `fixed` and nowhere else, in the order of the schema.
pub(super) struct ScaleColumns<const K: usize>([Nullable<i8>; K]);

impl<const K: usize> ScaleColumns<K> {
    pub(super) fn new<N: Number>(rows: usize) -> Option<Self> {
        (N::NUMERIC == Numeric::Fixed).then(|| Self(std::array::from_fn(|_| Nullable::new(rows))))
    }

    pub(super) fn extend<R>(this: &mut Option<Self>, block: &[R], scales: impl Fn(&R) -> [Option<i8>; K]) {
        if let Some(Self(columns)) = this {
            for (i, column) in columns.iter_mut().enumerate() {
                column.extend(block, |r| scales(r)[i]);
            }
        }
    }

    pub(super) fn finish(this: Option<Self>, columns: &mut Vec<ArrayRef>) {
        if let Some(Self(scales)) = this {
            columns.extend(scales.map(Nullable::array));
        }
    }
}

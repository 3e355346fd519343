//! Prices and sizes as `float`, `decimal` or `fixed`: checked once, when a row is written.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::config::Numeric;
use crate::decimal::{DECIMAL_SCALE, Decimal, f64_pow10, pow10};
use crate::event::{Level, Scales};

use super::OutOfRange;
use super::column::{Nullable, Plain};
use super::schema::{DECIMAL_PRECISION, list_item};

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
            return extend_each(prices, sizes, levels, scales);
        };
        // One division of two exactly held numbers is correctly rounded.
        prices.extend(levels.iter().map(|l| l.price as f64 / price));
        sizes.extend(levels.iter().map(|l| l.size as f64 / size));
        Ok(false)
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
            return extend_each(prices, sizes, levels, scales);
        };
        prices.extend(levels.iter().map(|l| i128::from(l.price) * price));
        sizes.extend(levels.iter().map(|l| i128::from(l.size) * size));
        Ok(false)
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

    fn array(values: Vec<Self>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(Int64Array::new(ScalarBuffer::from(values), nulls))
    }
}

/// As [`Number::extend_side`], number by number: any mantissa, any scale.
#[cold]
pub(super) fn extend_each<N: Number, M: Copy + Into<i128>>(
    prices: &mut Vec<N>,
    sizes: &mut Vec<N>,
    levels: &[Level<M>],
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

/// The columns `price_scale` and `size_scale`, at the end of a table in `fixed` and nowhere else.
pub(super) struct ScaleColumns {
    price: Nullable<i8>,
    size: Nullable<i8>,
}

impl ScaleColumns {
    pub(super) fn new<N: Number>(rows: usize) -> Option<Self> {
        (N::NUMERIC == Numeric::Fixed).then(|| Self { price: Nullable::new(rows), size: Nullable::new(rows) })
    }

    pub(super) fn extend<R>(this: &mut Option<Self>, block: &[R], scales: impl Fn(&R) -> RowScales) {
        if let Some(columns) = this {
            columns.price.extend(block, |r| scales(r).price);
            columns.size.extend(block, |r| scales(r).size);
        }
    }

    pub(super) fn finish(this: Option<Self>, columns: &mut Vec<ArrayRef>) {
        if let Some(scales) = this {
            columns.extend([scales.price.array(), scales.size.array()]);
        }
    }
}

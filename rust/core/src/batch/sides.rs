//! Levels of both sides of books, in lists: what the rows of `l2` and of `l2_top` have in common.

use arrow_array::ArrayRef;
use arrow_buffer::{OffsetBuffer, ScalarBuffer};

use crate::decimal::Decimal;
use crate::event::{DecodedLevels, Scales};

use super::column::{Plain, take_values};
use super::number::{Number, RowScales, extend_each, level_decimals, list};
use super::units::Units;
use super::{OutOfRange, RowError};

/// Values of the lists of all rows.
#[derive(Debug)]
pub(super) struct Sides<N> {
    bids: Side<N>,
    asks: Side<N>,
}

/// Values of one side, of all rows.
#[derive(Debug)]
struct Side<N> {
    prices: Vec<N>,
    sizes: Vec<N>,
}

/// Where a row's bids and asks end among the values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    bids: i32,
    asks: i32,
}

/// What a row keeps of its levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) ends: Ends,
    pub(super) scales: RowScales,
    /// A number says less than was sent.
    pub(super) lossy: bool,
}

impl<N: Number> Sides<N> {
    pub(super) fn reserve(max_bytes: usize) -> Self {
        // What the byte limit allows, if the sides are alike.
        let values = max_bytes / size_of::<N>() / 4;
        Self { bids: Side::reserve(values), asks: Side::reserve(values) }
    }

    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.len() * 2 * size_of::<N>()
    }

    #[inline]
    fn len(&self) -> usize {
        self.bids.prices.len() + self.asks.prices.len()
    }

    /// Appends the levels of a message, all or none.
    #[inline]
    pub(super) fn message(&mut self, message: &DecodedLevels, units: Units<'_>) -> Result<Written, RowError> {
        self.whole(|sides| {
            let (bids, asks, sent) = (&mut sides.bids, &mut sides.asks, message.scales());
            let scales = units.scales(sent)?;
            let lossy = match &message.wide {
                None if units.keeps_mantissas() => {
                    let levels = &message.narrow;
                    N::extend_side(&mut bids.prices, &mut bids.sizes, &levels.bids, scales)?
                        | N::extend_side(&mut asks.prices, &mut asks.sizes, &levels.asks, scales)?
                }
                None => {
                    let levels = &message.narrow;
                    N::extend_converted(&mut bids.prices, &mut bids.sizes, &levels.bids, sent, units)?
                        | N::extend_converted(&mut asks.prices, &mut asks.sizes, &levels.asks, sent, units)?
                }
                Some(levels) => {
                    let decimals = |level| level_decimals(level, sent);
                    extend_each(&mut bids.prices, &mut bids.sizes, levels.bids.iter().map(decimals), scales, units)?
                        | extend_each(
                            &mut asks.prices,
                            &mut asks.sizes,
                            levels.asks.iter().map(decimals),
                            scales,
                            units,
                        )?
                }
            };
            Ok((scales, lossy))
        })
    }

    /// Appends levels of a book, price and size, all or none. Prices share a scale, sizes share one.
    pub(super) fn levels(
        &mut self,
        bids: impl Iterator<Item = (Decimal, Decimal)>,
        asks: impl Iterator<Item = (Decimal, Decimal)>,
        units: Units<'_>,
    ) -> Result<Written, RowError> {
        self.whole(|sides| {
            let (mut bids, mut asks) = (bids.peekable(), asks.peekable());
            let any = bids.peek().or_else(|| asks.peek());
            let sent = any.map_or(Scales::default(), |(p, s)| Scales { price: p.scale, size: s.scale });
            let scales = units.scales(sent)?;
            let lossy = extend_each(&mut sides.bids.prices, &mut sides.bids.sizes, bids, scales, units)?
                | extend_each(&mut sides.asks.prices, &mut sides.asks.sizes, asks, scales, units)?;
            Ok((scales, lossy))
        })
    }

    #[inline]
    fn whole(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(Scales, bool), RowError>,
    ) -> Result<Written, RowError> {
        let (bids, asks) = (self.bids.prices.len(), self.asks.prices.len());
        let written = write(self).and_then(|(scales, lossy)| {
            let ends = Ends { bids: self.bids.end()?, asks: self.asks.end()? };
            // No number, no scale.
            let scales = if self.len() == bids + asks { RowScales::default() } else { RowScales::of(scales)? };
            Ok(Written { ends, scales, lossy })
        });
        if written.is_err() {
            self.bids.truncate(bids);
            self.asks.truncate(asks);
        }
        written
    }

    /// The columns: prices and sizes of the bids, prices and sizes of the asks.
    pub(super) fn take(&mut self, ends: EndColumns) -> [ArrayRef; 4] {
        let [bid_prices, bid_sizes] = self.bids.take(ends.bids);
        let [ask_prices, ask_sizes] = self.asks.take(ends.asks);
        [bid_prices, bid_sizes, ask_prices, ask_sizes]
    }
}

impl<N: Number> Side<N> {
    fn reserve(values: usize) -> Self {
        Self { prices: Vec::with_capacity(values), sizes: Vec::with_capacity(values) }
    }

    #[inline]
    fn end(&self) -> Result<i32, OutOfRange> {
        i32::try_from(self.prices.len()).map_err(|_| OutOfRange)
    }

    #[cold]
    fn truncate(&mut self, len: usize) {
        self.prices.truncate(len);
        self.sizes.truncate(len);
    }

    fn take(&mut self, ends: Plain<i32>) -> [ArrayRef; 2] {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends.into_vec()));
        [list(take_values(&mut self.prices), &offsets), list(take_values(&mut self.sizes), &offsets)]
    }
}

/// The offsets of the lists.
pub(super) struct EndColumns {
    bids: Plain<i32>,
    asks: Plain<i32>,
}

impl EndColumns {
    pub(super) fn new(rows: usize) -> Self {
        let from_zero = || {
            let mut ends = Plain::new(rows + 1);
            ends.extend(&[0], |zero| *zero);
            ends
        };
        Self { bids: from_zero(), asks: from_zero() }
    }

    #[inline]
    pub(super) fn extend<R>(&mut self, block: &[R], ends: impl Fn(&R) -> Ends) {
        self.bids.extend(block, |r| ends(r).bids);
        self.asks.extend(block, |r| ends(r).asks);
    }
}

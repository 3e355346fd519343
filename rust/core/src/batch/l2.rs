//! Rows of `l2`: one per book message, its levels in lists.

use arrow_array::ArrayRef;
use arrow_buffer::{OffsetBuffer, ScalarBuffer};

use crate::config::BatchLimits;
use crate::event::{BookHead, DecodedLevels};
use crate::table::{Source, Table, flags};

use super::OutOfRange;
use super::column::{BLOCK, Bits, Nullable, Plain, take_values};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, RowScales, ScaleColumns, column_scale, extend_each, list};
use super::open::{Context, Rows, row_capacity};

/// The open rows and the values of their lists.
#[derive(Debug)]
pub(super) struct L2<N> {
    rows: Vec<Row>,
    bids: Side<N>,
    asks: Side<N>,
}

#[derive(Debug)]
struct Row {
    key: RowKey,
    first_id: Option<i64>,
    last_id: Option<i64>,
    prev_id: Option<i64>,
    /// Where the row's bids and asks end among the values.
    bids_end: i32,
    asks_end: i32,
    is_snapshot: bool,
    source: i8,
    scales: RowScales,
}

/// Values of one side, of all rows.
#[derive(Debug)]
struct Side<N> {
    prices: Vec<N>,
    sizes: Vec<N>,
}

impl<N: Number> L2<N> {
    #[inline]
    pub(super) fn push(
        &mut self,
        key: &RowKey,
        head: &BookHead,
        prev_id: Option<i64>,
        message: &DecodedLevels,
        source: Source,
    ) -> Result<(), OutOfRange> {
        let (bids, asks) = (self.bids.len(), self.asks.len());
        let written = self.write(key, head, prev_id, message, source);
        if written.is_err() {
            self.bids.truncate(bids);
            self.asks.truncate(asks);
        }
        written
    }

    #[inline]
    fn write(
        &mut self,
        key: &RowKey,
        head: &BookHead,
        prev_id: Option<i64>,
        message: &DecodedLevels,
        source: Source,
    ) -> Result<(), OutOfRange> {
        let (bids, asks) = (self.bids.len(), self.asks.len());
        let scales = message.scales();
        let lossy = match &message.wide {
            None => {
                let levels = &message.narrow;
                N::extend_side(&mut self.bids.prices, &mut self.bids.sizes, &levels.bids, scales)?
                    | N::extend_side(&mut self.asks.prices, &mut self.asks.sizes, &levels.asks, scales)?
            }
            Some(levels) => {
                extend_each(&mut self.bids.prices, &mut self.bids.sizes, &levels.bids, scales)?
                    | extend_each(&mut self.asks.prices, &mut self.asks.sizes, &levels.asks, scales)?
            }
        };
        let (bids_end, asks_end) = (self.bids.end()?, self.asks.end()?);
        let is_empty = (self.bids.len(), self.asks.len()) == (bids, asks);
        let scales = if is_empty {
            RowScales::default()
        } else {
            RowScales { price: Some(column_scale(scales.price)?), size: Some(column_scale(scales.size)?) }
        };
        let mut key = *key;
        if lossy {
            key.flags |= flags::LOSSY;
        }
        self.rows.push(Row {
            key,
            first_id: head.first_id,
            last_id: head.last_id,
            prev_id,
            bids_end,
            asks_end,
            is_snapshot: head.is_snapshot,
            source: source as i8,
            scales,
        });
        Ok(())
    }
}

impl<N: Number> Side<N> {
    fn reserve(values: usize) -> Self {
        Self { prices: Vec::with_capacity(values), sizes: Vec::with_capacity(values) }
    }

    #[inline]
    fn len(&self) -> usize {
        self.prices.len()
    }

    #[inline]
    fn end(&self) -> Result<i32, OutOfRange> {
        i32::try_from(self.len()).map_err(|_| OutOfRange)
    }

    #[cold]
    fn truncate(&mut self, len: usize) {
        self.prices.truncate(len);
        self.sizes.truncate(len);
    }

    /// The columns of prices and of sizes.
    fn take(&mut self, ends: Plain<i32>) -> [ArrayRef; 2] {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends.into_vec()));
        [list(take_values(&mut self.prices), &offsets), list(take_values(&mut self.sizes), &offsets)]
    }
}

impl<N: Number> Rows for L2<N> {
    const TABLE: Table = Table::L2;

    fn reserve(limits: &BatchLimits) -> Self {
        // What the byte limit allows, if the sides are alike.
        let values = limits.max_bytes / size_of::<N>() / 4;
        Self {
            rows: Vec::with_capacity(row_capacity::<Row>(limits)),
            bids: Side::reserve(values),
            asks: Side::reserve(values),
        }
    }

    #[inline]
    fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>() + (self.bids.len() + self.asks.len()) * 2 * size_of::<N>()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let mut keys = KeyColumns::new(n, context);
        let mut is_snapshot = Bits::new(n);
        let mut first_id = Nullable::new(n);
        let mut last_id = Nullable::new(n);
        let mut prev_id = Nullable::new(n);
        let mut bids_end = Plain::new(n + 1);
        let mut asks_end = Plain::new(n + 1);
        let mut source = Plain::new(n);
        let mut scales = ScaleColumns::new::<N>(n);
        bids_end.extend(&[0], |zero| *zero);
        asks_end.extend(&[0], |zero| *zero);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            is_snapshot.extend(block, |r| r.is_snapshot);
            first_id.extend(block, |r| r.first_id);
            last_id.extend(block, |r| r.last_id);
            prev_id.extend(block, |r| r.prev_id);
            bids_end.extend(block, |r| r.bids_end);
            asks_end.extend(block, |r| r.asks_end);
            source.extend(block, |r| r.source);
            ScaleColumns::extend(&mut scales, block, |r| r.scales);
        }
        self.rows.clear();

        let [bid_prices, bid_sizes] = self.bids.take(bids_end);
        let [ask_prices, ask_sizes] = self.asks.take(asks_end);
        let mut columns = keys.finish();
        columns.extend([
            is_snapshot.array(),
            first_id.array(),
            last_id.array(),
            prev_id.array(),
            bid_prices,
            bid_sizes,
            ask_prices,
            ask_sizes,
            source.words(&context.words.source),
        ]);
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}

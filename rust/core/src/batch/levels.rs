//! Rows of `levels`: one per level, bids then asks as sent.

use std::collections::VecDeque;

use arrow_array::ArrayRef;

use crate::config::{BatchLimits, Numeric};
use crate::event::{self, BookHead, Scales};
use crate::instrument::Conversion;
use crate::table::{Table, flags};

use super::column::{BLOCK, Bits, Plain};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, RowScales, ScaleColumns, level_decimals};
use super::open::{Context, Open, Rows, row_capacity};
use super::units::Units;
use super::{Batch, OutOfRange, RowError};

/// The open rows.
#[derive(Debug)]
pub(super) struct Levels<N> {
    rows: Vec<Row<N>>,
}

/// One level of one message.
#[derive(Debug)]
pub(super) struct Row<N> {
    key: RowKey,
    price: N,
    size: N,
    /// Place in the dictionary of sides.
    side: i8,
    is_snapshot: bool,
    scales: RowScales,
}

const BID: i8 = 0;
const ASK: i8 = 1;

/// The rows of a message, numbered from the key's row on; only the last one is the last. `scales` are those of the
/// rows.
pub(super) fn rows<'a, N: Number, M: Copy + Into<i128>>(
    key: &RowKey,
    head: &BookHead,
    message: &'a event::Levels<M>,
    scales: Scales,
    units: Units<'a>,
) -> impl Iterator<Item = Result<Row<N>, RowError>> + use<'a, N, M> {
    let sent = message.scales;
    let is_snapshot = head.is_snapshot;
    let mut key = *key;
    let of_every_row = key.flags & !flags::LAST;
    let of_the_last = key.flags;
    let mut left = message.bids.len() + message.asks.len();
    let bids = message.bids.iter().map(|level| (BID, level));
    let asks = message.asks.iter().map(|level| (ASK, level));
    bids.chain(asks).map(move |(side, level)| {
        left -= 1;
        key.flags = if left == 0 { of_the_last } else { of_every_row };
        let (price, size) = level_decimals(level, sent);
        let (size, size_is_lossy) = units.level::<N>(size, price, scales.size)?;
        let row = Row {
            key: key.flagged(size_is_lossy || N::is_lossy(price)),
            price: N::encode(price, scales.price).ok_or(OutOfRange)?,
            size,
            side,
            is_snapshot,
            scales: RowScales::of(scales)?,
        };
        key.row = key.row.saturating_add(1);
        Ok(row)
    })
}

impl<N: Number> Open<Levels<N>> {
    /// Appends every row of a message or none. A batch may close between two of them.
    pub(super) fn append_all<I: Iterator<Item = Result<Row<N>, RowError>>>(
        &mut self,
        context: &Context,
        closed: &mut VecDeque<Batch>,
        units: Units<'_>,
        rows: impl Fn() -> I,
    ) -> Result<(), RowError> {
        // A double holds all that was sent, if not exactly.
        if N::NUMERIC != Numeric::Float || *units.conversion() != Conversion::None {
            rows().try_for_each(|row| row.map(drop))?;
        }
        for row in rows() {
            let row = row?;
            self.append(context, closed, |open| {
                open.rows.push(row);
                Ok::<_, RowError>(())
            })?;
        }
        Ok(())
    }
}

impl<N: Number> Rows for Levels<N> {
    const TABLE: Table = Table::Levels;

    fn reserve(limits: &BatchLimits) -> Self {
        Self { rows: Vec::with_capacity(row_capacity::<Row<N>>(limits)) }
    }

    #[inline]
    fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row<N>>()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let mut keys = KeyColumns::new(n, context);
        let mut is_snapshot = Bits::new(n);
        let mut side = Plain::new(n);
        let mut price = Plain::new(n);
        let mut size = Plain::new(n);
        let mut scales = ScaleColumns::new::<N>(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            is_snapshot.extend(block, |r| r.is_snapshot);
            side.extend(block, |r| r.side);
            price.extend(block, |r| r.price);
            size.extend(block, |r| r.size);
            ScaleColumns::extend(&mut scales, block, |r| r.scales.each());
        }
        self.rows.clear();

        let mut columns = keys.finish();
        columns.extend([is_snapshot.array(), side.words(&context.words.book_side), price.numbers(), size.numbers()]);
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}

//! Rows of `l2_top`: the best levels of a live book, sampled.

use arrow_array::ArrayRef;

use crate::config::BatchLimits;
use crate::decimal::Decimal;
use crate::table::Table;

use super::RowError;
use super::column::BLOCK;
use super::key::{KeyColumns, RowKey};
use super::number::{Number, RowScales, ScaleColumns};
use super::open::{Context, Rows, row_capacity};
use super::sides::{EndColumns, Ends, Sides, Written};
use super::units::Units;

/// The open rows and the values of their lists.
#[derive(Debug)]
pub(super) struct L2Top<N> {
    rows: Vec<Row>,
    sides: Sides<N>,
}

#[derive(Debug)]
struct Row {
    key: RowKey,
    ends: Ends,
    scales: RowScales,
}

impl<N: Number> L2Top<N> {
    pub(super) fn push(
        &mut self,
        key: &RowKey,
        bids: impl Iterator<Item = (Decimal, Decimal)>,
        asks: impl Iterator<Item = (Decimal, Decimal)>,
        units: Units<'_>,
    ) -> Result<(), RowError> {
        let Written { ends, scales, lossy } = self.sides.levels(bids, asks, units)?;
        self.rows.push(Row { key: key.flagged(lossy), ends, scales });
        Ok(())
    }
}

impl<N: Number> Rows for L2Top<N> {
    const TABLE: Table = Table::L2Top;

    fn reserve(limits: &BatchLimits) -> Self {
        Self { rows: Vec::with_capacity(row_capacity::<Row>(limits)), sides: Sides::reserve(limits.max_bytes) }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>() + self.sides.bytes()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let mut keys = KeyColumns::new(n, context);
        let mut ends = EndColumns::new(n);
        let mut scales = ScaleColumns::new::<N>(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            ends.extend(block, |r| r.ends);
            ScaleColumns::extend(&mut scales, block, |r| r.scales.each());
        }
        self.rows.clear();

        let mut columns = keys.finish();
        columns.extend(self.sides.take(ends));
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}

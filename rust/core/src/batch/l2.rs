//! Rows of `l2`: one per book message, its levels in lists.

use arrow_array::ArrayRef;

use crate::config::BatchLimits;
use crate::event::{BookHead, DecodedLevels};
use crate::table::{Source, Table};

use super::RowError;
use super::column::{BLOCK, Bits, Nullable, Plain};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, RowScales, ScaleColumns};
use super::open::{Context, Rows, row_capacity};
use super::sides::{EndColumns, Ends, Sides, Written};
use super::units::Units;

/// The open rows and the values of their lists.
#[derive(Debug)]
pub(super) struct L2<N> {
    rows: Vec<Row>,
    sides: Sides<N>,
}

#[derive(Debug)]
struct Row {
    key: RowKey,
    first_id: Option<i64>,
    last_id: Option<i64>,
    prev_id: Option<i64>,
    ends: Ends,
    is_snapshot: bool,
    source: i8,
    scales: RowScales,
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
        units: Units<'_>,
    ) -> Result<(), RowError> {
        let Written { ends, scales, lossy } = self.sides.message(message, units)?;
        self.rows.push(Row {
            key: key.flagged(lossy),
            first_id: head.first_id,
            last_id: head.last_id,
            prev_id,
            ends,
            is_snapshot: head.is_snapshot,
            source: source as i8,
            scales,
        });
        Ok(())
    }
}

impl<N: Number> Rows for L2<N> {
    const TABLE: Table = Table::L2;

    fn reserve(limits: &BatchLimits) -> Self {
        Self { rows: Vec::with_capacity(row_capacity::<Row>(limits)), sides: Sides::reserve(limits.max_bytes) }
    }

    #[inline]
    fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>() + self.sides.bytes()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let mut keys = KeyColumns::new(n, context);
        let mut is_snapshot = Bits::new(n);
        let mut first_id = Nullable::new(n);
        let mut last_id = Nullable::new(n);
        let mut prev_id = Nullable::new(n);
        let mut ends = EndColumns::new(n);
        let mut source = Plain::new(n);
        let mut scales = ScaleColumns::new::<N>(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            is_snapshot.extend(block, |r| r.is_snapshot);
            first_id.extend(block, |r| r.first_id);
            last_id.extend(block, |r| r.last_id);
            prev_id.extend(block, |r| r.prev_id);
            ends.extend(block, |r| r.ends);
            source.extend(block, |r| r.source);
            ScaleColumns::extend(&mut scales, block, |r| r.scales.each());
        }
        self.rows.clear();

        let mut columns = keys.finish();
        columns.extend([is_snapshot.array(), first_id.array(), last_id.array(), prev_id.array()]);
        columns.extend(self.sides.take(ends));
        columns.push(source.words(&context.words.source));
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}

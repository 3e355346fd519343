//! Rows of `gaps`.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, UInt16Array};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::config::BatchLimits;
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, GapScope, GapUnit, Repaired, Table};

use super::OutOfRange;
use super::column::{BLOCK, Nullable, Plain, take_values};
use super::key::{KeyColumns, RowKey};
use super::open::{Context, Rows, row_capacity};
use super::schema::list_item;

/// What was missed. A gap is two rows with one id: at detection and at closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapRow<'a> {
    /// Number of the gap.
    pub gap_id: i64,
    /// The table that misses something.
    pub stream: Table,
    /// How much it concerns.
    pub scope: GapScope,
    /// Why.
    pub cause: GapCause,
    /// What proves it.
    pub evidence: GapEvidence,
    /// How many are missing, where that is known.
    pub missing: Option<i64>,
    /// What [`Self::missing`] counts.
    pub missing_unit: Option<GapUnit>,
    /// First id that is missing.
    pub first_missing: Option<i64>,
    /// Last id that is missing.
    pub last_missing: Option<i64>,
    /// Receive time of the last good event before the hole.
    pub ts_last_good: Option<i64>,
    /// When it was noticed.
    pub ts_detected: i64,
    /// When it went on: in the closing row alone.
    pub ts_resumed: Option<i64>,
    /// Who filled the hole.
    pub repaired: Repaired,
    /// The connections that missed it.
    pub conn_ids: &'a [ConnId],
}

/// The open rows.
#[derive(Debug)]
pub(super) struct Gaps {
    rows: Vec<Row>,
    conn_ids: Vec<u16>,
}

#[derive(Debug)]
struct Row {
    key: RowKey,
    /// Without its connections: they lie apart and end here.
    gap: GapRow<'static>,
    conn_ids_end: i32,
}

impl Gaps {
    pub(super) fn push(&mut self, key: &RowKey, gap: &GapRow<'_>) -> Result<(), OutOfRange> {
        let end = self.conn_ids.len().saturating_add(gap.conn_ids.len());
        let conn_ids_end = i32::try_from(end).map_err(|_| OutOfRange)?;
        self.conn_ids.extend(gap.conn_ids.iter().map(|c| c.0));
        self.rows.push(Row { key: *key, gap: GapRow { conn_ids: &[], ..*gap }, conn_ids_end });
        Ok(())
    }
}

impl Rows for Gaps {
    const TABLE: Table = Table::Gaps;

    fn reserve(limits: &BatchLimits) -> Self {
        let rows = row_capacity::<Row>(limits);
        Self { rows: Vec::with_capacity(rows), conn_ids: Vec::with_capacity(rows * 4) }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>() + self.conn_ids.len() * size_of::<u16>()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let words = &context.words;
        let mut keys = KeyColumns::new(n, context);
        let mut gap_id = Plain::new(n);
        let mut stream = Plain::new(n);
        let mut scope = Plain::new(n);
        let mut cause = Plain::new(n);
        let mut evidence = Plain::new(n);
        let mut missing = Nullable::new(n);
        let mut missing_unit = Nullable::new(n);
        let mut first_missing = Nullable::new(n);
        let mut last_missing = Nullable::new(n);
        let mut ts_last_good = Nullable::new(n);
        let mut ts_detected = Plain::new(n);
        let mut ts_resumed = Nullable::new(n);
        let mut repaired = Plain::new(n);
        let mut ends = Plain::new(n + 1);
        ends.extend(&[0], |zero| *zero);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            gap_id.extend(block, |r| r.gap.gap_id);
            stream.extend(block, |r| r.gap.stream as i8);
            scope.extend(block, |r| r.gap.scope as i8);
            cause.extend(block, |r| r.gap.cause as i8);
            evidence.extend(block, |r| r.gap.evidence as i8);
            missing.extend(block, |r| r.gap.missing);
            missing_unit.extend(block, |r| r.gap.missing_unit.map(|u| u as i8));
            first_missing.extend(block, |r| r.gap.first_missing);
            last_missing.extend(block, |r| r.gap.last_missing);
            ts_last_good.extend(block, |r| r.gap.ts_last_good);
            ts_detected.extend(block, |r| r.gap.ts_detected);
            ts_resumed.extend(block, |r| r.gap.ts_resumed);
            repaired.extend(block, |r| r.gap.repaired as i8);
            ends.extend(block, |r| r.conn_ids_end);
        }
        self.rows.clear();

        let conn_ids = UInt16Array::from(take_values(&mut self.conn_ids));
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends.into_vec()));
        let conn_ids = ListArray::new(list_item(DataType::UInt16), ends, Arc::new(conn_ids), None);
        let mut columns = keys.finish();
        columns.extend([
            gap_id.array(),
            stream.words(&words.stream),
            scope.words(&words.gap_scope),
            cause.words(&words.gap_cause),
            evidence.words(&words.gap_evidence),
            missing.array(),
            missing_unit.words(&words.gap_unit),
            first_missing.array(),
            last_missing.array(),
            ts_last_good.timestamps(),
            ts_detected.timestamps(),
            ts_resumed.timestamps(),
            repaired.words(&words.repaired),
            Arc::new(conn_ids),
        ]);
        columns
    }
}

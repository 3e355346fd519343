//! Rows of `connections`: what each has done in an interval.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};
use arrow_buffer::ScalarBuffer;

use crate::config::BatchLimits;
use crate::table::{ConnState, StampSource, Table};

use super::OutOfRange;
use super::column::{Arena, BLOCK, InArena, Nullable, Plain};
use super::key::{KeyColumns, RowKey};
use super::open::{Context, Rows, row_capacity};

/// One connection in one interval. Its number stands in the keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConnectionRow<'a> {
    /// Host of its URL.
    pub host: &'a str,
    /// The address that answered.
    pub ip: Option<&'a str>,
    /// When it came up last.
    pub opened_at: Option<i64>,
    /// What it is doing at the interval's end.
    pub state: ConnState,
    /// By how many microseconds an event comes later on it than on the first of its lane, on average.
    pub score: Option<f64>,
    /// Who stamps what it receives.
    pub stamp_source: StampSource,
    /// Messages of any kind.
    pub messages: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Events that it brought first.
    pub wins: i64,
    /// Events that others had brought before.
    pub losses: i64,
    /// Of those of its wins that others brought too, in nanoseconds.
    pub lead_p50: Option<u64>,
    /// Of its losses, in nanoseconds.
    pub behind_p50: Option<u64>,
    /// As above.
    pub behind_p99: Option<u64>,
    /// From the event to its receipt, in nanoseconds.
    pub latency_p50: Option<u64>,
    /// As above.
    pub latency_p99: Option<u64>,
    /// Times that it came up again.
    pub reconnects: i64,
    /// Why it is down: in the row of its end.
    pub close_reason: Option<&'a str>,
    /// By how much the exchange's clock is ahead of ours at least, in nanoseconds: the most by which a time that it wrote
    /// was ahead of its receipt. The way from there is in it, so the truth lies above it by the shortest such way.
    pub clock_offset: Option<i64>,
}

/// The open rows and their texts.
#[derive(Debug)]
pub(super) struct Connections {
    rows: Vec<Row>,
    texts: Arena,
}

#[derive(Debug)]
struct Row {
    key: RowKey,
    /// Without its texts: they lie apart.
    row: ConnectionRow<'static>,
    host: InArena,
    ip: Option<InArena>,
    close_reason: Option<InArena>,
}

impl Connections {
    pub(super) fn push(&mut self, key: &RowKey, row: &ConnectionRow<'_>) -> Result<(), OutOfRange> {
        self.rows.push(Row {
            key: *key,
            host: self.texts.add(row.host),
            ip: row.ip.map(|text| self.texts.add(text)),
            close_reason: row.close_reason.map(|text| self.texts.add(text)),
            row: ConnectionRow { host: "", ip: None, close_reason: None, ..*row },
        });
        Ok(())
    }
}

/// Rows are few: bytes reserved for their texts.
const USUAL_TEXTS: usize = 4 << 10;

impl Rows for Connections {
    const TABLE: Table = Table::Connections;

    fn reserve(limits: &BatchLimits) -> Self {
        Self { rows: Vec::with_capacity(row_capacity::<Row>(limits).min(64)), texts: Arena::reserve(USUAL_TEXTS) }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>() + self.texts.len()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let words = &context.words;
        let mut keys = KeyColumns::new(n, context);
        let mut opened_at = Nullable::new(n);
        let mut state = Plain::new(n);
        let mut score = Nullable::new(n);
        let mut stamp_source = Plain::new(n);
        let mut counts = [(); 5].map(|()| Plain::new(n));
        let mut quantiles = [(); 5].map(|()| Nullable::new(n));
        let mut clock_offset = Nullable::new(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            opened_at.extend(block, |r| r.row.opened_at);
            state.extend(block, |r| r.row.state as i8);
            score.extend(block, |r| r.row.score);
            stamp_source.extend(block, |r| r.row.stamp_source as i8);
            for (at, counts) in counts.iter_mut().enumerate() {
                counts.extend(block, |r| [r.row.messages, r.row.bytes, r.row.wins, r.row.losses, r.row.reconnects][at]);
            }
            for (at, quantiles) in quantiles.iter_mut().enumerate() {
                quantiles.extend(block, |r| {
                    let row = &r.row;
                    let all = [row.lead_p50, row.behind_p50, row.behind_p99, row.latency_p50, row.latency_p99];
                    all[at].map(|ns| ns as f64 / 1e3)
                });
            }
            clock_offset.extend(block, |r| r.row.clock_offset.map(|ns| ns as f64 / 1e3));
        }
        let host = self.texts.column(&self.rows, |r| r.host);
        let ip = self.texts.nullable_column(&self.rows, |r| r.ip);
        let close_reason = self.texts.nullable_column(&self.rows, |r| r.close_reason);
        self.rows.clear();
        self.texts.clear();

        let [messages, bytes, wins, losses, reconnects] = counts.map(Plain::array);
        let mut columns = keys.finish();
        columns.extend([
            host,
            ip,
            opened_at.timestamps(),
            state.words(&words.conn_state),
            floats(score),
            stamp_source.words(&words.stamp_source),
            messages,
            bytes,
            wins,
            losses,
        ]);
        columns.extend(quantiles.map(floats));
        columns.extend([reconnects, close_reason, floats(clock_offset)]);
        columns
    }
}

/// Measured here, not told by an exchange: floats in every [`crate::config::Numeric`].
fn floats(column: Nullable<f64>) -> ArrayRef {
    let (values, nulls) = column.into_parts();
    Arc::new(Float64Array::new(ScalarBuffer::from(values), nulls))
}

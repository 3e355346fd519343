//! Rows of `raw`: the engine's inputs as it took them.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

use crate::config::BatchLimits;
use crate::table::{InputKind, Table};

use super::OutOfRange;
use super::column::{Arena, BLOCK, InArena, Nullable, Plain, take_values};
use super::key::{KeyColumns, RowKey};
use super::open::{Context, Rows, row_capacity};

/// One input. Its number, wall time and connection stand in the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRow<'a> {
    /// Monotonic time, nanoseconds since an arbitrary origin.
    pub ts_mono: u64,
    /// What kind of input.
    pub kind: InputKind,
    /// The request it answers.
    pub request_id: Option<u64>,
    /// HTTP status.
    pub status: Option<u16>,
    /// What is kept of the reply's headers.
    pub headers: Option<&'a str>,
    /// URL of the connection or of the request.
    pub url: Option<&'a str>,
    /// The bytes.
    pub payload: &'a [u8],
}

/// The open rows and their bytes.
#[derive(Debug)]
pub(super) struct Raw {
    rows: Vec<Row>,
    texts: Arena,
    payloads: Vec<u8>,
}

#[derive(Debug)]
struct Row {
    key: RowKey,
    ts_mono: u64,
    request_id: Option<u64>,
    headers: Option<InArena>,
    url: Option<InArena>,
    payload_end: i32,
    status: Option<u16>,
    kind: i8,
}

impl Raw {
    #[inline]
    pub(super) fn push(&mut self, key: &RowKey, row: &RawRow<'_>) -> Result<(), OutOfRange> {
        let end = self.payloads.len().saturating_add(row.payload.len());
        let payload_end = i32::try_from(end).map_err(|_| OutOfRange)?;
        self.payloads.extend_from_slice(row.payload);
        self.rows.push(Row {
            key: *key,
            ts_mono: row.ts_mono,
            request_id: row.request_id,
            headers: row.headers.map(|text| self.texts.add(text)),
            url: row.url.map(|text| self.texts.add(text)),
            payload_end,
            status: row.status,
            kind: row.kind as i8,
        });
        Ok(())
    }
}

/// Bytes reserved for URLs and headers: frames have none.
const USUAL_TEXTS: usize = 64 << 10;

impl Rows for Raw {
    const TABLE: Table = Table::Raw;

    fn reserve(limits: &BatchLimits) -> Self {
        Self {
            rows: Vec::with_capacity(row_capacity::<Row>(limits)),
            texts: Arena::reserve(USUAL_TEXTS),
            payloads: Vec::with_capacity(limits.max_bytes),
        }
    }

    #[inline]
    fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>() + self.texts.len() + self.payloads.len()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let mut keys = KeyColumns::new(n, context);
        let mut ts_mono = Plain::new(n);
        let mut kind = Plain::new(n);
        let mut request_id = Nullable::new(n);
        let mut status = Nullable::new(n);
        let mut ends = Plain::new(n + 1);
        ends.extend(&[0], |zero| *zero);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            ts_mono.extend(block, |r| r.ts_mono);
            kind.extend(block, |r| r.kind);
            request_id.extend(block, |r| r.request_id);
            status.extend(block, |r| r.status);
            ends.extend(block, |r| r.payload_end);
        }
        let headers = self.texts.nullable_column(&self.rows, |r| r.headers);
        let url = self.texts.nullable_column(&self.rows, |r| r.url);
        self.rows.clear();
        self.texts.clear();

        let ends = OffsetBuffer::new(ScalarBuffer::from(ends.into_vec()));
        let payload = BinaryArray::new(ends, Buffer::from_vec(take_values(&mut self.payloads)), None);
        let mut columns = keys.finish();
        columns.extend([
            ts_mono.array(),
            kind.words(&context.words.input_kind),
            request_id.array(),
            status.array(),
            headers,
            url,
            Arc::new(payload),
        ]);
        columns
    }
}

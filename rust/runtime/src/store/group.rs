//! A row group: rows that wait until it is full, then stand by symbol.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;

/// Pieces up to this many rows are put together while they wait: a live batch may have three rows, and its columns weigh
/// more than they hold.
const MERGED_ROWS: usize = 8192;

#[derive(Default)]
pub(super) struct Group {
    pieces: Vec<RecordBatch>,
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Group {
    /// Takes rows of this many bytes. A row is copied a logarithmic number of times at most, as each merge doubles the
    /// smaller piece.
    pub(super) fn push(&mut self, piece: RecordBatch, bytes: usize, schema: &SchemaRef) -> Result<(), ArrowError> {
        self.rows += piece.num_rows();
        self.bytes += bytes;
        self.pieces.push(piece);
        while let [.., a, b] = self.pieces.as_slice() {
            let (before, last) = (a.num_rows(), b.num_rows());
            if before >= 2 * last || before + last > MERGED_ROWS {
                break;
            }
            let merged = concat_batches(schema, [a, b])?;
            self.pieces.truncate(self.pieces.len() - 2);
            self.pieces.push(merged);
        }
        Ok(())
    }

    /// All rows, by symbol, each symbol's in the order they came.
    pub(super) fn take(&mut self, schema: &SchemaRef, symbol: usize) -> Result<RecordBatch, ArrowError> {
        let rows = concat_batches(schema, &std::mem::take(self).pieces)?;
        match by_symbol(&rows, symbol) {
            Some(order) => take_record_batch(&rows, &order),
            None => Ok(rows),
        }
    }
}

/// The order of rows that puts each symbol's together; `None` where they are.
fn by_symbol(rows: &RecordBatch, symbol: usize) -> Option<UInt32Array> {
    let texts = rows.column(symbol).as_string::<i32>();
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut of_row: Vec<u32> = Vec::with_capacity(rows.num_rows());
    let mut last = None;
    for row in 0..rows.num_rows() {
        let text = texts.value(row);
        let number = match last {
            Some((same, number)) if same == text => number,
            _ => {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                *numbers.entry(text).or_insert(next)
            }
        };
        last = Some((text, number));
        of_row.push(number);
    }
    if numbers.len() < 2 {
        return None;
    }
    let mut sorted: Vec<(&str, u32)> = numbers.into_iter().collect();
    sorted.sort_unstable();
    let mut rank = vec![0_u32; sorted.len()];
    for (place, (_, number)) in (0_u32..).zip(&sorted) {
        rank[*number as usize] = place;
    }
    let mut order: Vec<u32> = (0_u32..).take(rows.num_rows()).collect();
    order.sort_by_key(|row| rank[of_row[*row as usize] as usize]);
    Some(order.into())
}

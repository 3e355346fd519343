//! One open batch: rows in, a closed batch out when it is full.

use std::collections::VecDeque;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use crate::config::BatchLimits;
use crate::table::Table;

use super::column::Words;
use super::symbols::Symbols;
use super::{Batch, BatchConfig, schema};

/// What closing needs beside the rows.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) symbols: Symbols,
    pub(super) words: Words,
}

/// The rows of one table while their batch is open.
pub(super) trait Rows {
    /// The table.
    const TABLE: Table;

    /// Reserves what a batch of these limits needs.
    fn reserve(limits: &BatchLimits) -> Self;

    /// How many there are.
    fn len(&self) -> usize;

    /// Bytes they take here; close to what their columns will take.
    fn bytes(&self) -> usize;

    /// The columns of all rows, in the order of the schema. No row is left; the reserved room is.
    fn take(&mut self, context: &Context) -> Vec<ArrayRef>;
}

/// How many rows of this type a batch holds at most, so that they can be reserved.
pub(super) fn row_capacity<R>(limits: &BatchLimits) -> usize {
    limits.max_rows.min(limits.max_bytes / size_of::<R>() + 1)
}

/// An open batch of one table.
#[derive(Debug)]
pub(super) struct Open<R> {
    rows: R,
    schema: SchemaRef,
    max_rows: usize,
    max_bytes: usize,
}

impl<R: Rows> Open<R> {
    pub(super) fn if_wanted(config: &BatchConfig) -> Option<Self> {
        config.tables.contains(&R::TABLE).then(|| Self {
            rows: R::reserve(&config.limits),
            schema: schema(R::TABLE, config.numeric, config.size_unit),
            max_rows: config.limits.max_rows,
            max_bytes: config.limits.max_bytes,
        })
    }

    /// Appends by `push`, which writes a whole row or nothing, and closes the batch if that filled it.
    #[inline]
    pub(super) fn append<E>(
        &mut self,
        context: &Context,
        closed: &mut VecDeque<Batch>,
        push: impl FnOnce(&mut R) -> Result<(), E>,
    ) -> Result<(), E> {
        push(&mut self.rows)?;
        if self.rows.len() >= self.max_rows || self.rows.bytes() >= self.max_bytes {
            self.close(context, closed);
        }
        Ok(())
    }

    #[cold]
    pub(super) fn close(&mut self, context: &Context, closed: &mut VecDeque<Batch>) {
        if self.rows.len() == 0 {
            return;
        }
        let columns = self.rows.take(context);
        let rows = RecordBatch::try_new(self.schema.clone(), columns)
            .expect("columns are built from the same rows, in the schema's order and types");
        closed.push_back(Batch { table: R::TABLE, rows });
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

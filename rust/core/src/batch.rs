//! Rows into Arrow record batches.

use arrow_array::RecordBatch;

use crate::table::Table;

/// A closed batch of one table: immutable, owned by whoever holds it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The table it belongs to.
    pub table: Table,
    /// The rows. The schema's metadata carries `xtrader.table`, `xtrader.schema_version`, `xtrader.numeric` and
    /// `xtrader.size_unit`.
    pub rows: RecordBatch,
}

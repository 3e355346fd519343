//! Batches as Parquet: `DIR/<table>/exchange=<id>/date=<UTC day of ts_recv>/part-00000.parquet`, …
//!
//! `exchange` and `date` stand in the path only, where pyarrow, Polars and DuckDB find them as hive partitions. Within a
//! row group the rows of one symbol are contiguous; within a symbol, path order then row order is the order of the log.
//! A file with a final name is complete. The bytes depend on the rows alone, not on how they were cut into batches: row
//! groups and parts end by what their rows hold.

mod columns;
mod group;
mod layout;
mod part;
mod partition;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use xtrader_core::batch::Batch;
use xtrader_core::symbol::{Exchange, Venue};
use xtrader_core::table::Table;
use xtrader_core::time::NS_PER_DAY;

use crate::error::RuntimeError;
use partition::Partition;

/// Days of one table and exchange that are written at the same time. Two: around midnight an event that was held, or a
/// clock that was set back, still belongs to the day before.
const OPEN_DAYS: usize = 2;

/// What to do where a table has data already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// Refuse to begin (replay: the same rows would stand there twice).
    #[default]
    Refuse,
    /// Go on with the next free number (collect).
    Continue,
}

/// How a store writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreOptions {
    /// What to do where a table has data already.
    pub existing: Existing,
    /// Rows of a row group, at most.
    pub row_group_rows: usize,
    /// Bytes of a row group before encoding; the row that reaches them is its last. Memory: up to two days of each table
    /// are open, so 14 times this, and three times more for the one that is being encoded.
    pub row_group_bytes: usize,
    /// Bytes of a part; the row group that reaches them is its last.
    pub part_bytes: u64,
    /// Level of zstd, 1 … 22. 1 to 3 are worth their time.
    pub zstd_level: i32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            existing: Existing::default(),
            row_group_rows: 131_072,
            row_group_bytes: 16 << 20,
            part_bytes: 256 << 20,
            zstd_level: 1,
        }
    }
}

/// A part that is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredPart {
    /// Where it is.
    pub path: PathBuf,
    /// Of which table.
    pub table: Table,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// Writes batches of any tables to one folder, which is locked meanwhile. Drop without [`Self::finish`] leaves the parts
/// that are complete and nothing else.
pub struct ParquetStore {
    root: PathBuf,
    options: StoreOptions,
    tables: Vec<TableStore>,
    parts: Vec<StoredPart>,
    failed: bool,
    _lock: File,
}

/// One table: its schema, and the partitions that are being written, the one used last at the end.
struct TableStore {
    table: Table,
    schema: Option<Schemas>,
    open: Vec<(Key, Partition)>,
}

/// The schema of the batches, and that of the files.
struct Schemas {
    batch: SchemaRef,
    file: SchemaRef,
    columns: columns::Columns,
}

/// What a path says of the rows in it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    exchange: &'static str,
    /// Days since 1970-01-01.
    day: i64,
}

impl ParquetStore {
    /// Locks the folder, creating it where it is missing, and looks whether it may be written to.
    ///
    /// # Errors
    /// One of `tables` is there already ([`Existing::Refuse`]), another writer has the folder, the options make no sense,
    /// or the system refuses.
    pub fn create(root: &Path, tables: &[Table], options: StoreOptions) -> Result<Self, RuntimeError> {
        options.check()?;
        fs::create_dir_all(root).map_err(RuntimeError::io(root, "create it"))?;
        let lock = layout::lock(root)?;
        if options.existing == Existing::Refuse {
            for table in tables {
                let folder = layout::table(root, *table);
                if layout::any_part(&folder)?.is_some() {
                    return Err(RuntimeError::Exists { path: folder, table: table.name() });
                }
            }
        }
        let tables = tables.iter().map(|table| TableStore { table: *table, schema: None, open: Vec::new() }).collect();
        Ok(Self { root: root.to_owned(), options, tables, parts: Vec::new(), failed: false, _lock: lock })
    }

    /// Takes a batch. Row groups that are full go to their file.
    ///
    /// # Errors
    /// The system refuses, or the batch is not of a table of this store. The rows of that partition since its last part
    /// are lost then, and nothing more is taken.
    pub fn write(&mut self, batch: &Batch) -> Result<(), RuntimeError> {
        if self.failed {
            return Err(RuntimeError::Incomplete { path: self.root.clone() });
        }
        let store = self.tables.iter_mut().find(|store| store.table == batch.table);
        let store = store.ok_or_else(|| misfit(batch.table, "is not among the tables of this store".to_owned()))?;
        let result = store.write(&self.root, &self.options, &batch.rows, &mut self.parts);
        self.failed = result.is_err();
        result
    }

    /// Bytes of rows that wait for their row group to be full.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.tables.iter().flat_map(|store| &store.open).map(|(_, partition)| partition.buffered_bytes()).sum()
    }

    /// Parts that are complete so far, in the order they were.
    #[must_use]
    pub fn parts(&self) -> &[StoredPart] {
        &self.parts
    }

    /// Writes what is left and completes every part.
    ///
    /// # Errors
    /// The system refuses, or an earlier [`Self::write`] failed. Parts that can be completed are.
    pub fn finish(mut self) -> Result<Vec<StoredPart>, RuntimeError> {
        let mut result = if self.failed { Err(RuntimeError::Incomplete { path: self.root.clone() }) } else { Ok(()) };
        for store in &mut self.tables {
            let Some(schemas) = &store.schema else { continue };
            for (_, partition) in store.open.drain(..) {
                result = result.and(partition.finish(schemas, &self.options, &mut self.parts));
            }
        }
        result.map(|()| self.parts)
    }
}

impl StoreOptions {
    fn check(&self) -> Result<(), RuntimeError> {
        let bounds = [
            ("row_group_rows", self.row_group_rows as u64, 1, 1 << 20),
            ("row_group_bytes", self.row_group_bytes as u64, 1, 128 << 20),
            ("part_bytes", self.part_bytes, 1, 1 << 40),
            ("zstd_level", u64::try_from(self.zstd_level).unwrap_or(0), 1, 22),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                let text = format!("store: {name} = {value} is out of bounds, it takes {least} … {most}");
                return Err(RuntimeError::Options(text));
            }
        }
        Ok(())
    }
}

impl TableStore {
    fn write(
        &mut self,
        root: &Path,
        options: &StoreOptions,
        batch: &RecordBatch,
        parts: &mut Vec<StoredPart>,
    ) -> Result<(), RuntimeError> {
        self.learn_schema(root, options, batch)?;
        let Some(schemas) = &self.schema else { return Ok(()) };
        let keys = Keys::new(self.table, batch)?;
        let rows = schemas.columns.without_exchange(batch);
        let rows = rows.map_err(|error| misfit(self.table, error.to_string()))?;
        let mut start = 0;
        while start < batch.num_rows() {
            let key = keys.get(start)?;
            let end = (start + 1..batch.num_rows()).find(|row| !keys.same(start, *row)).unwrap_or(batch.num_rows());
            match self.open.iter().position(|(open, _)| *open == key) {
                Some(at) => self.open[at..].rotate_left(1),
                None => {
                    let same = |(_, (open, _)): &(usize, &(Key, Partition))| open.exchange == key.exchange;
                    let days = self.open.iter().enumerate().filter(same).count();
                    let oldest = self.open.iter().enumerate().find(same).map(|(at, _)| at);
                    if let Some(at) = oldest.filter(|_| days >= OPEN_DAYS) {
                        self.open.remove(at).1.finish(schemas, options, parts)?;
                    }
                    let folder = layout::partition(root, self.table, key.exchange, key.day);
                    self.open.push((key, Partition::new(self.table, root, folder)));
                }
            }
            if let Some((_, partition)) = self.open.last_mut() {
                let taken = partition.push(rows.slice(start, end - start), schemas, options, parts);
                if taken.is_err() {
                    self.open.pop();
                    return taken;
                }
            }
            start = end;
        }
        Ok(())
    }

    /// One table has one schema, also with what an earlier run has left.
    fn learn_schema(&mut self, root: &Path, options: &StoreOptions, batch: &RecordBatch) -> Result<(), RuntimeError> {
        if let Some(schemas) = &self.schema {
            if schemas.batch != batch.schema() {
                return Err(misfit(self.table, "a batch has another schema than the one before".to_owned()));
            }
            return Ok(());
        }
        let (columns, file) = columns::Columns::new(&batch.schema()).map_err(|problem| misfit(self.table, problem))?;
        let folder = layout::table(root, self.table);
        let existing = if options.existing == Existing::Continue { layout::any_part(&folder)? } else { None };
        if let Some(path) = existing
            && *part::schema(&path)? != *file
        {
            return Err(RuntimeError::Options(format!(
                "{}: table {} was written with another schema (numeric, size_unit or version); \
                 name another folder, or the same settings",
                folder.display(),
                self.table.name()
            )));
        }
        self.schema = Some(Schemas { batch: batch.schema(), file, columns });
        Ok(())
    }
}

/// The columns that decide on the path.
struct Keys<'a> {
    table: Table,
    times: &'a [i64],
    keys: &'a [i8],
    /// By key of the dictionary.
    exchanges: Vec<Option<&'static str>>,
}

impl<'a> Keys<'a> {
    fn new(table: Table, batch: &'a RecordBatch) -> Result<Self, RuntimeError> {
        let column = |name: &str| batch.column_by_name(name).filter(|column| column.null_count() == 0);
        let times = column("ts_recv").and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        let exchange = column("exchange").and_then(|column| column.as_dictionary_opt::<Int8Type>());
        let words = exchange.and_then(|column| column.values().as_string_opt::<i32>());
        let (Some(times), Some(exchange), Some(words)) = (times, exchange, words) else {
            return Err(misfit(table, "ts_recv or exchange is missing or not of its type".to_owned()));
        };
        // Only our own words ever become names of folders.
        let own = |word: &str| {
            let venues = Venue::ALL.into_iter().map(Venue::id);
            Exchange::DICTIONARY.into_iter().chain(venues).find(|id| *id == word)
        };
        let exchanges = words.iter().map(|word| own(word.unwrap_or_default())).collect();
        Ok(Self { table, times: times.values(), keys: exchange.keys().values(), exchanges })
    }

    fn get(&self, row: usize) -> Result<Key, RuntimeError> {
        let index = usize::try_from(self.keys[row]).unwrap_or(usize::MAX);
        let exchange = self.exchanges.get(index).copied().flatten();
        let exchange = exchange.ok_or_else(|| misfit(self.table, format!("row {row} is of no exchange known here")))?;
        Ok(Key { exchange, day: day(self.times[row]) })
    }

    fn same(&self, a: usize, b: usize) -> bool {
        self.keys[a] == self.keys[b] && day(self.times[a]) == day(self.times[b])
    }
}

fn day(ns: i64) -> i64 {
    ns.div_euclid(NS_PER_DAY)
}

fn misfit(table: Table, problem: String) -> RuntimeError {
    RuntimeError::Batch { table: table.name(), problem }
}

//! Reads our own table `raw`: the inputs of an engine, exactly as it took them.

mod files;

#[cfg(test)]
pub(crate) mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int8Type, Int64Type, TimestampNanosecondType, UInt16Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, DictionaryArray, PrimitiveArray, RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use xtrader_core::symbol::ConnId;
use xtrader_core::table::InputKind;
use xtrader_core::time::Stamp;

use crate::error::RuntimeError;

pub use files::is_raw;

/// Rows decoded at a time. Payloads are small but for snapshots, so this bounds memory to some MiB.
const ROWS: usize = 1024;

const REMEDY: &str = "replay the whole of what one `collect` wrote, its files in order";

/// One input of an engine, borrowed from the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRow<'a> {
    /// When it was taken.
    pub at: Stamp,
    /// The engine's shard.
    pub shard: u16,
    /// The engine's number of the input.
    pub msg_id: i64,
    /// What it is.
    pub kind: InputKind,
    /// Which connection; 0 is none.
    pub conn: ConnId,
    /// The request that a reply answers.
    pub request: Option<u64>,
    /// HTTP status of a reply.
    pub status: Option<u16>,
    /// What the engine kept beside the payload: [`xtrader_core::engine::Headers`].
    pub headers: Option<&'a str>,
    /// URL of a connection or a reply.
    pub url: Option<&'a str>,
    /// Frame, body, or JSON of what happened.
    pub payload: &'a [u8],
}

/// Reads `raw` in path order, then row order. A missing or repeated row between two of one engine is an error: what
/// follows it could not give the rows that were.
pub struct RawReader {
    files: std::vec::IntoIter<(PathBuf, u64)>,
    open: Option<OpenFile>,
    path: PathBuf,
    batch: Option<Columns>,
    at: usize,
    row: u64,
    last: Option<(u16, i64)>,
    done: u64,
    total: u64,
}

struct OpenFile {
    rows: ParquetRecordBatchReader,
    bytes: u64,
    count: u64,
}

impl RawReader {
    /// Opens a file, the folder of the table or the folder that holds it.
    ///
    /// # Errors
    /// A path that is not there, cannot be read, or holds no `raw` table.
    pub fn open(paths: &[PathBuf]) -> Result<Self, RuntimeError> {
        let files = files::expand(paths)?;
        let total = files.iter().map(|(_, bytes)| bytes).sum();
        Ok(Self {
            files: files.into_iter(),
            open: None,
            path: PathBuf::new(),
            batch: None,
            at: 0,
            row: 0,
            last: None,
            done: 0,
            total,
        })
    }

    /// Goes to the next row; `false` at the end of the last file.
    ///
    /// # Errors
    /// A file that cannot be read or is no `raw` table, or a row that is missing.
    pub fn advance(&mut self) -> Result<bool, RuntimeError> {
        self.at += 1;
        while self.batch.as_ref().is_none_or(|batch| self.at >= batch.rows) {
            if !self.load()? {
                return Ok(false);
            }
        }
        self.row += 1;
        self.check_order()?;
        Ok(true)
    }

    /// The row that [`Self::advance`] went to.
    ///
    /// # Errors
    /// A kind of input that this build does not know.
    pub fn row(&self) -> Result<RawRow<'_>, RuntimeError> {
        let Some(batch) = &self.batch else { return Err(self.misfit("there is no row here".to_owned())) };
        batch
            .get(self.at)
            .ok_or_else(|| self.misfit(format!("input kind {:?} is not known to this build", batch.kind_text(self.at))))
    }

    /// Bytes of the files that are behind us, to about a row group.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        let here = self.open.as_ref().map_or(0, |open| {
            let part = u128::from(open.bytes) * u128::from(self.row) / u128::from(open.count.max(1));
            u64::try_from(part).unwrap_or(u64::MAX)
        });
        self.done + here
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.total
    }

    /// An error about the current row.
    pub(crate) fn misfit(&self, problem: String) -> RuntimeError {
        RuntimeError::Recording { path: self.path.clone(), unit: "row", at: self.row, problem, remedy: REMEDY }
    }

    /// The next batch of rows, from the next file where this one is at its end; `false` after the last.
    fn load(&mut self) -> Result<bool, RuntimeError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some((path, bytes)) = self.files.next() else {
                    self.batch = None;
                    return Ok(false);
                };
                self.open = Some(OpenFile::open(&path, bytes)?);
                self.path = path;
                self.row = 0;
                continue;
            };
            let Some(batch) = open.rows.next() else {
                self.done += open.bytes;
                self.open = None;
                continue;
            };
            let batch = batch.map_err(|error| RuntimeError::parquet(&self.path)(error.into()))?;
            self.batch = Some(Columns::new(&batch).map_err(|column| not_raw(&self.path, column))?);
            self.at = 0;
            return Ok(true);
        }
    }

    /// Rows of one engine are dense; `start` begins another.
    fn check_order(&mut self) -> Result<(), RuntimeError> {
        let Some(batch) = &self.batch else { return Ok(()) };
        let (shard, id) = (batch.shard.value(self.at), batch.msg_id.value(self.at));
        if batch.kind_text(self.at) != InputKind::Start.name() {
            let problem = match self.last {
                None => Some("the recording does not begin with a `start` row".to_owned()),
                Some((last, _)) if last != shard => {
                    Some(format!("shards {last} and {shard} are mixed, and each has its own engine"))
                }
                Some((_, last)) if last.checked_add(1) != Some(id) => {
                    Some(format!("msg_id {id} follows {last}: inputs are missing or out of order"))
                }
                Some(_) => None,
            };
            if let Some(problem) = problem {
                return Err(self.misfit(problem));
            }
        }
        self.last = Some((shard, id));
        Ok(())
    }
}

impl OpenFile {
    fn open(path: &Path, bytes: u64) -> Result<Self, RuntimeError> {
        let file = File::open(path).map_err(RuntimeError::io(path, "open it"))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(RuntimeError::parquet(path))?;
        let wanted = ProjectionMask::columns(builder.parquet_schema(), Columns::NAMES);
        let count = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let rows =
            builder.with_projection(wanted).with_batch_size(ROWS).build().map_err(RuntimeError::parquet(path))?;
        Ok(Self { rows, bytes, count })
    }
}

fn not_raw(path: &Path, column: &str) -> RuntimeError {
    RuntimeError::Recording {
        path: path.to_owned(),
        unit: "row",
        at: 0,
        problem: format!("column {column} is missing or of another type: this is no `raw` table of this version"),
        remedy: "name the folder that `collect` wrote with table raw",
    }
}

/// The columns of one batch, typed.
struct Columns {
    rows: usize,
    ts_recv: PrimitiveArray<TimestampNanosecondType>,
    shard: PrimitiveArray<UInt16Type>,
    msg_id: PrimitiveArray<Int64Type>,
    conn_id: PrimitiveArray<UInt16Type>,
    ts_mono: PrimitiveArray<UInt64Type>,
    kind: DictionaryArray<Int8Type>,
    kinds: StringArray,
    request_id: PrimitiveArray<UInt64Type>,
    status: PrimitiveArray<UInt16Type>,
    headers: StringArray,
    url: StringArray,
    payload: BinaryArray,
}

impl Columns {
    const NAMES: [&'static str; 11] = [
        "ts_recv",
        "shard",
        "msg_id",
        "conn_id",
        "ts_mono",
        "kind",
        "request_id",
        "status",
        "headers",
        "url",
        "payload",
    ];

    /// The name of the first column that is not as it should be is the error.
    fn new(batch: &RecordBatch) -> Result<Self, &'static str> {
        let kind = column(batch, "kind")?.as_dictionary_opt::<Int8Type>().ok_or("kind")?;
        Ok(Self {
            rows: batch.num_rows(),
            ts_recv: numbers(batch, "ts_recv")?,
            shard: numbers(batch, "shard")?,
            msg_id: numbers(batch, "msg_id")?,
            conn_id: numbers(batch, "conn_id")?,
            ts_mono: numbers(batch, "ts_mono")?,
            kind: kind.clone(),
            kinds: kind.values().as_string_opt().ok_or("kind")?.clone(),
            request_id: numbers(batch, "request_id")?,
            status: numbers(batch, "status")?,
            headers: column(batch, "headers")?.as_string_opt().ok_or("headers")?.clone(),
            url: column(batch, "url")?.as_string_opt().ok_or("url")?.clone(),
            payload: column(batch, "payload")?.as_binary_opt().ok_or("payload")?.clone(),
        })
    }

    fn kind_text(&self, row: usize) -> &str {
        self.kind.key(row).filter(|key| *key < self.kinds.len()).map_or("", |key| self.kinds.value(key))
    }

    fn get(&self, row: usize) -> Option<RawRow<'_>> {
        Some(RawRow {
            at: Stamp { wall: self.ts_recv.value(row), mono: self.ts_mono.value(row) },
            shard: self.shard.value(row),
            msg_id: self.msg_id.value(row),
            kind: input_kind(self.kind_text(row))?,
            conn: ConnId(self.conn_id.value(row)),
            request: self.request_id.is_valid(row).then(|| self.request_id.value(row)),
            status: self.status.is_valid(row).then(|| self.status.value(row)),
            headers: self.headers.is_valid(row).then(|| self.headers.value(row)),
            url: self.url.is_valid(row).then(|| self.url.value(row)),
            payload: self.payload.value(row),
        })
    }
}

fn input_kind(text: &str) -> Option<InputKind> {
    const ALL: [InputKind; 8] = [
        InputKind::Start,
        InputKind::Checkpoint,
        InputKind::ConnUp,
        InputKind::ConnDown,
        InputKind::Frame,
        InputKind::Http,
        InputKind::Command,
        InputKind::Timeout,
    ];
    ALL.into_iter().find(|kind| kind.name() == text)
}

fn column<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a ArrayRef, &'static str> {
    batch.column_by_name(name).ok_or(name)
}

fn numbers<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &'static str) -> Result<PrimitiveArray<T>, &'static str> {
    column(batch, name)?.as_primitive_opt::<T>().cloned().ok_or(name)
}

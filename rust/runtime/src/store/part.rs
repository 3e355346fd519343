//! One file: written under a temporary name, complete when it has its final one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xtrader_core::table::Table;

use super::{StoredPart, columns, layout};
use crate::error::RuntimeError;

pub(super) struct Part {
    path: PathBuf,
    temporary: Temporary,
    writer: ArrowWriter<File>,
    rows: u64,
}

/// A file that goes unless it is published.
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It may be gone with its disk; there is nobody left to tell.
            let _ = fs::remove_file(path);
        }
    }
}

impl Part {
    /// Begins the part behind the last one of a folder.
    pub(super) fn create(folder: &Path, schema: &SchemaRef, zstd_level: i32) -> Result<Self, RuntimeError> {
        fs::create_dir_all(folder).map_err(RuntimeError::io(folder, "create it"))?;
        let path = layout::part(folder, layout::next_number(folder)?);
        let temporary = layout::temporary(&path);
        let properties = columns::properties(schema, zstd_level).map_err(RuntimeError::parquet(&path))?;
        let file = File::create(&temporary).map_err(RuntimeError::io(&temporary, "create it"))?;
        let temporary = Temporary(Some(temporary));
        let writer = ArrowWriter::try_new(file, SchemaRef::clone(schema), Some(properties))
            .map_err(RuntimeError::parquet(&path))?;
        Ok(Self { path, temporary, writer, rows: 0 })
    }

    /// Writes one row group and returns the bytes of the file so far.
    pub(super) fn write_group(&mut self, rows: &RecordBatch) -> Result<u64, RuntimeError> {
        self.writer.write(rows).and_then(|()| self.writer.flush()).map_err(RuntimeError::parquet(&self.path))?;
        self.rows += rows.num_rows() as u64;
        Ok(self.writer.bytes_written() as u64)
    }

    /// Footer, sync, rename, sync of the folders: whoever sees the final name sees the whole file, also after power loss.
    pub(super) fn publish(mut self, table: Table, root: &Path) -> Result<StoredPart, RuntimeError> {
        let Self { path, writer, rows, .. } = self;
        let file = writer.into_inner().map_err(RuntimeError::parquet(&path))?;
        file.sync_all().map_err(RuntimeError::io(&path, "sync it"))?;
        let bytes = file.metadata().map_err(RuntimeError::io(&path, "look at it"))?.len();
        if let Some(temporary) = &self.temporary.0 {
            fs::rename(temporary, &path).map_err(RuntimeError::io(&path, "give a part its name"))?;
            self.temporary.0 = None;
        }
        layout::sync(path.parent().unwrap_or(root), root)?;
        Ok(StoredPart { path, table, rows, bytes })
    }
}

/// The Arrow schema of a part that is there.
pub(super) fn schema(path: &Path) -> Result<SchemaRef, RuntimeError> {
    let file = File::open(path).map_err(RuntimeError::io(path, "open it"))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(RuntimeError::parquet(path))?;
    Ok(SchemaRef::clone(builder.schema()))
}

//! One folder `…/date=…`: rows in, parts out.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use xtrader_core::table::Table;

use super::group::Group;
use super::part::Part;
use super::{Schemas, StoreOptions, StoredPart, misfit};
use crate::error::RuntimeError;

pub(super) struct Partition {
    table: Table,
    root: PathBuf,
    folder: PathBuf,
    group: Group,
    part: Option<Part>,
}

impl Partition {
    pub(super) fn new(table: Table, root: &Path, folder: PathBuf) -> Self {
        Self { table, root: root.to_owned(), folder, group: Group::default(), part: None }
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.group.bytes
    }

    /// Takes rows, and writes every row group that they fill. Where one ends is judged row by row.
    pub(super) fn push(
        &mut self,
        rows: RecordBatch,
        schemas: &Schemas,
        options: &StoreOptions,
        parts: &mut Vec<StoredPart>,
    ) -> Result<(), RuntimeError> {
        let (mut start, mut bytes) = (0, 0);
        for (row, weight) in schemas.columns.row_bytes(&rows).into_iter().enumerate() {
            let end = row + 1;
            bytes += weight;
            let full_rows = self.group.rows + (end - start) >= options.row_group_rows;
            let full = full_rows || self.group.bytes + bytes >= options.row_group_bytes;
            if full || end == rows.num_rows() {
                let piece = rows.slice(start, end - start);
                self.group.push(piece, bytes, &schemas.file).map_err(|error| self.misfit(&error))?;
                (start, bytes) = (end, 0);
            }
            if full {
                self.write_group(schemas, options, parts)?;
            }
        }
        Ok(())
    }

    /// Writes what is left and completes the part.
    pub(super) fn finish(
        mut self,
        schemas: &Schemas,
        options: &StoreOptions,
        parts: &mut Vec<StoredPart>,
    ) -> Result<(), RuntimeError> {
        if self.group.rows > 0 {
            self.write_group(schemas, options, parts)?;
        }
        if let Some(part) = self.part.take() {
            parts.push(part.publish(self.table, &self.root)?);
        }
        Ok(())
    }

    fn write_group(
        &mut self,
        schemas: &Schemas,
        options: &StoreOptions,
        parts: &mut Vec<StoredPart>,
    ) -> Result<(), RuntimeError> {
        let rows = self.group.take(&schemas.file, schemas.columns.symbol).map_err(|error| self.misfit(&error))?;
        let part = match &mut self.part {
            Some(part) => part,
            none => none.insert(Part::create(&self.folder, &schemas.file, options.zstd_level)?),
        };
        if part.write_group(&rows)? >= options.part_bytes
            && let Some(part) = self.part.take()
        {
            parts.push(part.publish(self.table, &self.root)?);
        }
        Ok(())
    }

    fn misfit(&self, error: &ArrowError) -> RuntimeError {
        misfit(self.table, error.to_string())
    }
}

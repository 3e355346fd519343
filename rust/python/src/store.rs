//! Batches into Parquet files.

use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use xtrader_core::config::parse_table;
use xtrader_core::table::Table;
use xtrader_runtime::store::{self, Existing, StoreOptions, StoredPart};

use crate::batch::Batch;
use crate::convert::locked;
use crate::errors;

/// A folder of Parquet files, locked while this writes to it.
#[pyclass(frozen, module = "xtrader", name = "ParquetStore")]
pub struct ParquetStore {
    root: PathBuf,
    /// `None` when it is finished.
    store: Mutex<Option<store::ParquetStore>>,
}

#[pymethods]
impl ParquetStore {
    /// Locks the folder and looks whether it may be written to.
    #[new]
    #[pyo3(signature = (root, tables, *, append=false))]
    fn new(py: Python<'_>, root: PathBuf, tables: Vec<String>, append: bool) -> PyResult<Self> {
        let tables: Result<Vec<Table>, _> = tables.iter().map(|name| parse_table(name)).collect();
        let tables = tables.map_err(|error| errors::config(py, error.to_string()))?;
        let existing = if append { Existing::Continue } else { Existing::Refuse };
        let options = StoreOptions { existing, ..StoreOptions::default() };
        let store = py.detach(|| store::ParquetStore::create(&root, &tables, options));
        let store = store.map_err(|error| errors::store(py, &error))?;
        Ok(Self { root, store: Mutex::new(Some(store)) })
    }

    /// Takes a batch.
    fn write(&self, py: Python<'_>, batch: &Bound<'_, Batch>) -> PyResult<()> {
        let batch = &batch.get().0;
        match py.detach(|| locked(&self.store).as_mut().map(|store| store.write(batch))) {
            Some(written) => written.map_err(|error| errors::store(py, &error)),
            None => Err(errors::stored(py, format!("{}: the store is finished; open it again", self.root.display()))),
        }
    }

    /// Completes every file: path, table, rows and bytes of each. A second time there is nothing left to do.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let parts = py.detach(|| locked(&self.store).take().map_or(Ok(Vec::new()), store::ParquetStore::finish));
        parts.map_err(|error| errors::store(py, &error))?.iter().map(|part| file(py, part)).collect()
    }
}

fn file<'py>(py: Python<'py>, part: &StoredPart) -> PyResult<Bound<'py, PyDict>> {
    let file = PyDict::new(py);
    file.set_item("path", part.path.display().to_string())?;
    file.set_item("table", part.table.name())?;
    file.set_item("rows", part.rows)?;
    file.set_item("bytes", part.bytes)?;
    Ok(file)
}

//! What there is by name: exchanges, streams, tables, and what these look like before there is a batch.

use arrow_schema::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;
use serde::de::DeserializeOwned;
use xtrader_core::config::{ConfigError, Stream, parse_table};
use xtrader_core::exchange::offer;
use xtrader_core::table::Table;

use crate::{convert, errors};

/// Columns of one table.
#[pyclass(frozen, module = "xtrader", name = "Schema")]
pub struct Schema(SchemaRef);

#[pymethods]
impl Schema {
    #[getter]
    fn names(&self) -> Vec<String> {
        self.0.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.0.as_ref())
    }

    fn __repr__(&self) -> String {
        let metadata = |key: &str| self.0.metadata().get(key).map_or("", String::as_str).to_owned();
        format!("<xtrader.Schema {}: {} columns>", metadata("xtrader.table"), self.0.fields().len())
    }
}

/// Names of the tables.
#[pyfunction]
pub fn tables() -> Vec<&'static str> {
    Table::ALL.map(Table::name).into()
}

/// Names of the streams. Not every exchange offers each.
#[pyfunction]
pub fn streams() -> Vec<&'static str> {
    Stream::ALL.map(Stream::name).into()
}

/// What each market offers.
#[pyfunction]
pub fn exchanges(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    convert::serialized(py, &offer::catalogue())
}

/// The schema of a table.
#[pyfunction]
#[pyo3(signature = (table, *, numeric="float", size_unit="base"))]
pub fn schema(py: Python<'_>, table: &str, numeric: &str, size_unit: &str) -> PyResult<Schema> {
    let schema = || {
        let table = parse_table(table)?;
        Ok(Schema(xtrader_core::batch::schema(table, word("numeric", numeric)?, word("size_unit", size_unit)?)))
    };
    schema().map_err(|error: ConfigError| errors::config(py, error.to_string()))
}

/// A word of a closed set.
fn word<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, ConfigError> {
    serde_json::from_value(text.into()).map_err(|error| ConfigError::Shape(format!("{key}: {error}")))
}

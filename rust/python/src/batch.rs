//! One closed batch, as Python holds it.

use std::sync::Arc;

use arrow_array::{ArrayRef, StructArray};
use arrow_schema::{DataType, Field, FieldRef};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyTuple};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_array_pycapsules, to_schema_pycapsule, to_stream_pycapsule};

use crate::errors;

/// A closed batch of one table. Immutable; whoever reads it through the Arrow interface shares its buffers.
#[pyclass(frozen, module = "xtrader", name = "Batch")]
pub struct Batch(pub xtrader_core::batch::Batch);

impl Batch {
    /// The rows as the Arrow interface wants them: one struct array, whose field carries the schema's metadata.
    fn as_struct(&self) -> (FieldRef, StructArray) {
        let schema = self.0.rows.schema();
        let field =
            Field::new("", DataType::Struct(schema.fields().clone()), false).with_metadata(schema.metadata().clone());
        (Arc::new(field), StructArray::from(self.0.rows.clone()))
    }

    /// Hands the batch to `module.function`, or says which extra to install.
    fn read_by<'py>(slf: &Bound<'py, Self>, module: &str, function: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let module = py.import(module).map_err(|error| {
            if error.is_instance_of::<PyImportError>(py) { errors::missing(py, module, &error) } else { error }
        })?;
        module.getattr(function)?.call1((slf,))
    }
}

#[pymethods]
impl Batch {
    #[getter]
    fn table(&self) -> &'static str {
        self.0.table.name()
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.0.rows.num_rows()
    }

    #[getter]
    fn num_columns(&self) -> usize {
        self.0.rows.num_columns()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0.rows.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metadata = PyDict::new(py);
        for (key, value) in self.0.rows.schema().metadata() {
            metadata.set_item(key, value)?;
        }
        Ok(metadata)
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.0.rows.get_array_memory_size()
    }

    fn __len__(&self) -> usize {
        self.0.rows.num_rows()
    }

    fn __repr__(&self) -> String {
        format!("<xtrader.Batch {}: {} rows x {} columns>", self.table(), self.num_rows(), self.num_columns())
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.0.rows.schema().as_ref())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyTuple>> {
        let (field, rows) = self.as_struct();
        to_array_pycapsules(py, field, &rows, requested_schema)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let (field, rows) = self.as_struct();
        let chunks: Vec<ArrayRef> = vec![Arc::new(rows)];
        to_stream_pycapsule(py, Box::new(ArrayIterator::new(chunks.into_iter().map(Ok), field)), requested_schema)
    }

    fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::read_by(slf, "polars", "DataFrame")
    }

    fn to_pyarrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::read_by(slf, "pyarrow", "record_batch")
    }
}

//! Between the shells' values and Python's.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use xtrader_core::config::ConfigError;

use crate::errors;

/// Options as Python writes them: JSON of a validated model.
pub fn options<T: DeserializeOwned>(py: Python<'_>, json: &str) -> PyResult<T> {
    serde_json::from_str(json).map_err(|error| errors::config(py, ConfigError::Shape(error.to_string()).to_string()))
}

/// A report as plain Python objects.
pub fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    parsed(py, &value.to_string())
}

/// Anything that has a JSON form, as plain Python objects.
pub fn serialized<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(|error| PyValueError::new_err(error.to_string()))?;
    parsed(py, &text)
}

/// JSON as plain Python objects.
pub fn parsed<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (json,))
}

/// The value behind a lock. Take it detached: another thread may hold it while it waits for data. A panic elsewhere has
/// been reported there and leaves the value as it was.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

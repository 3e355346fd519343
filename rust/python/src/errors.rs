//! The one place where an error of the engine or of a shell becomes a Python exception.

use std::ffi::CString;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use xtrader_runtime::error::RuntimeError;
use xtrader_simulator::SimulatorError;

/// The classes live in `xtrader.errors`, where Python can give them several bases.
macro_rules! python_errors {
    ($($function:ident = $name:literal),+ $(,)?) => {
        $(
            #[doc = concat!("`xtrader.", $name, "` with this text.")]
            pub fn $function(py: Python<'_>, message: String) -> PyErr {
                static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
                match CLASS.import(py, "xtrader.errors", $name) {
                    Ok(class) => PyErr::from_type(class.clone(), (message,)),
                    Err(error) => error,
                }
            }
        )+
    };
}

python_errors! {
    config = "ConfigError",
    missing_package = "MissingPackageError",
    forked = "ForkedError",
    recording = "ReplayError",
    simulated = "SimulatorError",
    stored = "StoreError",
    stream = "StreamError",
}

/// An `xtrader.XTraderWarning`, as if of the line that asked for the next batch.
///
/// # Errors
/// The warning itself, where warnings are errors.
pub fn warn(py: Python<'_>, message: String) -> PyResult<()> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.import(py, "xtrader.errors", "XTraderWarning")?;
    // A text of the exchange has its control characters escaped.
    let message = CString::new(message).map_err(PyValueError::new_err)?;
    PyErr::warn(py, class, &message, 2)
}

/// An error of a replay.
pub fn replay(py: Python<'_>, error: &RuntimeError) -> PyErr {
    shell(py, error, recording)
}

/// An error of a live stream.
pub fn live(py: Python<'_>, error: &RuntimeError) -> PyErr {
    shell(py, error, stream)
}

/// An error of a store.
pub fn store(py: Python<'_>, error: &RuntimeError) -> PyErr {
    shell(py, error, stored)
}

/// What the caller can change is a configuration error, wherever it comes up; the rest has the class of its place.
fn shell(py: Python<'_>, error: &RuntimeError, of_place: fn(Python<'_>, String) -> PyErr) -> PyErr {
    let raised = match error {
        RuntimeError::Config(_)
        | RuntimeError::Options(_)
        | RuntimeError::UnknownExchange { .. }
        | RuntimeError::UnsupportedExchange { .. } => config(py, error.to_string()),
        RuntimeError::Forked { .. } => forked(py, error.to_string()),
        _ => of_place(py, error.to_string()),
    };
    if error.is_retryable()
        && let Err(refused) = raised.value(py).setattr("retryable", true)
    {
        return refused;
    }
    raised
}

/// An optional package is not there.
pub fn missing(py: Python<'_>, package: &str, cause: &PyErr) -> PyErr {
    let error = missing_package(
        py,
        format!("{package} is not installed ({cause}); it is an extra: pip install 'xtrader[{package}]'"),
    );
    error.set_cause(py, Some(cause.clone_ref(py)));
    error
}

/// An error of a simulator.
pub fn simulator(py: Python<'_>, error: &SimulatorError) -> PyErr {
    match error {
        SimulatorError::Config { .. } | SimulatorError::Json { .. } => config(py, error.to_string()),
        _ => simulated(py, error.to_string()),
    }
}

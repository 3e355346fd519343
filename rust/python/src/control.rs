//! Control calls from an event loop: blocking work of the runtime as a Python awaitable.

use std::sync::Once;

use pyo3::prelude::*;
use pyo3_async_runtimes::tokio::{future_into_py, get_runtime, init};
use xtrader_runtime::RuntimeError;

/// An awaitable that ends when `work` has ended on a thread of its own.
pub fn run<'py>(
    py: Python<'py>,
    work: impl FnOnce() -> Result<(), RuntimeError> + Send + 'static,
    failed: fn(Python<'_>, &RuntimeError) -> PyErr,
) -> PyResult<Bound<'py, PyAny>> {
    start_runtime();
    future_into_py(py, async move {
        match get_runtime().spawn_blocking(work).await {
            Ok(done) => done.map_err(|error| Python::attach(|py| failed(py, &error))),
            Err(error) => Err(pyo3::exceptions::PyRuntimeError::new_err(error.to_string())),
        }
    })
}

/// One worker is enough for control; data never comes this way.
fn start_runtime() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("xtrader-control").enable_all();
        init(builder);
    });
}

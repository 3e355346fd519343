//! A replay, pulled from Python.

use std::sync::Mutex;
use std::time::Duration;

use pyo3::prelude::*;
use serde_json::{Map, Value};
use xtrader_core::config::{ConfigError, parse_stream, parse_table};
use xtrader_core::symbol::Venue;
use xtrader_runtime::live::names;
use xtrader_runtime::replay::{self, Next, ReplayOptions};

use crate::batch::Batch;
use crate::convert::{self, locked};
use crate::errors;

/// How long Python's signals may wait.
const PATIENCE: Duration = Duration::from_millis(50);

/// Recordings through the engine: an iterator over batches.
#[pyclass(frozen, module = "xtrader", name = "Replay")]
pub struct Replay(Mutex<replay::Replay>);

#[pymethods]
impl Replay {
    /// Opens what the options (JSON) name.
    #[new]
    fn new(py: Python<'_>, options: &str) -> PyResult<Self> {
        let options = replay_options(convert::options(py, options)?).map_err(|e| errors::config(py, e.to_string()))?;
        let opened = py.detach(|| replay::Replay::open(options));
        opened.map(|replay| Self(Mutex::new(replay))).map_err(|error| errors::replay(py, &error))
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        loop {
            match py.detach(|| locked(&self.0).next_within(PATIENCE)).map_err(|error| errors::replay(py, &error))? {
                Next::Batch(batch) => return Ok(Some(Batch(batch))),
                Next::Waiting => py.check_signals()?,
                Next::End => return Ok(None),
            }
        }
    }

    /// Bytes read, bytes in all, frames so far.
    fn progress(&self, py: Python<'_>) -> (u64, u64, u64) {
        let progress = py.detach(|| locked(&self.0).progress());
        (progress.bytes_read, progress.bytes_total, progress.frames)
    }

    /// What was replayed and what came of it.
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &py.detach(|| locked(&self.0).report()))
    }
}

/// A stream or table that is not there is refused with what there is. Which venue this is the recording itself may tell,
/// later: a stream is refused here where no venue offers it.
fn replay_options(options: Map<String, Value>) -> Result<ReplayOptions, ConfigError> {
    for name in names(&options, "streams") {
        let offers = |venue: Venue| parse_stream(venue, &name);
        Venue::ALL.into_iter().map(offers).find(Result::is_ok).unwrap_or_else(|| offers(Venue::ALL[0]))?;
    }
    for name in names(&options, "tables") {
        parse_table(&name)?;
    }
    serde_json::from_value(Value::Object(options)).map_err(|error| ConfigError::Shape(error.to_string()))
}

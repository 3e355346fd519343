//! What this binary is, and what its defaults are.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use xtrader_core::config::EngineConfig;
use xtrader_core::symbol::Venue;
use xtrader_runtime::live::LiveOptions;
use xtrader_runtime::replay::ReplayOptions;

use crate::convert;

/// Version, commit, Cargo profile, target and whether debug assertions are on.
#[pyfunction]
pub fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("commit", env!("XTRADER_COMMIT"))?;
    info.set_item("profile", env!("XTRADER_PROFILE"))?;
    info.set_item("target", env!("XTRADER_TARGET"))?;
    info.set_item("debug_assertions", cfg!(debug_assertions))?;
    Ok(info)
}

/// The defaults of a live stream: the Python model repeats them and a test compares the two.
#[pyfunction]
pub fn default_stream_options(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    convert::serialized(py, &LiveOptions::new(EngineConfig::new(Venue::ALL[0])))
}

/// The defaults of a replay, for the same test.
#[pyfunction]
pub fn default_replay_options(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    convert::serialized(py, &ReplayOptions::default())
}

//! What this binary is, and what its defaults are.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use xtrader_core::config::EngineConfig;
use xtrader_core::symbol::Venue;

use crate::errors;

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

/// The defaults of one engine as JSON: the Python model repeats them and a test compares the two.
#[pyfunction]
pub fn default_engine_config(py: Python<'_>) -> PyResult<String> {
    serde_json::from_value::<EngineConfig>(serde_json::json!({ "venue": Venue::ALL[0] }))
        .and_then(|config| serde_json::to_string(&config))
        .map_err(|error| errors::config(py, error.to_string()))
}

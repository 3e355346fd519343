//! A simulated exchange.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use xtrader_simulator::{SimulatorConfig, SimulatorError};

use crate::convert;
use crate::errors;

/// A running simulator; dropping it stops it.
#[pyclass(frozen, module = "xtrader._native", name = "Simulator")]
pub struct Simulator(xtrader_simulator::Simulator);

impl Simulator {
    /// Waits detached: whoever asks a simulator may wait for its lock.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&xtrader_simulator::Simulator) -> Result<T, SimulatorError> + Send,
    ) -> PyResult<T> {
        py.detach(|| question(&self.0)).map_err(|error| errors::simulator(py, &error))
    }
}

#[pymethods]
impl Simulator {
    /// Binds its ports and serves on a thread of its own.
    #[new]
    fn new(py: Python<'_>, config: &str) -> PyResult<Self> {
        let started = py.detach(|| SimulatorConfig::from_json(config).and_then(xtrader_simulator::Simulator::start));
        started.map(Self).map_err(|error| errors::simulator(py, &error))
    }

    #[getter]
    fn ws_url(&self) -> String {
        self.0.ws_url()
    }

    #[getter]
    fn rest_url(&self) -> String {
        self.0.rest_url()
    }

    #[getter]
    fn ca_pem(&self) -> Option<String> {
        self.0.ca_pem()
    }

    #[getter]
    fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// The configuration it runs with.
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::serialized(py, self.0.config())
    }

    /// Adds a fault (JSON) and tells its number.
    fn inject(&self, py: Python<'_>, plan: &str) -> PyResult<u64> {
        self.ask(py, |simulator| simulator.inject_json(plan))
    }

    /// How often a fault has struck.
    fn fault_fired(&self, py: Python<'_>, number: u64) -> u64 {
        py.detach(|| self.0.fault_fired(number))
    }

    /// Ends one fault, or all.
    #[pyo3(signature = (number=None))]
    fn clear_faults(&self, py: Python<'_>, number: Option<u64>) {
        py.detach(|| number.map_or_else(|| self.0.clear_faults(), |number| self.0.remove_fault(number)));
    }

    /// The market stands still.
    fn pause(&self, py: Python<'_>) {
        py.detach(|| self.0.pause());
    }

    /// The market goes on.
    fn resume(&self, py: Python<'_>) {
        py.detach(|| self.0.resume());
    }

    /// Everything that happened is written to the sockets.
    fn wait_drained(&self, py: Python<'_>, seconds: f64) -> bool {
        let patience = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
        py.detach(|| self.0.wait_drained(patience))
    }

    /// Asks the truth: JSON in, plain objects out.
    fn truth<'py>(&self, py: Python<'py>, question: &str) -> PyResult<Bound<'py, PyAny>> {
        let answer = self.ask(py, |simulator| simulator.truth_json(question))?;
        convert::parsed(py, &answer)
    }

    /// Writes the truth to a folder.
    fn write_truth(&self, py: Python<'_>, folder: PathBuf) -> PyResult<()> {
        self.ask(py, |simulator| simulator.write_truth(&folder))
    }

    /// Records what a plain client sees (JSON), as long as it takes.
    fn record<'py>(&self, py: Python<'py>, request: &str) -> PyResult<Bound<'py, PyAny>> {
        let request = convert::options(py, request)?;
        convert::serialized(py, &self.ask(py, |simulator| simulator.record(&request))?)
    }

    /// What load tests have sent, by connection.
    fn load_reports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::serialized(py, &py.detach(|| self.0.load_reports()))
    }

    /// Stops serving: sockets and threads are gone when this returns.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

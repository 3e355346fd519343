//! A simulated exchange.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use xtrader_runtime::RuntimeError;
use xtrader_simulator::{SimulatorConfig, SimulatorError};

use crate::convert;
use crate::errors;

/// A running simulator; dropping it stops it. A fork may read what it is and where, so that it can talk to it; all else
/// belongs to the process that started it.
#[pyclass(frozen, module = "xtrader._native", name = "Simulator")]
pub struct Simulator {
    simulator: Option<xtrader_simulator::Simulator>,
    pid: u32,
}

impl Simulator {
    fn simulator(&self) -> &xtrader_simulator::Simulator {
        self.simulator.as_ref().expect("taken in drop alone")
    }

    /// Locks and threads do not survive a fork: better an error than a child that hangs.
    fn own(&self, py: Python<'_>) -> PyResult<&xtrader_simulator::Simulator> {
        match std::process::id() {
            pid if pid == self.pid => Ok(self.simulator()),
            child => Err(errors::forked(py, RuntimeError::Forked { parent: self.pid, child }.to_string())),
        }
    }

    /// Waits detached: whoever asks a simulator may wait for its lock.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&xtrader_simulator::Simulator) -> T + Send,
    ) -> PyResult<T> {
        let simulator = self.own(py)?;
        Ok(py.detach(|| question(simulator)))
    }

    /// As [`Self::ask`], where the answer may be a refusal.
    fn demand<T: Send>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&xtrader_simulator::Simulator) -> Result<T, SimulatorError> + Send,
    ) -> PyResult<T> {
        self.ask(py, question)?.map_err(|error| errors::simulator(py, &error))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let simulator = self.simulator.take();
        if std::process::id() == self.pid {
            // Its threads may take their time to end: other Python threads go on meanwhile.
            Python::attach(|py| py.detach(|| drop(simulator)));
        } else {
            // There is no thread to stop here, and its locks may be held for ever.
            std::mem::forget(simulator);
        }
    }
}

#[pymethods]
impl Simulator {
    /// Binds its ports and serves on a thread of its own.
    #[new]
    fn new(py: Python<'_>, config: &str) -> PyResult<Self> {
        let started = py.detach(|| SimulatorConfig::from_json(config).and_then(xtrader_simulator::Simulator::start));
        let simulator = Some(started.map_err(|error| errors::simulator(py, &error))?);
        Ok(Self { simulator, pid: std::process::id() })
    }

    #[getter]
    fn ws_url(&self) -> String {
        self.simulator().ws_url()
    }

    #[getter]
    fn rest_url(&self) -> String {
        self.simulator().rest_url()
    }

    #[getter]
    fn ca_pem(&self) -> Option<String> {
        self.simulator().ca_pem()
    }

    #[getter]
    fn is_running(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.own(py)?.is_running())
    }

    /// The configuration it runs with.
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::serialized(py, self.simulator().config())
    }

    /// Adds a fault (JSON) and tells its number.
    fn inject(&self, py: Python<'_>, plan: &str) -> PyResult<u64> {
        self.demand(py, |simulator| simulator.inject_json(plan))
    }

    /// How often a fault has struck.
    fn fault_fired(&self, py: Python<'_>, number: u64) -> PyResult<u64> {
        self.ask(py, |simulator| simulator.fault_fired(number))
    }

    /// Ends one fault, or all.
    #[pyo3(signature = (number=None))]
    fn clear_faults(&self, py: Python<'_>, number: Option<u64>) -> PyResult<()> {
        self.ask(py, |simulator| match number {
            Some(number) => simulator.remove_fault(number),
            None => simulator.clear_faults(),
        })
    }

    /// The market stands still.
    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, xtrader_simulator::Simulator::pause)
    }

    /// The market goes on.
    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, xtrader_simulator::Simulator::resume)
    }

    /// Everything that happened is written to the sockets.
    fn wait_drained(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        let patience = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
        self.ask(py, |simulator| simulator.wait_drained(patience))
    }

    /// Asks the truth: JSON in, plain objects out.
    fn truth<'py>(&self, py: Python<'py>, question: &str) -> PyResult<Bound<'py, PyAny>> {
        let answer = self.demand(py, |simulator| simulator.truth_json(question))?;
        convert::parsed(py, &answer)
    }

    /// Writes the truth to a folder.
    fn write_truth(&self, py: Python<'_>, folder: PathBuf) -> PyResult<()> {
        self.demand(py, |simulator| simulator.write_truth(&folder))
    }

    /// Records what a plain client sees (JSON), as long as it takes.
    fn record<'py>(&self, py: Python<'py>, request: &str) -> PyResult<Bound<'py, PyAny>> {
        let request = convert::options(py, request)?;
        convert::serialized(py, &self.demand(py, |simulator| simulator.record(&request))?)
    }

    /// What load tests have sent, by connection.
    fn load_reports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::serialized(py, &self.ask(py, xtrader_simulator::Simulator::load_reports)?)
    }

    /// Stops serving: sockets and threads are gone when this returns.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, xtrader_simulator::Simulator::stop)
    }
}

//! A live stream, as Python waits for it: blocking with an eye on signals, or polled from an event loop.

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOSError, PyStopAsyncIteration, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use xtrader_core::engine::Command;
use xtrader_runtime::live::{LiveStream, Next, Plan};

use crate::batch::Batch;
use crate::control;
use crate::convert::{self, locked};
use crate::errors;

/// How long Python's signals may wait.
const PATIENCE: Duration = Duration::from_millis(50);

type Pending = Pin<Box<dyn Future<Output = Next> + Send>>;

/// A live stream. Dropping it stops the shards and frees its sockets and its threads.
#[pyclass(frozen, module = "xtrader._native", name = "Stream")]
pub struct Stream {
    live: Option<Arc<LiveStream>>,
    /// What an event loop waits for, between two polls.
    pending: Mutex<Option<Pending>>,
    /// Readable when the pending one should be polled again.
    readable: UnixStream,
    waker: Waker,
}

#[pymethods]
impl Stream {
    /// Checks the options (JSON) and starts the shards.
    #[new]
    fn new(py: Python<'_>, options: &str) -> PyResult<Self> {
        let plan = Plan::of(convert::options(py, options)?).map_err(|error| errors::live(py, &error))?;
        let (readable, writable) = bell().map_err(PyOSError::new_err)?;
        let live = py.detach(|| LiveStream::start_all(plan)).map_err(|error| errors::live(py, &error))?;
        let waker = Waker::from(Arc::new(Bell(writable)));
        Ok(Self { live: Some(Arc::new(live)), pending: Mutex::new(None), readable, waker })
    }

    /// The next batch, `None` at the end; `TimeoutError` when there is none within `timeout` seconds.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Batch>> {
        let timeout = timeout
            .map(Duration::try_from_secs_f64)
            .transpose()
            .map_err(|error| PyValueError::new_err(format!("timeout: {error}")))?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map_or(PATIENCE, |at| at.saturating_duration_since(Instant::now()).min(PATIENCE));
            match py.detach(|| self.live().next_batch(left)) {
                Next::Batch(batch) => return Ok(Some(Batch(batch))),
                Next::Closed => return Ok(None),
                Next::Failed(error) => return Err(errors::live(py, &error)),
                Next::Warning(warning) => errors::warn(py, warning)?,
                Next::TimedOut => py.check_signals()?,
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Err(PyTimeoutError::new_err("no batch within the timeout"));
            }
        }
    }

    /// The next batch if there is one, else `None` and the descriptor becomes readable when it is time to ask again.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        self.silence().map_err(PyOSError::new_err)?;
        loop {
            match self.poll_next() {
                Poll::Pending | Poll::Ready(Next::TimedOut) => return Ok(None),
                Poll::Ready(Next::Batch(batch)) => return Ok(Some(Batch(batch))),
                Poll::Ready(Next::Warning(warning)) => errors::warn(py, warning)?,
                Poll::Ready(Next::Closed) => return Err(PyStopAsyncIteration::new_err(())),
                Poll::Ready(Next::Failed(error)) => return Err(errors::live(py, &error)),
            }
        }
    }

    /// What its owner should know, though it hinders nothing.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.live().warnings().to_vec()
    }

    /// Changes what is taken while it runs (JSON).
    fn command(&self, py: Python<'_>, command: &str) -> PyResult<()> {
        let command: Command = convert::options(py, command)?;
        py.detach(|| self.live().command(&command)).map_err(|error| errors::live(py, &error))
    }

    /// The descriptor for an event loop.
    fn fileno(&self) -> RawFd {
        self.readable.as_raw_fd()
    }

    /// Stops the shards; what it has handed over can still be taken.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.live().stop()).map_err(|error| errors::live(py, &error))
    }

    /// As `close`, awaitable: a polite close takes its time, and the event loop goes on meanwhile.
    fn aclose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let live = Arc::clone(self.live());
        control::run(py, move || live.stop(), errors::live)
    }

    /// Counters of every stage.
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let report = py.detach(|| self.live().report()).map_err(|error| errors::live(py, &error))?;
        convert::to_python(py, &report)
    }
}

impl Stream {
    fn live(&self) -> &Arc<LiveStream> {
        self.live.as_ref().expect("taken in drop alone")
    }

    fn poll_next(&self) -> Poll<Next> {
        let mut pending = locked(&self.pending);
        let mut next = pending.take().unwrap_or_else(|| {
            let live = Arc::clone(self.live());
            Box::pin(async move { live.next().await })
        });
        let polled = next.as_mut().poll(&mut Context::from_waker(&self.waker));
        if polled.is_pending() {
            *pending = Some(next);
        }
        polled
    }

    /// Takes what the bell has rung so far. Before a poll: what rings after it is for the next one.
    fn silence(&self) -> std::io::Result<()> {
        let mut rung = [0; 64];
        loop {
            match (&self.readable).read(&mut rung) {
                Ok(taken) if taken == rung.len() => {}
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Stream {
    /// A polite close takes its time: other Python threads go on meanwhile.
    fn drop(&mut self) {
        let held = (locked(&self.pending).take(), self.live.take());
        Python::attach(|py| py.detach(|| drop(held)));
    }
}

/// Wakes an event loop through a descriptor: no Python on the shard's thread.
struct Bell(UnixStream);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Full means that it has been rung already.
        let _ = (&self.0).write(&[1]);
    }
}

fn bell() -> std::io::Result<(UnixStream, UnixStream)> {
    let (readable, writable) = UnixStream::pair()?;
    readable.set_nonblocking(true)?;
    writable.set_nonblocking(true)?;
    Ok((readable, writable))
}

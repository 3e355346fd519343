//! Live: one shard (a thread with the engine and its sockets), and the stream of batches that leaves it.
//!
//! [`shard`] the loop · [`dial`], [`upgrade`], [`tls`], [`address`] how a connection opens · [`transport`], [`wire`],
//! [`outbox`], [`socket`] what happens on it · [`rest`], [`budget`], [`rate`] what is asked, and how often · [`queue`],
//! [`drops`] how rows reach the consumer · [`sys`] where the clocks are read.

mod address;
mod budget;
mod dial;
mod down;
mod drive;
mod drops;
mod options;
mod outbox;
mod queue;
mod rate;
mod rest;
mod shard;
mod socket;
pub mod sys;
mod tls;
mod transport;
mod upgrade;
mod wake;
mod wire;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use xtrader_core::batch::Batch;
use xtrader_core::engine::Engine;

use crate::error::RuntimeError;

pub use drive::Drive;
pub use options::{LiveOptions, NetLimits, Policy, RestLimits};

use drops::Gaps;
use queue::{Failure, Queue, Taken};
use shard::{Control, Shard};

/// Longest that a shard may take to answer a request for its report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a consumer gets when it asks for the next batch.
#[derive(Debug)]
pub enum Next {
    /// Rows of one table.
    Batch(Batch),
    /// Nothing within the time given.
    TimedOut,
    /// The stream was stopped, and everything it held has been read.
    Closed,
    /// The shard failed; everything it had handed over before has been read.
    Failed(RuntimeError),
}

/// A running shard. Dropping it stops it and frees its sockets and its thread.
#[derive(Debug)]
pub struct LiveStream {
    queue: Arc<Queue>,
    control: Arc<Control>,
    thread: Mutex<Option<JoinHandle<()>>>,
    last_report: Arc<Mutex<Value>>,
    pid: u32,
}

impl LiveStream {
    /// Checks the options, starts the engine and the shard's thread. Connections open in the background.
    ///
    /// # Errors
    /// Options that the engine or the shard refuse, or a system that gives no thread or no certificate store.
    pub fn start(options: LiveOptions) -> Result<Self, RuntimeError> {
        options.check()?;
        let engine = Engine::start(options.engine.clone(), crate::BUILD, sys::now())?;
        Self::start_with(options, engine)
    }

    /// As [`Self::start`], with any engine: the seam for tests of the shell.
    ///
    /// # Errors
    /// As [`Self::start`].
    #[doc(hidden)]
    pub fn start_with<E: Drive>(options: LiveOptions, engine: E) -> Result<Self, RuntimeError> {
        options.check()?;
        let tls = tls::client(options.extra_ca.as_deref())?;
        let control = Arc::new(Control::default());
        let gaps = Gaps::new(&options.engine);
        let queue = Arc::new(Queue::new(options.queue_bytes, options.policy, gaps, control.waker.clone()));
        let last_report = Arc::new(Mutex::new(Value::Null));
        let name = format!("xtrader-shard-{}", options.engine.shard);
        let pin = options.pin_core;
        let shard = Shard::new(engine, options, tls, queue.clone(), control.clone())?;
        let thread = {
            let (queue, last_report) = (queue.clone(), last_report.clone());
            std::thread::Builder::new()
                .name(name)
                .spawn(move || run(shard, pin, &queue, &last_report))
                .map_err(|e| RuntimeError::System { doing: "start the shard's thread", problem: e.to_string() })?
        };
        Ok(Self { queue, control, thread: Mutex::new(Some(thread)), last_report, pid: sys::pid() })
    }

    /// The next batch; waits at most `timeout`. Any number of threads may ask; each batch goes to one of them.
    pub fn next_batch(&self, timeout: Duration) -> Next {
        match self.check_process() {
            Ok(()) => next(self.queue.take(timeout)),
            Err(e) => Next::Failed(e),
        }
    }

    /// The next batch, or the end, on any executor; never [`Next::TimedOut`].
    ///
    /// # Cancel safety
    /// A batch is taken in the last step: a future that is dropped has taken none.
    pub async fn next(&self) -> Next {
        match self.check_process() {
            Ok(()) => next(self.queue.next().await),
            Err(e) => Next::Failed(e),
        }
    }

    /// Stops: hands over what is open, closes the connections politely within `close_ms`, frees sockets and thread.
    /// What was handed over can still be read. Calling it again does nothing.
    ///
    /// # Errors
    /// This process is a fork of the one that started the stream.
    pub fn stop(&self) -> Result<(), RuntimeError> {
        self.check_process()?;
        self.control.stop();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // The thread catches its own panics: there is nothing to be told here.
            let _ = thread.join();
        }
        Ok(())
    }

    /// Counters of the engine, books, connections, REST and queue. Of a stream that has ended, the last ones.
    ///
    /// # Errors
    /// This process is a fork of the one that started the stream, or the shard does not answer.
    pub fn report(&self) -> Result<Value, RuntimeError> {
        self.check_process()?;
        let (answer, report) = sync_channel(1);
        self.control.ask(answer);
        if let Ok(report) = report.recv_timeout(if self.has_ended() { Duration::ZERO } else { REPORT_TIMEOUT }) {
            return Ok(report);
        }
        let last = self.last_report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if last.is_null() {
            let problem = format!("the shard did not answer within {} s", REPORT_TIMEOUT.as_secs());
            return Err(RuntimeError::System { doing: "report", problem });
        }
        Ok(last)
    }

    fn has_ended(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Locks and threads do not survive a fork: better an error than a child that hangs.
    fn check_process(&self) -> Result<(), RuntimeError> {
        match sys::pid() {
            pid if pid == self.pid => Ok(()),
            child => Err(RuntimeError::Forked { parent: self.pid, child }),
        }
    }
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        // In a fork there is no thread to stop, and its locks may be held for ever: then nothing is touched.
        let _ = self.stop();
    }
}

fn next(taken: Taken) -> Next {
    match taken {
        Taken::Batch(batch) => Next::Batch(batch),
        Taken::Nothing => Next::TimedOut,
        Taken::Closed => Next::Closed,
        Taken::Failed(Failure::Died(why)) => Next::Failed(RuntimeError::Failed(why)),
        Taken::Failed(Failure::Refused(why)) => Next::Failed(why.into()),
    }
}

/// The thread of a shard. However it ends, the stream ends with it.
fn run<E: Drive>(shard: Shard<E>, pin: Option<usize>, queue: &Queue, last_report: &Mutex<Value>) {
    if let Some(core) = pin
        && !sys::pin(core)
    {
        let why = format!("the system does not let this thread run on core {core}; choose another pin_core");
        return queue.fail(Failure::Died(why));
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return queue.fail(Failure::Died(format!("no runtime: {e}"))),
    };
    let ended = catch_unwind(AssertUnwindSafe(|| {
        // Outlives the shard: a REST client that is dropped in the middle of a request may still start a task.
        let _inside = runtime.enter();
        let mut shard = shard;
        let report = runtime.block_on(shard.run());
        (report, shard.fault())
    }));
    // A resolver may hang for half a minute; its thread must not hold us up.
    runtime.shutdown_background();
    match ended {
        Ok((report, fault)) => {
            *last_report.lock().unwrap_or_else(PoisonError::into_inner) = report;
            match fault {
                Some(fault) => queue.fail(Failure::Refused(fault)),
                None => queue.close(),
            }
        }
        Err(panic) => queue.fail(Failure::Died(format!("it panicked: {}", words(panic.as_ref())))),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

//! Live: a shard (a thread with an engine and its sockets) for each venue, and the stream of batches that leaves them.
//!
//! [`plan`] who does what · [`shard`] the loop · [`admission`], [`dial`], [`upgrade`], [`tls`], [`address`] how a
//! connection opens · [`transport`], [`arrival`], [`wire`], [`outbox`], [`socket`], [`login`] what happens on it · [`rest`],
//! [`budget`], [`allowance`], [`rate`] what is asked, and how often · [`queue`], [`drops`], [`outlet`] how rows reach the
//! consumer · [`sys`] where the clocks are read.

mod address;
mod admission;
mod allowance;
mod arrival;
mod budget;
mod dial;
mod down;
mod drive;
mod drops;
mod login;
mod options;
mod outbox;
mod outlet;
mod plan;
mod queue;
mod rate;
mod report;
mod resolve;
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
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use xtrader_core::batch::Batch;
use xtrader_core::engine::{Command, Engine};
use xtrader_core::symbol::Venue;

use crate::error::RuntimeError;

pub use drive::Drive;
pub use login::LoginSource;
pub use options::{LiveOptions, NetLimits, Policy, RestLimits, Timestamps};
pub use plan::{Plan, names};
pub use resolve::Resolver;

use drops::Gaps;
use outlet::{Bell, Outlet};
use queue::{Failure, Queue, Taken};
use shard::{Control, Question, Shard, Verdict};

/// Longest that a shard may take to answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What a consumer gets when it asks for the next batch.
#[derive(Debug)]
pub enum Next {
    /// Rows of one table.
    Batch(Batch),
    /// What the owner should know, though it hinders nothing else: what an exchange refuses while it runs.
    Warning(String),
    /// Nothing within the time given.
    TimedOut,
    /// The stream was stopped, and everything it held has been read.
    Closed,
    /// The shard failed; everything it had handed over before has been read.
    Failed(RuntimeError),
}

/// A running stream. Dropping it stops it and frees its sockets and its threads.
#[derive(Debug)]
pub struct LiveStream {
    outlet: Outlet,
    shards: Vec<Running>,
    warnings: Vec<String>,
    pid: u32,
}

/// A shard, as whoever started it sees it.
#[derive(Debug)]
struct Running {
    venue: Venue,
    control: Arc<Control>,
    thread: Mutex<Option<JoinHandle<()>>>,
    last_report: Arc<Mutex<Value>>,
}

impl LiveStream {
    /// As [`Self::start_all`], of one venue.
    ///
    /// # Errors
    /// As [`Self::start_all`].
    pub fn start(options: LiveOptions) -> Result<Self, RuntimeError> {
        Self::start_all(Plan { shards: vec![options], warnings: Vec::new() })
    }

    /// Checks the options, starts the engines and the threads of the shards. Connections open in the background.
    ///
    /// # Errors
    /// Options that an engine or a shard refuses, credentials that are not there, or a system that gives no thread or no
    /// certificate store.
    pub fn start_all(plan: Plan) -> Result<Self, RuntimeError> {
        let mut shards = Vec::new();
        for mut options in plan.shards {
            // What an exchange does not offer comes before what it takes.
            options.engine.check()?;
            options.check()?;
            options.engine.login = options.login.is_some();
            let engine = Engine::start(options.engine.clone(), crate::BUILD, sys::now())?;
            shards.push((options, engine));
        }
        Self::launch(shards, plan.warnings)
    }

    /// As [`Self::start`], with any engine: the seam for tests of the shell.
    ///
    /// # Errors
    /// As [`Self::start`].
    #[doc(hidden)]
    pub fn start_with<E: Drive>(options: LiveOptions, engine: E) -> Result<Self, RuntimeError> {
        options.check()?;
        Self::launch(vec![(options, engine)], Vec::new())
    }

    /// Everything that can be refused is, before the first thread starts.
    fn launch<E: Drive>(parts: Vec<(LiveOptions, E)>, mut warnings: Vec<String>) -> Result<Self, RuntimeError> {
        let bell = Arc::new(Bell::default());
        let mut ready = Vec::new();
        for (options, engine) in parts {
            warnings.extend(options.warnings());
            warnings.extend(options.engine.left_out());
            let credentials = options.login.as_ref().map(|source| source.read(options.engine.venue)).transpose()?;
            let tls = tls::client(options.extra_ca.as_deref())?;
            let control = Arc::new(Control::default());
            let gaps = Gaps::new(&options.engine);
            let queue = Queue::new(options.queue_bytes, options.policy, gaps, control.waker.clone(), Arc::clone(&bell));
            let queue = Arc::new(queue);
            let (venue, pin) = (options.engine.venue, options.pin_core);
            let name = format!("xtrader-shard-{}", options.engine.shard);
            let shard = Shard::new(engine, options, credentials, tls, queue.clone(), control.clone())?;
            ready.push((venue, name, pin, shard, queue, control));
        }
        let controls: Arc<[Arc<Control>]> = ready.iter().map(|(.., control)| control.clone()).collect();
        let queues = ready.iter().map(|(.., queue, _)| queue.clone()).collect();
        let mut stream = Self { outlet: Outlet::new(queues, bell), shards: Vec::new(), warnings, pid: sys::pid() };
        for (venue, name, pin, shard, queue, control) in ready {
            let last_report = Arc::new(Mutex::new(Value::Null));
            let (report, all) = (last_report.clone(), controls.clone());
            // Those that run already are stopped when the stream is dropped.
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(move || {
                    if let Err(why) = run(shard, pin, &report) {
                        queue.fail(why);
                        // A stream that has lost a part is over: the others hand over what they have, and end.
                        all.iter().for_each(|control| control.stop());
                    }
                    queue.close();
                })
                .map_err(|e| RuntimeError::System { doing: "start the shard's thread", problem: e.to_string() })?;
            stream.shards.push(Running { venue, control, thread: Mutex::new(Some(thread)), last_report });
        }
        Ok(stream)
    }

    /// What its owner should know, though it hinders nothing.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The next batch; waits at most `timeout`. Any number of threads may ask; each batch goes to one of them.
    pub fn next_batch(&self, timeout: Duration) -> Next {
        match self.check_process() {
            Ok(()) => next(self.outlet.take(timeout)),
            Err(e) => Next::Failed(e),
        }
    }

    /// The next batch, or the end, on any executor; never [`Next::TimedOut`].
    ///
    /// # Cancel safety
    /// A batch is taken in the last step: a future that is dropped has taken none.
    pub async fn next(&self) -> Next {
        match self.check_process() {
            Ok(()) => next(self.outlet.next().await),
            Err(e) => Next::Failed(e),
        }
    }

    /// Stops: hands over what is open, closes the connections politely within `close_ms`, frees sockets and threads.
    /// What was handed over can still be read. Calling it again does nothing.
    ///
    /// # Errors
    /// This process is a fork of the one that started the stream.
    pub fn stop(&self) -> Result<(), RuntimeError> {
        self.check_process()?;
        for shard in &self.shards {
            shard.control.stop();
        }
        for shard in &self.shards {
            let mut thread = shard.thread.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(thread) = thread.take() {
                // The thread catches its own panics: there is nothing to be told here.
                let _ = thread.join();
            }
        }
        Ok(())
    }

    /// Counters of the engines, books, connections, REST and queues. Of a stream that has ended, the last ones.
    ///
    /// # Errors
    /// This process is a fork of the one that started the stream, or a shard does not answer.
    pub fn report(&self) -> Result<Value, RuntimeError> {
        self.check_process()?;
        let asked: Vec<_> = self.shards.iter().map(|shard| (shard, shard.ask(Question::Report))).collect();
        let reports = asked.into_iter().map(|(shard, answer)| shard.report(&answer)).collect::<Result<_, _>>()?;
        Ok(report::merged(reports))
    }

    /// Changes what is taken while the stream runs; its other symbols and connections go on as they are. Subscriptions are
    /// written as for [`Plan::of`]. Each exchange judges its part by itself: where one refuses, what another took stands.
    ///
    /// # Errors
    /// An exchange that this stream does not serve, what an engine refuses (then it has not happened there), a stream
    /// that has ended or does not answer, or a process that is a fork of the one that started it.
    pub fn command(&self, command: &Command) -> Result<(), RuntimeError> {
        self.check_process()?;
        let parts = match command {
            Command::Add(texts) => self.parts(texts, Command::Add)?,
            Command::Remove(texts) => self.parts(texts, Command::Remove)?,
            Command::Connections(_) => self.shards.iter().map(|shard| (shard, command.clone())).collect(),
            // Its shards tell their engines themselves.
            Command::Stop => return self.stop(),
        };
        let mut asked = Vec::new();
        for (shard, command) in parts {
            asked.push((shard, shard.ask(|answer| Question::Command(command, answer))));
        }
        let verdicts: Vec<_> = asked.into_iter().map(|(shard, answer)| shard.verdict(&answer)).collect();
        verdicts.into_iter().collect()
    }

    /// What each shard is told, where subscriptions are concerned.
    fn parts(
        &self,
        texts: &[String],
        command: impl Fn(Vec<String>) -> Command,
    ) -> Result<Vec<(&Running, Command)>, RuntimeError> {
        let shard_of = |(venue, symbols): (Venue, Vec<String>)| {
            let shard = self.shards.iter().find(|shard| shard.venue == venue).ok_or_else(|| {
                let served: Vec<_> = self.shards.iter().map(|shard| shard.venue.id()).collect();
                RuntimeError::Options(format!(
                    "{:?}: this stream serves {} and not {}; open another stream for it",
                    symbols.first().map(String::as_str).unwrap_or_default(),
                    served.join(", "),
                    venue.id()
                ))
            })?;
            Ok((shard, command(symbols)))
        };
        plan::by_venue(texts)?.into_iter().map(shard_of).collect()
    }

    /// Locks and threads do not survive a fork: better an error than a child that hangs.
    fn check_process(&self) -> Result<(), RuntimeError> {
        match sys::pid() {
            pid if pid == self.pid => Ok(()),
            child => Err(RuntimeError::Forked { parent: self.pid, child }),
        }
    }
}

impl Running {
    fn ask<A>(&self, question: impl FnOnce(SyncSender<A>) -> Question) -> Receiver<A> {
        let (answer, answered) = sync_channel(1);
        self.control.ask(question(answer));
        answered
    }

    /// The answer to a question, if it comes.
    fn answer<A>(&self, answered: &Receiver<A>) -> Option<A> {
        let patience = if self.has_ended() { Duration::ZERO } else { ANSWER_TIMEOUT };
        answered.recv_timeout(patience).ok()
    }

    fn report(&self, answered: &Receiver<Value>) -> Result<Value, RuntimeError> {
        if let Some(report) = self.answer(answered) {
            return Ok(report);
        }
        let last = self.last_report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if last.is_null() {
            let problem = format!("the shard did not answer within {} s", ANSWER_TIMEOUT.as_secs());
            return Err(RuntimeError::System { doing: "report", problem });
        }
        Ok(last)
    }

    fn verdict(&self, answered: &Receiver<Verdict>) -> Result<(), RuntimeError> {
        let Some(verdict) = self.answer(answered) else {
            let problem = if self.has_ended() || self.control.is_stopping() {
                "it has ended; open another".to_owned()
            } else {
                format!("{} did not answer within {} s, and may still do it", self.venue.id(), ANSWER_TIMEOUT.as_secs())
            };
            return Err(RuntimeError::System { doing: "change what is taken", problem });
        };
        Ok(verdict?)
    }

    fn has_ended(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_none_or(JoinHandle::is_finished)
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
        Taken::Warning(warning) => Next::Warning(warning),
        Taken::Nothing => Next::TimedOut,
        Taken::Closed => Next::Closed,
        Taken::Failed(Failure::Died(why)) => Next::Failed(RuntimeError::Failed(why)),
        Taken::Failed(Failure::Refused(why)) => Next::Failed(why.into()),
    }
}

/// The thread of a shard.
fn run<E: Drive>(shard: Shard<E>, pin: Option<usize>, last_report: &Mutex<Value>) -> Result<(), Failure> {
    if let Some(core) = pin
        && !sys::pin(core)
    {
        let why = format!("the system does not let this thread run on core {core}; choose another pin_core");
        return Err(Failure::Died(why));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Died(format!("no runtime: {e}")))?;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        // Outlives the shard: a REST client that is dropped in the middle of a request may still start a task.
        let _inside = runtime.enter();
        let mut shard = shard;
        let report = runtime.block_on(shard.run());
        (report, shard.fault())
    }));
    // A resolver may hang for half a minute; its thread must not hold us up.
    runtime.shutdown_background();
    let (report, fault) = ended.map_err(|panic| Failure::Died(format!("it panicked: {}", words(panic.as_ref()))))?;
    *last_report.lock().unwrap_or_else(PoisonError::into_inner) = report;
    fault.map_or(Ok(()), |fault| Err(Failure::Refused(fault)))
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

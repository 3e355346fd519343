//! Drives the engine from recordings: nothing is sent, nobody is judged, and the same input gives the same rows.
//!
//! A *foreign* recording ([`crate::capture`]) holds what some client saw; the timers that shape data run on its receive
//! times. An *own* recording ([`crate::raw`]) holds the inputs of an engine, timeouts among them; they are handed over
//! as they were.
//!
//! Recordings that do not follow each other are sessions with an engine each, one after the other.

mod foreign;
mod origin;
pub use origin::recorded_venue;
mod own;
mod pace;
mod recordings;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use xtrader_core::batch::Batch;
use xtrader_core::config::{
    BatchLimits, BookLimits, EngineConfig, Numeric, SizeUnit, Stream, TradeSource, parse_venue,
};
use xtrader_core::engine::{Engine, Input};
use xtrader_core::report::{BookReport, ConflictReport};
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::table::{StampSource, Table};
use xtrader_core::time::Stamp;

use crate::error::RuntimeError;
use crate::raw;
use crate::sum::added;
use foreign::Foreign;
use own::Own;
use pace::Pace;

/// What this build calls itself in the `start` row of `raw`.
const BUILD: &str = concat!("xtrader ", env!("CARGO_PKG_VERSION"));

/// How fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// As fast as it goes.
    #[default]
    Max,
    /// As fast as it was.
    #[serde(alias = "1")]
    Real,
}

/// What to replay, and into what. What is left out is as it was recorded, in an own recording, and otherwise the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayOptions {
    /// Recordings: capture files (`.jsonl`, `.jsonl.gz`) and folders of them, in whatever order, or what `collect`
    /// wrote with table `raw`, in the order in which it did.
    pub paths: Vec<PathBuf>,
    /// Id of the exchange or of one of its markets, where the recording does not tell.
    pub exchange: Option<String>,
    /// Tables to fill; else all but `levels` and `raw`, of an own recording too.
    pub tables: Option<Vec<Table>>,
    /// Streams to take; else all. Foreign recordings only.
    pub streams: Option<Vec<Stream>>,
    /// How prices and sizes stand in the tables; else `float`.
    pub numeric: Option<Numeric>,
    /// What a size counts; else base units.
    pub size_unit: Option<SizeUnit>,
    /// Which of two trade feeds; else per symbol the first kind seen. Foreign recordings only.
    pub trade_source: Option<TradeSource>,
    /// How fast.
    pub speed: Speed,
    /// When a batch closes. `max_delay_ms` plays no part: at full speed nobody waits, and at real speed a batch closes
    /// when the next input is not due yet.
    pub batch: BatchLimits,
    /// Rules for order books. Foreign recordings only.
    pub book: Option<BookLimits>,
}

impl ReplayOptions {
    fn venue(&self) -> Result<Option<Venue>, RuntimeError> {
        let Some(given) = &self.exchange else { return Ok(None) };
        Ok(Some(parse_venue(given)?))
    }
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Bytes of the files that are behind us, compressed where they are.
    pub bytes_read: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// Frames handed to the engine.
    pub frames: u64,
}

/// What [`Replay::next_within`] has to say.
#[derive(Debug)]
pub enum Next {
    /// A closed batch.
    Batch(Batch),
    /// Time is up and there is no batch yet: look around and ask again.
    Waiting,
    /// There are no more.
    End,
}

/// A replay, to be pulled batch by batch.
pub struct Replay {
    feed: Feed,
    engine: Engine,
    /// The engine whose turn comes when this one has given out its batches.
    next: Option<Box<Engine>>,
    pace: Pace,
    tally: Tally,
    past: Past,
    ended: bool,
    failure: Option<RuntimeError>,
    begun: Instant,
    elapsed: Option<Duration>,
}

/// What engines that are over leave to the report.
#[derive(Default)]
struct Past {
    counters: Value,
    /// Every book as it stood last.
    books: Vec<BookReport>,
    arbitration: Value,
    conflicts: Vec<ConflictReport>,
}

impl Past {
    fn add(&mut self, engine: &Engine) {
        self.counters = added(self.counters.take(), engine.counters());
        self.books = self.books_with(engine);
        self.arbitration = added(self.arbitration.take(), json!(engine.arbitration()));
        self.conflicts.extend(engine.conflicts());
    }

    fn books_with(&self, engine: &Engine) -> Vec<BookReport> {
        let latest = engine.books();
        let name = |book: &BookReport| (book.exchange.clone(), book.symbol.clone());
        let named: HashSet<_> = latest.iter().map(name).collect();
        let earlier = self.books.iter().filter(|book| !named.contains(&name(book)));
        earlier.cloned().chain(latest.iter().cloned()).collect()
    }
}

/// How an engine begins.
struct Beginning {
    config: EngineConfig,
    build: String,
    at: Stamp,
    /// Inputs and gaps are numbered on from the engine before, if there was one.
    numbers_on: bool,
}

impl Beginning {
    fn engine(self, before: Option<&Engine>) -> Result<Engine, RuntimeError> {
        Ok(match before.filter(|_| self.numbers_on) {
            Some(before) => Engine::start_after(before, self.config, &self.build, self.at)?,
            None => Engine::start(self.config, &self.build, self.at)?,
        })
    }
}

enum Feed {
    Foreign(Box<Foreign>),
    Own(Box<Own>),
}

/// What was handed over, and what came out.
#[derive(Default)]
struct Tally {
    frames: u64,
    bytes: u64,
    replies: u64,
    sent: u64,
    connections: u64,
    rows: [u64; Table::ALL.len()],
}

/// What became of one step.
enum Step {
    /// One input was taken.
    Taken,
    /// The next one is due in this time.
    NotDue(Duration),
    /// Another engine begins here.
    Restart(Box<Beginning>),
    /// There is nothing more.
    End,
}

impl Replay {
    /// Opens recordings and starts an engine.
    ///
    /// # Errors
    /// Paths that hold no recording, an exchange that is unknown or not supported, options that make no sense.
    pub fn open(options: ReplayOptions) -> Result<Self, RuntimeError> {
        let own = match options.paths.split_first() {
            None => return Err(nothing_to_replay()),
            Some((first, rest)) => {
                let own = raw::is_raw(first);
                if rest.iter().any(|path| raw::is_raw(path) != own) {
                    let mixed = "captures and our own raw tables cannot be replayed as one recording: name either";
                    return Err(RuntimeError::Options(mixed.to_owned()));
                }
                own
            }
        };
        let pace = Pace::new(options.speed);
        let (feed, beginning) = if own {
            let (feed, beginning) = Own::open(options)?;
            (Feed::Own(Box::new(feed)), beginning)
        } else {
            let (feed, beginning) = Foreign::open(options)?;
            (Feed::Foreign(Box::new(feed)), beginning)
        };
        Ok(Self {
            feed,
            engine: beginning.engine(None)?,
            next: None,
            pace,
            tally: Tally::default(),
            past: Past::default(),
            ended: false,
            failure: None,
            begun: Instant::now(),
            elapsed: None,
        })
    }

    /// The next batch; `None` at the end. Blocks as long as it takes: see [`Self::next_within`].
    ///
    /// # Errors
    /// The recording cannot be read further. Every row of what came before has been handed out by then.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, RuntimeError> {
        loop {
            match self.next_within(Duration::from_secs(1))? {
                Next::Batch(batch) => return Ok(Some(batch)),
                Next::Waiting => {}
                Next::End => return Ok(None),
            }
        }
    }

    /// The next batch, if there is one before `patience` is over, so that a caller can look for signals.
    ///
    /// # Errors
    /// The recording cannot be read further. Every row of what came before has been handed out by then.
    pub fn next_within(&mut self, patience: Duration) -> Result<Next, RuntimeError> {
        /// Steps between two looks at the clock.
        const STRIDE: u32 = 32;
        let begun = Instant::now();
        let mut steps = 0_u32;
        loop {
            if let Some(batch) = self.engine.poll_batch() {
                let rows = batch.rows.num_rows() as u64;
                self.tally.rows[batch.table as usize] += rows;
                return Ok(Next::Batch(batch));
            }
            if let Some(next) = self.next.take() {
                self.past.add(&self.engine);
                self.engine = *next;
                self.pace.restart();
            }
            if self.ended {
                return self.failure.take().map_or(Ok(Next::End), Err);
            }
            match self.step() {
                Ok(Step::Taken) => {
                    steps = steps.wrapping_add(1);
                    if steps.is_multiple_of(STRIDE) && begun.elapsed() >= patience {
                        return Ok(Next::Waiting);
                    }
                }
                Ok(Step::NotDue(wait)) => {
                    if self.engine.open_rows().is_some() {
                        self.engine.close_batches();
                        continue;
                    }
                    let left = patience.saturating_sub(begun.elapsed());
                    if left.is_zero() {
                        return Ok(Next::Waiting);
                    }
                    std::thread::sleep(wait.min(left));
                }
                Ok(Step::Restart(beginning)) => match beginning.engine(Some(&self.engine)) {
                    Ok(engine) => {
                        self.engine.close_batches();
                        self.next = Some(Box::new(engine));
                    }
                    Err(error) => self.end(Some(error)),
                },
                Ok(Step::End) => self.end(None),
                Err(error) => self.end(Some(error)),
            }
        }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (bytes_read, bytes_total) = match &self.feed {
            Feed::Foreign(foreign) => foreign.bytes(),
            Feed::Own(own) => own.bytes(),
        };
        Progress { bytes_read, bytes_total, frames: self.tally.frames }
    }

    /// What was replayed and what came of it: the object that `xtrader replay --json` prints.
    #[must_use]
    pub fn report(&self) -> Value {
        let rows: serde_json::Map<String, Value> = Table::ALL
            .into_iter()
            .zip(self.tally.rows)
            .filter(|(table, _)| self.engine.tables().contains(table))
            .map(|(table, rows)| (table.name().to_owned(), rows.into()))
            .collect();
        let elapsed = self.elapsed.unwrap_or_else(|| self.begun.elapsed()).as_secs_f64();
        let rate = if elapsed > 0.0 { self.tally.frames as f64 / elapsed } else { 0.0 };
        json!({
            "frames": self.tally.frames,
            "bytes": self.tally.bytes,
            "replies": self.tally.replies,
            "sent": self.tally.sent,
            "connections": self.tally.connections,
            "rows": rows,
            "counters": added(self.past.counters.clone(), self.engine.counters()),
            "books": self.past.books_with(&self.engine),
            "arbitration": added(self.past.arbitration.clone(), json!(self.engine.arbitration())),
            "conflicts": self.past.conflicts.iter().cloned().chain(self.engine.conflicts()).collect::<Vec<_>>(),
            "elapsed_s": elapsed,
            "frames_per_s": rate,
        })
    }

    fn step(&mut self) -> Result<Step, RuntimeError> {
        let step = match &mut self.feed {
            Feed::Foreign(foreign) => foreign.step(&mut self.engine, &mut self.pace, &mut self.tally),
            Feed::Own(own) => own.step(&mut self.engine, &mut self.pace, &mut self.tally),
        }?;
        match self.engine.fault() {
            Some(fault) => Err(fault.clone().into()),
            None => Ok(step),
        }
    }

    fn end(&mut self, failure: Option<RuntimeError>) {
        self.engine.close_batches();
        self.failure = failure;
        self.ended = true;
        self.elapsed = Some(self.begun.elapsed());
    }
}

/// When an input came: the wall time only where it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    wall: Option<i64>,
    mono: u64,
}

impl From<Stamp> for At {
    fn from(stamp: Stamp) -> Self {
        Self { wall: Some(stamp.wall), mono: stamp.mono }
    }
}

/// What a feed drives: the engine, or a witness in tests.
trait Machine {
    /// Takes one input.
    fn take(&mut self, at: At, input: Input<'_>);
    /// See [`Engine::stamped_by`].
    fn stamped_by(&mut self, conn: ConnId, source: StampSource);
    /// When the timer is due.
    fn next_timeout(&self) -> Option<Stamp>;
    /// When something that is missing now is named.
    fn heals_until(&self) -> Option<Stamp>;
}

impl Machine for Engine {
    fn take(&mut self, at: At, input: Input<'_>) {
        self.handle_recorded(at.wall, at.mono, input);
        // Nothing is sent in a replay, so every wish is dropped.
        while self.poll_action().is_some() {}
    }

    fn stamped_by(&mut self, conn: ConnId, source: StampSource) {
        Self::stamped_by(self, conn, source);
    }

    fn next_timeout(&self) -> Option<Stamp> {
        Self::next_timeout(self)
    }

    fn heals_until(&self) -> Option<Stamp> {
        Self::heals_until(self)
    }
}

fn nothing_to_replay() -> RuntimeError {
    RuntimeError::Options("nothing to replay: name at least one recording".to_owned())
}

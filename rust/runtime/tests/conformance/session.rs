//! The engine on the live shell against a simulated exchange.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xtrader_core::config::{Endpoints, EngineConfig, SizeUnit, Stream};
use xtrader_runtime::RuntimeError;
use xtrader_runtime::live::{LiveOptions, LiveStream, Next, Policy, Resolver};
use xtrader_simulator::{Simulator, SimulatorConfig};

use crate::case::{Case, Subject};
use crate::tables::Tables;
use crate::truth::{Depth, compare_books, compare_trades};

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// A running stream and all that came of it.
pub struct Session {
    pub case: &'static Case,
    pub simulator: Simulator,
    pub stream: LiveStream,
    pub tables: Tables,
    pub warnings: Vec<String>,
    /// How long what one connection lacks is awaited from another.
    heal_window: Duration,
}

impl Session {
    /// Both instruments, from the start.
    pub fn start(case: &'static Case) -> Self {
        Self::with(case, |_| {}, |_| {})
    }

    /// As [`Self::start`], with changes of the simulator and of the stream.
    pub fn with(
        case: &'static Case,
        simulated: impl FnOnce(&mut SimulatorConfig),
        asked: impl FnOnce(&mut LiveOptions),
    ) -> Self {
        Self::try_with(case, simulated, asked).unwrap()
    }

    /// As [`Self::with`], where the stream may be refused at once.
    pub fn try_with(
        case: &'static Case,
        simulated: impl FnOnce(&mut SimulatorConfig),
        asked: impl FnOnce(&mut LiveOptions),
    ) -> Result<Self, RuntimeError> {
        let symbols: Vec<&str> = case.subjects.iter().map(|subject| subject.native).collect();
        // No more levels than any snapshot shows, so that whole books compare.
        let text = json!({ "exchange": case.venue.id(), "symbols": symbols, "book_levels": 300 });
        let mut config = SimulatorConfig::from_json(&text.to_string()).unwrap();
        simulated(&mut config);
        let simulator = Simulator::start(config).unwrap();

        let mut engine = EngineConfig::new(case.venue);
        engine.symbols = symbols.into_iter().map(str::to_owned).collect();
        engine.streams = vec![Stream::Trades, Stream::L2, Stream::Bbo];
        engine.size_unit = SizeUnit::Native;
        engine.endpoints = Some(Endpoints { ws: simulator.ws_url(), rest: simulator.rest_url() });
        // What is lost stays lost, so that it can be compared, unless a behaviour is about that.
        engine.arbitration.recover_trades = 0;
        engine.deadlines.backoff_base_ms = 20;
        engine.deadlines.backoff_cap_ms = 100;
        let mut options = LiveOptions::new(engine);
        options.policy = Policy::Block;
        if simulator.config().addresses.len() > 1 {
            // A name that stands for all of them.
            let (ips, url) = (simulator.config().addresses.clone(), simulator.ws_url());
            let port = url.rsplit(':').next().unwrap();
            let endpoints = Endpoints { ws: format!("ws://localhost:{port}"), rest: simulator.rest_url() };
            options.engine.endpoints = Some(endpoints);
            options.resolver = Resolver::new(move |_, port| Ok(ips.iter().map(|ip| (*ip, port).into()).collect()));
        }
        asked(&mut options);
        let heal_window = Duration::from_millis(options.engine.book.heal_window_ms);
        let stream = LiveStream::start(options)?;
        Ok(Self { case, simulator, stream, tables: Tables::default(), warnings: Vec::new(), heal_window })
    }

    /// Reads until `done` says so.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            let late = Instant::now() >= deadline;
            assert!(!late, "not in time: {what}; {:?} {:#?} {:#}", self.tables.rows, self.tables.gaps, self.report());
            if let Some(error) = self.read() {
                panic!("{what}: {error}");
            }
        }
    }

    /// Reads for so long.
    pub fn read_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if let Some(error) = self.read() {
                panic!("{error}");
            }
        }
    }

    /// Takes what is there, or waits a little. Yields why the stream has failed, if so.
    fn read(&mut self) -> Option<RuntimeError> {
        match self.stream.next_batch(Duration::from_millis(20)) {
            Next::Batch(batch) => self.tables.take(&batch),
            Next::Warning(warning) => self.warnings.push(warning),
            Next::TimedOut => {}
            Next::Failed(error) => return Some(error),
            Next::Closed => panic!("closed"),
        }
        None
    }

    /// Reads until the stream fails.
    pub fn failure(&mut self) -> RuntimeError {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(error) = self.read() {
                return error;
            }
            assert!(Instant::now() < deadline, "it does not fail: {:#}", self.report());
        }
    }

    /// Reads until every book is live, and a trade and a quote of each instrument have come.
    pub fn until_live(&mut self) {
        self.until("every stream speaks", |s| {
            s.case.subjects.iter().all(|subject| {
                s.is_live(subject) && ["trades", "bbo"].iter().all(|t| s.tables.count(t, subject.key) > 0)
            })
        });
    }

    /// Reads so many more rows of a table.
    pub fn until_more(&mut self, table: &'static str, subject: &Subject, rows: usize) {
        let wanted = self.tables.count(table, subject.key) + rows;
        self.until(&format!("{rows} more of {table}"), |s| s.tables.count(table, subject.key) >= wanted);
    }

    /// Injects a fault.
    pub fn inject(&self, fault: Value, target: Value, when: Value) -> u64 {
        let plan = json!({ "fault": fault, "target": target, "when": when });
        self.simulator.inject_json(&plan.to_string()).unwrap()
    }

    /// Waits until a fault has struck.
    pub fn until_struck(&mut self, fault: u64) {
        self.until("the fault strikes", |s| s.simulator.fault_fired(fault) > 0);
    }

    pub fn report(&self) -> Value {
        self.stream.report().unwrap()
    }

    /// A counter of the engine, by its path.
    pub fn counter(&self, path: &str) -> u64 {
        self.report()["counters"].pointer(path).and_then(Value::as_u64).unwrap_or_default()
    }

    /// How many connections are up.
    pub fn up(&self) -> usize {
        let report = self.report();
        report["connections"].as_array().unwrap().iter().filter(|connection| connection["state"] == "up").count()
    }

    /// What the report says of a book.
    pub fn book(&self, subject: &Subject) -> Value {
        let report = self.report();
        let books = report["books"].as_array().unwrap();
        books.iter().find(|book| book["native_symbol"] == subject.native).cloned().unwrap_or_default()
    }

    pub fn is_live(&self, subject: &Subject) -> bool {
        self.book(subject)["state"] == "live"
    }

    /// Stops the market, and waits until all that it has said is on its way.
    pub fn stand_still(&self) {
        self.simulator.pause();
        assert!(self.simulator.wait_drained(PATIENCE));
    }

    /// Stops the market and waits until every book is where the exchange's is, the last trades have come, and what is
    /// missing has been awaited long enough to be named.
    pub fn settle(&mut self) {
        self.stand_still();
        self.until("the last of everything", |s| {
            s.case.subjects.iter().all(|subject| {
                let (book, trade) = s.simulator.with_truth(|truth| {
                    let trades = truth.trades(s.case.trades, Some(subject.native));
                    (truth.final_book(subject.native).unwrap().last_id, trades.last().map(|trade| trade.id))
                });
                let last = s.tables.trades.iter().rfind(|row| row.key.name == subject.key);
                let ours = s.book(subject);
                ours["state"] == "live"
                    && ours["last_id"] == book
                    && last.map(|row| row.id) == trade.map(|id| i64::try_from(id).unwrap())
            })
        });
        self.read_for(self.heal_window + Duration::from_millis(250));
    }

    /// No gap of a book is left open. Those of trades wait a while for what may come late.
    pub fn assert_books_are_whole(&self) {
        for subject in &self.case.subjects {
            let gaps: Vec<_> = self.tables.gaps_of("l2", subject.key).collect();
            assert_eq!(gaps.iter().filter(|gap| gap.is_closed).count() * 2, gaps.len(), "{gaps:#?}");
        }
    }

    /// Settles, and compares everything that came with the truth. Yields how many trades are missing, and named.
    pub fn compare(&mut self) -> usize {
        self.compare_at(Depth::Whole)
    }

    /// As [`Self::compare`], where a client may not know the whole book.
    pub fn compare_at(&mut self, depth: Depth) -> usize {
        self.settle();
        assert!(compare_books(self.case, &self.simulator, &self.tables, depth) > 0);
        compare_trades(self.case, &self.simulator, &self.tables)
    }
}

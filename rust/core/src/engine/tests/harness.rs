//! A venue in the test's hands: it feeds inputs, jumps to deadlines and reads rows back as text.

use super::cells::cell;
pub use super::cells::value;
pub use super::frames::{agg_trade_at, depth_at, snapshot, snapshot_at};
use crate::batch::Batch;
use crate::config::{Arbitration, ConfigError, EngineConfig, Mode, SizeUnit, Stream};
use crate::engine::{Action, Command, ConnDown, DownReason, Engine, HttpReply, Input, RequestId};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;
use crate::time::{NS_PER_MS, Stamp};

pub const A: ConnId = ConnId(1);
pub const B: ConnId = ConnId(2);
/// 2026-11-22 12:00:00 UTC.
pub const NOON: i64 = 1_795_348_800 * 1_000_000_000;

/// Streams of every exchange.
pub const MARKET: [Stream; 3] = [Stream::Trades, Stream::L2, Stream::Bbo];

/// What is lost stays lost, unless a test is about that.
fn nothing_fetched() -> Arbitration {
    Arbitration { recover_trades: 0, ..Arbitration::default() }
}

pub fn config(streams: &[Stream]) -> EngineConfig {
    EngineConfig {
        symbols: vec!["BTCUSDT".into()],
        streams: streams.to_vec(),
        tables: vec![Table::Trades, Table::L2, Table::Bbo, Table::Gaps, Table::Instruments, Table::Raw],
        arbitration: nothing_fetched(),
        ..EngineConfig::new(Venue::BinanceFutures)
    }
}

/// A live engine of any venue, with every table.
pub fn live_config(venue: Venue, symbols: &[&str], streams: &[Stream]) -> EngineConfig {
    EngineConfig {
        symbols: symbols.iter().map(|&symbol| symbol.into()).collect(),
        streams: streams.to_vec(),
        tables: Table::ALL.into_iter().filter(|table| *table != Table::Levels).collect(),
        arbitration: nothing_fetched(),
        ..EngineConfig::new(venue)
    }
}

/// A recording: every symbol is accepted and nobody is judged.
pub fn recording() -> EngineConfig {
    EngineConfig { symbols: Vec::new(), mode: Mode::Replay, ..config(&MARKET) }
}

/// A recording of any venue, with every stream that it offers, in its own units.
pub fn recording_of(venue: Venue) -> EngineConfig {
    let streams: Vec<Stream> = crate::config::offered(venue);
    let config = live_config(venue, &[], &streams);
    EngineConfig { mode: Mode::Replay, size_unit: SizeUnit::Native, ..config }
}

pub struct World {
    pub engine: Engine,
    pub now: Stamp,
    pub actions: Vec<Action>,
    pub batches: Vec<Batch>,
}

impl World {
    pub fn new(config: EngineConfig) -> Self {
        let now = Stamp { wall: NOON, mono: 1_000_000_000 };
        let engine = Engine::start(config, "test", now).expect("a good configuration");
        let mut world = Self { engine, now, actions: Vec::new(), batches: Vec::new() };
        world.drain();
        world
    }

    /// A recording with connection A (and B) up.
    pub fn replaying(connections: u16) -> Self {
        let mut world = Self::new(recording());
        for conn in 1..=connections {
            world.input(Input::ConnUp {
                conn: ConnId(conn),
                url: "wss://fstream.binance.com/stream",
                link: crate::engine::Link::default(),
            });
        }
        world
    }

    /// A recording of any venue with so many connections up.
    pub fn replaying_at(venue: Venue, connections: u16) -> Self {
        let mut world = Self::new(recording_of(venue));
        for conn in 1..=connections {
            world.input(Input::ConnUp { conn: ConnId(conn), url: "", link: crate::engine::Link::default() });
        }
        world
    }

    /// A live engine for `streams`, its connections up and subscribed, and the actions so far forgotten.
    pub fn live(streams: &[Stream]) -> Self {
        let mut world = Self::new(config(streams));
        world.connect_all();
        world.actions.clear();
        world
    }

    /// Answers every wish to open a connection, and acknowledges the subscriptions.
    pub fn connect_all(&mut self) {
        for action in std::mem::take(&mut self.actions) {
            if let Action::Open { conn, url, .. } = action {
                self.input(Input::ConnUp { conn, url: &url, link: crate::engine::Link::default() });
                self.acknowledge(conn);
            } else {
                self.actions.push(action);
            }
        }
    }

    /// Answers every request that was sent on `conn`.
    pub fn acknowledge(&mut self, conn: ConnId) {
        let answers: Vec<String> = self.sent(conn).iter().flat_map(|text| super::frames::grants(text)).collect();
        for answer in answers {
            self.frame(conn, &answer);
        }
    }

    /// What was sent on a connection since the actions were last forgotten.
    pub fn sent(&self, conn: ConnId) -> Vec<String> {
        let sent = self.actions.iter().filter_map(|action| match action {
            Action::Send { conn: to, text } if *to == conn => Some(text.clone()),
            _ => None,
        });
        sent.collect()
    }

    /// Answers every request for reference data that was made, with one status and body, and forgets the actions.
    pub fn tell_reference(&mut self, status: u16, body: &str) -> usize {
        let asked: Vec<(RequestId, String)> = self
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Http { request, url, .. } if url.contains("nstruments") || url.contains("exchangeInfo") => {
                    Some((*request, url.clone()))
                }
                _ => None,
            })
            .collect();
        self.actions.retain(|action| !matches!(action, Action::Http { .. }));
        for (request, url) in &asked {
            self.reply(Some(*request), url, status, body);
        }
        asked.len()
    }

    pub fn input(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input);
        self.drain();
    }

    pub fn command(&mut self, command: &Command) -> Result<(), ConfigError> {
        let result = self.engine.command(self.now, command);
        self.drain();
        result
    }

    pub fn frame(&mut self, conn: ConnId, text: &str) {
        self.input(Input::Frame { conn, payload: text.as_bytes() });
    }

    pub fn down(&mut self, conn: ConnId, reason: DownReason) {
        let down = ConnDown { reason, code: None, detail: String::new(), retry_after_ms: None };
        self.input(Input::ConnDown { conn, down: &down });
    }

    pub fn reply(&mut self, request: Option<RequestId>, url: &str, status: u16, body: &str) {
        self.input(Input::Http(HttpReply { request, url, status, retry_after_ms: None, body: body.as_bytes() }));
    }

    /// A recorded snapshot of BTCUSDT.
    pub fn recorded_snapshot(&mut self, body: &str) {
        self.reply(None, "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 200, body);
    }

    /// Lets `ms` milliseconds pass, firing every timer on the way.
    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now.after(ms * NS_PER_MS.unsigned_abs());
        while let Some(due) = self.engine.next_timeout().filter(|due| due.mono <= end.mono) {
            self.now = if due.mono > self.now.mono { due } else { self.now };
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            self.actions.push(action);
        }
        while let Some(batch) = self.engine.poll_batch() {
            self.batches.push(batch);
        }
    }

    /// Requests asked for since the actions were last forgotten: number and URL.
    pub fn requests(&self, part: &str) -> Vec<RequestId> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::Http { request, url, .. } if url.contains(part) => Some(*request),
                _ => None,
            })
            .collect()
    }

    pub fn closes(&self) -> usize {
        self.actions.iter().filter(|a| matches!(a, Action::Close { .. })).count()
    }

    pub fn opens(&self) -> usize {
        self.actions.iter().filter(|a| matches!(a, Action::Open { .. })).count()
    }

    /// The rows of a table so far, the named columns joined by `|`; null is empty.
    pub fn rows(&mut self, table: Table, columns: &[&str]) -> Vec<String> {
        self.engine.close_batches();
        self.drain();
        rows(&self.batches, table, columns)
    }

    pub fn counters(&self) -> serde_json::Value {
        self.engine.counters()
    }

    pub fn count(&self, pointer: &str) -> u64 {
        self.counters().pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0)
    }
}

pub fn rows(batches: &[Batch], table: Table, columns: &[&str]) -> Vec<String> {
    batches
        .iter()
        .filter(|batch| batch.table == table)
        .flat_map(|batch| {
            (0..batch.rows.num_rows())
                .map(|row| columns.iter().map(|name| cell(&batch.rows, name, row)).collect::<Vec<_>>().join("|"))
        })
        .collect()
}

/// Every column of every row, for whole-table comparison.
pub fn all_rows(batches: &[Batch], table: Table) -> Vec<String> {
    let names: Vec<String> = batches
        .iter()
        .find(|batch| batch.table == table)
        .map(|batch| batch.rows.schema().fields().iter().map(|f| f.name().clone()).collect())
        .unwrap_or_default();
    rows(batches, table, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A depth diff as the manual shows it (§4).
pub fn depth(symbol: &str, (pu, first, last): (i64, i64, i64), bids: &str, asks: &str) -> String {
    depth_at(symbol, (pu, first, last), 1_795_348_700_000 + last, bids, asks)
}

pub fn agg_trade(id: i64, price: &str, size: &str) -> String {
    agg_trade_at("BTCUSDT", id, 1_795_348_700_000 + id, price, size)
}

pub fn trade(id: i64, kind: &str, size: &str) -> String {
    let time = 1_795_348_700_000 + id;
    format!(
        r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{time},"T":{time},"s":"BTCUSDT","t":{id},"p":"100.5","q":"{size}","X":"{kind}","m":false}}}}"#
    )
}

pub fn quote(update: i64, bid: &str, ask: &str) -> String {
    let time = 1_795_348_700_000 + update;
    format!(
        r#"{{"stream":"btcusdt@bookTicker","data":{{"e":"bookTicker","u":{update},"s":"BTCUSDT","b":"{bid}","B":"1.5","a":"{ask}","A":"2","T":{time},"E":{time}}}}}"#
    )
}

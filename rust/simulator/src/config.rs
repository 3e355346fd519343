//! The configuration: every key has a default, unknown keys are refused.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::SimulatorError;
use crate::book::{Scales, parse_decimal, rescale};
use crate::deribit;
use crate::exchange::ExchangeName;
use crate::fault::{Fault, FaultPlan};

/// Everything a simulator is told at its start. As JSON: an object, every key optional.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorConfig {
    /// Which exchange it plays: `binance-futures` (the default), `binance-spot`, `okx`, `deribit`. The defaults named
    /// below are those of `binance-futures`; others have their own.
    pub exchange: ExchangeName,
    /// Same seed, same market. Default 1.
    pub seed: u64,
    /// The instruments: names, or objects with a name and what differs from the defaults.
    /// Default: BTCUSDT, ETHUSDT, SOLUSDT and one dated future. Ignored when a capture is played.
    pub symbols: Vec<SymbolConfig>,
    /// Where events come from: `"synthetic"`, or `{"capture": {"path": …, "speed": 1.0}}`.
    pub source: Source,
    /// Price levels a side of each synthetic book never exceeds. Default 1500, at least 20.
    pub book_levels: usize,
    /// Speeds of Binance's depth stream that are produced. Futures have `100ms`, `250ms` (the plain `@depth`), `500ms`,
    /// `0ms`; spot `100ms`, `1000ms` (its plain `@depth`). Default: all.
    pub depth_speeds: Vec<DepthSpeed>,
    /// How many partitions of the same book changes there are. Connections take turns at them: with 2 or more, batches
    /// of one stream are cut at other ids on another connection, as gateways with clocks of their own would do. The
    /// truth of the books is one. Default 1: everybody gets the same batches.
    pub batch_phases: usize,
    /// Share of market orders that are liquidations, where the exchange tells of them. Default 0.02.
    pub liquidations: f64,
    /// Share of market orders beside which a block trade happens, where the exchange tells of them. Default 0; of
    /// Binance spot 0.01.
    pub block_trades: f64,
    /// Whether mark price, index and funding are told, where the exchange has them. Default true.
    pub mark_prices: bool,
    /// Whether the undocumented `@trade` stream of Binance futures delivers on `/public`. Default true.
    pub trade_stream: bool,
    /// Share of fills followed by a row that is no trade: `X` other than `MARKET`, or zero price. Default 0.002.
    pub odd_trades: f64,
    /// The exchange's clock at the start, ms since the epoch. Default: this machine's.
    pub start_ms: Option<i64>,
    /// Where it listens: addresses of this machine alone (`127.0.0.1`, `127.0.0.2` …), all of them with the same two ports, as
    /// the several addresses behind one name of an exchange. Default: 127.0.0.1.
    pub addresses: Vec<IpAddr>,
    /// Port of the WebSocket server; 0 (the default) takes a free one.
    pub ws_port: u16,
    /// Port of the REST server; 0 (the default) takes a free one.
    pub rest_port: u16,
    /// Serve `wss://` and `https://` with a certificate made at the start. Default false.
    pub tls: bool,
    /// Seconds from connect to the first server ping. Default 140.
    pub first_ping_s: f64,
    /// Seconds between server pings; 0 is none at all. Default 180.
    pub ping_interval_s: f64,
    /// Seconds without the pong that answers a ping after which the connection is cut; 0 is never. Default 600.
    pub pong_timeout_s: f64,
    /// Seconds a connection may live; 0 is without end. Default 86400.
    pub lifetime_s: f64,
    /// Seconds before that end at which it is announced, where the exchange has words for it; 0 is not at all. Default 0.
    pub lifetime_notice_s: f64,
    /// Seconds of silence (nothing sent, no text heard, nothing subscribed) after which an exchange that watches this
    /// closes a connection; 0 is never. Default 0; of OKX 30, of Deribit 60.
    pub idle_s: f64,
    /// Divides the six times above and the times of all limits: 24 hours pass in one with 24. Default 1.
    pub time_compression: f64,
    /// The exchange's limits.
    pub limits: Limits,
    /// Who may log in. Default: nobody; of OKX and Deribit one account with `simulator` in every text, and tier 9.
    pub accounts: Vec<Account>,
    /// Whether books carry the CRC32 that OKX sent until June 2026, instead of 0. Default false.
    pub checksums: bool,
    /// How much of the truth is written down.
    pub truth: TruthConfig,
    /// Set for load tests: subscribed streams then carry prepared frames at this pace instead of the market.
    pub load: Option<LoadConfig>,
    /// Faults that are scripted from the start.
    pub faults: Vec<FaultPlan>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        ExchangeName::default().defaults()
    }
}

impl SimulatorConfig {
    /// What the configuration of an exchange is where nothing is said.
    #[must_use]
    pub fn of(exchange: ExchangeName) -> Self {
        exchange.defaults()
    }

    /// Reads a configuration; the empty text is the default one. What it does not say is as the exchange that it
    /// names has it.
    ///
    /// # Errors
    /// [`SimulatorError::Json`] naming the key and the place.
    pub fn from_json(text: &str) -> Result<Self, SimulatorError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let wrong = |source| SimulatorError::Json { what: "the configuration", source };
        let read: Self = serde_json::from_str(text).map_err(wrong)?;
        if read.exchange == ExchangeName::default() {
            return Ok(read);
        }
        // What was read is right in itself; only its silence meant the defaults of another exchange.
        let mut whole = serde_json::to_value(Self::of(read.exchange)).map_err(wrong)?;
        overlay(&mut whole, serde_json::from_str(text).map_err(wrong)?);
        serde_json::from_value(whole).map_err(wrong)
    }

    /// Refuses values that make no sense.
    pub(crate) fn check(&self) -> Result<(), SimulatorError> {
        let positive = [
            ("time_compression", self.time_compression),
            ("limits.ban_s", self.limits.ban_s),
            ("limits.handshake_window_s", self.limits.handshake_window_s),
        ];
        let not_negative = [
            ("first_ping_s", self.first_ping_s),
            ("ping_interval_s", self.ping_interval_s),
            ("pong_timeout_s", self.pong_timeout_s),
            ("lifetime_s", self.lifetime_s),
            ("lifetime_notice_s", self.lifetime_notice_s),
            ("idle_s", self.idle_s),
        ];
        for (key, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return Err(SimulatorError::config(key, format!("{value} is not a number above 0")));
            }
        }
        for (key, value) in not_negative {
            if !(value.is_finite() && value >= 0.0) {
                return Err(SimulatorError::config(key, format!("{value} is not a number of seconds; 0 is never")));
            }
        }
        for (key, share) in
            [("odd_trades", self.odd_trades), ("liquidations", self.liquidations), ("block_trades", self.block_trades)]
        {
            if !(0.0..=1.0).contains(&share) {
                return Err(SimulatorError::config(key, "is a share: 0 to 1"));
            }
        }
        if self.lifetime_notice_s > self.lifetime_s {
            return Err(SimulatorError::config("lifetime_notice_s", "at most lifetime_s"));
        }
        if self.addresses.is_empty() || !self.addresses.iter().all(IpAddr::is_loopback) {
            return Err(SimulatorError::config("addresses", "one or more of this machine: 127.0.0.1, 127.0.0.2 …"));
        }
        if let Some(twice) = self.addresses.iter().enumerate().find(|(i, a)| self.addresses[..*i].contains(a)) {
            return Err(SimulatorError::config("addresses", format!("{} stands there twice", twice.1)));
        }
        if !(1..=64).contains(&self.batch_phases) {
            return Err(SimulatorError::config("batch_phases", "1 to 64"));
        }
        if self.book_levels < 20 {
            return Err(SimulatorError::config("book_levels", "at least 20"));
        }
        if self.load.is_some() && self.tls {
            return Err(SimulatorError::config("load", "load tests are served without TLS: set tls to false"));
        }
        if let Source::Capture { speed, .. } = &self.source
            && !(speed.is_finite() && *speed > 0.0)
        {
            return Err(SimulatorError::config("source.capture.speed", "a number above 0; 1 is the recorded speed"));
        }
        if matches!(self.source, Source::Synthetic) && self.symbols.is_empty() {
            return Err(SimulatorError::config("symbols", "at least one"));
        }
        for (i, symbol) in self.symbols.iter().enumerate() {
            if self.symbols[..i].iter().any(|s| s.symbol == symbol.symbol) {
                return Err(SimulatorError::config("symbols", format!("{} stands there twice", symbol.symbol)));
            }
        }
        self.faults.iter().try_for_each(|plan| self.check_plan(plan))
    }

    /// Refuses a fault that could never strike here.
    pub(crate) fn check_plan(&self, plan: &FaultPlan) -> Result<(), SimulatorError> {
        plan.check()?;
        if matches!(plan.fault, Fault::Certificate { .. }) && !self.tls {
            return Err(SimulatorError::config("fault certificate", "needs `tls`: true"));
        }
        let deribit_only = matches!(plan.fault, Fault::Lock { .. } | Fault::ShedAnonymous { .. });
        if deribit_only && self.exchange != ExchangeName::Deribit {
            return Err(SimulatorError::config(format!("fault {}", plan.fault.name()), "only deribit has this one"));
        }
        if let Some(address) = plan.target.address.filter(|a| !self.addresses.contains(a)) {
            let problem = format!("{address} is none of `addresses`");
            return Err(SimulatorError::config(format!("fault {}: target.address", plan.fault.name()), problem));
        }
        if matches!(plan.fault, Fault::RestartIds) && self.exchange != ExchangeName::Okx {
            return Err(SimulatorError::config("fault restart_ids", "only the ids of `okx` begin anew"));
        }
        let from_truth = matches!(plan.fault, Fault::StaleSnapshot { .. } | Fault::SnapshotAt { .. });
        if from_truth && !(self.truth.events && self.truth.books) {
            let problem = "reads the truth: `truth.events` and `truth.books` must be true";
            return Err(SimulatorError::config(format!("fault {}", plan.fault.name()), problem));
        }
        Ok(())
    }
}

/// Puts what is given over what is there; objects key by key, down to the leaves.
fn overlay(there: &mut serde_json::Value, given: serde_json::Value) {
    match (there, given) {
        (serde_json::Value::Object(there), serde_json::Value::Object(given)) => {
            for (key, value) in given {
                overlay(there.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (there, given) => *there = given,
    }
}

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A seeded market.
    Synthetic,
    /// A recorded capture. It starts at the first subscription.
    Capture {
        /// `.jsonl` or `.jsonl.gz` in the capture format.
        path: PathBuf,
        /// 2 plays twice as fast as recorded. Default 1.
        #[serde(default = "one")]
        speed: f64,
    },
}

fn one() -> f64 {
    1.0
}

/// Speeds of a depth stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DepthSpeed {
    /// `@depth@0ms`: undocumented, as it happens.
    #[serde(rename = "0ms")]
    Ms0,
    /// `@depth@100ms`.
    #[serde(rename = "100ms")]
    Ms100,
    /// `@depth` of futures: 250 ms is what the name without a speed means; written out it delivers nothing.
    #[serde(rename = "250ms")]
    Ms250,
    /// `@depth@500ms`.
    #[serde(rename = "500ms")]
    Ms500,
    /// `@depth` of spot.
    #[serde(rename = "1000ms")]
    Ms1000,
}

impl DepthSpeed {
    pub(crate) fn interval_ms(self) -> u64 {
        match self {
            Self::Ms0 => 0,
            Self::Ms100 => 100,
            Self::Ms250 => 250,
            Self::Ms500 => 500,
            Self::Ms1000 => 1000,
        }
    }

    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Ms0 => "@depth@0ms",
            Self::Ms100 => "@depth@100ms",
            Self::Ms250 | Self::Ms1000 => "@depth",
            Self::Ms500 => "@depth@500ms",
        }
    }
}

/// One instrument: a name alone takes realistic defaults, an object says what differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "SymbolForm")]
pub struct SymbolConfig {
    /// The exchange's name: `BTCUSDT`, `BTCUSDT_261225`.
    pub symbol: String,
    /// First price, as text. Its fraction digits (or those of `tick`, if more) are those of every price sent.
    pub price: String,
    /// Price step, as text.
    pub tick: String,
    /// Size step, as text.
    pub lot: String,
    /// Mean trades per second.
    pub trades_per_s: f64,
    /// Mean changes of the best bid or offer per second, those by trades left out.
    pub book_tickers_per_s: f64,
    /// Mean changed price levels per second behind the best ones.
    pub depth_changes_per_s: f64,
    /// Price levels that a side of its book never exceeds. Default: `book_levels`, and fewer where books are thin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<usize>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a symbol is a name, or an object with `symbol` and any of price, tick, lot (texts), \
                               trades_per_s, book_tickers_per_s, depth_changes_per_s, levels (numbers)"
)]
enum SymbolForm {
    Name(String),
    Object(SymbolObject),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SymbolObject {
    symbol: String,
    price: Option<String>,
    tick: Option<String>,
    lot: Option<String>,
    trades_per_s: Option<f64>,
    book_tickers_per_s: Option<f64>,
    depth_changes_per_s: Option<f64>,
    levels: Option<usize>,
}

impl From<SymbolForm> for SymbolConfig {
    fn from(form: SymbolForm) -> Self {
        let o = match form {
            SymbolForm::Name(name) => return Self::named(&name),
            SymbolForm::Object(o) => o,
        };
        let d = Self::named(&o.symbol);
        Self {
            price: o.price.unwrap_or(d.price),
            tick: o.tick.unwrap_or(d.tick),
            lot: o.lot.unwrap_or(d.lot),
            trades_per_s: o.trades_per_s.unwrap_or(d.trades_per_s),
            book_tickers_per_s: o.book_tickers_per_s.unwrap_or(d.book_tickers_per_s),
            depth_changes_per_s: o.depth_changes_per_s.unwrap_or(d.depth_changes_per_s),
            levels: o.levels.or(d.levels),
            symbol: o.symbol,
        }
    }
}

impl SymbolConfig {
    /// A symbol with the defaults of its name.
    #[must_use]
    pub fn named(symbol: &str) -> Self {
        let (price, tick, lot, rates, levels) = match symbol {
            "BTCUSDT" => ("76900.00", "0.10", "0.001", [20.0, 60.0, 300.0], None),
            "ETHUSDT" => ("1943.60", "0.01", "0.001", [15.0, 50.0, 250.0], None),
            "SOLUSDT" => ("140.0000", "0.0100", "0.01", [8.0, 25.0, 150.0], None),
            "ETHBTC" => ("0.02527", "0.00001", "0.0001", [3.0, 10.0, 60.0], None),
            "BTC-USDT" => ("76900.0", "0.1", "0.00001", [10.0, 40.0, 200.0], None),
            "ETH-USDT" => ("1943.60", "0.01", "0.0001", [8.0, 30.0, 150.0], None),
            "BTC-USDT-SWAP" => ("76890.0", "0.1", "0.01", [15.0, 50.0, 250.0], None),
            "BTC-USD-SWAP" => ("76910.0", "0.1", "1", [5.0, 20.0, 100.0], None),
            // An option's price is in its base.
            s if s.starts_with("BTC-USD-") && s.ends_with(['C', 'P']) => {
                ("0.1250", "0.0001", "1", [0.5, 3.0, 20.0], None)
            }
            s if s.starts_with("BTC-USD-") => ("77400.0", "0.1", "1", [1.0, 6.0, 40.0], None),
            s if s.starts_with("BTCUSDT_") => ("77400.0", "0.1", "0.001", [0.5, 4.0, 30.0], None),
            // Names of Deribit tell what they are.
            s => deribit::defaults(s).unwrap_or(("100.000", "0.010", "0.01", [4.0, 15.0, 80.0], None)),
        };
        let [trades_per_s, book_tickers_per_s, depth_changes_per_s] = rates;
        Self {
            symbol: symbol.to_owned(),
            price: price.to_owned(),
            tick: tick.to_owned(),
            lot: lot.to_owned(),
            trades_per_s,
            book_tickers_per_s,
            depth_changes_per_s,
            levels,
        }
    }

    /// The numbers as mantissas: scales, price, tick, lot.
    pub(crate) fn numbers(&self) -> Result<(Scales, i64, i64, i64), SimulatorError> {
        let key = |field: &str| format!("symbols.{}.{field}", self.symbol);
        // The `d` is the decimal point of Deribit's strikes.
        let name_ok = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"_-d".contains(&b);
        if self.symbol.is_empty() || !self.symbol.bytes().all(name_ok) {
            return Err(SimulatorError::config("symbols", format!("{:?} is no symbol: A-Z, 0-9, _, -", self.symbol)));
        }
        let read = |field: &str, text: &str| {
            parse_decimal(text)
                .filter(|n| n.0 > 0)
                .ok_or_else(|| SimulatorError::config(key(field), format!("{text:?} is no decimal text above 0")))
        };
        let (price, tick, lot) = (read("price", &self.price)?, read("tick", &self.tick)?, read("lot", &self.lot)?);
        for (field, rate) in [
            ("trades_per_s", self.trades_per_s),
            ("book_tickers_per_s", self.book_tickers_per_s),
            ("depth_changes_per_s", self.depth_changes_per_s),
        ] {
            if !(0.0..=1e6).contains(&rate) {
                return Err(SimulatorError::config(key(field), format!("{rate} is not in 0 to 1000000")));
            }
        }
        let scales = Scales { price: price.1.max(tick.1), size: lot.1 };
        let too_large = || SimulatorError::config(key("price"), "price, tick and lot must fit in 18 digits");
        let (p, t) = (rescale(price, scales.price), rescale(tick, scales.price));
        let (p, t) = (p.ok_or_else(too_large)?, t.ok_or_else(too_large)?);
        if p % t != 0 || p > i64::MAX / 1000 || lot.0 > i64::MAX / 1_000_000 {
            return Err(SimulatorError::config(
                key("price"),
                format!("{} is no multiple of the tick {}, or too large", self.price, self.tick),
            ));
        }
        if p / t < 50 {
            return Err(SimulatorError::config(key("price"), "at least 50 ticks, so that a book fits below it"));
        }
        if self.levels.is_some_and(|l| l < 20) {
            return Err(SimulatorError::config(key("levels"), "at least 20"));
        }
        Ok((scales, p, t, lot.0))
    }
}

/// The exchange's limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Streams of one connection; one more closes it. Default 1024.
    pub streams_per_connection: usize,
    /// Frames a client may send in one second; one more closes the connection. Default 10.
    pub messages_per_s: usize,
    /// Whether pings and pongs count as such frames. Default false.
    pub control_frames_count: bool,
    /// WebSocket connections of one client address open at a time; one more is refused (429). 0 (the default) is without
    /// limit; of Deribit 32.
    pub connections: usize,
    /// Whether one more is served, and the oldest of the same client is closed for it instead. Default false.
    pub close_oldest: bool,
    /// WebSocket upgrades of one client address within `handshake_window_s`; one more is refused (429). 0 (the default) is without limit.
    pub handshakes: usize,
    /// Seconds. Default 300.
    pub handshake_window_s: f64,
    /// REST weight in one minute of UTC. Default 2400.
    pub weight_per_minute: u32,
    /// Refused requests in one window after which the address is banned (418). Default 10.
    pub refusals_before_ban: u32,
    /// Seconds of a ban. Default 120.
    pub ban_s: f64,
    /// Requests to subscribe, unsubscribe and log in within an hour of one connection, where the exchange counts them.
    /// Default 480.
    pub requests_per_hour: usize,
    /// Trades of one instrument, of each kind, that REST can still tell; older ones are too old to be had. 0 is none.
    /// Default 100 000.
    pub trade_history: usize,
    /// Bytes that may wait for a slow reader before it is cut. Default 64 MiB.
    pub send_queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams_per_connection: 1024,
            messages_per_s: 10,
            control_frames_count: false,
            connections: 0,
            close_oldest: false,
            handshakes: 0,
            handshake_window_s: 300.0,
            weight_per_minute: 2400,
            refusals_before_ban: 10,
            ban_s: 120.0,
            requests_per_hour: 480,
            trade_history: 100_000,
            send_queue_bytes: 64 << 20,
        }
    }
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// API key, or client id.
    pub key: String,
    /// What requests are signed with, or the client's secret.
    pub secret: String,
    /// Where the exchange asks for one too.
    #[serde(default)]
    pub passphrase: String,
    /// Fee tier (VIP level), where something depends on it. Default 0.
    #[serde(default)]
    pub tier: u8,
}

/// How much of the truth is written down. A kind that is off, or over its limit, is missing from the answers, and
/// [`crate::Truth::complete`] says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TruthConfig {
    /// Every issued event; positioned snapshots are taken from them. Default true.
    pub events: bool,
    /// Every frame handed to a socket. Default true.
    pub frames: bool,
    /// Every change of every book. Default true; off, only the present book is known.
    pub books: bool,
    /// Entries of each kind that are kept; later ones are counted only. Default 5 000 000.
    pub limit: usize,
}

impl Default for TruthConfig {
    fn default() -> Self {
        Self { events: true, frames: true, books: true, limit: 5_000_000 }
    }
}

/// A load test: see [`crate::LoadReport`] for how latency is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadConfig {
    /// What the frames are.
    pub kind: LoadKind,
    /// Frames per second on each connection; 0 is as many as its socket takes. Default 10 000.
    pub frames_per_s: u64,
    /// Frames after which a connection falls silent; 0 is no end. Default 0.
    pub frames: u64,
    /// Wait for the next frame's time by spinning. Takes a core, and spaces frames evenly where the system's timer is
    /// coarse; else frames that are due together go out together, each in a write of its own. Default false.
    pub spin: bool,
    /// Write times that are kept per connection. Default 2 000 000.
    pub stamps: usize,
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self { kind: LoadKind::BookTicker, frames_per_s: 10_000, frames: 0, spin: false, stamps: 2_000_000 }
    }
}

/// Kinds of prepared frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadKind {
    /// `@bookTicker`: the number of the frame is in `u`.
    BookTicker,
    /// `@trade`: the number of the frame is in `t`.
    Trade,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_objects_are_symbols_and_unknown_keys_are_refused() {
        let c = SimulatorConfig::from_json(
            r#"{"seed":7,"symbols":["BTCUSDT",{"symbol":"XUSDT","price":"10.000","tick":"0.001","trades_per_s":1}]}"#,
        )
        .expect("a configuration");
        assert_eq!(c.seed, 7);
        assert_eq!(c.symbols[0], SymbolConfig::named("BTCUSDT"));
        assert_eq!(c.symbols[1].trades_per_s, 1.0);
        assert_eq!(c.symbols[1].numbers().expect("numbers"), (Scales { price: 3, size: 2 }, 10_000, 1, 1));
        for bad in [r#"{"sed":7}"#, r#"{"symbols":[{"symbol":"X","tik":"1"}]}"#, r#"{"source":{"file":"x"}}"#] {
            assert!(SimulatorConfig::from_json(bad).is_err(), "{bad}");
        }
        assert!(SimulatorConfig::from_json("").expect("the default").check().is_ok());
    }

    #[test]
    fn nonsense_is_refused_with_its_key() {
        let refused = |json: &str| match SimulatorConfig::from_json(json).expect("JSON").check() {
            Err(SimulatorError::Config { key, .. }) => key,
            other => panic!("{json}: {other:?}"),
        };
        assert_eq!(refused(r#"{"time_compression":0}"#), "time_compression");
        assert_eq!(refused(r#"{"book_levels":3}"#), "book_levels");
        assert_eq!(refused(r#"{"lifetime_s":5,"lifetime_notice_s":6}"#), "lifetime_notice_s");
        assert_eq!(refused(r#"{"addresses":[]}"#), "addresses");
        assert_eq!(refused(r#"{"addresses":["8.8.8.8"]}"#), "addresses");
        assert_eq!(refused(r#"{"addresses":["127.0.0.1","127.0.0.1"]}"#), "addresses");
        let elsewhere = r#"{"faults":[{"fault":{"kind":"drop"},"target":{"address":"127.0.0.9"}}]}"#;
        assert_eq!(refused(elsewhere), "fault drop: target.address");
        assert_eq!(refused(r#"{"symbols":["BTCUSDT","BTCUSDT"]}"#), "symbols");
        assert_eq!(refused(r#"{"tls":true,"load":{}}"#), "load");
        let mut s = SymbolConfig::named("BTCUSDT");
        s.price = "0.05".into();
        assert!(s.numbers().is_err());
        s.symbol = "btc".into();
        assert!(s.numbers().is_err());
    }

    #[test]
    fn a_configuration_survives_the_way_through_json() {
        let text = serde_json::to_string(&SimulatorConfig::default()).expect("JSON");
        let again = SimulatorConfig::from_json(&text).expect("a configuration");
        assert_eq!(text, serde_json::to_string(&again).expect("JSON"));
    }
}

//! What one engine is told to do. Parsed once, refused whole where it does not make sense.
//!
//! Defaults live here and nowhere else in Rust; the Python model repeats them and a test compares the two.

mod arbitration;
mod row_form;
mod selection;
mod streams;

pub use arbitration::{Arbitration, DedupLimits, Verify};
pub use row_form::RowForm;
pub use selection::{Condition, Selection, What};

use serde::{Deserialize, Serialize};

use crate::arbiter::MergeRule;
use crate::exchange::{Protocol, with_protocol};
use crate::symbol::{Exchange, Venue};
use crate::table::{InstrumentKind, Table};

/// How prices and sizes stand in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Numeric {
    /// `float64`; rows whose numbers a double cannot say carry the flag `lossy`.
    #[default]
    Float,
    /// `decimal128(38, 18)`.
    Decimal,
    /// `int64` mantissas with `int8` columns `price_scale` and `size_scale`.
    Fixed,
}

impl Numeric {
    /// The mode's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Decimal => "decimal",
            Self::Fixed => "fixed",
        }
    }
}

/// What a size counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeUnit {
    /// Base units.
    #[default]
    Base,
    /// The exchange's own units (contracts).
    Native,
}

impl SizeUnit {
    /// The unit's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Native => "native",
        }
    }
}

/// A stream that a subscription may ask for. Each fills the table of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Trades.
    Trades,
    /// Order book, every change.
    L2,
    /// Best bid and offer.
    Bbo,
    /// Mark and index price, funding, open interest.
    Derivatives,
    /// Implied volatility, greeks, underlying.
    Options,
    /// Positions that the exchange closed.
    Liquidations,
    /// The best levels of the live book, sampled.
    L2Top,
}

impl Stream {
    /// Every stream there is.
    pub const ALL: [Self; 7] =
        [Self::Trades, Self::L2, Self::Bbo, Self::Derivatives, Self::Options, Self::Liquidations, Self::L2Top];

    /// The stream's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.table().name()
    }

    /// The table that the stream fills.
    #[must_use]
    pub const fn table(self) -> Table {
        match self {
            Self::Trades => Table::Trades,
            Self::L2 => Table::L2,
            Self::Bbo => Table::Bbo,
            Self::Derivatives => Table::Derivatives,
            Self::Options => Table::Options,
            Self::Liquidations => Table::Liquidations,
            Self::L2Top => Table::L2Top,
        }
    }

    /// Whether there is such a thing of instruments of this kind, anywhere.
    #[must_use]
    pub const fn may_be_of(self, kind: InstrumentKind) -> bool {
        match self {
            Self::Trades | Self::L2 | Self::Bbo | Self::L2Top => true,
            Self::Derivatives | Self::Liquidations => !matches!(kind, InstrumentKind::Spot),
            Self::Options => matches!(kind, InstrumentKind::Option | InstrumentKind::Other),
        }
    }

    /// The stream whose channels carry it: the best levels are sampled from any book.
    #[must_use]
    pub const fn carrier(self) -> Self {
        match self {
            Self::L2Top => Self::L2,
            own => own,
        }
    }
}

/// Where trades come from, on an exchange that offers two feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TradeSource {
    /// Live: the exchange's default feed. Replay: per symbol the first kind seen.
    #[default]
    Auto,
    /// Fills of one taker folded into one row (Binance `@aggTrade`, OKX `trades`).
    AggTrade,
    /// Single fills (Binance `@trade`, OKX `trades-all`, Deribit `trades`).
    Trade,
}

/// Speed of the book stream. Which of them an exchange offers, its folder says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DepthSpeed {
    /// The exchange's best documented one that needs no login; with a login the best there is.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// Every change as it happens (Deribit, needs a login).
    #[serde(rename = "raw")]
    Raw,
    /// Real time, undocumented (Binance USDⓈ-M).
    #[serde(rename = "0ms")]
    Ms0,
    /// Every 10 ms (OKX tick by tick, needs a login and a fee tier).
    #[serde(rename = "10ms")]
    Ms10,
    /// Every 100 ms.
    #[serde(rename = "100ms")]
    Ms100,
    /// Every 250 ms.
    #[serde(rename = "250ms")]
    Ms250,
    /// Every 500 ms.
    #[serde(rename = "500ms")]
    Ms500,
    /// Every second.
    #[serde(rename = "1000ms")]
    Ms1000,
    /// Slower aggregate, about a second (Deribit).
    #[serde(rename = "agg2")]
    Agg2,
}

/// Is there an exchange at the other end?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Connections are opened and peers are judged (acks, first data, silence, retries).
    #[default]
    Live,
    /// A foreign recording: every recorded symbol and stream is accepted and nothing is sent.
    Replay,
}

/// Addresses of the exchange: itself, a testnet or the simulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// WebSocket base without the path family, e.g. `wss://fstream.binance.com`.
    pub ws: String,
    /// REST base, e.g. `https://fapi.binance.com`.
    pub rest: String,
}

/// What logs in to an exchange. Held by the shell: no engine, no recording and no log ever sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// API key or client id.
    pub key: String,
    /// Its secret.
    pub secret: String,
    /// The passphrase, where the exchange has one (OKX).
    pub passphrase: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// When a batch closes. Cost: rows wait, and memory holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchLimits {
    /// Rows in one batch of one table, 1 … 1 048 576.
    pub max_rows: usize,
    /// Bytes in one batch of one table, 64 KiB … 1 GiB.
    pub max_bytes: usize,
    /// Milliseconds that the oldest row may wait for a consumer that is behind, 0 … 60 000.
    pub max_delay_ms: u64,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { max_rows: 8192, max_bytes: 1 << 20, max_delay_ms: 5 }
    }
}

/// Rules for order books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BookLimits {
    /// Seconds between full-book rows (`source = checkpoint`), beside the one at every UTC day; 1 … 86 400.
    pub checkpoint_interval_s: u64,
    /// Milliseconds that an early event waits for another connection to fill the hole; 0 … 60 000. So long the rows of a
    /// book behind a hole come late, at worst, and a hole in the trades is named late; shorter, and what another
    /// connection would have brought becomes a gap, and a book is asked for anew. Alone a connection waits for nobody.
    pub heal_window_ms: u64,
    /// Events that one book may hold while it has no snapshot or waits for a bridge; the oldest is dropped and
    /// counted beyond it. 1 … 1 048 576.
    pub max_held_events: usize,
    /// Levels (16 bytes each) that the held events of one book may carry together; as above beyond it.
    /// 1 … 67 108 864.
    pub max_held_levels: usize,
    /// Levels that one message may carry; more is rejected. 1 … 4 194 304.
    pub max_levels: usize,
}

impl Default for BookLimits {
    fn default() -> Self {
        Self {
            checkpoint_interval_s: 3600,
            heal_window_ms: 250,
            max_held_events: 4096,
            max_held_levels: 1 << 20,
            max_levels: 1 << 20,
        }
    }
}

/// The sampled best levels (`l2_top`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopLimits {
    /// Levels a side, 1 … 1000. Cost: so many numbers a row, times four.
    pub depth: usize,
    /// Milliseconds between two samples of one book, 1 … 3 600 000; a book that has not changed since gives no row.
    pub interval_ms: u64,
}

impl Default for TopLimits {
    fn default() -> Self {
        Self { depth: 10, interval_ms: 100 }
    }
}

/// Deadlines that judge a peer. Live only: a recording cannot answer what was never asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// Milliseconds from SUBSCRIBE to its answer.
    pub ack_ms: u64,
    /// Milliseconds from SUBSCRIBE to the first data frame of each stream. An ack proves nothing.
    pub first_data_ms: u64,
    /// Milliseconds without any data frame after which a connection is asked something that it must answer within
    /// `ack_ms`, and its streams are compared with REST: a dead one is given up, a quiet one left alone.
    pub silence_ms: u64,
    /// Milliseconds without a frame after which one stream is probed by REST (quiet or dead?).
    pub stream_silence_ms: u64,
    /// Milliseconds that a REST reply may take.
    pub http_ms: u64,
    /// First upper bound of the full-jitter backoff, milliseconds.
    pub backoff_base_ms: u64,
    /// Largest upper bound of the backoff, milliseconds.
    pub backoff_cap_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            ack_ms: 10_000,
            first_data_ms: 30_000,
            silence_ms: 30_000,
            stream_silence_ms: 60_000,
            http_ms: 10_000,
            backoff_base_ms: 500,
            backoff_cap_ms: 30_000,
        }
    }
}

/// Everything one engine needs to know. Serialised whole into the `start` row of `raw`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// The venue it serves.
    pub venue: Venue,
    /// Live or a foreign recording.
    #[serde(default)]
    pub mode: Mode,
    /// Symbols, unified or native, or patterns of them: see [`Selection`]. Must be empty in a replay of a foreign recording: everything is accepted there.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// Streams of each symbol.
    #[serde(default = "default_streams")]
    pub streams: Vec<Stream>,
    /// Tables to fill.
    #[serde(default = "default_tables")]
    pub tables: Vec<Table>,
    /// How prices and sizes stand in them.
    #[serde(default)]
    pub numeric: Numeric,
    /// What a size counts.
    #[serde(default)]
    pub size_unit: SizeUnit,
    /// In the replay of a session of ours whose rows are to be otherwise: how they were, see [`Self::write_as`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_for: Option<RowForm>,
    /// Connections that carry each stream, 1 … 16: of what comes on several the first arrival counts. Each costs the
    /// exchange's whole rate of bytes, and one connection of what it allows.
    #[serde(default = "one")]
    pub connections: u16,
    /// Rules for several connections to one stream.
    #[serde(default)]
    pub arbitration: Arbitration,
    /// Which trade feed.
    #[serde(default)]
    pub trade_source: TradeSource,
    /// Which book speed.
    #[serde(default)]
    pub depth_speed: DepthSpeed,
    /// Log in before subscribing. The shell holds the credentials.
    #[serde(default)]
    pub login: bool,
    /// Where the exchange is; `None` is the exchange itself.
    #[serde(default)]
    pub endpoints: Option<Endpoints>,
    /// Number of the shard, in every row.
    #[serde(default)]
    pub shard: u16,
    /// Seed of the jitter.
    #[serde(default)]
    pub seed: u64,
    /// When a batch closes.
    #[serde(default)]
    pub batch: BatchLimits,
    /// Rules for order books.
    #[serde(default)]
    pub book: BookLimits,
    /// The sampled best levels.
    #[serde(default)]
    pub l2_top: TopLimits,
    /// Deadlines that judge a peer.
    #[serde(default)]
    pub deadlines: Deadlines,
    /// Seconds between two fetches of the reference data while running, 10 … 86 400.
    #[serde(default = "default_reference_interval_s")]
    pub reference_interval_s: u64,
    /// Seconds between two requests for the open interest of an instrument of `derivatives`, where an exchange tells it by
    /// REST alone (Binance USDⓈ-M), 1 … 3600; 0 asks for none. Each costs weight 1 of the exchange's budget, of which so many
    /// as would take more than half of it are spread over a longer time.
    #[serde(default = "default_open_interest_interval_s")]
    pub open_interest_interval_s: u64,
    /// Instruments that one engine may know; more are ignored and counted. 1 … 16 777 216.
    #[serde(default = "default_max_instruments")]
    pub max_instruments: usize,
}

fn default_streams() -> Vec<Stream> {
    vec![Stream::Trades, Stream::L2]
}

/// All but those that repeat what others say. One whose stream is not asked for stays empty.
fn default_tables() -> Vec<Table> {
    Table::ALL.into_iter().filter(|table| !matches!(table, Table::Levels | Table::Raw)).collect()
}

const fn one() -> u16 {
    1
}

const fn default_reference_interval_s() -> u64 {
    3600
}

const fn default_open_interest_interval_s() -> u64 {
    60
}

const fn default_max_instruments() -> usize {
    65_536
}

/// Reads a subscription, `EXCHANGE:SYMBOL`, e.g. `binance-futures:BTCUSDT` or `okx-swap:*USDT`: the venue that serves
/// it, and what to write into [`EngineConfig::symbols`].
///
/// # Errors
/// No colon, or an exchange that is not there (the error lists what there is).
pub fn parse_subscription(text: &str) -> Result<(Venue, String), ConfigError> {
    let Some((exchange, _)) = text.split_once(':') else {
        return Err(ConfigError::Contradiction(format!(
            "subscription {text:?} has no colon; write EXCHANGE:SYMBOL, e.g. binance-futures:BTCUSDT"
        )));
    };
    Ok((parse_exchange(exchange)?.venue(), text.to_owned()))
}

/// Reads the id of a market or of a venue.
///
/// # Errors
/// An exchange that is not there; the error lists what there is.
pub fn parse_exchange(text: &str) -> Result<Exchange, ConfigError> {
    Exchange::ALL
        .into_iter()
        .find(|exchange| exchange.id() == text)
        .ok_or_else(|| ConfigError::Exchange { given: text.to_owned(), available: Exchange::DICTIONARY.join(", ") })
}

/// Reads a venue's id; a market's means the venue that carries it.
///
/// # Errors
/// A venue that is not there; the error lists what there is.
pub fn parse_venue(text: &str) -> Result<Venue, ConfigError> {
    parse_exchange(text).map(Exchange::venue)
}

/// Reads a stream's name.
///
/// # Errors
/// A stream that `venue` does not offer; the error lists what it does.
pub fn parse_stream(venue: Venue, text: &str) -> Result<Stream, ConfigError> {
    let offered = offered(venue);
    offered.iter().copied().find(|stream| stream.name() == text).ok_or_else(|| ConfigError::Stream {
        given: text.to_owned(),
        exchange: venue.id(),
        available: list(offered.iter().map(|stream| stream.name())),
    })
}

/// Streams that at least one market of a venue offers, in the order of [`Stream::ALL`].
#[must_use]
pub fn offered(venue: Venue) -> Vec<Stream> {
    let markets = with_protocol!(venue, P => P::MARKETS);
    Stream::ALL.into_iter().filter(|stream| markets.iter().any(|market| offers(*market, *stream))).collect()
}

/// Whether a market offers a stream.
#[must_use]
pub fn offers(market: Exchange, stream: Stream) -> bool {
    with_protocol!(market.venue(), P => P::streams(market)).contains(&stream.carrier())
}

/// Reads a table's name.
///
/// # Errors
/// A table that is not there; the error lists what there is.
pub fn parse_table(text: &str) -> Result<Table, ConfigError> {
    Table::ALL.into_iter().find(|table| table.name() == text).ok_or_else(|| ConfigError::Table {
        given: text.to_owned(),
        available: list(Table::ALL.into_iter().map(Table::name)),
    })
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Why a configuration was refused. Every variant names the place and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON of this shape, or an unknown key.
    #[error("configuration: {0}")]
    Shape(String),
    /// A value outside its bounds.
    #[error("configuration: {key} = {value} is out of bounds, it takes {bounds}")]
    Bounds {
        /// Path of the key.
        key: &'static str,
        /// What was given.
        value: u64,
        /// What it takes.
        bounds: &'static str,
    },
    /// An exchange that is not there.
    #[error("exchange {given:?} is not supported; there is: {available}")]
    Exchange {
        /// What was given.
        given: String,
        /// What there is.
        available: String,
    },
    /// A stream that the exchange does not offer.
    #[error("stream {given:?} is not offered by {exchange}; there is: {available}")]
    Stream {
        /// What was given.
        given: String,
        /// By whom.
        exchange: &'static str,
        /// What there is.
        available: String,
    },
    /// A table that is not there.
    #[error("table {given:?} is unknown; there is: {available}")]
    Table {
        /// What was given.
        given: String,
        /// What there is.
        available: String,
    },
    /// A symbol that cannot be one.
    #[error("symbol {given:?} cannot be a symbol of {exchange}: {reason}")]
    Symbol {
        /// What was given.
        given: String,
        /// Of which exchange.
        exchange: &'static str,
        /// Why not, and what to write instead.
        reason: &'static str,
    },
    /// A symbol that the exchange does not list.
    #[error("{exchange} lists no instrument {given:?}{hint}")]
    NotListed {
        /// What was given.
        given: String,
        /// Of which exchange.
        exchange: &'static str,
        /// What it lists that is like it, as a sentence; may be empty.
        hint: String,
    },
    /// Sizes cannot become base units, since nobody has told what a contract is.
    #[error(
        "{exchange}:{symbol}: sizes are contracts and no reference data that came before tell what one is worth; \
         choose --size-unit native (size_unit = \"native\"), or give the recorded reply of the instruments before it"
    )]
    MissingReference {
        /// Of which exchange.
        exchange: &'static str,
        /// Which instrument, by the exchange's own name.
        symbol: String,
    },
    /// Base units of inverse contracts in `fixed`.
    #[error(
        "{exchange}:{symbol}: base units of inverse contracts are quotients, which numeric = \"fixed\" does not hold; choose \
         --size-unit native (size_unit = \"native\") or --numeric decimal (numeric = \"decimal\"), or leave the instrument out"
    )]
    Quotients {
        /// Of which exchange.
        exchange: &'static str,
        /// Which instrument.
        symbol: String,
    },
    /// The exchange refused to log us in, or every stream that was asked for.
    #[error("{exchange} refused: {text} (code {code})")]
    Refused {
        /// Which exchange.
        exchange: &'static str,
        /// Its words, control characters escaped.
        text: String,
        /// Its code.
        code: i64,
    },
    /// More connections than the exchange allows.
    #[error(
        "{exchange} allows {allowed} connections at once{whose} and this takes more, since each symbol is carried by {each}; \
         choose a smaller `connections`, or fewer symbols and streams"
    )]
    Connections {
        /// Which exchange.
        exchange: &'static str,
        /// How many it allows.
        allowed: u32,
        /// Whom, where that is fewer than it allows an address: who is logged in.
        whose: &'static str,
        /// How many carry each symbol.
        each: u16,
    },
    /// Settings that contradict each other.
    #[error("configuration: {0}")]
    Contradiction(String),
}

impl EngineConfig {
    /// A configuration of `venue` with every default.
    #[must_use]
    pub fn new(venue: Venue) -> Self {
        Self {
            venue,
            mode: Mode::default(),
            symbols: Vec::new(),
            streams: default_streams(),
            tables: default_tables(),
            numeric: Numeric::default(),
            size_unit: SizeUnit::default(),
            begun_for: None,
            connections: 1,
            arbitration: Arbitration::default(),
            trade_source: TradeSource::default(),
            depth_speed: DepthSpeed::default(),
            login: false,
            endpoints: None,
            shard: 0,
            seed: 0,
            batch: BatchLimits::default(),
            book: BookLimits::default(),
            l2_top: TopLimits::default(),
            deadlines: Deadlines::default(),
            reference_interval_s: default_reference_interval_s(),
            open_interest_interval_s: default_open_interest_interval_s(),
            max_instruments: default_max_instruments(),
        }
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// Not JSON, an unknown key, a wrong type, or anything that [`Self::check`] refuses.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_json::from_str(text).map_err(|e| ConfigError::Shape(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Checks bounds and contradictions.
    ///
    /// # Errors
    /// The first value that is out of its bounds, with its key and what it takes.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bounds: [(&'static str, u64, u64, u64, &'static str); 20] = [
            ("batch.max_rows", self.batch.max_rows as u64, 1, 1 << 20, "1 to 1048576 rows"),
            ("batch.max_bytes", self.batch.max_bytes as u64, 1 << 16, 1 << 30, "65536 to 1073741824 bytes"),
            ("batch.max_delay_ms", self.batch.max_delay_ms, 0, 60_000, "0 to 60000 ms"),
            ("book.checkpoint_interval_s", self.book.checkpoint_interval_s, 1, 86_400, "1 to 86400 s"),
            ("book.heal_window_ms", self.book.heal_window_ms, 0, 60_000, "0 to 60000 ms"),
            ("book.max_held_events", self.book.max_held_events as u64, 1, 1 << 20, "1 to 1048576 events"),
            ("book.max_held_levels", self.book.max_held_levels as u64, 1, 1 << 26, "1 to 67108864 levels"),
            ("book.max_levels", self.book.max_levels as u64, 1, 1 << 22, "1 to 4194304 levels"),
            ("deadlines.ack_ms", self.deadlines.ack_ms, 1, 3_600_000, "1 to 3600000 ms"),
            ("deadlines.first_data_ms", self.deadlines.first_data_ms, 1, 3_600_000, "1 to 3600000 ms"),
            ("deadlines.silence_ms", self.deadlines.silence_ms, 1, 3_600_000, "1 to 3600000 ms"),
            ("deadlines.stream_silence_ms", self.deadlines.stream_silence_ms, 1, 3_600_000, "1 to 3600000 ms"),
            ("deadlines.http_ms", self.deadlines.http_ms, 1, 3_600_000, "1 to 3600000 ms"),
            ("deadlines.backoff_cap_ms", self.deadlines.backoff_cap_ms, 1, 3_600_000, "1 to 3600000 ms"),
            ("l2_top.depth", self.l2_top.depth as u64, 1, 1000, "1 to 1000 levels"),
            ("l2_top.interval_ms", self.l2_top.interval_ms, 1, 3_600_000, "1 to 3600000 ms"),
            ("reference_interval_s", self.reference_interval_s, 10, 86_400, "10 to 86400 s"),
            ("open_interest_interval_s", self.open_interest_interval_s, 0, 3_600, "0 (none) to 3600 s"),
            ("max_instruments", self.max_instruments as u64, 1, 1 << 24, "1 to 16777216 instruments"),
            ("connections", self.connections.into(), 1, 16, "1 to 16 connections"),
        ];
        for (key, value, low, high, text) in bounds.into_iter().chain(self.arbitration.bounds()) {
            if value < low || value > high {
                return Err(ConfigError::Bounds { key, value, bounds: text });
            }
        }
        if self.deadlines.backoff_base_ms == 0 || self.deadlines.backoff_base_ms > self.deadlines.backoff_cap_ms {
            return Err(ConfigError::Bounds {
                key: "deadlines.backoff_base_ms",
                value: self.deadlines.backoff_base_ms,
                bounds: "1 ms to deadlines.backoff_cap_ms",
            });
        }
        if self.streams.is_empty() {
            let offered = list(offered(self.venue).into_iter().map(Stream::name));
            return Err(ConfigError::Contradiction(format!("streams is empty; name at least one of {offered}")));
        }
        self.check_speeds()?;
        self.check_merges()?;
        match self.mode {
            Mode::Replay if !self.symbols.is_empty() => Err(ConfigError::Contradiction(
                "symbols are given in mode replay, where every recorded symbol is accepted; leave them out".into(),
            )),
            Mode::Live if self.symbols.is_empty() => {
                Err(ConfigError::Contradiction("symbols is empty; name at least one, e.g. BTCUSDT".into()))
            }
            Mode::Live => {
                self.symbols.iter().try_for_each(|symbol| self.check_symbol(symbol))?;
                self.check_conversions()?;
                self.check_streams()
            }
            Mode::Replay => Ok(()),
        }
    }

    /// What [`Self::symbols`] mean, of those that mean anything.
    #[must_use]
    pub fn selections(&self) -> Vec<Selection> {
        self.symbols.iter().filter_map(|text| Selection::parse(self.venue, text).ok()).collect()
    }

    /// The markets whose streams are wanted: those of the symbols, all of the venue where they do not say.
    #[must_use]
    pub fn markets(&self) -> Vec<Exchange> {
        let all = with_protocol!(self.venue, P => P::MARKETS);
        let named: Vec<Option<Exchange>> = self.selections().into_iter().map(|s| s.market).collect();
        if named.is_empty() || named.contains(&None) {
            return all.to_vec();
        }
        all.iter().copied().filter(|market| named.contains(&Some(*market))).collect()
    }

    fn check_speeds(&self) -> Result<(), ConfigError> {
        let (speeds, sources) = with_protocol!(self.venue, P => (P::DEPTH_SPEEDS, P::TRADE_SOURCES));
        let refuse = |key: &str, given: String, offered: Vec<String>| {
            Err(ConfigError::Contradiction(format!(
                "{key} = {given} is not offered by {}; there is: auto, {}",
                self.venue.id(),
                offered.join(", ")
            )))
        };
        let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        if self.depth_speed != DepthSpeed::Auto && !speeds.contains(&self.depth_speed) {
            let names = speeds.iter().map(|speed| word(serde_json::json!(speed))).collect();
            return refuse("depth_speed", word(serde_json::json!(self.depth_speed)), names);
        }
        if self.trade_source != TradeSource::Auto && !sources.contains(&self.trade_source) {
            let names = sources.iter().map(|source| word(serde_json::json!(source))).collect();
            return refuse("trade_source", word(serde_json::json!(self.trade_source)), names);
        }
        Ok(())
    }

    /// Several connections are of use only where their copies can be told apart.
    fn check_merges(&self) -> Result<(), ConfigError> {
        for market in self.markets() {
            for stream in self.streams.iter().copied().filter(|stream| offers(market, *stream)) {
                let rule = with_protocol!(self.venue, P => P::merge(market, stream));
                check_merge(market.id(), stream, rule, self.connections)?;
            }
        }
        Ok(())
    }

    fn check_symbol(&self, symbol: &str) -> Result<(), ConfigError> {
        let selection = Selection::parse(self.venue, symbol)?;
        for stream in &self.streams {
            let offers_it = match selection.market {
                Some(market) => offers(market, *stream),
                None => offered(self.venue).contains(stream),
            };
            if !offers_it {
                let market = selection.market.unwrap_or_else(|| self.venue.word());
                let offered = Stream::ALL.into_iter().filter(|stream| offers(market, *stream));
                return Err(ConfigError::Stream {
                    given: stream.name().to_owned(),
                    exchange: market.id(),
                    available: list(offered.map(Stream::name)),
                });
            }
        }
        Ok(())
    }
}

fn check_merge(exchange: &'static str, stream: Stream, rule: MergeRule, connections: u16) -> Result<(), ConfigError> {
    if rule != MergeRule::Leader || connections == 1 {
        return Ok(());
    }
    Err(ConfigError::Contradiction(format!(
        "connections = {connections}: {} of {exchange} has neither ids nor times that are the same on every connection, \
         so that copies cannot be told apart and each event would come {connections} times; set connections = 1, where \
         another connection takes over when one stalls, or collect this stream by a subscription of its own",
        stream.name()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fault: G10
    #[test]
    fn several_connections_are_refused_where_copies_cannot_be_told_apart() {
        let rules = [MergeRule::Chain, MergeRule::Sequence, MergeRule::Opaque, MergeRule::Latest, MergeRule::Leader];
        for rule in rules {
            for connections in [1, 2, 16] {
                let refused = check_merge("deribit", Stream::Bbo, rule, connections);
                assert_eq!(refused.is_err(), rule == MergeRule::Leader && connections > 1, "{rule:?} {connections}");
                if let Err(refused) = refused {
                    let said = refused.to_string();
                    let given = format!("connections = {connections}");
                    for word in [&given, "bbo of deribit", "told apart", "set connections = 1"] {
                        assert!(said.contains(word), "{said}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_stream_of_every_market_can_be_merged() {
        for market in Exchange::ALL {
            for stream in Stream::ALL.into_iter().filter(|stream| offers(market, *stream)) {
                let rule = with_protocol!(market.venue(), P => P::merge(market, stream));
                assert_ne!(rule, MergeRule::Leader, "{} {}", market.id(), stream.name());
            }
        }
    }

    fn live(symbol: &str) -> EngineConfig {
        EngineConfig { symbols: vec![symbol.into()], ..EngineConfig::new(Venue::BinanceFutures) }
    }

    #[test]
    fn unknown_keys_are_refused_in_every_struct() {
        let good = serde_json::to_value(live("BTCUSDT")).expect("plain data");
        assert!(EngineConfig::from_json(&good.to_string()).is_ok());
        for path in ["", "/batch", "/book", "/deadlines"] {
            let mut bad = good.clone();
            bad.pointer_mut(path).and_then(|v| v.as_object_mut()).expect("an object").insert("tpyo".into(), 1.into());
            let error = EngineConfig::from_json(&bad.to_string()).expect_err(path).to_string();
            assert!(error.contains("tpyo"), "{path}: {error}");
        }
    }

    #[test]
    fn a_value_out_of_bounds_is_named_with_its_key_and_what_it_takes() {
        let mut config = live("BTCUSDT");
        config.batch.max_rows = 0;
        let error = config.check().expect_err("zero rows").to_string();
        assert!(error.contains("batch.max_rows = 0") && error.contains("1 to 1048576"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_there_is() {
        let error = |result: Result<(), ConfigError>| result.expect_err("not there").to_string();
        assert!(error(parse_subscription("bitmex:XBT").map(drop)).contains("binance-futures"));
        assert!(error(parse_subscription("BTCUSDT").map(drop)).contains("EXCHANGE:SYMBOL"));
        assert!(error(parse_stream(Venue::BinanceFutures, "l3").map(drop)).contains("trades, l2, bbo"));
        assert!(error(parse_subscription("okx-margin:BTCUSDT").map(drop)).contains("okx-swap"));
        assert!(error(parse_table("candles").map(drop)).contains("instruments, raw"));
        assert_eq!(
            parse_subscription("okx-swap:BTCUSDT"),
            Ok((Venue::Okx, "okx-swap:BTCUSDT".to_owned())),
            "one socket carries every market of the venue"
        );
    }

    #[test]
    fn the_written_defaults_are_the_defaults_of_an_empty_document() {
        let empty: EngineConfig =
            serde_json::from_str(r#"{"venue":"binance-futures"}"#).expect("only the venue is needed");
        assert_eq!(empty, EngineConfig::new(Venue::BinanceFutures));
    }
}

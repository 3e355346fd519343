//! What one engine is told to do. Parsed once, refused whole where it does not make sense.
//!
//! Defaults live here and nowhere else in Rust; the Python model repeats them and a test compares the two.

use serde::{Deserialize, Serialize};

use crate::symbol::Venue;
use crate::table::Table;

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
    /// Milliseconds that an early event waits for another connection to fill the hole; 0 … 60 000.
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

/// Deadlines that judge a peer. Live only: a recording cannot answer what was never asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// Milliseconds from SUBSCRIBE to its answer.
    pub ack_ms: u64,
    /// Milliseconds from SUBSCRIBE to the first data frame of each stream. An ack proves nothing.
    pub first_data_ms: u64,
    /// Milliseconds without any data frame after which a connection is dropped, pings or not.
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
    /// Symbols, unified or native. Must be empty in a replay of a foreign recording: everything is accepted there.
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
    /// Deadlines that judge a peer.
    #[serde(default)]
    pub deadlines: Deadlines,
    /// Instruments that one engine may know; more are ignored and counted. 1 … 16 777 216.
    #[serde(default = "default_max_instruments")]
    pub max_instruments: usize,
}

fn default_streams() -> Vec<Stream> {
    vec![Stream::Trades, Stream::L2]
}

fn default_tables() -> Vec<Table> {
    vec![Table::Trades, Table::L2, Table::Bbo, Table::Gaps, Table::Instruments]
}

const fn default_max_instruments() -> usize {
    65_536
}

/// Reads a subscription, `EXCHANGE:SYMBOL`, e.g. `binance-futures:BTCUSDT`.
///
/// # Errors
/// No colon, or an exchange that is not there (the error lists what there is).
pub fn parse_subscription(text: &str) -> Result<(Venue, &str), ConfigError> {
    let Some((exchange, symbol)) = text.split_once(':') else {
        return Err(ConfigError::Contradiction(format!(
            "subscription {text:?} has no colon; write EXCHANGE:SYMBOL, e.g. binance-futures:BTCUSDT"
        )));
    };
    Ok((parse_venue(exchange)?, symbol))
}

/// Reads a venue's id.
///
/// # Errors
/// A venue that is not there; the error lists what there is.
pub fn parse_venue(text: &str) -> Result<Venue, ConfigError> {
    Venue::ALL
        .into_iter()
        .find(|venue| venue.id() == text)
        .ok_or_else(|| ConfigError::Exchange { given: text.to_owned(), available: list(Venue::ALL.map(Venue::id)) })
}

/// Reads a stream's name.
///
/// # Errors
/// A stream that `venue` does not offer; the error lists what it does.
pub fn parse_stream(venue: Venue, text: &str) -> Result<Stream, ConfigError> {
    Stream::ALL.into_iter().find(|stream| stream.name() == text).ok_or_else(|| ConfigError::Stream {
        given: text.to_owned(),
        exchange: venue.id(),
        available: list(Stream::ALL.map(Stream::name)),
    })
}

/// Reads a table's name.
///
/// # Errors
/// A table that is not there; the error lists what there is.
pub fn parse_table(text: &str) -> Result<Table, ConfigError> {
    Table::ALL
        .into_iter()
        .find(|table| table.name() == text)
        .ok_or_else(|| ConfigError::Table { given: text.to_owned(), available: list(Table::ALL.map(Table::name)) })
}

fn list<const N: usize>(names: [&str; N]) -> String {
    names.join(", ")
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
            trade_source: TradeSource::default(),
            depth_speed: DepthSpeed::default(),
            login: false,
            endpoints: None,
            shard: 0,
            seed: 0,
            batch: BatchLimits::default(),
            book: BookLimits::default(),
            deadlines: Deadlines::default(),
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
        let bounds: [(&'static str, u64, u64, u64, &'static str); 15] = [
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
            ("max_instruments", self.max_instruments as u64, 1, 1 << 24, "1 to 16777216 instruments"),
        ];
        for (key, value, low, high, text) in bounds {
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
            return Err(ConfigError::Contradiction("streams is empty; name at least one of trades, l2, bbo".into()));
        }
        match self.mode {
            Mode::Replay if !self.symbols.is_empty() => Err(ConfigError::Contradiction(
                "symbols are given in mode replay, where every recorded symbol is accepted; leave them out".into(),
            )),
            Mode::Live if self.symbols.is_empty() => {
                Err(ConfigError::Contradiction("symbols is empty; name at least one, e.g. BTCUSDT".into()))
            }
            Mode::Live => self.symbols.iter().try_for_each(|symbol| self.check_symbol(symbol)),
            Mode::Replay => Ok(()),
        }
    }

    fn check_symbol(&self, symbol: &str) -> Result<(), ConfigError> {
        let refuse = |reason| Err(ConfigError::Symbol { given: symbol.to_owned(), exchange: self.venue.id(), reason });
        if symbol.is_empty() || symbol.len() > 64 {
            return refuse("it takes 1 to 64 bytes");
        }
        if symbol.bytes().any(|b| b.is_ascii_lowercase()) {
            return refuse("symbols are written in upper case, e.g. BTCUSDT");
        }
        if symbol.chars().any(|c| !(c.is_alphanumeric() || c == '_' || c == '-')) {
            return refuse("only letters, digits, '_' and '-' may stand in it, e.g. BTCUSDT or BTCUSDT-261225");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    // Fault: B14
    #[test]
    fn symbols_that_cannot_be_symbols_are_refused_with_a_remedy() {
        for bad in ["btcusdt", "", "BTC/USDT", "../x", "BTC USDT"] {
            let error = live(bad).check().expect_err(bad);
            assert!(matches!(error, ConfigError::Symbol { .. }), "{bad}: {error}");
        }
        for good in ["BTCUSDT", "BTCUSDT-261225", "1000PEPEUSDT", "BTCUSDT_261225", "币安人生USDT"] {
            live(good).check().expect(good);
        }
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_there_is() {
        let error = |result: Result<(), ConfigError>| result.expect_err("not there").to_string();
        assert!(error(parse_subscription("bitmex:XBT").map(drop)).contains("binance-futures"));
        assert!(error(parse_subscription("BTCUSDT").map(drop)).contains("EXCHANGE:SYMBOL"));
        assert!(error(parse_stream(Venue::BinanceFutures, "l3").map(drop)).contains("trades, l2, bbo"));
        assert!(error(parse_table("candles").map(drop)).contains("instruments, raw"));
        assert_eq!(parse_subscription("binance-futures:BTCUSDT"), Ok((Venue::BinanceFutures, "BTCUSDT")));
    }

    #[test]
    fn the_written_defaults_are_the_defaults_of_an_empty_document() {
        let empty: EngineConfig =
            serde_json::from_str(r#"{"venue":"binance-futures"}"#).expect("only the venue is needed");
        assert_eq!(empty, EngineConfig::new(Venue::BinanceFutures));
    }
}

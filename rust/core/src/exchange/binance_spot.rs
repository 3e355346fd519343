//! Binance spot.
//!
//! Manual: "Binance Spot — public market-data protocol" (state of 2026-11-22); sections are cited as §n. What USDⓈ-M
//! futures say alike stands in [`super::binance`].
//!
//! | stream | channel | message | role | times | merge rule | source |
//! |---|---|---|---|---|---|---|
//! | `trades` | `<s>@trade` | `trade` | every match; until June 2024 with the orders' ids `b`, `a` | `T`, `E` | `sequence` on `t` | §3 documented, recordings |
//! | `trades` | `<s>@aggTrade` | `aggTrade` | fills of one taker order at one price, `f..l` | `T`, `E` | `sequence` on `a` | §3 documented, recordings |
//! | `trades` | `GET /api/v3/historicalTrades`, `GET /api/v3/aggTrades`, by `fromId` | – | past trades of either feed | `T` | `t`, `a` | §3 documented |
//! | `trades` | `<s>@blockTrade`, beside either | `blockTrade` | off-book, condition `block`; no REST request tells past ones | `T`, `E` | `opaque`: ids `t` of a space of their own, outside the window of the trades | §3 documented |
//! | `l2` | `<s>@depth@100ms`, `<s>@depth` (1000 ms) | `depthUpdate` | absolute sizes of all levels changed in `[U, u]` | `E` | `chain`: `U == last u + 1` | §4 documented, recordings |
//! | `l2` | `GET /api/v3/depth` | – | snapshot, 5000 levels a side; −1 or 0 and empty: just listed | none | `lastUpdateId`, `U <= id + 1 <= u` | §4 documented |
//! | – | `<s>@depth5/10/20[@100ms]` | no type, no symbol | images: not taken | none | – | §4 documented, recordings |
//! | `bbo` | `<s>@bookTicker` | no type | best bid and offer | none | `latest` on `u` | §5 documented, recordings |
//! | – | `!serverShutdown` | `serverShutdown` | the connection is about to be closed | `E` | – | §1 documented |
//! | `instruments` | `GET /api/v3/exchangeInfo` | – | reference data | – | – | §2 documented |
//!
//! Where there is only `E`, it is the time of the event. There is no mark price, funding, open interest or liquidation
//! (§5). Times of 16 digits are microseconds (`timeUnit=MICROSECOND`, §1).

mod instruments;
mod route;

use std::borrow::Cow;

use super::binance::{Dialect, Weights};
use super::document::Object;
use super::{Channel, Decoded, Limits};
use crate::config::{DepthSpeed, Stream, TradeSource};
use crate::event::StateRows;
use crate::instrument::Instrument;
use crate::report::RejectReason;
use crate::symbol::Exchange;
use crate::table::InstrumentKind;

/// Binance spot. See the module.
pub struct BinanceSpot;

impl Dialect for BinanceSpot {
    const MARKET: Exchange = Exchange::BinanceSpot;
    const ENDPOINTS: (&'static str, &'static str) = ("wss://stream.binance.com:9443", "https://api.binance.com");
    const API: &'static str = "/api/v3";
    /// §2–§4.
    const WEIGHTS: Weights = Weights {
        snapshot_levels: 5000,
        snapshot: 250,
        top: 5,
        aggregates: 4,
        fills: Some(25),
        reference: 20,
        open_interest: None,
    };
    /// §1, §2. Five messages a second count our pongs too, and the sixth costs the connection, more of them the address:
    /// hence the small burst. The exchange takes 1024 streams on a connection, a channel of trades being two; symbols are
    /// spread as on futures.
    const LIMITS: Limits = Limits {
        channels_per_connection: 200,
        channels_per_request: 200,
        request_burst: 2,
        requests_are_shared: false,
        request_every_ms: 500,
        frames_per_s: 5,
        connects: 300,
        connects_window_ms: 300_000,
        connections: 0,
        logged_in: 0,
        lifetime_s: 86_400,
        rest_weight: 6000,
        rest_window_ms: 60_000,
    };
    /// §1.
    const PING_MS: u64 = 20_000;
    const STREAMS: &'static [Stream] = &[Stream::Trades, Stream::L2, Stream::Bbo];
    const DEPTH_SPEEDS: &'static [DepthSpeed] = &[DepthSpeed::Ms100, DepthSpeed::Ms1000];
    const TRADE_SOURCES: &'static [TradeSource] = &[TradeSource::Trade, TradeSource::AggTrade];
    const KIND: Option<InstrumentKind> = Some(InstrumentKind::Spot);
    /// §4 step 3: `u <= lastUpdateId` is dropped.
    const FIRST_MAY_END_AT_SNAPSHOT: bool = false;
    const LINKED: bool = false;
    const TIMED_HEADS: bool = false;
    const MICROSECONDS: bool = true;
    const STATES: &'static [&'static str] = &[];

    /// The exchange's own name (§2).
    fn unify(native: &str) -> Cow<'_, str> {
        Cow::Borrowed(native)
    }

    fn native(symbol: &str) -> Cow<'_, str> {
        Cow::Borrowed(symbol)
    }

    fn describe(row: Object<'_, '_>, instrument: &mut Instrument) {
        instruments::describe(row, instrument);
    }

    fn channel(native: &str, stream: Stream, source: TradeSource, speed: DepthSpeed) -> Option<Channel> {
        route::channel(native, stream, source, speed)
    }

    fn url(ws: &str, _family: u8) -> String {
        route::url(ws)
    }

    fn read_state(_body: Object<'_, '_>, _out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
        Err(RejectReason::Schema)
    }
}

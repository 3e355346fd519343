//! Binance USDⓈ-M futures.
//!
//! Manual: "Binance USDⓈ-M Futures — public market-data protocol" (state of 2026-11-22); sections are cited as §n. What
//! spot says alike stands in [`super::binance`].
//!
//! | stream | channel | message | role | times | merge rule | source |
//! |---|---|---|---|---|---|---|
//! | `trades` | `<s>@aggTrade` on `/market` | `aggTrade` | fills of one price and side over 100 ms; `nq` 0: RPI orders alone | `T`, `E` | `sequence` on `a` | §3 documented |
//! | `trades` | `<s>@trade` on `/public` | `trade` | single fills; `X` other than `MARKET` is no trade | `T`, `E` | `sequence` on `t` | §3 undocumented, recordings |
//! | `trades` | `GET /fapi/v1/aggTrades`, by `fromId` | – | past rows of `aggTrade`, of 48 hours; of single fills none | `T` | `a` | §2 documented |
//! | `l2` | `<s>@depth[@speed]` on `/public` | `depthUpdate` | absolute sizes of all levels changed in `(pu, u]` | `T`, `E` | `chain` on `pu`, `u` | §4 documented |
//! | `l2` | `GET /fapi/v1/depth` | – | snapshot, 1000 levels a side | `T`, `E` | `lastUpdateId` | §4 documented |
//! | `bbo` | `<s>@bookTicker` on `/public` | `bookTicker` | best bid and offer | `T`, `E` | `latest` on `u` | §5 documented |
//! | `derivatives` | `<s>@markPrice@1s` on `/market`, or `!markPrice@arr@1s` | `markPriceUpdate` | mark, index, funding and its next time (`T`, 0 is none) | `E` | `latest` on `E` | §5 documented, recordings |
//! | `derivatives` | `GET /fapi/v1/openInterest`, each symbol by turns | – | open interest, which no socket tells; in base units | `time` | `latest` on `time` | §2, §5 documented |
//! | `derivatives` | last price | – | in no message about states: null | – | – | §5 |
//! | `liquidations` | `<s>@forceOrder` on `/market`, or `!forceOrder@arr` | `forceOrder` | the latest closing order of each second, at its average price: incomplete by design | `o.T`, `E` | `opaque`: no id, told by all that it says but `E` | §5 documented |
//! | `instruments` | `GET /fapi/v1/exchangeInfo` | – | reference data | – | – | §2 documented |
//!
//! Rows of all-market streams with `st` 2 are of another product family and left out (§1).

mod instruments;
mod route;
mod states;

use std::borrow::Cow;

use super::binance::{Dialect, Weights};
use super::document::Object;
use super::{Cadence, Channel, Decoded, Head, Limits, StateHead};
use crate::config::{DepthSpeed, Stream, TradeSource};
use crate::event::StateRows;
use crate::instrument::Instrument;
use crate::report::RejectReason;
use crate::symbol::Exchange;
use crate::table::InstrumentKind;

/// Binance USDⓈ-M futures. See the module.
pub struct BinanceFutures;

impl Dialect for BinanceFutures {
    const MARKET: Exchange = Exchange::BinanceFutures;
    const ENDPOINTS: (&'static str, &'static str) = ("wss://fstream.binance.com", "https://fapi.binance.com");
    const API: &'static str = "/fapi/v1";
    /// §2.
    const WEIGHTS: Weights = Weights {
        snapshot_levels: 1000,
        snapshot: 20,
        top: 2,
        aggregates: 20,
        fills: None,
        reference: 1,
        open_interest: Some(1),
    };
    /// §1, §2. The exchange takes 1024 streams and cuts the whole connection at the 1025th; symbols are spread earlier,
    /// because one socket's latency grows with its streams (§6).
    const LIMITS: Limits = Limits {
        channels_per_connection: 200,
        channels_per_request: 200,
        request_burst: 5,
        requests_are_shared: false,
        request_every_ms: 200,
        frames_per_s: 10,
        connects: 300,
        connects_window_ms: 300_000,
        connections: 0,
        logged_in: 0,
        lifetime_s: 86_400,
        rest_weight: 2400,
        rest_window_ms: 60_000,
    };
    /// §1: about every three minutes.
    const PING_MS: u64 = 180_000;
    const STREAMS: &'static [Stream] =
        &[Stream::Trades, Stream::L2, Stream::Bbo, Stream::Derivatives, Stream::Liquidations];
    const DEPTH_SPEEDS: &'static [DepthSpeed] =
        &[DepthSpeed::Ms100, DepthSpeed::Ms0, DepthSpeed::Ms250, DepthSpeed::Ms500];
    const TRADE_SOURCES: &'static [TradeSource] = &[TradeSource::AggTrade, TradeSource::Trade];
    const KIND: Option<InstrumentKind> = None;
    /// §4 steps 3 and 4.
    const FIRST_MAY_END_AT_SNAPSHOT: bool = true;
    const LINKED: bool = true;
    const TIMED_HEADS: bool = true;
    const MICROSECONDS: bool = false;
    const STATES: &'static [&'static str] = &[states::MARK_PRICE, states::FORCE_ORDER];

    fn unify(native: &str) -> Cow<'_, str> {
        instruments::unify(native)
    }

    fn native(symbol: &str) -> Cow<'_, str> {
        instruments::native(symbol)
    }

    fn describe(row: Object<'_, '_>, instrument: &mut Instrument) {
        instruments::describe(row, instrument);
    }

    fn channel(native: &str, stream: Stream, source: TradeSource, speed: DepthSpeed) -> Option<Channel> {
        route::channel(native, stream, source, speed)
    }

    fn cadence(channel: &str) -> Option<Cadence> {
        states::cadence(channel)
    }

    fn url(ws: &str, family: u8) -> String {
        route::url(ws, family)
    }

    #[inline(always)]
    fn decode_states(frame: &[u8], head: &Head<'_>, out: &mut StateRows) -> Decoded<()> {
        states::decode(frame, head, out)
    }

    #[inline(always)]
    fn state_heads<'a>(frame: &'a [u8], head: &Head<'a>, each: impl FnMut(StateHead<'a>) -> bool) -> Option<()> {
        states::heads(frame, head, each)
    }

    fn read_state(body: Object<'_, '_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
        states::read(body, out)
    }

    fn read_poll(body: Object<'_, '_>, out: &mut StateRows) -> Result<(), RejectReason> {
        states::read_open_interest(body, out)
    }
}

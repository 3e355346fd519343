//! Binance USDⓈ-M futures.
//!
//! Manual: "Binance USDⓈ-M Futures — public market-data protocol" (state of 2026-11-22); sections are cited as §n.
//!
//! | stream | channel | message | role | times | merge rule | source |
//! |---|---|---|---|---|---|---|
//! | `trades` | `<s>@aggTrade` on `/market` | `aggTrade` | fills of one price and side over 100 ms | `T`, `E` | `sequence` on `a` | §3 documented |
//! | `trades` | `<s>@trade` on `/public` | `trade` | single fills; `X` other than `MARKET` is no trade | `T`, `E` | `sequence` on `t` | §3 undocumented, recordings |
//! | `l2` | `<s>@depth[@speed]` on `/public` | `depthUpdate` | absolute sizes of all levels changed in `(pu, u]` | `T`, `E` | `chain` on `pu`, `u` | §4 documented |
//! | `l2` | `GET /fapi/v1/depth` | – | snapshot, 1000 levels a side | `T`, `E` | `lastUpdateId` | §4 documented |
//! | `bbo` | `<s>@bookTicker` on `/public` | `bookTicker` | best bid and offer | `T`, `E` | `latest` on `u` | §5 documented |
//! | `instruments` | `GET /fapi/v1/exchangeInfo` | – | reference data | – | – | §2 documented |

pub mod instruments;
pub mod normalize;
pub mod peek;
pub mod route;
pub mod wire;

#[cfg(test)]
mod two_paths;

use std::borrow::Cow;

use xtrader_scan::Isa;

use super::document::{Document, Value};
use super::{
    Answer, Channel, Decoded, Head, Heartbeat, Limits, Name, Peek, Protocol, Recorded, RestRequest, RestTold,
    SnapshotSource,
};
use crate::book::sync::SyncRules;
use crate::config::{DepthSpeed, Endpoints, EngineConfig, Stream, TradeSource};
use crate::event::{Bbo, BookHead, DecodedLevels, Scales, StateRows, TradeRows};
use crate::instrument::{Conversion, Instrument};
use crate::report::RejectReason;
use crate::symbol::{Exchange, Venue};

/// Binance USDⓈ-M futures. See the module.
pub struct BinanceFutures;

impl Protocol for BinanceFutures {
    const VENUE: Venue = Venue::BinanceFutures;
    /// §4, state machine.
    const SYNC: SyncRules =
        SyncRules { snapshot: SnapshotSource::Rest, ids_may_fall: false, first_may_end_at_snapshot: true };
    /// §1, §2. The exchange takes 1024 streams and cuts the whole connection at the 1025th; symbols are spread earlier,
    /// because one socket's latency grows with its streams (§6).
    const LIMITS: Limits = Limits {
        channels_per_connection: 200,
        channels_per_request: 200,
        request_burst: 5,
        request_every_ms: 200,
        connects: 300,
        connects_window_ms: 300_000,
        connections: 0,
        rest_weight: 2400,
        rest_window_ms: 60_000,
    };
    /// §1: about every three minutes.
    const HEARTBEAT: Heartbeat = Heartbeat::Pings { every_ms: 180_000 };
    const DEPTH_SPEEDS: &'static [DepthSpeed] =
        &[DepthSpeed::Ms100, DepthSpeed::Ms0, DepthSpeed::Ms250, DepthSpeed::Ms500];
    const TRADE_SOURCES: &'static [TradeSource] = &[TradeSource::AggTrade, TradeSource::Trade];
    const MARKETS: &'static [Exchange] = &[Exchange::BinanceFutures];

    fn default_endpoints() -> Endpoints {
        route::default_endpoints()
    }

    fn streams(_market: Exchange) -> &'static [Stream] {
        &[Stream::Trades, Stream::L2, Stream::Bbo]
    }

    fn name(native: &str) -> Name<'_> {
        Name {
            market: Exchange::BinanceFutures,
            symbol: instruments::unify(native),
            kind: None,
            conversion: Conversion::None,
        }
    }

    fn native(_market: Exchange, symbol: &str) -> Option<Cow<'_, str>> {
        Some(instruments::native(symbol))
    }

    #[inline(always)]
    fn peek(frame: &[u8]) -> Peek<'_> {
        peek::peek(frame)
    }

    #[inline(always)]
    fn decode_trades(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales, out: &mut TradeRows) -> Decoded<()> {
        normalize::trade(isa, frame, head, scales, out)
    }

    #[inline(always)]
    fn decode_book(
        isa: Isa,
        frame: &[u8],
        head: &Head<'_>,
        scales: Scales,
        max_levels: usize,
        out: &mut DecodedLevels,
    ) -> Decoded<BookHead> {
        normalize::depth(isa, frame, head, scales, max_levels, out)
    }

    #[inline(always)]
    fn decode_bbo(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Decoded<Bbo> {
        normalize::bbo(isa, frame, head, scales)
    }

    fn judge<'a>(document: &Document<'a>) -> Result<(Peek<'a>, usize), RejectReason> {
        wire::judge(document)
    }

    fn read_trades(
        body: Value<'_, '_>,
        head: &Head<'_>,
        scales: Scales,
        out: &mut TradeRows,
    ) -> Result<Decoded<()>, RejectReason> {
        wire::trade(body.object().ok_or(RejectReason::Schema)?, head, scales, out)
    }

    fn read_book(
        body: Value<'_, '_>,
        head: &Head<'_>,
        scales: Scales,
        max_levels: usize,
        out: &mut DecodedLevels,
    ) -> Result<Decoded<BookHead>, RejectReason> {
        wire::depth(body.object().ok_or(RejectReason::Schema)?, head, scales, max_levels, out)
    }

    fn read_bbo(body: Value<'_, '_>, head: &Head<'_>, scales: Scales) -> Result<Decoded<Bbo>, RejectReason> {
        wire::bbo(body.object().ok_or(RejectReason::Schema)?, head, scales)
    }

    fn read_states(_body: Value<'_, '_>, _head: &Head<'_>, _out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
        Err(RejectReason::Schema)
    }

    fn channels(native: &str, _market: Exchange, stream: Stream, config: &EngineConfig) -> Vec<Channel> {
        route::channel(native, stream, config.trade_source, config.depth_speed).into_iter().collect()
    }

    fn url(ws: &str, family: u8) -> String {
        route::url(ws, family)
    }

    fn subscribe(names: &[&str], id: u64) -> String {
        route::subscribe(names, id)
    }

    fn unsubscribe(names: &[&str], id: u64) -> String {
        route::unsubscribe(names, id)
    }

    fn question(id: u64) -> String {
        route::list_subscriptions(id)
    }

    fn read_answer(frame: &[u8]) -> Option<Answer> {
        route::read_answer(frame)
    }

    fn reference(rest: &str, _markets: &[Exchange], _symbols: &[&str]) -> Vec<RestRequest> {
        vec![route::reference(rest)]
    }

    fn read_reference(body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
        instruments::read_exchange_info(body)
    }

    fn snapshot(rest: &str, native: &str) -> Option<RestRequest> {
        Some(route::snapshot(rest, native))
    }

    fn read_snapshot(
        body: &[u8],
        scales: Scales,
        max_levels: usize,
        out: &mut DecodedLevels,
    ) -> Result<BookHead, RejectReason> {
        wire::read_snapshot(body, scales, max_levels, out)
    }

    fn probe(rest: &str, native: &str, stream: Stream, _aggregated: bool) -> Option<RestRequest> {
        route::probe(rest, native, stream)
    }

    fn read_probe(
        body: &[u8],
        stream: Stream,
        aggregated: bool,
        levels: &mut DecodedLevels,
    ) -> Result<RestTold, RejectReason> {
        route::read_probe(body, stream, aggregated, levels)
    }

    fn recorded(url: &str) -> Option<Recorded<'_>> {
        route::recorded_reply(url)
    }
}

//! OKX: spot, perpetual swaps, dated futures and options on one socket.
//!
//! Manual: "OKX — public market-data protocol (API v5)" (state of 2026-11-22); sections are cited as §n.
//!
//! | stream | channel | message | role | times | merge rule | source |
//! |---|---|---|---|---|---|---|
//! | `trades` | `trades` on `/public` | push | fills of one taker, price and source, folded; `count` of them, `tradeId` is the last | `ts` | `sequence` on `tradeId - count + 1 … tradeId` | §3 documented |
//! | `trades` | `trades-all` on `/business` | push | single fills | `ts` | `sequence` on `tradeId` | §3 documented |
//! | `trades` | `GET /api/v5/market/history-trades`, by `tradeId` | – | single fills of past trades, also where the socket folds them: the ids are the same | `ts` | `tradeId` | §3 documented |
//! | `l2` | `books` (100 ms), `books-l2-tbt`, `books50-l2-tbt` (10 ms, login) on `/public` | `snapshot` | full book, on each subscription | `ts` | replaces; starts at `seqId` | §4 documented |
//! | `l2` | the same | `update` | absolute sizes of all levels changed in `(prevSeqId, seqId]`; `prevSeqId == seqId` is a keep-alive, `seqId < prevSeqId` a reset | `ts` | `chain` on `prevSeqId`, `seqId`, sizes of ids of no account | §4 documented |
//! | `l2` | the same before 2023 | both, without ids | as above, with CRC32 of the best 25 | `ts` | order of `ts`, proven by `checksum` | §4, recordings |
//! | `bbo` | `bbo-tbt` on `/public` | push | best bid and offer | `ts` (matching engine) | `latest` on `seqId`, before 2023 on `ts` | §4 documented |
//! | `derivatives` | `mark-price` | push | mark price; every 10 s at least | `ts` | `latest` on `ts` | §5 documented |
//! | `derivatives` | `index-tickers` | push | index price, by index; every 60 s at least | `ts` | `latest` on `ts` | §5 documented; its cadence by the exchange's reference of July 2026 |
//! | `derivatives` | `funding-rate` | push | rate and time of the coming settlement; every 30 to 90 s | `ts` | `latest` on `ts` | §5 documented |
//! | `derivatives` | `open-interest` | push | open interest, contracts and base; on change alone, so its silence is none | `ts` | `latest` on `ts` | §5 documented; its cadence as above |
//! | `options` | `opt-summary` by family | push | volatilities, Black-Scholes greeks, forward; no cadence is told | `ts` | `latest` on `ts` | §5 |
//! | `options` | `mark-price`, `open-interest` | push | mark price, open interest of an option | `ts` | `latest` on `ts` | §5 documented |
//! | `liquidations` | `liquidation-orders` by type | push | closing orders; a sample | `ts` | `opaque`: no id, told by all that it says | §5 documented |
//! | `instruments` | `GET /api/v5/public/instruments` | – | reference data, a reply for each type | – | – | §2 documented |
//! | `instruments` | `instruments` by type on `/public` | push | the rows of that reply that have changed, whole | – | the newest, against what is known | §2 documented |
//! | – | `books5` | image | ignored: a window without a chain | – | – | §4 documented |
//! | – | `books-rpi`, before 2026-07 `books-elp` | as `books` | ignored: its rows count orders of retail price improvement | – | – | §4 documented |
//!
//! That folds of `trades` are alike on all connections the manual presumes and does not state (§4, §7). Where they are not,
//! a fold of which some fills are known is dropped whole, as a copy, and those of the others that nobody else brings stay
//! missing, named by their ids: no fill comes twice, and none is lost in silence. `trades-all` has no folds.

mod families;
mod instruments;
mod normalize;
mod peek;
mod route;
mod states;
mod wire;

#[cfg(test)]
mod two_paths;

use std::borrow::Cow;

use xtrader_scan::Isa;

use super::document::{Document, Value};
use super::{
    Answer, Cadence, Channel, Decoded, Head, Heartbeat, Limits, Login, Name, Peek, Protocol, Recorded, RestRequest,
    RestTold, SnapshotSource, StateHead, usual_merge,
};
use crate::arbiter::MergeRule;
use crate::book::sync::SyncRules;
use crate::config::{Credentials, DepthSpeed, Endpoints, EngineConfig, Selection, Stream, TradeSource};
use crate::event::{Bbo, BookHead, DecodedLevels, Scales, StateRows, TradeRows};
use crate::instrument::Instrument;
use crate::report::RejectReason;
use crate::symbol::{Exchange, Venue};
use crate::table::InstrumentKind;

/// OKX. See the module.
pub struct Okx;

impl Protocol for Okx {
    const VENUE: Venue = Venue::Okx;
    /// §4, measured spacing: `preopen`.
    const CROSSES_IN_AUCTIONS: bool = true;
    const TRADE_FEEDS_SHARE_IDS: bool = true;
    /// §4, state machine.
    const SYNC: SyncRules =
        SyncRules { snapshot: SnapshotSource::Channel, ids_may_fall: true, first_may_end_at_snapshot: false };
    /// §1, §2. 480 requests an hour: 30 at once and one more every eight seconds. Fewer than 30 books on a connection
    /// are recommended.
    const LIMITS: Limits = Limits {
        channels_per_connection: 29,
        channels_per_request: 29,
        request_burst: 30,
        requests_are_shared: false,
        request_every_ms: 8_000,
        frames_per_s: 100,
        connects: 3,
        connects_window_ms: 1_000,
        connections: 0,
        logged_in: 0,
        lifetime_s: 0,
        rest_weight: 20,
        rest_window_ms: 2_000,
    };
    /// §1: the text `ping`, before 30 s of silence have passed.
    const HEARTBEAT: Heartbeat = Heartbeat::Question { after_ms: 20_000 };
    const DEPTH_SPEEDS: &'static [DepthSpeed] = &[DepthSpeed::Ms100, DepthSpeed::Ms10];
    const TRADE_SOURCES: &'static [TradeSource] = &[TradeSource::AggTrade, TradeSource::Trade];
    const MARKETS: &'static [Exchange] =
        &[Exchange::OkxSpot, Exchange::OkxSwap, Exchange::OkxFutures, Exchange::OkxOptions];
    const CREDENTIALS: &'static [&'static str] = &["key", "secret", "passphrase"];

    fn default_endpoints() -> Endpoints {
        route::default_endpoints()
    }

    fn streams(market: Exchange) -> &'static [Stream] {
        match market {
            Exchange::OkxSwap | Exchange::OkxFutures => {
                &[Stream::Trades, Stream::L2, Stream::Bbo, Stream::Derivatives, Stream::Liquidations]
            }
            Exchange::OkxOptions => &[Stream::Trades, Stream::L2, Stream::Bbo, Stream::Options, Stream::Liquidations],
            _ => &[Stream::Trades, Stream::L2, Stream::Bbo],
        }
    }

    fn merge(_market: Exchange, stream: Stream) -> MergeRule {
        usual_merge(stream)
    }

    fn name(native: &str) -> Name<'_> {
        instruments::name(native)
    }

    fn native(market: Exchange, symbol: &str) -> Option<Cow<'_, str>> {
        instruments::native(market, symbol).map(Cow::Borrowed)
    }

    fn index_of(native: &str) -> Option<Cow<'_, str>> {
        instruments::index_of(native).map(Cow::Borrowed)
    }

    #[inline(always)]
    fn peek(frame: &[u8]) -> Peek<'_> {
        peek::peek(frame)
    }

    #[inline]
    fn looked_at(frame: &[u8], head: &Head<'_>) -> (usize, usize) {
        peek::looked_at(frame, head)
    }

    #[inline(always)]
    fn decode_trades(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales, out: &mut TradeRows) -> Decoded<()> {
        normalize::trades(isa, frame, head, scales, out)
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
        normalize::book(isa, frame, head, scales, max_levels, out)
    }

    #[inline(always)]
    fn decode_bbo(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Decoded<Bbo> {
        normalize::bbo(isa, frame, head, scales)
    }

    #[inline(always)]
    fn decode_states(frame: &[u8], head: &Head<'_>, out: &mut StateRows) -> Decoded<()> {
        states::decode(frame, head, out)
    }

    #[inline(always)]
    fn state_heads<'a>(frame: &'a [u8], head: &Head<'a>, each: impl FnMut(StateHead<'a>) -> bool) -> Option<()> {
        states::heads(frame, head, each)
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
        wire::trades(body, head, scales, out)
    }

    fn read_book(
        body: Value<'_, '_>,
        head: &Head<'_>,
        scales: Scales,
        max_levels: usize,
        out: &mut DecodedLevels,
    ) -> Result<Decoded<BookHead>, RejectReason> {
        wire::book(body.object().ok_or(RejectReason::Schema)?, head, scales, max_levels, out)
    }

    fn read_bbo(body: Value<'_, '_>, head: &Head<'_>, scales: Scales) -> Result<Decoded<Bbo>, RejectReason> {
        wire::bbo(body.object().ok_or(RejectReason::Schema)?, head, scales)
    }

    fn read_states(body: Value<'_, '_>, head: &Head<'_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
        states::read(body, head, out)
    }

    fn channels(
        native: &str,
        market: Exchange,
        kind: Option<InstrumentKind>,
        stream: Stream,
        config: &EngineConfig,
    ) -> Vec<Channel> {
        route::channels(native, (market, kind), stream, config.trade_source, config.depth_speed)
    }

    fn notices(markets: &[Exchange]) -> Vec<Channel> {
        route::notices(markets)
    }

    fn cadence(channel: &str, _stream: Stream) -> Option<Cadence> {
        states::cadence(channel)
    }

    fn url(ws: &str, family: u8) -> String {
        route::url(ws, family)
    }

    fn subscribe(names: &[&str], id: u64) -> String {
        route::request("subscribe", names, id)
    }

    fn unsubscribe(names: &[&str], id: u64) -> String {
        route::request("unsubscribe", names, id)
    }

    fn question(_id: u64) -> String {
        "ping".into()
    }

    fn login(credentials: &Credentials, wall: i64, id: u64) -> Option<Login> {
        Some(route::login(credentials, wall, id))
    }

    #[inline]
    fn begins_as_data(frame: &[u8]) -> bool {
        route::begins_as_data(frame)
    }

    /// §1: too frequent; internal, to be tried again.
    fn is_passing(code: i64, _is_anonymous: bool) -> bool {
        matches!(code, 60014 | 64007)
    }

    fn read_answer(frame: &[u8]) -> Option<Answer> {
        route::read_answer(frame)
    }

    fn reference(rest: &str, markets: &[Exchange], wanted: &[Selection]) -> Vec<RestRequest> {
        route::reference(rest, markets, wanted)
    }

    fn left_out(selection: &Selection) -> Option<String> {
        families::left_out(selection)
    }

    fn read_reference(body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
        instruments::read_instruments(body)
    }

    fn read_notice(frame: &[u8]) -> Vec<Instrument> {
        instruments::read_notice(frame)
    }

    fn probe(rest: &str, native: &str, stream: Stream, _aggregated: bool) -> Option<RestRequest> {
        (stream == Stream::Trades).then(|| route::last_trade(rest, native))
    }

    fn read_probe(
        body: &[u8],
        _stream: Stream,
        _aggregated: bool,
        _levels: &mut DecodedLevels,
    ) -> Result<RestTold, RejectReason> {
        route::read_last_trade(body).map(RestTold::Id)
    }

    fn trades_page(rest: &str, native: &str, _aggregated: bool, first: i64, last: i64) -> Option<RestRequest> {
        Some(route::trades_page(rest, native, first, last))
    }

    fn read_trades_page(
        body: &[u8],
        native: &str,
        _aggregated: bool,
        scales: Scales,
        out: &mut TradeRows,
    ) -> Result<(), RejectReason> {
        wire::read_trades_page(body, native, scales, out)
    }

    fn recorded(url: &str) -> Option<Recorded<'_>> {
        route::recorded_reply(url)
    }
}

//! Deribit: perpetuals, dated futures, options, combos (`deribit`) and spot (`deribit-spot`) on one socket.
//!
//! Manual: "Deribit — public market-data protocol (JSON-RPC v2)" (state of 2026-11-22); sections are cited as §n.
//!
//! | stream | channel | message | role | times | merge rule | source |
//! |---|---|---|---|---|---|---|
//! | `trades` | `trades.{i}.{interval}` | array of trades | single fills, several a message | `timestamp` | `sequence` on `trade_seq` | §3 documented, recordings |
//! | `trades` | `trades.{kind}.{currency}.{interval}` | array, instruments mixed | the same, row by row | `timestamp` | `sequence` on `trade_seq` per instrument | §3 documented, recordings |
//! | `trades` | `GET public/get_last_trades_by_instrument`, by `trade_seq` | – | the rows of the socket | `timestamp` | `trade_seq` | §3 documented |
//! | `liquidations` | `trades.{i}.{interval}` | trade with `liquidation` | the flag is the only public sign: the engine makes the row of the trade | `timestamp` | `sequence`, with its trade | §3, §5 documented |
//! | `l2` | `book.{i}.{interval}` | `type: snapshot` | full book, first after a subscription | `timestamp` | `change_id` | §4 documented, recordings |
//! | `l2` | `book.{i}.{interval}` | `type: change` | absolute sizes of levels changed in `(prev_change_id, change_id]` | `timestamp` | `chain` on `prev_change_id`, `change_id` | §4 documented, recordings |
//! | – | `book.{i}.{group}.{depth}.{interval}` | image | ignored: a window without a chain | – | – | §4 documented |
//! | `bbo` | `quote.{i}` | quote | best bid and offer | `timestamp` | `latest` on `timestamp` | §5 documented, recordings |
//! | `derivatives` | `ticker.{i}.{interval}` | ticker | mark, index, funding, open interest, last price; no cadence is told, a minute is ours (25 s at most in the recordings) | `timestamp` | `latest` on `timestamp` | §5 documented, recordings |
//! | `options` | `ticker.{i}.{interval}` | ticker with `greeks` or `mark_iv` | implied volatilities (percent, here fractions), greeks, underlying | `timestamp` | `latest` on `timestamp` | §5 documented, recordings |
//! | `instruments` | `GET public/get_instruments` | – | reference data | – | – | §2 documented, recordings |
//! | – | `instrument.state.*`, `instrument.creation.*` | notice | the reference data changed | – | – | §2 documented |
//!
//! Intervals (`raw`, `100ms`, `agg2`) are variants of a book, which never merge. Trades of all intervals are the same ones, by
//! `trade_seq`; of tickers the latest counts, whichever brought it. Nothing says when a message was sent.

pub mod instruments;
mod normalize;
mod peek;
pub mod route;
mod wire;

#[cfg(test)]
mod two_paths;

use std::borrow::Cow;

use xtrader_scan::Isa;

use super::document::{Document, Value};
use super::{
    Answer, Cadence, Channel, Decoded, EventKind, Head, Heartbeat, Limits, Login, Name, Peek, Protocol, Recorded,
    RestRequest, RestTold, SnapshotSource, StateHead, usual_merge,
};
use crate::arbiter::MergeRule;
use crate::book::sync::SyncRules;
use crate::config::{Credentials, DepthSpeed, Endpoints, EngineConfig, Selection, Stream, TradeSource};
use crate::event::{Bbo, BookHead, DecodedLevels, Scales, StateRows, TradeRows};
use crate::instrument::Instrument;
use crate::report::RejectReason;
use crate::symbol::{Exchange, Venue};
use crate::table::InstrumentKind;

/// Deribit. See the module.
pub struct Deribit;

impl Protocol for Deribit {
    const VENUE: Venue = Venue::Deribit;
    /// §4, state machine and arbitration.
    const SYNC: SyncRules =
        SyncRules { snapshot: SnapshotSource::Channel, ids_may_fall: false, first_may_end_at_snapshot: false };
    /// §1. Credits refill continuously: 3000 of 30,000 a subscription, 10,000 a second; a window of half the pool keeps
    /// even two of them side by side within it. Credits belong to the account, and without one to whoever asks. How often one may connect is not said: at most every place once a minute.
    const LIMITS: Limits = Limits {
        channels_per_connection: 500,
        channels_per_request: 500,
        request_burst: 10,
        requests_are_shared: true,
        request_every_ms: 300,
        frames_per_s: 100,
        connects: 32,
        connects_window_ms: 60_000,
        connections: 32,
        logged_in: 16,
        lifetime_s: 0,
        rest_weight: 25_000,
        rest_window_ms: 2500,
    };
    const HEARTBEAT: Heartbeat = Heartbeat::Frames { every_ms: route::HEARTBEAT_S * 1000 };
    const DEPTH_SPEEDS: &'static [DepthSpeed] = &[DepthSpeed::Ms100, DepthSpeed::Raw, DepthSpeed::Agg2];
    const TRADE_SOURCES: &'static [TradeSource] = &[TradeSource::Trade];
    const MARKETS: &'static [Exchange] = &[Exchange::Deribit, Exchange::DeribitSpot];
    const CREDENTIALS: &'static [&'static str] = &["key", "secret"];

    fn default_endpoints() -> Endpoints {
        route::default_endpoints()
    }

    fn streams(market: Exchange) -> &'static [Stream] {
        match market {
            Exchange::DeribitSpot => &[Stream::Trades, Stream::L2, Stream::Bbo],
            _ => &[Stream::Trades, Stream::L2, Stream::Bbo, Stream::Derivatives, Stream::Options, Stream::Liquidations],
        }
    }

    fn merge(_market: Exchange, stream: Stream) -> MergeRule {
        match stream {
            // It is told by its trade.
            Stream::Liquidations => MergeRule::Sequence,
            other => usual_merge(other),
        }
    }

    fn name(native: &str) -> Name<'_> {
        instruments::name(native)
    }

    fn native(market: Exchange, symbol: &str) -> Option<Cow<'_, str>> {
        instruments::native(market, symbol)
    }

    #[inline(always)]
    fn peek(frame: &[u8]) -> Peek<'_> {
        peek::peek(frame)
    }

    #[inline]
    fn looked_at(frame: &[u8], head: &Head<'_>) -> (usize, usize) {
        // Its levels stand behind all that the head says.
        if head.kind == EventKind::Depth { (head.resume, 0) } else { (frame.len(), 0) }
    }

    #[inline(always)]
    fn decode_trades(_isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales, out: &mut TradeRows) -> Decoded<()> {
        normalize::trades(frame, head, scales, out)
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
    fn decode_bbo(_isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Decoded<Bbo> {
        normalize::bbo(frame, head, scales)
    }

    #[inline(always)]
    fn decode_states(frame: &[u8], head: &Head<'_>, out: &mut StateRows) -> Decoded<()> {
        normalize::states(frame, head, out)
    }

    #[inline(always)]
    fn state_heads<'a>(frame: &'a [u8], head: &Head<'a>, each: impl FnMut(StateHead<'a>) -> bool) -> Option<()> {
        peek::state_heads(frame, head, each)
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
        wire::book(body, head, scales, max_levels, out)
    }

    fn read_bbo(body: Value<'_, '_>, head: &Head<'_>, scales: Scales) -> Result<Decoded<Bbo>, RejectReason> {
        wire::bbo(body, head, scales)
    }

    fn read_states(body: Value<'_, '_>, head: &Head<'_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
        wire::states(body, head, out)
    }

    fn channels(
        native: &str,
        market: Exchange,
        kind: Option<InstrumentKind>,
        stream: Stream,
        config: &EngineConfig,
    ) -> Vec<Channel> {
        route::channel(native, market, kind, stream, config).into_iter().collect()
    }

    fn notices(_markets: &[Exchange]) -> Vec<Channel> {
        route::notices()
    }

    fn cadence(channel: &str, stream: Stream) -> Option<Cadence> {
        route::cadence(channel, stream)
    }

    fn url(ws: &str, _family: u8) -> String {
        route::url(ws)
    }

    fn subscribe(names: &[&str], id: u64) -> String {
        route::subscribe(names, id)
    }

    fn unsubscribe(names: &[&str], id: u64) -> String {
        route::unsubscribe(names, id)
    }

    fn opening(id: u64) -> Option<String> {
        Some(route::set_heartbeat(id))
    }

    fn question(id: u64) -> String {
        route::test(id)
    }

    fn login(credentials: &Credentials, _wall: i64, id: u64) -> Option<Login> {
        Some(route::login(credentials, id))
    }

    #[inline]
    fn begins_as_data(frame: &[u8]) -> bool {
        route::begins_as_data(frame)
    }

    fn blank_secrets(frame: &[u8]) -> Option<Vec<u8>> {
        route::blank_secrets(frame)
    }

    /// §6: too many requests; the engine's queue is full; what is open to all is not while anonymous load is shed.
    fn is_passing(code: i64, is_anonymous: bool) -> bool {
        matches!(code, 10028 | 10047) || code == 13009 && is_anonymous
    }

    fn read_answer(frame: &[u8]) -> Option<Answer> {
        route::read_answer(frame)
    }

    fn reference(rest: &str, _markets: &[Exchange], _wanted: &[Selection]) -> Vec<RestRequest> {
        vec![route::reference(rest)]
    }

    fn read_reference(body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
        instruments::read_instruments(body)
    }

    fn probe(rest: &str, native: &str, stream: Stream, _aggregated: bool) -> Option<RestRequest> {
        route::probe(rest, native, stream)
    }

    fn read_probe(
        body: &[u8],
        stream: Stream,
        _aggregated: bool,
        levels: &mut DecodedLevels,
    ) -> Result<RestTold, RejectReason> {
        route::read_probe(body, stream, levels)
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
        route::read_trades_page(body, native, scales, out)
    }

    fn recorded(url: &str) -> Option<Recorded<'_>> {
        route::recorded_reply(url)
    }
}

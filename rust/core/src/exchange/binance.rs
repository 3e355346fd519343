//! What Binance's two markets, spot and USDⓈ-M futures, say alike: one [`Dialect`] tells where they differ, and every
//! dialect is a [`Protocol`].
//!
//! The folders [`super::binance_spot`] and [`super::binance_futures`] hold the dialects: addresses, names, reference
//! data, and what only one of them has. Their manuals are cited as "spot §n" and "futures §n".

mod instruments;
mod normalize;
mod peek;
mod request;
mod wire;

#[cfg(test)]
mod two_paths;

pub(super) use instruments::filter;
pub(super) use normalize::Product;
pub(super) use request::{Weights, suffix_of};
pub(super) use wire::{product, sent, symbol};

use std::borrow::Cow;

use xtrader_scan::Isa;

use super::document::{Document, Object, Value};
use super::reader::WireReader;
use super::{
    Answer, Cadence, Channel, Decoded, EventKind, Head, Heartbeat, Limits, Name, Peek, Protocol, Recorded, RestRequest,
    RestTold, SnapshotSource, StateHead, usual_merge,
};
use crate::arbiter::MergeRule;
use crate::book::sync::SyncRules;
use crate::config::{DepthSpeed, Endpoints, EngineConfig, Selection, Stream, TradeSource};
use crate::event::{Bbo, BookHead, DecodedLevels, Scales, StateRows, TradeRows};
use crate::instrument::{Conversion, Instrument};
use crate::report::RejectReason;
use crate::symbol::{Exchange, Venue};
use crate::table::InstrumentKind;

/// Where the two markets differ.
pub trait Dialect {
    /// The market.
    const MARKET: Exchange;
    /// Base addresses of sockets and of REST.
    const ENDPOINTS: (&'static str, &'static str);
    /// Path of every REST request.
    const API: &'static str;
    /// What REST requests weigh.
    const WEIGHTS: Weights;
    /// What it takes at most.
    const LIMITS: Limits;
    /// Longest time between two pings, in milliseconds.
    const PING_MS: u64;
    /// Streams that it offers.
    const STREAMS: &'static [Stream];
    /// Speeds of its books, the default first.
    const DEPTH_SPEEDS: &'static [DepthSpeed];
    /// Its trade feeds, the default first.
    const TRADE_SOURCES: &'static [TradeSource];
    /// What every instrument is, where there is one kind only.
    const KIND: Option<InstrumentKind>;

    /// The first change after a snapshot may end at its id: [`SyncRules::first_may_end_at_snapshot`].
    const FIRST_MAY_END_AT_SNAPSHOT: bool;
    /// A book change names the id it follows (`pu`). Where false, its first id follows it.
    const LINKED: bool;
    /// Book changes and trades say `T` behind `E`, quotes say both at their end. Where false, trades say `T` near their
    /// end, book changes say `E` alone and quotes say nothing.
    const TIMED_HEADS: bool;
    /// Times may come in microseconds (`timeUnit=MICROSECOND`).
    const MICROSECONDS: bool;
    /// Event types that [`Self::read_state`] reads.
    const STATES: &'static [&'static str];

    /// Our name of an instrument.
    fn unify(native: &str) -> Cow<'_, str>;

    /// The exchange's name of an instrument that may be written either way.
    fn native(symbol: &str) -> Cow<'_, str>;

    /// What only this market says of an instrument: kind, names of its filters, expiry.
    fn describe(row: Object<'_, '_>, instrument: &mut Instrument);

    /// Name and family of a stream; `None` where there is none of the kind.
    fn channel(native: &str, stream: Stream, source: TradeSource, speed: DepthSpeed) -> Option<Channel>;

    /// [`Protocol::cadence`].
    fn cadence(_channel: &str) -> Option<Cadence> {
        None
    }

    /// Address of the connections of a family.
    fn url(ws: &str, family: u8) -> String;

    /// [`Protocol::decode_states`].
    fn decode_states(_frame: &[u8], _head: &Head<'_>, _out: &mut StateRows) -> Decoded<()> {
        Decoded::Miss
    }

    /// [`Protocol::state_heads`].
    fn state_heads<'a>(_frame: &'a [u8], _head: &Head<'a>, _each: impl FnMut(StateHead<'a>) -> bool) -> Option<()> {
        None
    }

    /// Reads an event of one of [`Self::STATES`].
    ///
    /// # Errors
    /// Why it cannot be taken.
    fn read_state(body: Object<'_, '_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason>;

    /// [`Protocol::read_poll`], of the reply's object.
    ///
    /// # Errors
    /// Why it cannot be taken.
    fn read_poll(_body: Object<'_, '_>, _out: &mut StateRows) -> Result<(), RejectReason> {
        Err(RejectReason::Schema)
    }
}

impl<D: Dialect> Protocol for D {
    const VENUE: Venue = D::MARKET.venue();
    const SYNC: SyncRules = SyncRules {
        snapshot: SnapshotSource::Rest,
        ids_may_fall: false,
        first_may_end_at_snapshot: D::FIRST_MAY_END_AT_SNAPSHOT,
    };
    const LIMITS: Limits = D::LIMITS;
    const HEARTBEAT: Heartbeat = Heartbeat::Pings { every_ms: D::PING_MS };
    const DEPTH_SPEEDS: &'static [DepthSpeed] = D::DEPTH_SPEEDS;
    const TRADE_SOURCES: &'static [TradeSource] = D::TRADE_SOURCES;
    const MARKETS: &'static [Exchange] = &[D::MARKET];

    fn default_endpoints() -> Endpoints {
        let (ws, rest) = D::ENDPOINTS;
        Endpoints { ws: ws.into(), rest: rest.into() }
    }

    fn streams(_market: Exchange) -> &'static [Stream] {
        D::STREAMS
    }

    fn merge(_market: Exchange, stream: Stream) -> MergeRule {
        usual_merge(stream)
    }

    fn name(native: &str) -> Name<'_> {
        Name { market: D::MARKET, symbol: D::unify(native), kind: D::KIND, conversion: Conversion::None }
    }

    fn native(_market: Exchange, symbol: &str) -> Option<Cow<'_, str>> {
        Some(<D as Dialect>::native(symbol))
    }

    #[inline(always)]
    fn peek(frame: &[u8]) -> Peek<'_> {
        peek::peek::<D>(frame)
    }

    #[inline]
    fn looked_at(frame: &[u8], head: &Head<'_>) -> (usize, usize) {
        // Its levels, or its numbers, stand behind all that the head says.
        let is_told_first = head.kind == EventKind::Depth || head.kind == EventKind::Trade && D::TIMED_HEADS;
        if is_told_first { (head.resume, 0) } else { (frame.len(), 0) }
    }

    #[inline(always)]
    fn decode_trades(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales, out: &mut TradeRows) -> Decoded<()> {
        normalize::trade::<D>(isa, frame, head, scales, out)
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
        normalize::depth::<D>(isa, frame, head, scales, max_levels, out)
    }

    #[inline(always)]
    fn decode_bbo(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Decoded<Bbo> {
        normalize::bbo::<D>(isa, frame, head, scales)
    }

    #[inline(always)]
    fn decode_states(frame: &[u8], head: &Head<'_>, out: &mut StateRows) -> Decoded<()> {
        <D as Dialect>::decode_states(frame, head, out)
    }

    #[inline(always)]
    fn state_heads<'a>(frame: &'a [u8], head: &Head<'a>, each: impl FnMut(StateHead<'a>) -> bool) -> Option<()> {
        <D as Dialect>::state_heads(frame, head, each)
    }

    fn judge<'a>(document: &Document<'a>) -> Result<(Peek<'a>, usize), RejectReason> {
        wire::judge::<D>(document)
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
        wire::depth::<D>(body.object().ok_or(RejectReason::Schema)?, head, scales, max_levels, out)
    }

    fn read_bbo(body: Value<'_, '_>, head: &Head<'_>, scales: Scales) -> Result<Decoded<Bbo>, RejectReason> {
        wire::bbo(body.object().ok_or(RejectReason::Schema)?, head, scales)
    }

    fn read_states(body: Value<'_, '_>, _head: &Head<'_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
        wire::states::<D>(body, out)
    }

    fn channels(
        native: &str,
        _market: Exchange,
        _kind: Option<InstrumentKind>,
        stream: Stream,
        config: &EngineConfig,
    ) -> Vec<Channel> {
        D::channel(native, stream, config.trade_source, config.depth_speed).into_iter().collect()
    }

    fn cadence(channel: &str, _stream: Stream) -> Option<Cadence> {
        <D as Dialect>::cadence(channel)
    }

    fn url(ws: &str, family: u8) -> String {
        <D as Dialect>::url(ws, family)
    }

    fn subscribe(names: &[&str], id: u64) -> String {
        request::frame("SUBSCRIBE", names, id)
    }

    fn unsubscribe(names: &[&str], id: u64) -> String {
        request::frame("UNSUBSCRIBE", names, id)
    }

    fn question(id: u64) -> String {
        request::list_subscriptions(id)
    }

    fn read_answer(frame: &[u8]) -> Option<Answer> {
        request::read_answer(frame)
    }

    fn reference(rest: &str, _markets: &[Exchange], _wanted: &[Selection]) -> Vec<RestRequest> {
        vec![request::reference::<D>(rest)]
    }

    fn read_reference(body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
        instruments::read_exchange_info::<D>(body)
    }

    fn snapshot(rest: &str, native: &str) -> Option<RestRequest> {
        Some(request::snapshot::<D>(rest, native))
    }

    fn read_snapshot(
        body: &[u8],
        scales: Scales,
        max_levels: usize,
        out: &mut DecodedLevels,
    ) -> Result<BookHead, RejectReason> {
        wire::read_snapshot::<D>(body, scales, max_levels, out)
    }

    fn probe(rest: &str, native: &str, stream: Stream, _aggregated: bool) -> Option<RestRequest> {
        request::probe::<D>(rest, native, stream)
    }

    fn read_probe(
        body: &[u8],
        stream: Stream,
        aggregated: bool,
        levels: &mut DecodedLevels,
    ) -> Result<RestTold, RejectReason> {
        request::read_probe::<D>(body, stream, aggregated, levels)
    }

    fn poll(rest: &str, native: &str, stream: Stream) -> Option<RestRequest> {
        request::poll::<D>(rest, native, stream)
    }

    fn read_poll(body: &[u8], out: &mut StateRows) -> Result<(), RejectReason> {
        let mut reader = WireReader::default();
        let document = reader.document(body)?;
        <D as Dialect>::read_poll(document.at(0).object().ok_or(RejectReason::Schema)?, out)
    }

    fn trades_page(rest: &str, native: &str, aggregated: bool, first: i64, last: i64) -> Option<RestRequest> {
        request::trades_page::<D>(rest, native, aggregated, first, last)
    }

    fn read_trades_page(
        body: &[u8],
        _native: &str,
        aggregated: bool,
        scales: Scales,
        out: &mut TradeRows,
    ) -> Result<(), RejectReason> {
        wire::read_trades_page::<D>(body, aggregated, scales, out)
    }

    fn is_forgotten(status: u16, body: &[u8]) -> bool {
        status == 400 && request::is_forgotten(body)
    }

    fn recorded(url: &str) -> Option<Recorded<'_>> {
        request::recorded(url)
    }
}

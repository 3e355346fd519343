//! One forward pass over the head of a frame: kind, instrument, ids and time, without a look at the levels (§3–§5).
//!
//! The exchange writes keys in no fixed order (they differ between 2021, 2025 and 2026), so a head is walked key by key,
//! each of the known ones at most once; unknown plain values are stepped over. The envelope, and that levels come last,
//! has never changed: whatever differs there is a [`Peek::Miss`] and simd-json reads it.

use xtrader_scan::{Cursor, memrchr};

use super::normalize::{DERIVATIVE, OPTION, times};
use crate::config::Stream;
use crate::exchange::names::{MAX_SYMBOL_BYTES, once, same_text};
use crate::exchange::{EventKind, Head, Key, Peek, StateHead};
use crate::report::IgnoreReason;
use crate::time::ms_to_ns;

/// First words of channels that nobody here asks for (§5).
const UNREQUESTED: [&str; 14] = [
    "block_rfq",
    "block_trade_confirmations",
    "chart",
    "deribit_price_index",
    "deribit_price_ranking",
    "deribit_price_statistics",
    "deribit_volatility_index",
    "estimated_expiration_price",
    "incremental_ticker",
    "markprice",
    "perpetual",
    "rfq",
    "user",
    "volatility_index",
];

/// What the name of a channel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feed<'a> {
    /// Book changes of an instrument, at an interval.
    Book(&'a str, &'a str),
    /// Images of the top of the book.
    PartialDepth,
    /// Trades of one instrument, at an interval.
    Trades(&'a str, &'a str),
    /// Trades of all instruments of a kind.
    TradesOfMany(&'a str),
    /// Quotes of an instrument.
    Quote(&'a str),
    /// States of an instrument, at an interval.
    Ticker(&'a str, &'a str),
    /// The exchange speaks of itself: locks, listings, states of instruments.
    Notice,
    Unrequested,
    Unknown,
}

impl<'a> Feed<'a> {
    /// Reads a channel's name, e.g. `book.BTC-PERPETUAL.100ms`.
    pub(super) fn of(channel: &'a str) -> Self {
        let mut parts = channel.split('.');
        let first = parts.next().unwrap_or_default();
        match (first, parts.next(), parts.next(), parts.next()) {
            ("book", Some(name), Some(interval), None) => Self::Book(name, interval),
            ("book", Some(_), Some(_), Some(_)) => Self::PartialDepth,
            ("trades", Some(name), Some(interval), None) => Self::Trades(name, interval),
            ("trades", Some(_), Some(_), Some(interval)) => Self::TradesOfMany(interval),
            ("ticker", Some(name), Some(interval), None) => Self::Ticker(name, interval),
            ("quote", Some(name), None, _) => Self::Quote(name),
            ("platform_state", ..) | ("instrument", Some("state" | "creation"), ..) => Self::Notice,
            _ if UNREQUESTED.contains(&first) => Self::Unrequested,
            _ => Self::Unknown,
        }
    }
}

/// What the head of `frame` says.
#[must_use]
pub(super) fn peek(frame: &[u8]) -> Peek<'_> {
    scan(frame).unwrap_or(Peek::Miss)
}

fn scan(frame: &[u8]) -> Option<Peek<'_>> {
    let mut c = Cursor::new(frame, 0);
    if !c.eat(br#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":""#) {
        return answer(frame);
    }
    let head = match c.next()? {
        b'b' if c.eat(b"book.") => {
            let symbol = c.name_before::<b'.'>()?;
            let Some(interval) = c.name() else { return image(&mut c) };
            book(&mut c, symbol, interval)?
        }
        b't' if c.eat(b"trades.") => {
            let symbol = c.name_before::<b'.'>()?;
            let interval = c.name()?;
            trades(&mut c, frame, symbol, interval)?
        }
        b't' if c.eat(b"ticker.") => {
            let symbol = c.name_before::<b'.'>()?;
            let interval = c.name()?;
            c.expect(br#","data":{"#)?;
            Head { resume: c.at(), ..Head::of_states(symbol, Some(interval)) }
        }
        b'q' if c.eat(b"quote.") => {
            let symbol = c.name()?;
            quote(&mut c, symbol)?
        }
        _ => return other(&mut c),
    };
    (head.symbol.len() <= MAX_SYMBOL_BYTES).then_some(Peek::Event(head))
}

/// Steps over a key that is not known, and its plain value.
#[inline]
pub(super) fn skip_unknown(c: &mut Cursor<'_>, known: &[&[u8]]) -> Option<()> {
    let key = match c.name() {
        Some(name) => name.as_bytes(),
        None => c.text().filter(|key| key.is_ascii())?,
    };
    if known.contains(&key) {
        return None;
    }
    c.expect(b":")?;
    c.skip_scalar()
}

/// The name in `"instrument_name":"…"`, which must be the channel's.
#[inline(always)]
pub(super) fn same_name(c: &mut Cursor<'_>, symbol: &str) -> Option<()> {
    same_text(c.name()?, symbol).then_some(())
}

/// `,"data":{…,"bids":` in any order, and there decoding resumes.
#[inline(always)]
fn book<'a>(c: &mut Cursor<'a>, symbol: &'a str, interval: &'a str) -> Option<Head<'a>> {
    c.expect(br#","data":{"#)?;
    let (mut time, mut kind, mut prev, mut id, mut named) = (None, None, None, None, None);
    loop {
        c.expect(b"\"")?;
        match c.next()? {
            b't' if c.eat(br#"timestamp":"#) => once(&mut time, c.millis()?)?,
            b't' if c.eat(br#"type":"change""#) => once(&mut kind, EventKind::Depth)?,
            b't' if c.eat(br#"type":"snapshot""#) => once(&mut kind, EventKind::Book)?,
            b'p' if c.eat(br#"prev_change_id":"#) => once(&mut prev, c.integer()?)?,
            b'c' if c.eat(br#"change_id":"#) => once(&mut id, c.integer()?)?,
            b'i' if c.eat(br#"instrument_name":""#) => once(&mut named, same_name(c, symbol)?)?,
            b'b' if c.eat(br#"bids":"#) => break,
            _ => skip_unknown(c, &[b"type", b"bids", b"asks"])?,
        }
        c.expect(b",")?;
    }
    named?;
    let key = match (kind?, prev) {
        (EventKind::Book, None) => book_key(None, id?),
        (EventKind::Depth, Some(_)) => book_key(prev, id?),
        _ => return None,
    };
    let times = times(Some(time?));
    Some(Head { kind: kind?, symbol, variant: Some(interval), key, times, resume: c.at() })
}

/// A snapshot stands for itself; a change follows `prev_change_id` (§4).
pub(super) fn book_key(prev: Option<i64>, id: i64) -> Key {
    match prev {
        Some(prev) => Key { prev, first: prev.saturating_add(1), last: id },
        None => Key { prev: id, first: id, last: id },
    }
}

/// `,"data":[{…},…,{…}]`: the first row and the last one tell which ids there are.
#[inline(always)]
fn trades<'a>(c: &mut Cursor<'a>, frame: &'a [u8], symbol: &'a str, interval: &'a str) -> Option<Head<'a>> {
    c.expect(br#","data":["#)?;
    let resume = c.at();
    c.expect(b"{")?;
    let first = trade(c, symbol)?;
    // Rows hold no objects, so the last brace that opens is that of the last row.
    let last = match memrchr(b'{', frame)? {
        row if row == resume => first,
        row => {
            c.set(row + 1);
            trade(c, symbol)?
        }
    };
    let (key, time) = trades_key(first, last);
    Some(Head { kind: EventKind::Trade, symbol, variant: Some(interval), key, times: times(Some(time)), resume })
}

/// The ids and the time of the later trade, of the first row and the last.
pub(super) fn trades_key<T>(first: (i64, T), last: (i64, T)) -> (Key, T) {
    let (low, (high, time)) = if first.0 <= last.0 { (first.0, last) } else { (last.0, first) };
    (Key { prev: low.saturating_sub(1), first: low, last: high }, time)
}

/// `trade_seq` and time of a row of this instrument, wherever they stand; what is behind them decoding reads.
#[inline(always)]
fn trade(c: &mut Cursor<'_>, symbol: &str) -> Option<(i64, i64)> {
    let (mut time, mut seq, mut named) = (None, None, None);
    loop {
        c.expect(b"\"")?;
        match c.next()? {
            b't' if c.eat(br#"timestamp":"#) => once(&mut time, c.millis()?)?,
            b't' if c.eat(br#"trade_seq":"#) => once(&mut seq, c.integer()?)?,
            b'i' if c.eat(br#"instrument_name":""#) => once(&mut named, same_name(c, symbol)?)?,
            // Known ones need no look for their end.
            b't' if c.eat(br#"trade_id":"#) || c.eat(br#"tick_direction":"#) => c.skip_scalar()?,
            b'p' if c.eat(br#"price":"#) => c.skip_scalar()?,
            b'a' if c.eat(br#"amount":"#) => c.skip_scalar()?,
            b'd' if c.eat(br#"direction":"#) => c.skip_scalar()?,
            b'i' if c.eat(br#"index_price":"#) => c.skip_scalar()?,
            b'm' if c.eat(br#"mark_price":"#) => c.skip_scalar()?,
            b'c' if c.eat(br#"contracts":"#) => c.skip_scalar()?,
            _ => skip_unknown(c, &[b"instrument_name"])?,
        }
        if let (Some(seq), Some(time), Some(())) = (seq, time, named) {
            return Some((seq, time));
        }
        c.expect(b",")?;
    }
}

/// `,"data":{…`: a quote has no id; its time orders it (§5).
#[inline(always)]
fn quote<'a>(c: &mut Cursor<'a>, symbol: &'a str) -> Option<Head<'a>> {
    c.expect(br#","data":{"#)?;
    let resume = c.at();
    let (mut time, mut named) = (None, None);
    while time.is_none() || named.is_none() {
        if c.at() > resume {
            c.expect(b",")?;
        }
        c.expect(b"\"")?;
        match c.next()? {
            b't' if c.eat(br#"timestamp":"#) => once(&mut time, c.millis()?)?,
            b'i' if c.eat(br#"instrument_name":""#) => once(&mut named, same_name(c, symbol)?)?,
            _ => skip_unknown(c, &[b"instrument_name"])?,
        }
    }
    let time = time?;
    Some(Head {
        kind: EventKind::Bbo,
        symbol,
        variant: Some(""),
        key: quote_key(time),
        times: times(Some(time)),
        resume,
    })
}

pub(super) fn quote_key(ms: i64) -> Key {
    Key { prev: Key::UNLINKED, first: ms, last: ms }
}

/// The head of a ticker: whose it is its channel says, and when, a key among its first. What it may be a state of tells
/// the kind of its instrument.
#[inline(always)]
pub(super) fn state_heads<'a>(
    frame: &'a [u8],
    head: &Head<'a>,
    mut each: impl FnMut(StateHead<'a>) -> bool,
) -> Option<()> {
    let mut c = Cursor::new(frame, head.resume);
    loop {
        c.expect(b"\"")?;
        if c.eat(br#"timestamp":"#) {
            break;
        }
        if c.eat(br#"instrument_name":""#) {
            same_name(&mut c, head.symbol)?;
        } else {
            skip_unknown(&mut c, &[])?;
        }
        c.expect(b",")?;
    }
    let time = ms_to_ns(c.millis()?)?;
    let feeds = [Some((Stream::Derivatives, DERIVATIVE)), Some((Stream::Options, OPTION))];
    each(StateHead { native: head.symbol, is_index: false, feeds, time });
    Some(())
}

/// `book.{i}.{group}.{depth}.{interval}`: the interval was no name up to its quote.
#[cold]
fn image<'a>(c: &mut Cursor<'_>) -> Option<Peek<'a>> {
    c.name_before::<b'.'>()?;
    c.text()?.is_ascii().then_some(Peek::Ignored(IgnoreReason::PartialDepth))
}

/// Channels without a scanner: those that nobody asked for cost no more than their name.
#[inline(never)]
fn other<'a>(c: &mut Cursor<'_>) -> Option<Peek<'a>> {
    let channel = std::str::from_utf8(c.text()?).ok()?;
    c.expect(br#","data":"#)?;
    match Feed::of(channel) {
        Feed::Unrequested => Some(Peek::Ignored(IgnoreReason::UnrequestedKind)),
        Feed::Notice => Some(Peek::Answer),
        _ => None,
    }
}

/// Answers to requests and heartbeats, by how they begin.
#[cold]
fn answer<'a>(frame: &[u8]) -> Option<Peek<'a>> {
    let answers: [&[u8]; 6] = [
        br#"{"jsonrpc":"2.0","id":"#,
        br#"{"jsonrpc":"2.0","result":"#,
        br#"{"jsonrpc":"2.0","error":"#,
        br#"{"jsonrpc":"2.0","method":"heartbeat""#,
        br#"{"params":{"type":"test_request"},"method":"heartbeat""#,
        br#"{"params":{"type":"heartbeat"},"method":"heartbeat""#,
    ];
    answers.iter().any(|start| frame.starts_with(start)).then_some(Peek::Answer)
}

#[cfg(test)]
mod tests;

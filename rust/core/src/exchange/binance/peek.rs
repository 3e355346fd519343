//! One forward pass over the head of a frame: kind, symbol, ids and times, without a look at the body (§3–§5 of both
//! manuals).
//!
//! Taken are the shapes that the exchange really sends, in the key orders of 2021, 2024 and 2026, raw or combined, and
//! nothing else: whatever differs by one byte is a [`Peek::Miss`] and simd-json reads it. What the head says of a frame
//! that later turns out to be damaged is what the reader would have said of it undamaged; rows only come from
//! [`super::normalize`], which reads to the last byte.

use xtrader_scan::{Cursor, before as ends, last_quote};

use super::Dialect;
use super::normalize::times;
use crate::event::EventTimes;
use crate::exchange::names::MAX_SYMBOL_BYTES;
use crate::exchange::{EventKind, Head, Key, Peek};
use crate::report::IgnoreReason;

/// Event types of streams that nobody here asks for (§1, §5).
pub(super) const UNREQUESTED: [&str; 14] = [
    "kline",
    "continuous_kline",
    "24hrTicker",
    "24hrMiniTicker",
    "1hTicker",
    "4hTicker",
    "1dTicker",
    "avgPrice",
    "referencePrice",
    "contractInfo",
    "compositeIndex",
    "assetIndexUpdate",
    "tradingSession",
    "openInterest",
];

/// The event type of the exchange's notice that it is about to close the connection (spot §1).
pub(super) const SHUTDOWN: &str = "serverShutdown";

/// What the name of a stream says, behind the `@` or the `!`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feed<'a> {
    /// Book changes at a speed.
    Depth(&'a str),
    /// Images of the top of the book, or a book with other orders in it.
    PartialDepth,
    AggTrade,
    Trade,
    BookTicker,
    Other,
}

impl<'a> Feed<'a> {
    /// Reads a stream's name, e.g. `btcusdt@depth@100ms` or `!bookTicker`.
    pub(super) fn of(stream: &'a str) -> Self {
        let feed = match stream.strip_prefix('!') {
            Some(all_market) => all_market,
            None => stream.split_once('@').map_or("", |(_, feed)| feed),
        };
        match feed {
            "aggTrade" => Self::AggTrade,
            "trade" => Self::Trade,
            "bookTicker" => Self::BookTicker,
            _ if feed.starts_with("rpiDepth") => Self::PartialDepth,
            _ => match feed.strip_prefix("depth") {
                Some(speed) if speed.is_empty() || speed.starts_with('@') => Self::Depth(speed),
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => Self::PartialDepth,
                _ => Self::Other,
            },
        }
    }

    /// What [`Head::variant`] says for an event of `kind` that came on this feed.
    pub(super) fn variant(self, kind: EventKind) -> Option<&'a str> {
        match (self, kind) {
            (Self::Depth(speed), EventKind::Depth) => Some(speed),
            (Self::AggTrade, EventKind::AggTrade)
            | (Self::Trade, EventKind::Trade)
            | (Self::BookTicker, EventKind::Bbo) => Some(""),
            _ => None,
        }
    }
}

/// What the head of `frame` says.
#[inline(always)]
pub(super) fn peek<D: Dialect>(frame: &[u8]) -> Peek<'_> {
    match frequent::<D>(frame) {
        Some(head) => Peek::Event(head),
        None => scan::<D>(frame).unwrap_or(Peek::Miss),
    }
}

/// What comes most, in the combined form: between the symbol and the first number all stands in one literal. Says what
/// [`scan`] says, or nothing.
#[inline(always)]
fn frequent<D: Dialect>(frame: &[u8]) -> Option<Head<'_>> {
    let mut c = Cursor::new(frame, 0);
    c.expect(br#"{"stream":""#)?;
    c.stream_symbol()?;
    let (kind, variant) = match c.rest().get(1)? {
        b'b' if D::TIMED_HEADS && c.eat(br#"@bookTicker","data":{"e":"bookTicker","u":"#) => (EventKind::Bbo, ""),
        b'b' if !D::TIMED_HEADS && c.eat(br#"@bookTicker","data":{"u":"#) => (EventKind::Bbo, ""),
        b't' if c.eat(br#"@trade","data":{"e":"trade","E":"#) => (EventKind::Trade, ""),
        b'd' if c.eat(br#"@depth@100ms","data":{"e":"depthUpdate","E":"#) => (EventKind::Depth, "@100ms"),
        b'd' if c.eat(br#"@depth@0ms","data":{"e":"depthUpdate","E":"#) => (EventKind::Depth, "@0ms"),
        b'a' if c.eat(br#"@aggTrade","data":{"e":"aggTrade","E":"#) => (EventKind::AggTrade, ""),
        b'm' if D::STATES.contains(&"markPriceUpdate") && c.eat(br#"@markPrice@1s","data":"#) => {
            let resume = c.at();
            c.expect(br#"{"e":"markPriceUpdate","#)?;
            return Some(Head { resume, ..Head::of_states("", None) });
        }
        _ => return None,
    };
    event::<D>(&mut c, frame, kind, Some(variant))
}

#[inline(never)]
fn scan<D: Dialect>(frame: &[u8]) -> Option<Peek<'_>> {
    let mut c = Cursor::new(frame, 0);
    let mut at = 0;
    let feed = if c.eat(br#"{"stream":""#) {
        let feed = feed(&mut c)?;
        c.expect(br#","data":"#)?;
        at = c.at();
        if !c.eat(b"{") {
            return array::<D>(&mut c, at);
        }
        if feed == Feed::PartialDepth {
            return Some(Peek::Ignored(IgnoreReason::PartialDepth));
        }
        c.expect(b"\"")?;
        Some(feed)
    } else {
        if !c.eat(br#"{""#) {
            return array::<D>(&mut c, at);
        }
        None
    };
    let kind = if c.eat(br#"e":""#) {
        // One byte tells the four apart; the rest of the name is still compared.
        match c.next()? {
            b'b' if c.eat(br#"bookTicker","u":"#) => EventKind::Bbo,
            b't' if c.eat(br#"trade","E":"#) => EventKind::Trade,
            b'd' if c.eat(br#"depthUpdate","E":"#) => EventKind::Depth,
            b'a' if c.eat(br#"aggTrade","E":"#) => EventKind::AggTrade,
            _ => return rare_type::<D>(&mut c, at),
        }
    } else if c.eat(br#"u":"#) {
        EventKind::Bbo
    } else {
        return answer(&c, feed);
    };
    let variant = match feed {
        None => None,
        Some(feed) => Some(feed.variant(kind)?),
    };
    event::<D>(&mut c, frame, kind, variant).map(Peek::Event)
}

/// From its first number on.
#[inline(always)]
fn event<'a, D: Dialect>(
    c: &mut Cursor<'a>,
    frame: &'a [u8],
    kind: EventKind,
    variant: Option<&'a str>,
) -> Option<Head<'a>> {
    let (symbol, key, times, resume) = match kind {
        EventKind::Depth => depth::<D>(c)?,
        EventKind::AggTrade => agg_trade::<D>(c, frame)?,
        EventKind::Trade => trade::<D>(c, frame)?,
        _ => book_ticker::<D>(c, frame)?,
    };
    (symbol.len() <= MAX_SYMBOL_BYTES).then_some(Head { kind, symbol, variant, key, times, resume })
}

type Fields<'a> = (&'a str, Key, EventTimes, usize);

/// `E,["T":T,]"s":"S",["ps":"S",]"U":U,"u":u,["pu":pu,]"b":` and there decoding resumes.
#[inline(always)]
fn depth<'a, D: Dialect>(c: &mut Cursor<'a>) -> Option<Fields<'a>> {
    let sent = c.millis()?;
    let event = if D::TIMED_HEADS { time(c)? } else { sent };
    c.expect(br#","s":""#)?;
    let symbol = symbol_before(c, br#","U":"#)?;
    let first = c.integer()?;
    c.expect(br#","u":"#)?;
    let last = c.integer()?;
    let prev = if D::LINKED {
        c.expect(br#","pu":"#)?;
        c.integer()?
    } else {
        before(first)
    };
    c.expect(br#","b":"#)?;
    Some((symbol, Key { prev, first, last }, times::<D>(event, sent), c.at()))
}

/// Where ids of one book follow one another, the id that a change follows.
pub(super) fn before(first: i64) -> i64 {
    first.saturating_sub(1)
}

/// `E,"a":a,"s":"S",["ps":"S",]"p":` or `E,"s":"S","a":a,"p":` where decoding resumes; its time stands near the end.
#[inline(always)]
fn agg_trade<'a, D: Dialect>(c: &mut Cursor<'a>, frame: &'a [u8]) -> Option<Fields<'a>> {
    let sent = c.millis()?;
    let (id, symbol) = if c.eat(br#","a":"#) {
        let id = c.integer()?;
        c.expect(br#","s":""#)?;
        (id, symbol_before(c, br#","p":""#)?)
    } else {
        c.expect(br#","s":""#)?;
        let symbol = symbol_before(c, br#","a":"#)?;
        let id = c.integer()?;
        c.expect(br#","p":""#)?;
        (id, symbol)
    };
    let resume = c.at();
    let event = late_time(c, frame, EventKind::AggTrade)?;
    Some((symbol, Key::single(id), times::<D>(event, sent), resume))
}

/// `E,["T":T,]"s":"S",["ps":"S",]"t":t,"p":` where decoding resumes; without `T` here its time stands near the end.
#[inline(always)]
fn trade<'a, D: Dialect>(c: &mut Cursor<'a>, frame: &'a [u8]) -> Option<Fields<'a>> {
    let sent = c.millis()?;
    let event = if D::TIMED_HEADS { Some(time(c)?) } else { None };
    c.expect(br#","s":""#)?;
    let symbol = symbol_before(c, br#","t":"#)?;
    let id = c.integer()?;
    c.expect(br#","p":""#)?;
    let resume = c.at();
    let event = match event {
        Some(event) => event,
        None => late_time(c, frame, EventKind::Trade)?,
    };
    Some((symbol, Key::single(id), times::<D>(event, sent), resume))
}

/// `,"T":T`.
#[inline(always)]
fn time(c: &mut Cursor<'_>) -> Option<i64> {
    c.expect(br#","T":"#)?;
    c.millis()
}

/// The time of a trade that stands behind its numbers.
#[inline(always)]
fn late_time(c: &Cursor<'_>, frame: &[u8], kind: EventKind) -> Option<i64> {
    match trade_tail(frame) {
        Some(event) => Some(event),
        None => trade_body(*c, kind),
    }
}

/// `,"T":T,"m":…` at the end of the frame.
#[inline(always)]
fn trade_tail(frame: &[u8]) -> Option<i64> {
    let fields = fields(frame)?;
    let fields = ends(fields, br#","M":true"#).unwrap_or(fields);
    let fields = ends(fields, br#","m":true"#).or_else(|| ends(fields, br#","m":false"#))?;
    let mut c = Cursor::new(fields, fields.len().checked_sub(br#","T":"#.len() + MILLIS_DIGITS)?);
    let event = time(&mut c)?;
    c.is_at_end().then_some(event)
}

/// The same by way of everything before it, where the time has another length.
#[cold]
fn trade_body(mut c: Cursor<'_>, kind: EventKind) -> Option<i64> {
    c.skip_number()?;
    c.expect(br#","q":""#)?;
    c.skip_number()?;
    if c.eat(br#","nq":""#) {
        c.skip_number()?;
    }
    if kind == EventKind::AggTrade {
        c.expect(br#","f":"#)?;
        c.integer()?;
        c.expect(br#","l":"#)?;
        c.integer()?;
    } else {
        orders(&mut c)?;
    }
    time(&mut c)
}

/// Until June 2024 spot trades named the orders of both sides (spot §3).
#[inline(always)]
pub(super) fn orders(c: &mut Cursor<'_>) -> Option<()> {
    if c.eat(br#","b":"#) {
        c.integer()?;
        c.expect(br#","a":"#)?;
        c.integer()?;
    }
    Some(())
}

/// `u,"s":"S",["ps":"S",]"b":` where decoding resumes; its times, if any, stand at the end.
#[inline(always)]
fn book_ticker<'a, D: Dialect>(c: &mut Cursor<'a>, frame: &'a [u8]) -> Option<Fields<'a>> {
    let id = c.integer()?;
    c.expect(br#","s":""#)?;
    let symbol = symbol_before(c, br#","b":""#)?;
    let resume = c.at();
    let times = if D::TIMED_HEADS {
        let (event, sent) = match book_ticker_tail(frame) {
            Some(times) => times,
            None => book_ticker_body(*c)?,
        };
        times::<D>(event, sent)
    } else {
        ends_with_a_size(frame)?;
        EventTimes::default()
    };
    Some((symbol, Key::single(id), times, resume))
}

/// `,"A":"…"` and nothing behind it.
#[inline(always)]
fn ends_with_a_size(frame: &[u8]) -> Option<()> {
    let size = ends(fields(frame)?, b"\"")?;
    ends(size.get(..last_quote(size)?)?, br#","A":"#).map(|_| ())
}

/// `,"T":T,"E":E` at the end of the frame.
#[inline(always)]
fn book_ticker_tail(frame: &[u8]) -> Option<(i64, i64)> {
    let fields = fields(frame)?;
    let mut c = Cursor::new(fields, fields.len().checked_sub(br#","T":,"E":"#.len() + 2 * MILLIS_DIGITS)?);
    let event = time(&mut c)?;
    c.expect(br#","E":"#)?;
    let sent = c.millis()?;
    c.is_at_end().then_some((event, sent))
}

/// The same by way of everything before it, where a time has another length.
#[cold]
fn book_ticker_body(mut c: Cursor<'_>) -> Option<(i64, i64)> {
    c.skip_number()?;
    c.expect(br#","B":""#)?;
    c.skip_number()?;
    c.expect(br#","a":""#)?;
    c.skip_number()?;
    c.expect(br#","A":""#)?;
    c.skip_number()?;
    let event = time(&mut c)?;
    c.expect(br#","E":"#)?;
    Some((event, c.integer()?))
}

/// Digits of a time from 2001 to 2286.
const MILLIS_DIGITS: usize = 13;

/// The frame without its closing braces and `st`: where the fields of the payload end.
#[inline(always)]
fn fields(frame: &[u8]) -> Option<&[u8]> {
    let payload = match ends(frame, b"}}") {
        Some(payload) => payload,
        None => ends(frame, b"}")?,
    };
    Some(ends(payload, br#","st":1"#).unwrap_or(payload))
}

/// A symbol, and what stands behind it. Since the integration of futures' two product families payloads name the pair
/// beside it.
#[inline(always)]
fn symbol_before<'a, const N: usize>(c: &mut Cursor<'a>, behind: &[u8; N]) -> Option<&'a str> {
    let symbol = c.symbol()?;
    if !c.eat(behind) {
        c.expect(br#","ps":""#)?;
        c.symbol()?;
        c.expect(behind)?;
    }
    Some(symbol)
}

/// The name of a stream, up to and with its closing quote.
#[inline(always)]
fn feed(c: &mut Cursor<'_>) -> Option<Feed<'static>> {
    if !c.eat(b"!") {
        c.stream_symbol()?;
        c.expect(b"@")?;
    }
    Some(match c.next()? {
        b'b' if c.eat(br#"bookTicker""#) => Feed::BookTicker,
        b't' if c.eat(br#"trade""#) => Feed::Trade,
        b'd' if c.eat(br#"depth@100ms""#) => Feed::Depth("@100ms"),
        b'd' if c.eat(br#"depth@0ms""#) => Feed::Depth("@0ms"),
        b'a' if c.eat(br#"aggTrade""#) => Feed::AggTrade,
        b'm' if c.eat(br#"markPrice@1s""#) => Feed::Other,
        _ => rare_feed(c)?,
    })
}

#[cold]
fn rare_feed(c: &mut Cursor<'_>) -> Option<Feed<'static>> {
    let name = c.text()?;
    Some(match name {
        b"depth" => Feed::Depth(""),
        b"depth@500ms" => Feed::Depth("@500ms"),
        _ if name.starts_with(b"rpiDepth") => Feed::PartialDepth,
        _ => match name.strip_prefix(b"depth") {
            Some([digit, ..]) if digit.is_ascii_digit() => Feed::PartialDepth,
            // A speed nobody knows yet: the reader names it.
            Some(_) => return None,
            // Nobody reads the rest of the name, so that it must be UTF-8 for sure.
            None => name.is_ascii().then_some(Feed::Other)?,
        },
    })
}

/// All-market streams send arrays of one type of event: the first one tells.
#[cold]
fn array<'a, D: Dialect>(c: &mut Cursor<'_>, at: usize) -> Option<Peek<'a>> {
    c.expect(br#"[{"e":""#)?;
    rare_type::<D>(c, at).filter(|peek| *peek != Peek::Answer)
}

/// An event type without a scanner: a state, a notice, or one that is known and that nobody asked for. The event, or the
/// list of them, stands at `at`.
#[inline(never)]
fn rare_type<'a, D: Dialect>(c: &mut Cursor<'_>, at: usize) -> Option<Peek<'a>> {
    let kind = c.text()?;
    let is_of = |types: &[&str]| types.iter().any(|known| known.as_bytes() == kind);
    let verdict = if is_of(D::STATES) {
        Peek::Event(Head { resume: at, ..Head::of_states("", None) })
    } else if is_of(&UNREQUESTED) {
        Peek::Ignored(IgnoreReason::UnrequestedKind)
    } else if is_of(&[SHUTDOWN]) {
        Peek::Answer
    } else {
        return None;
    };
    (c.next() == Some(b',')).then_some(verdict)
}

/// Acks and errors begin with a key that no event has.
#[cold]
fn answer<'a>(c: &Cursor<'_>, feed: Option<Feed<'_>>) -> Option<Peek<'a>> {
    let answers: [&[u8]; 3] = [br#"result":"#, br#"error":"#, br#"code":"#];
    let is_answer = feed.is_none() && answers.iter().any(|start| c.rest().starts_with(start));
    is_answer.then_some(Peek::Answer)
}

#[cfg(test)]
mod tests;

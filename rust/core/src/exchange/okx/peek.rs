//! One pass over the head of a frame, and over the few fields behind its lists: kind, instrument, ids and times (§3–§5).
//!
//! Taken are the shapes that the exchange sends today and those of the recordings of 2021 and 2022, which have no ids;
//! whatever differs by one byte is a [`Peek::Miss`] and simd-json reads it. The ids of a book stand behind its levels,
//! so they are looked for from the end; [`super::normalize`] finds the same ones on its way through the frame.

use xtrader_scan::{Cursor, memrchr};

use super::normalize::{Fold, times};
use super::states;
use crate::event::EventTimes;
use crate::exchange::names::{MAX_SYMBOL_BYTES, same_text};
use crate::exchange::{EventKind, Head, Key, Peek};
use crate::report::IgnoreReason;

/// Order books that are sent as a snapshot and its changes.
pub(super) const BOOKS: [&str; 3] = ["books", "books-l2-tbt", "books50-l2-tbt"];

/// Channels that nobody here asks for (§1, §4 to §6); candles beside them.
const UNREQUESTED: [&str; 15] = [
    "books-rpi",
    "books-elp",
    "tickers",
    "status",
    "price-limit",
    "estimated-price",
    "block-tickers",
    "public-block-trades",
    "public-struc-block-trades",
    "block-trades",
    "option-trades",
    "adl-warning",
    "economic-calendar",
    "call-auction-details",
    "sprd-tickers",
];

/// Why a channel that no row is made of is ignored.
pub(super) fn ignored(channel: &str) -> IgnoreReason {
    let is_candle = ["candle", "mark-price-candle", "index-candle"].iter().any(|kind| channel.starts_with(kind));
    if is_candle || UNREQUESTED.contains(&channel) {
        IgnoreReason::UnrequestedKind
    } else if channel == "books5" {
        IgnoreReason::PartialDepth
    } else {
        IgnoreReason::UnknownType
    }
}

/// What the head of `frame` says.
#[must_use]
pub(super) fn peek(frame: &[u8]) -> Peek<'_> {
    scan(frame).unwrap_or(Peek::Miss)
}

fn scan(frame: &[u8]) -> Option<Peek<'_>> {
    let mut c = Cursor::new(frame, 0);
    if !c.eat(br#"{"arg":{"channel":""#) {
        return answer(frame);
    }
    // Two bytes tell the frequent ones apart; the rest of the name is still compared.
    let head = match c.next()? {
        b'b' if c.eat(br#"books","instId":""#) => book(&mut c, frame, "books")?,
        b'b' if c.eat(br#"books-l2-tbt","instId":""#) => book(&mut c, frame, "books-l2-tbt")?,
        b'b' if c.eat(br#"books50-l2-tbt","instId":""#) => book(&mut c, frame, "books50-l2-tbt")?,
        b'b' if c.eat(br#"bbo-tbt","instId":""#) => bbo(&mut c, frame)?,
        b't' if c.eat(br#"trades","instId":""#) => trades(&mut c, EventKind::AggTrade)?,
        b't' if c.eat(br#"trades-all","instId":""#) => trades(&mut c, EventKind::Trade)?,
        _ => return other(&mut c),
    };
    (head.symbol.len() <= MAX_SYMBOL_BYTES).then_some(Peek::Event(head))
}

/// How much of a frame its head was found in: of a book's change all but its levels.
pub(super) fn looked_at(frame: &[u8], head: &Head<'_>) -> (usize, usize) {
    match memrchr(b']', frame.strip_suffix(b"}]}").unwrap_or_default()) {
        Some(lists) if head.kind == EventKind::Depth => (head.resume, frame.len() - lists),
        _ => (frame.len(), 0),
    }
}

/// `S"},"action":"snapshot","data":[{"asks":` and there decoding resumes.
#[inline(always)]
fn book<'a>(c: &mut Cursor<'a>, frame: &'a [u8], channel: &'static str) -> Option<Head<'a>> {
    let symbol = c.name()?;
    c.expect(br#"},"action":""#)?;
    let kind = if c.eat(br#"update","data":[{"asks":"#) {
        EventKind::Depth
    } else {
        c.expect(br#"snapshot","data":[{"asks":"#)?;
        EventKind::Book
    };
    let resume = c.at();
    let tail = Tail::from_the_end_of(frame)?;
    Some(Head { kind, symbol, variant: Some(channel), key: tail.book_key()?, times: tail.times(), resume })
}

/// `S"},"data":[{"asks":` and there decoding resumes.
#[inline(always)]
fn bbo<'a>(c: &mut Cursor<'a>, frame: &'a [u8]) -> Option<Head<'a>> {
    let symbol = c.name()?;
    c.expect(br#"},"data":[{"asks":"#)?;
    let resume = c.at();
    let tail = Tail::from_the_end_of(frame)?;
    Some(Head { kind: EventKind::Bbo, symbol, variant: Some(""), key: tail.bbo_key(), times: tail.times(), resume })
}

/// `S"},"data":[` and there decoding resumes. The rows tell which ids there are.
#[inline(always)]
fn trades<'a>(c: &mut Cursor<'a>, kind: EventKind) -> Option<Head<'a>> {
    let symbol = c.name()?;
    c.expect(br#"},"data":["#)?;
    let resume = c.at();
    let mut ids = Ids::default();
    loop {
        let last = trade_id(c, symbol)?;
        // Whether these are numbers decoding says.
        c.until::<b'"'>()?;
        c.expect(br#","sz":""#)?;
        c.until::<b'"'>()?;
        let fold = Fold::scan(c)?;
        ids.add(fold.first(last)?, last, times(fold.ts));
        if !c.eat(b",") {
            break;
        }
    }
    c.expect(b"]}")?;
    let (key, times) = ids.0.filter(|_| c.is_at_end())?;
    Some(Head { kind, symbol, variant: Some(""), key, times, resume })
}

/// `{"instId":"S","tradeId":"1","px":"`
#[inline(always)]
pub(super) fn trade_id(c: &mut Cursor<'_>, symbol: &str) -> Option<i64> {
    c.expect(br#"{"instId":""#)?;
    if !same_text(c.name()?, symbol) {
        return None;
    }
    c.expect(br#","tradeId":""#)?;
    let id = c.integer()?;
    c.expect(br#"","px":""#)?;
    Some(id)
}

/// The ids that all trades of a message cover, and the times of the one with the highest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ids(pub(super) Option<(Key, EventTimes)>);

impl Ids {
    #[inline(always)]
    pub(super) fn add(&mut self, first: i64, last: i64, at: EventTimes) {
        self.0 = Some(match self.0 {
            Some((key, times)) => {
                let times = if last > key.last { at } else { times };
                (key_of(first.min(key.first), last.max(key.last)), times)
            }
            None => (key_of(first, last), at),
        });
    }
}

/// The key of trades.
fn key_of(first: i64, last: i64) -> Key {
    Key { prev: first.saturating_sub(1), first, last }
}

/// What stands behind the lists of a book or a quote.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tail {
    pub(super) ts: i64,
    pub(super) checksum: Option<i64>,
    pub(super) prev: Option<i64>,
    pub(super) last: Option<i64>,
}

impl Tail {
    /// Behind the last list of the frame: nothing in the tail has a bracket.
    #[inline(always)]
    fn from_the_end_of(frame: &[u8]) -> Option<Self> {
        let lists = memrchr(b']', frame.strip_suffix(b"}]}")?)?;
        Self::scan(&mut Cursor::new(frame, lists + 1))
    }

    /// `,"ts":"T","checksum":0,"prevSeqId":1,"seqId":2}]}` to the end of the frame. The ids come in either order or, in
    /// old recordings, not at all; quotes have no checksum and no `prevSeqId`.
    #[inline(always)]
    pub(super) fn scan(c: &mut Cursor<'_>) -> Option<Self> {
        c.expect(br#","ts":""#)?;
        let mut tail = Self { ts: c.millis()?, ..Self::default() };
        c.expect(b"\"")?;
        if c.eat(br#","checksum":"#) {
            tail.checksum = Some(signed(c)?);
        }
        if c.eat(br#","prevSeqId":"#) {
            tail.prev = Some(signed(c)?);
            c.expect(br#","seqId":"#)?;
            tail.last = Some(signed(c)?);
        } else if c.eat(br#","seqId":"#) {
            tail.last = Some(signed(c)?);
            if c.eat(br#","prevSeqId":"#) {
                tail.prev = Some(signed(c)?);
            }
        }
        c.expect(b"}]}")?;
        c.is_at_end().then_some(tail)
    }

    /// Ids that chain, or the time where there are none: before 2023 books had no ids, and are ordered by `ts`. −1 is
    /// the id before a snapshot; nothing is below it.
    pub(super) fn book_key(self) -> Option<Key> {
        match (self.prev, self.last) {
            (Some(prev), Some(last)) if prev >= -1 && last >= 0 => Some(Key { prev, first: last, last }),
            (None, None) => Some(unlinked(self.ts)),
            _ => None,
        }
    }

    pub(super) fn bbo_key(self) -> Key {
        self.last.map_or(unlinked(self.ts), Key::single)
    }

    fn times(self) -> EventTimes {
        times(self.ts)
    }
}

fn unlinked(ts: i64) -> Key {
    Key { prev: Key::UNLINKED, first: ts, last: ts }
}

/// An integer as JSON writes it.
#[inline(always)]
fn signed(c: &mut Cursor<'_>) -> Option<i64> {
    if c.eat(b"-") { c.integer().filter(|n| *n > 0).map(|n| -n) } else { c.integer() }
}

/// A channel without a scanner: states, and what no row is made of. What is unknown is for the reader.
#[inline(never)]
fn other<'a>(c: &mut Cursor<'a>) -> Option<Peek<'a>> {
    let channel = c.name()?;
    let mut symbol = None;
    // What else its `arg` says are plain texts.
    while c.eat(b",\"") {
        if c.eat(br#"instId":""#) {
            if symbol.replace(c.name()?).is_some() {
                return None;
            }
            continue;
        }
        let key = ascii(c)?;
        if [&b"channel"[..], b"instId"].contains(&key) {
            return None;
        }
        c.expect(b":\"")?;
        ascii(c)?;
    }
    c.expect(b"}")?;
    if c.eat(br#","action":""#) {
        ascii(c)?;
    }
    c.expect(br#","data":["#)?;
    if BOOKS.contains(&channel) {
        return None;
    }
    if states::Feed::of(channel).is_some() {
        let head = Head::of_states(symbol.unwrap_or_default(), Some(channel));
        return Some(Peek::Event(Head { resume: c.at(), ..head }));
    }
    match ignored(channel) {
        _ if channel == "instruments" => Some(Peek::Answer),
        IgnoreReason::UnknownType => None,
        reason => Some(Peek::Ignored(reason)),
    }
}

/// A text that needs no second look: a scanner may take the body, too.
fn ascii<'a>(c: &mut Cursor<'a>) -> Option<&'a [u8]> {
    c.text().filter(|text| text.is_ascii())
}

/// Answers name their event first, or behind the id of the request; the answer to `ping` is no document.
#[cold]
fn answer(frame: &[u8]) -> Option<Peek<'_>> {
    let mut c = Cursor::new(frame, 0);
    let is_answer = frame == b"pong"
        || c.eat(br#"{"event":""#)
        || c.eat(br#"{"id":""#) && c.text().is_some() && c.eat(br#","event":""#);
    is_answer.then_some(Peek::Answer)
}

#[cfg(test)]
mod tests;

//! The reference reader: any JSON of the exchange, in any key order, by way of simd-json (§3–§5).
//!
//! Slower than the scanners and never in disagreement with them: it reads what they leave, and tests hold both against
//! each other. A number counts as its text in the frame, never as a double. Of a key that occurs twice the last one
//! counts, as in Python's `json`; unknown keys are of no account.

use simd_json::{Buffers, Tape};

use super::instruments::is_symbol;
use super::normalize::{self, Fills, Product, TradeBody};
use super::peek::{Feed, UNREQUESTED, single};
use crate::event::{Bbo, BookHead, DecodedLevels, EventTimes, Scales, Trade};
use crate::exchange::document::{Document, Object, Value, read_document};
use crate::exchange::levels::{BookSide, decimal, push};
use crate::exchange::{Decoded, EventKind, Head, Key, Peek};
use crate::report::{IgnoreReason, RejectReason};
use crate::time::ms_to_ns;

/// Reads frames of any shape. Its buffers are reused from frame to frame.
pub struct WireReader {
    scratch: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for WireReader {
    fn default() -> Self {
        Self { scratch: Vec::new(), buffers: Buffers::default(), tape: Tape(Vec::new()) }
    }
}

impl WireReader {
    /// Reads one frame: a whole JSON document whose head can be judged.
    ///
    /// # Errors
    /// Why the frame cannot be taken: its bytes ([`RejectReason::Utf8`], [`RejectReason::Json`],
    /// [`RejectReason::Depth`]), or a field of its head ([`RejectReason::Schema`], [`RejectReason::Range`]).
    pub fn read<'a>(&'a mut self, frame: &'a [u8]) -> Result<Message<'a>, RejectReason> {
        let document = read_document(frame, &mut self.scratch, &mut self.buffers, &mut self.tape)?;
        let (peek, body) = judge(&document)?;
        Ok(Message { document, peek, body })
    }

    /// Reads a frame whose body a scanner missed, after its `head` was already judged by.
    ///
    /// # Errors
    /// As [`Self::read`]; and [`RejectReason::Schema`] where the whole frame says something else than its head did, which
    /// only a key that occurs twice can bring about: no row may carry an id that was never arbitrated.
    pub fn reread<'a>(&'a mut self, frame: &'a [u8], head: &Head<'_>) -> Result<Message<'a>, RejectReason> {
        let message = self.read(frame)?;
        let same = matches!(message.peek(), Peek::Event(found) if found == Head { resume: 0, ..*head });
        if same { Ok(message) } else { Err(RejectReason::Schema) }
    }
}

/// A frame that was read, and what its head says. The body is decoded when asked for, once the instrument is known.
pub struct Message<'a> {
    document: Document<'a>,
    peek: Peek<'a>,
    /// Where the event's object stands in the document.
    body: usize,
}

impl<'a> Message<'a> {
    /// What the head says, never [`Peek::Miss`].
    #[must_use]
    pub fn peek(&self) -> Peek<'a> {
        self.peek
    }

    /// The levels of a book change into `out`, at `scales` or finer; `max_levels` counts both sides.
    pub fn depth(&self, scales: Scales, max_levels: usize, out: &mut DecodedLevels) -> Decoded<BookHead> {
        self.decode(&[EventKind::Depth], |body, head| {
            out.reset(scales);
            side(body.get("b"), BookSide::Bids, max_levels, out)?;
            side(body.get("a"), BookSide::Asks, max_levels, out)?;
            Ok(normalize::book(product(body)?, head, out))
        })
    }

    /// The trade, numbers at `scales` or finer.
    #[must_use]
    pub fn trade(&self, scales: Scales) -> Decoded<Trade<'static>> {
        self.decode(&[EventKind::AggTrade, EventKind::Trade], |body, head| {
            let fills = match head.kind {
                EventKind::AggTrade => Fills { first: body.integer_or_none("f")?, last: body.integer_or_none("l")? },
                _ => Fills::default(),
            };
            let is_market = match body.get("X") {
                None => true,
                Some(value) => value.text().ok_or(RejectReason::Schema)? == "MARKET",
            };
            let trade = TradeBody {
                price: body.number("p", scales.price)?,
                size: body.number("q", scales.size)?,
                fills,
                is_market,
                buyer_is_maker: body.get("m").and_then(Value::boolean).ok_or(RejectReason::Schema)?,
            };
            Ok(trade.judge(product(body)?, head))
        })
    }

    /// The quote, numbers at `scales` or finer.
    #[must_use]
    pub fn bbo(&self, scales: Scales) -> Decoded<Bbo> {
        self.decode(&[EventKind::Bbo], |body, head| {
            let bid = (body.number("b", scales.price)?, body.number("B", scales.size)?);
            let ask = (body.number("a", scales.price)?, body.number("A", scales.size)?);
            Ok(normalize::quote(product(body)?, head, bid, ask))
        })
    }

    /// Decodes an event of one of `kinds`; a message of another kind is the caller's mistake and misses.
    fn decode<T>(
        &self,
        kinds: &[EventKind],
        decode: impl FnOnce(Object<'_, '_>, &Head<'_>) -> Result<Decoded<T>, RejectReason>,
    ) -> Decoded<T> {
        let Peek::Event(head) = &self.peek else { return Decoded::Miss };
        if !kinds.contains(&head.kind) {
            return Decoded::Miss;
        }
        let Some(body) = self.document.at(self.body).object() else { return Decoded::Miss };
        decode(body, head).unwrap_or_else(Decoded::Rejected)
    }
}

/// Reads the reply to a request for a book: `lastUpdateId`, `E`, `T`, `bids`, `asks` (§4).
///
/// # Errors
/// Why it cannot be taken; an error reply (`{"code":…,"msg":…}`) is [`RejectReason::Schema`].
pub fn read_snapshot(
    body: &[u8],
    scales: Scales,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Result<BookHead, RejectReason> {
    // Rare and large: buffers of its own, so that no reader keeps megabytes for ever.
    let WireReader { mut scratch, mut buffers, mut tape } = WireReader::default();
    let document = read_document(body, &mut scratch, &mut buffers, &mut tape)?;
    let reply = document.at(0).object().ok_or(RejectReason::Schema)?;
    let last_id = reply.integer("lastUpdateId")?;
    out.reset(scales);
    side(reply.get("bids"), BookSide::Bids, max_levels, out)?;
    side(reply.get("asks"), BookSide::Asks, max_levels, out)?;
    Ok(BookHead { times: times(reply)?, is_snapshot: true, first_id: None, last_id: Some(last_id), prev_id: None })
}

/// What a document is, and where its event's object stands.
fn judge<'a>(document: &Document<'a>) -> Result<(Peek<'a>, usize), RejectReason> {
    let ignored = |reason| Ok((Peek::Ignored(reason), 0));
    let root = document.at(0);
    let Some(frame) = root.object() else { return ignored(array_kind(root)) };
    if ["result", "error", "code"].iter().any(|key| frame.has(key)) {
        return Ok((Peek::Answer, 0));
    }
    let (data, feed) = match (frame.get("stream"), frame.get("data")) {
        (Some(stream), Some(data)) => (data, Some(Feed::of(stream.text().ok_or(RejectReason::Schema)?))),
        _ => (root, None),
    };
    let Some(body) = data.object() else {
        return if data.is_array() { ignored(array_kind(data)) } else { Err(RejectReason::Schema) };
    };
    let kind = match body.get("e") {
        Some(kind) => kind.text().ok_or(RejectReason::Schema)?,
        // Quotes had no type once.
        None if feed == Some(Feed::BookTicker) => "bookTicker",
        None => return ignored(IgnoreReason::UnknownType),
    };
    let kind = match kind {
        "depthUpdate" if feed == Some(Feed::PartialDepth) => return ignored(IgnoreReason::PartialDepth),
        "depthUpdate" => EventKind::Depth,
        "aggTrade" => EventKind::AggTrade,
        "trade" => EventKind::Trade,
        "bookTicker" => EventKind::Bbo,
        known if UNREQUESTED.contains(&known) => return ignored(IgnoreReason::UnrequestedKind),
        _ => return ignored(IgnoreReason::UnknownType),
    };
    let key = match kind {
        EventKind::Depth => Key { prev: body.integer("pu")?, first: body.integer("U")?, last: body.integer("u")? },
        EventKind::AggTrade => single(body.integer("a")?),
        EventKind::Trade => single(body.integer("t")?),
        EventKind::Bbo => single(body.integer("u")?),
    };
    let symbol = body.get("s").and_then(Value::text).filter(|s| is_symbol(s)).ok_or(RejectReason::Schema)?;
    let variant = feed.and_then(|feed| feed.variant(kind));
    Ok((Peek::Event(Head { kind, symbol, variant, key, times: times(body)?, resume: 0 }), data.position()))
}

/// All-market streams send arrays: of kinds that nobody asks for, as far as they are known.
fn array_kind(value: Value<'_, '_>) -> IgnoreReason {
    let first = value.elements().next().and_then(Value::object);
    let kind = first.and_then(|row| row.get("e")).and_then(Value::text);
    match kind {
        Some(kind) if UNREQUESTED.contains(&kind) => IgnoreReason::UnrequestedKind,
        _ => IgnoreReason::UnknownType,
    }
}

/// `T`, else `E`, is when it happened; `E` is when it was sent.
fn times(body: Object<'_, '_>) -> Result<EventTimes, RejectReason> {
    let (event, event_odd) = time(body.get("T"))?;
    let (venue, venue_odd) = time(body.get("E"))?;
    let odd = event_odd || venue_odd;
    let event = if body.get("T").is_some() { event } else { venue };
    Ok(EventTimes { event, venue, odd })
}

/// Nanoseconds, and whether there was a time that they cannot hold.
fn time(value: Option<Value<'_, '_>>) -> Result<(Option<i64>, bool), RejectReason> {
    let Some(value) = value else { return Ok((None, false)) };
    match value.integer() {
        Ok(ms) => {
            let ns = ms_to_ns(ms);
            Ok((ns, ns.is_none()))
        }
        Err(RejectReason::Range) => Ok((None, true)),
        Err(reason) => Err(reason),
    }
}

fn product(body: Object<'_, '_>) -> Result<Product, RejectReason> {
    Ok(body.integer_or_none("st")?.map_or(Product::Ours, Product::of))
}

/// The levels of one side.
fn side(
    list: Option<Value<'_, '_>>,
    side: BookSide,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Result<(), RejectReason> {
    let list = list.filter(|list| list.is_array()).ok_or(RejectReason::Schema)?;
    for level in list.elements() {
        let mut parts = level.elements();
        let (Some(price), Some(size)) = (parts.next(), parts.next()) else { return Err(RejectReason::Schema) };
        if out.count() >= max_levels {
            return Err(RejectReason::Limit);
        }
        push(out, side, price.exact()?, size.exact()?)?;
    }
    Ok(())
}

impl Object<'_, '_> {
    /// A price or size that must be there.
    fn number(self, key: &str, scale: u8) -> Result<crate::decimal::Decimal, RejectReason> {
        let value = self.get(key).ok_or(RejectReason::Schema)?;
        decimal(value.number_text().ok_or(RejectReason::Schema)?.as_ref(), scale)
    }
}

#[cfg(test)]
mod tests;

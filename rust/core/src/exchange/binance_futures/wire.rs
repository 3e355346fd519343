//! The exchange's own messages, in any shape, by way of simd-json (§3–§5).

use super::normalize::{self, Fills, Product, TradeBody};
use super::peek::{Feed, UNREQUESTED};
use crate::event::{Bbo, BookHead, DecodedLevels, EventTimes, Scales, TradeRows};
use crate::exchange::document::{Document, Object, Value};
use crate::exchange::levels::{BookSide, push};
use crate::exchange::names::is_symbol;
use crate::exchange::reader::WireReader;
use crate::exchange::{Decoded, EventKind, Head, Key, Peek};
use crate::report::{IgnoreReason, RejectReason};

/// The levels of a book change into `out`, at `scales` or finer; `max_levels` counts both sides.
pub(super) fn depth(
    body: Object<'_, '_>,
    head: &Head<'_>,
    scales: Scales,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Result<Decoded<BookHead>, RejectReason> {
    out.reset(scales);
    side(body.get("b"), BookSide::Bids, max_levels, out)?;
    side(body.get("a"), BookSide::Asks, max_levels, out)?;
    Ok(normalize::book(product(body)?, head, out))
}

/// The trade, numbers at `scales` or finer.
pub(super) fn trade(
    body: Object<'_, '_>,
    head: &Head<'_>,
    scales: Scales,
    out: &mut TradeRows,
) -> Result<Decoded<()>, RejectReason> {
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
    Ok(trade.judge(product(body)?, head, out))
}

/// The quote, numbers at `scales` or finer.
pub(super) fn bbo(body: Object<'_, '_>, head: &Head<'_>, scales: Scales) -> Result<Decoded<Bbo>, RejectReason> {
    let bid = (body.number("b", scales.price)?, body.number("B", scales.size)?);
    let ask = (body.number("a", scales.price)?, body.number("A", scales.size)?);
    Ok(normalize::quote(product(body)?, head, bid, ask))
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
    let mut reader = WireReader::default();
    let document = reader.document(body)?;
    let reply = document.at(0).object().ok_or(RejectReason::Schema)?;
    let last_id = reply.integer("lastUpdateId")?;
    out.reset(scales);
    side(reply.get("bids"), BookSide::Bids, max_levels, out)?;
    side(reply.get("asks"), BookSide::Asks, max_levels, out)?;
    Ok(BookHead { times: times(reply)?, is_snapshot: true, last_id: Some(last_id), ..BookHead::default() })
}

/// What a document is, and where its event's object stands.
pub(super) fn judge<'a>(document: &Document<'a>) -> Result<(Peek<'a>, usize), RejectReason> {
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
        EventKind::AggTrade => Key::single(body.integer("a")?),
        EventKind::Trade => Key::single(body.integer("t")?),
        _ => Key::single(body.integer("u")?),
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
    let (event, event_odd) = body.millis("T")?;
    let (venue, venue_odd) = body.millis("E")?;
    let odd = event_odd || venue_odd;
    let event = if body.get("T").is_some() { event } else { venue };
    Ok(EventTimes { event, venue, odd })
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

#[cfg(test)]
mod tests;

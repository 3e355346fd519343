//! The exchange's own messages, in any shape, by way of simd-json (§3–§5 of both manuals).

use super::Dialect;
use super::normalize::{self, Fills, Product, TradeBody, condition_of, ns};
use super::peek::{Feed, SHUTDOWN, UNREQUESTED, before};
use crate::event::{Bbo, BookHead, DecodedLevels, EventTimes, Scales, StateRows, TradeRow, TradeRows};
use crate::exchange::document::{Document, Object, Value};
use crate::exchange::levels::{BookSide, push};
use crate::exchange::names::is_symbol;
use crate::exchange::reader::WireReader;
use crate::exchange::{Decoded, EventKind, Head, Key, Peek};
use crate::report::{IgnoreReason, RejectReason};
use crate::table::Condition;

/// The levels of a book change into `out`, at `scales` or finer; `max_levels` counts both sides.
pub(super) fn depth<D: Dialect>(
    body: Object<'_, '_>,
    head: &Head<'_>,
    scales: Scales,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Result<Decoded<BookHead>, RejectReason> {
    out.reset(scales);
    side(body.get("b"), BookSide::Bids, max_levels, out)?;
    side(body.get("a"), BookSide::Asks, max_levels, out)?;
    Ok(normalize::book::<D>(product(body)?, head, out))
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
    let is_block = head.kind == EventKind::MixedTrades;
    let trade = TradeBody {
        price: body.number("p", scales.price)?,
        size: body.size("q", scales.size)?,
        fills,
        is_market,
        buyer_is_maker: body.get("m").and_then(Value::boolean).ok_or(RejectReason::Schema)?,
        condition: if is_block { Condition::Block } else { condition_of(body.get("nq").and_then(Value::number_text)) },
    };
    if is_block {
        // Its ids are of a space of their own (spot §3): no id of the trades' window.
        let native = out.texts.add(symbol(body)?);
        let trade = trade.trade(head.times, body.integer("t")?);
        out.rows.push(TradeRow { first: 1, last: 0, native, trade });
        return Ok(Decoded::Event(()));
    }
    Ok(trade.judge(product(body)?, head, out))
}

/// The quote, numbers at `scales` or finer.
pub(super) fn bbo(body: Object<'_, '_>, head: &Head<'_>, scales: Scales) -> Result<Decoded<Bbo>, RejectReason> {
    let bid = (body.number("b", scales.price)?, body.size("B", scales.size)?);
    let ask = (body.number("a", scales.price)?, body.size("A", scales.size)?);
    Ok(normalize::quote(product(body)?, head, bid, ask))
}

/// Reads the reply to a request for a book: `lastUpdateId`, `bids`, `asks`, and of futures `E`, `T` (§4). A book that
/// was just listed is empty and its id −1 or 0 (spot §4).
///
/// # Errors
/// Why it cannot be taken; an error reply (`{"code":…,"msg":…}`) is [`RejectReason::Schema`].
pub(super) fn read_snapshot<D: Dialect>(
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
    Ok(BookHead { times: times::<D>(reply)?, is_snapshot: true, last_id: Some(last_id), ..BookHead::default() })
}

/// Reads a page of past trades (spot §3, futures §2): rows of `aggTrades` are those of the stream without type and time
/// of sending; those of `historicalTrades` say the same in longer words.
///
/// # Errors
/// As [`read_snapshot`].
pub(super) fn read_trades_page<D: Dialect>(
    body: &[u8],
    aggregated: bool,
    scales: Scales,
    out: &mut TradeRows,
) -> Result<(), RejectReason> {
    let mut reader = WireReader::default();
    let document = reader.document(body)?;
    let rows = document.at(0);
    if !rows.is_array() {
        return Err(RejectReason::Schema);
    }
    for row in rows.elements() {
        let row = row.object().ok_or(RejectReason::Schema)?;
        let (kind, id, (event, odd)) = if aggregated {
            (EventKind::AggTrade, row.integer("a")?, row.time("T", ns::<D>)?)
        } else {
            (EventKind::Trade, row.integer("id")?, row.time("time", ns::<D>)?)
        };
        let times = EventTimes { event, venue: None, odd };
        let head = Head { kind, symbol: "", variant: None, key: Key::single(id), times, resume: 0 };
        if aggregated {
            trade(row, &head, scales, out)?;
        } else {
            fill(row, scales)?.judge(Product::Ours, &head, out);
        }
    }
    Ok(())
}

/// A row of `historicalTrades`.
fn fill(row: Object<'_, '_>, scales: Scales) -> Result<TradeBody, RejectReason> {
    Ok(TradeBody {
        price: row.number("price", scales.price)?,
        size: row.size("qty", scales.size)?,
        fills: Fills::default(),
        is_market: true,
        buyer_is_maker: row.get("isBuyerMaker").and_then(Value::boolean).ok_or(RejectReason::Schema)?,
        condition: Condition::Regular,
    })
}

/// What a document is, and where its event's value stands.
pub(super) fn judge<'a, D: Dialect>(document: &Document<'a>) -> Result<(Peek<'a>, usize), RejectReason> {
    let ignored = |reason| Ok((Peek::Ignored(reason), 0));
    let root = document.at(0);
    let Some(frame) = root.object() else { return judge_array::<D>(root) };
    if ["result", "error", "code"].iter().any(|key| frame.has(key)) {
        return Ok((Peek::Answer, 0));
    }
    let (data, feed) = match (frame.get("stream"), frame.get("data")) {
        (Some(stream), Some(data)) => (data, Some(Feed::of(stream.text().ok_or(RejectReason::Schema)?))),
        _ => (root, None),
    };
    let Some(body) = data.object() else {
        return if data.is_array() { judge_array::<D>(data) } else { Err(RejectReason::Schema) };
    };
    if feed == Some(Feed::PartialDepth) {
        return ignored(IgnoreReason::PartialDepth);
    }
    let kind = match body.once("e")? {
        Some(kind) => kind.text().ok_or(RejectReason::Schema)?,
        // Spot's images in the raw form.
        None if body.has("lastUpdateId") => return ignored(IgnoreReason::PartialDepth),
        // Spot's quotes have no type (spot §5), futures' had none once.
        None if feed == Some(Feed::BookTicker) || feed.is_none() && body.has("B") && body.has("A") => "bookTicker",
        None => return ignored(IgnoreReason::UnknownType),
    };
    let kind = match kind {
        "depthUpdate" => EventKind::Depth,
        "aggTrade" => EventKind::AggTrade,
        "trade" => EventKind::Trade,
        "bookTicker" => EventKind::Bbo,
        "blockTrade" => {
            let (kind, key, times) = (EventKind::MixedTrades, Key::default(), times::<D>(body)?);
            let head = Head { kind, symbol: "", variant: None, key, times, resume: 0 };
            return Ok((Peek::Event(head), data.position()));
        }
        SHUTDOWN => return Ok((Peek::Answer, 0)),
        state if D::STATES.contains(&state) => return Ok((Peek::Event(Head::of_states("", None)), data.position())),
        known if UNREQUESTED.contains(&known) => return ignored(IgnoreReason::UnrequestedKind),
        _ => return ignored(IgnoreReason::UnknownType),
    };
    let key = match kind {
        EventKind::Depth => {
            let first = body.integer("U")?;
            let prev = if D::LINKED { body.integer("pu")? } else { before(first) };
            Key { prev, first, last: body.integer("u")? }
        }
        EventKind::AggTrade => Key::single(body.integer("a")?),
        EventKind::Trade => Key::single(body.integer("t")?),
        _ => Key::single(body.integer("u")?),
    };
    let symbol = symbol(body)?;
    let variant = feed.and_then(|feed| feed.variant(kind));
    Ok((Peek::Event(Head { kind, symbol, variant, key, times: times::<D>(body)?, resume: 0 }), data.position()))
}

/// All-market streams send arrays of one type of event.
fn judge_array<'a, D: Dialect>(value: Value<'_, 'a>) -> Result<(Peek<'a>, usize), RejectReason> {
    let first = value.elements().next().and_then(Value::object);
    let kind = first.map_or(Ok(None), |row| row.once("e"))?;
    let reason = match kind.and_then(Value::text) {
        Some(kind) if D::STATES.contains(&kind) => {
            return Ok((Peek::Event(Head::of_states("", None)), value.position()));
        }
        Some(kind) if UNREQUESTED.contains(&kind) => IgnoreReason::UnrequestedKind,
        _ => IgnoreReason::UnknownType,
    };
    Ok((Peek::Ignored(reason), 0))
}

/// The exchange's name of the instrument.
pub(crate) fn symbol<'a>(body: Object<'_, 'a>) -> Result<&'a str, RejectReason> {
    body.get("s").and_then(Value::text).filter(|s| is_symbol(s)).ok_or(RejectReason::Schema)
}

/// The rows of a message about states, or the one state that it is.
pub(super) fn states<D: Dialect>(body: Value<'_, '_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
    let mut read = |row: Object<'_, '_>| -> Result<(), RejectReason> {
        if let Decoded::Ignored(reason) = D::read_state(row, out)? {
            out.ignored.push(reason);
        }
        Ok(())
    };
    match body.object() {
        Some(one) => read(one)?,
        None => body.elements().try_for_each(|row| read(row.object().ok_or(RejectReason::Schema)?))?,
    }
    // Rows of the other product family stand among ours (futures §1).
    Ok(Decoded::of_states(out))
}

/// The times of an event whose `T` is not its own.
pub(crate) fn sent<D: Dialect>(body: Object<'_, '_>) -> Result<EventTimes, RejectReason> {
    let (sent, odd) = body.time("E", ns::<D>)?;
    Ok(EventTimes { event: sent, venue: sent, odd })
}

/// `T`, else `E`, is when it happened; `E` is when it was sent.
fn times<D: Dialect>(body: Object<'_, '_>) -> Result<EventTimes, RejectReason> {
    let (event, event_odd) = body.time("T", ns::<D>)?;
    let (venue, venue_odd) = body.time("E", ns::<D>)?;
    let odd = event_odd || venue_odd;
    let event = if body.get("T").is_some() { event } else { venue };
    Ok(EventTimes { event, venue, odd })
}

/// Whose event it is.
pub(crate) fn product(body: Object<'_, '_>) -> Result<Product, RejectReason> {
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

//! The exchange's own messages, in any shape, by way of simd-json (§3, §4).

use super::normalize::{self, Fill, Fold};
use super::peek::{BOOKS, Ids, Tail, ignored};
use super::states;
use crate::event::{Bbo, BookHead, DecodedLevels, EventTimes, Scales, TradeRows};
use crate::exchange::document::{Document, Object, Value};
use crate::exchange::levels::{self, BookSide, decimal, push};
use crate::exchange::names::{is_symbol, side_of};
use crate::exchange::reader::WireReader;
use crate::exchange::{Decoded, EventKind, Head, Key, Peek};
use crate::report::{IgnoreReason, RejectReason};
use crate::time::ms_to_ns;

/// What a document is, and where the value stands that the readers below get: the list of rows, of a book or quote its
/// only row.
pub(super) fn judge<'a>(document: &Document<'a>) -> Result<(Peek<'a>, usize), RejectReason> {
    let ignore = |reason| Ok((Peek::Ignored(reason), 0));
    let Some(frame) = document.at(0).object() else { return ignore(IgnoreReason::UnknownType) };
    if frame.has("event") {
        return Ok((Peek::Answer, 0));
    }
    let Some(arg) = frame.get("arg").and_then(Value::object) else { return ignore(IgnoreReason::UnknownType) };
    let channel = arg.get("channel").and_then(Value::text).ok_or(RejectReason::Schema)?;
    let kind = match channel {
        "trades" => EventKind::AggTrade,
        "trades-all" => EventKind::Trade,
        "bbo-tbt" => EventKind::Bbo,
        "instruments" => return Ok((Peek::Answer, 0)),
        book if BOOKS.contains(&book) => match frame.get("action").and_then(Value::text) {
            Some("snapshot") => EventKind::Book,
            Some("update") => EventKind::Depth,
            _ => return Err(RejectReason::Schema),
        },
        state if states::Feed::of(state).is_some() => EventKind::State,
        other => return ignore(ignored(other)),
    };
    let data = frame.get("data").filter(|data| data.is_array()).ok_or(RejectReason::Schema)?;
    if kind == EventKind::State {
        let symbol = arg.get("instId").map_or(Ok(""), |id| id.text().ok_or(RejectReason::Schema))?;
        return Ok((Peek::Event(Head::of_states(symbol, Some(channel))), data.position()));
    }
    let symbol = arg.get("instId").and_then(Value::text).filter(|s| is_symbol(s)).ok_or(RejectReason::Schema)?;
    let (variant, (key, times), body) = match kind {
        EventKind::AggTrade | EventKind::Trade => ("", last_trade(data, symbol)?, data),
        _ => {
            let (row, fields) = only_row(data)?;
            let tail = tail(fields)?;
            let key = match kind {
                EventKind::Bbo => tail.bbo_key(),
                _ => tail.book_key().ok_or(RejectReason::Schema)?,
            };
            if !key.is_linked() && integer(fields, "ts")?.is_none() {
                return Err(RejectReason::Schema);
            }
            (if kind == EventKind::Bbo { "" } else { channel }, (key, time(fields)?), row)
        }
    };
    Ok((Peek::Event(Head { kind, symbol, variant: Some(variant), key, times, resume: 0 }), body.position()))
}

/// A book or a quote comes alone.
fn only_row<'d, 'a>(data: Value<'d, 'a>) -> Result<(Value<'d, 'a>, Object<'d, 'a>), RejectReason> {
    let mut rows = data.elements();
    let (Some(row), None) = (rows.next(), rows.next()) else { return Err(RejectReason::Schema) };
    Ok((row, row.object().ok_or(RejectReason::Schema)?))
}

/// The ids that all trades of a message cover, and the time of the last one.
fn last_trade(data: Value<'_, '_>, symbol: &str) -> Result<(Key, EventTimes), RejectReason> {
    let mut found = Ids::default();
    for row in data.elements() {
        let row = row.object().ok_or(RejectReason::Schema)?;
        must_be_of(row, symbol)?;
        let (first, last) = ids(row)?;
        found.add(first, last, time(row)?);
    }
    found.0.ok_or(RejectReason::Schema)
}

/// A row that names another instrument than its subscription does is damaged, whichever of them is; and so is one of
/// another than a reply was asked for.
fn must_be_of(row: Object<'_, '_>, symbol: &str) -> Result<(), RejectReason> {
    if row.get("instId").is_some_and(|id| id.text() != Some(symbol)) { Err(RejectReason::Schema) } else { Ok(()) }
}

/// First and last fill of a trade.
fn ids(row: Object<'_, '_>) -> Result<(i64, i64), RejectReason> {
    let last = integer(row, "tradeId")?.ok_or(RejectReason::Schema)?;
    let first = fold(row)?.first(last).ok_or(RejectReason::Schema)?;
    Ok((first, last))
}

fn fold(row: Object<'_, '_>) -> Result<Fold, RejectReason> {
    let text = |key| row.get(key).map_or(Ok(""), |value| value.text().ok_or(RejectReason::Schema));
    // The taker's (§3).
    let side = side_of(text("side")?);
    let condition = normalize::condition(text("source")?);
    Ok(Fold { side, ts: 0, count: integer(row, "count")?, condition, seq: integer(row, "seqId")? })
}

/// The trades, numbers at `scales` or finer. Each row must be the head's.
pub(super) fn trades(
    data: Value<'_, '_>,
    head: &Head<'_>,
    scales: Scales,
    out: &mut TradeRows,
) -> Result<Decoded<()>, RejectReason> {
    let folded = head.kind == EventKind::AggTrade;
    for row in data.elements() {
        let row = row.object().ok_or(RejectReason::Schema)?;
        must_be_of(row, head.symbol)?;
        let (first, last) = ids(row)?;
        let (price, size) = (row.number("px", scales.price)?, row.size("sz", scales.size)?);
        out.rows.push(Fill { price, size, fold: fold(row)?, folded }.row(first, last, time(row)?));
    }
    Ok(Decoded::Event(()))
}

/// Reads a page of past trades: rows of `trades-all` (§3), single fills on whichever channel they were missed. The ids
/// of a fold are those of its fills, so that each is known for what it is.
///
/// # Errors
/// Why it cannot be taken; an error reply has no rows, and another code than 0.
pub(super) fn read_trades_page(
    body: &[u8],
    native: &str,
    scales: Scales,
    out: &mut TradeRows,
) -> Result<(), RejectReason> {
    let mut reader = WireReader::default();
    let document = reader.document(body)?;
    let reply = document.at(0).object().ok_or(RejectReason::Schema)?;
    let data = reply.get("data").filter(|data| data.is_array()).ok_or(RejectReason::Schema)?;
    if integer(reply, "code")?.is_some_and(|code| code != 0) {
        return Err(RejectReason::Status);
    }
    trades(data, &Head::of_rows(EventKind::Trade, native), scales, out).map(|_| ())
}

/// The levels into `out`, at `scales` or finer; `max_levels` counts both sides.
pub(super) fn book(
    body: Object<'_, '_>,
    head: &Head<'_>,
    scales: Scales,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Result<Decoded<BookHead>, RejectReason> {
    out.reset(scales);
    let checksum = normalize::checksum(tail(body)?.checksum).ok_or(RejectReason::Range)?;
    for (key, side) in [("asks", BookSide::Asks), ("bids", BookSide::Bids)] {
        let list = body.get(key).filter(|list| list.is_array()).ok_or(RejectReason::Schema)?;
        for (index, level) in (0u32..).zip(list.elements()) {
            let (price, size) = price_and_size(level)?;
            if out.count() >= max_levels {
                return Err(RejectReason::Limit);
            }
            push(out, side, price.exact()?, size.exact()?)?;
            if checksum.is_some()
                && let (Some(price), Some(size)) = (price.number_text(), size.number_text())
            {
                out.padded.extend(normalize::padding(side == BookSide::Bids, index, price, size));
            }
        }
    }
    Ok(normalize::book_head(head, checksum))
}

fn price_and_size<'d, 'a>(level: Value<'d, 'a>) -> Result<(Value<'d, 'a>, Value<'d, 'a>), RejectReason> {
    let mut parts = level.elements();
    parts.next().zip(parts.next()).ok_or(RejectReason::Schema)
}

/// The quote, numbers at `scales` or finer.
pub(super) fn bbo<'a>(body: Object<'_, 'a>, head: &Head<'_>, scales: Scales) -> Result<Decoded<Bbo>, RejectReason> {
    let best = |key| -> Result<_, RejectReason> {
        let list = body.get(key).filter(|list| list.is_array()).ok_or(RejectReason::Schema)?;
        let Some(level) = list.elements().next() else { return Ok(None) };
        let (price, size) = price_and_size(level)?;
        let text = |value: Value<'_, 'a>| value.number_text().ok_or(RejectReason::Schema);
        Ok(Some((decimal(text(price)?, scales.price)?, levels::size(text(size)?, scales.size)?)))
    };
    Ok(normalize::quote(head, best("bids")?, best("asks")?))
}

/// Time, ids and checksum of a book or a quote.
fn tail(row: Object<'_, '_>) -> Result<Tail, RejectReason> {
    Ok(Tail {
        ts: match integer(row, "ts") {
            Err(RejectReason::Range) if row.has("seqId") => 0,
            ts => ts?.unwrap_or_default(),
        },
        checksum: integer(row, "checksum")?,
        prev: integer(row, "prevSeqId")?,
        last: integer(row, "seqId")?,
    })
}

/// An integer, quoted or bare. The exchange writes the empty text for what there is not.
pub(super) fn integer(row: Object<'_, '_>, key: &str) -> Result<Option<i64>, RejectReason> {
    let Some(value) = row.get(key) else { return Ok(None) };
    let text = value.number_text().ok_or(RejectReason::Schema)?;
    if text.is_empty() { Ok(None) } else { Ok(Some(xtrader_scan::signed(text)?)) }
}

/// `ts` is when it happened (§4); nanoseconds.
pub(super) fn time(row: Object<'_, '_>) -> Result<EventTimes, RejectReason> {
    match integer(row, "ts") {
        Ok(Some(ms)) => Ok(normalize::times(ms)),
        Ok(None) => Ok(EventTimes::default()),
        Err(RejectReason::Range) => Ok(EventTimes { odd: true, ..EventTimes::default() }),
        Err(reason) => Err(reason),
    }
}

/// A time that is no event's, nanoseconds.
pub(super) fn moment(row: Object<'_, '_>, key: &str) -> Result<Option<i64>, RejectReason> {
    Ok(integer(row, key)?.and_then(ms_to_ns))
}

#[cfg(test)]
mod tests;

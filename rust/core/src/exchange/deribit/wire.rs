//! The exchange's own messages, in any shape, by way of simd-json (§3–§5).

use xtrader_scan::Exact;

use super::normalize::{QuoteBody, TickerBody, TradeBody, book_head, fraction, liquidated, size_after};
use super::peek::{Feed, book_key, quote_key, trades_key};
use crate::decimal::Decimal;
use crate::event::{Bbo, BookHead, DecodedLevels, EventTimes, Scales, StateRows, TextRange, TradeRows};
use crate::exchange::document::{Document, Object, Value};
use crate::exchange::levels::{BookSide, push};
use crate::exchange::names::{is_symbol, side_of};
use crate::exchange::{Decoded, EventKind, Head, Peek};
use crate::report::{IgnoreReason, RejectReason};

/// What a document is, and where its event's value stands.
pub(super) fn judge<'a>(document: &Document<'a>) -> Result<(Peek<'a>, usize), RejectReason> {
    let ignored = |reason| Ok((Peek::Ignored(reason), 0));
    let Some(frame) = document.at(0).object() else { return ignored(IgnoreReason::UnknownType) };
    // What answers a request is never a notification, whatever else it says.
    if ["id", "result", "error"].iter().any(|key| frame.has(key)) {
        return Ok((Peek::Answer, 0));
    }
    match frame.get("method") {
        Some(method) if method.text() == Some("subscription") => {}
        Some(_) => return Ok((Peek::Answer, 0)),
        None => return ignored(IgnoreReason::UnknownType),
    }
    let params = frame.get("params").and_then(Value::object).ok_or(RejectReason::Schema)?;
    let channel = params.get("channel").and_then(Value::text).ok_or(RejectReason::Schema)?;
    let data = params.get("data").ok_or(RejectReason::Schema)?;
    let head = match Feed::of(channel) {
        Feed::Book(name, interval) => book_of(data, name, interval)?,
        Feed::Trades(name, interval) => trades_of(data, name, interval)?,
        Feed::TradesOfMany(interval) => mixed_trades_of(data, interval)?,
        Feed::Quote(name) => quote_of(data, name)?,
        Feed::Ticker(name, interval) if data.object().is_some() => Head::of_states(name, Some(interval)),
        Feed::Ticker(..) => return Err(RejectReason::Schema),
        Feed::PartialDepth => return ignored(IgnoreReason::PartialDepth),
        Feed::Notice => return Ok((Peek::Answer, 0)),
        Feed::Unrequested => return ignored(IgnoreReason::UnrequestedKind),
        Feed::Unknown => return ignored(IgnoreReason::UnknownType),
    };
    Ok((Peek::Event(head), data.position()))
}

fn book_of<'a>(data: Value<'_, 'a>, symbol: &'a str, interval: &'a str) -> Result<Head<'a>, RejectReason> {
    let body = data.object().ok_or(RejectReason::Schema)?;
    must_be_of(body, symbol)?;
    let id = body.integer("change_id")?;
    let (kind, key) = match body.get("type").and_then(Value::text) {
        Some("snapshot") => (EventKind::Book, book_key(None, id)),
        Some("change") => (EventKind::Depth, book_key(Some(body.integer("prev_change_id")?), id)),
        _ => return Err(RejectReason::Schema),
    };
    Ok(Head { kind, symbol, variant: Some(interval), key, times: times(body)?, resume: 0 })
}

/// The first row and the last one tell which ids there are.
fn trades_of<'a>(data: Value<'_, 'a>, symbol: &'a str, interval: &'a str) -> Result<Head<'a>, RejectReason> {
    let (mut first, mut last) = (None, None);
    for row in data.elements() {
        let row = row.object().ok_or(RejectReason::Schema)?;
        must_be_of(row, symbol)?;
        let at = (row.integer("trade_seq")?, times(row)?);
        first.get_or_insert(at);
        last = Some(at);
    }
    // An empty list says nothing that could be told from a damaged one.
    let (Some(first), Some(last)) = (first, last) else { return Err(RejectReason::Schema) };
    let (key, times) = trades_key(first, last);
    Ok(Head { kind: EventKind::Trade, symbol, variant: Some(interval), key, times, resume: 0 })
}

fn mixed_trades_of<'a>(data: Value<'_, 'a>, interval: &'a str) -> Result<Head<'a>, RejectReason> {
    let last = data.elements().last().and_then(Value::object).ok_or(RejectReason::Schema)?;
    Ok(Head { variant: Some(interval), times: times(last)?, ..Head::of_rows(EventKind::MixedTrades, "") })
}

fn quote_of<'a>(data: Value<'_, 'a>, symbol: &'a str) -> Result<Head<'a>, RejectReason> {
    let body = data.object().ok_or(RejectReason::Schema)?;
    must_be_of(body, symbol)?;
    let key = quote_key(body.integer("timestamp")?);
    Ok(Head { kind: EventKind::Bbo, symbol, variant: Some(""), key, times: times(body)?, resume: 0 })
}

/// A message that names another instrument than its channel does is damaged, whichever of them is; and so is a reply
/// that tells of another than it was asked for.
fn must_be_of(body: Object<'_, '_>, symbol: &str) -> Result<(), RejectReason> {
    if instrument(body)? == symbol { Ok(()) } else { Err(RejectReason::Schema) }
}

fn instrument<'a>(body: Object<'_, 'a>) -> Result<&'a str, RejectReason> {
    body.get("instrument_name").and_then(Value::text).filter(|name| is_symbol(name)).ok_or(RejectReason::Schema)
}

fn times(body: Object<'_, '_>) -> Result<EventTimes, RejectReason> {
    let (event, odd) = body.millis("timestamp")?;
    Ok(EventTimes { event, venue: None, odd })
}

/// The levels of a book message into `out`, at `scales` or finer; `max_levels` counts both sides.
pub(super) fn book(
    body: Value<'_, '_>,
    head: &Head<'_>,
    scales: Scales,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Result<Decoded<BookHead>, RejectReason> {
    let body = body.object().ok_or(RejectReason::Schema)?;
    out.reset(scales);
    for (name, which) in [("bids", BookSide::Bids), ("asks", BookSide::Asks)] {
        side(body.get(name), which, max_levels, out, |parts| {
            let [action, price, size] = parts;
            let action = action.text().ok_or(RejectReason::Schema)?;
            let size = size_after(action.as_bytes(), size.exact()?).ok_or(RejectReason::Schema)?;
            Ok((price.exact()?, size))
        })?;
    }
    Ok(Decoded::Event(book_head(head)))
}

/// The best levels of a REST book, `[[price,amount],…]`, and its `change_id` (§4 step 6).
pub(super) fn rest_book(body: Object<'_, '_>, max_levels: usize, out: &mut DecodedLevels) -> Result<i64, RejectReason> {
    out.reset(Scales::default());
    for (name, which) in [("bids", BookSide::Bids), ("asks", BookSide::Asks)] {
        side(body.get(name), which, max_levels, out, |[price, size]| Ok((price.exact()?, size.exact()?)))?;
    }
    body.integer("change_id")
}

/// The levels of one side, each of `N` members that `read` makes price and size of.
fn side<'d, 'a: 'd, const N: usize>(
    list: Option<Value<'d, 'a>>,
    side: BookSide,
    max_levels: usize,
    out: &mut DecodedLevels,
    read: impl Fn([Value<'d, 'a>; N]) -> Result<(Exact, Exact), RejectReason>,
) -> Result<(), RejectReason> {
    let list = list.filter(|list| list.is_array()).ok_or(RejectReason::Schema)?;
    for level in list.elements() {
        let mut parts = [level; N];
        let mut members = level.elements();
        for part in &mut parts {
            *part = members.next().ok_or(RejectReason::Schema)?;
        }
        if out.count() >= max_levels {
            return Err(RejectReason::Limit);
        }
        let (price, size) = read(parts)?;
        push(out, side, price, size)?;
    }
    Ok(())
}

/// The trades, prices and sizes at `scales` or finer. Of one instrument each row must be the head's.
pub(super) fn trades(
    body: Value<'_, '_>,
    head: &Head<'_>,
    scales: Scales,
    out: &mut TradeRows,
) -> Result<Decoded<()>, RejectReason> {
    for row in body.elements() {
        let row = row.object().ok_or(RejectReason::Schema)?;
        let name = instrument(row)?;
        let is_mixed = head.kind == EventKind::MixedTrades;
        if !is_mixed {
            must_be_of(row, head.symbol)?;
        }
        let number = |key, scale| row.get(key).map(|_| row.number(key, scale)).transpose();
        let size = |key, scale| row.get(key).map(|_| row.size(key, scale)).transpose();
        let text = |key| row.get(key).map(|value| value.text().ok_or(RejectReason::Schema)).transpose();
        let body = TradeBody {
            seq: Some(row.integer("trade_seq")?),
            times: Some(times(row)?),
            id: text("trade_id")?.map(|id| out.texts.add(id)),
            native: if is_mixed { out.texts.add(name) } else { TextRange::default() },
            price: number("price", scales.price)?,
            size: size("amount", scales.size)?,
            side: text("direction")?.map(side_of),
            contracts: size("contracts", 0)?,
            index_price: number("index_price", 0)?,
            mark_price: number("mark_price", 0)?,
            liquidation: text("liquidation")?.map(liquidated),
            block: row.get("block_trade_id").map(|_| ()),
            block_rfq: row.get("block_rfq_id").map(|_| ()),
            block_legs: row.integer_or_none("block_trade_leg_count")?,
            combo: text("combo_id")?.map(|combo| combo == name),
            combo_trade: row.get("combo_trade_id").map(|_| ()),
            legs: row.get("legs").is_some(),
        };
        out.rows.push(body.row().ok_or(RejectReason::Schema)?);
    }
    Ok(Decoded::Event(()))
}

/// The quote, numbers at `scales` or finer.
pub(super) fn bbo(body: Value<'_, '_>, head: &Head<'_>, scales: Scales) -> Result<Decoded<Bbo>, RejectReason> {
    let body = body.object().ok_or(RejectReason::Schema)?;
    let number = |key, scale| body.get(key).map(|_| body.number(key, scale)).transpose();
    let size = |key, scale| body.get(key).map(|_| body.size(key, scale)).transpose();
    let quote = QuoteBody {
        bid_price: number("best_bid_price", scales.price)?,
        bid_size: size("best_bid_amount", scales.size)?,
        ask_price: number("best_ask_price", scales.price)?,
        ask_size: size("best_ask_amount", scales.size)?,
    };
    Ok(Decoded::Event(quote.bbo(head)))
}

/// The state of the channel's instrument, and of an option that too (§5).
pub(super) fn states(body: Value<'_, '_>, head: &Head<'_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
    let body = body.object().ok_or(RejectReason::Schema)?;
    let name = instrument(body)?;
    if name != head.symbol {
        return Err(RejectReason::Schema);
    }
    let times = times(body)?;
    let mut ticker = TickerBody::default();
    let TickerBody { derivative, option, has_greeks } = &mut ticker;
    for (key, value) in body.fields() {
        match key {
            "mark_price" => derivative.mark_price = number(value)?,
            "index_price" => derivative.index_price = number(value)?,
            // An 8-hour rate that applies now; funding is continuous, so there is no next time.
            "current_funding" => derivative.funding_rate = number(value)?,
            "open_interest" => derivative.open_interest = number(value)?,
            "last_price" => derivative.last_price = number(value)?,
            "underlying_price" => option.underlying_price = number(value)?,
            "mark_iv" => option.mark_iv = percent(value)?,
            "bid_iv" => option.bid_iv = percent(value)?,
            "ask_iv" => option.ask_iv = percent(value)?,
            "greeks" => {
                for (greek, value) in value.object().into_iter().flat_map(Object::fields) {
                    *has_greeks = true;
                    match greek {
                        "delta" => option.delta = number(value)?,
                        "gamma" => option.gamma = number(value)?,
                        "vega" => option.vega = number(value)?,
                        "theta" => option.theta = number(value)?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    ticker.rows(name, times, out);
    Ok(Decoded::Event(()))
}

/// A number with as many fraction digits as it needs.
fn number(value: Value<'_, '_>) -> Result<Option<Decimal>, RejectReason> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.exact()?;
    Ok(Some(Decimal::new(number.mantissa, number.scale)))
}

/// The exchange writes volatilities in percent.
fn percent(value: Value<'_, '_>) -> Result<Option<Decimal>, RejectReason> {
    if value.is_null() {
        return Ok(None);
    }
    fraction(value.exact()?).map(Some).ok_or(RejectReason::Range)
}

#[cfg(test)]
mod tests;

//! Mark prices, funding and liquidations (§5). Liquidations are few: the reference reader takes them.

use xtrader_scan::Cursor;

use super::BinanceFutures;
use crate::config::Stream;
use crate::decimal::Decimal;
use crate::event::{Derivative, EventTimes, Liquidation, State, StateRow, StateRows};
use crate::exchange::binance::{self, Product, product};
use crate::exchange::document::{Object, Value};
use crate::exchange::levels::decimal;
use crate::exchange::names::is_symbol;
use crate::exchange::{Cadence, Decoded, Head, StateHead};
use crate::report::{IgnoreReason, RejectReason};
use crate::table::Side;
use crate::time::ms_to_ns;

/// Type of the events of `@markPrice`.
pub(super) const MARK_PRICE: &str = "markPriceUpdate";
const MARK_PRICE_FEED: u8 = 0;
const OPEN_INTEREST_FEED: u8 = 1;

/// §5: a mark price every second. Liquidations come when they come.
pub(super) fn cadence(channel: &str) -> Option<Cadence> {
    channel.contains("@markPrice").then_some(Cadence { feed: MARK_PRICE_FEED, first_ms: 1_000, every_ms: 1_000 })
}

/// Type of the events of `@forceOrder`.
pub(super) const FORCE_ORDER: &str = "forceOrder";

/// Reads one event. Those of another product family leave no row.
pub(super) fn read(body: Object<'_, '_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
    if product(body)? == Product::Other {
        return Ok(Decoded::Ignored(IgnoreReason::OtherProduct));
    }
    match body.get("e").and_then(Value::text) {
        Some(MARK_PRICE) => mark_price(body, out),
        Some(FORCE_ORDER) => force_order(body, out),
        _ => Err(RejectReason::Schema),
    }
}

/// The heads of mark prices, alone or in the array of all symbols, whose rows hold no objects. What is of another product
/// family leaves no row. Liquidations are events, of which each is news.
#[inline(always)]
pub(super) fn heads<'a>(frame: &'a [u8], head: &Head<'a>, mut each: impl FnMut(StateHead<'a>) -> bool) -> Option<()> {
    let mut c = Cursor::new(frame, head.resume);
    // Behind the name of the stream.
    let is_combined = head.resume > 0;
    let is_array = c.eat(b"[");
    let mut has_ours = false;
    loop {
        c.expect(br#"{"e":"markPriceUpdate","E":"#)?;
        let time = ms_to_ns(c.millis()?)?;
        c.expect(br#","s":""#)?;
        let native = c.symbol()?;
        let is_ours = !c.until::<b'}'>()?.ends_with(br#","st":2"#);
        has_ours |= is_ours;
        let feeds = [Some((Stream::Derivatives, MARK_PRICE_FEED)), None];
        if is_ours && !each(StateHead { native, is_index: false, feeds, time }) {
            return Some(());
        }
        if !(is_array && c.eat(b",")) {
            break;
        }
    }
    if is_array {
        c.expect(b"]")?;
    }
    if is_combined {
        c.expect(b"}")?;
    }
    // What is of other products alone has its own reason, which the rows tell.
    (has_ours && c.is_at_end()).then_some(())
}

/// The mark prices of a frame, alone or in the array of all symbols, with their keys in the order of the manual.
#[inline(always)]
pub(super) fn decode(frame: &[u8], head: &Head<'_>, out: &mut StateRows) -> Decoded<()> {
    mark_prices(frame, head, out).unwrap_or(Decoded::Miss)
}

fn mark_prices(frame: &[u8], head: &Head<'_>, out: &mut StateRows) -> Option<Decoded<()>> {
    let mut c = Cursor::new(frame, head.resume);
    let is_combined = head.resume > 0;
    let is_array = c.eat(b"[");
    loop {
        scan_mark_price(&mut c, out)?;
        if !(is_array && c.eat(b",")) {
            break;
        }
    }
    if is_array {
        c.expect(b"]")?;
    }
    if is_combined {
        c.expect(b"}")?;
    }
    let is_ours = !out.rows.is_empty();
    c.is_at_end().then_some(if is_ours { Decoded::Event(()) } else { Decoded::Ignored(IgnoreReason::OtherProduct) })
}

/// `{…}`, which makes a row unless it is of another product family.
#[inline(always)]
fn scan_mark_price(c: &mut Cursor<'_>, out: &mut StateRows) -> Option<()> {
    c.expect(br#"{"e":"markPriceUpdate","E":"#)?;
    let sent = ms_to_ns(c.millis()?);
    c.expect(br#","s":""#)?;
    let native = c.symbol().filter(|symbol| is_symbol(symbol))?;
    c.expect(br#","p":""#)?;
    let mark_price = price(c)?;
    if c.eat(br#","ap":""#) {
        price(c)?;
    }
    c.expect(br#","P":""#)?;
    price(c)?;
    c.expect(br#","i":""#)?;
    let index_price = price(c)?;
    c.expect(br#","r":""#)?;
    let rate = price(c)?;
    c.expect(br#","T":"#)?;
    let next_funding = Some(c.millis()?).filter(|time| *time > 0);
    let product = if c.eat(br#","st":"#) { Product::of(c.integer()?) } else { Product::Ours };
    c.expect(b"}")?;
    if product == Product::Ours {
        let funding_rate = rate.filter(|_| next_funding.is_some());
        let next_funding_time = next_funding.and_then(ms_to_ns);
        let derivative =
            Derivative { mark_price, index_price, funding_rate, next_funding_time, ..Derivative::default() };
        let times = EventTimes { event: sent, venue: sent, odd: sent.is_none() };
        push(native, MARK_PRICE_FEED, times, derivative, out);
    } else {
        out.ignored.push(IgnoreReason::OtherProduct);
    }
    Some(())
}

/// A quoted number, or the empty text for none.
#[inline(always)]
fn price(c: &mut Cursor<'_>) -> Option<Option<Decimal>> {
    let text = c.until::<b'"'>()?;
    if text.is_empty() { Some(None) } else { decimal(text, 0).ok().map(Some) }
}

fn push(native: &str, feed: u8, times: EventTimes, derivative: Derivative, out: &mut StateRows) {
    let native = out.texts.add(native);
    let state = State::Derivative(derivative);
    out.rows.push(StateRow { native, is_index: false, feed, times, state });
}

/// Reads the reply that says the open interest of a symbol: `{"symbol","openInterest","time"}`.
pub(super) fn read_open_interest(body: Object<'_, '_>, out: &mut StateRows) -> Result<(), RejectReason> {
    let native =
        body.get("symbol").and_then(Value::text).filter(|symbol| is_symbol(symbol)).ok_or(RejectReason::Schema)?;
    let open_interest = Some(body.size("openInterest", 0)?);
    let (event, odd) = body.millis("time")?;
    if event.is_none() && !odd {
        return Err(RejectReason::Schema);
    }
    let derivative = Derivative { open_interest, ..Derivative::default() };
    push(native, OPEN_INTEREST_FEED, EventTimes { event, venue: None, odd }, derivative, out);
    Ok(())
}

fn mark_price(body: Object<'_, '_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
    // Symbols without funding say 0, and nothing or 0 as its rate; those without an index say nothing.
    let next_funding = body.integer_or_none("T")?.filter(|time| *time > 0);
    let derivative = Derivative {
        mark_price: body.number_or_none("p")?,
        index_price: body.number_or_none("i")?,
        funding_rate: body.number_or_none("r")?.filter(|_| next_funding.is_some()),
        next_funding_time: next_funding.and_then(ms_to_ns),
        ..Derivative::default()
    };
    // `T` is no time of this event.
    push(binance::symbol(body)?, MARK_PRICE_FEED, binance::sent::<BinanceFutures>(body)?, derivative, out);
    Ok(Decoded::Event(()))
}

fn force_order(body: Object<'_, '_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
    let order = body.get("o").and_then(Value::object).ok_or(RejectReason::Schema)?;
    let side = match order.get("S").and_then(Value::text) {
        Some("BUY") => Side::Buy,
        Some("SELL") => Side::Sell,
        _ => return Err(RejectReason::Schema),
    };
    // What was filled and at which average price: `p` and `q` are the order's own.
    let (price, size) = (order.number("ap", 0)?, order.size("z", 0)?);
    if price.is_zero() || size.is_zero() {
        return Ok(Decoded::Ignored(IgnoreReason::ZeroPriceOrSize));
    }
    let (event, event_odd) = order.millis("T")?;
    let sent = binance::sent::<BinanceFutures>(body)?;
    let times = EventTimes { event: event.or(sent.event), venue: sent.venue, odd: event_odd || sent.odd };
    let native = out.texts.add(binance::symbol(order)?);
    let state = State::Liquidation(Liquidation { id: None, side, price, size, contracts: None });
    out.rows.push(StateRow { native, is_index: false, feed: 0, times, state });
    Ok(Decoded::Event(()))
}

#[cfg(test)]
mod tests;

//! From the body of a frame straight into fixed point (§3–§5 of both manuals).
//!
//! Decoding resumes where [`super::peek`] stopped and reads to the last byte: closing braces and nothing behind them,
//! so a torn frame or two documents in one never make a row. Anything but the shapes the exchange sends is a
//! [`Decoded::Miss`], numbers beyond their type and lists beyond their bound included: [`super::wire`] names the reason.

use xtrader_scan::{Cursor, Isa, LevelScales};

use super::{Dialect, peek};
use crate::decimal::Decimal;
use crate::event::{Bbo, BookHead, DecodedLevels, EventTimes, Scales, TextRange, Trade, TradeId, TradeRow, TradeRows};
use crate::exchange::levels::{BookSide, decimal, scan_side, size};
use crate::exchange::{Decoded, EventKind, Head};
use crate::report::IgnoreReason;
use crate::table::{Condition, Side, Source};
use crate::time::ms_to_ns;

/// The levels of a `depthUpdate` into `out`, at `scales` or finer; `max_levels` counts both sides.
#[inline(always)]
pub(super) fn depth<D: Dialect>(
    isa: Isa,
    frame: &[u8],
    head: &Head<'_>,
    scales: Scales,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Decoded<BookHead> {
    out.reset(scales);
    match depth_body(isa, frame, head, max_levels, out) {
        Some(product) => book::<D>(product, head, out),
        None => Decoded::Miss,
    }
}

/// `[…],"a":[…]` and the end of the frame.
#[inline(always)]
fn depth_body(isa: Isa, frame: &[u8], head: &Head<'_>, max_levels: usize, out: &mut DecodedLevels) -> Option<Product> {
    let mut c = Cursor::new(frame, head.resume);
    scan_side::<0>(isa, frame, &mut c, BookSide::Bids, max_levels, out)?;
    c.expect(br#","a":"#)?;
    scan_side::<0>(isa, frame, &mut c, BookSide::Asks, max_levels, out)?;
    end(frame, &mut c)
}

/// The trade of an `aggTrade` or `trade` frame, numbers at `scales` or finer.
#[inline(always)]
pub(super) fn trade<D: Dialect>(
    isa: Isa,
    frame: &[u8],
    head: &Head<'_>,
    scales: Scales,
    out: &mut TradeRows,
) -> Decoded<()> {
    match trade_body::<D>(isa, frame, head, scales) {
        Some((product, body)) => body.judge(product, head, out),
        None => Decoded::Miss,
    }
}

/// `P","q":"Q",[…]"m":true[,"M":…]` and the end of the frame.
#[inline(always)]
fn trade_body<D: Dialect>(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Option<(Product, TradeBody)> {
    let mut c = Cursor::new(frame, head.resume);
    let (price, size) = price_and_size::<b'q'>(isa, &mut c, scales)?;
    let mut condition = Condition::Regular;
    if c.eat(br#","nq":""#) {
        let rest = c.rest();
        c.skip_number()?;
        let text = rest.get(..rest.len() - c.rest().len() - 1)?;
        condition = condition_of(Some(text));
    }
    let (fills, is_market) = match head.kind {
        EventKind::AggTrade => {
            c.expect(br#","f":"#)?;
            let first = c.integer()?;
            c.expect(br#","l":"#)?;
            let last = c.integer()?;
            c.expect(br#","T":"#)?;
            c.millis()?;
            (Fills { first: Some(first), last: Some(last) }, true)
        }
        EventKind::Trade if D::TIMED_HEADS => {
            c.expect(br#","X":""#)?;
            let is_market = c.eat(br#"MARKET""#);
            if !is_market {
                c.symbol()?;
            }
            (Fills::default(), is_market)
        }
        EventKind::Trade => {
            peek::orders(&mut c)?;
            c.expect(br#","T":"#)?;
            c.millis()?;
            (Fills::default(), true)
        }
        _ => return None,
    };
    let buyer_is_maker = flag(&mut c, br#","m":"#)?;
    // Spot only, and to be ignored (spot §3).
    let _ = flag(&mut c, br#","M":"#);
    let product = end(frame, &mut c)?;
    Some((product, TradeBody { price, size, fills, is_market, buyer_is_maker, condition }))
}

/// A name and `true` or `false`; or nothing is taken.
#[inline(always)]
fn flag<const N: usize>(c: &mut Cursor<'_>, name: &[u8; N]) -> Option<bool> {
    let at = c.at();
    if c.eat(name) {
        if c.eat(b"true") {
            return Some(true);
        }
        if c.eat(b"false") {
            return Some(false);
        }
        c.set(at);
    }
    None
}

/// The quote of a `bookTicker` frame, numbers at `scales` or finer.
#[inline(always)]
pub(super) fn bbo<D: Dialect>(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Decoded<Bbo> {
    match bbo_body::<D>(isa, frame, head, scales) {
        Some((product, bid, ask)) => quote(product, head, bid, ask),
        None => Decoded::Miss,
    }
}

/// A price and a size.
type Offer = (Decimal, Decimal);

/// `b","B":"B","a":"a","A":"A"[,"T":T,"E":E]` and the end of the frame.
#[inline(always)]
fn bbo_body<D: Dialect>(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Option<(Product, Offer, Offer)> {
    if head.kind != EventKind::Bbo {
        return None;
    }
    let mut c = Cursor::new(frame, head.resume);
    let bid = price_and_size::<b'B'>(isa, &mut c, scales)?;
    c.expect(br#","a":""#)?;
    let ask = price_and_size::<b'A'>(isa, &mut c, scales)?;
    if D::TIMED_HEADS {
        c.expect(br#","T":"#)?;
        c.millis()?;
        c.expect(br#","E":"#)?;
        c.millis()?;
    }
    let product = end(frame, &mut c)?;
    Some((product, bid, ask))
}

/// A price, the name of the size, the size and the quote behind it.
#[inline(always)]
fn price_and_size<const NAME: u8>(isa: Isa, c: &mut Cursor<'_>, scales: Scales) -> Option<Offer> {
    let Scales { price, size } = scales;
    match c.pair::<NAME>(isa, LevelScales { price, size }) {
        Some((p, q)) => Some((Decimal::new(i128::from(p), price), Decimal::new(i128::from(q), size))),
        None => odd_price_and_size::<NAME>(c, scales),
    }
}

#[cold]
fn odd_price_and_size<const NAME: u8>(c: &mut Cursor<'_>, scales: Scales) -> Option<Offer> {
    let price = decimal(c.text()?, scales.price).ok()?;
    c.expect(&[b',', b'"', NAME, b'"', b':', b'"'])?;
    let size = size(c.text()?, scales.size).ok()?;
    Some((price, size))
}

/// The product family, the closing braces and nothing behind them.
#[inline(always)]
fn end(frame: &[u8], c: &mut Cursor<'_>) -> Option<Product> {
    let product = if c.eat(br#","st":"#) { Product::of(c.integer()?) } else { Product::Ours };
    c.expect(b"}")?;
    if frame.starts_with(br#"{"stream""#) {
        c.expect(b"}")?;
    }
    c.is_at_end().then_some(product)
}

/// Whose event it is (`st`, futures since 2026-06-30): all-market streams carry both families on both hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Ours,
    Other,
}

impl Product {
    pub(crate) fn of(st: i64) -> Self {
        if st == 1 { Self::Ours } else { Self::Other }
    }
}

/// The times of an event, as it writes them.
pub(super) fn times<D: Dialect>(event: i64, sent: i64) -> EventTimes {
    let (event, venue) = (ns::<D>(event), ns::<D>(sent));
    EventTimes { event, venue, odd: event.is_none() || venue.is_none() }
}

/// A time as the exchange writes it, to nanoseconds; `None` where they cannot hold it. With `timeUnit=MICROSECOND` the
/// fields keep their names and times grow by three digits (spot §1). 16 digits tell them: in microseconds the years 2001
/// to 2286, in milliseconds none that nanoseconds could hold.
pub(super) fn ns<D: Dialect>(time: i64) -> Option<i64> {
    match time {
        1_000_000_000_000_000..=9_999_999_999_999_999 if D::MICROSECONDS => time.checked_mul(1_000),
        _ => ms_to_ns(time),
    }
}

/// What is left to say of a book change once its levels are in `out`.
pub(super) fn book<D: Dialect>(product: Product, head: &Head<'_>, out: &mut DecodedLevels) -> Decoded<BookHead> {
    if product == Product::Other {
        out.reset(out.scales());
        return Decoded::Ignored(IgnoreReason::OtherProduct);
    }
    Decoded::Event(BookHead {
        times: head.times,
        is_snapshot: false,
        first_id: Some(head.key.first),
        last_id: Some(head.key.last),
        prev_id: D::LINKED.then_some(head.key.prev),
        checksum: None,
    })
}

/// The fills that an aggregate stands for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fills {
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
}

/// A trade's body, read and not yet judged.
pub(super) struct TradeBody {
    pub(super) price: Decimal,
    pub(super) size: Decimal,
    pub(super) fills: Fills,
    /// `X` is `MARKET` or not there: insurance fund and ADL fills are no trades (futures §3).
    pub(super) is_market: bool,
    pub(super) buyer_is_maker: bool,
    pub(super) condition: Condition,
}

/// Given the quantity without RPI orders (`nq`, futures since 2025-12-31). Nothing but retail price improvement is
/// [`Condition::Rpi`]; an aggregate of both kinds is a regular trade.
pub(super) fn condition_of(without_rpi: Option<&[u8]>) -> Condition {
    match without_rpi {
        Some(text) if text.iter().all(|b| matches!(b, b'0' | b'.')) => Condition::Rpi,
        _ => Condition::Regular,
    }
}

impl TradeBody {
    #[inline(always)]
    pub(super) fn judge(self, product: Product, head: &Head<'_>, out: &mut TradeRows) -> Decoded<()> {
        if product == Product::Other {
            return Decoded::Ignored(IgnoreReason::OtherProduct);
        }
        let trade = self.trade(head.times, head.key.last);
        out.rows.push(TradeRow { first: head.key.last, last: head.key.last, native: TextRange::default(), trade });
        Decoded::Event(())
    }

    pub(super) fn trade(self, times: EventTimes, id: i64) -> Result<Trade, IgnoreReason> {
        if !self.is_market {
            return Err(IgnoreReason::NotMarket);
        }
        if self.price.is_zero() || self.size.is_zero() {
            return Err(IgnoreReason::ZeroPriceOrSize);
        }
        let Fills { first, last } = self.fills;
        let count = first.zip(last).and_then(|(first, last)| last.checked_sub(first)?.checked_add(1));
        Ok(Trade {
            times,
            id: TradeId::Number(id),
            side: if self.buyer_is_maker { Side::Sell } else { Side::Buy },
            price: self.price,
            size: self.size,
            contracts: None,
            count: count.filter(|n| *n > 0),
            first_id: first,
            last_id: last,
            seq: None,
            condition: self.condition,
            index_price: None,
            mark_price: None,
            liquidated: None,
            source: Source::Ws,
        })
    }
}

/// A quote; a side without price and size is not there.
#[inline(always)]
pub(super) fn quote(product: Product, head: &Head<'_>, bid: Offer, ask: Offer) -> Decoded<Bbo> {
    if product == Product::Other {
        return Decoded::Ignored(IgnoreReason::OtherProduct);
    }
    let side = |(price, size): Offer| (!price.is_zero() || !size.is_zero()).then_some((price, size));
    Decoded::Event(Bbo { times: head.times, bid: side(bid), ask: side(ask), update_id: Some(head.key.last) })
}

#[cfg(test)]
mod tests;

//! From the body of a frame straight into fixed point (§3–§5).
//!
//! Decoding resumes where [`super::peek`] stopped and reads to the last byte: closing braces and nothing behind them,
//! so a torn frame or two documents in one never make a row. Anything but the shapes the exchange sends is a
//! [`Decoded::Miss`]; [`super::wire`] names the reason.

use xtrader_scan::{Cursor, Exact, Isa, Run, Stop, actions};

use super::peek::{quote_key, same_name, skip_unknown, trades_key};
use crate::decimal::Decimal;
use crate::event::{
    Bbo, BookHead, DecodedLevels, Derivative, EventTimes, Level, Liquidated, OptionState, Scales, State, StateRow,
    StateRows, TextRange, Texts, Trade, TradeId, TradeRow, TradeRows,
};
use crate::exchange::levels::{BookSide, at_scale, not_negative, scan_side_with};
use crate::exchange::names::side_of;
use crate::exchange::{Decoded, EventKind, Head};
use crate::report::IgnoreReason;
use crate::table::{Condition, Side, Source};
use crate::time::ms_to_ns;

/// The levels of a book message into `out`, at `scales` or finer; `max_levels` counts both sides.
#[inline(always)]
pub(super) fn book(
    isa: Isa,
    frame: &[u8],
    head: &Head<'_>,
    scales: Scales,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Decoded<BookHead> {
    out.reset(scales);
    match book_body(isa, frame, head, max_levels, out) {
        Some(()) => Decoded::Event(book_head(head)),
        None => Decoded::Miss,
    }
}

/// `[…],"asks":[…]}}}`.
#[inline(always)]
fn book_body(isa: Isa, frame: &[u8], head: &Head<'_>, max_levels: usize, out: &mut DecodedLevels) -> Option<()> {
    let mut c = Cursor::new(frame, head.resume);
    side(isa, frame, &mut c, BookSide::Bids, max_levels, out)?;
    c.expect(br#","asks":"#)?;
    side(isa, frame, &mut c, BookSide::Asks, max_levels, out)?;
    c.expect(b"}}}")?;
    c.is_at_end().then_some(())
}

fn side(
    isa: Isa,
    frame: &[u8],
    c: &mut Cursor<'_>,
    side: BookSide,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Option<()> {
    let kernel = |at, scales, room, list: &mut Vec<Level>| {
        // Bare numbers have signs; a size with one is for the reader to refuse.
        let mut signs = 0;
        let run = actions(isa, frame, at, scales, room, |price, size| {
            signs |= size;
            list.push(Level { price, size });
        });
        if signs < 0 { Run { stop: Stop::Full, ..run } } else { run }
    };
    scan_side_with(c, side, max_levels, out, kernel, odd_level)
}

/// A level whose numbers are finer or larger than the kernel takes.
#[cold]
fn odd_level(c: &mut Cursor<'_>) -> Option<(Exact, Exact)> {
    c.expect(b"[\"")?;
    let action = c.text()?;
    c.expect(b",")?;
    let price = c.number()?;
    c.expect(b",")?;
    let size = c.number()?;
    c.expect(b"]")?;
    Some((price, size_after(action, size)?))
}

/// The size that a level has after an action: all of them say absolute sizes, and `delete` means none (§4).
pub(super) fn size_after(action: &[u8], size: Exact) -> Option<Exact> {
    match action {
        b"new" | b"change" => Some(size),
        b"delete" => Some(Exact { mantissa: 0, scale: 0 }),
        _ => None,
    }
}

/// What the head says of a book message.
pub(super) fn book_head(head: &Head<'_>) -> BookHead {
    let is_snapshot = head.kind == EventKind::Book;
    BookHead {
        times: head.times,
        is_snapshot,
        first_id: None,
        last_id: Some(head.key.last),
        prev_id: (!is_snapshot).then_some(head.key.prev),
        checksum: None,
    }
}

/// The trades of a frame of one instrument, prices and sizes at `scales` or finer.
#[inline(always)]
pub(super) fn trades(frame: &[u8], head: &Head<'_>, scales: Scales, out: &mut TradeRows) -> Decoded<()> {
    match trades_body(frame, head, scales, out) {
        Some(()) => Decoded::Event(()),
        None => Decoded::Miss,
    }
}

/// `{…},…,{…}]}}`.
fn trades_body(frame: &[u8], head: &Head<'_>, scales: Scales, out: &mut TradeRows) -> Option<()> {
    let mut c = Cursor::new(frame, head.resume);
    let mut ends = None;
    loop {
        c.expect(b"{")?;
        let body = TradeBody::scan(&mut c, head.symbol, scales, &mut out.texts)?;
        let at = (body.seq?, body.times?);
        ends = Some((ends.map_or(at, |(first, _)| first), at));
        out.rows.push(body.row()?);
        if !c.eat(b",") {
            break;
        }
    }
    c.expect(b"]}}")?;
    let (first, last) = ends?;
    let same = trades_key(first, last) == (head.key, head.times);
    (same && c.is_at_end()).then_some(())
}

/// A trade, read field by field and not yet judged. A field that is `null` or not there is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TradeBody {
    pub(super) seq: Option<i64>,
    pub(super) times: Option<EventTimes>,
    pub(super) id: Option<TextRange>,
    /// Its instrument, where the message has several.
    pub(super) native: TextRange,
    pub(super) price: Option<Decimal>,
    pub(super) size: Option<Decimal>,
    pub(super) side: Option<Side>,
    pub(super) contracts: Option<Decimal>,
    pub(super) index_price: Option<Decimal>,
    pub(super) mark_price: Option<Decimal>,
    /// `liquidation` is there, and names who was liquidated.
    pub(super) liquidation: Option<Option<Liquidated>>,
    /// `block_trade_id` is there.
    pub(super) block: Option<()>,
    /// `block_rfq_id` is there: what was asked for as a block is one.
    pub(super) block_rfq: Option<()>,
    /// `block_trade_leg_count`.
    pub(super) block_legs: Option<i64>,
    /// `combo_id` is there, and whether it is the instrument itself.
    pub(super) combo: Option<bool>,
    /// `combo_trade_id` is there.
    pub(super) combo_trade: Option<()>,
    /// `legs` are there, which only the combo's own trade has.
    pub(super) legs: bool,
}

impl TradeBody {
    /// The fields of a row, from behind its opening brace to behind the closing one.
    #[inline(always)]
    fn scan(c: &mut Cursor<'_>, symbol: &str, scales: Scales, texts: &mut Texts) -> Option<Self> {
        let mut body = Self::default();
        let mut named = None;
        loop {
            c.expect(b"\"")?;
            match c.next()? {
                b't' if c.eat(br#"timestamp":"#) => field(c, &mut body.times, |c| Some(times(Some(c.millis()?))))?,
                b't' if c.eat(br#"trade_seq":"#) => field(c, &mut body.seq, Cursor::integer)?,
                b't' if c.eat(br#"trade_id":"#) => field(c, &mut body.id, |c| Some(texts.add(text(c)?)))?,
                b'p' if c.eat(br#"price":"#) => field(c, &mut body.price, |c| number(c, scales.price))?,
                b'a' if c.eat(br#"amount":"#) => field(c, &mut body.size, |c| size(c, scales.size))?,
                b'd' if c.eat(br#"direction":"#) => field(c, &mut body.side, |c| Some(side_of(text(c)?)))?,
                b'i' if c.eat(br#"instrument_name":""#) => field(c, &mut named, |c| same_name(c, symbol))?,
                b'i' if c.eat(br#"index_price":"#) => field(c, &mut body.index_price, free)?,
                b'm' if c.eat(br#"mark_price":"#) => field(c, &mut body.mark_price, free)?,
                b'c' if c.eat(br#"contracts":"#) => field(c, &mut body.contracts, |c| not_negative(free(c)?).ok())?,
                b'c' if c.eat(br#"combo_id":"#) => field(c, &mut body.combo, |c| Some(text(c)? == symbol))?,
                b'c' if c.eat(br#"combo_trade_id":"#) => field(c, &mut body.combo_trade, Cursor::skip_scalar)?,
                b'l' if c.eat(br#"liquidation":"#) => field(c, &mut body.liquidation, |c| Some(liquidated(text(c)?)))?,
                b'b' if c.eat(br#"block_trade_id":"#) => field(c, &mut body.block, Cursor::skip_scalar)?,
                b'b' if c.eat(br#"block_rfq_id":"#) => field(c, &mut body.block_rfq, Cursor::skip_scalar)?,
                b'b' if c.eat(br#"block_trade_leg_count":"#) => field(c, &mut body.block_legs, Cursor::integer)?,
                b't' if c.eat(br#"tick_direction":"#) => c.skip_scalar()?,
                _ => skip_unknown(c, &[b"instrument_name", b"legs"])?,
            }
            if c.eat(b"}") {
                return named.map(|()| body);
            }
            c.expect(b",")?;
        }
    }

    /// The row it makes; `None` where something that every trade has is missing.
    #[inline(always)]
    pub(super) fn row(self) -> Option<TradeRow> {
        let (seq, price, size) = (self.seq?, self.price?, self.size?);
        let trade = Trade {
            times: self.times?,
            id: TradeId::Text(self.id?),
            side: self.side?,
            price,
            size,
            contracts: self.contracts,
            count: None,
            first_id: None,
            last_id: None,
            seq: Some(seq),
            condition: self.condition(),
            index_price: self.index_price,
            mark_price: self.mark_price,
            liquidated: self.liquidation.flatten(),
            source: Source::Ws,
        };
        // Whether the price may be zero depends on the instrument: see `TradeRow::on`.
        let trade = if size.is_zero() { Err(IgnoreReason::ZeroPriceOrSize) } else { Ok(trade) };
        Some(TradeRow { first: seq, last: seq, native: self.native, trade })
    }

    /// What kind of trade it is (§3), as far as it says so itself. A liquidation is one however it was brought about. A trade
    /// of a combo comes on the combo and once more on each of its legs: there it names the combo's trade, or a combo that
    /// it is not.
    fn condition(&self) -> Condition {
        let is_combo = self.combo == Some(true) || self.legs;
        if self.liquidation.flatten().is_some() {
            Condition::Liquidation
        } else if self.block.is_some() || self.block_rfq.is_some() {
            if self.block_legs > Some(1) { Condition::BlockLeg } else { Condition::Block }
        } else if is_combo {
            Condition::Combo
        } else if self.combo.is_some() || self.combo_trade.is_some() {
            Condition::ComboLeg
        } else {
            Condition::Regular
        }
    }
}

/// Maker, taker or both (§3).
pub(super) fn liquidated(word: &str) -> Option<Liquidated> {
    match word {
        "M" => Some(Liquidated::Maker),
        "T" => Some(Liquidated::Taker),
        "MT" => Some(Liquidated::Both),
        _ => None,
    }
}

/// The value of a key that may be `null`, and that must not have been there before.
#[inline(always)]
fn field<'a, T>(
    c: &mut Cursor<'a>,
    slot: &mut Option<T>,
    read: impl FnOnce(&mut Cursor<'a>) -> Option<T>,
) -> Option<()> {
    if slot.is_some() {
        return None;
    }
    if c.next()? == b'n' {
        return c.expect(b"null");
    }
    *slot = Some(read(c)?);
    Some(())
}

/// A text without escapes.
#[inline(always)]
fn text<'a>(c: &mut Cursor<'a>) -> Option<&'a str> {
    c.expect(b"\"")?;
    std::str::from_utf8(c.text()?).ok()
}

/// A number at `scale`, or finer where its digits ask for it.
#[inline(always)]
fn number(c: &mut Cursor<'_>, scale: u8) -> Option<Decimal> {
    match c.bare(scale) {
        Some(mantissa) => Some(Decimal::new(i128::from(mantissa), scale)),
        None => at_scale(c.number()?, scale).ok(),
    }
}

/// A size: a number that is never negative.
#[inline(always)]
fn size(c: &mut Cursor<'_>, scale: u8) -> Option<Decimal> {
    not_negative(number(c, scale)?).ok()
}

/// A number with as many fraction digits as it needs.
#[inline(always)]
fn free(c: &mut Cursor<'_>) -> Option<Decimal> {
    c.number().map(|number| Decimal::new(number.mantissa, number.scale))
}

/// The quote of a frame, numbers at `scales` or finer.
#[inline(always)]
pub(super) fn bbo(frame: &[u8], head: &Head<'_>, scales: Scales) -> Decoded<Bbo> {
    match bbo_body(frame, head, scales) {
        Some(bbo) => Decoded::Event(bbo),
        None => Decoded::Miss,
    }
}

/// `…}}}` in any order.
#[inline(always)]
fn bbo_body(frame: &[u8], head: &Head<'_>, scales: Scales) -> Option<Bbo> {
    let mut c = Cursor::new(frame, head.resume);
    let (mut time, mut named) = (None, None);
    let mut quote = QuoteBody::default();
    loop {
        c.expect(b"\"")?;
        match c.next()? {
            b't' if c.eat(br#"timestamp":"#) => field(&mut c, &mut time, Cursor::millis)?,
            b'i' if c.eat(br#"instrument_name":""#) => field(&mut c, &mut named, |c| same_name(c, head.symbol))?,
            b'b' if c.eat(br#"best_bid_price":"#) => field(&mut c, &mut quote.bid_price, |c| number(c, scales.price))?,
            b'b' if c.eat(br#"best_bid_amount":"#) => field(&mut c, &mut quote.bid_size, |c| size(c, scales.size))?,
            b'b' if c.eat(br#"best_ask_price":"#) => field(&mut c, &mut quote.ask_price, |c| number(c, scales.price))?,
            b'b' if c.eat(br#"best_ask_amount":"#) => field(&mut c, &mut quote.ask_size, |c| size(c, scales.size))?,
            _ => skip_unknown(&mut c, &[b"instrument_name"])?,
        }
        if c.eat(b"}}}") {
            break;
        }
        c.expect(b",")?;
    }
    named?;
    (c.is_at_end() && quote_key(time?) == head.key).then(|| quote.bbo(head))
}

/// A quote, read field by field.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QuoteBody {
    pub(super) bid_price: Option<Decimal>,
    pub(super) bid_size: Option<Decimal>,
    pub(super) ask_price: Option<Decimal>,
    pub(super) ask_size: Option<Decimal>,
}

impl QuoteBody {
    /// The quote; a side that has no price and no size, or zero for both, is not there.
    pub(super) fn bbo(self, head: &Head<'_>) -> Bbo {
        let side = |price: Option<Decimal>, size: Option<Decimal>| {
            price.zip(size).filter(|(price, size)| !price.is_zero() || !size.is_zero())
        };
        Bbo {
            times: head.times,
            bid: side(self.bid_price, self.bid_size),
            ask: side(self.ask_price, self.ask_size),
            update_id: None,
        }
    }
}

/// The state of the channel's instrument, and of an option that too (§5).
#[inline(always)]
pub(super) fn states(frame: &[u8], head: &Head<'_>, out: &mut StateRows) -> Decoded<()> {
    match states_body(frame, head) {
        Some((times, body)) => {
            body.rows(head.symbol, times, out);
            Decoded::Event(())
        }
        None => Decoded::Miss,
    }
}

/// `…}}}` in any order.
fn states_body(frame: &[u8], head: &Head<'_>) -> Option<(EventTimes, TickerBody)> {
    let mut c = Cursor::new(frame, head.resume);
    let (mut time, mut named) = (None, None);
    let mut body = TickerBody::default();
    let TickerBody { derivative, option, has_greeks } = &mut body;
    loop {
        c.expect(b"\"")?;
        match c.next()? {
            b't' if c.eat(br#"timestamp":"#) => field(&mut c, &mut time, Cursor::millis)?,
            b'i' if c.eat(br#"instrument_name":""#) => field(&mut c, &mut named, |c| same_name(c, head.symbol))?,
            b'i' if c.eat(br#"index_price":"#) => field(&mut c, &mut derivative.index_price, free)?,
            b'm' if c.eat(br#"mark_price":"#) => field(&mut c, &mut derivative.mark_price, free)?,
            b'm' if c.eat(br#"mark_iv":"#) => field(&mut c, &mut option.mark_iv, percent)?,
            b'c' if c.eat(br#"current_funding":"#) => field(&mut c, &mut derivative.funding_rate, free)?,
            b'o' if c.eat(br#"open_interest":"#) => field(&mut c, &mut derivative.open_interest, free)?,
            b'l' if c.eat(br#"last_price":"#) => field(&mut c, &mut derivative.last_price, free)?,
            b'u' if c.eat(br#"underlying_price":"#) => field(&mut c, &mut option.underlying_price, free)?,
            b'b' if c.eat(br#"bid_iv":"#) => field(&mut c, &mut option.bid_iv, percent)?,
            b'a' if c.eat(br#"ask_iv":"#) => field(&mut c, &mut option.ask_iv, percent)?,
            b'g' if c.eat(br#"greeks":"#) => {
                *has_greeks = true;
                members(&mut c, |c| greek(c, option))?;
            }
            b's' if c.eat(br#"stats":"#) => members(&mut c, stat)?,
            // Known ones need no look for their end.
            b'b' if c.eat(br#"best_bid_price":"#) || c.eat(br#"best_bid_amount":"#) => c.skip_scalar()?,
            b'b' if c.eat(br#"best_ask_price":"#) || c.eat(br#"best_ask_amount":"#) => c.skip_scalar()?,
            b'm' if c.eat(br#"min_price":"#) || c.eat(br#"max_price":"#) => c.skip_scalar()?,
            b's' if c.eat(br#"state":"#) || c.eat(br#"settlement_price":"#) => c.skip_scalar()?,
            b'i' if c.eat(br#"interest_rate":"#) || c.eat(br#"interest_value":"#) => c.skip_scalar()?,
            b'e' if c.eat(br#"estimated_delivery_price":"#) => c.skip_scalar()?,
            b'u' if c.eat(br#"underlying_index":"#) => c.skip_scalar()?,
            b'f' if c.eat(br#"funding_8h":"#) => c.skip_scalar()?,
            _ => skip_unknown(&mut c, &[b"instrument_name"])?,
        }
        if c.eat(b"}}}") {
            break;
        }
        c.expect(b",")?;
    }
    named?;
    c.is_at_end().then(|| (times(time), body))
}

/// The members of an object inside of a ticker, each from behind its first quote.
#[inline(always)]
fn members<'a>(c: &mut Cursor<'a>, mut each: impl FnMut(&mut Cursor<'a>) -> Option<()>) -> Option<()> {
    c.expect(b"{")?;
    loop {
        c.expect(b"\"")?;
        each(c)?;
        if c.eat(b"}") {
            return Some(());
        }
        c.expect(b",")?;
    }
}

#[inline(always)]
fn greek(c: &mut Cursor<'_>, option: &mut OptionState) -> Option<()> {
    match c.next()? {
        b'd' if c.eat(br#"delta":"#) => field(c, &mut option.delta, free),
        b'g' if c.eat(br#"gamma":"#) => field(c, &mut option.gamma, free),
        b'v' if c.eat(br#"vega":"#) => field(c, &mut option.vega, free),
        b't' if c.eat(br#"theta":"#) => field(c, &mut option.theta, free),
        b'r' if c.eat(br#"rho":"#) => c.skip_scalar(),
        _ => skip_unknown(c, &[]),
    }
}

/// What the day was like is no state.
#[inline(always)]
fn stat(c: &mut Cursor<'_>) -> Option<()> {
    let is_known = c.eat(br#"volume":"#) || c.eat(br#"price_change":"#) || c.eat(br#"low":"#) || c.eat(br#"high":"#);
    if is_known { c.skip_scalar() } else { skip_unknown(c, &[]) }
}

/// The exchange writes volatilities in percent.
#[inline(always)]
fn percent(c: &mut Cursor<'_>) -> Option<Decimal> {
    fraction(c.number()?)
}

/// A percentage as a fraction; `None` where that has too many digits.
pub(super) fn fraction(percent: Exact) -> Option<Decimal> {
    let scale = percent.scale.checked_add(2).filter(|scale| u32::from(*scale) <= xtrader_scan::MAX_DIGITS)?;
    Some(Decimal::new(percent.mantissa, scale).trimmed())
}

/// Which feed of an instrument a row belongs to: both come of one message and have one time.
pub(super) const DERIVATIVE: u8 = 0;
pub(super) const OPTION: u8 = 1;

/// A ticker, read field by field.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TickerBody {
    pub(super) derivative: Derivative,
    pub(super) option: OptionState,
    pub(super) has_greeks: bool,
}

impl TickerBody {
    /// What every instrument is worth, and beside it what only an option is.
    #[inline(always)]
    pub(super) fn rows(mut self, name: &str, times: EventTimes, out: &mut StateRows) {
        let native = out.texts.add(name);
        let row = |feed, state| StateRow { native, is_index: false, feed, times, state };
        out.rows.push(row(DERIVATIVE, State::Derivative(self.derivative)));
        if self.has_greeks || self.option.mark_iv.is_some() {
            self.option.mark_price = self.derivative.mark_price;
            self.option.open_interest = self.derivative.open_interest;
            out.rows.push(row(OPTION, State::Option(self.option)));
        }
    }
}

/// The time of an event, in milliseconds. The exchange says no time of sending.
pub(super) fn times(ms: Option<i64>) -> EventTimes {
    let event = ms.and_then(ms_to_ns);
    EventTimes { event, venue: None, odd: ms.is_some() && event.is_none() }
}

#[cfg(test)]
mod tests;

//! What instruments are worth beside their books (§5). Liquidations are few: the reference reader takes them.

use xtrader_scan::Cursor;

use super::instruments::form;
use super::normalize::times;
use super::wire::{moment, time};
use crate::config::Stream;
use crate::decimal::Decimal;
use crate::event::{Derivative, EventTimes, Liquidation, OptionState, State, StateRow, StateRows, TextRange};
use crate::exchange::document::{Object, Value};
use crate::exchange::levels::{decimal, not_negative};
use crate::exchange::names::{is_symbol, once, side_of};
use crate::exchange::{Cadence, Decoded, Head, StateHead};
use crate::report::{IgnoreReason, RejectReason};
use crate::symbol::Exchange;
use crate::time::ms_to_ns;

/// A feed of states. Within each the newer one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feed {
    MarkPrice,
    IndexTickers,
    FundingRate,
    OpenInterest,
    OptionSummary,
    LiquidationOrders,
}

impl Feed {
    /// The feed that a channel carries.
    pub(super) fn of(channel: &str) -> Option<Self> {
        Some(match channel {
            "mark-price" => Self::MarkPrice,
            "index-tickers" => Self::IndexTickers,
            "funding-rate" => Self::FundingRate,
            "open-interest" => Self::OpenInterest,
            "opt-summary" => Self::OptionSummary,
            "liquidation-orders" => Self::LiquidationOrders,
            _ => return None,
        })
    }
}

/// §5: the mark price at least every 10 s, funding every 30 to 90 s. The index at least once a minute, by the exchange's
/// reference of `index-tickers`. Open interest comes every 3 s "when there are updates", option summaries "at once", and
/// neither says for how long it may hold still.
pub(super) fn cadence(channel: &str) -> Option<Cadence> {
    let feed = Feed::of(channel.split(':').next()?)?;
    let every_ms = match feed {
        Feed::MarkPrice => 10_000,
        Feed::FundingRate => 90_000,
        Feed::IndexTickers => 60_000,
        Feed::OpenInterest | Feed::OptionSummary | Feed::LiquidationOrders => return None,
    };
    Some(Cadence { feed: feed as u8, first_ms: every_ms, every_ms })
}

/// The heads of rows that end with their time, as all do that are no events (§5). Where the subscription names their
/// instrument the row need not be searched for it. Which stream a mark price is of tells the instrument's kind.
#[inline(always)]
pub(super) fn heads<'a>(frame: &'a [u8], head: &Head<'a>, mut each: impl FnMut(StateHead<'a>) -> bool) -> Option<()> {
    let feed = Feed::of(head.variant?).filter(|feed| *feed != Feed::LiquidationOrders)?;
    let of = |stream| Some((stream, feed as u8));
    let feeds = match feed {
        Feed::OptionSummary => [of(Stream::Options), None],
        Feed::MarkPrice | Feed::OpenInterest => [of(Stream::Derivatives), of(Stream::Options)],
        _ => [of(Stream::Derivatives), None],
    };
    let is_index = feed == Feed::IndexTickers;
    let mut c = Cursor::new(frame, head.resume);
    loop {
        let mut native = head.symbol;
        if native.is_empty() {
            c.expect(br#"{"instType":"OPTION","instId":""#)?;
            native = c.name()?;
        }
        let row = c.until::<b'}'>()?;
        let mut tail = Cursor::new(row, row.len().checked_sub(br#","ts":"1597026383085""#.len())?);
        tail.expect(br#","ts":""#)?;
        let time = ms_to_ns(tail.millis()?)?;
        tail.expect(b"\"")?;
        if !(tail.is_at_end() && each(StateHead { native, is_index, feeds, time })) {
            return tail.is_at_end().then_some(());
        }
        if !c.eat(b",") {
            break;
        }
    }
    c.expect(b"]}")?;
    c.is_at_end().then_some(())
}

/// The rows of a message of flat objects of texts, with their keys in any order.
#[inline(always)]
pub(super) fn decode(frame: &[u8], head: &Head<'_>, out: &mut StateRows) -> Decoded<()> {
    match scan(frame, head, out) {
        Some(()) => Decoded::Event(()),
        None => Decoded::Miss,
    }
}

fn scan(frame: &[u8], head: &Head<'_>, out: &mut StateRows) -> Option<()> {
    let feed = Feed::of(head.variant?).filter(|feed| *feed != Feed::LiquidationOrders)?;
    let mut c = Cursor::new(frame, head.resume);
    loop {
        scan_row(&mut c, feed, head.symbol, out)?;
        if !c.eat(b",") {
            break;
        }
    }
    c.expect(b"]}")?;
    c.is_at_end().then_some(())
}

/// `{"key":"text",…}`
#[inline(always)]
fn scan_row(c: &mut Cursor<'_>, feed: Feed, symbol: &str, out: &mut StateRows) -> Option<()> {
    let (mut name, mut ts) = (None, None);
    let (mut own, mut option) = (Derivative::default(), OptionState::default());
    c.expect(b"{")?;
    loop {
        c.expect(b"\"")?;
        let key = c.name()?;
        c.expect(b":\"")?;
        let text = c.until::<b'"'>()?;
        match key {
            "instId" => once(&mut name, plain(text)?)?,
            "ts" => once(&mut ts, ms(text)?)?,
            "markPx" => number(&mut own.mark_price, text)?,
            "idxPx" => number(&mut own.index_price, text)?,
            "fundingRate" => number(&mut own.funding_rate, text)?,
            "fundingTime" => once(&mut own.next_funding_time, ms_to_ns(ms(text)?)?)?,
            "oi" => number(&mut own.open_interest, text)?,
            "oiCcy" => number(&mut own.open_interest_base, text)?,
            "fwdPx" => number(&mut option.underlying_price, text)?,
            "markVol" => number(&mut option.mark_iv, text)?,
            "bidVol" => number(&mut option.bid_iv, text)?,
            "askVol" => number(&mut option.ask_iv, text)?,
            "deltaBS" => number(&mut option.delta, text)?,
            "gammaBS" => number(&mut option.gamma, text)?,
            "vegaBS" => number(&mut option.vega, text)?,
            "thetaBS" => number(&mut option.theta, text)?,
            _ => drop(plain(text)?),
        }
        if c.eat(b"}") {
            break;
        }
        c.expect(b",")?;
    }
    let name = name.filter(|name| is_symbol(name) && (symbol.is_empty() || symbol == *name))?;
    let none = Derivative::default();
    let Derivative { mark_price, index_price, funding_rate, next_funding_time, .. } = own;
    let Derivative { open_interest, open_interest_base, .. } = own;
    let state = match feed {
        Feed::OptionSummary => State::Option(option),
        Feed::MarkPrice | Feed::OpenInterest if is_option(name) => {
            State::Option(OptionState { mark_price, open_interest, open_interest_base, ..OptionState::default() })
        }
        Feed::MarkPrice => State::Derivative(Derivative { mark_price, ..none }),
        Feed::IndexTickers => State::Derivative(Derivative { index_price, ..none }),
        Feed::FundingRate => State::Derivative(Derivative { funding_rate, next_funding_time, ..none }),
        Feed::OpenInterest => State::Derivative(Derivative { open_interest, open_interest_base, ..none }),
        Feed::LiquidationOrders => return None,
    };
    let native = out.texts.add(name);
    out.rows.push(state_row(native, feed, ts.map_or_else(EventTimes::default, times), state));
    Some(())
}

/// Keeps a number, unless it was there before; the empty text is none.
#[inline(always)]
fn number(slot: &mut Option<Decimal>, text: &[u8]) -> Option<()> {
    if slot.is_some() {
        return None;
    }
    if !text.is_empty() {
        *slot = Some(decimal(text, 0).ok()?);
    }
    Some(())
}

/// A text that stands for itself: ASCII without escapes.
#[inline(always)]
fn plain(text: &[u8]) -> Option<&str> {
    let is_plain = text.iter().all(|b| (b' '..0x7f).contains(b) && *b != b'\\');
    std::str::from_utf8(text).ok().filter(|_| is_plain)
}

/// All of a text as milliseconds.
#[inline(always)]
fn ms(text: &[u8]) -> Option<i64> {
    let mut c = Cursor::new(text, 0);
    c.millis().filter(|_| c.is_at_end())
}

/// The rows of a message into `out`. Those of a subscription to one instrument are its own.
pub(super) fn read(data: Value<'_, '_>, head: &Head<'_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason> {
    let feed = head.variant.and_then(Feed::of).ok_or(RejectReason::Schema)?;
    for row in data.elements() {
        let row = row.object().ok_or(RejectReason::Schema)?;
        let symbol = row.get("instId").and_then(Value::text).filter(|s| is_symbol(s)).ok_or(RejectReason::Schema)?;
        if !head.symbol.is_empty() && head.symbol != symbol {
            return Err(RejectReason::Schema);
        }
        let native = out.texts.add(symbol);
        let StateRows { rows, ignored, .. } = &mut *out;
        let mut push = |times: EventTimes, state| rows.push(state_row(native, feed, times, state));
        match feed {
            Feed::LiquidationOrders => {
                let details = row.get("details").filter(|list| list.is_array()).ok_or(RejectReason::Schema)?;
                for detail in details.elements() {
                    let detail = detail.object().ok_or(RejectReason::Schema)?;
                    match liquidation(detail)? {
                        Some(liquidation) => push(time(detail)?, State::Liquidation(liquidation)),
                        None => ignored.push(IgnoreReason::ZeroPriceOrSize),
                    }
                }
            }
            Feed::OptionSummary => push(time(row)?, State::Option(summary(row)?)),
            Feed::MarkPrice | Feed::OpenInterest if is_option(symbol) => push(time(row)?, State::Option(option(row)?)),
            _ => push(time(row)?, State::Derivative(derivative(row, feed)?)),
        }
    }
    Ok(Decoded::of_states(out))
}

fn is_option(symbol: &str) -> bool {
    form(symbol).is_some_and(|form| form.market == Exchange::OkxOptions)
}

fn state_row(native: TextRange, feed: Feed, times: EventTimes, state: State) -> StateRow {
    StateRow { native, is_index: feed == Feed::IndexTickers, feed: feed as u8, times, state }
}

fn derivative(row: Object<'_, '_>, feed: Feed) -> Result<Derivative, RejectReason> {
    let none = Derivative::default();
    Ok(match feed {
        Feed::MarkPrice => Derivative { mark_price: row.number_or_none("markPx")?, ..none },
        Feed::IndexTickers => Derivative { index_price: row.number_or_none("idxPx")?, ..none },
        // `fundingRate` is the one that is paid at `fundingTime`, which lies ahead of `ts`: the coming settlement.
        // `nextFundingTime` is the one after it.
        Feed::FundingRate => Derivative {
            funding_rate: row.number_or_none("fundingRate")?,
            next_funding_time: moment(row, "fundingTime")?,
            ..none
        },
        _ => Derivative {
            open_interest: row.number_or_none("oi")?,
            open_interest_base: row.number_or_none("oiCcy")?,
            ..none
        },
    })
}

/// Mark price or open interest of an option.
fn option(row: Object<'_, '_>) -> Result<OptionState, RejectReason> {
    Ok(OptionState {
        mark_price: row.number_or_none("markPx")?,
        open_interest: row.number_or_none("oi")?,
        open_interest_base: row.number_or_none("oiCcy")?,
        ..OptionState::default()
    })
}

/// The exchange sends the greeks twice, in coins (`delta`) and by Black-Scholes in dollars (`deltaBS`): the latter is
/// what the word means elsewhere, Deribit included.
fn summary(row: Object<'_, '_>) -> Result<OptionState, RejectReason> {
    Ok(OptionState {
        underlying_price: row.number_or_none("fwdPx")?,
        mark_iv: row.number_or_none("markVol")?,
        bid_iv: row.number_or_none("bidVol")?,
        ask_iv: row.number_or_none("askVol")?,
        delta: row.number_or_none("deltaBS")?,
        gamma: row.number_or_none("gammaBS")?,
        vega: row.number_or_none("vegaBS")?,
        theta: row.number_or_none("thetaBS")?,
        ..OptionState::default()
    })
}

/// `side` is that of the closing order: `buy` closes a short. `None` where the exchange leaves price or size empty, as it
/// does with what there is not: that costs no other row of the frame.
fn liquidation(detail: Object<'_, '_>) -> Result<Option<Liquidation>, RejectReason> {
    let told = detail.number_or_none("bkPx")?.zip(detail.number_or_none("sz")?);
    let of = |(price, size)| -> Result<_, RejectReason> {
        let side = side_of(detail.get("side").and_then(Value::text).unwrap_or_default());
        Ok(Liquidation { id: None, side, price, size: not_negative(size)?, contracts: None })
    };
    told.map(of).transpose()
}

#[cfg(test)]
mod tests;

//! Reference data and names (§2).

use std::borrow::Cow;

use super::wire::moment;
use crate::decimal::{Decimal, MAX_SCALE};
use crate::exchange::Name;
use crate::exchange::document::{Object, Value};
use crate::exchange::names::{is_date, is_symbol, read_listed};
use crate::instrument::{Conversion, Instrument};
use crate::report::RejectReason;
use crate::symbol::Exchange;
use crate::table::{InstrumentKind, OptionType, Status};

/// What the form of a native name tells: `BTC-USDT`, `BTC-USDT-SWAP`, `BTC-USD-261225`, `BTC-USD-261225-50000-C`.
pub(super) struct Form<'a> {
    pub market: Exchange,
    pub base: &'a str,
    pub quote: &'a str,
    /// Behind the pair, with the dash before it, as the unified name has it too.
    rest: &'a str,
}

pub(super) fn form(native: &str) -> Option<Form<'_>> {
    let mut parts = native.splitn(3, '-');
    let (base, quote, more) = (parts.next()?, parts.next()?, parts.next());
    // The unified name of a dated future is no pair.
    if base.is_empty() || quote.is_empty() || is_date(quote) {
        return None;
    }
    let dated = || native.get(base.len() + 1 + quote.len()..).unwrap_or_default();
    let (market, rest) = match more {
        None => (Exchange::OkxSpot, ""),
        Some("SWAP") => (Exchange::OkxSwap, ""),
        Some(date) if is_date(date) => (Exchange::OkxFutures, dated()),
        Some(option) => {
            let (date, option) = option.split_once('-')?;
            let (strike, right) = option.split_once('-')?;
            if !is_date(date) || strike.is_empty() || !matches!(right, "C" | "P") {
                return None;
            }
            (Exchange::OkxOptions, dated())
        }
    };
    Some(Form { market, base, quote, rest })
}

/// What a native name tells without reference data. Whether what stands among the dated futures is dated it does not:
/// X-Perps are listed there too.
pub(super) fn name(native: &str) -> Name<'_> {
    let Some(Form { market, base, quote, rest }) = form(native) else {
        let symbol = Cow::Borrowed(native);
        return Name { market: Exchange::Okx, symbol, kind: None, conversion: Conversion::Unknown };
    };
    let (kind, conversion) = match market {
        Exchange::OkxSpot => (Some(InstrumentKind::Spot), Conversion::None),
        Exchange::OkxSwap => (Some(InstrumentKind::Perpetual), Conversion::Unknown),
        Exchange::OkxOptions => (Some(InstrumentKind::Option), Conversion::Unknown),
        _ => (None, Conversion::Unknown),
    };
    Name { market, symbol: Cow::Owned(format!("{base}{quote}{rest}")), kind, conversion }
}

/// A native name is given back. Where a unified one divides into base and quote only reference data tell.
pub(super) fn native(market: Exchange, symbol: &str) -> Option<&str> {
    form(symbol).is_some_and(|form| form.market == market || market == Exchange::Okx).then_some(symbol)
}

/// The index of a swap or future is the pair it follows.
pub(super) fn index_of(native: &str) -> Option<&str> {
    let form = form(native).filter(|form| matches!(form.market, Exchange::OkxSwap | Exchange::OkxFutures))?;
    native.get(..form.base.len() + 1 + form.quote.len())
}

/// Reads the reply to `GET /api/v5/public/instruments`, of whatever type. A row that cannot be read leaves out what it
/// cannot say; a row without a name is left out itself; neither spoils the others.
///
/// # Errors
/// The reply as a whole cannot be read, or is an error.
pub(super) fn read_instruments(body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
    let is_good = |reply: Object<'_, '_>| reply.get("code").and_then(Value::text) == Some("0");
    read_listed(body, |reply| reply.get("data").filter(|_| is_good(reply)), instrument)
}

/// The rows of a push on `instruments`, which are those of the reply (§2); of any other frame none.
pub(super) fn read_notice(frame: &[u8]) -> Vec<Instrument> {
    let is_of_us = |push: Object<'_, '_>| {
        let channel = push.get("arg").and_then(Value::object).and_then(|arg| arg.get("channel"));
        channel.and_then(Value::text) == Some("instruments")
    };
    read_listed(frame, |push| push.get("data").filter(|_| is_of_us(push)), instrument).unwrap_or_default()
}

fn instrument(row: Object<'_, '_>) -> Option<Instrument> {
    let text = |key: &str| row.get(key).and_then(Value::text).unwrap_or_default();
    let native = Some(text("instId")).filter(|native| is_symbol(native))?;
    let (exchange, kind) = match text("instType") {
        "SPOT" => (Exchange::OkxSpot, InstrumentKind::Spot),
        "SWAP" => (Exchange::OkxSwap, InstrumentKind::Perpetual),
        // §2: a perpetual with a funding rate that is listed among the futures.
        "FUTURES" if text("ruleType") == "xperp" => (Exchange::OkxFutures, InstrumentKind::Perpetual),
        "FUTURES" => (Exchange::OkxFutures, InstrumentKind::Future),
        "OPTION" => (Exchange::OkxOptions, InstrumentKind::Option),
        _ => (Exchange::Okx, InstrumentKind::Other),
    };
    let (base, quote) = match kind {
        InstrumentKind::Spot | InstrumentKind::Other => (text("baseCcy"), text("quoteCcy")),
        _ => pair(&[text("uly"), text("instFamily"), native]),
    };
    let symbol = match name(native) {
        _ if exchange == Exchange::OkxFutures && kind == InstrumentKind::Perpetual => format!("{base}{quote}"),
        named if named.market == exchange => named.symbol.into_owned(),
        _ => native.to_owned(),
    };
    let is_dated = matches!(kind, InstrumentKind::Future | InstrumentKind::Option);
    let is_option = kind == InstrumentKind::Option;
    let multiplier = multiplier(row);
    Some(Instrument {
        exchange,
        native_symbol: native.to_owned(),
        symbol,
        kind,
        base: base.to_owned(),
        quote: quote.to_owned(),
        settle: text("settleCcy").to_owned(),
        tick_size: row.positive("tickSz"),
        lot_size: row.positive("lotSz"),
        min_notional: None,
        multiplier: multiplier.unwrap_or(Decimal::new(1, 0)),
        inverse: text("ctType") == "inverse",
        conversion: conversion(kind, text("ctType"), text("ctValCcy"), (base, quote), multiplier),
        expiry: if is_dated { moment(row, "expTime").ok().flatten() } else { None },
        strike: row.positive("stk").filter(|_| is_option),
        option_type: match text("optType") {
            "C" if is_option => Some(OptionType::Call),
            "P" if is_option => Some(OptionType::Put),
            _ => None,
        },
        status: status(text("state")),
        status_native: text("state").to_owned(),
    })
}

/// The first of these texts that begins with a pair.
fn pair<'a>(texts: &[&'a str]) -> (&'a str, &'a str) {
    let pair = |text: &&'a str| {
        let mut parts = text.split('-');
        Some((parts.next().filter(|base| !base.is_empty())?, parts.next().filter(|quote| !quote.is_empty())?))
    };
    texts.iter().find_map(pair).unwrap_or_default()
}

/// `ctVal × ctMult`: what one contract is worth.
fn multiplier(row: Object<'_, '_>) -> Option<Decimal> {
    let (value, times) = (row.positive("ctVal")?, row.positive("ctMult")?);
    let scale = value.scale.checked_add(times.scale).filter(|scale| *scale <= MAX_SCALE)?;
    Some(Decimal::new(value.mantissa.checked_mul(times.mantissa)?, scale).trimmed())
}

/// §2, units. What the reference data contradict themselves about is not known.
fn conversion(
    kind: InstrumentKind,
    contract: &str,
    unit: &str,
    (base, quote): (&str, &str),
    multiplier: Option<Decimal>,
) -> Conversion {
    let Some(multiplier) = multiplier else {
        return if kind == InstrumentKind::Spot { Conversion::None } else { Conversion::Unknown };
    };
    match (kind, contract) {
        (InstrumentKind::Spot, _) => Conversion::None,
        (InstrumentKind::Other, _) => Conversion::Unknown,
        (InstrumentKind::Option, _) | (_, "linear") if unit != quote || unit.is_empty() => {
            Conversion::Times(multiplier)
        }
        (_, "inverse") if unit != base || unit.is_empty() => Conversion::OverPrice(multiplier),
        _ => Conversion::Unknown,
    }
}

/// §2: `post_only` and `settling` make no trades, `test` cannot be traded.
fn status(native: &str) -> Status {
    match native {
        "live" => Status::Trading,
        "suspend" | "rebase" | "post_only" | "preopen" | "test" | "settling" => Status::Halted,
        "expired" => Status::Closed,
        _ => Status::Unknown,
    }
}

#[cfg(test)]
mod tests;

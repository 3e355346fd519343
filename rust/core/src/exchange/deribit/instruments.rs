//! Reference data and names (§2).

use crate::decimal::Decimal;
use crate::exchange::Name;
use crate::exchange::document::{Object, Value};
use crate::exchange::names::{is_date, is_symbol, read_listed};
use crate::instrument::{Conversion, Instrument};
use crate::report::RejectReason;
use crate::symbol::Exchange;
use crate::table::{InstrumentKind, OptionType, Status};
use crate::time::ms_to_ns;
use std::borrow::Cow;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
/// What linear futures and perpetuals are quoted in, as their names have it.
const LINEAR_QUOTES: [&str; 2] = ["USDC", "USDT"];
/// What spot is quoted in; longer names first, since some end in others.
const SPOT_QUOTES: [&str; 7] = ["USDC", "USDT", "USDE", "EURR", "USD", "BTC", "ETH"];

/// A native name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts<'a> {
    base: &'a str,
    /// `None` is the coin-margined family, which is quoted in USD.
    quote: Option<&'a str>,
    terms: Terms<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terms<'a> {
    Spot,
    Perpetual,
    /// `25DEC26`.
    Future(&'a str),
    /// `25DEC26`, `100000` or `1d02`, `C` or `P`.
    Option(&'a str, &'a str, &'a str),
    Combo,
}

/// `None` for what nobody can read. Names of combos are free-form (§2): one is told apart where a code of letters stands
/// behind the pair, and a day behind that.
fn parse(native: &str) -> Option<Parts<'_>> {
    let mut parts = native.split('-');
    let pair = parts.next()?;
    let (base, quote) = match pair.split_once('_') {
        Some((base, quote)) => (base, Some(quote)),
        None => (pair, None),
    };
    let is_asset = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_asset(base) || !quote.is_none_or(is_asset) {
        return None;
    }
    let terms = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (None, ..) if quote.is_some() => Terms::Spot,
        (Some("PERPETUAL"), None, ..) => Terms::Perpetual,
        (Some(date), None, ..) if yymmdd(date).is_some() => Terms::Future(date),
        (Some(date), Some(strike), Some(right @ ("C" | "P")), None) if yymmdd(date).is_some() && is_strike(strike) => {
            Terms::Option(date, strike, right)
        }
        (Some(code), Some(of), ..) if is_code(code) && begins_with_day(of) => Terms::Combo,
        _ => return None,
    };
    Some(Parts { base, quote, terms })
}

/// `100000`, `1d02`.
fn is_strike(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('d') {
        Some((whole, fraction)) => is_number(whole) && is_number(fraction),
        None => is_number(text),
    }
}

/// `FS`, `PCOND`.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// `25DEC26_PERP`, `25DEC26`.
fn begins_with_day(text: &str) -> bool {
    text.split('_').next().is_some_and(|day| yymmdd(day).is_some())
}

/// `261205` of `5DEC26`: the exchange writes the day without a leading zero.
fn yymmdd(date: &str) -> Option<String> {
    let (rest, year) = date.split_at_checked(date.len().checked_sub(2)?)?;
    let (day, month) = rest.split_at_checked(rest.len().checked_sub(3)?)?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_day = digits(day) && !day.starts_with('0') && day.parse().is_ok_and(|day: u8| (1..=31).contains(&day));
    (is_day && digits(year)).then(|| format!("{year}{month:02}{day:0>2}"))
}

/// `5DEC26` of `261205`.
fn ddmmmyy(date: &str) -> Option<String> {
    let (year, rest) = Some(date).filter(|date| is_date(date))?.split_at_checked(2)?;
    let (month, day) = rest.split_at_checked(2)?;
    let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    Some(format!("{}{month}{year}", day.trim_start_matches('0')))
}

/// What a native name tells.
///
/// Amounts of coin-margined futures and perpetuals are USD, of everything else base units (§2). A combo's amounts are
/// those of its legs and stay as they are: the price of a future combo is a difference of prices, by which nothing can be
/// divided.
pub(super) fn name(native: &str) -> Name<'_> {
    let Some(Parts { base, quote, terms }) = parse(native) else {
        let (market, symbol) = (Exchange::Deribit, Cow::Borrowed(native));
        return Name { market, symbol, kind: None, conversion: Conversion::None };
    };
    let pair = || format!("{base}{}", quote.unwrap_or("USD"));
    let dated = |date| yymmdd(date).unwrap_or_default();
    let (kind, symbol) = match terms {
        Terms::Spot => (InstrumentKind::Spot, pair()),
        Terms::Perpetual => (InstrumentKind::Perpetual, pair()),
        Terms::Future(date) => (InstrumentKind::Future, format!("{}-{}", pair(), dated(date))),
        Terms::Option(date, strike, right) => {
            (InstrumentKind::Option, format!("{}-{}-{}-{right}", pair(), dated(date), strike.replace('d', ".")))
        }
        Terms::Combo => (InstrumentKind::Combo, native.to_owned()),
    };
    let is_inverse = quote.is_none() && matches!(terms, Terms::Perpetual | Terms::Future(_));
    Name {
        market: if terms == Terms::Spot { Exchange::DeribitSpot } else { Exchange::Deribit },
        symbol: Cow::Owned(symbol),
        kind: Some(kind),
        conversion: if is_inverse { OVER_PRICE } else { Conversion::None },
    }
}

/// One USD a unit.
const OVER_PRICE: Conversion = Conversion::OverPrice(Decimal::new(1, 0));

/// The native name of a unified symbol, as far as the text tells base and quote apart; a native one is given back.
pub(super) fn native(market: Exchange, symbol: &str) -> Option<Cow<'_, str>> {
    if symbol.contains('_') || parse(symbol).is_some() {
        return Some(Cow::Borrowed(symbol));
    }
    let mut parts = symbol.split('-');
    let pair = parts.next()?;
    if market == Exchange::DeribitSpot {
        let base = |quote: &&&str| pair.strip_suffix(**quote).is_some_and(|base| !base.is_empty());
        let quote = SPOT_QUOTES.iter().find(base)?;
        return Some(Cow::Owned(format!("{}_{quote}", pair.strip_suffix(quote)?)));
    }
    let family = || {
        let linear = LINEAR_QUOTES.iter().find_map(|quote| Some(format!("{}_{quote}", pair.strip_suffix(quote)?)));
        linear.or_else(|| pair.strip_suffix("USD").map(str::to_owned)).filter(|f| !f.is_empty() && !f.starts_with('_'))
    };
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (None, ..) => Some(Cow::Owned(format!("{}-PERPETUAL", family()?))),
        (Some(date), None, ..) if is_date(date) => Some(Cow::Owned(format!("{}-{}", family()?, ddmmmyy(date)?))),
        (Some(date), Some(strike), Some(right @ ("C" | "P")), None) if is_date(date) => {
            Some(Cow::Owned(format!("{}-{}-{}-{right}", family()?, ddmmmyy(date)?, strike.replace('.', "d"))))
        }
        // The free-form names of combos are the same on both sides.
        _ => Some(Cow::Borrowed(symbol)),
    }
}

/// Reads the reply to `public/get_instruments`. A row that cannot be read leaves out what it cannot say; a row without a
/// name is left out itself; neither spoils the others.
///
/// # Errors
/// The reply as a whole cannot be read, or holds no list of instruments.
pub fn read_instruments(body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
    read_listed(body, |reply| reply.get("result"), instrument)
}

fn instrument(row: Object<'_, '_>) -> Option<Instrument> {
    let text = |key: &str| row.get(key).and_then(Value::text).unwrap_or_default();
    let native_symbol = Some(text("instrument_name")).filter(|symbol| is_symbol(symbol))?;
    let kind = kind(text("kind"), text("settlement_period"));
    let named = name(native_symbol);
    let is_read = named.kind == Some(kind);
    let conversion = conversion(kind, text("instrument_type"), named.conversion);
    let (status, status_native) = status(row);
    let settle = match text("settlement_currency") {
        // Replies before 2022 do not say: everything was settled in the coin itself.
        "" => text("base_currency"),
        settle => settle,
    };
    let is_option = kind == InstrumentKind::Option;
    Some(Instrument {
        exchange: if kind == InstrumentKind::Spot { Exchange::DeribitSpot } else { Exchange::Deribit },
        native_symbol: native_symbol.to_owned(),
        symbol: if is_read { named.symbol.into_owned() } else { native_symbol.to_owned() },
        kind,
        base: text("base_currency").to_owned(),
        quote: text("quote_currency").to_owned(),
        settle: settle.to_owned(),
        tick_size: row.positive("tick_size"),
        lot_size: row.positive("min_trade_amount"),
        min_notional: None,
        multiplier: row.positive("contract_size").unwrap_or(Decimal::new(1, 0)),
        inverse: conversion == OVER_PRICE,
        conversion,
        expiry: expiry(kind, row),
        strike: row.positive("strike").filter(|_| is_option),
        option_type: match text("option_type") {
            "call" if is_option => Some(OptionType::Call),
            "put" if is_option => Some(OptionType::Put),
            _ => None,
        },
        status,
        status_native: status_native.to_owned(),
    })
}

fn kind(kind: &str, settlement_period: &str) -> InstrumentKind {
    match kind {
        "future" if settlement_period == "perpetual" => InstrumentKind::Perpetual,
        "future" => InstrumentKind::Future,
        "option" => InstrumentKind::Option,
        "spot" => InstrumentKind::Spot,
        "future_combo" | "option_combo" => InstrumentKind::Combo,
        _ => InstrumentKind::Other,
    }
}

/// Amounts count base units, never contracts: `contract_size` does not enter (§2). Options are `reversed` too, where a
/// coin settles them, and count coins all the same. Replies before 2022 have no `instrument_type`: then the name tells.
fn conversion(kind: InstrumentKind, instrument_type: &str, by_name: Conversion) -> Conversion {
    match (kind, instrument_type) {
        (InstrumentKind::Perpetual | InstrumentKind::Future, "reversed") => OVER_PRICE,
        (InstrumentKind::Perpetual | InstrumentKind::Future, "") => by_name,
        _ => Conversion::None,
    }
}

/// `state` where the reply has it (the words of 2026-01-13), else what `is_active` says.
fn status<'a>(row: Object<'_, 'a>) -> (Status, &'a str) {
    if let Some(state) = row.get("state").and_then(Value::text) {
        let status = match state {
            "open" => Status::Trading,
            "locked" | "settlement" | "halted" | "inactive" => Status::Halted,
            "delivered" | "archivized" | "closed" => Status::Closed,
            _ => Status::Unknown,
        };
        return (status, state);
    }
    match row.get("is_active").and_then(Value::boolean) {
        Some(true) => (Status::Trading, "active"),
        Some(false) => (Status::Halted, "inactive"),
        None => (Status::Unknown, ""),
    }
}

/// Perpetuals and spot carry a date of the year 3000, which means never.
fn expiry(kind: InstrumentKind, row: Object<'_, '_>) -> Option<i64> {
    if matches!(kind, InstrumentKind::Perpetual | InstrumentKind::Spot) {
        return None;
    }
    row.integer("expiration_timestamp").ok().filter(|ms| *ms > 0).and_then(ms_to_ns)
}

#[cfg(test)]
mod tests;

//! Reference data and names (§2).

use std::borrow::Cow;
use std::collections::HashSet;

use xtrader_scan::exact;

use crate::decimal::Decimal;
use crate::exchange::document::{Object, Value};
use crate::exchange::names::{is_date, is_symbol, keep_names_apart};
use crate::exchange::reader::WireReader;
use crate::instrument::{Conversion, Instrument};
use crate::report::RejectReason;
use crate::symbol::Exchange;
use crate::table::{InstrumentKind, Status};
use crate::time::ms_to_ns;

/// The delivery date of what is never delivered: 2100-12-25.
const NEVER_MS: i64 = 4_133_404_800_000;

/// Our name of an instrument: `BTCUSDT_261225` is `BTCUSDT-261225`, `BTCUSD_PERP` is `BTCUSD`, and a name nobody can
/// parse stays what it is.
#[must_use]
pub fn unify(native: &str) -> Cow<'_, str> {
    match native.rsplit_once('_') {
        Some((pair, "PERP")) if !pair.is_empty() => Cow::Borrowed(pair),
        Some((pair, date)) if !pair.is_empty() && is_date(date) => Cow::Owned(format!("{pair}-{date}")),
        _ => Cow::Borrowed(native),
    }
}

/// The exchange's name of an instrument that may be written either way.
#[must_use]
pub fn native(symbol: &str) -> Cow<'_, str> {
    match symbol.rsplit_once('-') {
        Some((pair, date)) if !pair.is_empty() && is_date(date) => Cow::Owned(format!("{pair}_{date}")),
        _ => Cow::Borrowed(symbol),
    }
}

/// Reads the reply to `GET /fapi/v1/exchangeInfo`. A row that cannot be read leaves out what it cannot say; a row
/// without a name is left out itself; neither spoils the others.
///
/// # Errors
/// The reply as a whole cannot be read, or holds no list of symbols.
pub fn read_exchange_info(body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
    let mut reader = WireReader::default();
    let document = reader.document(body)?;
    let list = document.at(0).object().and_then(|reply| reply.get("symbols"));
    let list = list.filter(|list| list.is_array()).ok_or(RejectReason::Schema)?;
    let mut seen = HashSet::new();
    let mut instruments: Vec<Instrument> = list
        .elements()
        .filter_map(Value::object)
        .filter_map(instrument)
        .filter(|instrument| seen.insert(instrument.native_symbol.clone()))
        .collect();
    keep_names_apart(&mut instruments);
    Ok(instruments)
}

fn instrument(row: Object<'_, '_>) -> Option<Instrument> {
    let text = |key: &str| row.get(key).and_then(Value::text).unwrap_or_default();
    let native_symbol = Some(text("symbol")).filter(|symbol| is_symbol(symbol))?;
    let kind = kind(text("contractType"));
    let status_native = text("status");
    let filter = |name, key| filter(row, name, key);
    let step = |name, key| filter(name, key).filter(|step| step.mantissa > 0);
    Some(Instrument {
        exchange: Exchange::BinanceFutures,
        native_symbol: native_symbol.to_owned(),
        symbol: unify(native_symbol).into_owned(),
        kind,
        base: text("baseAsset").to_owned(),
        quote: text("quoteAsset").to_owned(),
        settle: text("marginAsset").to_owned(),
        tick_size: step("PRICE_FILTER", "tickSize"),
        lot_size: step("LOT_SIZE", "stepSize"),
        min_notional: filter("MIN_NOTIONAL", "notional"),
        multiplier: Decimal::new(1, 0),
        inverse: false,
        conversion: Conversion::None,
        expiry: expiry(kind, row),
        strike: None,
        option_type: None,
        status: status(status_native),
        status_native: status_native.to_owned(),
    })
}

fn kind(contract_type: &str) -> InstrumentKind {
    // A contract about to be delivered is still what it was.
    let name = contract_type.strip_suffix("DELIVERING").unwrap_or(contract_type).trim_end_matches(['_', ' ']);
    match name {
        "PERPETUAL" | "TRADIFI_PERPETUAL" => InstrumentKind::Perpetual,
        "CURRENT_QUARTER" | "NEXT_QUARTER" | "CURRENT_MONTH" | "NEXT_MONTH" => InstrumentKind::Future,
        _ => InstrumentKind::Other,
    }
}

fn status(native: &str) -> Status {
    match native {
        "TRADING" => Status::Trading,
        "PENDING_TRADING" | "PRE_DELIVERING" | "DELIVERING" | "PRE_SETTLE" | "SETTLING" | "HALT" | "BREAK" => {
            Status::Halted
        }
        "DELIVERED" | "CLOSE" => Status::Closed,
        _ => Status::Unknown,
    }
}

/// Delivery of a dated contract; perpetuals carry a date that means never.
fn expiry(kind: InstrumentKind, row: Object<'_, '_>) -> Option<i64> {
    let ms = row.integer("deliveryDate").ok()?;
    (kind == InstrumentKind::Future && ms > 0 && ms != NEVER_MS).then(|| ms_to_ns(ms))?
}

/// A number of one of the row's filters.
fn filter(row: Object<'_, '_>, name: &str, key: &str) -> Option<Decimal> {
    let mut filters = row.get("filters")?.elements().filter_map(Value::object);
    let filter = filters.find(|f| f.get("filterType").and_then(Value::text) == Some(name))?;
    let number = exact(filter.get(key)?.number_text()?).ok()?;
    Some(Decimal::new(number.mantissa, number.scale))
}

#[cfg(test)]
mod tests;

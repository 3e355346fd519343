//! Names, kinds and dates (§2).

use std::borrow::Cow;

use crate::exchange::binance::filter;
use crate::exchange::document::{Object, Value};
use crate::exchange::names::is_date;
use crate::instrument::Instrument;
use crate::table::InstrumentKind;
use crate::time::ms_to_ns;

/// The delivery date of what is never delivered: 2100-12-25.
const NEVER_MS: i64 = 4_133_404_800_000;

/// Our name of an instrument: `BTCUSDT_261225` is `BTCUSDT-261225`, `BTCUSD_PERP` is `BTCUSD`, and a name nobody can
/// parse stays what it is.
pub(super) fn unify(native: &str) -> Cow<'_, str> {
    match native.rsplit_once('_') {
        Some((pair, "PERP")) if !pair.is_empty() => Cow::Borrowed(pair),
        Some((pair, date)) if !pair.is_empty() && is_date(date) => Cow::Owned(format!("{pair}-{date}")),
        _ => Cow::Borrowed(native),
    }
}

/// The exchange's name of an instrument that may be written either way.
pub(super) fn native(symbol: &str) -> Cow<'_, str> {
    match symbol.rsplit_once('-') {
        Some((pair, date)) if !pair.is_empty() && is_date(date) => Cow::Owned(format!("{pair}_{date}")),
        _ => Cow::Borrowed(symbol),
    }
}

/// What spot does not say: kind, margin, delivery.
pub(super) fn describe(row: Object<'_, '_>, instrument: &mut Instrument) {
    let text = |key: &str| row.get(key).and_then(Value::text).unwrap_or_default();
    instrument.kind = kind(text("contractType"));
    instrument.settle = text("marginAsset").to_owned();
    instrument.min_notional = filter(row, "MIN_NOTIONAL", "notional");
    instrument.expiry = expiry(instrument.kind, row);
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

/// Delivery of a dated contract; perpetuals carry a date that means never.
fn expiry(kind: InstrumentKind, row: Object<'_, '_>) -> Option<i64> {
    let ms = row.integer("deliveryDate").ok()?;
    (kind == InstrumentKind::Future && ms > 0 && ms != NEVER_MS).then(|| ms_to_ns(ms))?
}

#[cfg(test)]
mod tests;

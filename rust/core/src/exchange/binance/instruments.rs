//! Reference data: `exchangeInfo` (§2 of both manuals).

use xtrader_scan::exact;

use super::Dialect;
use crate::decimal::Decimal;
use crate::exchange::document::{Object, Value};
use crate::exchange::names::{is_symbol, read_listed};
use crate::instrument::{Conversion, Instrument};
use crate::report::RejectReason;
use crate::table::{InstrumentKind, Status};

/// Reads the reply to `GET …/exchangeInfo`. A row that cannot be read leaves out what it cannot say; a row without a
/// name is left out itself; neither spoils the others.
///
/// # Errors
/// The reply as a whole cannot be read, or holds no list of symbols.
pub(super) fn read_exchange_info<D: Dialect>(body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
    read_listed(body, |reply| reply.get("symbols"), instrument::<D>)
}

fn instrument<D: Dialect>(row: Object<'_, '_>) -> Option<Instrument> {
    let text = |key: &str| row.get(key).and_then(Value::text).unwrap_or_default();
    let native_symbol = Some(text("symbol")).filter(|symbol| is_symbol(symbol))?;
    let status_native = text("status");
    let mut instrument = Instrument {
        exchange: D::MARKET,
        native_symbol: native_symbol.to_owned(),
        symbol: D::unify(native_symbol).into_owned(),
        kind: D::KIND.unwrap_or(InstrumentKind::Other),
        base: text("baseAsset").to_owned(),
        quote: text("quoteAsset").to_owned(),
        settle: String::new(),
        tick_size: step(row, "PRICE_FILTER", "tickSize"),
        lot_size: step(row, "LOT_SIZE", "stepSize"),
        min_notional: None,
        multiplier: Decimal::new(1, 0),
        inverse: false,
        conversion: Conversion::None,
        expiry: None,
        strike: None,
        option_type: None,
        status: status(status_native),
        status_native: status_native.to_owned(),
    };
    D::describe(row, &mut instrument);
    Some(instrument)
}

/// The words of both markets.
fn status(native: &str) -> Status {
    match native {
        "TRADING" => Status::Trading,
        "HALT" | "BREAK" | "CANCEL_ONLY" | "PRE_TRADING" | "POST_TRADING" | "AUCTION_MATCH" | "END_OF_DAY"
        | "PENDING_TRADING" | "PRE_DELIVERING" | "DELIVERING" | "PRE_SETTLE" | "SETTLING" => Status::Halted,
        "DELIVERED" | "CLOSE" => Status::Closed,
        _ => Status::Unknown,
    }
}

/// A step of one of the row's filters; 0 means that there is none.
fn step(row: Object<'_, '_>, name: &str, key: &str) -> Option<Decimal> {
    filter(row, name, key).filter(|step| step.mantissa > 0)
}

/// A number of one of the row's filters.
pub(crate) fn filter(row: Object<'_, '_>, name: &str, key: &str) -> Option<Decimal> {
    let mut filters = row.get("filters")?.elements().filter_map(Value::object);
    let filter = filters.find(|f| f.get("filterType").and_then(Value::text) == Some(name))?;
    let number = exact(filter.get(key)?.number_text()?).ok()?;
    Some(Decimal::new(number.mantissa, number.scale))
}

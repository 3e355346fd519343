//! Reference data (§2).

use std::borrow::Cow;

use crate::instrument::Instrument;
use crate::report::RejectReason;

/// Our name of an instrument.
#[must_use]
pub fn unify(native: &str) -> Cow<'_, str> {
    native.replace("_PERP", "").replace('_', "-").into()
}

/// The exchange's name of an instrument.
#[must_use]
pub fn native(symbol: &str) -> Cow<'_, str> {
    symbol.replace('-', "_").into()
}

/// Reads the reply to `exchangeInfo`.
///
/// # Errors
/// Why it cannot be taken.
pub fn read_exchange_info(_body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
    Ok(Vec::new())
}

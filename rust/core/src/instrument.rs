//! Reference data: what an instrument is, in the exchange's words and in ours.

use crate::decimal::Decimal;
use crate::symbol::Exchange;
use crate::table::{InstrumentKind, OptionType, Status};

/// How a size in the exchange's own units becomes base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// It counts base units already.
    None,
    /// × this many base units (linear contracts).
    Times(Decimal),
    /// × this many quote units ÷ price (inverse contracts).
    OverPrice(Decimal),
    /// Contracts of a size that only reference data tell.
    Unknown,
}

/// One instrument as the exchange's reference data describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The market it trades on.
    pub exchange: Exchange,
    /// The exchange's own name (`BTCUSDT_261225`).
    pub native_symbol: String,
    /// Our name (`BTCUSDT-261225`), unique within the exchange: where another would have it too, the exchange's own.
    pub symbol: String,
    /// What it is.
    pub kind: InstrumentKind,
    /// Base asset.
    pub base: String,
    /// Quote asset.
    pub quote: String,
    /// Asset that profit and loss are paid in.
    pub settle: String,
    /// Smallest price step; `None` where the exchange does not say.
    pub tick_size: Option<Decimal>,
    /// Smallest size step.
    pub lot_size: Option<Decimal>,
    /// Smallest notional of an order.
    pub min_notional: Option<Decimal>,
    /// Base units (or quote units, if inverse) of one contract.
    pub multiplier: Decimal,
    /// Sizes are in quote units.
    pub inverse: bool,
    /// How its sizes become base units.
    pub conversion: Conversion,
    /// Expiry, nanoseconds since the epoch.
    pub expiry: Option<i64>,
    /// Strike of an option.
    pub strike: Option<Decimal>,
    /// Right of an option.
    pub option_type: Option<OptionType>,
    /// State, in our words.
    pub status: Status,
    /// State, in the exchange's words.
    pub status_native: String,
}

//! Exchanges, markets and the names of instruments.

use serde::{Deserialize, Serialize};

/// What one engine serves and one socket speaks. A row's [`Exchange`] follows its instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Venue {
    /// Binance USDⓈ-M futures.
    BinanceFutures,
}

impl Venue {
    /// Every venue there is.
    pub const ALL: [Self; 1] = [Self::BinanceFutures];

    /// The id that users write and that venue-wide rows carry.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::BinanceFutures => "binance-futures",
        }
    }
}

/// The market an instrument trades on: the `exchange` column of every table. The discriminant is the key in the
/// column's dictionary, so the order is part of the schema and only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exchange {
    /// Binance USDⓈ-M futures.
    BinanceFutures = 0,
}

impl Exchange {
    /// The dictionary of the `exchange` column.
    pub const DICTIONARY: [&'static str; 1] = ["binance-futures"];

    /// The id as users write it.
    #[must_use]
    pub const fn id(self) -> &'static str {
        Self::DICTIONARY[self as usize]
    }
}

/// An instrument, by its dense number in one engine. Interned once; the hot path indexes arrays with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstrumentId(pub u32);

/// A connection, by its number in one engine. 0 is no connection (REST, checkpoint, timer, command).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConnId(pub u16);

impl ConnId {
    /// No connection.
    pub const NONE: Self = Self(0);
}

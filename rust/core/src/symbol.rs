//! Exchanges, markets and the names of instruments.

use serde::{Deserialize, Serialize};

/// What one engine serves and one socket speaks. A row's [`Exchange`] follows its instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Venue {
    /// Binance USDⓈ-M futures.
    BinanceFutures,
    /// Binance spot.
    BinanceSpot,
    /// OKX: spot, swaps, dated futures and options on one socket.
    Okx,
    /// Deribit: perpetuals, dated futures, options, combos and spot on one socket.
    Deribit,
}

impl Venue {
    /// Every venue there is.
    pub const ALL: [Self; 4] = [Self::BinanceFutures, Self::BinanceSpot, Self::Okx, Self::Deribit];

    /// The id that users write and that venue-wide rows carry.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.word().id()
    }

    /// The word of venue-wide rows in the `exchange` column.
    #[must_use]
    pub const fn word(self) -> Exchange {
        match self {
            Self::BinanceFutures => Exchange::BinanceFutures,
            Self::BinanceSpot => Exchange::BinanceSpot,
            Self::Okx => Exchange::Okx,
            Self::Deribit => Exchange::Deribit,
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
    /// Binance spot.
    BinanceSpot,
    /// OKX spot.
    OkxSpot,
    /// OKX perpetual swaps.
    OkxSwap,
    /// OKX dated futures.
    OkxFutures,
    /// OKX options.
    OkxOptions,
    /// OKX as a whole, and its instruments of a type that no market above holds.
    Okx,
    /// Deribit perpetuals, dated futures, options and combos; Deribit as a whole.
    Deribit,
    /// Deribit spot.
    DeribitSpot,
}

impl Exchange {
    /// Every market there is, in the order of the dictionary.
    pub const ALL: [Self; 9] = [
        Self::BinanceFutures,
        Self::BinanceSpot,
        Self::OkxSpot,
        Self::OkxSwap,
        Self::OkxFutures,
        Self::OkxOptions,
        Self::Okx,
        Self::Deribit,
        Self::DeribitSpot,
    ];

    /// The dictionary of the `exchange` column.
    pub const DICTIONARY: [&'static str; 9] = [
        "binance-futures",
        "binance-spot",
        "okx-spot",
        "okx-swap",
        "okx-futures",
        "okx-options",
        "okx",
        "deribit",
        "deribit-spot",
    ];

    /// The id as users write it.
    #[must_use]
    pub const fn id(self) -> &'static str {
        Self::DICTIONARY[self as usize]
    }

    /// The venue whose sockets carry it.
    #[must_use]
    pub const fn venue(self) -> Venue {
        match self {
            Self::BinanceFutures => Venue::BinanceFutures,
            Self::BinanceSpot => Venue::BinanceSpot,
            Self::OkxSpot | Self::OkxSwap | Self::OkxFutures | Self::OkxOptions | Self::Okx => Venue::Okx,
            Self::Deribit | Self::DeribitSpot => Venue::Deribit,
        }
    }
}

/// An instrument of one engine: its place, which the hot path indexes arrays with, and how many had that place before it.
/// What was meant for one of those finds nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstrumentId {
    /// Its place, from 0.
    pub slot: u32,
    /// Who had the place before, counted.
    pub life: u32,
}

impl InstrumentId {
    /// No instrument.
    pub const NONE: Self = Self { slot: u32::MAX, life: 0 };
}

/// A connection, by its number in one engine. 0 is no connection (REST, checkpoint, timer, command).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConnId(pub u16);

impl ConnId {
    /// No connection.
    pub const NONE: Self = Self(0);
}

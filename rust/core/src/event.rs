//! What decoding yields: exact, in the exchange's own units, borrowed where it can be.

use crate::decimal::Decimal;
use crate::table::{Condition, Side, Source};

/// Times that the exchange itself put on an event, in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTimes {
    /// When it happened.
    pub event: Option<i64>,
    /// When it was sent.
    pub venue: Option<i64>,
    /// A time was there and an `i64` of nanoseconds cannot hold it: the row says `RECV_SUSPECT`.
    pub odd: bool,
}

/// Id of a trade as the exchange writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeId<'a> {
    /// A number (Binance, OKX).
    Number(i64),
    /// A text (Deribit).
    Text(&'a str),
}

/// One trade (or one row of aggregated fills).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade<'a> {
    /// The exchange's times.
    pub times: EventTimes,
    /// The exchange's id.
    pub id: TradeId<'a>,
    /// Aggressor.
    pub side: Side,
    /// Price in quote units.
    pub price: Decimal,
    /// Size in the exchange's units.
    pub size: Decimal,
    /// Fills in this row, where the exchange says.
    pub count: Option<i64>,
    /// First fill id of this row.
    pub first_id: Option<i64>,
    /// Last fill id of this row.
    pub last_id: Option<i64>,
    /// A sequence number beside the id.
    pub seq: Option<i64>,
    /// What kind of trade.
    pub condition: Condition,
    /// Where it came from.
    pub source: Source,
}

/// Best bid and offer. A missing side is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bbo {
    /// The exchange's times.
    pub times: EventTimes,
    /// Price and size of the best bid.
    pub bid: Option<(Decimal, Decimal)>,
    /// Price and size of the best offer.
    pub ask: Option<(Decimal, Decimal)>,
    /// The exchange's update id.
    pub update_id: Option<i64>,
}

/// Fraction digits of an instrument's prices and sizes, from reference data or from the texts. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scales {
    /// Fraction digits of prices.
    pub price: u8,
    /// Fraction digits of sizes.
    pub size: u8,
}

/// One price level: price and its new absolute size, 0 deletes. Mantissas at the [`Scales`] beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level<M = i64> {
    /// Price mantissa.
    pub price: M,
    /// Size mantissa.
    pub size: M,
}

/// Levels of one book message, in the order sent. A reused buffer: decoding clears and fills it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels<M = i64> {
    /// Fraction digits of every mantissa here.
    pub scales: Scales,
    /// Bid levels.
    pub bids: Vec<Level<M>>,
    /// Ask levels.
    pub asks: Vec<Level<M>>,
}

impl<M> Levels<M> {
    /// Empties both sides and sets the scales to start from.
    pub fn reset(&mut self, scales: Scales) {
        self.scales = scales;
        self.bids.clear();
        self.asks.clear();
    }
}

/// Levels as they came out of decoding: `i64` unless a number did not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedLevels {
    /// The usual form; empty when `wide` is set.
    pub narrow: Levels<i64>,
    /// Set for this message because a mantissa needs more than an `i64`. Rare: such books live in the tree.
    pub wide: Option<Box<Levels<i128>>>,
}

impl DecodedLevels {
    /// Fraction digits of the mantissas, whichever form they have.
    #[must_use]
    pub fn scales(&self) -> Scales {
        self.wide.as_ref().map_or(self.narrow.scales, |w| w.scales)
    }

    /// How many levels there are on both sides.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wide.as_ref().map_or(self.narrow.bids.len() + self.narrow.asks.len(), |w| w.bids.len() + w.asks.len())
    }

    /// True where there is no level.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empties everything and sets the scales to start from.
    pub fn reset(&mut self, scales: Scales) {
        self.narrow.reset(scales);
        self.wide = None;
    }
}

/// The frame around the levels of a book message: ids and times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookHead {
    /// The exchange's times.
    pub times: EventTimes,
    /// A full book (replaces) or a change (absolute sizes).
    pub is_snapshot: bool,
    /// First update id that the message covers (Binance `U`).
    pub first_id: Option<i64>,
    /// Last update id that the message covers: the book's id after it (Binance `u`, `lastUpdateId`).
    pub last_id: Option<i64>,
    /// The id that the message follows (Binance `pu`).
    pub prev_id: Option<i64>,
}

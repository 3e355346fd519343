//! What decoding yields: exact, in the exchange's own units, borrowed where it can be.

use crate::decimal::Decimal;
use crate::report::IgnoreReason;
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

/// A text in the [`Texts`] beside the rows that refer to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextRange {
    start: u32,
    len: u32,
}

/// Texts of decoded rows, one behind the other. A reused buffer: rows need no allocation of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    all: String,
}

impl Texts {
    /// Keeps a text. One beyond 4 GiB of texts is kept as the empty one.
    pub fn add(&mut self, text: &str) -> TextRange {
        let (Ok(start), Ok(len)) = (u32::try_from(self.all.len()), u32::try_from(text.len())) else {
            return TextRange::default();
        };
        self.all.push_str(text);
        TextRange { start, len }
    }

    /// A text that was kept here.
    #[must_use]
    pub fn get(&self, range: TextRange) -> &str {
        let start = range.start as usize;
        self.all.get(start..start.saturating_add(range.len as usize)).unwrap_or_default()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.all.clear();
    }
}

/// Id of a trade as the exchange writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeId {
    /// A number (Binance, OKX).
    Number(i64),
    /// A text (Deribit).
    Text(TextRange),
}

/// One trade (or one row of aggregated fills).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// The exchange's times.
    pub times: EventTimes,
    /// The exchange's id.
    pub id: TradeId,
    /// Aggressor.
    pub side: Side,
    /// Price in quote units.
    pub price: Decimal,
    /// Size in the exchange's units.
    pub size: Decimal,
    /// Contracts, where the exchange says them beside a size in other units (Deribit).
    pub contracts: Option<Decimal>,
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
    /// The index at that moment.
    pub index_price: Option<Decimal>,
    /// The mark price at that moment.
    pub mark_price: Option<Decimal>,
    /// Who was liquidated by it, where the exchange says so with the trade (Deribit).
    pub liquidated: Option<Liquidated>,
    /// Where it came from.
    pub source: Source,
}

/// Whose position a trade closed by force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liquidated {
    /// The aggressor's.
    Taker,
    /// That of whoever it met.
    Maker,
    /// Both.
    Both,
}

/// A trade of a message that may carry several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeRow {
    /// First of the contiguous ids by which it is arbitrated (Binance `a` or `t`, OKX `tradeId - count + 1`, Deribit
    /// `trade_seq`).
    pub first: i64,
    /// Last of them: by this one it is known.
    pub last: i64,
    /// The exchange's name of its instrument; the empty range where it is the one of the message.
    pub native: TextRange,
    /// What happened. `Err` is a row that uses up its ids and is no trade.
    pub trade: Result<Trade, IgnoreReason>,
}

impl TradeRow {
    /// False for a trade outside of the ids of its feed (Binance `blockTrade`): nothing tells a copy of it.
    #[must_use]
    pub fn has_ids(&self) -> bool {
        self.first <= self.last
    }

    /// What its instrument makes of it. A trade of a combo is one of a combo whether it says so or not, and the price of a
    /// combo is a difference of prices, which may well be zero: no other trade is without a price.
    #[inline]
    pub fn on(&mut self, is_combo: bool) {
        let Ok(trade) = &mut self.trade else { return };
        if is_combo && matches!(trade.condition, Condition::Regular | Condition::ComboLeg) {
            trade.condition = Condition::Combo;
        } else if trade.price.is_zero() && !is_combo && trade.condition != Condition::Combo {
            self.trade = Err(IgnoreReason::ZeroPriceOrSize);
        }
    }
}

/// The trades of one message, in the order sent. A reused buffer: decoding clears and fills it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TradeRows {
    /// The rows.
    pub rows: Vec<TradeRow>,
    /// Their ids and names, where these are texts.
    pub texts: Texts,
}

impl TradeRows {
    /// Empties it.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.texts.clear();
    }
}

/// What an instrument is worth beside its book. A field that the message does not say is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Derivative {
    /// Mark price.
    pub mark_price: Option<Decimal>,
    /// Price of the underlying index.
    pub index_price: Option<Decimal>,
    /// Funding rate of the current interval, as a fraction.
    pub funding_rate: Option<Decimal>,
    /// When funding is next exchanged, nanoseconds since the epoch.
    pub next_funding_time: Option<i64>,
    /// Open interest in the exchange's units.
    pub open_interest: Option<Decimal>,
    /// Open interest in base units, where the exchange says it (OKX `oiCcy`).
    pub open_interest_base: Option<Decimal>,
    /// Price of the last trade.
    pub last_price: Option<Decimal>,
}

/// What an option is worth. A field that the message does not say is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptionState {
    /// Price of the underlying.
    pub underlying_price: Option<Decimal>,
    /// Mark price, in the quote unit of the option's own price.
    pub mark_price: Option<Decimal>,
    /// Implied volatility of the mark price, as a fraction (0.65 is 65 %).
    pub mark_iv: Option<Decimal>,
    /// Implied volatility of the best bid.
    pub bid_iv: Option<Decimal>,
    /// Implied volatility of the best offer.
    pub ask_iv: Option<Decimal>,
    /// Change of the price by that of the underlying.
    pub delta: Option<Decimal>,
    /// Change of delta by that of the underlying.
    pub gamma: Option<Decimal>,
    /// Change of the price by that of the volatility.
    pub vega: Option<Decimal>,
    /// Change of the price by that of time.
    pub theta: Option<Decimal>,
    /// Open interest in the exchange's units.
    pub open_interest: Option<Decimal>,
    /// Open interest in base units, where the exchange says it (OKX `oiCcy`).
    pub open_interest_base: Option<Decimal>,
}

/// A position that the exchange closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liquidation {
    /// Its id, where there is one.
    pub id: Option<i64>,
    /// Side of the closing order: `sell` closes a long.
    pub side: Side,
    /// Price in quote units.
    pub price: Decimal,
    /// Size in the exchange's units.
    pub size: Decimal,
    /// How many contracts that is, where the exchange says it beside the size.
    pub contracts: Option<Decimal>,
}

/// What a row of a state message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// In a buffer that is used again and again: a box would be an allocation for every row.
#[allow(clippy::large_enum_variant)]
pub enum State {
    /// For `derivatives`.
    Derivative(Derivative),
    /// For `options`.
    Option(OptionState),
    /// For `liquidations`.
    Liquidation(Liquidation),
}

impl State {
    /// It says nothing but open interest, and that in the exchange's units alone.
    #[must_use]
    pub fn is_open_interest_alone(&self) -> bool {
        match *self {
            Self::Derivative(own) => {
                let Derivative { open_interest, .. } = own;
                open_interest.is_some() && own == Derivative { open_interest, ..Derivative::default() }
            }
            Self::Option(own) => {
                let OptionState { open_interest, .. } = own;
                open_interest.is_some() && own == OptionState { open_interest, ..OptionState::default() }
            }
            Self::Liquidation(_) => false,
        }
    }
}

/// One row of a message about the state of instruments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// The exchange's name of the instrument, or of the index.
    pub native: TextRange,
    /// The name is that of an index: the row is one of every instrument whose `Protocol::index_of` it is.
    pub is_index: bool,
    /// Which feed of the instrument: newer wins within it, by time.
    pub feed: u8,
    /// The exchange's times.
    pub times: EventTimes,
    /// What it says.
    pub state: State,
}

/// The rows of one state message. A reused buffer: decoding clears and fills it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateRows {
    /// The rows.
    pub rows: Vec<StateRow>,
    /// Why the others among them are none.
    pub ignored: Vec<IgnoreReason>,
    /// Names of their instruments.
    pub texts: Texts,
}

impl StateRows {
    /// Empties it.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.ignored.clear();
        self.texts.clear();
    }
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
    /// Levels whose texts are not the shortest ones (`8477.0`), of messages with a checksum only: it runs over the texts.
    pub padded: Vec<PaddedLevel>,
}

/// How many fraction digits the texts of a level had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaddedLevel {
    /// True for a bid.
    pub is_bid: bool,
    /// Where the level stands on its side of the message.
    pub index: u32,
    /// Fraction digits of the price.
    pub price_digits: u8,
    /// Fraction digits of the size.
    pub size_digits: u8,
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
        self.padded.clear();
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
    /// The id that the message follows (Binance `pu`, OKX `prevSeqId`, Deribit `prev_change_id`).
    pub prev_id: Option<i64>,
    /// CRC32 of the book after this message, where the exchange sends one (OKX until 2026-06; 0 is none).
    pub checksum: Option<i32>,
}

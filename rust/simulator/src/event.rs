//! What a venue issues: one message of one stream, the same for every connection that hears it, or made for one that has
//! just subscribed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// What kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A change of a book.
    Depth,
    /// A book as a whole, on the socket: what the changes that follow it build on.
    Snapshot,
    /// Fills in one row.
    AggTrade,
    /// A single fill.
    Trade,
    /// Best bid and offer.
    BookTicker,
    /// The top of a book as a whole.
    BookImage,
    /// A trade off the book, with an id of its own kind.
    BlockTrade,
    /// Mark price, index, funding, open interest, greeks: what is known of an instrument beside its market.
    Derivatives,
    /// A forced order.
    Liquidation,
    /// Something of a recording that is none of these.
    Other,
}

/// One message as it was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Number of the event: 0, 1, 2 … in the order in which the venue issued them.
    pub seq: u64,
    /// What kind of message.
    pub kind: EventKind,
    /// The stream's name as it is subscribed.
    #[serde(serialize_with = "text")]
    pub stream: Arc<str>,
    /// The path family that carries it.
    pub family: &'static str,
    /// The exchange's symbol.
    #[serde(serialize_with = "text")]
    pub symbol: Arc<str>,
    /// First id that it covers.
    pub first_id: u64,
    /// Last id that it covers.
    pub last_id: u64,
    /// The id that a change of a book follows, said by the message or not; `None` for everything else.
    pub prev_id: Option<u64>,
    /// Which partition of the book's changes it belongs to: 0, except with [`crate::SimulatorConfig::batch_phases`].
    pub phase: usize,
    /// The only connection it was made for, because that one subscribed; `None` is everybody's.
    pub conn: Option<u64>,
    /// When it happened, ms since the epoch by the venue's clock.
    pub event_ms: i64,
    /// When it was issued, ms since the epoch by the venue's clock.
    pub emitted_ms: i64,
    /// The message without any wrapping.
    #[serde(serialize_with = "text")]
    pub payload: Arc<str>,
    /// What it tells of instruments beside trades and levels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figures>,
}

/// What an event tells of one instrument beside trades and levels. It is taken from what the text was written from, never
/// from the text, so that it can judge who reads that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// The exchange's symbol.
    pub symbol: String,
    /// Plain digits by name; what the event does not say has none. States: `mark_price`, `index_price`, `last_price`,
    /// `underlying_price`, `funding_rate`, `next_funding_time` (ms since the epoch), `open_interest` (in the exchange's own
    /// unit), `open_interest_base`, `mark_iv`, `bid_iv`, `ask_iv` (fractions), `delta`, `gamma`, `vega`, `theta` (by
    /// Black-Scholes). Liquidations: `id`, `side` (of the closing order: `buy` or `sell`), `price`, `size`, and `time` (ms since the
    /// epoch) where an event tells several.
    pub values: BTreeMap<&'static str, String>,
}

impl Figures {
    pub(crate) fn new(symbol: &str, values: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self { symbol: symbol.to_owned(), values: values.into_iter().collect() }
    }
}

fn text<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

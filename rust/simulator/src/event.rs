//! What a venue issues: one message of one stream, the same for every connection that hears it, or made for one that has
//! just subscribed.

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
}

fn text<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

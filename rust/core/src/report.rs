//! The books of the engine: every frame and reply in exactly one counter.

use serde::Serialize;

macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[doc = $doc])* $variant),+ }

        impl $name {
            /// Every reason there is, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The reason's name in reports and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

reasons! {
    /// Why a frame or reply that could be read left no row. Closed: there is no "other".
    IgnoreReason {
        /// An answer to a request (ack).
        Answer = "answer",
        /// A kind of message nobody asked for (klines, tickers).
        UnrequestedKind = "unrequested_kind",
        /// A message type nobody here knows.
        UnknownType = "unknown_type",
        /// A stream that the configuration leaves out.
        UnrequestedStream = "unrequested_stream",
        /// An instrument that was never subscribed.
        Unsolicited = "unsolicited",
        /// The other trade feed of a symbol that already has one.
        OtherTradeSource = "other_trade_source",
        /// Another speed of a book that already has one.
        OtherVariant = "other_variant",
        /// A partial book image.
        PartialDepth = "partial_depth",
        /// Another product family in an all-market stream (`st` 2).
        OtherProduct = "other_product",
        /// Price or size is zero.
        ZeroPriceOrSize = "zero_price_or_size",
        /// Binance `X` other than `MARKET`.
        NotMarket = "not_market",
        /// A quote that is older than the last one.
        OlderQuote = "older_quote",
        /// A trade id below the window: a late copy.
        TooOld = "too_old",
        /// More instruments than the configuration allows.
        TooManyInstruments = "too_many_instruments",
        /// A REST snapshot while the book is live.
        SnapshotWhileLive = "snapshot_while_live",
        /// A REST snapshot older than everything held.
        SnapshotTooOld = "snapshot_too_old",
        /// A reply to a request that nobody waits for.
        UnknownReply = "unknown_reply",
        /// A frame on a connection that is not up.
        ConnectionNotUp = "connection_not_up",
    }
}

reasons! {
    /// Why a frame or reply could not be taken.
    RejectReason {
        /// Not UTF-8.
        Utf8 = "utf8",
        /// Not JSON, or more than one document.
        Json = "json",
        /// Nested deeper than 32.
        Depth = "depth",
        /// JSON, and a field that drives state is missing or of another type.
        Schema = "schema",
        /// A number that no exact type here holds.
        Range = "range",
        /// More levels than the configuration allows.
        Limit = "limit",
        /// An HTTP status that is no success.
        Status = "status",
    }
}

/// Counters by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonCounts {
    counts: [u64; 32],
}

impl ReasonCounts {
    /// One more.
    #[inline]
    pub fn add(&mut self, reason: u8) {
        self.counts[usize::from(reason)] += 1;
    }

    /// How many.
    #[must_use]
    pub fn get(&self, reason: u8) -> u64 {
        self.counts[usize::from(reason)]
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// One book in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BookReport {
    /// Market.
    pub exchange: String,
    /// Unified symbol.
    pub symbol: String,
    /// The exchange's name.
    pub native_symbol: String,
    /// `awaiting_snapshot`, `live`, `holding` or `resyncing`.
    pub state: String,
    /// The book's id.
    pub last_id: Option<i64>,
    /// Bid levels.
    pub bid_levels: usize,
    /// Ask levels.
    pub ask_levels: usize,
    /// Best ten bids, best first: price and size as plain decimal texts.
    pub top10_bid: Vec<(String, String)>,
    /// Best ten offers, best first.
    pub top10_ask: Vec<(String, String)>,
    /// Diffs that arrived.
    pub updates: u64,
    /// Diffs the book took.
    pub accepted: u64,
    /// Diffs older than the snapshot.
    pub stale: u64,
    /// Diffs already applied.
    pub duplicates: u64,
    /// Diffs that waited for a snapshot or a bridge.
    pub held: u64,
    /// Held diffs dropped because the queue was full.
    pub dropped: u64,
    /// Diffs still waiting.
    pub in_flight: u64,
    /// Times the book was broken.
    pub gaps: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// Snapshots taken after the first.
    pub resyncs: u64,
}

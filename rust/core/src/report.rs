//! The books of the engine: every frame and reply in exactly one counter.

use serde::Serialize;

use crate::engine::replacement::Replacements;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was taken.
    Accepted,
    /// It brought nothing new.
    Duplicate,
    /// It lies before the book's snapshot.
    Stale,
    /// It waits for a snapshot or for a bridge.
    Held,
    /// It was read and left no row.
    Ignored(IgnoreReason),
    /// It could not be read.
    Rejected(RejectReason),
}

impl Outcome {
    /// What became of a frame of several rows: taken if one was, else the reason of the last that has one.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Accepted, _) | (_, Self::Accepted) => Self::Accepted,
            (first, Self::Duplicate) => first,
            (_, other) => other,
        }
    }

    /// The same, row by row.
    pub(crate) fn behind(self, before: Option<Self>) -> Self {
        before.map_or(self, |before| before.and(self))
    }
}

/// What became of a REST reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyOutcome {
    /// It was taken.
    Accepted,
    /// It was read and not needed.
    Ignored(IgnoreReason),
    /// It could not be read, or there was none.
    Rejected(RejectReason),
}

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
        /// Price or size is zero, or left empty.
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
        /// A REST snapshot that the held diffs leave crossed: not of this book.
        SnapshotCrossed = "snapshot_crossed",
        /// A reply to a request that nobody waits for.
        UnknownReply = "unknown_reply",
        /// A frame on a connection that is not up.
        ConnectionNotUp = "connection_not_up",
        /// A book change before the snapshot that comes on the stream itself.
        BeforeSnapshot = "before_snapshot",
        /// A snapshot of another connection at or below the live book.
        SnapshotKnown = "snapshot_known",
        /// Sizes are contracts, and nobody has told what one is worth.
        NoReference = "no_reference",
        /// A state that is older than the last one.
        OlderState = "older_state",
        /// An instrument that is not subscribed any more.
        Ended = "ended",
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
        /// A full book whose bids meet its offers.
        Crossed = "crossed",
        /// The book's checksum is another than the frame's.
        Checksum = "checksum",
        /// Reference data that name nothing where they named something before.
        NothingListed = "nothing_listed",
    }
}

/// Counters by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonCounts {
    counts: [u64; 64],
}

impl Default for ReasonCounts {
    fn default() -> Self {
        Self { counts: [0; 64] }
    }
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

/// Levels of both sides of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// Bid levels.
    pub bid: usize,
    /// Ask levels.
    pub ask: usize,
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
    /// How many levels it has.
    pub levels: Depth,
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
    /// Diffs that came before the snapshot, on exchanges that send it on the stream itself.
    pub before_snapshot: u64,
    /// Messages without levels that prove the book alive (OKX keep-alives); also in `accepted`.
    pub heartbeats: u64,
    /// Messages whose checksum was the book's.
    pub checksum_pass: u64,
    /// Messages whose checksum was not.
    pub checksum_fail: u64,
    /// Messages without a checksum that a book took which has had one: it is not proven any more.
    pub unverified: u64,
    /// Times that ids fell by the exchange's own rule.
    pub sequence_resets: u64,
    /// Diffs that waited for a snapshot or a bridge, each copy counted.
    pub held: u64,
    /// Held diffs dropped because the queue was full.
    pub dropped: u64,
    /// Diffs still waiting.
    pub in_flight: u64,
    /// Times the book was broken.
    pub gaps: u64,
    /// Times that another connection filled its hole in time; none of `gaps`.
    pub healed: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// Snapshots taken after the first.
    pub resyncs: u64,
}

/// Two things that were told under one id, of which the first stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConflictReport {
    /// Market.
    pub exchange: String,
    /// Unified symbol.
    pub symbol: String,
    /// The table that has the first.
    pub stream: &'static str,
    /// The id.
    pub id: i64,
    /// Number of the message that stands.
    pub first_msg_id: i64,
    /// Its connection.
    pub first_conn_id: u16,
    /// Number of the message that says otherwise.
    pub second_msg_id: i64,
    /// Its connection.
    pub second_conn_id: u16,
}

/// One connection of a lane in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkState {
    /// Its number.
    pub conn_id: u16,
    /// Its number among those that carry the same, from 0.
    pub place: u16,
    /// `down`, `opening`, `up`, `on_trial` (it is to take another's place), `closing`, or `parked`: the exchange has
    /// ended it each time that another came up, and it comes back later.
    pub state: &'static str,
}

/// A lane in a report: a set of channels that several connections carry, each of them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneState {
    /// How many connections are to carry it.
    pub wanted: u16,
    /// How many are up.
    pub up: u16,
    /// How many have been given up for a while.
    pub parked: u16,
    /// Its connections.
    pub links: Vec<LinkState>,
    /// Streams that one connection alone carries, where several should.
    pub on_one: Vec<String>,
    /// Streams that no connection carries.
    pub on_none: Vec<String>,
}

/// All lanes of an engine together, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Redundancy {
    /// Connections that are wanted.
    pub wanted: u64,
    /// Connections that are up.
    pub up: u64,
    /// Places that have been given up for a while.
    pub parked: u64,
    /// Streams that one connection alone carries, where several should.
    pub streams_on_one: u64,
    /// Streams that no connection carries.
    pub streams_on_none: u64,
    /// Connections that were replaced by others that carried everything by then.
    pub replaced: u64,
    /// Connections that were closed first, since the exchange allows no more.
    pub replaced_without_overlap: u64,
    /// Connections that did not come to carry what those do that they were to replace.
    pub replacements_given_up: u64,
}

/// A peer's words, fit for a terminal and a log: control characters escaped, at most 256 bytes of them.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= 256 {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// What became of events that have no order, each remembered by all that it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct DedupCounts {
    /// Copies that were dropped.
    pub hits: u64,
    /// Events forgotten.
    pub evicted: u64,
    /// Events forgotten before their time, or never remembered: a repetition might have passed.
    pub evicted_before_ttl: u64,
}

/// What became of the rows of frames that bring several, each in exactly one. Of any other frame the frame's own counter
/// says it, and of one that was dropped by its head, unread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowCounts {
    pub total: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub ignored: ReasonCounts,
}

impl RowCounts {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.total += 1;
        match outcome {
            Outcome::Accepted => self.accepted += 1,
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::Ignored(reason) => self.ignored.add(reason as u8),
            // A frame is read whole or not at all, and books are alone in theirs.
            Outcome::Stale | Outcome::Held | Outcome::Rejected(_) => {}
        }
    }
}

/// Counters of one engine. Each frame and each reply is in exactly one of its outcomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub frames: u64,
    pub bytes: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub stale: u64,
    /// Held now; a held frame moves to the outcome it comes to.
    pub held: u64,
    /// Held and then dropped: the buffer was full, or the connection went away.
    pub held_dropped: u64,
    pub ignored: ReasonCounts,
    pub rejected: ReasonCounts,
    pub rows: RowCounts,
    /// Frames that the scanners left to simd-json.
    pub scanner_miss: u64,
    pub replies: u64,
    pub replies_accepted: u64,
    pub replies_ignored: ReasonCounts,
    pub replies_rejected: ReasonCounts,
    pub gaps: u64,
    /// Holes that were filled before they had to be declared; none of `gaps`.
    pub healed: u64,
    pub dedup: DedupCounts,
    /// Copies that said something else than the winner, of those that were compared.
    pub conflicts: u64,
    /// Copies that were to be compared, of winners that are remembered no more.
    pub unchecked: u64,
    /// Rows with a number that the chosen type cannot hold: not written.
    pub rows_out_of_range: u64,
    /// Instruments of the reference data beyond `max_instruments`.
    pub instruments_left_out: u64,
    /// Symbols that two instruments of one market have asked for: they bear their native names instead.
    pub names_kept_apart: u64,
    pub connects: u64,
    pub disconnects: u64,
    /// Channels that the exchange refused, or silently left out.
    pub refused_channels: u64,
    pub replacements: Replacements,
    pub timeouts: u64,
    /// Deletes of levels that the book did not have: normal where the snapshot is cut (§4 step 6).
    pub unknown_deletes: u64,
}

impl Counters {
    pub(crate) fn frame(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted => self.accepted += 1,
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::Stale => self.stale += 1,
            Outcome::Held => self.held += 1,
            Outcome::Ignored(reason) => self.ignored.add(reason as u8),
            Outcome::Rejected(reason) => self.rejected.add(reason as u8),
        }
    }

    /// A frame that was held comes to this.
    pub(crate) fn held_came_to(&mut self, outcome: Outcome) {
        self.held -= 1;
        self.frame(outcome);
    }

    /// Frames that were held say what the book has taken since.
    pub(crate) fn held_repeated(&mut self, frames: u64) {
        self.held -= frames;
        self.duplicate += frames;
    }

    /// Frames that were held lie before the snapshot.
    pub(crate) fn held_outdated(&mut self, frames: u64) {
        self.held -= frames;
        self.stale += frames;
    }

    pub(crate) fn held_dropped(&mut self, frames: u64) {
        self.held -= frames;
        self.held_dropped += frames;
    }

    pub(crate) fn reply(&mut self, outcome: ReplyOutcome) {
        self.replies += 1;
        match outcome {
            ReplyOutcome::Accepted => self.replies_accepted += 1,
            ReplyOutcome::Ignored(reason) => self.replies_ignored.add(reason as u8),
            ReplyOutcome::Rejected(reason) => self.replies_rejected.add(reason as u8),
        }
    }

    pub(crate) fn to_json(&self, redundancy: Redundancy) -> serde_json::Value {
        let ignored =
            |counts: &ReasonCounts| by_reason(IgnoreReason::ALL.iter().map(|r| (r.name(), counts.get(*r as u8))));
        let rejected =
            |counts: &ReasonCounts| by_reason(RejectReason::ALL.iter().map(|r| (r.name(), counts.get(*r as u8))));
        serde_json::json!({
            "frames": {
                "total": self.frames,
                "accepted": self.accepted,
                "duplicate": self.duplicate,
                "stale": self.stale,
                "held": self.held,
                "held_dropped": self.held_dropped,
                "ignored": ignored(&self.ignored),
                "rejected": rejected(&self.rejected),
            },
            "rows": {
                "total": self.rows.total,
                "accepted": self.rows.accepted,
                "duplicate": self.rows.duplicate,
                "ignored": ignored(&self.rows.ignored),
            },
            "replies": {
                "total": self.replies,
                "accepted": self.replies_accepted,
                "ignored": ignored(&self.replies_ignored),
                "rejected": rejected(&self.replies_rejected),
            },
            "bytes": self.bytes,
            "scanner_miss": self.scanner_miss,
            "gaps": self.gaps,
            "healed": self.healed,
            "dedup": self.dedup,
            "conflicts": self.conflicts,
            "unchecked": self.unchecked,
            "rows_out_of_range": self.rows_out_of_range,
            "instruments_left_out": self.instruments_left_out,
            "names_kept_apart": self.names_kept_apart,
            "unknown_deletes": self.unknown_deletes,
            "connects": self.connects,
            "disconnects": self.disconnects,
            "refused_channels": self.refused_channels,
            "redundancy": redundancy,
            "timeouts": self.timeouts,
        })
    }
}

/// Only what happened: a reason that never did is left out.
fn by_reason(counts: impl Iterator<Item = (&'static str, u64)>) -> serde_json::Map<String, serde_json::Value> {
    counts.filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n.into())).collect()
}

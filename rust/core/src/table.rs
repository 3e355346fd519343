//! The tables and the closed sets of their columns. The order in each set is the order of its dictionary and so
//! part of the schema: it only ever grows.

use serde::{Deserialize, Serialize};

/// Version of the schemas, in the metadata key `xtrader.schema_version`.
pub const SCHEMA_VERSION: &str = "1";

/// A table, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Table {
    /// One row per trade.
    Trades,
    /// One row per book message that a live book took: what changes together stays together.
    L2,
    /// `l2` with one row per level.
    Levels,
    /// Best bid and offer.
    Bbo,
    /// What was missed, as data.
    Gaps,
    /// Reference data with validity.
    Instruments,
    /// The engine's inputs, exactly as it took them.
    Raw,
    /// The best levels of live books, sampled.
    L2Top,
    /// Mark and index price, funding, open interest.
    Derivatives,
    /// Implied volatility, greeks, underlying.
    Options,
    /// Positions that the exchange closed.
    Liquidations,
    /// What each connection has done, interval by interval.
    Connections,
}

impl Table {
    /// Every table there is.
    pub const ALL: [Self; 12] = [
        Self::Trades,
        Self::L2,
        Self::Levels,
        Self::Bbo,
        Self::Gaps,
        Self::Instruments,
        Self::Raw,
        Self::L2Top,
        Self::Derivatives,
        Self::Options,
        Self::Liquidations,
        Self::Connections,
    ];

    /// The table's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trades => "trades",
            Self::L2 => "l2",
            Self::Levels => "levels",
            Self::Bbo => "bbo",
            Self::Gaps => "gaps",
            Self::Instruments => "instruments",
            Self::Raw => "raw",
            Self::L2Top => "l2_top",
            Self::Derivatives => "derivatives",
            Self::Options => "options",
            Self::Liquidations => "liquidations",
            Self::Connections => "connections",
        }
    }
}

/// A closed set of words that becomes a dictionary-encoded column.
macro_rules! closed_set {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// The words, in the order of the dictionary keys.
            pub const DICTIONARY: &'static [&'static str] = &[$($text),+];

            /// What has this word.
            #[must_use]
            pub fn named(word: &str) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|one| one.name() == word)
            }

            /// The word that stands in the column.
            #[must_use]
            pub const fn name(self) -> &'static str {
                Self::DICTIONARY[self as usize]
            }
        }
    };
}

closed_set! {
    /// Side of the aggressor of a trade.
    Side { #[doc = "The taker bought."] Buy = "buy", #[doc = "The taker sold."] Sell = "sell", #[doc = "The exchange does not say."] Unknown = "unknown" }
}
closed_set! {
    /// Where a row came from.
    Source {
        #[doc = "A WebSocket frame."] Ws = "ws", #[doc = "A REST reply."] Rest = "rest",
        #[doc = "The engine's own full-book row."] Checkpoint = "checkpoint", #[doc = "Another collector."] Peer = "peer",
    }
}
closed_set! {
    /// What kind of trade it was.
    Condition {
        #[doc = "An ordinary fill."] Regular = "regular", #[doc = "Retail price improvement."] Rpi = "rpi",
        #[doc = "A block trade."] Block = "block", #[doc = "A leg of a block trade."] BlockLeg = "block_leg",
        #[doc = "A combo."] Combo = "combo", #[doc = "A leg of a combo."] ComboLeg = "combo_leg",
        #[doc = "A liquidation."] Liquidation = "liquidation", #[doc = "Anything else."] Other = "other",
    }
}
closed_set! {
    /// How much a gap concerns.
    GapScope {
        #[doc = "One order book."] Book = "book", #[doc = "One stream of one instrument."] Stream = "stream",
        #[doc = "One connection."] Connection = "connection", #[doc = "One shard."] Shard = "shard",
        #[doc = "The process."] Process = "process", #[doc = "One sink."] Sink = "sink",
    }
}
closed_set! {
    /// Why something is missing.
    GapCause {
        #[doc = "The exchange's own ids jump."] Missed = "missed", #[doc = "The book's checksum differs."] Checksum = "checksum",
        #[doc = "Ids fell: a new epoch."] IdReset = "id_reset", #[doc = "The connection went away."] Disconnect = "disconnect",
        #[doc = "A bounded buffer was full."] Overflow = "overflow", #[doc = "A key was evicted before its time."] Evicted = "evicted",
        #[doc = "A stream that should speak did not."] Silence = "silence", #[doc = "The process was not running."] ProcessDown = "process_down",
        #[doc = "A sink dropped rows."] SinkDrop = "sink_drop", #[doc = "The wall clock jumped."] ClockStep = "clock_step",
        #[doc = "The process was held up."] Stall = "stall",
        #[doc = "Two things were told under one id: the first stands."] Conflict = "conflict",
    }
}
closed_set! {
    /// What proves the gap.
    GapEvidence {
        #[doc = "A chain of ids (`pu`, `prevSeqId`)."] Chain = "chain", #[doc = "Contiguous ids."] Sequence = "sequence",
        #[doc = "A checksum."] Checksum = "checksum", #[doc = "A count."] Count = "count",
        #[doc = "A deadline."] Clock = "clock", #[doc = "The shell saw it (a closed socket, a dropped batch)."] Shell = "shell",
        #[doc = "Bids at or above offers at the end of an event."] Crossed = "crossed",
        #[doc = "What two copies of one event say."] Content = "content",
    }
}
closed_set! {
    /// What `missing` counts.
    GapUnit { #[doc = "Trades."] Trades = "trades", #[doc = "Book or quote updates."] Updates = "updates", #[doc = "Rows of a table."] Rows = "rows", #[doc = "Batches."] Batches = "batches" }
}
closed_set! {
    /// Who filled the hole.
    Repaired { #[doc = "Nobody."] None = "none", #[doc = "Another connection."] Connection = "connection", #[doc = "REST."] Rest = "rest", #[doc = "Another collector."] Peer = "peer" }
}
closed_set! {
    /// Who stamps what a connection receives.
    StampSource { #[doc = "This program, when its read returns."] User = "user", #[doc = "The kernel."] Kernel = "kernel", #[doc = "The network card."] Hardware = "hardware" }
}

// The macro that makes the set knows no default.
#[allow(clippy::derivable_impls)]
impl Default for StampSource {
    fn default() -> Self {
        Self::User
    }
}
closed_set! {
    /// What a connection is doing.
    ConnState {
        #[doc = "On its way up."] Opening = "opening", #[doc = "Up."] Up = "up",
        #[doc = "Up, to take another's place."] OnTrial = "on_trial", #[doc = "Being closed, to come back."] Closing = "closing",
        #[doc = "Closed for good."] Leaving = "leaving", #[doc = "Kept down for a while: others lose theirs while it is up."] Parked = "parked",
        #[doc = "Down."] Down = "down",
    }
}
closed_set! {
    /// What an instrument is.
    InstrumentKind {
        #[doc = "Spot."] Spot = "spot", #[doc = "Perpetual swap."] Perpetual = "perpetual", #[doc = "Dated future."] Future = "future",
        #[doc = "Option."] Option = "option", #[doc = "Combination of others."] Combo = "combo", #[doc = "A kind nobody here can read."] Other = "other",
    }
}
closed_set! {
    /// State of an instrument.
    Status { #[doc = "It trades."] Trading = "trading", #[doc = "Not yet, or halted."] Halted = "halted", #[doc = "No longer."] Closed = "closed", #[doc = "A word nobody here can read."] Unknown = "unknown" }
}
closed_set! {
    /// Right of an option.
    OptionType { #[doc = "Call."] Call = "call", #[doc = "Put."] Put = "put" }
}
closed_set! {
    /// Kind of an engine input.
    InputKind {
        #[doc = "Configuration, build, seed."] Start = "start", #[doc = "The engine's state."] Checkpoint = "checkpoint",
        #[doc = "A connection came up."] ConnUp = "conn_up", #[doc = "A connection went down."] ConnDown = "conn_down",
        #[doc = "A frame."] Frame = "frame", #[doc = "A REST reply."] Http = "http",
        #[doc = "A command."] Command = "command", #[doc = "The timer."] Timeout = "timeout",
    }
}

/// Bits of the `flags` column (the values that users know from DBN).
pub mod flags {
    /// Last row of an exchange message.
    pub const LAST: u8 = 128;
    /// Top of book.
    pub const TOP: u8 = 64;
    /// Snapshot.
    pub const SNAPSHOT: u8 = 32;
    /// Several fills in one row.
    pub const AGGREGATED: u8 = 16;
    /// The receive time is suspect: clamped, before the event, or not recorded.
    pub const RECV_SUSPECT: u8 = 8;
    /// The book may be bad.
    pub const BAD_BOOK: u8 = 4;
    /// In `float`, the shortest text of the double is not the decimal that was sent.
    pub const LOSSY: u8 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_known_by_the_name_serde_reads() {
        for table in Table::ALL {
            assert_eq!(serde_json::to_string(&table).expect("a word"), format!("\"{}\"", table.name()));
        }
    }
}

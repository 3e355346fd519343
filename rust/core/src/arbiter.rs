//! Who wins: first arrival, by the merge rule of each stream.

pub mod addresses;
pub mod deduper;
pub mod epochs;
pub mod histogram;
pub mod latest;
pub mod race;
pub mod rotation;
pub mod score;
pub mod seats;
mod trail;
pub mod window;

pub use deduper::{Deduper, Noted};
pub use epochs::{Age, Epochs, Told};
pub use histogram::{Histogram, Length};
pub use latest::{Latest, LatestWins};
pub use race::{Arrival, Copied, Heat, Place, Race};
pub use rotation::{Reputation, Rotation, Standing};
pub use score::Score;
pub use seats::Seats;
pub use window::{Seen, SequenceWindow, Verdict};

/// How copies of one stream from several connections become one. An exchange declares it for each stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MergeRule {
    /// Messages that follow each other by id (book changes). Loss is judged on each connection's own chain, freshness
    /// on the merged book: the sync machine of the book decides.
    Chain,
    /// Contiguous ids (trades): [`SequenceWindow`] drops what is known and knows what is missing.
    Sequence,
    /// Ids without an order: [`Deduper`] remembers as many as it may for as long as it must.
    Opaque,
    /// State with an id or a time of the exchange (quotes): [`LatestWins`].
    Latest,
    /// Nothing to compare by: one connection leads, and another takes over when it stalls.
    Leader,
}

/// What an arbiter of any rule has counted. A counter that a rule has no use for stays 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Keys seen for the first time: passed on.
    pub fresh: u64,
    /// Keys already seen: dropped.
    pub duplicates: u64,
    /// Keys too old to judge, or older than the state: dropped.
    pub too_old: u64,
    /// Times that ids were left out.
    pub jumps: u64,
    /// Ids that were left out and came after all; also in `fresh`.
    pub repaired: u64,
    /// Keys forgotten.
    pub evicted: u64,
    /// Keys forgotten before their time, so that a repetition would pass; also in `evicted`.
    pub evicted_before_ttl: u64,
}

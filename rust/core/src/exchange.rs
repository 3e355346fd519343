//! Exchanges: one folder each, all with the same rooms (`route`, `peek`, `wire`, `normalize`, `instruments`), and here
//! what they share: the words, and [`Protocol`], the list of what a folder must say.

mod binance;
pub mod binance_futures;
pub mod binance_spot;
pub mod deribit;
pub mod document;
pub(crate) mod levels;
pub(crate) mod names;
pub mod offer;
pub mod okx;
mod protocol;
pub mod reader;
#[cfg(test)]
pub(crate) mod two_paths;

pub use protocol::{
    Answer, Beat, Cadence, Channel, Heartbeat, Limits, Login, Name, Protocol, Recorded, RestRequest, RestTold,
    SnapshotSource, usual_merge,
};

/// Evaluates an expression with `$protocol` standing for the [`Protocol`] of a venue. The one place where venues and
/// folders meet.
#[macro_export]
macro_rules! with_protocol {
    ($venue:expr, $protocol:ident => $body:expr) => {
        match $venue {
            $crate::symbol::Venue::BinanceFutures => {
                type $protocol = $crate::exchange::binance_futures::BinanceFutures;
                $body
            }
            $crate::symbol::Venue::BinanceSpot => {
                type $protocol = $crate::exchange::binance_spot::BinanceSpot;
                $body
            }
            $crate::symbol::Venue::Okx => {
                type $protocol = $crate::exchange::okx::Okx;
                $body
            }
            $crate::symbol::Venue::Deribit => {
                type $protocol = $crate::exchange::deribit::Deribit;
                $body
            }
        }
    };
}
pub use with_protocol;

use crate::config::Stream;
use crate::event::{EventTimes, StateRows};
use crate::report::{IgnoreReason, RejectReason};

/// What kind of event a data frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Fills of one taker at one price, aggregated.
    AggTrade,
    /// Single fills.
    Trade,
    /// Single fills of several instruments, each row with its own (Deribit `trades.option.any.raw`). No scanner yields
    /// it; [`Head::symbol`] is empty and [`Head::key`] says nothing.
    MixedTrades,
    /// A book change.
    Depth,
    /// A full book, sent on the stream itself.
    Book,
    /// Best bid and offer.
    Bbo,
    /// States of instruments: mark prices, funding, volatility, liquidations; each row with its own instrument. No
    /// scanner decodes it; its head says the instrument where all rows are of one ([`Head::of_states`]), and
    /// [`Protocol::state_heads`] what tells its copies.
    State,
}

/// Ids by which arbitration and sync judge a message, without a look at its body.
///
/// `chain` streams (books): `first..=last` is covered and follows `prev`. `sequence` streams (trades): `first..=last`
/// are the contiguous ids carried, `prev` is `first - 1`. `latest` streams (quotes): `last` is the update id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// The id this message follows.
    pub prev: i64,
    /// First id.
    pub first: i64,
    /// Last id.
    pub last: i64,
}

impl Key {
    /// In [`Self::prev`]: the message does not say what it follows, and the order of its connection has to tell. `last`
    /// is then a time (OKX books before 2023: `ts`), not an id of the exchange.
    pub const UNLINKED: i64 = i64::MIN;

    /// The key of a message that carries one id.
    #[must_use]
    pub const fn single(id: i64) -> Self {
        Self { prev: id.saturating_sub(1), first: id, last: id }
    }

    /// False where `last` is a time.
    #[must_use]
    pub const fn is_linked(self) -> bool {
        self.prev != Self::UNLINKED
    }
}

/// What one forward pass over a frame's head found. Borrowed from the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// What it carries.
    pub kind: EventKind,
    /// The exchange's name of the instrument.
    pub symbol: &'a str,
    /// Which of several feeds of this kind (speed): the text of the stream's name behind the kind, e.g. `@100ms`;
    /// empty for the default speed, `None` where the frame does not say (raw form).
    pub variant: Option<&'a str>,
    /// The ids.
    pub key: Key,
    /// The times; of several events, those of the one with the highest id.
    pub times: EventTimes,
    /// Where decoding resumes, in bytes from the start of the frame. 0 where decoding does not resume.
    pub resume: usize,
}

impl<'a> Head<'a> {
    /// The head of a frame of [`EventKind::State`]: who and when, its rows say. `symbol` is empty where they may be of
    /// several instruments.
    #[must_use]
    pub fn of_states(symbol: &'a str, variant: Option<&'a str>) -> Self {
        Self { variant, ..Self::of_rows(EventKind::State, symbol) }
    }

    /// The head of what has none: which ids and when, the rows say.
    #[must_use]
    pub(crate) fn of_rows(kind: EventKind, symbol: &'a str) -> Self {
        let (key, times) = (Key::default(), EventTimes::default());
        Self { kind, symbol, variant: None, key, times, resume: 0 }
    }
}

/// What the head of a row of states says: all it takes to tell a copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHead<'a> {
    /// The exchange's name of the instrument, or of the index.
    pub native: &'a str,
    /// The name is that of an index.
    pub is_index: bool,
    /// The streams of the instrument that the row may be of, and the feed of each.
    pub feeds: [Option<(Stream, u8)>; 2],
    /// When it happened.
    pub time: i64,
}

/// The verdict of a scanner on a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek<'a> {
    /// A market event.
    Event(Head<'a>),
    /// Something between the exchange and us: an ack, an error, a heartbeat, a notice. [`Protocol::read_answer`]
    /// reads it.
    Answer,
    /// Known, and nobody asked for it.
    Ignored(IgnoreReason),
    /// Not one of the dominant shapes: simd-json reads it.
    Miss,
}

/// What decoding made of the body of a frame, by whichever path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<T> {
    /// An event.
    Event(T),
    /// Read, and it makes no row.
    Ignored(IgnoreReason),
    /// Not to be taken. Only the reference reader says so.
    Rejected(RejectReason),
    /// Not of the dominant shape: the reference reader takes the frame. Only scanners say so.
    Miss,
}

impl Decoded<()> {
    /// What a message comes to whose rows were read: where all of them are none, why the last of them is.
    pub(crate) fn of_states(rows: &StateRows) -> Self {
        match rows.ignored.last() {
            Some(reason) if rows.rows.is_empty() => Self::Ignored(*reason),
            _ => Self::Event(()),
        }
    }
}

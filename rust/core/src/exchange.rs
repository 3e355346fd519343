//! Exchanges: one folder each, all with the same rooms (`route`, `peek`, `wire`, `normalize`, `instruments`), and here
//! the words they share.

pub mod binance_futures;
mod document;
mod levels;

use crate::event::EventTimes;
use crate::report::{IgnoreReason, RejectReason};

/// What kind of event a data frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Fills of one taker at one price, aggregated.
    AggTrade,
    /// A single fill.
    Trade,
    /// A book change.
    Depth,
    /// Best bid and offer.
    Bbo,
}

/// Ids by which arbitration and sync judge a message, without a look at its body.
///
/// `chain` streams (books): `first..=last` is covered and follows `prev`. `sequence` streams (trades): `first..=last`
/// are the trade ids carried, `prev` is `first - 1`. `latest` streams (quotes): `last` is the update id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// The id this message follows.
    pub prev: i64,
    /// First id.
    pub first: i64,
    /// Last id.
    pub last: i64,
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
    /// The times.
    pub times: EventTimes,
    /// Where decoding resumes, in bytes from the start of the frame. 0 where decoding does not resume.
    pub resume: usize,
}

/// The verdict of a scanner on a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek<'a> {
    /// A market event.
    Event(Head<'a>),
    /// An answer to something we sent (ack, error).
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

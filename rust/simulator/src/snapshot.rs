//! Which book a snapshot over REST shows: the one there is, or the one that a fault puts in its place.

use crate::book::Book;
use crate::fault::{Fault, SnapshotPosition};
use crate::truth::Truth;

/// What a snapshot shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The book as it is.
    Now,
    /// The book as it was, and its id.
    Then(Book, u64),
    /// What a fault asks for is not there yet.
    Later,
}

/// The symbol whose book is shown to who asked for `symbol`.
pub(crate) fn symbol<'a>(symbol: &'a str, faults: &'a [Fault]) -> &'a str {
    let other = |f: &'a Fault| match f {
        Fault::SnapshotOf { symbol } => Some(symbol.as_str()),
        _ => None,
    };
    faults.iter().rev().find_map(other).unwrap_or(symbol)
}

/// The book of `symbol`, that now has this `id`, at `now_ms` by the exchange's clock; `own` is the stream that a position
/// is relative to where the fault names none.
pub(crate) fn shown(symbol: &str, id: Option<u64>, now_ms: i64, own: &str, faults: &[Fault], truth: &Truth) -> Shown {
    let mut shown = Shown::Now;
    for f in faults {
        let wanted = match f {
            Fault::StaleSnapshot { age_s } => {
                let then = now_ms - (age_s * 1000.0) as i64;
                let old = truth.events().iter().filter(|e| &*e.symbol == symbol && e.prev_id.is_some());
                let old = old.take_while(|e| e.event_ms <= then).last().map(|e| e.last_id);
                old.or_else(|| truth.first_id(symbol))
            }
            Fault::SnapshotAt { position, stream } => {
                let last = truth.events_of(stream.as_deref().unwrap_or(own)).last();
                match (position, last) {
                    (SnapshotPosition::Newer, Some(e)) if id.is_none_or(|id| id <= e.last_id) => return Shown::Later,
                    (SnapshotPosition::Newer, _) => None,
                    (SnapshotPosition::AtEnd, e) => e.map(|e| e.last_id),
                    (SnapshotPosition::Inside, e) => {
                        let inside = e.map(|e| truth.change_ids(symbol, e.first_id, e.last_id));
                        match inside.and_then(|ids| ids.get(ids.len() / 2).copied()) {
                            Some(id) => Some(id),
                            None => return Shown::Later,
                        }
                    }
                }
            }
            _ => None,
        };
        if let Some((book, id)) = wanted.and_then(|w| truth.raw_book_at(symbol, w)) {
            shown = Shown::Then(book, id);
        }
    }
    shown
}

//! What no connection was handed, whoever else may have been: what a client with all of them cannot have.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::Serialize;

use crate::event::{Event, EventKind};
use crate::truth::{TradeRecord, Truth};

/// An event that reached no connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Uncarried {
    /// [`Event::seq`].
    pub seq: u64,
    /// The exchange's symbol.
    pub symbol: String,
    /// First id that it covers.
    pub first_id: u64,
    /// Last id that it covers.
    pub last_id: u64,
    /// The id that a change of a book follows.
    pub prev_id: Option<u64>,
    /// When it happened, ms since the epoch.
    pub event_ms: i64,
    /// Those of its trades that no other event brought either.
    pub trades: Vec<TradeRecord>,
}

/// Which ids of a book a connection was brought along by: after the first, up to the second.
type Span = (u64, u64);

impl Truth {
    /// The events of a stream, of one symbol if given, that no connection was handed whole, from the first one on that any
    /// was. A trade may also have come in another event, a change of a book within one that was cut at other ids: then it
    /// is not among them.
    ///
    /// What a socket was handed may still be lost on its way where the connection ends by RST: to know exactly what a client
    /// got, cut with `fin`.
    #[must_use]
    pub fn uncarried(&self, stream: &str, symbol: Option<&str>) -> Vec<Uncarried> {
        let of = |e: &&Arc<Event>| &*e.stream == stream && e.kind != EventKind::Snapshot;
        let handed: HashSet<u64> = self.frames.iter().filter(|f| f.whole).filter_map(|f| f.event).collect();
        let carried: Vec<&Arc<Event>> = self.events.iter().filter(of).filter(|e| handed.contains(&e.seq)).collect();
        let Some(first) = carried.iter().filter(|e| e.conn.is_none()).map(|e| e.seq).min() else { return Vec::new() };
        let mut trades: HashSet<(String, u64)> = HashSet::new();
        let mut spans: BTreeMap<usize, Vec<Span>> = BTreeMap::new();
        for event in &carried {
            trades.extend((self.rules.trades)(event).into_iter().map(|t| (t.symbol, t.id)));
            let span = event.prev_id.map(|prev| (prev, event.last_id)).filter(|(from, to)| from < to);
            spans.entry(event.phase).or_default().extend(span);
        }
        // What the connections of all other phases were brought along by.
        let phases: BTreeSet<usize> = self.events.iter().filter(of).map(|e| e.phase).collect();
        let elsewhere: BTreeMap<usize, Vec<Span>> = phases
            .into_iter()
            .map(|phase| {
                let others = spans.iter().filter(|(other, _)| **other != phase);
                let mut others: Vec<Span> = others.flat_map(|(_, spans)| spans.iter().copied()).collect();
                others.sort_unstable();
                (phase, others)
            })
            .collect();
        let lost = |e: &&Arc<Event>| e.seq > first && e.conn.is_none() && !handed.contains(&e.seq);
        let wanted = |s: &str| symbol.is_none_or(|w| w == s);
        let mut out = Vec::new();
        for event in self.events.iter().filter(of).filter(lost) {
            let told = (self.rules.trades)(event);
            let some = !told.is_empty();
            let lost: Vec<TradeRecord> =
                told.into_iter().filter(|t| wanted(&t.symbol) && !trades.contains(&(t.symbol.clone(), t.id))).collect();
            let others = elsewhere.get(&event.phase).map_or(&[][..], Vec::as_slice);
            let bridged = event.prev_id.is_some_and(|prev| reaches(others, (prev, event.last_id)));
            if bridged || (some && lost.is_empty()) || (!some && !wanted(&event.symbol)) {
                continue;
            }
            out.push(Uncarried {
                seq: event.seq,
                symbol: event.symbol.to_string(),
                first_id: event.first_id,
                last_id: event.last_id,
                prev_id: event.prev_id,
                event_ms: event.event_ms,
                trades: lost,
            });
        }
        out
    }
}

/// Whether spans, in order, together lead from one id to another.
fn reaches(spans: &[Span], (from, to): Span) -> bool {
    let mut at = from;
    for (begin, end) in spans.iter().take_while(|s| s.0 < to) {
        if *begin <= at && *end > at {
            at = *end;
        }
    }
    at >= to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_bridge_where_they_leave_no_hole() {
        let spans = [(1, 4), (3, 5), (5, 9)];
        assert!(reaches(&spans, (2, 9)) && reaches(&spans, (6, 8)));
        assert!(!reaches(&spans, (0, 2)) && !reaches(&spans, (8, 10)));
        assert!(!reaches(&[(1, 4), (5, 9)], (2, 6)) && !reaches(&[], (2, 6)));
    }
}

//! The latest trades of each instrument: what an exchange's REST interface can still tell of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::{Event, EventKind};

/// The trades of all instruments; of each, and each kind, the latest ones.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// How many events are kept of each.
    most: usize,
    /// Rows of fills, and single fills.
    rolls: HashMap<Arc<str>, [Roll; 2]>,
}

/// The trades of one instrument, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    kept: VecDeque<Arc<Event>>,
    /// Whether there were older ones.
    forgotten: bool,
}

impl History {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, rolls: HashMap::new() }
    }

    pub(crate) fn add(&mut self, event: &Arc<Event>) {
        let Some(n) = place(event.kind).filter(|_| self.most > 0 && event.conn.is_none() && event.phase == 0) else {
            return;
        };
        let roll = &mut self.rolls.entry(Arc::clone(&event.symbol)).or_default()[n];
        if roll.kept.len() == self.most {
            roll.kept.pop_front();
            roll.forgotten = true;
        }
        roll.kept.push_back(Arc::clone(event));
    }

    pub(crate) fn of(&self, kind: EventKind, symbol: &str) -> &Roll {
        static NONE: Roll = Roll { kept: VecDeque::new(), forgotten: false };
        place(kind).and_then(|n| Some(&self.rolls.get(symbol)?[n])).unwrap_or(&NONE)
    }
}

fn place(kind: EventKind) -> Option<usize> {
    match kind {
        EventKind::AggTrade => Some(0),
        EventKind::Trade => Some(1),
        _ => None,
    }
}

impl Roll {
    /// From the event that covers this id on.
    pub(crate) fn from(&self, id: u64) -> impl Iterator<Item = &Event> {
        self.kept.range(self.kept.partition_point(|e| e.last_id < id)..).map(|e| &**e)
    }

    /// The newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Event> {
        self.kept.iter().rev().map(|e| &**e)
    }

    /// Whether a trade of this id was there, and is no more.
    pub(crate) fn has_forgotten(&self, id: u64) -> bool {
        self.forgotten && self.kept.front().is_some_and(|e| id < e.first_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(id: u64) -> Arc<Event> {
        Arc::new(Event {
            seq: id,
            kind: EventKind::Trade,
            stream: "s".into(),
            family: "",
            symbol: "X".into(),
            first_id: id,
            last_id: id,
            prev_id: None,
            phase: 0,
            conn: None,
            event_ms: 0,
            emitted_ms: 0,
            payload: "".into(),
            figures: Vec::new(),
        })
    }

    #[test]
    fn the_latest_ones_are_kept_and_the_others_known_to_have_been() {
        let mut h = History::new(3);
        (1..=3).for_each(|id| h.add(&trade(id)));
        assert!(!h.of(EventKind::Trade, "X").has_forgotten(0));
        (4..=5).for_each(|id| h.add(&trade(id)));
        let roll = h.of(EventKind::Trade, "X");
        assert_eq!(roll.newest().map(|e| e.last_id).collect::<Vec<_>>(), [5, 4, 3]);
        assert_eq!(roll.from(4).map(|e| e.last_id).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(roll.from(0).count(), 3);
        assert!(roll.has_forgotten(2) && !roll.has_forgotten(3));
        assert_eq!(h.of(EventKind::AggTrade, "X").newest().count() + h.of(EventKind::Trade, "Y").newest().count(), 0);
    }
}

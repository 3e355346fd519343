//! State with an id: the newest wins.

use super::Metrics;
use crate::symbol::ConnId;

/// What is to become of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latest {
    /// It is newer: passed on.
    Newer,
    /// The id of the last one from the same connection: passed on if it says something else. An exchange may send
    /// two states under one id.
    SameId,
    /// The last one again, or its copy from another connection: dropped.
    Duplicate,
    /// Older than the last one: dropped.
    Older,
}

/// The last state passed on. `T` is what it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct LatestWins<T> {
    last: Option<(i64, ConnId, T)>,
    metrics: Metrics,
}

impl<T: PartialEq> LatestWins<T> {
    /// Before the first state.
    #[must_use]
    pub const fn new() -> Self {
        let metrics =
            Metrics { fresh: 0, duplicates: 0, too_old: 0, jumps: 0, repaired: 0, evicted: 0, evicted_before_ttl: 0 };
        Self { last: None, metrics }
    }

    /// What the id alone tells, before anything is decoded. Changes and counts nothing.
    #[must_use]
    pub fn check(&self, id: i64, conn: ConnId) -> Latest {
        match &self.last {
            Some((last, _, _)) if id < *last => Latest::Older,
            Some((last, from, _)) if id == *last && *from == conn => Latest::SameId,
            Some((last, _, _)) if id == *last => Latest::Duplicate,
            _ => Latest::Newer,
        }
    }

    /// Counts a state that was dropped on the verdict of [`Self::check`].
    pub fn drop_unseen(&mut self, verdict: Latest) {
        match verdict {
            Latest::Older => self.metrics.too_old += 1,
            Latest::Duplicate => self.metrics.duplicates += 1,
            Latest::Newer | Latest::SameId => {}
        }
    }

    /// Takes a state: [`Latest::Newer`] and [`Latest::SameId`] are to be passed on.
    pub fn take(&mut self, id: i64, conn: ConnId, says: T) -> Latest {
        let verdict = match (self.check(id, conn), &self.last) {
            (Latest::SameId, Some((_, _, last))) if *last == says => Latest::Duplicate,
            (verdict, _) => verdict,
        };
        if matches!(verdict, Latest::Newer | Latest::SameId) {
            self.last = Some((id, conn, says));
            self.metrics.fresh += 1;
        }
        self.drop_unseen(verdict);
        verdict
    }

    /// Forgets the last state: ids have fallen, a new epoch begins.
    pub fn reset(&mut self) {
        self.last = None;
    }

    /// What was counted since the beginning; a new epoch does not clear it.
    #[must_use]
    pub const fn metrics(&self) -> Metrics {
        self.metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wins_and_an_equal_id_only_with_other_words_from_the_same_connection() {
        let (a, b) = (ConnId(1), ConnId(2));
        let mut quotes = LatestWins::new();
        assert_eq!(quotes.take(7, a, "x"), Latest::Newer);
        assert_eq!(quotes.take(7, b, "x"), Latest::Duplicate, "the copy");
        assert_eq!(quotes.take(7, b, "y"), Latest::Duplicate, "another connection never adds to an id");
        assert_eq!(quotes.take(7, a, "x"), Latest::Duplicate, "the same words");
        assert_eq!(quotes.take(7, a, "y"), Latest::SameId, "two states under one id");
        assert_eq!(quotes.take(6, b, "z"), Latest::Older);
        assert_eq!(quotes.take(8, b, "y"), Latest::Newer);
        assert_eq!(quotes.check(8, b), Latest::SameId);
        assert_eq!(quotes.check(8, a), Latest::Duplicate);
        let wanted = Metrics { fresh: 3, duplicates: 3, too_old: 1, ..Metrics::default() };
        assert_eq!(quotes.metrics(), wanted);
        quotes.reset();
        assert_eq!(quotes.take(1, a, "x"), Latest::Newer);
    }
}

//! Holes in the order of their ids, each with what is still missing of it: what it costs to find one, or to see that
//! none is due, does not depend on how many there are.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;

use super::super::gaps::OpenGap;
use super::{Ids, len};
use crate::table::Repaired;

/// Ids that were left out.
pub(super) struct Hole {
    pub ids: Ids,
    /// What of them has not come: runs of ids, lowest first, with others between them.
    pub missing: Vec<Ids>,
    pub gap: OpenGap,
    /// When its time is over.
    pub until: u64,
    /// Who has filled what is filled of it.
    pub repaired: Repaired,
}

impl Hole {
    pub fn new(ids: Ids, gap: OpenGap, until: u64) -> Self {
        Self { ids, missing: vec![ids], gap, until, repaired: Repaired::Connection }
    }

    /// These have come. Says how many of them were missing.
    fn fill(&mut self, (first, last): Ids) -> i64 {
        let from = self.missing.partition_point(|run| run.1 < first);
        let to = self.missing.partition_point(|run| run.0 <= last);
        let Some(&[(start, _), ..]) = self.missing.get(from..to) else { return 0 };
        let end = self.missing[to - 1].1;
        let before = (start < first).then(|| (start, first - 1));
        let behind = (last < end).then(|| (last + 1, end));
        let runs = self.missing.splice(from..to, before.into_iter().chain(behind));
        runs.map(|run| len((run.0.max(first), run.1.min(last)))).fold(0, i64::saturating_add)
    }
}

/// See the module. No two of them share an id.
#[derive(Default)]
pub(super) struct Holes {
    list: VecDeque<Hole>,
    /// A timer fires then, not later than the time of the first is over.
    alarm: Option<u64>,
}

impl Holes {
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn first(&self) -> Option<&Hole> {
        self.list.front()
    }

    pub fn add(&mut self, hole: Hole) {
        let at = self.list.partition_point(|other| other.ids.0 < hole.ids.0);
        self.list.insert(at, hole);
    }

    /// Takes the first out if it is so.
    pub fn take_first(&mut self, is_so: impl FnOnce(&Hole) -> bool) -> Option<Hole> {
        if is_so(self.list.front()?) { self.list.pop_front() } else { None }
    }

    /// Takes out those with some of these ids.
    pub fn take(&mut self, ids: Ids) -> Vec<Hole> {
        let places = self.places(ids);
        self.list.drain(places).collect()
    }

    /// Takes all of them out.
    pub fn take_all(&mut self) -> VecDeque<Hole> {
        std::mem::take(&mut self.list)
    }

    /// Those with some of these ids.
    pub fn with(&mut self, ids: Ids) -> impl Iterator<Item = &mut Hole> {
        let places = self.places(ids);
        self.list.range_mut(places)
    }

    /// These ids have come. Says how many of them were missing.
    pub fn fill(&mut self, ids: Ids) -> i64 {
        self.with(ids).map(|hole| hole.fill(ids)).fold(0, i64::saturating_add)
    }

    /// REST has told this id. True where it was missing.
    pub fn fetch(&mut self, id: i64) -> bool {
        let missing = self.with((id, id)).find_map(|hole| (hole.fill((id, id)) > 0).then_some(hole));
        missing.map(|hole| hole.repaired = Repaired::Rest).is_some()
    }

    /// Takes out those with some of these ids of which nothing is missing any more.
    pub fn take_filled(&mut self, ids: Ids, mut taken: impl FnMut(Hole)) {
        let Range { start: mut at, mut end } = self.places(ids);
        while at < end {
            if self.list[at].missing.is_empty() {
                self.list.remove(at).into_iter().for_each(&mut taken);
                end -= 1;
            } else {
                at += 1;
            }
        }
    }

    /// The first of these ids that is missing.
    pub fn first_missing(&self, ids: Ids) -> Option<i64> {
        let runs = self.list.range(self.places(ids)).flat_map(|hole| &hole.missing);
        runs.filter(|run| ids.0 <= run.1 && run.0 <= ids.1).map(|run| run.0.max(ids.0)).next()
    }

    /// When a timer is to be armed, if one is. One is under way at a time: it is set again when it has fired.
    pub fn alarm(&mut self, now: u64) -> Option<u64> {
        if self.alarm.is_some_and(|at| now < at) {
            return None;
        }
        self.alarm = self.list.front().map(|hole| hole.until);
        self.alarm
    }

    fn places(&self, (first, last): Ids) -> Range<usize> {
        let start = self.list.partition_point(|hole| hole.ids.1 < first);
        start..self.list.partition_point(|hole| hole.ids.0 <= last).max(start)
    }
}

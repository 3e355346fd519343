//! A book as a reader keeps it that knows the overlap rule and in which order the states were, and nothing else: what it
//! takes, and which gaps it has to name, whoever comes and goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::carriage::{Happening, Outcome, WINDOW, What};
use crate::stream::{Exchange, Stream};

/// A gap as the table should have it: its cause, the ids among which the missing ones lie, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub cause: &'static str,
    pub ids: Option<(i64, i64)>,
    pub is_healed: bool,
}

/// A message that came before what it follows.
struct Held {
    since: u64,
    from: usize,
    to: usize,
    /// Its connection had left something out before it.
    skipped: bool,
}

/// See the module. States are known by their numbers.
pub struct Reader<'a> {
    stream: &'a Stream,
    /// Where the book is; `None` while it is not the exchange's.
    at: Option<usize>,
    /// Something has followed the snapshot.
    is_joined: bool,
    held: Vec<Held>,
    /// The hole before what is held: its ids, and whether a connection has left it out that was there.
    hole: Option<(Option<(i64, i64)>, bool)>,
    /// How far each connection has come.
    chains: BTreeMap<usize, usize>,
    /// Those that have spoken and are up.
    up: BTreeSet<usize>,
    /// Those that are up and have not spoken: they may have what the others lack.
    mute: BTreeSet<usize>,
    /// A gap has been named, and no snapshot has come since.
    is_open: bool,
    /// Gaps in the order in which they are named first.
    pub told: Vec<Told>,
    /// From which state the book went to which, by changes.
    pub went: Vec<(usize, usize)>,
}

impl<'a> Reader<'a> {
    /// Of everything that was told.
    pub fn of(outcome: &'a Outcome) -> Self {
        let mut reader = Self {
            stream: &outcome.stream,
            at: None,
            is_joined: false,
            held: Vec::new(),
            hole: None,
            chains: BTreeMap::new(),
            up: BTreeSet::new(),
            mute: BTreeSet::new(),
            is_open: false,
            told: Vec::new(),
            went: Vec::new(),
        };
        for happening in &outcome.log {
            reader.let_pass(happening.at);
            reader.take(happening);
        }
        reader.let_pass(u64::MAX);
        reader
    }

    fn ids(&self, from: usize, to: usize) -> Option<(i64, i64)> {
        let ids = (self.stream.states[from].id + 1, self.stream.states[to].id);
        Some(ids).filter(|(first, last)| first <= last)
    }

    /// Nothing waits longer than the window.
    fn let_pass(&mut self, now: u64) {
        if self.at.is_some() && self.held.iter().any(|held| held.since.saturating_add(WINDOW) <= now) {
            self.give_up();
        }
    }

    fn take(&mut self, happening: &Happening) {
        let (now, conn) = (happening.at, happening.conn);
        match happening.what {
            What::Up => {
                self.mute.insert(conn);
            }
            What::Trades { .. } => {}
            What::Down => {
                let had_spoken = self.up.contains(&conn);
                self.chains.remove(&conn);
                self.mute.remove(&conn);
                self.up.remove(&conn);
                // A snapshot may have come by REST before anybody spoke.
                if self.up.is_empty() && (had_spoken || self.mute.is_empty()) {
                    self.held.clear();
                    self.break_off("disconnect", None);
                }
                self.give_up_if_nobody_can_fill_it();
            }
            What::Snapshot(state) if self.stream.exchange.sends_snapshots() => {
                self.up.insert(conn);
                self.mute.remove(&conn);
                self.snapshot_of_a_channel(conn, self.stream.settled(state));
            }
            What::Snapshot(state) => self.snapshot_by_rest(state),
            What::Book { from, to } => {
                self.up.insert(conn);
                self.mute.remove(&conn);
                let (from, to) = (self.stream.settled(from), self.stream.settled(to));
                let skipped = self.chains.get(&conn).is_some_and(|chain| *chain != from);
                self.change(Held { since: now, from, to, skipped });
                self.chains.insert(conn, to);
                self.give_up_if_nobody_can_fill_it();
            }
        }
    }

    fn change(&mut self, change: Held) {
        let waits_for_rest = !self.stream.exchange.sends_snapshots();
        let Some(at) = self.at else {
            if waits_for_rest {
                self.held.push(change);
            }
            return;
        };
        if self.is_known(&change, at) {
            return;
        }
        if change.from <= at {
            self.apply(at, &change);
            return self.drain();
        }
        if self.held.iter().any(|held| (held.from, held.to) == (change.from, change.to)) {
            if let Some((_, is_lacked)) = &mut self.hole {
                *is_lacked |= change.skipped;
            }
            return;
        }
        self.held.push(change);
        self.wait();
    }

    /// On Binance futures a change may end at the snapshot's own id and say more than it.
    fn is_known(&self, change: &Held, at: usize) -> bool {
        let says_more = self.stream.exchange == Exchange::Futures && !self.is_joined;
        if says_more { change.to < at } else { change.to <= at }
    }

    fn apply(&mut self, at: usize, change: &Held) {
        if change.to > at {
            self.went.push((at, change.to));
        }
        let falls = self.stream.states[at + 1..=change.to].iter().filter(|state| state.is_reset).count();
        let falls = if self.stream.exchange == Exchange::Okx { falls } else { 0 };
        self.told.extend((0..falls).map(|_| Told { cause: "id_reset", ids: None, is_healed: false }));
        (self.at, self.is_joined) = (Some(change.to), true);
    }

    /// Takes what is held as far as it follows.
    fn drain(&mut self) {
        self.held.sort_by_key(|held| (held.from, held.to));
        while let Some(at) = self.at {
            let Some(first) = self.held.first() else { break };
            let is_known = self.is_known(first, at);
            if !is_known && first.from > at {
                if !self.may_be_filled(at) {
                    self.give_up();
                }
                break;
            }
            let first = self.held.remove(0);
            if let Some((ids, true)) = self.hole.take() {
                self.told.push(Told { cause: "missed", ids, is_healed: true });
            }
            if !is_known {
                self.apply(at, &first);
            }
        }
        if self.at.is_some() {
            self.wait();
        }
    }

    /// What is held waits for what it follows: the first of it says what is missing.
    fn wait(&mut self) {
        let first = self.held.iter().min_by_key(|held| (held.from, held.to));
        if let (None, Some(at), Some(first)) = (self.hole, self.at, first) {
            self.hole = Some((self.ids(at, first.from), first.skipped));
        }
    }

    fn may_be_filled(&self, at: usize) -> bool {
        !self.mute.is_empty() || self.chains.values().any(|chain| *chain <= at)
    }

    fn give_up_if_nobody_can_fill_it(&mut self) {
        if let Some(at) = self.at
            && !self.held.is_empty()
            && !self.may_be_filled(at)
        {
            self.give_up();
        }
    }

    /// Names the hole before what is held.
    fn give_up(&mut self) {
        let first = self.held.iter().min_by_key(|held| (held.from, held.to));
        let ids = self.at.zip(first).and_then(|(at, first)| self.ids(at, first.from));
        self.break_off("missed", ids);
        if self.stream.exchange.sends_snapshots() {
            self.held.clear();
        }
    }

    fn break_off(&mut self, cause: &'static str, ids: Option<(i64, i64)>) {
        self.hole = None;
        if self.at.take().is_some() && !std::mem::replace(&mut self.is_open, true) {
            self.told.push(Told { cause, ids, is_healed: false });
        }
    }

    fn snapshot_by_rest(&mut self, state: usize) {
        self.held.sort_by_key(|held| (held.from, held.to));
        (self.is_joined, self.at) = match self.at {
            Some(at) if state <= at || self.is_joined && self.held.is_empty() => return,
            at => (self.is_joined, at),
        };
        let says_more = self.stream.exchange == Exchange::Futures;
        let is_known = |held: &Held| if says_more { held.to < state } else { held.to <= state };
        if self.held.iter().find(|held| !is_known(held)).is_some_and(|first| first.from > state) {
            return;
        }
        if !self.held.is_empty() && self.at.is_some() {
            self.give_up();
        }
        (self.at, self.is_joined, self.is_open) = (Some(state), false, false);
        self.drain();
    }

    fn snapshot_of_a_channel(&mut self, conn: usize, state: usize) {
        let is_shared = self.chains.keys().any(|other| *other != conn);
        if let Some(at) = self.at.filter(|_| is_shared) {
            let [new, old] = [state, at].map(|state| &self.stream.states[state]);
            let had_come_as_far = self.chains.get(&conn).is_some_and(|chain| *chain >= at);
            let counts_anew = new.id < old.id && had_come_as_far && new.at >= old.at;
            if !counts_anew && (new.id <= old.id || state <= at) {
                self.chains.insert(conn, state);
                return;
            }
        }
        if !self.held.is_empty() && self.at.is_some() {
            self.give_up();
        }
        (self.at, self.is_joined, self.is_open) = (Some(state), true, false);
        self.chains.insert(conn, state);
        self.drain();
    }
}

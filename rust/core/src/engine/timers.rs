//! Deadlines as data. An entry is checked against the state when it fires, so nothing is ever cancelled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::config::Stream;
use crate::symbol::{ConnId, InstrumentId};

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Full-book rows are due.
    Checkpoint,
    /// A book has waited long enough for another connection to fill its hole.
    Heal(InstrumentId),
    /// Missing trades have had their time to come late.
    HealTrades(InstrumentId),
    /// What was declared missing has had its time to come late.
    LateTrades(InstrumentId),
    /// A range of trades may be asked for by REST.
    Recover,
    /// Open a connection.
    Open(ConnId),
    /// A connection that is to take another's place may carry by now what that does.
    Trial(ConnId),
    /// A connection is old enough to be replaced; in this session.
    Age(ConnId, u64),
    /// SUBSCRIBE should have been answered.
    Ack(ConnId, u64),
    /// What was refused or put off is asked for again; in this session.
    Again(ConnId, u64),
    /// Streams should have spoken, or have not for long; of this session of the connection.
    Watch(ConnId, u64),
    /// A connection should have spoken; in this session.
    Silence(ConnId, u64),
    /// Proof of life is due; in this session.
    Beat(ConnId, u64),
    /// Requests that were held back may leave; in this session.
    Flush(ConnId, u64),
    /// The best levels of the books are sampled.
    Top,
    /// Rows of `connections` are due.
    Ledger,
    /// Scores of connections age, and lanes are judged by them.
    Scores,
    /// Ask for a book's snapshot (again).
    Snapshot(InstrumentId),
    /// What is listed no more may have gone silent.
    Closed,
    /// Ask for the reference data (again).
    Reference,
    /// Ask for the state of the next instrument that no socket tells.
    Poll,
    /// A probed stream has had its time to catch up with REST.
    Recheck(InstrumentId, Stream),
}

/// All deadlines of one engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(u64, Timer)>>,
}

impl Timers {
    /// Arms `timer` at the monotonic time `at`.
    pub(super) fn arm(&mut self, at: u64, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the earliest deadline that has come.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, timer))| timer)
    }
}

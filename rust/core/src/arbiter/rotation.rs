//! Which connection is replaced for being worse than the others of its lane, and which addresses are worth going to.

mod reputation;

pub use reputation::Reputation;

use crate::symbol::ConnId;

/// Events that a connection must have been compared on, decayed, before its score counts.
const ENOUGH: f64 = 100.0;
/// Worse by this factor, and by [`MARGIN_NS`] …
const FACTOR: f64 = 2.0;
/// … in nanoseconds: less is not worth a connection.
const MARGIN_NS: f64 = 500_000.0;
/// Replacements that do not help double the wait for the next one, so many times.
const MOST_STRIKES: u32 = 5;
/// Ticks of one dwell: scores are looked at so often.
const TICKS_PER_DWELL: u64 = 60;
/// Longest time between two ticks, and the one where nothing is rotated, in nanoseconds.
const LONGEST_TICK: u64 = 5_000_000_000;
/// Shortest one.
const SHORTEST_TICK: u64 = 50_000_000;

/// Nanoseconds between two looks at the scores, for connections that stay `dwell` nanoseconds: a sixtieth of it, so that
/// what a score remembers is a tenth ([`super::score::HALF_LIFE_TICKS`] of them), and a passing weakness is forgiven.
#[must_use]
pub fn tick_ns(dwell: Option<u64>) -> u64 {
    dwell.map_or(LONGEST_TICK, |dwell| (dwell / TICKS_PER_DWELL).clamp(SHORTEST_TICK, LONGEST_TICK))
}

/// A connection of a lane that is up and carries its streams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Which.
    pub conn: ConnId,
    /// Its [`super::Score::cost_ns`].
    pub cost_ns: f64,
    /// Its [`super::Score::compared`].
    pub compared: f64,
}

impl Standing {
    /// It has been compared on enough events to mean something.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.compared >= ENOUGH
    }
}

/// The connections of one lane: those that carry the same streams.
///
/// One is *worse* while its cost is above twice the median of the others' and half a millisecond beyond it, all counted
/// on 100 common events at least. What has been worse for a whole dwell is to be replaced, the worst of it first. After
/// that the lane rests for a dwell, and twice as long each time that it did not help.
#[derive(Clone, Debug)]
pub struct Rotation {
    dwell: u64,
    /// The connections that are worse, and since when.
    worse: Vec<(ConnId, u64)>,
    /// When the last replacement was, and how many before it had not helped.
    last: Option<u64>,
    strikes: u32,
}

impl Rotation {
    /// `dwell` in nanoseconds.
    #[must_use]
    pub fn new(dwell: u64) -> Self {
        Self { dwell, worse: Vec::new(), last: None, strikes: 0 }
    }

    /// Looks at the lane: the connection that has been worse for long enough, if there is one. The caller may decline
    /// for now ([`Self::replaced`] says that it did not).
    pub fn judge(&mut self, now: u64, lane: &[Standing]) -> Option<ConnId> {
        let known: Vec<Standing> = lane.iter().copied().filter(Standing::is_certain).collect();
        let worse: Vec<Standing> = known.iter().copied().filter(|one| is_worse(*one, &known)).collect();
        self.worse.retain(|(conn, _)| worse.iter().any(|one| one.conn == *conn));
        for one in &worse {
            if !self.worse.iter().any(|(conn, _)| *conn == one.conn) {
                self.worse.push((one.conn, now));
            }
        }
        if self.last.is_some_and(|last| now.saturating_sub(last) < self.rest()) {
            return None;
        }
        let since = |conn| self.worse.iter().find(|(known, _)| *known == conn).map_or(now, |(_, since)| *since);
        let due = worse.into_iter().filter(|one| now.saturating_sub(since(one.conn)) >= self.dwell);
        due.max_by(|a, b| a.cost_ns.total_cmp(&b.cost_ns)).map(|one| one.conn)
    }

    /// A connection of the lane is being replaced, as [`Self::judge`] has told.
    pub fn replaced(&mut self, now: u64) {
        // Nothing was won where the next one is soon found no better.
        let helped = self.last.is_none_or(|last| now.saturating_sub(last) >= self.rest().saturating_mul(4));
        self.strikes = if helped { 0 } else { (self.strikes + 1).min(MOST_STRIKES) };
        self.last = Some(now);
        self.worse.clear();
    }

    fn rest(&self) -> u64 {
        self.dwell.saturating_mul(1 << self.strikes)
    }
}

/// Significantly worse than the others; never where there are none.
fn is_worse(one: Standing, lane: &[Standing]) -> bool {
    let mut others: Vec<f64> = lane.iter().filter(|other| other.conn != one.conn).map(|other| other.cost_ns).collect();
    others.sort_by(f64::total_cmp);
    // Of an even number the better one of the middle: of three connections, two may be bad.
    let median = others.len().checked_sub(1).and_then(|last| others.get(last / 2));
    median.is_some_and(|median| one.cost_ns > median * FACTOR && one.cost_ns > median + MARGIN_NS)
}

#[cfg(test)]
mod tests;

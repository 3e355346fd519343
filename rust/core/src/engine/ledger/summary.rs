//! What several connections gained against the best single one.

use serde::Serialize;

use super::super::Engine;
use super::{Interval, Ledger};
use crate::arbiter::Histogram;
use crate::arbiter::score::LOST_NS;
use crate::symbol::ConnId;

/// What a place of a lane has come to, whoever held it.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    wins: u64,
    losses: u64,
    missed: i64,
    behind: Histogram,
    openings: u64,
}

impl Totals {
    fn add(&mut self, interval: &Interval) {
        self.wins = self.wins.saturating_add(interval.wins);
        self.losses = self.losses.saturating_add(interval.losses);
        self.missed = self.missed.saturating_add(interval.missed);
        self.behind.merge(&interval.behind);
    }

    fn missed(&self) -> u64 {
        u64::try_from(self.missed).unwrap_or(0)
    }

    /// Events that it could have won.
    fn all(&self) -> u64 {
        self.wins.saturating_add(self.losses).saturating_add(self.missed())
    }

    /// By how many nanoseconds later than first an event came, on average; what never came as in [`crate::arbiter::Score`].
    fn cost_ns(&self) -> u128 {
        let lost = u128::from(self.missed()) * u128::from(LOST_NS);
        (self.behind.sum(LOST_NS) + lost) / u128::from(self.all().max(1))
    }
}

/// Milliseconds that half, 99 % and 99.9 % of all events do not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
}

/// One place of a lane in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PlaceReport {
    /// Its number, from 0.
    pub place: u16,
    /// Connections that have held it, and times that they came back.
    pub openings: u64,
    /// Events that it brought first.
    pub wins: u64,
    /// Events that another had brought before.
    pub losses: u64,
    /// Events that others brought and it did not: alone it would have had holes there.
    pub missed: u64,
    /// Its share of all that it could have won.
    pub win_share: f64,
    /// By how much it was behind the first, over all events that it brought: 0 where it won.
    pub behind_ms: Quantiles,
}

/// What the connections of one lane gained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LaneReport {
    /// The venue.
    pub exchange: &'static str,
    /// Number of the shard.
    pub shard: u16,
    /// Number of the lane: of the connections that carry the same streams.
    pub lane: u16,
    /// Events that were compared.
    pub events: u64,
    /// Each place.
    pub connections: Vec<PlaceReport>,
    /// The place of the best single connection: of those that were there nearly all the time the one on which events came
    /// earliest on average, if one that did not come counts as 250 ms late.
    pub best: u16,
    /// By how much later events would have come on it alone.
    pub gain_ms: Quantiles,
    /// Events that would not have come on it at all.
    pub holes_of_best: u64,
}

/// What redundancy gained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArbitrationReport {
    /// Lanes that several connections have carried; none where nothing was carried twice.
    pub lanes: Vec<LaneReport>,
    /// Holes behind which events had come already, and which another connection filled in time. What was there before anybody
    /// noticed is no such hole: that is in `missed` of each place.
    pub holes_healed: u64,
    /// Copies, of those that were compared, that said something else under the same id.
    pub conflicts: u64,
    /// Copies that were to be compared and came when what had been taken was remembered no more.
    pub unchecked: u64,
}

impl Ledger {
    /// Adds what a connection has done since its last row to what its place has come to.
    pub(super) fn carry_over(&mut self, conn: ConnId) {
        let Some((meter, seat)) = self.meters.get(usize::from(conn.0)).and_then(|meter| Some((meter, meter.seat?)))
        else {
            return;
        };
        totals_of(&mut self.totals, seat).add(&meter.interval);
    }

    /// A place was taken, or taken again.
    pub(super) fn opened(&mut self, seat: (u16, u16)) {
        let totals = totals_of(&mut self.totals, seat);
        totals.openings = totals.openings.saturating_add(1);
    }

    /// Every place with what has been counted until now, and what these connections lack.
    fn totals(&self, lacking: impl Iterator<Item = ConnId>) -> Vec<((u16, u16), Totals)> {
        let mut totals = self.totals.clone();
        for meter in &self.meters {
            if let Some(seat) = meter.seat {
                totals_of(&mut totals, seat).add(&meter.interval);
            }
        }
        for conn in lacking {
            if let Some(seat) = self.meters.get(usize::from(conn.0)).and_then(|meter| meter.seat) {
                totals_of(&mut totals, seat).missed += 1;
            }
        }
        totals.sort_by_key(|(seat, _)| *seat);
        totals
    }
}

fn totals_of(totals: &mut Vec<((u16, u16), Totals)>, seat: (u16, u16)) -> &mut Totals {
    let at = match totals.iter().position(|(known, _)| *known == seat) {
        Some(at) => at,
        None => {
            totals.push((seat, Totals::default()));
            totals.len() - 1
        }
    };
    &mut totals[at].1
}

impl Engine {
    /// What several connections gained until now.
    #[must_use]
    pub fn arbitration(&self) -> ArbitrationReport {
        let config = &self.cx.config;
        // What came just now others may still bring.
        let until = self.cx.now.at.mono.saturating_sub(LOST_NS);
        let totals = self.cx.ledger.totals(self.instruments.iter().flat_map(|state| state.lacking(until)));
        let lanes = totals.chunk_by(|((a, _), _), ((b, _), _)| a == b).filter_map(|places| {
            let lane = places.first().map(|((lane, _), _)| *lane)?;
            let events = places.iter().map(|(_, totals)| totals.wins).fold(0, u64::saturating_add);
            let is_compared = places.iter().any(|(_, totals)| totals.losses > 0);
            // Who was there for a moment cannot be judged by that.
            let longest = places.iter().map(|(_, totals)| totals.all()).max()?;
            let there = |totals: &Totals| u128::from(totals.all()) * 10 >= u128::from(longest.min(events)) * 9;
            let compared = places.iter().filter(|(_, totals)| totals.wins + totals.losses > 0 && there(totals));
            let (best, gain) =
                compared.min_by_key(|(seat, totals)| (totals.cost_ns(), *seat)).filter(|_| is_compared)?;
            Some(LaneReport {
                exchange: config.venue.id(),
                shard: config.shard,
                lane,
                events,
                connections: places.iter().map(|((_, place), totals)| report(*place, totals)).collect(),
                best: best.1,
                gain_ms: quantiles(gain),
                holes_of_best: gain.missed(),
            })
        });
        let counters = &self.cx.counters;
        ArbitrationReport {
            lanes: lanes.collect(),
            holes_healed: counters.healed,
            conflicts: counters.conflicts,
            unchecked: counters.unchecked,
        }
    }
}

fn report(place: u16, totals: &Totals) -> PlaceReport {
    let all = totals.all();
    PlaceReport {
        place,
        openings: totals.openings,
        wins: totals.wins,
        losses: totals.losses,
        missed: totals.missed(),
        win_share: if all > 0 { totals.wins as f64 / all as f64 } else { 0.0 },
        behind_ms: quantiles(totals),
    }
}

fn quantiles(totals: &Totals) -> Quantiles {
    let at = |millionths| totals.behind.quantile_after(totals.wins, millionths).unwrap_or(0) as f64 / 1e6;
    Quantiles { p50: at(500_000), p99: at(990_000), p999: at(999_000) }
}

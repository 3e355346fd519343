//! What each connection is worth: counted frame by frame, written interval by interval.
//!
//! [`rows`] the table `connections` · [`rotate`] who is replaced, and where connections go · [`summary`] what several
//! connections gained.

mod rotate;
mod rows;
mod summary;

use std::net::IpAddr;

pub use summary::{ArbitrationReport, LaneReport, PlaceReport, Quantiles};

use rotate::Lanes;
use summary::Totals;

use super::context::Origin;
use crate::arbiter::{Arrival, Heat, Histogram, Length, Place, Race, Score};
use crate::config::EngineConfig;
use crate::event::EventTimes;
use crate::symbol::ConnId;
use crate::table::{StampSource, flags};
use crate::time::NS_PER_S;

/// When an event happened, and when the exchange last wrote a time to it: of no use without the former.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub event: Option<i64>,
    pub sent: i64,
}

impl Moment {
    #[inline(always)]
    pub(super) fn of(times: &EventTimes) -> Self {
        Self { event: times.event, sent: times.venue.or(times.event).unwrap_or_default() }
    }
}

/// What a connection has done since its last row.
#[derive(Clone, Debug, Default)]
struct Interval {
    messages: u64,
    bytes: u64,
    wins: u64,
    losses: u64,
    missed: i64,
    lead: Histogram,
    behind: Histogram,
    latency: Histogram,
    /// By how much a time that the exchange wrote was ahead of its receipt, at most.
    ahead: Option<i64>,
    /// Messages by who stamped them, without those since the last change of that.
    stamped: [u64; StampSource::DICTIONARY.len()],
}

impl Interval {
    /// Whoever has stamped what came since this was last asked has stamped no more.
    fn settle(&mut self, source: StampSource) {
        let settled: u64 = self.stamped.iter().sum();
        self.stamped[source as usize] += self.messages - settled;
    }

    /// Who has stamped most of what came; of several the one that is furthest from the wire.
    fn stamped_mostly(&self) -> Option<StampSource> {
        let most = self.stamped.iter().max().filter(|most| **most > 0)?;
        let at = self.stamped.iter().position(|count| count == most)?;
        StampSource::DICTIONARY.get(at).and_then(|word| StampSource::named(word))
    }

    fn clear(&mut self) {
        self.stamped = Default::default();
        (self.messages, self.bytes, self.wins, self.losses, self.missed) = (0, 0, 0, 0, 0);
        self.ahead = None;
        for histogram in [&mut self.lead, &mut self.behind, &mut self.latency] {
            histogram.clear();
        }
    }
}

/// One connection, from its first opening until its number is free.
#[derive(Clone, Debug, Default)]
struct Meter {
    host: Box<str>,
    ip: Option<IpAddr>,
    /// Who stamps what it receives, and who has stamped its next message, where that is another.
    stamps: StampSource,
    stamps_next: Option<StampSource>,
    opened_at: Option<i64>,
    ups: u64,
    is_up: bool,
    /// While it is dialled: its lane, and the address to which it was advised to go.
    expected: Option<(u16, IpAddr)>,
    interval: Interval,
    score: Score,
    /// Its lane and its place there, once it was up.
    seat: Option<(u16, u16)>,
}

impl Meter {
    #[inline]
    fn took_an_event(&mut self, origin: Origin, moment: Moment) {
        if origin.suspect & flags::RECV_SUSPECT == 0
            && let Some(event) = moment.event
        {
            let ahead = moment.sent.saturating_sub(origin.ts_recv);
            // A branch that is nearly never taken, unlike that of two that are compared as options.
            if self.interval.ahead.is_none_or(|most| most < ahead) {
                self.interval.ahead = Some(ahead);
            }
            // Clocks that are not set alike may say that it came before it was.
            let latency = if origin.ts_recv > event { origin.ts_recv.abs_diff(event) } else { 0 };
            self.interval.latency.add(latency);
        }
    }

    /// From here on another stamps what it receives.
    fn turn(&mut self, source: StampSource) {
        self.interval.settle(self.stamps);
        (self.stamps, self.stamps_next) = (source, None);
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ledger {
    /// By number. The first is nobody's: what counts for no connection is added there, and read by none.
    meters: Vec<Meter>,
    /// Of each place of each lane, whoever held it.
    totals: Vec<((u16, u16), Totals)>,
    lanes: Lanes,
}

impl Ledger {
    pub(super) fn new(config: &EngineConfig) -> Self {
        let dwell = config.arbitration.dwell_s.map(|s| s.saturating_mul(NS_PER_S.unsigned_abs()));
        Self { meters: vec![Meter::default()], totals: Vec::new(), lanes: Lanes::new(dwell) }
    }

    #[inline]
    fn meter(&mut self, conn: ConnId) -> Option<&mut Meter> {
        self.meters.get_mut(usize::from(conn.0))
    }

    /// As [`Self::meter`], of a connection that may be new.
    fn meter_of(&mut self, conn: ConnId) -> Option<&mut Meter> {
        if self.meters.len() <= usize::from(conn.0) {
            self.meters.resize_with(usize::from(conn.0) + 1, Meter::default);
        }
        self.meter(conn)
    }

    /// The number is given to another connection.
    pub(super) fn renew(&mut self, conn: ConnId) {
        if let Some(meter) = self.meter(conn) {
            *meter = Meter::default();
        }
    }

    /// Who has stamped the next message of a connection.
    #[inline]
    pub(super) fn stamped_by(&mut self, conn: ConnId, source: StampSource) {
        if let Some(meter) = self.meter(conn) {
            meter.stamps_next = Some(source).filter(|source| *source != meter.stamps);
        }
    }

    /// The same, where that is another than of the message before.
    pub(super) fn stamps_next(&self, conn: ConnId) -> Option<StampSource> {
        self.meters.get(usize::from(conn.0)).and_then(|meter| meter.stamps_next)
    }

    /// A message came. It tells of an event of these times, where its head says so.
    #[inline]
    pub(super) fn on_message(&mut self, origin: Origin, bytes: usize, moment: Moment) {
        if let Some(meter) = self.meter(origin.conn) {
            if let Some(source) = meter.stamps_next {
                meter.turn(source);
            }
            meter.interval.messages += 1;
            meter.interval.bytes += bytes as u64;
            meter.took_an_event(origin, moment);
        }
    }

    /// A message that had no head tells of an event of these times.
    #[inline]
    pub(super) fn on_event(&mut self, origin: Origin, times: EventTimes) {
        if let Some(meter) = self.meter(origin.conn) {
            meter.took_an_event(origin, Moment::of(&times));
        }
    }

    /// A copy of what another connection has brought came, as it mostly does: soon and in order. False, and nothing has
    /// changed, where it did not.
    #[inline(always)]
    pub(super) fn on_copy(&mut self, race: &mut Race, conn: ConnId, key: i64, before: i64, mono: u64) -> bool {
        let Some(copy) = race.note_copy(conn, key, before, mono) else { return false };
        let length = Length::of(copy.ns);
        if let Some(meter) = self.meter(conn) {
            meter.interval.losses += 1;
            meter.interval.behind.add_one(length);
            meter.score.was_behind(copy.ns);
        }
        // Of later copies nobody, who is counted like anybody: whether it is the first nobody can guess.
        if let Some(leader) = self.meter(copy.leader) {
            leader.interval.lead.add_one(length);
            leader.score.led(copy.ns);
        }
        true
    }

    /// News came, as they mostly do. False, and nothing has changed, where they did not.
    #[inline(always)]
    pub(super) fn on_first(&mut self, race: &mut Race, conn: ConnId, key: i64, before: i64, mono: u64) -> bool {
        let Some(heat) = race.note_first(conn, key, before, mono) else { return false };
        if let Some(meter) = self.meter(conn) {
            meter.interval.wins += 1;
        }
        if heat.has_missers() {
            self.charge(race, &heat);
        }
        true
    }

    /// A frame of a stream that several connections carry came.
    #[inline(never)]
    pub(super) fn on_arrival(&mut self, race: &mut Race, conn: ConnId, arrival: Arrival) {
        let heat = race.note(conn, arrival);
        if let Some(meter) = self.meter(conn) {
            match heat.place {
                Place::First => meter.interval.wins += 1,
                Place::Behind { ns, leader } => {
                    meter.interval.losses += 1;
                    let length = Length::of(ns);
                    meter.interval.behind.add_one(length);
                    meter.score.was_behind(ns);
                    if heat.is_spared {
                        meter.interval.missed -= 1;
                        meter.score.was_spared();
                    }
                    if let Some(leader) = leader.and_then(|leader| self.meter(leader)) {
                        leader.interval.lead.add_one(length);
                        leader.score.led(ns);
                    }
                }
                Place::Apart => {}
            }
        }
        if heat.has_missers() {
            self.charge(race, &heat);
        }
    }

    #[cold]
    fn charge(&mut self, race: &Race, heat: &Heat) {
        for missed in race.missed_by(heat) {
            if let Some(meter) = self.meter(missed) {
                meter.interval.missed += 1;
                meter.score.lost();
            }
        }
    }
}

//! Who is replaced for being worse than the others of its lane, and by which addresses connections go.

use super::super::Engine;
use super::super::connection::Connection;
use super::super::input::Advice;
use super::super::replacement::Why;
use super::super::timers::Timer;
use super::Ledger;
use crate::arbiter::rotation::tick_ns;
use crate::arbiter::{Reputation, Rotation, Standing};
use crate::symbol::ConnId;

/// Least nanoseconds between two replacements of one engine: opening connections has a budget.
const SPACING: u64 = 10_000_000_000;
/// What addresses are remembered by where nothing is rotated, in nanoseconds.
const USUAL_DWELL: u64 = 300_000_000_000;

/// The lanes of one engine.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Nanoseconds; `None` rotates nothing.
    dwell: Option<u64>,
    /// By the lane's number.
    rotations: Vec<Rotation>,
    reputation: Reputation,
    /// Monotonic time of the last replacement.
    last: Option<u64>,
    ticking: bool,
}

impl Lanes {
    pub(super) fn new(dwell: Option<u64>) -> Self {
        let reputation = Reputation::new(dwell.unwrap_or(USUAL_DWELL));
        Self { dwell, rotations: Vec::new(), reputation, last: None, ticking: false }
    }

    fn is_resting(&self, now: u64) -> bool {
        let spacing = SPACING.min(self.dwell.unwrap_or(SPACING));
        self.last.is_some_and(|last| now.saturating_sub(last) < spacing)
    }
}

impl Ledger {
    /// Where a connection had better go. It is expected there until it is up or down: who is advised meanwhile goes
    /// elsewhere, or all that are cut in one moment would come back to one address, the best.
    pub(in super::super) fn advise(&mut self, now: u64, conn: ConnId, lane: u16, place: u16) -> Advice {
        let others = self.meters.iter().enumerate().filter(|(at, _)| *at != usize::from(conn.0));
        let siblings = others.filter_map(|(_, meter)| match meter.expected {
            Some((of, ip)) => (of == lane).then_some(ip),
            None => meter.seat.filter(|(of, _)| meter.is_up && *of == lane).and(meter.ip),
        });
        let siblings: Vec<_> = siblings.collect();
        let advice = self.lanes.reputation.advise(now, &siblings, place);
        if let Some(meter) = self.meter_of(conn) {
            meter.expected = advice.good.first().map(|ip| (lane, *ip));
        }
        advice
    }

    /// A lane begins, perhaps by the number of one that is gone: of that nothing is told against it.
    pub(in super::super) fn begin_lane(&mut self, lane: u16) {
        if let Some((dwell, rotation)) = self.lanes.dwell.zip(self.lanes.rotations.get_mut(usize::from(lane))) {
            *rotation = Rotation::new(dwell);
        }
    }
}

impl Engine {
    /// Scores age from when there are some: where several connections carry one stream.
    pub(in super::super) fn arm_scores(&mut self) {
        let several = self.cx.config.connections > 1;
        if self.cx.live && several && !std::mem::replace(&mut self.cx.ledger.lanes.ticking, true) {
            self.arm_next_score();
        }
    }

    fn arm_next_score(&mut self) {
        let at = self.cx.now.at.mono.saturating_add(tick_ns(self.cx.ledger.lanes.dwell));
        self.cx.timers.arm(at, Timer::Scores);
    }

    /// Scores age, and lanes are judged by them.
    pub(in super::super) fn on_scores_timeout(&mut self) {
        self.arm_next_score();
        let now = self.cx.now.at.mono;
        for meter in &mut self.cx.ledger.meters {
            meter.score.tick();
        }
        let lanes = self.connections.iter().map(|connection| connection.lane + 1).max().unwrap_or(0);
        for lane in 0..lanes {
            let Some(conn) = self.judge_lane(lane, now) else { continue };
            let ledger = &mut self.cx.ledger;
            // Before the new one is opened, which may be at once: it had better not go there again.
            if let Some(ip) = ledger.meter(conn).and_then(|meter| meter.ip) {
                ledger.lanes.reputation.shun(now, ip);
            }
            if self.replace_worse(conn) {
                let lanes = &mut self.cx.ledger.lanes;
                lanes.last = Some(now);
                lanes.rotations[usize::from(lane)].replaced(now);
            }
        }
    }

    /// Begins to replace a connection. False where nothing was begun.
    fn replace_worse(&mut self, conn: ConnId) -> bool {
        self.replace(conn, Why::Worse)
    }

    /// The connection of a lane that is to be replaced, if there is one and it may be.
    fn judge_lane(&mut self, lane: u16, now: u64) -> Option<ConnId> {
        let Self { cx, connections, .. } = self;
        let Ledger { meters, lanes, .. } = &mut cx.ledger;
        let mut standings = Vec::new();
        let is_running = |c: &&Connection| c.lane == lane && c.is_in_use() && c.is_up();
        for connection in connections.iter().filter(is_running) {
            let Some(meter) = meters.get(usize::from(connection.id.0)) else { continue };
            let Some(cost_ns) = meter.score.cost_ns() else { continue };
            let standing = Standing { conn: connection.id, cost_ns, compared: meter.score.compared() };
            if let Some(ip) = meter.ip.filter(|_| standing.is_certain()) {
                lanes.reputation.note(now, ip, cost_ns);
            }
            standings.push(standing);
        }
        let dwell = lanes.dwell?;
        if lanes.rotations.len() <= usize::from(lane) {
            lanes.rotations.resize_with(usize::from(lane) + 1, || Rotation::new(dwell));
        }
        let worst = lanes.rotations[usize::from(lane)].judge(now, &standings);
        worst.filter(|_| !lanes.is_resting(now))
    }
}

//! Which plans strike now: counters, times and chances. No I/O.

use crate::clock::{MarketTime, seconds};
use crate::fault::{Fault, FaultPlan, Stage};
use crate::random::Random;

/// All plans, in the order in which they were added.
pub(crate) struct Faults {
    plans: Vec<Active>,
    next_id: u64,
    rng: Random,
    fired: Vec<u64>,
}

struct Active {
    id: u64,
    plan: FaultPlan,
    from: MarketTime,
    until: MarketTime,
    seen: u64,
    left: Option<u64>,
    /// Connections that a connection fault has struck already.
    struck: Vec<u64>,
}

/// What a plan is matched against.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameContext<'a> {
    pub connection: Option<u64>,
    pub family: &'a str,
    pub symbol: &'a str,
    pub stream: &'a str,
    pub path: &'a str,
}

impl Active {
    fn matches(&self, c: &FrameContext<'_>) -> bool {
        let t = &self.plan.target;
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        t.connection.is_none_or(|n| Some(n) == c.connection)
            && is(&t.family, c.family)
            && is(&t.symbol, c.symbol)
            && is(&t.stream, c.stream)
            && t.path.as_deref().is_none_or(|p| c.path.ends_with(p))
    }

    fn live(&self, now: MarketTime) -> bool {
        now >= self.from && now < self.until && self.left != Some(0)
    }

    /// True where the plan waits for frames, not for the clock alone.
    fn by_frames(&self) -> bool {
        self.plan.when.after_frames > 0 || self.plan.target.symbol.is_some() || self.plan.target.stream.is_some()
    }
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { plans: Vec::new(), next_id: 0, rng: Random::new(seed, "faults"), fired: Vec::new() }
    }

    /// A number below 1 for delays.
    pub(crate) fn unit(&mut self) -> f64 {
        self.rng.unit()
    }

    pub(crate) fn add(&mut self, plan: FaultPlan, now: MarketTime) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let endless = matches!(plan.fault, Fault::Delay { .. } | Fault::Silence);
        let left = match plan.when.times {
            Some(0) => None,
            None if endless => None,
            times => Some(times.unwrap_or(1)),
        };
        let from = now.saturating_add(seconds(plan.when.after_s));
        let until = plan.when.for_s.map_or(MarketTime::MAX, |s| from.saturating_add(seconds(s)));
        self.fired.push(0);
        self.plans.push(Active { id, plan, from, until, seen: 0, left, struck: Vec::new() });
        id
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.plans.retain(|p| p.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.plans.clear();
    }

    /// How often a plan has struck.
    pub(crate) fn fired(&self, id: u64) -> u64 {
        usize::try_from(id).ok().and_then(|i| self.fired.get(i)).copied().unwrap_or(0)
    }

    /// Faults of a stage that strike this frame, connection or request. Counts it as seen.
    pub(crate) fn strike(&mut self, stage: Stage, c: &FrameContext<'_>, now: MarketTime) -> Vec<(u64, Fault)> {
        let mut out = Vec::new();
        for p in &mut self.plans {
            if p.plan.fault.stage() != stage || !p.live(now) || !p.matches(c) {
                continue;
            }
            if stage == Stage::Connection && !p.by_frames() {
                continue;
            }
            p.seen += 1;
            let chance = p.plan.when.probability;
            if p.seen <= p.plan.when.after_frames || (chance < 1.0 && !self.rng.chance(chance)) {
                continue;
            }
            p.left = p.left.map(|n| n.saturating_sub(1));
            self.fired[p.id as usize] += 1;
            out.push((p.id, p.plan.fault.clone()));
        }
        self.forget(now);
        out
    }

    /// Connection faults that only wait for their time: those that now strike the connection described by `c`.
    pub(crate) fn due(&mut self, c: &FrameContext<'_>, now: MarketTime) -> Vec<(u64, Fault)> {
        let mut out = Vec::new();
        for p in &mut self.plans {
            let waiting = p.plan.fault.stage() == Stage::Connection && !p.by_frames() && p.live(now) && p.matches(c);
            let Some(connection) = c.connection.filter(|n| waiting && !p.struck.contains(n)) else { continue };
            p.struck.push(connection);
            if self.rng.chance(p.plan.when.probability) {
                p.left = p.left.map(|n| n.saturating_sub(1));
                self.fired[p.id as usize] += 1;
                out.push((p.id, p.plan.fault.clone()));
            }
        }
        self.forget(now);
        out
    }

    /// Market faults that begin now.
    pub(crate) fn market(&mut self, now: MarketTime) -> Vec<(u64, FaultPlan)> {
        let mut out = Vec::new();
        for p in &mut self.plans {
            let lasting = matches!(p.plan.fault, Fault::Rate { .. });
            if p.plan.fault.stage() != Stage::Market || !p.live(now) || (lasting && p.seen > 0) {
                continue;
            }
            p.seen += 1;
            if !lasting {
                p.left = p.left.map(|n| n.saturating_sub(1));
            }
            self.fired[p.id as usize] += 1;
            out.push((p.id, p.plan.clone()));
        }
        self.forget(now);
        out
    }

    /// The product of all rates in force.
    pub(crate) fn rate(&self, now: MarketTime) -> f64 {
        let factor = |p: &Active| match p.plan.fault {
            Fault::Rate { factor } if p.live(now) => factor,
            _ => 1.0,
        };
        self.plans.iter().map(factor).product()
    }

    /// When the clock alone changes something next.
    pub(crate) fn next_time(&self, now: MarketTime) -> Option<MarketTime> {
        let by_clock = |p: &&Active| matches!(p.plan.fault.stage(), Stage::Connection | Stage::Market);
        self.plans
            .iter()
            .filter(by_clock)
            .flat_map(|p| [p.from, p.until])
            .filter(|t| *t > now && *t != MarketTime::MAX)
            .min()
    }

    fn forget(&mut self, now: MarketTime) {
        self.plans.retain(|p| p.left != Some(0) && now < p.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    fn plan(json: &str) -> FaultPlan {
        FaultPlan::from_json(json).expect("a plan")
    }

    fn frame<'a>(connection: u64, stream: &'a str) -> FrameContext<'a> {
        FrameContext { connection: Some(connection), family: "public", symbol: "BTCUSDT", stream, path: "" }
    }

    #[test]
    fn a_plan_counts_frames_and_strikes_so_often() {
        let mut f = Faults::new(1);
        let id =
            f.add(plan(r#"{"fault":{"kind":"drop"},"target":{"stream":"a"},"when":{"after_frames":2,"times":2}}"#), 0);
        let hits: Vec<bool> = (0..6).map(|_| !f.strike(Stage::Frame, &frame(0, "a"), 1).is_empty()).collect();
        assert_eq!(hits, [false, false, true, true, false, false]);
        assert!(f.strike(Stage::Frame, &frame(0, "b"), 1).is_empty());
        assert_eq!(f.fired(id), 2);
    }

    #[test]
    fn a_plan_has_a_beginning_and_an_end() {
        let mut f = Faults::new(1);
        f.add(plan(r#"{"fault":{"kind":"silence"},"when":{"after_s":1,"for_s":1}}"#), 0);
        let hit = |f: &mut Faults, at| !f.strike(Stage::Frame, &frame(0, "a"), at).is_empty();
        assert!(!hit(&mut f, SECOND - 1) && hit(&mut f, SECOND) && hit(&mut f, 2 * SECOND - 1));
        assert!(!hit(&mut f, 2 * SECOND));
    }

    #[test]
    fn a_connection_fault_waits_for_its_time_and_strikes_each_connection_once() {
        let mut f = Faults::new(1);
        f.add(plan(r#"{"fault":{"kind":"half_open"},"when":{"after_s":1,"times":2}}"#), 0);
        assert_eq!(f.next_time(0), Some(SECOND));
        assert!(f.due(&frame(0, ""), 0).is_empty());
        assert_eq!(f.due(&frame(0, ""), SECOND).len(), 1);
        assert!(f.due(&frame(0, ""), SECOND).is_empty());
        assert_eq!(f.due(&frame(1, ""), SECOND).len(), 1);
        assert!(f.due(&frame(2, ""), SECOND).is_empty());
    }

    #[test]
    fn rates_multiply_while_they_last() {
        let mut f = Faults::new(1);
        f.add(plan(r#"{"fault":{"kind":"rate","factor":50},"when":{"for_s":2}}"#), 0);
        f.add(plan(r#"{"fault":{"kind":"rate","factor":2}}"#), 0);
        assert_eq!(f.market(0).len(), 2);
        assert!(f.market(1).is_empty());
        assert_eq!((f.rate(1), f.rate(2 * SECOND)), (100.0, 2.0));
    }
}

//! Which plans strike now: counters, times and chances. No I/O.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::clock::{MarketTime, seconds};
use crate::fault::{Fault, FaultPlan, Stage};
use crate::random::Random;

/// All plans, in the order in which they were added.
pub(crate) struct Faults {
    plans: Vec<Active>,
    next_id: u64,
    seed: u64,
    fired: Vec<u64>,
}

struct Active {
    id: u64,
    plan: FaultPlan,
    from: MarketTime,
    until: MarketTime,
    seen: u64,
    left: Option<u64>,
    /// Connections that a connection fault has struck already, or when it strikes them next.
    next: BTreeMap<u64, MarketTime>,
    dice: BTreeMap<Option<u64>, Dice>,
}

/// The chances of one plan on one connection: what becomes of it depends on nothing that happens to others.
struct Dice {
    rng: Random,
    /// How slow this connection is among all, 0 to 1.
    share: f64,
}

/// What a plan is matched against.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameContext<'a> {
    pub connection: Option<u64>,
    pub address: Option<IpAddr>,
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
            && t.address.is_none_or(|a| Some(a) == c.address)
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

    fn dice(&mut self, seed: u64, connection: Option<u64>) -> &mut Dice {
        let id = self.id;
        self.dice.entry(connection).or_insert_with(|| {
            let mut rng = Random::new(seed, &format!("fault {id} of {connection:?}"));
            Dice { share: rng.unit(), rng }
        })
    }

    fn chance(&mut self, seed: u64, connection: Option<u64>) -> bool {
        let p = self.plan.when.probability;
        p >= 1.0 || self.dice(seed, connection).rng.chance(p)
    }

    fn hit(&mut self, fired: &mut [u64]) -> (u64, Fault) {
        self.left = self.left.map(|n| n.saturating_sub(1));
        fired[self.id as usize] += 1;
        (self.id, self.plan.fault.clone())
    }

    /// Whether a fault that waits for its time alone strikes this connection now; where it strikes again, when.
    fn is_due(&mut self, seed: u64, connection: u64, now: MarketTime) -> bool {
        let Some(every) = self.plan.when.every_s else {
            return self.next.insert(connection, now).is_none();
        };
        let known = self.next.get(&connection).copied();
        if known.is_some_and(|next| next > now) {
            return false;
        }
        let wait = seconds(every * (0.5 + self.dice(seed, Some(connection)).rng.unit()));
        self.next.insert(connection, now.saturating_add(wait));
        known.is_some()
    }
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { plans: Vec::new(), next_id: 0, seed, fired: Vec::new() }
    }

    /// Whether any plan is for this stage.
    pub(crate) fn concern(&self, stage: Stage) -> bool {
        self.plans.iter().any(|p| p.plan.fault.stage() == stage)
    }

    pub(crate) fn add(&mut self, plan: FaultPlan, now: MarketTime) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let endless = matches!(
            plan.fault,
            Fault::Delay { .. } | Fault::Silence | Fault::ReplayRecent { .. } | Fault::NamelessErrors
        ) || plan.when.every_s.is_some();
        let left = match plan.when.times {
            Some(0) => None,
            None if endless => None,
            times => Some(times.unwrap_or(1)),
        };
        let from = now.saturating_add(seconds(plan.when.after_s));
        let until = plan.when.for_s.map_or(MarketTime::MAX, |s| from.saturating_add(seconds(s)));
        self.fired.push(0);
        let (next, dice) = (BTreeMap::new(), BTreeMap::new());
        self.plans.push(Active { id, plan, from, until, seen: 0, left, next, dice });
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

    /// Faults of a stage that strike this frame, connection, subscription or request. Counts it as seen. What a delay draws is
    /// in its seconds.
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
            if p.seen <= p.plan.when.after_frames || !p.chance(self.seed, c.connection) {
                continue;
            }
            let (id, mut fault) = p.hit(&mut self.fired);
            if let Fault::Delay { seconds, jitter_s, spread_s } = &mut fault {
                let dice = p.dice(self.seed, c.connection);
                *seconds += *jitter_s * dice.rng.unit() + *spread_s * dice.share;
            }
            out.push((id, fault));
        }
        self.forget(now);
        out
    }

    /// Connection faults that only wait for their time: those that now strike the connection described by `c`.
    pub(crate) fn due(&mut self, c: &FrameContext<'_>, now: MarketTime) -> Vec<(u64, Fault)> {
        let mut out = Vec::new();
        for p in &mut self.plans {
            let waiting = p.plan.fault.stage() == Stage::Connection && !p.by_frames() && p.live(now) && p.matches(c);
            let Some(connection) = c.connection.filter(|_| waiting) else { continue };
            if p.is_due(self.seed, connection, now) && p.chance(self.seed, Some(connection)) {
                out.push(p.hit(&mut self.fired));
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
            .flat_map(|p| p.next.values().copied().chain([p.from, p.until]))
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
        let address = Some(IpAddr::from([127, 0, 0, 1]));
        FrameContext { connection: Some(connection), address, family: "public", symbol: "BTCUSDT", stream, path: "" }
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
    fn a_share_of_the_frames_is_struck_and_each_connection_has_its_own_luck() {
        let draw = |seed, connection| {
            let mut f = Faults::new(seed);
            f.add(plan(r#"{"fault":{"kind":"drop"},"when":{"probability":0.1,"times":0}}"#), 0);
            // What happens to others changes nothing.
            (0..seed).for_each(|_| drop(f.strike(Stage::Frame, &frame(99, "a"), 1)));
            let hit = |_| !f.strike(Stage::Frame, &frame(connection, "a"), 1).is_empty();
            (0..2000).map(hit).collect::<Vec<bool>>()
        };
        let (a, b) = (draw(1, 0), draw(1, 1));
        let hits = a.iter().filter(|h| **h).count();
        assert!((140..260).contains(&hits), "{hits}");
        assert_ne!(a, b);
        assert_eq!(a, draw(1, 0));
        assert_ne!(a, draw(2, 0));
    }

    #[test]
    fn some_connections_are_slower_than_others_and_stay_so() {
        let mut f = Faults::new(1);
        f.add(plan(r#"{"fault":{"kind":"delay","seconds":1,"spread_s":2}}"#), 0);
        let wait = |f: &mut Faults, connection| match f.strike(Stage::Frame, &frame(connection, "a"), 1).first() {
            Some((_, Fault::Delay { seconds, .. })) => *seconds,
            other => panic!("{other:?}"),
        };
        let waits: Vec<f64> = (0..10).map(|c| wait(&mut f, c)).collect();
        assert!(waits.iter().all(|w| (1.0..3.0).contains(w)) && waits.windows(2).all(|w| w[0] != w[1]), "{waits:?}");
        assert_eq!(waits, (0..10).map(|c| wait(&mut f, c)).collect::<Vec<f64>>());
    }

    #[test]
    fn a_repeated_fault_strikes_connections_at_different_moments() {
        let mut f = Faults::new(1);
        f.add(plan(r#"{"fault":{"kind":"disconnect"},"when":{"every_s":10}}"#), 0);
        let mut struck: BTreeMap<u64, Vec<MarketTime>> = BTreeMap::new();
        let mut now = 0;
        while now < 600 * SECOND {
            for connection in 0..3 {
                if !f.due(&frame(connection, ""), now).is_empty() {
                    struck.entry(connection).or_default().push(now);
                }
            }
            now = f.next_time(now).expect("there is always a next one");
        }
        for times in struck.values() {
            assert!((50..70).contains(&times.len()), "{}", times.len());
            assert!(times.windows(2).all(|w| (5 * SECOND..15 * SECOND).contains(&(w[1] - w[0]))));
        }
        let all: Vec<_> = struck.values().flatten().collect();
        assert_eq!(struck.len(), 3);
        assert!(all.iter().all(|t| all.iter().filter(|u| u == &t).count() == 1));
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

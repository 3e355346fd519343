//! What a connection is worth beside the others that carry the same streams, lately.

/// What an event costs that a connection has lost, or brought later than that, in nanoseconds: as long as a book would
/// wait for it.
pub const LOST_NS: u64 = 250_000_000;
/// Ticks after which what was counts half.
pub const HALF_LIFE_TICKS: u32 = 6;
/// 0.5 to the power of 1/6: multiplied alone, so that it is the same number on every machine.
const DECAY: f64 = 0.890_898_718_140_339_3;

/// What has been counted since the last tick: whole numbers, in whatever order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fresh {
    led: u64,
    lead_ns: u64,
    behind: u64,
    behind_ns: u64,
    lost: u64,
    spared: u64,
}

/// See the module. Only events count that another connection has brought too, and those that it alone has not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    fresh: Fresh,
    led: f64,
    lead_ns: f64,
    behind: f64,
    behind_ns: f64,
    lost: f64,
}

impl Score {
    /// It brought an event that another brought so much later.
    #[inline]
    pub fn led(&mut self, ns: u64) {
        self.fresh.led += 1;
        self.fresh.lead_ns += ns.min(LOST_NS);
    }

    /// It brought an event so much later than the first.
    #[inline]
    pub fn was_behind(&mut self, ns: u64) {
        self.fresh.behind += 1;
        self.fresh.behind_ns += ns.min(LOST_NS);
    }

    /// Others brought an event that it did not bring.
    #[inline]
    pub fn lost(&mut self) {
        self.fresh.lost += 1;
    }

    /// An event that was called lost has come after all.
    #[inline]
    pub fn was_spared(&mut self) {
        self.fresh.spared += 1;
    }

    /// Time passes: what was counts less.
    pub fn tick(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        let aged = |then: f64, now: u64| then * DECAY + now as f64;
        self.led = aged(self.led, fresh.led);
        self.lead_ns = aged(self.lead_ns, fresh.lead_ns);
        self.behind = aged(self.behind, fresh.behind);
        self.behind_ns = aged(self.behind_ns, fresh.behind_ns);
        self.lost = (aged(self.lost, fresh.lost) - fresh.spared as f64).max(0.0);
    }

    /// Events that it has been compared on, decayed.
    #[must_use]
    pub fn compared(&self) -> f64 {
        self.led + self.behind + self.lost
    }

    /// How many nanoseconds later than on the first connection an event comes on this one, on average: 0 where it always
    /// wins, [`LOST_NS`] where it brings nothing. `None` where it has not been compared.
    #[must_use]
    pub fn cost_ns(&self) -> Option<f64> {
        let paid = self.behind_ns + self.lost * LOST_NS as f64;
        self.per_event(paid)
    }

    /// Share of the events that it brought first.
    #[must_use]
    pub fn win_share(&self) -> Option<f64> {
        self.per_event(self.led)
    }

    /// Share of the events that it did not bring.
    #[must_use]
    pub fn loss_share(&self) -> Option<f64> {
        self.per_event(self.lost)
    }

    /// By how many nanoseconds it leads where it wins, on average.
    #[must_use]
    pub fn lead_ns(&self) -> Option<f64> {
        (self.led > 0.0).then(|| self.lead_ns / self.led)
    }

    fn per_event(&self, what: f64) -> Option<f64> {
        let events = self.compared();
        // What has decayed to less than an event says nothing.
        (events >= 0.5).then(|| what / events)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Did {
        Led(u64),
        Behind(u64),
        Lost,
    }

    fn apply(score: &mut Score, did: Did) {
        match did {
            Did::Led(ns) => score.led(ns),
            Did::Behind(ns) => score.was_behind(ns),
            Did::Lost => score.lost(),
        }
    }

    fn did() -> impl Strategy<Value = Did> {
        prop_oneof![any::<u64>().prop_map(Did::Led), any::<u64>().prop_map(Did::Behind), Just(Did::Lost)]
    }

    #[test]
    fn who_always_wins_costs_nothing_and_who_brings_nothing_costs_most() {
        let (mut first, mut last) = (Score::default(), Score::default());
        assert_eq!((first.cost_ns(), first.win_share(), first.lead_ns()), (None, None, None));
        for _ in 0..100 {
            first.led(5_000_000);
            last.lost();
        }
        first.tick();
        last.tick();
        assert_eq!((first.cost_ns(), first.win_share(), first.lead_ns()), (Some(0.0), Some(1.0), Some(5_000_000.0)));
        assert_eq!((last.cost_ns(), last.loss_share()), (Some(LOST_NS as f64), Some(1.0)));
    }

    #[test]
    fn what_was_counts_half_after_a_half_life() {
        let mut score = Score::default();
        for _ in 0..1000 {
            score.was_behind(8_000_000);
        }
        score.tick();
        let before = score.compared();
        for _ in 0..HALF_LIFE_TICKS {
            score.tick();
        }
        assert!((score.compared() / before - 0.5).abs() < 1e-12);
        assert!(score.cost_ns().is_some_and(|cost| (cost / 8e6 - 1.0).abs() < 1e-12), "an average does not fade");
        for _ in 0..20 * HALF_LIFE_TICKS {
            score.tick();
        }
        assert_eq!(score.cost_ns(), None, "until nothing is left of it");
    }

    #[test]
    fn who_mends_is_forgiven() {
        let mut score = Score::default();
        for tick in 0..10 * HALF_LIFE_TICKS {
            (0..100).for_each(|_| score.was_behind(if tick < 3 * HALF_LIFE_TICKS { 100_000_000 } else { 1_000_000 }));
            score.tick();
        }
        assert!(score.cost_ns().is_some_and(|cost| cost < 2_000_000.0), "{:?}", score.cost_ns());
    }

    #[test]
    fn what_was_called_lost_and_came_is_not_lost() {
        let mut score = Score::default();
        (0..10).for_each(|_| score.lost());
        score.tick();
        for _ in 0..10 {
            score.was_spared();
            score.was_behind(LOST_NS);
        }
        score.tick();
        assert_eq!(score.loss_share(), Some(0.0));
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_the_order_within_a_tick_plays_no_part(
            ticks in prop::collection::vec(prop::collection::vec(did(), 0..40), 1..20),
        ) {
            let (mut forth, mut back) = (Score::default(), Score::default());
            for tick in &ticks {
                tick.iter().for_each(|did| apply(&mut forth, *did));
                tick.iter().rev().for_each(|did| apply(&mut back, *did));
                forth.tick();
                back.tick();
                for (share, most) in [
                    (forth.cost_ns(), LOST_NS as f64),
                    (forth.win_share(), 1.0),
                    (forth.loss_share(), 1.0),
                    (forth.lead_ns(), LOST_NS as f64),
                ] {
                    prop_assert!(share.is_none_or(|share| (0.0..=most * (1.0 + 1e-9)).contains(&share)), "{forth:?}");
                }
            }
            prop_assert_eq!(forth, back);
        }
    }
}

//! At most so many in so much time.

/// A leaky bucket, kept as the time at which it would be empty again (GCRA): one number, no timer, any clock.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    interval: u64,
    tolerance: u64,
    empty_at: u64,
}

impl Rate {
    /// `burst` at once, and one more every `interval_ns`.
    #[must_use]
    pub fn new(burst: u32, interval_ns: u64) -> Self {
        let tolerance = interval_ns.saturating_mul(u64::from(burst.max(1) - 1));
        Self { interval: interval_ns, tolerance, empty_at: 0 }
    }

    /// At most `n` in any window: half of them at once, but no more than `burst`, and the rest evenly.
    #[must_use]
    pub fn within(n: u32, window_ns: u64, burst: u32) -> Self {
        let n = n.max(1);
        let burst = n.div_ceil(2).min(burst.max(1));
        Self::new(burst, window_ns / u64::from((n - burst).max(1)))
    }

    /// Takes one.
    ///
    /// # Errors
    /// The time from which one may be taken.
    pub fn try_take(&mut self, now: u64) -> Result<(), u64> {
        let empty_at = self.empty_at.max(now);
        let from = empty_at.saturating_sub(self.tolerance);
        if from > now {
            return Err(from);
        }
        self.empty_at = empty_at.saturating_add(self.interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_and_then_one_per_interval() {
        let mut rate = Rate::new(3, 10);
        assert_eq!([0, 0, 0].map(|t| rate.try_take(t)), [Ok(()), Ok(()), Ok(())]);
        assert_eq!(rate.try_take(0), Err(10));
        assert_eq!(rate.try_take(9), Err(10));
        assert_eq!(rate.try_take(10), Ok(()));
        assert_eq!(rate.try_take(10), Err(20));
        assert_eq!([1000, 1000, 1000].map(|t| rate.try_take(t)), [Ok(()), Ok(()), Ok(())]);
        assert!(rate.try_take(1000).is_err());
    }

    proptest! {
        /// No window holds more than it may, wherever it begins.
        #[test]
        fn no_window_holds_more_than_allowed(n in 1u32..20, burst in 1u32..20, steps in prop::collection::vec(0u64..300, 1..200)) {
            const WINDOW: u64 = 1000;
            let mut rate = Rate::within(n, WINDOW, burst);
            let mut now = 0;
            let mut taken: Vec<u64> = Vec::new();
            for step in steps {
                now += step;
                while rate.try_take(now).is_ok() { taken.push(now); }
            }
            for (i, from) in taken.iter().enumerate() {
                let held = taken[i..].iter().filter(|t| **t < from + WINDOW).count();
                prop_assert!(held <= n as usize, "{held} of {n}");
            }
        }

        /// In any window of `k` intervals no more than `burst + k` pass.
        #[test]
        fn no_window_holds_more(burst in 1u32..6, steps in prop::collection::vec(0u64..25, 1..200)) {
            let mut rate = Rate::new(burst, 10);
            let mut now = 0;
            let mut taken: Vec<u64> = Vec::new();
            for step in steps {
                now += step;
                if rate.try_take(now).is_ok() { taken.push(now); }
            }
            for (i, from) in taken.iter().enumerate() {
                for windows in 1u64..5 {
                    let held = taken[i..].iter().filter(|t| **t < from + windows * 10).count() as u64;
                    prop_assert!(held <= u64::from(burst) + windows);
                }
            }
        }
    }
}

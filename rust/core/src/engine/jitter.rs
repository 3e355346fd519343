//! Seeded jitter: the engine draws nothing from outside.

/// SplitMix64 (Steele, Lea, Flood 2014): enough for backoff, one word of state.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `0..=most`.
    pub(super) fn below(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(n) => self.next() % n,
            None => self.next(),
        }
    }

    /// A full-jitter delay: uniform in `0..=min(cap, base · 2^attempt)`, in the unit of its arguments.
    pub(super) fn backoff(&mut self, base: u64, cap: u64, attempt: u32) -> u64 {
        let upper = base.saturating_mul(1u64.checked_shl(attempt.min(32)).unwrap_or(u64::MAX)).min(cap);
        self.below(upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_stays_under_its_bound_and_the_bound_doubles_up_to_the_cap() {
        let mut jitter = Jitter::new(7);
        for attempt in 0..70 {
            let bound = 500u64.saturating_mul(1 << attempt.min(20)).min(30_000);
            let delays: Vec<u64> = (0..200).map(|_| jitter.backoff(500, 30_000, attempt)).collect();
            assert!(delays.iter().all(|d| *d <= bound));
            assert!(delays.iter().any(|d| *d > bound / 2), "spread over the whole range");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = |seed| (0..5).map(|_| 0).scan(Jitter::new(seed), |j, _: i32| Some(j.next())).collect::<Vec<_>>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}

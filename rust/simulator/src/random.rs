//! A small seeded generator (xoshiro256**): the same seed gives the same market on every machine.

/// Pseudo-random numbers from a seed. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random([u64; 4]);

impl Random {
    /// A generator for `seed`; `stream` tells apart the users of one seed.
    pub(crate) fn new(seed: u64, stream: &str) -> Self {
        // FNV-1a folds the name in, splitmix64 spreads the seed over the state as the authors of xoshiro advise.
        let mut x =
            stream.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let mut next = || {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self([next(), next(), next(), next()])
    }

    pub(crate) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..n`; 0 for `n` 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Exponentially distributed with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// 1, 2, 3 … with this mean.
    pub(crate) fn geometric(&mut self, mean: f64) -> u64 {
        1 + self.exponential(mean - 1.0).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_names_part_them() {
        let draw = |seed, name| {
            let mut r = Random::new(seed, name);
            (0..100).map(|_| r.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, "BTCUSDT"), draw(7, "BTCUSDT"));
        assert_ne!(draw(7, "BTCUSDT"), draw(7, "ETHUSDT"));
        assert_ne!(draw(7, "BTCUSDT"), draw(8, "BTCUSDT"));
    }

    #[test]
    fn draws_stay_in_their_range_and_near_their_mean() {
        let mut r = Random::new(1, "");
        assert!((0..10_000).all(|_| r.below(7) < 7 && (0.0..1.0).contains(&r.unit())));
        let mean = (0..20_000).map(|_| r.exponential(3.0)).sum::<f64>() / 20_000.0;
        assert!((2.8..3.2).contains(&mean), "{mean}");
        assert!((0..1000).all(|_| r.geometric(1.0) == 1));
    }
}

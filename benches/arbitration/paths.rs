//! Connections with different fates: how late what an exchange sends arrives on each of them.
//!
//! Latency of a message is the sum of
//! - a common part, the same on all connections: 300 µs × lognormal(σ 0.5), the exchange's own queues;
//! - an own part, independent on each: 500 µs × lognormal(σ 0.8), the way through its gateway and network;
//! - stalls of its own: on average every 2 s, for a time of Pareto form (from 2 ms, exponent 1.5, at most 250 ms), a
//!   connection lets nothing through: a lost segment, a slow gateway.
//!
//! Nothing overtakes on one connection.

use std::f64::consts::TAU;

const COMMON_US: f64 = 300.0;
const COMMON_SIGMA: f64 = 0.5;
const OWN_US: f64 = 500.0;
const OWN_SIGMA: f64 = 0.8;
const STALL_EVERY_US: f64 = 2_000_000.0;
const STALL_FROM_US: f64 = 2_000.0;
const STALL_EXPONENT: f64 = 1.5;
const STALL_MOST_US: f64 = 250_000.0;

/// Randomness that is the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0, at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// With the mean 1.
    pub fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    /// With the median 1.
    fn lognormal(&mut self, sigma: f64) -> f64 {
        let normal = (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos();
        (sigma * normal).exp()
    }
}

/// What all connections share.
#[derive(Debug)]
pub struct Exchange(Random);

impl Exchange {
    pub fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// Latency of the next message before it is on its way, microseconds.
    pub fn common(&mut self) -> f64 {
        COMMON_US * self.0.lognormal(COMMON_SIGMA)
    }
}

/// One connection.
#[derive(Debug)]
pub struct Path {
    random: Random,
    last_arrival: f64,
    stall_from: f64,
    stall_until: f64,
}

impl Path {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x005e_ed0f_9a74);
        let stall_from = STALL_EVERY_US * random.exponential();
        let mut path = Self { random, last_arrival: 0.0, stall_from, stall_until: 0.0 };
        path.stall_until = stall_from + path.stall();
        path
    }

    fn stall(&mut self) -> f64 {
        (STALL_FROM_US * self.random.unit().powf(-1.0 / STALL_EXPONENT)).min(STALL_MOST_US)
    }

    /// When a message arrives that left the exchange at `left`, microseconds.
    pub fn arrival(&mut self, left: f64) -> f64 {
        let mut arrival = left + OWN_US * self.random.lognormal(OWN_SIGMA);
        while arrival >= self.stall_until {
            self.stall_from = self.stall_until + STALL_EVERY_US * self.random.exponential();
            self.stall_until = self.stall_from + self.stall();
        }
        if arrival >= self.stall_from {
            arrival = self.stall_until;
        }
        self.last_arrival = self.last_arrival.max(arrival);
        self.last_arrival
    }
}

//! The best of several rounds, block by block: a block is shorter than a slice of a core, so what else the machine does
//! spoils some blocks of a round and not the same ones of all.

use std::time::Duration;

/// The shortest time of every block so far.
#[derive(Debug, Default)]
pub struct Best(Vec<Duration>);

impl Best {
    /// Takes a round.
    pub fn take(&mut self, round: Vec<Duration>) {
        if self.0.is_empty() {
            self.0 = round;
            return;
        }
        assert_eq!(self.0.len(), round.len(), "rounds are alike");
        for (best, spent) in self.0.iter_mut().zip(round) {
            *best = spent.min(*best);
        }
    }

    /// All blocks together, for each of so many things that were done.
    pub fn nanos_per(&self, things: u64) -> f64 {
        let nanos = self.0.iter().sum::<Duration>().as_nanos() as f64 / things.max(1) as f64;
        (nanos * 100.0).round() / 100.0
    }
}

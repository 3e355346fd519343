//! What is known of the addresses of an exchange: good ones, slow ones, and how long ago that was.

use std::net::IpAddr;

use crate::engine::Advice;

/// Addresses that are remembered; the one that was used longest ago makes room.
const MOST: usize = 64;
/// An address is remembered for so many dwells since it was used last, and a slow one is avoided for so many.
const MEMORY_DWELLS: u64 = 12;
/// One of so many openings explores: what has never been tried may be better than what is known.
const EXPLORE_EVERY: u64 = 4;

#[derive(Clone, Copy, Debug)]
struct Known {
    ip: IpAddr,
    /// Half of what it has cost lately, and half of what it cost before that, in nanoseconds; the less, the better.
    cost_ns: f64,
    seen: u64,
    shunned_until: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Reputation {
    memory: u64,
    known: Vec<Known>,
    openings: u64,
}

impl Reputation {
    /// For connections that stay `dwell` nanoseconds.
    #[must_use]
    pub fn new(dwell: u64) -> Self {
        Self { memory: dwell.saturating_mul(MEMORY_DWELLS), known: Vec::new(), openings: 0 }
    }

    /// A connection to this address costs so much.
    pub fn note(&mut self, now: u64, ip: IpAddr, cost_ns: f64) {
        match self.known.iter_mut().find(|known| known.ip == ip) {
            Some(known) => {
                known.cost_ns = (known.cost_ns + cost_ns) / 2.0;
                known.seen = now;
            }
            None => {
                if self.known.len() >= MOST
                    && let Some(oldest) = (0..self.known.len()).min_by_key(|at| self.known[*at].seen)
                {
                    self.known.swap_remove(oldest);
                }
                self.known.push(Known { ip, cost_ns, seen: now, shunned_until: 0 });
            }
        }
    }

    /// A connection to this address is left for being slow.
    pub fn shun(&mut self, now: u64, ip: IpAddr) {
        if let Some(known) = self.known.iter_mut().find(|known| known.ip == ip) {
            known.shunned_until = now.saturating_add(self.memory);
        }
    }

    /// Where a connection had better go while `siblings` are where they are. A slow address stands twice among those to
    /// avoid: one that is shared is better than one that is slow.
    pub fn advise(&mut self, now: u64, siblings: &[IpAddr], place: u16) -> Advice {
        let memory = self.memory;
        self.known.retain(|known| now.saturating_sub(known.seen) < memory || now < known.shunned_until);
        let (slow, mut good): (Vec<Known>, Vec<Known>) = self.known.iter().partition(|known| now < known.shunned_until);
        let mut avoid = siblings.to_vec();
        avoid.extend(slow.iter().flat_map(|known| [known.ip, known.ip]));
        good.retain(|known| !siblings.contains(&known.ip));
        good.sort_by(|a, b| a.cost_ns.total_cmp(&b.cost_ns));
        let good: Vec<IpAddr> = good.iter().map(|known| known.ip).collect();
        let mut explore = false;
        if !good.is_empty() {
            self.openings += 1;
            explore = self.openings.is_multiple_of(EXPLORE_EVERY);
        }
        Advice { avoid, good, explore, place }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

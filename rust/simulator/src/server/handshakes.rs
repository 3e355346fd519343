//! How many upgrades an address may ask for.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::clock::{MarketTime, seconds};
use crate::config::SimulatorConfig;

/// Upgrades of the last window.
pub(crate) struct Handshakes {
    recent: HashMap<IpAddr, VecDeque<MarketTime>>,
    limit: usize,
    window: MarketTime,
}

impl Handshakes {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        let window = seconds(config.limits.handshake_window_s / config.time_compression);
        Self { recent: HashMap::new(), limit: config.limits.handshakes, window }
    }

    /// False for one too many. Only those that are allowed count.
    pub(crate) fn allow(&mut self, client: IpAddr, now: MarketTime) -> bool {
        if self.limit == 0 {
            return true;
        }
        let recent = self.recent.entry(client).or_default();
        while recent.front().is_some_and(|t| t.saturating_add(self.window) <= now) {
            recent.pop_front();
        }
        let allowed = recent.len() < self.limit;
        if allowed {
            recent.push_back(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    const ME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

    #[test]
    fn a_window_has_room_for_so_many() {
        let mut config = SimulatorConfig::default();
        assert!((0..1000).all(|_| Handshakes::new(&config).allow(ME, 0)), "no limit");
        (config.limits.handshakes, config.limits.handshake_window_s, config.time_compression) = (2, 300.0, 10.0);
        let mut h = Handshakes::new(&config);
        let allowed = [0, 1, 29, 30, 30, 31].map(|s| h.allow(ME, s * SECOND));
        assert_eq!(allowed, [true, true, false, true, false, true]);
        assert!(h.allow(OTHER, 31 * SECOND), "each address by itself");
    }
}

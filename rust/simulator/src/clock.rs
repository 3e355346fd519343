//! Time: the market's (nanoseconds since the start, monotonic) and the wall's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the simulator started.
pub(crate) type MarketTime = u64;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// One reading of both clocks at the start; afterwards only the monotonic one is asked, so no step of the wall
/// clock moves the market.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    wall_ns: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), wall_ns: nanos(wall) }
    }

    /// Wall time at the start, ns since the epoch.
    pub(crate) fn started_wall_ns(&self) -> u64 {
        self.wall_ns
    }

    pub(crate) fn now(&self) -> MarketTime {
        nanos(self.started.elapsed())
    }

    pub(crate) fn instant(&self, at: MarketTime) -> Instant {
        self.started + Duration::from_nanos(at)
    }
}

/// The wall clock itself, ns since the epoch: what a client on this machine would stamp.
pub(crate) fn wall_ns() -> u64 {
    nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds of a configuration as nanoseconds; negative is 0.
pub(crate) fn seconds(s: f64) -> u64 {
    (s.max(0.0) * SECOND as f64) as u64
}

//! What requests cost, and what happens to who spends too much.

use crate::binance::rest::error;
use crate::config::SimulatorConfig;
use crate::venue::RestReply;

/// The budget of the one address there is.
pub(crate) struct Weights {
    per_minute: u32,
    refusals_before_ban: u32,
    ban_ms: u64,
    compression: f64,
    window: u64,
    used: u32,
    refusals: u32,
    banned_until_ms: u64,
}

impl Weights {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        Self {
            per_minute: config.limits.weight_per_minute,
            refusals_before_ban: config.limits.refusals_before_ban,
            ban_ms: (config.limits.ban_s * 1000.0 / config.time_compression) as u64,
            compression: config.time_compression,
            window: 0,
            used: 0,
            refusals: 0,
            banned_until_ms: 0,
        }
    }

    /// Weight of this minute so far.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    /// Takes weight from the window's budget. Refusals go on costing, and too many of them are a ban.
    pub(crate) fn spend(&mut self, weight: u32, wall_ms: u64) -> Result<(), RestReply> {
        let compressed = wall_ms as f64 * self.compression;
        let window = (compressed / 60_000.0) as u64;
        if window != self.window {
            (self.window, self.used, self.refusals) = (window, 0, 0);
        }
        if wall_ms < self.banned_until_ms {
            return Err(self.refuse(418, self.banned_until_ms - wall_ms));
        }
        self.used = self.used.saturating_add(weight);
        if self.used <= self.per_minute {
            return Ok(());
        }
        self.refusals += 1;
        if self.refusals > self.refusals_before_ban {
            self.banned_until_ms = wall_ms + self.ban_ms;
            return Err(self.refuse(418, self.ban_ms));
        }
        let left = ((window + 1) as f64 * 60_000.0 - compressed) / self.compression;
        Err(self.refuse(429, left as u64))
    }

    fn refuse(&self, status: u16, left_ms: u64) -> RestReply {
        let retry_after = left_ms.div_ceil(1000).max(1).to_string();
        let headers = vec![("Retry-After".into(), retry_after), ("X-MBX-USED-WEIGHT-1M".into(), self.used.to_string())];
        let message = format!("Too many requests; current limit is {} request weight per 1 MINUTE.", self.per_minute);
        RestReply { status, headers, ..error(-1003, &message) }
    }
}

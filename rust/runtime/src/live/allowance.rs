//! What one process may ask of a venue: what the options say, else the venue's own limits.
//!
//! Of those a fifth is left to others behind the same address, and to the jitter of the way there. Where a window
//! shorter than a minute begins, no exchange says: half of its weight in each of ours exceeds none of theirs.

use xtrader_core::exchange::{Heartbeat, Protocol, with_protocol};

use super::options::LiveOptions;
use super::rate::Rate;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000 * NS_PER_MS;
/// Length of the window of `net.connects_per_5min` and of `rest.weight_per_min`, in milliseconds.
const FIVE_MINUTES_MS: u64 = 300_000;
const MINUTE_MS: u64 = 60_000;
/// Connections that are opened at once, before the rate holds them back.
const CONNECT_BURST: u32 = 50;
/// Pings that may be missing before their connection counts as dead.
const PINGS_MISSED: u64 = 3;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Pace of our frames on one connection, pongs included.
    pub frames: Rate,
    /// Pace of new connections.
    pub connects: Rate,
    /// Connections that may be open at once; 0 is no limit.
    pub connections: u32,
    /// Weight of REST requests per window.
    pub weight: u32,
    /// That window of the wall clock, milliseconds.
    pub window_ms: u64,
    /// Nanoseconds in which a living connection is heard of, where the exchange itself pings.
    pub silence_ns: Option<u64>,
}

impl Allowance {
    /// Of the venue that these options are for.
    #[must_use]
    pub fn of(options: &LiveOptions) -> Self {
        let (limits, heartbeat) = with_protocol!(options.engine.venue, P => (P::LIMITS, P::HEARTBEAT));
        let frames = options.net.messages_per_s.unwrap_or_else(|| share(limits.frames_per_s));
        let connects = match options.net.connects_per_5min {
            Some(n) => Rate::within(n, FIVE_MINUTES_MS.saturating_mul(NS_PER_MS), CONNECT_BURST.min(limits.connects)),
            None => {
                let window = limits.connects_window_ms.saturating_mul(NS_PER_MS);
                Rate::within(share(limits.connects), window, CONNECT_BURST)
            }
        };
        let window_ms = limits.rest_window_ms.max(1);
        let weight = match options.rest.weight_per_min {
            Some(n) => u32::try_from(u64::from(n).saturating_mul(window_ms) / MINUTE_MS).unwrap_or(u32::MAX).max(1),
            None if window_ms < MINUTE_MS => limits.rest_weight / 2,
            None => share(limits.rest_weight),
        };
        let silence_ns = match heartbeat {
            Heartbeat::Pings { every_ms } => Some(every_ms.saturating_mul(PINGS_MISSED).saturating_mul(NS_PER_MS)),
            Heartbeat::Question { .. } | Heartbeat::Frames { .. } => None,
        };
        Self {
            frames: Rate::within(frames, NS_PER_S, u32::MAX),
            connects,
            connections: limits.connections_at_once(options.engine.login),
            weight,
            window_ms,
            silence_ns,
        }
    }
}

/// Four fifths, rounded up.
const fn share(whole: u32) -> u32 {
    whole - whole / 5
}

#[cfg(test)]
mod tests {
    use xtrader_core::config::EngineConfig;
    use xtrader_core::symbol::Venue;

    use super::*;

    fn options(venue: Venue) -> LiveOptions {
        LiveOptions::new(EngineConfig::new(venue))
    }

    /// How many pass in a row without a wait, and how many in one window.
    fn pace(mut rate: Rate, window_ns: u64) -> (u32, u32) {
        let (mut now, mut at_once, mut in_all) = (0, 0, 0);
        while now <= window_ns {
            match rate.try_take(now) {
                Ok(()) => {
                    in_all += 1;
                    at_once += u32::from(now == 0);
                }
                Err(from) => now = from,
            }
        }
        (at_once, in_all)
    }

    // Fault: N13, Z17
    #[test]
    fn no_venue_is_asked_for_more_than_it_takes_in_any_window() {
        for venue in Venue::ALL {
            let limits = with_protocol!(venue, P => P::LIMITS);
            let allowance = Allowance::of(&options(venue));
            assert!(pace(allowance.frames, NS_PER_S).1 <= limits.frames_per_s, "{venue:?}: frames");
            let window = limits.connects_window_ms * NS_PER_MS;
            assert!(pace(allowance.connects, window).1 <= limits.connects, "{venue:?}: connects");
            assert!(allowance.weight <= limits.rest_weight, "{venue:?}: weight");
        }
    }

    #[test]
    fn what_the_options_say_counts_instead_spread_over_the_venues_own_windows() {
        let mut options = options(Venue::Okx);
        options.net.messages_per_s = Some(2);
        options.net.connects_per_5min = Some(30);
        options.rest.weight_per_min = Some(300);
        let allowance = Allowance::of(&options);
        assert_eq!(pace(allowance.frames, NS_PER_S), (1, 2));
        assert_eq!(pace(allowance.connects, 300 * NS_PER_S), (3, 30));
        assert_eq!((allowance.weight, allowance.window_ms), (10, 2_000));
        options.rest.weight_per_min = Some(1);
        assert_eq!(Allowance::of(&options).weight, 1, "something may always be asked");
    }
}

//! Time as the engine sees it: two readings taken once, by the shell, at the socket read.

/// Nanoseconds in a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;
/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;
/// Nanoseconds in a UTC day.
pub const NS_PER_DAY: i64 = 86_400 * NS_PER_S;

/// When an input was taken: wall clock for stored times, monotonic clock for every interval and deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since 1970-01-01 UTC.
    pub wall: i64,
    /// Nanoseconds since an arbitrary origin; never falls.
    pub mono: u64,
}

impl Stamp {
    /// This stamp, `ns` nanoseconds later on both clocks.
    #[must_use]
    pub fn after(self, ns: u64) -> Self {
        Self { wall: self.wall.saturating_add_unsigned(ns), mono: self.mono.saturating_add(ns) }
    }
}

/// Exchanges' times of one event, by two of their servers, differ by less, in nanoseconds.
pub(crate) const CLEARLY_LATER: i64 = NS_PER_S;

/// True where both times are told, and the first is later than the second by more than `by` nanoseconds.
#[inline]
pub(crate) fn is_later(event: Option<i64>, than: Option<i64>, by: i64) -> bool {
    matches!((event, than), (Some(now), Some(then)) if now > then.saturating_add(by))
}

/// Milliseconds since the epoch, as exchanges send them, to nanoseconds; `None` where an `i64` of nanoseconds
/// cannot hold it (before 1677 or after 2262): checked, never wrapped.
#[must_use]
pub fn ms_to_ns(ms: i64) -> Option<i64> {
    ms.checked_mul(NS_PER_MS)
}

/// Start of the UTC day that holds `wall_ns`, in nanoseconds since the epoch.
#[must_use]
pub fn day_start(wall_ns: i64) -> i64 {
    wall_ns.div_euclid(NS_PER_DAY).saturating_mul(NS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fault: T09
    #[test]
    fn milliseconds_out_of_range_are_none_and_not_wrapped() {
        assert_eq!(ms_to_ns(1_626_992_741_037), Some(1_626_992_741_037_000_000));
        assert_eq!(ms_to_ns(-1), Some(-NS_PER_MS));
        assert_eq!(ms_to_ns(i64::MAX), None);
        assert_eq!(ms_to_ns(1_626_992_741_037_000_000), None, "nanoseconds mistaken for milliseconds");
    }

    // Fault: T09
    #[test]
    fn the_day_of_a_time_before_the_epoch_starts_before_it() {
        assert_eq!(day_start(-1), -NS_PER_DAY);
        assert_eq!(day_start(NS_PER_DAY), NS_PER_DAY);
        assert_eq!(day_start(NS_PER_DAY - 1), 0);
    }
}

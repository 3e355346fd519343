//! An exchange that closes the older of our connections whenever another comes up wants fewer of them than we do. Who
//! came back at once would be closed in turn, for ever: its place is given up for a while instead.

use crate::time::NS_PER_MS;

/// So soon after another came up, in nanoseconds, an end is its doing.
const AT_ONCE: u64 = 2_000 * NS_PER_MS.unsigned_abs();
/// How long the place is given up the first time, in nanoseconds; twice as long each time after.
const FIRST: u64 = 600_000 * NS_PER_MS.unsigned_abs();
/// How often that doubles.
const DOUBLINGS: u32 = 6;

/// What one place has been through.
#[derive(Clone, Debug, Default)]
pub(super) struct Parking {
    /// Ends in a row that were another's doing.
    evicted: u32,
    /// Times that it was given up.
    times: u32,
    until: Option<u64>,
}

impl Parking {
    /// The peer ended a connection that was up since `since`, after another had come up at `other`. Yields until when
    /// the place is given up, if it is.
    pub(super) fn on_closed(&mut self, now: u64, since: u64, other: Option<u64>) -> Option<u64> {
        let is_doing = other.is_some_and(|other| other >= since && now.saturating_sub(other) <= AT_ONCE);
        if !is_doing {
            self.evicted = 0;
            if now.saturating_sub(since) >= FIRST {
                self.times = 0;
            }
            return None;
        }
        self.evicted += 1;
        if self.evicted < 2 {
            return None;
        }
        self.evicted = 0;
        self.until = Some(now.saturating_add(FIRST << self.times.min(DOUBLINGS)));
        self.times = self.times.saturating_add(1);
        self.until
    }

    /// It is given up now.
    pub(super) fn is_parked(&self, now: u64) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MINUTE: u64 = 60 * SECOND;

    // Fault: X25
    #[test]
    fn two_ends_in_a_row_right_after_another_came_up_give_the_place_up_and_longer_each_time() {
        let mut parking = Parking::default();
        let mut now = 100 * SECOND;
        for times in 0..9u32 {
            assert_eq!(parking.on_closed(now, now - 9 * SECOND, Some(now - SECOND)), None);
            assert!(!parking.is_parked(now));
            let until = parking.on_closed(now, now - 9 * SECOND, Some(now - 2 * SECOND)).expect("the second in a row");
            assert_eq!(until - now, (10 * MINUTE) << times.min(6));
            assert!(parking.is_parked(now) && !parking.is_parked(until));
            now = until + SECOND;
        }
    }

    // Fault: X25
    #[test]
    fn an_end_of_any_other_kind_begins_the_count_anew_and_a_long_life_the_time() {
        let mut parking = Parking::default();
        let (now, since) = (100 * SECOND, 50 * SECOND);
        for other in [None, Some(now - 3 * SECOND), Some(since - SECOND)] {
            assert_eq!(parking.on_closed(now, since, Some(now)), None);
            assert_eq!(parking.on_closed(now, since, other), None, "not of its doing");
        }
        let evict = |parking: &mut Parking| [(); 2].map(|()| parking.on_closed(now, since, Some(now)))[1];
        assert_eq!(evict(&mut parking), Some(now + 10 * MINUTE));
        assert_eq!(evict(&mut parking), Some(now + 20 * MINUTE));
        assert_eq!(parking.on_closed(now + 20 * MINUTE, now, None), None);
        assert_eq!(evict(&mut parking), Some(now + 10 * MINUTE));
    }
}

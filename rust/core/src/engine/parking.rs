//! An exchange that allows fewer connections than we want closes the oldest whenever one more comes up. Who came back at
//! once would cost the next its life, in turn, for ever: a place is given up for a while instead.
//!
//! Connections also end by chance, and some of those ends fall right behind another's coming. So a limit is believed
//! only if it holds without exception: three comings in a row that each cost the oldest its life at once, and left as
//! many as before. Then a place is given up for a minute, and for twice as long whenever the same is seen again; the
//! first connection beyond the supposed limit that nobody pays for shows that there is none.

use crate::time::NS_PER_MS;

/// So soon after another came up, in nanoseconds, an end is its doing.
const AT_ONCE: u64 = 500 * NS_PER_MS.unsigned_abs();
/// So many comings in a row must have cost the oldest its life.
const IN_A_ROW: u32 = 3;
/// How long a place is given up the first time, in nanoseconds; twice as long each time after.
const FIRST: u64 = 60_000 * NS_PER_MS.unsigned_abs();
/// How often that doubles.
const DOUBLINGS: u32 = 9;

/// What speaks for a limit of the exchange.
#[derive(Clone, Debug, Default)]
pub(super) struct Parking {
    /// When the latest came up that has yet to show whether another pays for it.
    coming: Option<u64>,
    /// Comings in a row that another paid for.
    paid: u32,
    /// How many connections each of them left: the supposed limit.
    left: usize,
    /// How often places were given up on account of it.
    times: u32,
}

/// A connection that the peer ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// It had been up longest.
    pub was_oldest: bool,
    /// How many it leaves.
    pub left: usize,
    /// Another is being opened: its coming may be paid for before we know that it came.
    pub is_opening: bool,
    /// Others carry what it carried, so that its place can be given up.
    pub is_carried: bool,
}

impl Parking {
    /// A connection came up, and so many are up with it.
    pub(super) fn on_up(&mut self, now: u64, up: usize) {
        self.judge(now);
        let is_unknown = self.paid == 0 && self.times == 0;
        if is_unknown || up > self.left {
            self.coming = Some(now);
        }
    }

    /// The peer ended a connection. Yields until when its place is given up, if it is.
    pub(super) fn on_cut(&mut self, now: u64, cut: Cut) -> Option<u64> {
        self.judge(now);
        let is_paid = self.coming.take().is_some() || cut.is_opening;
        if !(is_paid && cut.was_oldest) {
            self.paid = 0;
            return None;
        }
        self.paid = if cut.left == self.left { self.paid.saturating_add(1) } else { 1 };
        self.left = cut.left;
        if self.paid < IN_A_ROW || !cut.is_carried {
            return None;
        }
        self.paid = 0;
        let until = now.saturating_add(FIRST << self.times.min(DOUBLINGS));
        self.times = self.times.saturating_add(1);
        Some(until)
    }

    /// Nobody paid for the latest: there is room.
    fn judge(&mut self, now: u64) {
        if self.coming.is_some_and(|coming| now.saturating_sub(coming) > AT_ONCE) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MINUTE: u64 = 60 * SECOND;
    const OLDEST: Cut = Cut { was_oldest: true, left: 2, is_opening: false, is_carried: true };

    /// One comes up, and `cut` pays for it.
    fn paid(parking: &mut Parking, now: u64, cut: Cut) -> Option<u64> {
        parking.on_up(now, 3);
        parking.on_cut(now + SECOND / 10, cut)
    }

    /// So many comings in a row that the oldest pays for, a few seconds apart; what the last one led to.
    fn row(parking: &mut Parking, now: u64, n: u64) -> Option<u64> {
        (0..n).map(|i| paid(parking, now + 3 * i * SECOND, OLDEST)).last().flatten()
    }

    // Fault: X25
    #[test]
    fn three_comings_in_a_row_that_the_oldest_pays_for_give_a_place_up_and_longer_each_time() {
        let mut parking = Parking::default();
        let mut now = 100 * SECOND;
        for times in 0..12u32 {
            assert_eq!(row(&mut parking, now, 2), None);
            let until = paid(&mut parking, now + 6 * SECOND, OLDEST).expect("the third in a row");
            assert_eq!(until - (now + 6 * SECOND + SECOND / 10), MINUTE << times.min(9));
            now = until;
        }
    }

    // Fault: X25
    #[test]
    fn an_end_of_any_other_kind_begins_the_row_anew() {
        let now = 100 * SECOND;
        let others = [
            Cut { was_oldest: false, ..OLDEST },
            Cut { left: 1, ..OLDEST },
            // Nobody came.
            OLDEST,
        ];
        for (n, other) in others.into_iter().enumerate() {
            let mut parking = Parking::default();
            assert_eq!(row(&mut parking, now, 2), None);
            match n {
                2 => assert_eq!(parking.on_cut(now + 9 * SECOND, other), None),
                _ => assert_eq!(paid(&mut parking, now + 9 * SECOND, other), None),
            }
            assert_eq!(row(&mut parking, now + 20 * SECOND, 2), None, "{n}");
            assert!(paid(&mut parking, now + 30 * SECOND, OLDEST).is_some(), "{n}");
        }
    }

    // Fault: X25
    #[test]
    fn one_more_that_nobody_pays_for_shows_that_there_is_room() {
        let mut parking = Parking::default();
        let until = row(&mut parking, 0, 3).expect("a limit");
        // One that does not go beyond the limit shows nothing.
        parking.on_up(until - 2 * SECOND, 2);
        assert_eq!(row(&mut parking, until, 3), Some(until + 6 * SECOND + SECOND / 10 + 2 * MINUTE));
        parking.on_up(until + MINUTE, 3);
        let much_later = until + 100 * MINUTE;
        assert_eq!(parking.on_cut(until + MINUTE + SECOND, OLDEST), None, "not at once");
        assert_eq!(row(&mut parking, much_later, 3), Some(much_later + 6 * SECOND + SECOND / 10 + MINUTE));
    }

    /// The upgrade of the new one and the end of the old one come by two sockets, in any order.
    // Fault: X25
    #[test]
    fn who_pays_may_be_known_before_the_one_that_was_paid_for() {
        let mut parking = Parking::default();
        let early = Cut { is_opening: true, ..OLDEST };
        let mut parked = Vec::new();
        for i in 0..3 {
            parked.push(parking.on_cut(3 * i * SECOND, early).is_some());
            parking.on_up(3 * i * SECOND + SECOND / 10, 2);
        }
        assert_eq!(parked, [false, false, true]);
    }

    #[test]
    fn nothing_is_given_up_that_nobody_else_carries() {
        let mut parking = Parking::default();
        let alone = Cut { is_carried: false, ..OLDEST };
        for i in 0..5 {
            assert_eq!(paid(&mut parking, 3 * i * SECOND, alone), None);
        }
        assert!(paid(&mut parking, 20 * SECOND, OLDEST).is_some());
    }
}

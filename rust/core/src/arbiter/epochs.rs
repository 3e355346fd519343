//! Ids that only rise, until the exchange counts anew: then an epoch begins, for every connection in its own time.
//!
//! A connection delivers in order, so a fall of its own ids while time goes on is no late copy; what those that lag
//! behind still bring is of the past. Where the exchange tells no time, only that of arrival is left: a fall is
//! believed once ids go on from there, it has lasted, and nobody has brought anything newer meanwhile.

use super::Seats;
use crate::symbol::ConnId;
use crate::time::{CLEARLY_LATER, NS_PER_S, is_later};

/// No copy is later by more.
const LATE: u64 = 60 * NS_PER_S.unsigned_abs();

/// What a frame tells before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: i64,
    /// The exchange's time of it; `None` where it tells none, or none but the id itself.
    pub event: Option<i64>,
    /// Monotonic time of its arrival.
    pub mono: u64,
}

/// On which side of a fall a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Ids have fallen since: it is known.
    Past,
    /// Its id counts among those of now.
    Present,
    /// Ids have fallen, and this is the first to show it.
    Next,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug)]
struct Leg {
    conn: ConnId,
    /// Number of the epoch that the rest belongs to.
    epoch: u64,
    /// Highest id.
    high: i64,
    /// Latest time.
    event: Option<i64>,
    /// Since when its ids are below that, and with which of them that began.
    fell: Option<(u64, i64)>,
}

/// How the epoch of now began.
#[derive(Clone, Copy, Debug)]
struct Fall {
    /// The highest id before.
    from: i64,
    event: Option<i64>,
    mono: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    number: u64,
    legs: Vec<Leg>,
    seats: Seats,
    /// Highest id and latest time of this epoch, whoever told them.
    high: Option<i64>,
    event: Option<i64>,
    /// Monotonic time of the highest id.
    fresh: u64,
    fall: Option<Fall>,
}

impl Epochs {
    /// Judges a frame. Changes nothing: [`Self::note`] is told of it once it has proved to be sound.
    #[inline(always)]
    #[must_use]
    pub fn judge(&self, conn: ConnId, told: Told) -> Age {
        let Some(high) = self.high else { return Age::Present };
        match self.leg(conn).filter(|leg| leg.epoch == self.number) {
            Some(_) if told.id >= high => Age::Present,
            Some(leg) => self.judge_below(leg, told),
            None => self.judge_stranger(conn, high, told),
        }
    }

    /// A connection of this epoch brings what is below the highest id.
    fn judge_below(&self, leg: &Leg, told: Told) -> Age {
        let fell = told.id < leg.high;
        if is_later(told.event, self.event, CLEARLY_LATER) || fell && is_later(told.event, leg.event, 0) {
            return Age::Next;
        }
        let patience = match told.event {
            // It has not come to what others have brought, and its time says so.
            Some(_) if !fell => return Age::Present,
            None if fell => CLEARLY_LATER.unsigned_abs(),
            _ => LATE,
        };
        // What only repeats itself does not go on.
        let since = if fell { leg.fell.filter(|(_, id)| *id < told.id).map(|(since, _)| since) } else { Some(0) };
        let lasts = since.is_some_and(|since| told.mono.saturating_sub(since.max(self.fresh)) >= patience);
        if lasts { Age::Next } else { Age::Present }
    }

    /// A connection has just joined, or has not come to this epoch.
    #[inline(never)]
    fn judge_stranger(&self, conn: ConnId, high: i64, told: Told) -> Age {
        let own = self.leg(conn);
        let fall = self.fall.filter(|fall| told.mono.saturating_sub(fall.mono) < LATE);
        let is_past = |fall: Fall| {
            let is_nearer = || told.id.abs_diff(fall.from) < told.id.abs_diff(high);
            match told.event.zip(fall.event) {
                Some((now, begin)) => now < begin || now <= begin.saturating_add(CLEARLY_LATER) && is_nearer(),
                None => own.is_some_and(|own| told.id >= own.high) || is_nearer(),
            }
        };
        if fall.is_some_and(is_past) {
            return Age::Past;
        }
        // It is believed at once where there is no other.
        let is_alone = self.legs.iter().all(|leg| leg.conn == conn);
        let margin = if is_alone { 0 } else { CLEARLY_LATER };
        if told.id < high && is_later(told.event, self.event, margin) { Age::Next } else { Age::Present }
    }

    /// The most frequent kind of frame: what another connection has brought, on one whose own ids and time do not fall.
    /// Comes to the same as judging it [`Age::Present`] and noting that. False, and nothing has changed, where it is of
    /// another kind.
    #[inline(always)]
    pub fn note_copy(&mut self, conn: ConnId, told: Told) -> bool {
        let Told { id, event, mono } = told;
        let is_of_now = self.high.is_some_and(|high| id <= high) && event <= self.event;
        let is_believed = event.is_some() || mono.saturating_sub(self.fresh) < LATE;
        let Some(at) = self.seats.find(&self.legs, conn, |leg| leg.conn) else { return false };
        let Some(own) = self.legs.get_mut(at).filter(|own| own.epoch == self.number) else { return false };
        if !(is_of_now && is_believed && own.high <= id && own.event <= event) {
            return false;
        }
        (own.high, own.event, own.fell) = (id, event, None);
        true
    }

    /// Notes a frame and what it was judged to be.
    pub fn note(&mut self, conn: ConnId, told: Told, age: Age) {
        let Told { id, event, mono } = told;
        match age {
            Age::Past => {}
            Age::Present => {
                if self.high.is_none_or(|high| high < id) {
                    (self.high, self.fresh) = (Some(id), mono);
                }
                self.event = self.event.max(event);
            }
            Age::Next => {
                self.fall = self.high.map(|from| Fall { from, event, mono });
                self.number += 1;
                (self.high, self.event, self.fresh) = (Some(id), event, mono);
            }
        }
        let epoch = self.number.wrapping_sub(u64::from(age == Age::Past));
        let leg = Leg { conn, epoch, high: id, event, fell: None };
        match self.seats.find(&self.legs, conn, |leg| leg.conn).and_then(|at| self.legs.get_mut(at)) {
            None => self.legs.push(leg),
            Some(own) if own.epoch != epoch => {
                if age != Age::Past {
                    *own = leg;
                }
            }
            Some(own) if id >= own.high => *own = Leg { event: own.event.max(event), ..leg },
            Some(own) => own.fell = own.fell.or(Some((mono, id))),
        }
    }

    /// A connection is gone: what it brings when it is back may begin anywhere.
    pub fn forget(&mut self, conn: ConnId) {
        self.legs.retain(|leg| leg.conn != conn);
    }

    #[inline(always)]
    fn leg(&self, conn: ConnId) -> Option<&Leg> {
        self.seats.look(&self.legs, conn, |leg| leg.conn).and_then(|at| self.legs.get(at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_noted_at_once_comes_to_the_same_as_what_is_judged_first(
            has_times in any::<bool>(),
            frames in prop::collection::vec((1..=3_u16, -3..4_i64, -2..5_i64, 0..40_u64, prop::bool::weighted(0.03)), 1..300),
        ) {
            let (mut quick, mut slow) = (Epochs::default(), Epochs::default());
            let (mut at, mut mono) = ([100_i64; 4], 0);
            let mut at_once = 0;
            for (conn, step, half_seconds, seconds, falls) in frames {
                let id = &mut at[usize::from(conn)];
                *id = if falls { 10 } else { *id + step };
                mono += if seconds < 36 { seconds } else { seconds * NS_PER_S.unsigned_abs() };
                let event = has_times.then_some((*id / 4 + half_seconds) * NS_PER_S / 2);
                let (conn, told) = (ConnId(conn), Told { id: *id, event, mono });
                let age = slow.judge(conn, told);
                slow.note(conn, told, age);
                if quick.note_copy(conn, told) {
                    prop_assert_eq!(age, Age::Present);
                    at_once += 1;
                } else {
                    let age = quick.judge(conn, told);
                    quick.note(conn, told, age);
                }
                // What is remembered of where connections stand is but a guess.
                quick.seats = slow.seats;
                prop_assert_eq!(format!("{quick:?}"), format!("{slow:?}"), "{} at once", at_once);
            }
        }
    }
}

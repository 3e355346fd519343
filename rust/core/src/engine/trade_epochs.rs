//! Ids of trades rise, until the exchange counts anew. Of each time between two falls: what was seen and what is missing,
//! which connections that lag behind the fall still bring.

use super::trade_holes::TradeHoles;
use crate::arbiter::window::{DEFAULT_BITS, RangeSeen};
use crate::arbiter::{Seats, SequenceWindow, Verdict};
use crate::symbol::ConnId;
use crate::time::{CLEARLY_LATER, is_later};

/// First and last id.
type Ids = (i64, i64);

/// Of those that are over, the latest: more often ids do not fall within the time that a connection lags.
const PAST: usize = 2;

/// Ids that rise.
#[derive(Default)]
pub(super) struct Epoch {
    number: u64,
    /// Event time of the trade that was the first to come, and of all but the first epoch showed that ids had fallen.
    begin: Option<i64>,
    pub window: SequenceWindow,
    /// Event time of the highest id that tells one.
    high_event: Option<i64>,
    /// That id.
    timed: Option<i64>,
    pub holes: TradeHoles,
}

impl Epoch {
    /// Ids have fallen: all of these lie below the window though their event is later than that of the highest id, or they
    /// have been seen, or are none beyond it, though it is clearly later. They are none of its late copies.
    pub(super) fn is_over(&self, (first, last): Ids, event: Option<i64>) -> bool {
        match self.window.check(first, last) {
            Verdict::TooOld => is_later(event, self.high_event, 0),
            Verdict::Known => self.is_long_over(event),
            Verdict::Fresh | Verdict::PartlyKnown => Some(last) <= self.timed && self.is_long_over(event),
        }
    }

    /// Takes ids, and notes their time.
    pub(super) fn insert(&mut self, (first, last): Ids, event: Option<i64>) -> RangeSeen {
        if self.window.high().is_none() {
            self.begin = self.begin.or(event);
        }
        let seen = self.window.insert_range(first, last);
        if event.is_some() && self.window.high() == Some(last) {
            (self.high_event, self.timed) = (event, Some(last));
        }
        seen
    }

    /// REST has told this id. True where it was missing: then it is seen.
    pub(super) fn fetch(&mut self, id: i64) -> bool {
        let is_missing = self.holes.fetch(id);
        if is_missing {
            self.window.insert(id);
        }
        is_missing
    }

    /// The lowest id that can still be judged.
    pub(super) fn low(&self) -> i64 {
        self.window.low().unwrap_or(i64::MIN)
    }

    /// An event is clearly later than that of the highest id.
    #[inline]
    pub(super) fn is_long_over(&self, event: Option<i64>) -> bool {
        is_later(event, self.high_event, CLEARLY_LATER)
    }
}

/// Where ids belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the epoch at this place.
    At(usize),
    /// To one before it, of which nothing has been seen.
    Before(usize),
    /// To one that is forgotten.
    Forgotten,
}

/// How far a connection has delivered, fresh or not.
#[derive(Clone, Copy, Debug)]
struct Heard {
    conn: ConnId,
    last: i64,
    /// Number of the epoch that this belongs to.
    epoch: u64,
}

/// See the module. Epochs are known by their place, oldest first.
#[derive(Default)]
pub(super) struct Epochs {
    past: Vec<Epoch>,
    pub now: Epoch,
    heard: Vec<Heard>,
    seats: Seats,
}

impl Epochs {
    /// There is no epoch but this one.
    #[inline]
    pub(super) fn have_never_fallen(&self) -> bool {
        self.past.is_empty()
    }

    /// Place of the present epoch.
    pub(super) fn present(&self) -> usize {
        self.past.len()
    }

    fn epoch(&self, place: usize) -> &Epoch {
        self.past.get(place).unwrap_or(&self.now)
    }

    pub(super) fn at(&mut self, place: usize) -> &mut Epoch {
        self.past.get_mut(place).unwrap_or(&mut self.now)
    }

    /// All of them.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Epoch> {
        self.past.iter_mut().chain(std::iter::once(&mut self.now))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Epoch> {
        self.past.iter().chain(std::iter::once(&self.now))
    }

    /// Where these ids belong. A connection never goes back to an epoch that it has left; on which side of a fall its ids
    /// lie tells their time, and where that is the same, whether they rise.
    #[inline]
    pub(super) fn place(&self, conn: ConnId, ids: Ids, event: Option<i64>) -> Place {
        if ids.0 > ids.1 {
            return Place::At(self.present());
        }
        let place = if self.past.is_empty() { Some(0) } else { self.place_among(conn, ids, event) };
        let Some(place) = place else { return Place::Forgotten };
        if !self.are_of_before(self.epoch(place), conn, ids, event) {
            Place::At(place)
        } else if place == 0 && self.past.len() == PAST {
            // It would be the first to be forgotten.
            Place::Forgotten
        } else {
            Place::Before(place)
        }
    }

    fn place_among(&self, conn: ConnId, ids: Ids, event: Option<i64>) -> Option<usize> {
        let heard = self.heard.iter().find(|heard| heard.conn == conn);
        let lowest = heard.map_or(0, |heard| self.past.iter().take_while(|epoch| epoch.number < heard.epoch).count());
        let Some(event) = event else { return Some(if heard.is_some() { lowest } else { self.present() }) };
        let rises = heard.is_some_and(|heard| heard.last < ids.0);
        let is_before = |place: usize| {
            self.epoch(place).begin.is_some_and(|begin| event < begin || event == begin && rises && lowest < place)
        };
        let mut place = self.present();
        while place > lowest && is_before(place) {
            place -= 1;
        }
        if place == 0 && heard.is_none() && self.epoch(0).number > 0 && is_before(0) {
            return None;
        }
        // The trade that showed the fall was not the first behind it.
        while place < self.present() && self.epoch(place).is_over(ids, Some(event)) {
            place += 1;
        }
        Some(place)
    }

    /// A connection that has not spoken in it comes from before its first trade, by the time, and has ids far beyond all of
    /// it: these had fallen already, and of the epoch that they end nothing was seen.
    #[inline]
    fn are_of_before(&self, epoch: &Epoch, conn: ConnId, (first, _): Ids, event: Option<i64>) -> bool {
        epoch.window.high().is_some_and(|high| first.saturating_sub(high) > DEFAULT_BITS as i64)
            && is_later(epoch.begin, event, 0)
            && self.heard.iter().all(|heard| heard.conn != conn || heard.epoch < epoch.number)
    }

    /// There was an epoch before this one, of which nothing was seen: it has this place now. Yields one that is forgotten.
    pub(super) fn look_back(&mut self, place: usize) -> Option<Epoch> {
        let number = self.at(place).number;
        let later = |epoch: &mut u64| *epoch += u64::from(*epoch >= number);
        self.all().for_each(|epoch| later(&mut epoch.number));
        self.heard.iter_mut().for_each(|heard| later(&mut heard.epoch));
        let mut before = Epoch { number, ..Epoch::default() };
        before.holes.is_past = true;
        self.past.insert(place, before);
        self.forget_oldest()
    }

    fn forget_oldest(&mut self) -> Option<Epoch> {
        (self.past.len() > PAST).then(|| self.past.remove(0))
    }

    /// As [`Self::hear`], where ids have never fallen and nobody wants to know.
    #[inline(always)]
    pub(super) fn hear_again(&mut self, conn: ConnId, ids: Ids) {
        let at = self.seats.find(&self.heard, conn, |heard| heard.conn);
        match at.and_then(|at| self.heard.get_mut(at)) {
            Some(heard) if heard.epoch == self.now.number && ids.0 <= heard.last.saturating_add(1) => {
                heard.last = heard.last.max(ids.1);
            }
            _ => drop(self.hear(conn, ids, self.present())),
        }
    }

    /// Notes how far a connection has come. Yields the first of its ids that it should have brought before these, where
    /// it had spoken before.
    pub(super) fn hear(&mut self, conn: ConnId, (first, last): Ids, place: usize) -> Option<i64> {
        if first > last {
            return None;
        }
        let number = self.at(place).number;
        let at = self.seats.find(&self.heard, conn, |heard| heard.conn);
        let Some(heard) = at.and_then(|at| self.heard.get_mut(at)) else {
            self.heard.push(Heard { conn, last, epoch: number });
            return None;
        };
        if heard.epoch < number {
            (heard.epoch, heard.last) = (number, first.saturating_sub(1));
        }
        let due = heard.last.saturating_add(1);
        heard.last = heard.last.max(last);
        if due < first {
            self.at(place).holes.left_out((due, first - 1), conn);
        }
        Some(due)
    }

    /// Ids have fallen on a connection. Yields an epoch that is forgotten.
    pub(super) fn begin(&mut self, conn: ConnId, event: Option<i64>) -> Option<Epoch> {
        let number = self.now.number + 1;
        let mut past = std::mem::replace(&mut self.now, Epoch { number, begin: event, ..Epoch::default() });
        past.holes.is_past = true;
        self.past.push(past);
        self.forget(conn);
        self.forget_oldest()
    }

    /// A connection brings nothing more, or begins anew.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.heard.retain(|heard| heard.conn != conn);
    }

    /// No connection brings anything more.
    pub(super) fn end(&mut self) {
        self.heard.clear();
    }
}

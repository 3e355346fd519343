//! Who brings an event first: the arrivals of one stream that several connections carry, compared event by event.
//!
//! An event is known by its key (the last id of a frame, or its time). Frames that an exchange cuts differently on each
//! connection have different keys and are not compared; they are no losses either, where each follows the one before.

use super::Seats;
use super::trail::Trail;
use crate::symbol::ConnId;

/// Connections that are compared at once; the one that has been quiet longest makes room.
const LEGS: usize = 16;
/// The latest events: they wait for their copies. Of one that had to make room the [`Trail`] tells how late a copy is.
const SLOTS: usize = 128;

/// A frame, as far as the race is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// What the event is known by: higher is later.
    pub key: i64,
    /// What its own connection must have brought before, where the exchange tells; else nothing may lie between this
    /// frame and the connection's last.
    pub follows: Option<i64>,
    /// Nobody has brought it before.
    pub is_fresh: bool,
    /// When it came, monotonic; perhaps before what was read before it.
    pub mono: u64,
}

/// Where a frame came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It brought the event.
    First,
    /// Another had brought it so many nanoseconds before; where the event has made room by now up to a sixth more.
    Behind {
        /// Nanoseconds.
        ns: u64,
        /// Who led by so much: of the first copy alone.
        leader: Option<ConnId>,
    },
    /// There is nothing to compare it with.
    Apart,
}

/// What one frame tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heat {
    /// Where it came in.
    pub place: Place,
    /// The connection was said to have missed the event; it had not.
    pub is_spared: bool,
    missed: u16,
}

impl Heat {
    /// [`Race::missed_by`] has something to tell.
    #[inline]
    #[must_use]
    pub fn has_missers(&self) -> bool {
        self.missed != 0
    }
}

/// A connection in the race.
#[derive(Clone, Copy, Debug)]
struct Leg {
    conn: ConnId,
    /// It is up.
    is_running: bool,
    /// Events up to this key are older than its part in the race.
    begin: i64,
    /// It has passed everything above `run` up to `last`, without a hole.
    run: i64,
    last: i64,
    /// As above, before its last hole.
    run_before: (i64, i64),
    heard: u64,
    /// Which event it brings next, unless it left some out.
    next: u64,
}

impl Leg {
    /// It has brought a frame that follows `before`.
    #[inline(always)]
    fn pass(&mut self, before: i64, key: i64, mono: u64) {
        self.heard = mono;
        // No branch: frames of some kinds follow one another, those of others never do, and they come mixed.
        let has_hole = before > self.last;
        self.run_before = if has_hole { (self.run, self.last) } else { self.run_before };
        self.run = if has_hole { before } else { self.run };
        self.last = self.last.max(key);
    }

    fn passed(&self, key: i64) -> bool {
        (self.run < key && key <= self.last) || (self.run_before.0 < key && key <= self.run_before.1)
    }
}

/// An event and those who brought it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    key: i64,
    mono: u64,
    /// A bit for each leg that has brought it or has no part in it.
    brought: u16,
    /// Who brought it first, until it has copies; then nobody.
    leader: ConnId,
}

/// Nobody is waited for.
const EMPTY: Slot = Slot { key: i64::MIN, mono: 0, brought: u16::MAX, leader: ConnId::NONE };

/// See the module.
#[derive(Clone, Debug)]
pub struct Race {
    legs: Vec<Leg>,
    seats: Seats,
    /// A bit for each leg that has a connection.
    running: u16,
    /// In the order of their keys: event `n` at `n % SLOTS`. Those that come one after the other lie so, and whoever brings
    /// them in order finds the next without a search.
    slots: [Slot; SLOTS],
    /// The number of the next event.
    next: u64,
    trail: Trail,
    /// The highest key so far.
    high: i64,
}

impl Default for Race {
    fn default() -> Self {
        Self {
            legs: Vec::with_capacity(LEGS),
            seats: Seats::default(),
            running: 0,
            slots: [EMPTY; SLOTS],
            next: 0,
            trail: Trail::default(),
            high: i64::MIN,
        }
    }
}

/// A copy of an event that still waits for its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Another had brought it so many nanoseconds before.
    pub ns: u64,
    /// Who led by so much: of the first copy alone; else [`ConnId::NONE`].
    pub leader: ConnId,
}

impl Race {
    /// The most frequent kind of frame: its event is known, still waits for its copies, and is the next one of this
    /// connection. Comes to the same as [`Self::note`] of what is not fresh and follows `before`. `None`, and nothing has
    /// changed, where it is of another kind.
    #[inline(always)]
    pub fn note_copy(&mut self, conn: ConnId, key: i64, before: i64, mono: u64) -> Option<Copied> {
        let (at, leg) = self.seats.find_mut(&mut self.legs, conn, |leg| leg.conn)?;
        let (slot, bit) = (&mut self.slots[place(leg.next)], 1_u16.checked_shl(at as u32)?);
        if slot.key != key || slot.brought & bit != 0 || !leg.is_running {
            return None;
        }
        leg.pass(before.min(key.wrapping_sub(1)), key, mono);
        leg.next += 1;
        slot.brought |= bit;
        // No branch: whether it is the first copy nobody can guess.
        let leader = std::mem::replace(&mut slot.leader, ConnId::NONE);
        Some(Copied { ns: mono.saturating_sub(slot.mono), leader })
    }

    /// The most frequent kind of news: above all that came, on a connection that was there before. Comes to the same as
    /// [`Self::note`] of what is fresh and follows `before`. `None`, and nothing has changed, where it is of another kind.
    #[inline(always)]
    pub fn note_first(&mut self, conn: ConnId, key: i64, before: i64, mono: u64) -> Option<Heat> {
        let (at, leg) = self.seats.find_mut(&mut self.legs, conn, |leg| leg.conn)?;
        let brought = 1_u16.checked_shl(at as u32)?;
        if key <= self.high || !leg.is_running {
            return None;
        }
        leg.pass(before.min(key.saturating_sub(1)), key, mono);
        let left = std::mem::replace(&mut self.slots[place(self.next)], Slot { key, mono, brought, leader: conn });
        self.next += 1;
        leg.next = self.next;
        self.high = key;
        self.trail.note(key, mono);
        Some(Heat { place: Place::First, is_spared: false, missed: self.missed(&left) })
    }

    /// A frame came.
    #[inline]
    pub fn note(&mut self, conn: ConnId, arrival: Arrival) -> Heat {
        let Arrival { key, is_fresh, mono, .. } = arrival;
        let at = self.leg(conn, arrival);
        let bit = 1_u16 << at;
        if key > self.high {
            self.high = key;
            self.trail.note(key, mono);
        }
        let mut heat = Heat { place: Place::Apart, is_spared: false, missed: 0 };
        let number = self.find(key);
        let has_made_room = self.is_below_all(number);
        let slot = &mut self.slots[place(number)];
        self.legs[at].next = number + 1;
        if number < self.next && slot.key == key {
            if slot.brought & bit == 0 {
                let leader = Some(std::mem::replace(&mut slot.leader, ConnId::NONE)).filter(|of| *of != ConnId::NONE);
                heat.place = Place::Behind { ns: mono.saturating_sub(slot.mono), leader };
                slot.brought |= bit;
            }
        } else if is_fresh {
            let left = self.insert(number, Slot { key, mono, brought: bit, leader: conn });
            heat.place = Place::First;
            heat.missed = self.missed(&left);
        } else if has_made_room && key > self.legs[at].begin {
            // It was there, and whoever had not brought it by then was thought never to bring it.
            let arrived = self.trail.latest_arrival(key).map_or(slot.mono, |arrived| arrived.min(slot.mono));
            heat.place = Place::Behind { ns: mono.saturating_sub(arrived), leader: None };
            heat.is_spared = true;
        }
        heat
    }

    /// The number of the oldest event that waits.
    fn oldest(&self) -> u64 {
        self.next.saturating_sub(SLOTS as u64)
    }

    /// What would come before all that wait has no room any more.
    fn is_below_all(&self, number: u64) -> bool {
        number == self.oldest() && self.next >= SLOTS as u64
    }

    /// The number of the first event that waits and is not below this one; of the next where all are.
    fn find(&self, key: i64) -> u64 {
        let (mut from, mut to) = (self.oldest(), self.next);
        while from < to {
            let middle = from.midpoint(to);
            if self.slots[place(middle)].key < key { from = middle + 1 } else { to = middle }
        }
        from
    }

    /// An event takes its place among those that wait. Says which one has to make room for it.
    fn insert(&mut self, number: u64, slot: Slot) -> Slot {
        if self.is_below_all(number) {
            // It is still the oldest.
            return std::mem::replace(&mut self.slots[place(number)], slot);
        }
        let left = self.slots[place(self.next)];
        for later in (number..self.next).rev() {
            self.slots[place(later + 1)] = self.slots[place(later)];
        }
        self.slots[place(number)] = slot;
        self.next += 1;
        left
    }

    /// The number of the connection's leg, which has come as far as this frame.
    #[inline]
    fn leg(&mut self, conn: ConnId, arrival: Arrival) -> usize {
        let Arrival { key, mono, .. } = arrival;
        let before = arrival.follows.unwrap_or(key.saturating_sub(1)).min(key.saturating_sub(1));
        let at = match self.seats.find(&self.legs, conn, |leg| leg.conn) {
            Some(at) => at,
            None => self.join(conn, mono),
        };
        let leg = &mut self.legs[at];
        if leg.is_running {
            leg.pass(before, key, mono);
        } else {
            let run_before = (leg.run, leg.last);
            *leg = Leg { is_running: true, begin: self.high, run: before, last: key, run_before, heard: mono, ..*leg };
        }
        at
    }

    /// A connection is about to bring the stream: from here on it misses what it does not bring.
    pub fn enter(&mut self, conn: ConnId, mono: u64) {
        if !self.legs.iter().any(|leg| leg.conn == conn) {
            let at = self.join(conn, mono);
            self.legs[at].is_running = true;
        }
    }

    /// A connection enters the race: what came before is none of its business.
    #[cold]
    fn join(&mut self, conn: ConnId, mono: u64) -> usize {
        let new = Leg {
            conn,
            is_running: false,
            begin: self.high,
            run: i64::MIN,
            last: i64::MIN,
            run_before: (i64::MIN, i64::MIN),
            heard: mono,
            next: self.next,
        };
        let free = self.legs.iter().position(|leg| leg.conn == ConnId::NONE);
        let at = match free {
            Some(at) => at,
            None if self.legs.len() < LEGS => self.legs.len(),
            None => self.legs.iter().enumerate().min_by_key(|(_, leg)| leg.heard).map_or(0, |(at, _)| at),
        };
        let gone = match self.legs.get_mut(at) {
            Some(leg) => std::mem::replace(leg, new).conn,
            None => {
                self.legs.push(new);
                ConnId::NONE
            }
        };
        self.running |= 1 << at;
        for slot in self.slots.iter_mut() {
            slot.brought |= 1 << at;
        }
        self.lead_no_more(gone);
        at
    }

    /// Who has missed an event for which nobody waits any longer: whoever has neither brought it nor passed it in frames
    /// of another cut.
    #[inline]
    fn missed(&self, slot: &Slot) -> u16 {
        let open = self.running & !slot.brought;
        if open != 0 { self.not_passed(slot.key, open) } else { 0 }
    }

    #[cold]
    fn not_passed(&self, key: i64, open: u16) -> u16 {
        let legs = self.legs.iter().enumerate();
        legs.filter(|(at, leg)| open & (1 << at) != 0 && !leg.passed(key)).fold(0, |bits, (at, _)| bits | 1 << at)
    }

    /// The connections that `heat` says have missed an event.
    pub fn missed_by(&self, heat: &Heat) -> impl Iterator<Item = ConnId> + '_ {
        self.conns_of(heat.missed)
    }

    /// The connections that do not have an event which came until this moment and still waits, each once for each event.
    pub fn lacking(&self, until: u64) -> impl Iterator<Item = ConnId> + '_ {
        let waiting = (self.oldest()..self.next).map(|number| &self.slots[place(number)]);
        waiting.filter(move |slot| slot.mono <= until).flat_map(|slot| self.conns_of(self.missed(slot)))
    }

    fn conns_of(&self, mut bits: u16) -> impl Iterator<Item = ConnId> + '_ {
        std::iter::from_fn(move || {
            let at = bits.trailing_zeros() as usize;
            bits &= bits.wrapping_sub(1);
            self.legs.get(at).map(|leg| leg.conn)
        })
    }

    /// A connection is down: what comes meanwhile it misses.
    pub fn pause(&mut self, conn: ConnId) {
        for leg in self.legs.iter_mut().filter(|leg| leg.conn == conn) {
            leg.is_running = false;
        }
    }

    /// A connection is gone for good: it misses nothing any more.
    pub fn leave(&mut self, conn: ConnId) {
        for (at, leg) in self.legs.iter_mut().enumerate().filter(|(_, leg)| leg.conn == conn) {
            (leg.conn, leg.heard) = (ConnId::NONE, 0);
            self.running &= !(1 << at);
        }
        self.lead_no_more(conn);
    }

    /// Whoever copies an event of this connection has no leader.
    fn lead_no_more(&mut self, conn: ConnId) {
        for slot in self.slots.iter_mut().filter(|slot| slot.leader == conn) {
            slot.leader = ConnId::NONE;
        }
    }

    /// Ids begin anew: nothing that came is comparable with what comes.
    pub fn restart(&mut self) {
        self.slots.fill(EMPTY);
        self.next = 0;
        self.trail.clear();
        self.high = i64::MIN;
        for leg in &mut self.legs {
            (leg.is_running, leg.run, leg.last, leg.next) = (false, i64::MIN, i64::MIN, 0);
        }
    }
}

/// Where an event waits.
#[inline(always)]
fn place(number: u64) -> usize {
    (number % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests;

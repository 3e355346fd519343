//! Who brings an event first: the arrivals of one stream that several connections carry, compared event by event.
//!
//! An event is known by its key (the last id of a frame, or its time). Frames that an exchange cuts differently on each
//! connection have different keys and are not compared; they are no losses either, where each follows the one before.

use super::Seats;
use super::trail::Trail;
use crate::symbol::ConnId;

/// Connections that are compared at once; the one that has been quiet longest makes room.
const LEGS: usize = 16;
/// Events that wait for their copies. Of one that had to make room the [`Trail`] tells how late a copy is.
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
    key: Option<i64>,
    mono: u64,
    /// A bit for each leg that has brought it or has no part in it.
    brought: u16,
    /// Who brought it first, until it has copies; then nobody.
    leader: ConnId,
}

const EMPTY: Slot = Slot { key: None, mono: 0, brought: 0, leader: ConnId::NONE };

/// See the module.
#[derive(Clone, Debug)]
pub struct Race {
    legs: Vec<Leg>,
    seats: Seats,
    /// A bit for each leg that has a connection.
    running: u16,
    slots: [Slot; SLOTS],
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
    /// The most frequent kind of frame: its event is known, still waits for its copies, and had none from this connection.
    /// Comes to the same as [`Self::note`] of what is not fresh and follows `before`. `None`, and nothing has changed, where
    /// it is of another kind.
    #[inline(always)]
    pub fn note_copy(&mut self, conn: ConnId, key: i64, before: i64, mono: u64) -> Option<Copied> {
        let (slot, leg, bit) = self.meet(conn, key)?;
        if slot.key != Some(key) || slot.brought & bit != 0 {
            return None;
        }
        leg.pass(before.min(key.wrapping_sub(1)), key, mono);
        slot.brought |= bit;
        // No branch: whether it is the first copy nobody can guess.
        let leader = std::mem::replace(&mut slot.leader, ConnId::NONE);
        Some(Copied { ns: mono.saturating_sub(slot.mono), leader })
    }

    /// The most frequent kind of news, on a connection that was there before. Comes to the same as [`Self::note`] of what is
    /// fresh and follows `before`. `None`, and nothing has changed, where it is of another kind.
    #[inline(always)]
    pub fn note_first(&mut self, conn: ConnId, key: i64, before: i64, mono: u64) -> Option<Heat> {
        let (slot, leg, bit) = self.meet(conn, key)?;
        if slot.key == Some(key) {
            return None;
        }
        leg.pass(before.min(key.saturating_sub(1)), key, mono);
        let left = std::mem::replace(slot, Slot { key: Some(key), mono, brought: bit, leader: conn });
        self.rise(key, mono);
        Some(Heat { place: Place::First, is_spared: false, missed: self.missed(&left) })
    }

    /// An event came.
    #[inline(always)]
    fn rise(&mut self, key: i64, mono: u64) {
        if key > self.high {
            self.high = key;
            self.trail.note(key, mono);
        }
    }

    /// The place of an event, the leg of a connection that is there, and the bit of that.
    #[inline(always)]
    fn meet(&mut self, conn: ConnId, key: i64) -> Option<(&mut Slot, &mut Leg, u16)> {
        let at = self.seats.find(&self.legs, conn, |leg| leg.conn)?;
        let leg = self.legs.get_mut(at).filter(|leg| leg.is_running)?;
        Some((&mut self.slots[place(key)], leg, 1_u16.checked_shl(at as u32)?))
    }

    /// A frame came.
    #[inline]
    pub fn note(&mut self, conn: ConnId, arrival: Arrival) -> Heat {
        let Arrival { key, is_fresh, mono, .. } = arrival;
        let at = self.leg(conn, arrival);
        let bit = 1_u16 << at;
        self.rise(key, mono);
        let slot = &mut self.slots[place(key)];
        let mut heat = Heat { place: Place::Apart, is_spared: false, missed: 0 };
        if slot.key == Some(key) {
            if slot.brought & bit == 0 {
                let leader = Some(std::mem::replace(&mut slot.leader, ConnId::NONE)).filter(|of| *of != ConnId::NONE);
                heat.place = Place::Behind { ns: mono.saturating_sub(slot.mono), leader };
                slot.brought |= bit;
            }
        } else if is_fresh {
            let left = std::mem::replace(slot, Slot { key: Some(key), mono, brought: bit, leader: conn });
            heat.place = Place::First;
            heat.missed = self.missed(&left);
        } else if slot.key > Some(key) && key > self.legs[at].begin {
            // It had to make room, and whoever had not brought it by then was thought never to bring it.
            let arrived = self.trail.latest_arrival(key).map_or(slot.mono, |arrived| arrived.min(slot.mono));
            heat.place = Place::Behind { ns: mono.saturating_sub(arrived), leader: None };
            heat.is_spared = true;
        }
        heat
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
        match slot.key {
            Some(key) if open != 0 => self.not_passed(key, open),
            _ => 0,
        }
    }

    #[cold]
    fn not_passed(&self, key: i64, open: u16) -> u16 {
        let legs = self.legs.iter().enumerate();
        legs.filter(|(at, leg)| open & (1 << at) != 0 && !leg.passed(key)).fold(0, |bits, (at, _)| bits | 1 << at)
    }

    /// The connections that `heat` says have missed an event.
    pub fn missed_by(&self, heat: &Heat) -> impl Iterator<Item = ConnId> + '_ {
        let mut bits = heat.missed;
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
        self.trail.clear();
        self.high = i64::MIN;
        for leg in &mut self.legs {
            (leg.is_running, leg.run, leg.last) = (false, i64::MIN, i64::MIN);
        }
    }
}

/// Keys come in all steps: one, dozens, whole milliseconds, seconds. By this factor none of them comes to few places; by
/// that of the golden ratio a tenth of a second in nanoseconds comes to eight.
#[inline]
fn place(key: i64) -> usize {
    (key.cast_unsigned().wrapping_mul(0xD6E8_FEB8_6659_FD93) >> (u64::BITS - SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests;

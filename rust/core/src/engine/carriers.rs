//! Which connections carry a stream.

use super::context::Context;
use crate::arbiter::{Arrival, Race, Seats};
use crate::symbol::ConnId;
use crate::time::NS_PER_MS;

/// A connection that carries a stream.
#[derive(Clone, Copy, Debug)]
struct Carrier {
    conn: ConnId,
    /// Monotonic time of the last frame on it, fresh or not; 0 before the first.
    spoke: u64,
}

/// Connections that have been granted a stream, or have delivered it, and are still up, and when it last spoke.
#[derive(Clone, Debug, Default)]
pub(super) struct Carriers {
    list: Vec<Carrier>,
    seats: Seats,
    /// Monotonic time of the last frame, fresh or not; `None` before the first.
    pub seen: Option<u64>,
    /// Receive time of the last event that was taken.
    pub last_good: Option<i64>,
    /// Monotonic time of that.
    pub fresh: Option<u64>,
    /// When another feed than the one that was taken first came since that last spoke, and when it last did.
    rival: Option<(u64, u64)>,
    /// Who of them is first; none where one alone has ever carried the stream.
    race: Option<Box<Race>>,
}

impl Carriers {
    /// A frame came. True where it is the first that may have copies: another connection carries the stream.
    #[inline(always)]
    pub(super) fn note(&mut self, conn: ConnId, mono: u64) -> bool {
        self.seen = Some(mono);
        match self.seats.find(&self.list, conn, |own| own.conn).and_then(|at| self.list.get_mut(at)) {
            Some(own) => {
                own.spoke = mono;
                false
            }
            None => self.add(conn, mono),
        }
    }

    /// A connection was granted the stream: from here on nothing is missing on it. True as of [`Self::note`].
    pub(super) fn join(&mut self, conn: ConnId) -> bool {
        self.place(conn).is_none() && self.add(conn, 0)
    }

    #[cold]
    fn add(&mut self, conn: ConnId, spoke: u64) -> bool {
        self.list.push(Carrier { conn, spoke });
        if self.list.len() < 2 {
            return false;
        }
        let begins = self.race.is_none();
        let race = self.race.get_or_insert_default();
        self.list.iter().for_each(|own| race.enter(own.conn, spoke));
        begins
    }

    /// Compares a frame with those of other connections, where there are or were some.
    #[inline(always)]
    pub(super) fn compare(&mut self, cx: &mut Context, conn: ConnId, key: i64, follows: Option<i64>, is_fresh: bool) {
        if let Some(race) = &mut self.race
            && !(is_fresh && cx.ledger.on_first(race, conn, key, follows.unwrap_or(i64::MAX), cx.now.came))
        {
            cx.ledger.on_arrival(race, conn, Arrival { key, follows, is_fresh, mono: cx.now.came });
        }
    }

    /// The same, of a frame that brings nothing new: what its connection must have brought before is `before`, or whatever
    /// is just below it where that is lower.
    #[inline(always)]
    pub(super) fn compare_copy(&mut self, cx: &mut Context, conn: ConnId, key: i64, before: i64) {
        if let Some(race) = &mut self.race
            && !cx.ledger.on_copy(race, conn, key, before, cx.now.came)
        {
            let arrival = Arrival { key, follows: Some(before), is_fresh: false, mono: cx.now.came };
            cx.ledger.on_arrival(race, conn, arrival);
        }
    }

    /// More than one connection carries it, or has.
    #[inline]
    pub(super) fn has_raced(&self) -> bool {
        self.race.is_some()
    }

    /// The connections that do not have what came until this moment, as far as it is remembered.
    pub(super) fn lacking(&self, until: u64) -> impl Iterator<Item = ConnId> + '_ {
        self.race.iter().flat_map(move |race| race.lacking(until))
    }

    /// Ids begin anew.
    pub(super) fn restart_race(&mut self) {
        if let Some(race) = &mut self.race {
            race.restart();
        }
    }

    /// A connection is gone for good.
    pub(super) fn leave_race(&mut self, conn: ConnId) {
        if let Some(race) = &mut self.race {
            race.leave(conn);
        }
    }

    /// Monotonic time of the last frame on a connection; `None` before the first.
    pub(super) fn spoke(&self, conn: ConnId) -> Option<u64> {
        self.place(conn).map(|at| self.list[at].spoke).filter(|mono| *mono > 0)
    }

    fn place(&self, conn: ConnId) -> Option<usize> {
        self.list.iter().position(|own| own.conn == conn)
    }

    /// A connection is gone. True where it was the last one that carried the stream.
    pub(super) fn forget(&mut self, conn: ConnId) -> bool {
        let Some(at) = self.place(conn) else { return false };
        self.list.remove(at);
        if let Some(race) = &mut self.race {
            race.pause(conn);
        }
        self.list.is_empty()
    }

    /// A frame of another feed came (another speed of a book, another kind of trades), which nobody merges. True where the
    /// feed that was taken is over: no connection that brought it is up; or, in a recording, where connections come and go
    /// untold, it has been silent for as long as a stream may be, though others have gone on that long or one `begins` now.
    #[cold]
    pub(super) fn is_over(&mut self, cx: &Context, begins: bool) -> bool {
        if self.list.is_empty() {
            return true;
        }
        let now = cx.now.at.mono;
        let limit = silence_limit(cx);
        // One that was silent as long itself, as all are of a quiet market, has not gone on.
        let goes_on = |(since, last): &(u64, u64)| Some(*since) > self.seen && now.saturating_sub(*last) < limit;
        let rival = self.rival.filter(goes_on).map(|(since, _)| since);
        self.rival = Some((rival.unwrap_or(now), now));
        let has_gone_on = rival.is_some_and(|since| now.saturating_sub(since) >= limit);
        !cx.live && if begins { self.are_silent(cx) } else { has_gone_on }
    }

    /// None of them has spoken for as long as a stream may be silent.
    pub(super) fn are_silent(&self, cx: &Context) -> bool {
        self.seen.is_some_and(|seen| cx.now.at.mono.saturating_sub(seen) >= silence_limit(cx))
    }

    /// What they carried is over: another feed begins.
    pub(super) fn dismiss(&mut self) -> Vec<ConnId> {
        let conns: Vec<ConnId> = self.conns().collect();
        for conn in &conns {
            self.forget(*conn);
        }
        conns
    }

    /// Those that carry it.
    pub(super) fn conns(&self) -> impl ExactSizeIterator<Item = ConnId> + '_ {
        self.list.iter().map(|own| own.conn)
    }

    /// An event was taken.
    #[inline]
    pub(super) fn took(&mut self, ts_recv: i64) {
        self.last_good = Some(ts_recv);
        self.fresh = self.seen;
    }

    /// None of those that carry it has spoken yet.
    pub(super) fn are_mute(&self) -> bool {
        self.list.iter().all(|own| own.spoke == 0)
    }

    /// It carries it.
    pub(super) fn has(&self, conn: ConnId) -> bool {
        self.place(conn).is_some()
    }

    /// A connection other than `conn` carries it, and has not spoken yet.
    pub(super) fn has_mute(&self, conn: ConnId) -> bool {
        self.list.iter().any(|own| own.conn != conn && own.spoke == 0)
    }

    /// A connection other than `conn` carries it too.
    pub(super) fn others(&self, conn: ConnId) -> bool {
        self.conns().any(|other| other != conn)
    }
}

/// For as many nanoseconds a stream may be silent.
fn silence_limit(cx: &Context) -> u64 {
    cx.config.deadlines.stream_silence_ms.saturating_mul(NS_PER_MS.unsigned_abs())
}

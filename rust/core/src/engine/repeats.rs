//! The frames that came last and what their heads say: the same bytes on another connection say the same, and are not
//! looked at again.
//!
//! Connections to one stream bring the same frames in much the same order, each at its own time. So every connection has
//! a mark in the list of what was taken last, and mostly its next frame is the one that stands there.

use super::ledger::Moment;
use crate::config::Stream;
use crate::exchange::{EventKind, Key};
use crate::symbol::{ConnId, InstrumentId};

/// Frames that are kept.
const FRAMES: usize = 256;
/// Bytes of all of them.
const BYTES: usize = 1 << 16;
/// What takes more bytes is looked at each time.
const LONGEST: usize = 1 << 10;
/// How far beyond its mark a connection's frame is looked for.
const AHEAD: u64 = 16;
/// A frame so far behind is not waited for.
const LOST: u64 = 4;
/// So many frames may a connection bring first while others have brought what it has not.
const MOST_AHEAD: u32 = 4;
/// Copies that were not found before all frames are searched for one, at first; each search in vain doubles it.
const PATIENCE: u32 = 4;
const MOST_PATIENCE: u32 = 1 << 12;

/// What a head says, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub kind: EventKind,
    pub instrument: InstrumentId,
    pub key: Key,
    pub moment: Moment,
    /// Of the one row of a frame of states: what it may be of. Its time is the last id of its key.
    pub feeds: [Option<(Stream, u8)>; 2],
}

const NOTHING: Told = Told {
    kind: EventKind::State,
    instrument: InstrumentId::NONE,
    key: Key { prev: 0, first: 0, last: 0 },
    moment: Moment { event: None, sent: 0 },
    feeds: [None; 2],
};

/// A frame that was taken.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Note {
    /// Its number, from 0; [`u64::MAX`] where there is none, or its bytes are gone.
    number: u64,
    len: u32,
    /// Where those of its bytes stand that tell its head: so many of its beginning, and so many of its end.
    at: u32,
    begin: u32,
    end: u32,
    /// A bit for each connection that has brought it, of those whose mark is not behind it.
    brought: u64,
    told: Told,
}

const FREE: u64 = u64::MAX;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    /// The frame that it brings next, if it does as the others did.
    next: u64,
    /// What it brought first while others were said to be ahead.
    ahead: u32,
    /// Copies of what was not found.
    strays: u32,
    /// At how many of them it is searched for, less [`PATIENCE`].
    more_patience: u32,
}

/// See the module. Of the connections of one lane.
pub(super) struct Repeats {
    notes: Box<[Note; FRAMES]>,
    bytes: Box<[u8; BYTES]>,
    /// The number of the next one, where its bytes will be, and how many are free there at least.
    next: u64,
    at: usize,
    free: usize,
    /// The first one whose bytes are still there.
    oldest: u64,
}

impl Default for Repeats {
    fn default() -> Self {
        let note = Note { number: FREE, len: 0, at: 0, begin: 0, end: 0, brought: 0, told: NOTHING };
        Self { notes: Box::new([note; FRAMES]), bytes: Box::new([0; BYTES]), next: 0, at: 0, free: BYTES, oldest: 0 }
    }
}

impl Note {
    /// The frame says what this one says.
    #[inline(always)]
    fn is_of(&self, frame: &[u8], bytes: &[u8; BYTES]) -> bool {
        let at = self.at as usize;
        let end = at + self.begin as usize;
        frame.len() == self.len as usize
            && bytes.get(at..end).is_some_and(|kept| frame.starts_with(kept))
            && (self.end == 0 || bytes.get(end..end + self.end as usize).is_some_and(|kept| frame.ends_with(kept)))
    }
}

impl Repeats {
    /// What the head of this frame says, if the same one came lately on another connection.
    #[inline(always)]
    pub(super) fn find(&mut self, conn: ConnId, mark: &mut Mark, frame: &[u8]) -> Option<&Told> {
        let number = mark.next;
        if number >= self.next {
            // It leads. Told before the place of its next note is looked at, which nobody has touched for long.
            return None;
        }
        let at = place(number);
        if self.notes[at].number == number && self.notes[at].is_of(frame, &self.bytes) {
            mark.next = number + 1;
            return Some(&self.notes[at].told);
        }
        self.search(conn, mark, frame)
    }

    /// Looks on beyond the connection's mark, since connections may differ a little in order, and lose frames.
    #[cold]
    fn search(&mut self, conn: ConnId, mark: &mut Mark, frame: &[u8]) -> Option<&Told> {
        if mark.next < self.oldest {
            return None;
        }
        let bit = bit(conn);
        let ahead = mark.next..self.next.min(mark.next + AHEAD);
        let found = ahead.into_iter().find(|number| {
            let note = &self.notes[place(*number)];
            note.brought & bit == 0 && note.is_of(frame, &self.bytes)
        })?;
        self.notes[place(found)].brought |= bit;
        if found >= mark.next + LOST {
            // One at a time, since those behind it may only be late.
            mark.next += 1;
        }
        while mark.next < self.next && self.notes[place(mark.next)].brought & bit != 0 {
            mark.next += 1;
        }
        mark.ahead = 0;
        Some(&self.notes[place(found)].told)
    }

    /// A frame was taken that nobody had brought before. Its head was read from so many bytes of its beginning and its end.
    #[inline(always)]
    pub(super) fn keep(&mut self, conn: ConnId, mark: &mut Mark, frame: &[u8], read: (usize, usize), told: Told) {
        let len = frame.len();
        // What overlaps is kept whole.
        let (begin, end) = if read.0.saturating_add(read.1) < len { read } else { (len, 0) };
        let size = begin + end;
        if size > LONGEST {
            return;
        }
        if size > self.free {
            self.find_room(size);
        }
        let at = self.at;
        let Some((first, last)) = self.bytes.get_mut(at..at + size).and_then(|kept| kept.split_at_mut_checked(begin))
        else {
            return;
        };
        first.copy_from_slice(&frame[..begin]);
        if end > 0 {
            last.copy_from_slice(&frame[len - end..]);
        }
        self.at += size;
        self.free -= size;
        let mut brought = 0;
        if mark.next == self.next || mark.next < self.oldest || mark.ahead == MOST_AHEAD {
            // It leads; what it has not brought of the others' frames is lost on it.
            mark.next = self.next + 1;
            mark.ahead = 0;
        } else {
            mark.ahead += 1;
            brought = bit(conn);
        }
        if self.next - self.oldest == FRAMES as u64 {
            // It takes that one's place.
            self.oldest += 1;
        }
        let [len, at, begin, end] = [len, at, begin, end].map(|n| n as u32);
        self.notes[place(self.next)] = Note { number: self.next, len, at, begin, end, brought, told };
        self.next += 1;
    }

    /// Finds so many bytes that are free, and forgets the oldest frames for that.
    #[inline(never)]
    fn find_room(&mut self, size: usize) {
        if self.at + size > BYTES {
            self.forget(self.at, BYTES);
            self.at = 0;
        }
        self.forget(self.at, self.at + size);
        let oldest = (self.oldest < self.next).then(|| self.notes[place(self.oldest)].at as usize);
        // From the oldest to the newest, which ends here, they stand in a row, around the end of all.
        self.free = oldest.filter(|oldest| *oldest >= self.at).unwrap_or(BYTES) - self.at;
    }

    /// Forgets the oldest frames, as long as they stand there.
    fn forget(&mut self, from: usize, to: usize) {
        while self.oldest < self.next {
            let note = &mut self.notes[place(self.oldest)];
            if note.at as usize >= to || (note.at + note.begin + note.end) as usize <= from {
                return;
            }
            note.number = FREE;
            self.oldest += 1;
        }
    }

    /// A frame was a copy and was not found: after some of them the connection's mark is looked for.
    pub(super) fn stray(&mut self, mark: &mut Mark, frame: &[u8]) {
        mark.strays += 1;
        if mark.strays < PATIENCE + mark.more_patience {
            return;
        }
        mark.strays = 0;
        let mut all = (self.oldest..self.next).rev();
        match all.find(|number| self.notes[place(*number)].is_of(frame, &self.bytes)) {
            Some(found) => (mark.next, mark.more_patience) = (found + 1, 0),
            None => mark.more_patience = (2 * mark.more_patience + PATIENCE).min(MOST_PATIENCE),
        }
    }

    /// What heads say may not hold any more.
    pub(super) fn clear(&mut self) {
        for note in self.notes.iter_mut() {
            note.number = FREE;
        }
        self.oldest = self.next;
    }
}

#[inline]
fn place(number: u64) -> usize {
    number as usize % FRAMES
}

/// Connections share bits where there are very many: what is not found for that is looked at once more.
#[inline]
fn bit(conn: ConnId) -> u64 {
    1 << (conn.0 % 64)
}

#[cfg(test)]
mod tests;

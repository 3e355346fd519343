//! Contiguous ids: what was seen of the latest, in constant memory.

#[cfg(test)]
mod tests;

use super::Metrics;

/// Ids that a window spans unless told otherwise.
pub const DEFAULT_BITS: usize = 4096;
/// What is known of a range of ids before anything is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// None of them was seen.
    Fresh,
    /// Some were: decode, and ask id by id.
    PartlyKnown,
    /// There is nothing new in it: each was seen or is too old to judge.
    Known,
    /// All of them lie below the window.
    TooOld,
}

/// What became of one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// New: the next one, the first of all, or one from before the first that came late.
    New,
    /// New, and beyond the next one: the ids between are missing.
    Jump {
        /// First missing id.
        first_missing: i64,
        /// Last missing id.
        last_missing: i64,
    },
    /// New, and was missing until now.
    Repaired,
    /// Seen before.
    Duplicate,
    /// Below the window: seen or not, nobody knows. A late copy, unless its event is later than that of the highest
    /// id: then ids have fallen, and [`SequenceWindow::reset`] opens a new epoch.
    TooOld,
}

impl Seen {
    /// True where the event is to be passed on.
    #[must_use]
    pub const fn is_new(self) -> bool {
        matches!(self, Self::New | Self::Jump { .. } | Self::Repaired)
    }
}

/// What became of a range of ids. `fresh + duplicates + too_old` is its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeSeen {
    /// Ids seen for the first time.
    pub fresh: u64,
    /// Of these, ids that were missing until now.
    pub repaired: u64,
    /// Ids seen before.
    pub duplicates: u64,
    /// Ids below the window.
    pub too_old: u64,
    /// First and last id left out before the range.
    pub jump: Option<(i64, i64)>,
}

/// A high-water mark and one bit for each of the ids behind it.
///
/// The first id ever starts the window: nothing before it is missing. An id from before the start that is within
/// reach of the window is new (another connection had an earlier start) and is told from its repetition, but what
/// lies between it and the start is still not missing. Ids below the window are too old to judge, also those that slid
/// out of it without having come: who still waits for them remembers that himself.
///
/// Every operation takes a time bounded by the size of the window, however far the ids jump.
#[derive(Clone, Debug)]
pub struct SequenceWindow {
    /// Bit `id mod bits`; meaningful for `low() ..= high`, and 0 for ids from before the start that did not come.
    words: Box<[u64]>,
    /// Start and highest id.
    span: Option<(i64, i64)>,
    metrics: Metrics,
}

impl Default for SequenceWindow {
    fn default() -> Self {
        Self::new(DEFAULT_BITS)
    }
}

impl SequenceWindow {
    /// A window over at least `bits` ids: rounded up to a power of two, at least 64, at most 2^30.
    #[must_use]
    pub fn new(bits: usize) -> Self {
        let bits = bits.clamp(64, 1 << 30).next_power_of_two();
        Self { words: vec![0; bits / 64].into_boxed_slice(), span: None, metrics: Metrics::default() }
    }

    /// The highest id seen.
    #[must_use]
    pub fn high(&self) -> Option<i64> {
        self.span.map(|(_, high)| high)
    }

    /// The lowest id that can still be judged.
    #[must_use]
    pub fn low(&self) -> Option<i64> {
        self.span.map(|(_, high)| self.low_of(high))
    }

    /// What was counted since the beginning; a new epoch does not clear it.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics
    }

    /// Forgets all ids: the next one starts a new epoch.
    pub fn reset(&mut self) {
        self.words.fill(0);
        self.span = None;
    }

    /// What is known of `first..=last` (in either order). Changes and counts nothing: a frame that is dropped on this
    /// verdict is counted by [`Self::insert_range`], which then costs little and changes no bit.
    #[inline(always)]
    #[must_use]
    pub fn check(&self, first: i64, last: i64) -> Verdict {
        if first == last { self.check_one(last) } else { self.check_range(first.min(last), first.max(last)) }
    }

    #[inline(always)]
    fn check_one(&self, id: i64) -> Verdict {
        match self.span {
            Some((_, high)) if id < self.low_of(high) => Verdict::TooOld,
            Some((_, high)) if id <= high => {
                let (word, bit) = self.place(id);
                if self.words[word] >> bit & 1 == 1 { Verdict::Known } else { Verdict::Fresh }
            }
            _ => Verdict::Fresh,
        }
    }

    fn check_range(&self, first: i64, last: i64) -> Verdict {
        let Some((_, high)) = self.span else {
            return Verdict::Fresh;
        };
        let low = self.low_of(high);
        if last < low {
            return Verdict::TooOld;
        }
        let seen = self.ones(first.max(low), last.min(high));
        let judged = last.abs_diff(first.max(low)).saturating_add(1);
        match (seen == judged, seen == 0 && first >= low) {
            (true, _) => Verdict::Known,
            (_, true) => Verdict::Fresh,
            _ => Verdict::PartlyKnown,
        }
    }

    /// Counts what is dropped because it is [`Verdict::Known`]: it changes no bit.
    #[inline]
    pub fn drop_known(&mut self, first: i64, last: i64) {
        if first == last {
            self.metrics.duplicates += 1;
            return;
        }
        let (first, last) = (first.min(last), first.max(last));
        let too_old = self.low().filter(|low| first < *low).map_or(0, |low| first.abs_diff(low));
        self.metrics.too_old += too_old;
        self.metrics.duplicates += last.abs_diff(first).saturating_add(1).saturating_sub(too_old);
    }

    /// Takes one id.
    #[inline]
    pub fn insert(&mut self, id: i64) -> Seen {
        let Some((start, high)) = self.span else {
            self.start(id);
            self.metrics.fresh += 1;
            return Seen::New;
        };
        if id > high {
            self.metrics.fresh += 1;
            if id - 1 == high {
                self.step(start, id);
                return Seen::New;
            }
            self.slide(id, false);
            self.set(id);
            self.metrics.jumps += 1;
            return Seen::Jump { first_missing: high + 1, last_missing: id - 1 };
        }
        if id < self.low_of(high) {
            self.metrics.too_old += 1;
            return Seen::TooOld;
        }
        let (word, bit) = self.place(id);
        if self.words[word] >> bit & 1 == 1 {
            self.metrics.duplicates += 1;
            return Seen::Duplicate;
        }
        self.words[word] |= 1 << bit;
        self.metrics.fresh += 1;
        if id < start {
            return Seen::New;
        }
        self.metrics.repaired += 1;
        Seen::Repaired
    }

    /// Takes `first..=last` (in either order), of any length.
    pub fn insert_range(&mut self, first: i64, last: i64) -> RangeSeen {
        let (first, last) = (first.min(last), first.max(last));
        let mut seen = RangeSeen::default();
        if first == last {
            match self.insert(last) {
                Seen::New => seen.fresh = 1,
                Seen::Jump { first_missing, last_missing } => {
                    (seen.fresh, seen.jump) = (1, Some((first_missing, last_missing)));
                }
                Seen::Repaired => (seen.fresh, seen.repaired) = (1, 1),
                Seen::Duplicate => seen.duplicates = 1,
                Seen::TooOld => seen.too_old = 1,
            }
            return seen;
        }
        let (start, high) = match self.span {
            Some(span) => span,
            None => {
                self.start(first);
                seen.fresh = 1;
                (first, first)
            }
        };
        let low = self.low_of(high);
        // The part that lies below the window, the part in it, and the part beyond it.
        if first < low {
            seen.too_old = last.min(low - 1).abs_diff(first) + 1;
        }
        if last >= low && first <= high {
            let (from, to) = (first.max(low), last.min(high));
            let known = self.ones(from, to);
            let before_start = if from < start {
                let to = to.min(start - 1);
                to.abs_diff(from) + 1 - self.ones(from, to)
            } else {
                0
            };
            let new = to.abs_diff(from) + 1 - known;
            // The id that has just started the window is no duplicate of itself.
            seen.duplicates = known - seen.fresh;
            seen.repaired = new - before_start;
            seen.fresh += new;
            self.write(from, to, true);
        }
        if last > high {
            let from = first.max(high + 1);
            if from - 1 > high {
                seen.jump = Some((high + 1, from - 1));
                self.metrics.jumps += 1;
            }
            self.slide(from, false);
            self.set(from);
            self.slide(last, true);
            seen.fresh = seen.fresh.saturating_add(last.abs_diff(from) + 1);
        }
        self.metrics.fresh = self.metrics.fresh.saturating_add(seen.fresh);
        self.metrics.repaired += seen.repaired;
        self.metrics.duplicates += seen.duplicates;
        self.metrics.too_old = self.metrics.too_old.saturating_add(seen.too_old);
        seen
    }

    #[inline]
    fn bits(&self) -> usize {
        self.words.len() * 64
    }

    #[inline]
    fn low_of(&self, high: i64) -> i64 {
        high.saturating_sub_unsigned(self.bits() as u64 - 1)
    }

    #[inline]
    fn place(&self, id: i64) -> (usize, u32) {
        // Masking the low bits is the modulo, for negative ids too.
        let slot = id as usize & (self.bits() - 1);
        (slot / 64, (slot % 64) as u32)
    }

    fn set(&mut self, id: i64) {
        let (word, bit) = self.place(id);
        self.words[word] |= 1 << bit;
    }

    fn start(&mut self, id: i64) {
        self.span = Some((id, id));
        self.set(id);
    }

    /// Moves the high-water mark by one, to an id that was seen. It takes the very bit of the id that leaves.
    #[inline]
    fn step(&mut self, start: i64, high: i64) {
        self.set(high);
        self.span = Some((start, high));
    }

    /// Moves the high-water mark up to `high`; `seen` tells whether the ids passed on the way were seen.
    #[inline]
    fn slide(&mut self, high: i64, seen: bool) {
        let Some((start, old_high)) = self.span else {
            return;
        };
        if old_high < high {
            self.write((old_high + 1).max(self.low_of(high)), high, seen);
        }
        self.span = Some((start, high));
    }

    /// How many of `from..=to`, all within the window, were seen; 0 for an empty range.
    fn ones(&self, from: i64, to: i64) -> u64 {
        let ((word, first), (last_word, last)) = (self.place(from), self.place(to));
        // Most ranges are short.
        if word == last_word && first <= last && from <= to && to.abs_diff(from) < 64 {
            let seen = self.words[word] & (u64::MAX << first) & (u64::MAX >> (63 - last));
            return u64::from(seen.count_ones());
        }
        self.masks(from, to).map(|(_, word, mask)| u64::from((self.words[word] & mask).count_ones())).sum()
    }

    fn write(&mut self, from: i64, to: i64, seen: bool) {
        for (_, word, mask) in masks(self.words.len(), from, to) {
            if seen {
                self.words[word] |= mask;
            } else {
                self.words[word] &= !mask;
            }
        }
    }

    fn masks(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, usize, u64)> + use<> {
        masks(self.words.len(), from, to)
    }
}

/// A range of ids by words of the ring: the id of the word's bit 0, the word, and the bits that lie in the range.
fn masks(words: usize, from: i64, to: i64) -> impl Iterator<Item = (i64, usize, u64)> {
    let mut next = (from <= to).then_some(from);
    std::iter::from_fn(move || {
        let at = next?;
        let end = to.min(at | 63);
        next = if end < to { Some(end + 1) } else { None };
        let mask = (u64::MAX << (at & 63)) & (u64::MAX >> (63 - (end & 63)));
        Some((at & !63, (at >> 6) as usize & (words - 1), mask))
    })
}

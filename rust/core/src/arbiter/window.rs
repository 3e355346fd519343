//! Contiguous ids: what was seen, what is missing, in constant memory.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::Metrics;

/// Ids that a window spans unless told otherwise.
pub const DEFAULT_BITS: usize = 4096;
/// Holes below the window that are remembered.
const ABANDONED_HOLES: usize = 64;

/// First and last id of a hole.
type Hole = (i64, i64);

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
/// lies between it and the start is still not missing. Ids below the window are too old to judge. What slides out of
/// the window without having come is [abandoned](Self::abandoned): it can only be too old from then on.
///
/// Every operation takes a time bounded by the size of the window, however far the ids jump.
#[derive(Clone, Debug)]
pub struct SequenceWindow {
    /// Bit `id mod bits`; meaningful for `low() ..= high`, and 0 for ids from before the start that did not come.
    words: Box<[u64]>,
    /// Start and highest id.
    span: Option<(i64, i64)>,
    abandoned: u64,
    /// Where they were: the latest holes, lowest first.
    abandoned_holes: VecDeque<Hole>,
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
        Self {
            words: vec![0; bits / 64].into_boxed_slice(),
            span: None,
            abandoned: 0,
            abandoned_holes: VecDeque::with_capacity(ABANDONED_HOLES),
            metrics: Metrics::default(),
        }
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

    /// Ids that were missing when they slid out of the window.
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.abandoned
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
        self.abandoned_holes.clear();
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

    /// Takes an id that is missing, wherever its hole is remembered, also below the window: the only way in for what is
    /// fetched afterwards. False where it is not known to be missing; then nothing has changed.
    pub fn recover(&mut self, id: i64) -> bool {
        let Some((start, high)) = self.span else { return false };
        if id >= self.low_of(high) {
            let is_missing = (start..=high).contains(&id) && self.check(id, id) == Verdict::Fresh;
            return is_missing && self.insert(id) == Seen::Repaired;
        }
        let Some(at) = self.abandoned_holes.iter().position(|(first, last)| (*first..=*last).contains(&id)) else {
            return false;
        };
        let (first, last) = self.abandoned_holes[at];
        self.abandoned_holes.remove(at);
        for rest in [(id + 1, last), (first, id - 1)] {
            if rest.0 <= rest.1 {
                self.abandoned_holes.insert(at, rest);
            }
        }
        self.abandoned = self.abandoned.saturating_sub(1);
        self.metrics.fresh += 1;
        self.metrics.repaired += 1;
        true
    }

    /// What is missing and may still come: first and last id of each hole of the window, lowest first.
    pub fn missing(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let window = self.span.map(|(start, high)| (start.max(self.low_of(high)), high));
        window.into_iter().flat_map(|(low, high)| self.holes(low, high))
    }

    /// What is missing of `first..=last`, lowest first: also what can no longer come, as far back as the last 64 holes
    /// that slid out of the window.
    pub fn missing_in(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, i64)> + '_ {
        let holes = self.abandoned_holes.iter().copied().chain(self.missing());
        holes.map(move |(from, to)| (from.max(first), to.min(last))).filter(|(from, to)| from <= to)
    }

    /// The holes within a part of the window.
    fn holes(&self, low: i64, high: i64) -> impl Iterator<Item = Hole> + '_ {
        let mut from = Some(low);
        std::iter::from_fn(move || {
            let first = self.find(from?, high, false)?;
            from = self.find(first, high, true);
            Some((first, from.map_or(high, |seen| seen - 1)))
        })
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
        let (word, bit) = self.place(high);
        if self.words[word] >> bit & 1 == 0 {
            self.words[word] |= 1 << bit;
            if let Some(leaves) = high.checked_sub_unsigned(self.bits() as u64).filter(|&id| id >= start) {
                self.abandon((leaves, leaves));
            }
        }
        self.span = Some((start, high));
    }

    /// Moves the high-water mark up to `high`; `seen` tells whether the ids passed on the way were seen.
    #[inline]
    fn slide(&mut self, high: i64, seen: bool) {
        let Some((start, old_high)) = self.span else {
            return;
        };
        let (old_low, low) = (self.low_of(old_high), self.low_of(high));
        if low > start {
            let (from, to) = (old_low.max(start), old_high.min(low - 1));
            if from <= to && self.ones(from, to) <= to.abs_diff(from) {
                self.abandon_holes(from, to);
            }
            if !seen && low - 1 > old_high {
                self.abandon((old_high + 1, low - 1));
            }
        }
        if old_high < high {
            self.write((old_high + 1).max(low), high, seen);
        }
        self.span = Some((start, high));
    }

    #[cold]
    fn abandon_holes(&mut self, mut from: i64, to: i64) {
        loop {
            let next = self.holes(from, to).next();
            let Some(hole) = next else { return };
            self.abandon(hole);
            if hole.1 == to {
                return;
            }
            from = hole.1 + 1;
        }
    }

    #[cold]
    fn abandon(&mut self, (first, last): Hole) {
        self.abandoned = self.abandoned.saturating_add(last.abs_diff(first).saturating_add(1));
        match self.abandoned_holes.back_mut() {
            // What slides out id by id is one hole all the same.
            Some(before) if before.1 + 1 == first => before.1 = last,
            _ => {
                while self.abandoned_holes.len() >= ABANDONED_HOLES {
                    self.abandoned_holes.pop_front();
                }
                self.abandoned_holes.push_back((first, last));
            }
        }
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

    /// The first of `from..=to`, all within the window, that was or was not seen.
    fn find(&self, from: i64, to: i64, seen: bool) -> Option<i64> {
        self.masks(from, to).find_map(|(base, word, mask)| {
            let wanted = if seen { self.words[word] } else { !self.words[word] } & mask;
            (wanted != 0).then(|| base + i64::from(wanted.trailing_zeros()))
        })
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

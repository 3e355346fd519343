//! The best levels of one side as they were written last: a message changes few of them.

use super::DEPTH;
use super::text::Line;
use crate::event::{Level, Scales};

/// Texts of a side: what a book had and what it has now never need more.
const PLACES: usize = 2 * DEPTH;

/// See the module. All mantissas are of one scale.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    /// The best levels of the book, best first: what is to be written.
    pub(super) best: Vec<Level>,
    levels: Vec<Written>,
    /// What `levels` was before, from the first on that is not the book's any more.
    before: Vec<Written>,
    /// Texts stay in their places, whichever levels come and go before them.
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug)]
struct Written {
    level: Level,
    digits: (u8, u8),
    place: u8,
}

impl Side {
    /// Forgets what is written.
    pub(super) fn clear(&mut self) {
        self.levels.clear();
    }

    /// The texts of the levels, best first.
    #[inline]
    pub(super) fn lines(&self) -> impl ExactSizeIterator<Item = &Line> {
        self.levels.iter().map(|written| &self.lines[usize::from(written.place)])
    }

    /// Brings what is written in line with the best levels, in one pass over both: only what differs is written.
    #[inline]
    pub(super) fn follow(
        &mut self,
        scales: Scales,
        is_better: impl Fn(i64, i64) -> bool,
        digits: impl Fn(i64) -> (u8, u8),
    ) {
        if self.lines.is_empty() {
            self.lines.resize(PLACES, Line::default());
            self.levels.reserve_exact(DEPTH);
            self.before.reserve_exact(DEPTH);
        }
        let is_same = |(old, new): &(&Written, &Level)| old.level == **new && old.digits == digits(new.price);
        let same = self.levels.iter().zip(&self.best).take_while(is_same).count();
        let mut taken = self.levels.iter().fold(0u64, |taken, old| taken | 1 << old.place);
        self.before.clear();
        self.before.extend_from_slice(&self.levels[same..]);
        self.levels.truncate(same);
        let mut before = self.before.as_slice();
        for &level in &self.best[same..] {
            let digits = digits(level.price);
            while let [old, worse @ ..] = before
                && is_better(old.level.price, level.price)
            {
                before = worse;
            }
            let place = match before {
                [old, worse @ ..] if old.level.price == level.price => {
                    before = worse;
                    let line = &mut self.lines[usize::from(old.place)];
                    if old.digits != digits {
                        line.write(level, scales, digits);
                    } else if old.level.size != level.size {
                        line.write_size(level.size, scales.size, digits.1);
                    }
                    old.place
                }
                _ => {
                    let place = taken.trailing_ones();
                    taken |= 1 << place;
                    self.lines[place as usize].write(level, scales, digits);
                    place as u8
                }
            };
            self.levels.push(Written { level, digits, place });
        }
    }
}

//! The levels that the window does not hold: far from the best price, or off the tick.

use crate::event::Level;

/// Levels in a block. A level moves at most this many others.
const BLOCK: usize = 64;

/// A sorted map from price key to size, in blocks: two searches and one short move, whatever the number of levels.
/// Emptied blocks are kept for reuse, so that a book that has reached its size allocates nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Spill {
    /// First key of each block, apart so that the search touches little memory.
    firsts: Vec<i64>,
    /// Never empty, each sorted, and sorted among each other.
    blocks: Vec<Vec<Level>>,
    spare: Vec<Vec<Level>>,
    len: usize,
}

impl Spill {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The level of the highest key.
    pub(super) fn best(&self) -> Option<Level> {
        self.blocks.last()?.last().copied()
    }

    /// Levels from the highest key down.
    pub(super) fn iter(&self) -> impl Iterator<Item = Level> + '_ {
        self.blocks.iter().rev().flat_map(|block| block.iter().rev().copied())
    }

    /// Sets the size at a key, 0 removes it; returns the old size.
    pub(super) fn set(&mut self, key: i64, size: i64) -> i64 {
        let at = self.firsts.partition_point(|&first| first <= key).saturating_sub(1);
        let Some(block) = self.blocks.get_mut(at) else {
            if size != 0 {
                self.add_block(0, &[Level { price: key, size }]);
                self.len = 1;
            }
            return 0;
        };
        match (block.binary_search_by_key(&key, |level| level.price), size) {
            (Ok(i), 0) => {
                let old = block.remove(i).size;
                self.len -= 1;
                self.tidy(at);
                old
            }
            (Ok(i), size) => std::mem::replace(&mut block[i].size, size),
            (Err(_), 0) => 0,
            (Err(i), size) => {
                self.len += 1;
                if block.len() < BLOCK {
                    block.insert(i, Level { price: key, size });
                    self.firsts[at] = block[0].price;
                } else {
                    self.split(at);
                    let half = if i > BLOCK / 2 { at + 1 } else { at };
                    let i = if i > BLOCK / 2 { i - BLOCK / 2 } else { i };
                    self.blocks[half].insert(i, Level { price: key, size });
                    self.firsts[half] = self.blocks[half][0].price;
                }
                0
            }
        }
    }

    /// Removes the levels with keys in `low..=high` that `take` wants.
    pub(super) fn take_range(&mut self, low: i64, high: i64, mut take: impl FnMut(Level) -> bool) {
        let mut at = self.firsts.partition_point(|&first| first <= low).saturating_sub(1);
        while at < self.blocks.len() && self.firsts[at] <= high {
            let block = &mut self.blocks[at];
            let before = block.len();
            block.retain(|level| !((low..=high).contains(&level.price) && take(*level)));
            self.len -= before - block.len();
            at += usize::from(self.tidy(at));
        }
    }

    /// Multiplies sizes and rewrites keys; the caller knows that the order stays and all fit.
    pub(super) fn rewrite(&mut self, mut with: impl FnMut(Level) -> Level) {
        for (block, first) in self.blocks.iter_mut().zip(&mut self.firsts) {
            for level in &mut *block {
                *level = with(*level);
            }
            *first = block[0].price;
        }
    }

    pub(super) fn clear(&mut self) {
        for mut block in self.blocks.drain(..) {
            block.clear();
            self.spare.push(block);
        }
        self.firsts.clear();
        self.len = 0;
    }

    fn split(&mut self, at: usize) {
        let mut upper = [Level::default(); BLOCK / 2];
        upper.copy_from_slice(&self.blocks[at][BLOCK / 2..]);
        self.blocks[at].truncate(BLOCK / 2);
        self.add_block(at + 1, &upper);
    }

    fn add_block(&mut self, at: usize, levels: &[Level]) {
        let mut block = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK));
        block.extend_from_slice(levels);
        self.firsts.insert(at, block[0].price);
        self.blocks.insert(at, block);
    }

    /// Brings the directory in line after removals; false where the block is gone.
    fn tidy(&mut self, at: usize) -> bool {
        if let Some(first) = self.blocks[at].first() {
            self.firsts[at] = first.price;
            return true;
        }
        self.firsts.remove(at);
        let block = self.blocks.remove(at);
        self.spare.push(block);
        false
    }
}

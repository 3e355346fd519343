//! The levels that the window does not hold: far from the best price, or off the tick.

use crate::event::Level;

/// Levels in a block. A level moves at most this many others.
const BLOCK: usize = 64;

/// Blocks that are reserved with the first level: a small book never has more.
const FEW: usize = 4;
/// Blocks that are reserved beyond these: at least 16 Ki levels, more than an exchange's book goes on to collect far from
/// its best price in a day. 512 KiB of addresses; only what levels lie on becomes memory.
const MANY: usize = 512;

/// A sorted map from price key to size, in blocks: two searches and one short move, whatever the number of levels.
/// All blocks lie in one store that is reserved at once, and emptied ones are used again, so that a growing book
/// allocates next to nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Spill {
    /// First key of each block, apart so that the search touches little memory.
    firsts: Vec<i64>,
    /// Never empty, each sorted, and sorted among each other.
    blocks: Vec<Block>,
    store: Vec<[Level; BLOCK]>,
    /// Places in the store that no block has.
    spare: Vec<usize>,
    len: usize,
}

/// The first `len` levels of a place in the store.
#[derive(Clone, Copy, Debug)]
struct Block {
    place: usize,
    len: usize,
}

impl Spill {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The level of the highest key.
    pub(super) fn best(&self) -> Option<Level> {
        self.levels(*self.blocks.last()?).last().copied()
    }

    /// Levels from the highest key down.
    pub(super) fn iter(&self) -> impl Iterator<Item = Level> + '_ {
        self.blocks.iter().rev().flat_map(|block| self.levels(*block).iter().rev().copied())
    }

    /// Sets the size at a key, 0 removes it; returns the old size.
    pub(super) fn set(&mut self, key: i64, size: i64) -> i64 {
        let at = self.firsts.partition_point(|&first| first <= key).saturating_sub(1);
        let Some(&block) = self.blocks.get(at) else {
            if size != 0 {
                self.add_block(0, &[Level { price: key, size }]);
                self.len = 1;
            }
            return 0;
        };
        let levels = &mut self.store[block.place][..block.len];
        match (levels.binary_search_by_key(&key, |level| level.price), size) {
            (Ok(i), 0) => {
                let old = levels[i].size;
                levels.copy_within(i + 1.., i);
                self.blocks[at].len -= 1;
                self.len -= 1;
                self.tidy(at);
                old
            }
            (Ok(i), size) => std::mem::replace(&mut levels[i].size, size),
            (Err(_), 0) => 0,
            (Err(i), size) => {
                self.len += 1;
                let level = Level { price: key, size };
                if block.len < BLOCK {
                    self.insert(at, i, level);
                } else {
                    self.split(at);
                    let upper = i > BLOCK / 2;
                    self.insert(at + usize::from(upper), if upper { i - BLOCK / 2 } else { i }, level);
                }
                0
            }
        }
    }

    /// Removes the levels with keys in `low..=high` that `take` wants.
    pub(super) fn take_range(&mut self, low: i64, high: i64, mut take: impl FnMut(Level) -> bool) {
        let mut at = self.firsts.partition_point(|&first| first <= low).saturating_sub(1);
        while at < self.blocks.len() && self.firsts[at] <= high {
            let Block { place, len } = self.blocks[at];
            let levels = &mut self.store[place];
            let mut kept = 0;
            for i in 0..len {
                let level = levels[i];
                if !((low..=high).contains(&level.price) && take(level)) {
                    levels[kept] = level;
                    kept += 1;
                }
            }
            self.blocks[at].len = kept;
            self.len -= len - kept;
            at += usize::from(self.tidy(at));
        }
    }

    /// Multiplies sizes and rewrites keys; the caller knows that the order stays and all fit.
    pub(super) fn rewrite(&mut self, mut with: impl FnMut(Level) -> Level) {
        for (block, first) in self.blocks.iter().zip(&mut self.firsts) {
            let levels = &mut self.store[block.place][..block.len];
            for level in &mut *levels {
                *level = with(*level);
            }
            *first = levels[0].price;
        }
    }

    pub(super) fn clear(&mut self) {
        self.spare.extend(self.blocks.drain(..).map(|block| block.place));
        self.firsts.clear();
        self.len = 0;
    }

    #[inline]
    fn levels(&self, block: Block) -> &[Level] {
        &self.store[block.place][..block.len]
    }

    /// A place in the store that no block has.
    fn place(&mut self) -> usize {
        if let Some(place) = self.spare.pop() {
            return place;
        }
        let places = self.store.len();
        if places == self.store.capacity() {
            // All of them are in use, so the directory is as long as the store, and `spare` may become so.
            let more = if places == 0 { FEW } else { MANY };
            self.store.reserve_exact(more);
            self.blocks.reserve_exact(more);
            self.firsts.reserve_exact(more);
            self.spare.reserve_exact(places + more);
        }
        self.store.push([Level::default(); BLOCK]);
        places
    }

    /// Puts a level before the `i`th of a block that has room.
    fn insert(&mut self, at: usize, i: usize, level: Level) {
        let block = &mut self.blocks[at];
        let levels = &mut self.store[block.place];
        levels.copy_within(i..block.len, i + 1);
        levels[i] = level;
        block.len += 1;
        self.firsts[at] = levels[0].price;
    }

    fn split(&mut self, at: usize) {
        let mut upper = [Level::default(); BLOCK / 2];
        upper.copy_from_slice(&self.store[self.blocks[at].place][BLOCK / 2..]);
        self.blocks[at].len = BLOCK / 2;
        self.add_block(at + 1, &upper);
    }

    fn add_block(&mut self, at: usize, levels: &[Level]) {
        let place = self.place();
        self.store[place][..levels.len()].copy_from_slice(levels);
        self.firsts.insert(at, levels[0].price);
        self.blocks.insert(at, Block { place, len: levels.len() });
    }

    /// Brings the directory in line after removals; false where the block is gone.
    fn tidy(&mut self, at: usize) -> bool {
        let block = self.blocks[at];
        if block.len > 0 {
            self.firsts[at] = self.store[block.place][0].price;
            return true;
        }
        self.firsts.remove(at);
        self.blocks.remove(at);
        self.spare.push(block.place);
        false
    }
}

//! The fast book: each side a window of ticks around its best price, and a spill for the rest.
//!
//! The tick is a guess, from reference data or the greatest common divisor of the prices seen: a price off the tick
//! is kept in the spill, and when such prices become many the tick is made finer. So nothing is ever rounded, and a
//! sparse book is a book that lives in its spill.

mod grid;
mod spill;
mod window;

use super::tree::Tree;
use super::{finer, wide};
use crate::decimal::pow10;
use crate::event::{Level, Levels, Scales};
use grid::{Grid, common_tick};
use spill::Spill;
use window::Window;

/// The levels or the message need more than an `i64`. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DoesNotFit;

/// Both sides of a book, in `i64` mantissas.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    scales: Scales,
    /// Unknown until the first level comes.
    grid: Option<Grid>,
    bids: Side,
    asks: Side,
}

impl Ladder {
    pub(super) fn new(scales: Scales) -> Self {
        Self { scales, grid: None, bids: Side::new(0), asks: Side::new(-1) }
    }

    pub(super) fn scales(&self) -> Scales {
        self.scales
    }

    pub(super) fn len(&self) -> (usize, usize) {
        (self.bids.len(), self.asks.len())
    }

    pub(super) fn best_bid(&self) -> Option<Level> {
        self.bids.best(self.grid())
    }

    pub(super) fn best_ask(&self) -> Option<Level> {
        self.asks.best(self.grid())
    }

    /// Highest first.
    pub(super) fn bids(&self) -> impl Iterator<Item = Level> + '_ {
        self.bids.iter(self.grid())
    }

    /// Lowest first.
    pub(super) fn asks(&self) -> impl Iterator<Item = Level> + '_ {
        self.asks.iter(self.grid())
    }

    /// The best bids and offers, so many of each, into reused buffers.
    pub(super) fn copy_best(&self, count: usize, bids: &mut Vec<Level>, asks: &mut Vec<Level>) {
        self.bids.copy_best(self.grid(), count, bids);
        self.asks.copy_best(self.grid(), count, asks);
    }

    pub(super) fn to_tree(&self) -> Tree {
        Tree::new(self.scales, self.bids().map(wide), self.asks().map(wide))
    }

    /// Forgets every level; `None` learns the tick anew.
    pub(super) fn clear(&mut self, tick: Option<i64>) {
        self.grid = tick.map(Grid::new);
        self.bids.clear();
        self.asks.clear();
    }

    /// Moves every level to scales at least as fine as `scales`, or does nothing.
    pub(super) fn grow(&mut self, scales: Scales) -> Result<(), DoesNotFit> {
        let target = finer(self.scales, scales);
        if target == self.scales {
            return Ok(());
        }
        let by = factors(self.scales, target)?;
        if self.bids().chain(self.asks()).any(|level| scaled(level, by).is_none()) {
            return Err(DoesNotFit);
        }
        if let Some(grid) = self.grid {
            self.grid = Some(Grid::new(grid.tick().checked_mul(by.price).ok_or(DoesNotFit)?));
        }
        self.bids.rescale(by);
        self.asks.rescale(by);
        self.scales = target;
        Ok(())
    }

    /// Applies absolute sizes; returns how many deletes were of unknown levels.
    pub(super) fn apply(&mut self, levels: &Levels) -> Result<usize, DoesNotFit> {
        let mut by = Level { price: 1, size: 1 };
        if levels.scales != self.scales {
            by = self.meet(levels)?;
        }
        if self.grid.is_none() {
            let prices = levels.bids.iter().chain(&levels.asks).map(|level| level.price.wrapping_mul(by.price));
            self.grid = common_tick(prices).map(Grid::new);
        }
        let grid = self.grid();
        let unknown = self.bids.apply(&levels.bids, by, grid) + self.asks.apply(&levels.asks, by, grid);
        if self.bids.is_off_tick() || self.asks.is_off_tick() {
            let key = |level: Level| level.price;
            let tick = common_tick(self.bids().map(key).chain(self.asks().map(key)));
            self.regrid(tick.unwrap_or(1));
            (self.bids.off_tick, self.asks.off_tick) = (0, 0);
        }
        Ok(unknown)
    }

    /// Puts every level on another tick.
    pub(super) fn regrid(&mut self, tick: i64) {
        let old = self.grid();
        let new = Grid::new(tick);
        self.grid = Some(new);
        if old.tick() != new.tick() {
            self.bids.regrid(old, new);
            self.asks.regrid(old, new);
        }
    }

    #[cfg(test)]
    pub(super) fn tick(&self) -> Option<i64> {
        self.grid.map(Grid::tick)
    }

    /// Any grid will do while there is no level.
    fn grid(&self) -> Grid {
        self.grid.unwrap_or_else(|| Grid::new(1))
    }

    /// Brings book and message to common scales: the factors for the message, all of which are known to fit.
    #[cold]
    fn meet(&mut self, levels: &Levels) -> Result<Level, DoesNotFit> {
        let target = finer(self.scales, levels.scales);
        let by = factors(levels.scales, target)?;
        if levels.bids.iter().chain(&levels.asks).any(|&level| scaled(level, by).is_none()) {
            return Err(DoesNotFit);
        }
        self.grow(target)?;
        Ok(by)
    }
}

/// What price and size mantissas are multiplied by.
fn factors(from: Scales, to: Scales) -> Result<Level, DoesNotFit> {
    let by = |digits: u8| i64::try_from(pow10(digits).ok_or(DoesNotFit)?).map_err(|_| DoesNotFit);
    Ok(Level { price: by(to.price - from.price)?, size: by(to.size - from.size)? })
}

fn scaled(level: Level, by: Level) -> Option<Level> {
    Some(Level { price: level.price.checked_mul(by.price)?, size: level.size.checked_mul(by.size)? })
}

/// Levels that need no window: the spill finds one of so few at once, and most instruments never have more. Books of
/// tests are small, and must have windows too.
const FEW: usize = if cfg!(test) { 4 } else { 48 };

/// One side. Everything inside counts in keys, of which the highest is best: prices and ticks xor `flip`, which is 0
/// for bids and −1 (all bits, the order reversed, and no overflow) for offers. A level is in the window if its
/// price is on the tick and the window covers it; otherwise it is in the spill, under the key of its price.
#[derive(Clone, Debug)]
struct Side {
    flip: i64,
    /// Allocated when there are more levels than [`FEW`].
    window: Option<Box<Window>>,
    spill: Spill,
    /// Changes that went to the spill since the window was last placed.
    spilled: usize,
    /// Levels that came off the tick since it was last settled.
    off_tick: usize,
}

impl Side {
    fn new(flip: i64) -> Self {
        Self { flip, window: None, spill: Spill::default(), spilled: 0, off_tick: 0 }
    }

    fn len(&self) -> usize {
        self.in_window() + self.spill.len()
    }

    fn in_window(&self) -> usize {
        self.window.as_ref().map_or(0, |window| window.count())
    }

    /// Applies levels whose scaled mantissas are known to fit; returns how many deletes were of unknown levels.
    fn apply(&mut self, levels: &[Level], by: Level, grid: Grid) -> usize {
        let mut unknown = 0;
        for level in levels {
            let (price, size) = (level.price.wrapping_mul(by.price), level.size.wrapping_mul(by.size));
            let old = self.set(price, size, grid);
            unknown += usize::from(old == 0 && size == 0);
        }
        self.settle(grid);
        unknown
    }

    #[inline]
    fn set(&mut self, price: i64, size: i64, grid: Grid) -> i64 {
        match (grid.index(price), &mut self.window) {
            (Some(index), Some(window)) if window.covers(index ^ self.flip) => window.set(index ^ self.flip, size),
            (index, _) => self.set_spill(price, size, index.is_none() && size != 0),
        }
    }

    #[inline(never)]
    fn set_spill(&mut self, price: i64, size: i64, off_tick: bool) -> i64 {
        self.spilled += 1;
        self.off_tick += usize::from(off_tick);
        self.spill.set(price ^ self.flip, size)
    }

    /// Moves the window to the best price where that has left its middle. Paid for by the changes that missed the
    /// window: a best price that jumps to and fro cannot make it move every level each time.
    fn settle(&mut self, grid: Grid) {
        let is_placed = self.spilled * 4 <= self.in_window();
        let is_small = self.window.is_none() && self.spill.len() <= FEW;
        if is_placed || is_small {
            return;
        }
        let Some(best) = self.best(grid) else { return };
        let tick = grid.floor(best.price) ^ self.flip;
        match &mut self.window {
            Some(window) if !window.is_off_centre(tick) => return,
            Some(window) => {
                let (spill, flip) = (&mut self.spill, self.flip);
                window.recentre(tick, |tick, size| {
                    spill.set(grid.price(tick ^ flip) ^ flip, size);
                });
            }
            empty => *empty = Some(Window::new(tick)),
        }
        self.spilled = 0;
        self.fill_window(grid);
    }

    /// Takes from the spill what the window covers.
    fn fill_window(&mut self, grid: Grid) {
        let Some(window) = &mut self.window else {
            return;
        };
        let flip = self.flip;
        let (low, high) = window.range();
        self.spill.take_range(grid.price(low ^ flip) ^ flip, grid.price(high ^ flip) ^ flip, |level| {
            match grid.index(level.price ^ flip) {
                Some(index) if window.covers(index ^ flip) => {
                    window.set(index ^ flip, level.size);
                    true
                }
                _ => false,
            }
        });
    }

    fn best(&self, grid: Grid) -> Option<Level> {
        let windowed = self.window.as_ref().and_then(|window| {
            let tick = window.best()?;
            Some(Level { price: grid.price(tick ^ self.flip), size: window.size(tick) })
        });
        let spilled = self.spill.best().map(|level| Level { price: level.price ^ self.flip, ..level });
        match (windowed, spilled) {
            (Some(a), Some(b)) => Some(if a.price ^ self.flip > b.price ^ self.flip { a } else { b }),
            (a, b) => a.or(b),
        }
    }

    /// Levels, best first: window and spill merged.
    fn iter(&self, grid: Grid) -> impl Iterator<Item = Level> + '_ {
        let flip = self.flip;
        let window = self.window.as_deref();
        let mut ticks = window.map(Window::ticks);
        let mut spill = self.spill.iter();
        let mut next_windowed = move || {
            let (window, tick) = (window?, ticks.as_mut()?.next()?);
            Some(Level { price: grid.price(tick ^ flip) ^ flip, size: window.size(tick) })
        };
        let (mut windowed, mut spilled) = (next_windowed(), spill.next());
        std::iter::from_fn(move || {
            let level = match (windowed, spilled) {
                (Some(a), Some(b)) if a.price > b.price => std::mem::replace(&mut windowed, next_windowed()),
                (_, Some(_)) => std::mem::replace(&mut spilled, spill.next()),
                _ => std::mem::replace(&mut windowed, next_windowed()),
            }?;
            Some(Level { price: level.price ^ flip, size: level.size })
        })
    }

    /// The first `count` of [`Self::iter`], in one loop.
    fn copy_best(&self, grid: Grid, count: usize, out: &mut Vec<Level>) {
        out.clear();
        // At once: a book that grows later allocates nothing.
        out.reserve_exact(count);
        let flip = self.flip;
        let mut spill = self.spill.iter().map(|level| Level { price: level.price ^ flip, ..level }).peekable();
        if let Some(window) = &self.window {
            for tick in window.ticks() {
                let level = Level { price: grid.price(tick ^ flip), size: window.size(tick) };
                while out.len() < count
                    && let Some(better) = spill.next_if(|spilled| spilled.price ^ flip > level.price ^ flip)
                {
                    out.push(better);
                }
                if out.len() >= count {
                    return;
                }
                out.push(level);
            }
        }
        out.extend(spill.take(count - out.len()));
    }

    /// True where so many changes lay off the tick that a finer one is due.
    fn is_off_tick(&self) -> bool {
        self.off_tick > 16 + self.len() / 8
    }

    fn regrid(&mut self, old: Grid, new: Grid) {
        let levels: Vec<Level> = self.iter(old).collect();
        self.clear();
        self.apply(&levels, Level { price: 1, size: 1 }, new);
    }

    /// The ticks of the window keep their numbers: it is the tick that has a new mantissa.
    fn rescale(&mut self, by: Level) {
        if let (Some(window), true) = (&mut self.window, by.size != 1) {
            window.scale_sizes(by.size);
        }
        let flip = self.flip;
        self.spill.rewrite(|level| Level {
            price: (level.price ^ flip).wrapping_mul(by.price) ^ flip,
            size: level.size.wrapping_mul(by.size),
        });
    }

    fn clear(&mut self) {
        if let Some(window) = &mut self.window {
            window.clear();
        }
        self.spill.clear();
        self.spilled = 0;
        self.off_tick = 0;
    }
}

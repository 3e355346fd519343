//! Order books: levels in fixed-point, in the exchange's own units.
//!
//! [`OrderBook`] is a closed choice of two shapes. The `ladder` is fast and holds `i64` mantissas; the `tree` holds
//! everything an `i128` can say, is the oracle of the ladder's tests, and the refuge of a book that outgrows an `i64`.

pub mod checksum;
mod ladder;
pub mod sync;
mod tree;

#[cfg(test)]
mod tests;

use crate::decimal::Decimal;
use crate::event::{DecodedLevels, Level, Levels, Scales};
use ladder::Ladder;
use tree::Tree;

/// A price or size cannot be said at the book's scales, not even by an `i128`. What to do: reject the message, and
/// the book with it, because it no longer is the exchange's book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a level at price scale {} and size scale {} needs more than 38 digits", scales.price, scales.size)]
pub struct OutOfRange {
    /// The scales that message and book would have to share.
    pub scales: Scales,
}

#[derive(Clone, Debug)]
enum Shape {
    Ladder(Box<Ladder>),
    Tree(Tree),
}

/// The levels of one instrument. Nothing here knows of ids or states: that is the sync machine's.
#[derive(Clone, Debug)]
pub struct OrderBook {
    tick: Option<Decimal>,
    shape: Shape,
}

impl Default for OrderBook {
    fn default() -> Self {
        Self::new()
    }
}

impl OrderBook {
    /// An empty book that learns scales and tick from the levels it sees. Allocates almost nothing before the first.
    #[must_use]
    pub fn new() -> Self {
        Self { tick: None, shape: Shape::Ladder(Box::new(Ladder::new(Scales::default()))) }
    }

    /// Takes tick and lot from reference data, at any time: both are where to start from, not a promise. Prices off
    /// the tick and finer sizes are kept exactly.
    pub fn set_reference(&mut self, tick: Option<Decimal>, lot: Option<Decimal>) {
        let tick = tick.map(Decimal::trimmed).filter(|t| t.mantissa > 0);
        let scales = Scales {
            price: tick.map_or(0, |t| t.scale),
            size: lot.map(Decimal::trimmed).filter(|l| l.mantissa > 0).map_or(0, |l| l.scale),
        };
        // A scale the levels cannot follow is no use as a hint.
        if self.grow(scales).is_ok() {
            self.tick = tick;
            if let (Some(tick), Shape::Ladder(ladder)) = (self.tick_mantissa(), &mut self.shape) {
                ladder.regrid(tick);
            }
        }
    }

    /// Forgets every level; scales and reference data stay. A book in its refuge becomes fast again.
    pub fn clear(&mut self) {
        let tick = self.tick_mantissa();
        let scales = self.scales();
        match &mut self.shape {
            Shape::Ladder(ladder) => ladder.clear(tick),
            Shape::Tree(_) => {
                let mut ladder = Ladder::new(scales);
                ladder.clear(tick);
                self.shape = Shape::Ladder(Box::new(ladder));
            }
        }
    }

    /// Applies absolute sizes in the order given; 0 deletes. Returns how many deletes were of levels that the book
    /// did not have, which is normal on most exchanges.
    ///
    /// # Errors
    /// A number does not fit any exact type here; the levels are then as they were.
    pub fn apply(&mut self, levels: &DecodedLevels) -> Result<usize, OutOfRange> {
        if let Shape::Ladder(ladder) = &mut self.shape {
            if levels.wide.is_none()
                && let Ok(unknown) = ladder.apply(&levels.narrow)
            {
                return Ok(unknown);
            }
            self.shape = Shape::Tree(ladder.to_tree());
        }
        match (&mut self.shape, &levels.wide) {
            (Shape::Tree(tree), Some(wide)) => tree.apply(wide),
            (Shape::Tree(tree), None) => tree.apply(&levels.narrow),
            // The tree was just made.
            (Shape::Ladder(_), _) => Ok(0),
        }
    }

    /// Makes `levels` the whole book.
    ///
    /// # Errors
    /// A number does not fit any exact type here; the book is then empty.
    pub fn replace(&mut self, levels: &DecodedLevels) -> Result<(), OutOfRange> {
        self.clear();
        self.apply(levels).map(|_| ())
    }

    /// Fraction digits of every mantissa here. They only grow: decode the next message at these.
    #[must_use]
    pub fn scales(&self) -> Scales {
        match &self.shape {
            Shape::Ladder(ladder) => ladder.scales(),
            Shape::Tree(tree) => tree.scales(),
        }
    }

    /// Highest bid: price and size.
    #[must_use]
    pub fn best_bid(&self) -> Option<(Decimal, Decimal)> {
        match &self.shape {
            Shape::Ladder(ladder) => ladder.best_bid().map(|level| decimals(wide(level), ladder.scales())),
            Shape::Tree(tree) => tree.bids().next().map(|level| decimals(level, tree.scales())),
        }
    }

    /// Lowest offer: price and size.
    #[must_use]
    pub fn best_ask(&self) -> Option<(Decimal, Decimal)> {
        match &self.shape {
            Shape::Ladder(ladder) => ladder.best_ask().map(|level| decimals(wide(level), ladder.scales())),
            Shape::Tree(tree) => tree.asks().next().map(|level| decimals(level, tree.scales())),
        }
    }

    /// True where the best bid is not below the best offer. Look only when a message is applied whole.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        match &self.shape {
            Shape::Ladder(ladder) => crossed(ladder.best_bid(), ladder.best_ask()),
            Shape::Tree(tree) => crossed(tree.bids().next(), tree.asks().next()),
        }
    }

    /// Bid levels and ask levels.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        match &self.shape {
            Shape::Ladder(ladder) => ladder.len(),
            Shape::Tree(tree) => tree.len(),
        }
    }

    /// True without any level.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    /// Bids, highest first: price and size.
    pub fn bids(&self) -> impl Iterator<Item = (Decimal, Decimal)> + '_ {
        let scales = self.scales();
        let levels = match &self.shape {
            Shape::Ladder(ladder) => Either::Ladder(ladder.bids()),
            Shape::Tree(tree) => Either::Tree(tree.bids()),
        };
        levels.map(move |level| decimals(level, scales))
    }

    /// Offers, lowest first: price and size.
    pub fn asks(&self) -> impl Iterator<Item = (Decimal, Decimal)> + '_ {
        let scales = self.scales();
        let levels = match &self.shape {
            Shape::Ladder(ladder) => Either::Ladder(ladder.asks()),
            Shape::Tree(tree) => Either::Tree(tree.asks()),
        };
        levels.map(move |level| decimals(level, scales))
    }

    /// Writes the whole book, best first, into a reused buffer.
    pub fn copy_to(&self, out: &mut DecodedLevels) {
        out.reset(self.scales());
        match &self.shape {
            Shape::Ladder(ladder) => {
                out.narrow.bids.extend(ladder.bids());
                out.narrow.asks.extend(ladder.asks());
            }
            Shape::Tree(tree) => {
                let narrow = |level: Level<i128>| {
                    Some(Level { price: i64::try_from(level.price).ok()?, size: i64::try_from(level.size).ok()? })
                };
                if tree.bids().chain(tree.asks()).all(|level| narrow(level).is_some()) {
                    out.narrow.bids.extend(tree.bids().filter_map(narrow));
                    out.narrow.asks.extend(tree.asks().filter_map(narrow));
                } else {
                    let (bids, asks) = (tree.bids().collect(), tree.asks().collect());
                    out.wide = Some(Box::new(Levels { scales: tree.scales(), bids, asks }));
                }
            }
        }
    }

    /// The reference tick at the book's price scale.
    fn tick_mantissa(&self) -> Option<i64> {
        i64::try_from(self.tick?.at_scale(self.scales().price)?).ok()
    }

    fn grow(&mut self, scales: Scales) -> Result<(), OutOfRange> {
        if let Shape::Ladder(ladder) = &mut self.shape {
            if ladder.grow(scales).is_ok() {
                return Ok(());
            }
            let mut tree = ladder.to_tree();
            tree.grow(scales)?;
            self.shape = Shape::Tree(tree);
            return Ok(());
        }
        match &mut self.shape {
            Shape::Tree(tree) => tree.grow(scales),
            Shape::Ladder(_) => Ok(()),
        }
    }
}

/// One iterator type for both shapes.
enum Either<L, T> {
    Ladder(L),
    Tree(T),
}

impl<L: Iterator<Item = Level<i64>>, T: Iterator<Item = Level<i128>>> Iterator for Either<L, T> {
    type Item = Level<i128>;

    fn next(&mut self) -> Option<Level<i128>> {
        match self {
            Self::Ladder(levels) => levels.next().map(wide),
            Self::Tree(levels) => levels.next(),
        }
    }
}

fn wide(level: Level<i64>) -> Level<i128> {
    Level { price: i128::from(level.price), size: i128::from(level.size) }
}

fn decimals(level: Level<i128>, scales: Scales) -> (Decimal, Decimal) {
    (Decimal::new(level.price, scales.price), Decimal::new(level.size, scales.size))
}

fn crossed<M: Ord>(bid: Option<Level<M>>, ask: Option<Level<M>>) -> bool {
    matches!((bid, ask), (Some(bid), Some(ask)) if bid.price >= ask.price)
}

/// The scales that hold both.
fn finer(a: Scales, b: Scales) -> Scales {
    Scales { price: a.price.max(b.price), size: a.size.max(b.size) }
}

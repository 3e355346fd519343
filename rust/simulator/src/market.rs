//! The market: who places, cancels and takes. Deterministic, without I/O or clock, the same for every exchange.
//!
//! Each symbol is driven by three independent Poisson processes: bursts of changes behind the best prices, changes of
//! the best prices, and market orders. One [`Market::step`] is one thing that happened: it is atomic, and at its end
//! (in fact after each of its changes) no book is crossed unless [`Market::cross`] asked for it.

use crate::SimulatorError;
use crate::book::{Book, Scales, Side};
use crate::clock::{MarketTime, SECOND};
use crate::config::SymbolConfig;
use crate::random::Random;

/// A level's new size at an update id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The update id, rising.
    pub id: u64,
    /// Which side.
    pub side: Side,
    /// Price mantissa.
    pub price: i64,
    /// New size mantissa; 0 deletes.
    pub size: i64,
}

/// Why there is a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FillKind {
    /// Two orders met.
    Market,
    /// A liquidation taken over by the insurance fund: no trade in the usual sense.
    InsuranceFund,
    /// Auto-deleveraging.
    Deleveraging,
    /// A row without price and size, as exchanges send now and then.
    Empty,
}

/// Size that changed hands at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fill {
    pub kind: FillKind,
    /// Side of the book that was hit: the aggressor is on the other one.
    pub maker: Side,
    pub price: i64,
    pub size: i64,
    /// The part of `size` that retail orders, invisible in the book, gave.
    pub hidden: i64,
}

/// One thing that happened to one symbol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub symbol: usize,
    pub time: MarketTime,
    pub changes: Vec<Change>,
    pub fills: Vec<Fill>,
    /// The best bid or offer, or a size there, is another.
    pub top_changed: bool,
}

/// Who counts the changes of books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// One counter for all symbols, so that a symbol's ids leap; this is the last one given.
    Shared(u64),
    /// Each symbol by itself, without a hole.
    PerSymbol,
}

impl Ids {
    /// A counter for all symbols.
    pub(crate) const SHARED: Self = Self::Shared(11_500_000_000_000);

    fn next(&mut self, last: u64, rng: &mut Random) -> u64 {
        match self {
            // More than one each time: other symbols and hidden orders count too.
            Self::Shared(counter) => {
                *counter += 2 + rng.below(60);
                *counter
            }
            Self::PerSymbol => last + 1,
        }
    }

    /// Id of a book that has a history.
    fn first(&mut self, rng: &mut Random) -> u64 {
        match self {
            Self::Shared(_) => self.next(0, rng),
            Self::PerSymbol => 57_000_000_000 + rng.below(1_000_000_000),
        }
    }
}

/// All symbols.
pub(crate) struct Market {
    seed: u64,
    levels: usize,
    symbols: Vec<SymbolMarket>,
    ids: Ids,
    odd_fills: f64,
    rate: f64,
}

struct SymbolMarket {
    scales: Scales,
    tick: i64,
    lot: i64,
    anchor: i64,
    levels: usize,
    /// Mean events per second: bursts, top changes, orders.
    rates: [f64; 3],
    next: [MarketTime; 3],
    rng: Random,
    book: Book,
    last_id: u64,
    /// What is taken off the counter since ids began anew.
    below: u64,
    crossed: Option<(MarketTime, i64)>,
    /// When a new symbol opens, and with which book.
    opening: Option<(MarketTime, Book)>,
    halted: bool,
}

const NEVER: MarketTime = MarketTime::MAX;
const MEAN_BURST: f64 = 4.0;
/// The processes: bursts behind the best prices, changes of these, orders.
const DEEP: usize = 0;
const TOP: usize = 1;

impl Market {
    pub(crate) fn new(
        seed: u64,
        symbols: &[SymbolConfig],
        levels: usize,
        odd_fills: f64,
        mut ids: Ids,
    ) -> Result<Self, SimulatorError> {
        let mut list = Vec::with_capacity(symbols.len());
        for config in symbols {
            let mut s = SymbolMarket::new(seed, config, levels)?;
            s.last_id = ids.first(&mut s.rng);
            list.push(s);
        }
        Ok(Self { seed, levels, symbols: list, ids, odd_fills, rate: 1.0 })
    }

    /// A new symbol. Its book is empty until `opens`, when all of its levels come at once.
    pub(crate) fn list(
        &mut self,
        config: &SymbolConfig,
        now: MarketTime,
        opens: MarketTime,
    ) -> Result<(), SimulatorError> {
        let mut s = SymbolMarket::new(self.seed, config, self.levels)?;
        s.opening = Some((opens.max(now), std::mem::take(&mut s.book)));
        s.last_id = match self.ids {
            Ids::Shared(counter) => counter,
            Ids::PerSymbol => 0,
        };
        self.symbols.push(s);
        Ok(())
    }

    /// The symbol stands still, or goes on. Nothing is made up for.
    pub(crate) fn halt(&mut self, symbol: usize, halted: bool, now: MarketTime) {
        let rate = self.rate;
        let s = &mut self.symbols[symbol];
        s.halted = halted;
        if !halted {
            s.reschedule(now, rate);
        }
    }

    pub(crate) fn book(&self, symbol: usize) -> &Book {
        &self.symbols[symbol].book
    }

    pub(crate) fn scales(&self, symbol: usize) -> Scales {
        self.symbols[symbol].scales
    }

    /// Id of the last change of this symbol's book.
    pub(crate) fn last_id(&self, symbol: usize) -> u64 {
        self.symbols[symbol].last_id
    }

    /// When the next step is due; `None` on a market where nothing happens.
    pub(crate) fn next_time(&self) -> Option<MarketTime> {
        self.symbols.iter().map(SymbolMarket::next_time).min().filter(|t| *t != NEVER)
    }

    /// Does the next step, whenever it is due.
    pub(crate) fn step(&mut self, step: &mut Step) {
        step.changes.clear();
        step.fills.clear();
        step.top_changed = false;
        let Some((index, time)) = self
            .symbols
            .iter()
            .map(SymbolMarket::next_time)
            .enumerate()
            .min_by_key(|(_, t)| *t)
            .filter(|s| s.1 != NEVER)
        else {
            return;
        };
        step.symbol = index;
        step.time = time;
        let (ids, rate, odd) = (&mut self.ids, self.rate, self.odd_fills);
        let s = &mut self.symbols[index];
        let top = (s.book.best(Side::Bid), s.book.best(Side::Ask));
        if let Some((_, book)) = s.opening.take() {
            s.open(&book, ids, step);
            s.reschedule(time, rate);
        } else if let Some((_, price)) = s.crossed.take() {
            s.set(Side::Bid, price, 0, ids, step);
        } else if let Some(process) = (0..3).find(|p| s.next[*p] == time) {
            s.next[process] = s.draw_next(process, time, rate);
            match process {
                DEEP => s.burst(ids, step),
                TOP => s.move_top(ids, step),
                _ => s.order(odd, ids, step),
            }
        }
        step.top_changed = top != (s.book.best(Side::Bid), s.book.best(Side::Ask));
    }

    /// All rates times `factor`, from `now` on.
    pub(crate) fn set_rate(&mut self, factor: f64, now: MarketTime) {
        self.rate = factor;
        self.reschedule(now);
    }

    /// Draws all times anew: after a pause nothing is made up for.
    pub(crate) fn reschedule(&mut self, now: MarketTime) {
        for s in &mut self.symbols {
            s.reschedule(now, self.rate);
        }
    }

    /// Puts a bid at the best offer; the symbol then stands still until `until`, when that bid goes.
    pub(crate) fn cross(&mut self, symbol: usize, now: MarketTime, until: MarketTime, step: &mut Step) {
        let s = &mut self.symbols[symbol];
        *step = Step { symbol, time: now, ..Step::default() };
        if let (None, Some((price, _))) = (s.crossed, s.book.best(Side::Ask)) {
            s.set(Side::Bid, price, s.lot, &mut self.ids, step);
            s.crossed = Some((until, price));
            step.top_changed = true;
        }
    }

    /// A crossed symbol goes on now.
    pub(crate) fn uncross(&mut self, symbol: usize, now: MarketTime) {
        if let Some((until, _)) = &mut self.symbols[symbol].crossed {
            *until = now;
        }
    }

    /// The ids of a book begin anew, low, as after a maintenance: its best bid changes with the first of them.
    pub(crate) fn restart_ids(&mut self, symbol: usize, now: MarketTime, step: &mut Step) {
        let s = &mut self.symbols[symbol];
        *step = Step { symbol, time: now, ..Step::default() };
        let Some((price, there)) = s.book.best(Side::Bid) else { return };
        s.last_id = 0;
        if let Ids::Shared(counter) = self.ids {
            s.below = counter;
        }
        let size = s.other_size(there);
        s.set(Side::Bid, price, size, &mut self.ids, step);
        step.top_changed = true;
    }

    /// `count` levels change at once, far from the best prices: the next book event is that large.
    pub(crate) fn change_many(&mut self, symbol: usize, now: MarketTime, count: u64, step: &mut Step) {
        let s = &mut self.symbols[symbol];
        *step = Step { symbol, time: now, ..Step::default() };
        for i in 0..count {
            let side = if i % 2 == 0 { Side::Bid } else { Side::Ask };
            let distance = i64::try_from(i / 2 + 1).unwrap_or(i64::MAX);
            let Some((best, _)) = s.book.best(side) else { continue };
            let price = best.saturating_sub(side.better() * distance.saturating_mul(s.tick));
            if price >= s.tick {
                let size = s.size();
                s.set(side, price, size, &mut self.ids, step);
                s.trim(side, &mut self.ids, step);
            }
        }
    }
}

impl SymbolMarket {
    fn new(seed: u64, config: &SymbolConfig, levels: usize) -> Result<Self, SimulatorError> {
        let (scales, price, tick, lot) = config.numbers()?;
        let levels = config.levels.unwrap_or(levels);
        let mut s = Self {
            scales,
            tick,
            lot,
            anchor: price,
            levels,
            rates: [config.depth_changes_per_s / MEAN_BURST, config.book_tickers_per_s, config.trades_per_s],
            next: [NEVER; 3],
            rng: Random::new(seed, &config.symbol),
            book: Book::default(),
            last_id: 0,
            below: 0,
            crossed: None,
            opening: None,
            halted: false,
        };
        for side in [Side::Bid, Side::Ask] {
            let mut at = if side == Side::Bid { price } else { price + tick };
            // Nearly every tick is taken at the top, fewer further out.
            for n in 0..levels * 19 / 20 {
                if at < tick {
                    break;
                }
                let size = s.size();
                s.book.set(side, at, size);
                let holes = if n < levels / 10 { 1.2 } else { 2.0 };
                at -= side.better() * tick * s.rng.geometric(holes) as i64;
            }
        }
        s.reschedule(0, 1.0);
        Ok(s)
    }

    fn next_time(&self) -> MarketTime {
        match (self.halted, &self.opening, self.crossed) {
            (true, ..) => NEVER,
            (_, Some((at, _)), _) => *at,
            (_, None, Some((at, _))) => at,
            (_, None, None) => self.next.into_iter().min().unwrap_or(NEVER),
        }
    }

    fn reschedule(&mut self, now: MarketTime, factor: f64) {
        for process in 0..3 {
            self.next[process] = self.draw_next(process, now, factor);
        }
    }

    /// All levels of a new symbol, each side from its best price on.
    fn open(&mut self, book: &Book, ids: &mut Ids, step: &mut Step) {
        for side in [Side::Bid, Side::Ask] {
            for (price, size) in book.levels(side) {
                self.set(side, price, size, ids, step);
            }
        }
    }

    fn draw_next(&mut self, process: usize, now: MarketTime, factor: f64) -> MarketTime {
        let rate = self.rates[process] * factor;
        if rate <= 0.0 {
            return NEVER;
        }
        now + 1 + self.rng.exponential(SECOND as f64 / rate) as u64
    }

    fn set(&mut self, side: Side, price: i64, size: i64, ids: &mut Ids, step: &mut Step) {
        self.book.set(side, price, size);
        self.last_id = ids.next(self.last_id, &mut self.rng) - self.below;
        step.changes.push(Change { id: self.last_id, side, price, size });
    }

    /// A round number of lots: mostly small, now and then very large.
    fn size(&mut self) -> i64 {
        let mean = if self.rng.chance(0.05) { 3000.0 } else { 150.0 };
        self.lot.saturating_mul(1 + self.rng.exponential(mean) as i64)
    }

    fn side(&mut self) -> Side {
        if self.rng.chance(0.5) { Side::Bid } else { Side::Ask }
    }

    /// A side where buyers press (`Bid`) or sellers do: the price is pulled back to where it began.
    fn pressure(&mut self) -> Side {
        let mid = self.book.best(Side::Bid).map_or(self.anchor, |b| b.0);
        let away = (mid - self.anchor) as f64 / self.anchor as f64;
        if self.rng.chance((0.5 - away * 10.0).clamp(0.1, 0.9)) { Side::Bid } else { Side::Ask }
    }

    /// Levels come, go and change behind the best price.
    fn burst(&mut self, ids: &mut Ids, step: &mut Step) {
        for _ in 0..self.rng.geometric(MEAN_BURST) {
            let side = self.side();
            let Some((best, _)) = self.book.best(side) else { continue };
            let reach = if self.rng.chance(0.7) { 20.0 } else { self.levels as f64 / 4.0 };
            let distance = 1 + self.rng.exponential(reach) as i64;
            let price = best - side.better() * distance * self.tick;
            if price < self.tick {
                continue;
            }
            let there = self.book.size_at(side, price);
            let plenty = self.book.len(side) > self.levels * 9 / 10;
            if there != 0 && plenty && self.rng.chance(0.35) {
                self.set(side, price, 0, ids, step);
            } else {
                let size = self.other_size(there);
                self.set(side, price, size, ids, step);
                self.trim(side, ids, step);
            }
            if !plenty {
                self.extend(side, ids, step);
            }
        }
    }

    fn other_size(&mut self, than: i64) -> i64 {
        let size = self.size();
        if size == than { size + self.lot } else { size }
    }

    /// Never more levels than configured: the worst one leaves.
    fn trim(&mut self, side: Side, ids: &mut Ids, step: &mut Step) {
        if self.book.len(side) > self.levels
            && let Some((worst, _)) = self.book.worst(side)
        {
            self.set(side, worst, 0, ids, step);
        }
    }

    /// A level beyond the worst one.
    fn extend(&mut self, side: Side, ids: &mut Ids, step: &mut Step) {
        let Some((worst, _)) = self.book.worst(side) else { return };
        let price = worst - side.better() * self.tick * (1 + self.rng.below(3) as i64);
        if price >= self.tick {
            let size = self.size();
            self.set(side, price, size, ids, step);
        }
    }

    /// The best price is improved, cancelled or resized.
    fn move_top(&mut self, ids: &mut Ids, step: &mut Step) {
        let press = self.pressure();
        let (Some((bid, _)), Some((ask, _))) = (self.book.best(Side::Bid), self.book.best(Side::Ask)) else { return };
        let spread = (ask - bid) / self.tick;
        if spread > 1 && (spread > 5 || self.rng.chance(0.5)) {
            let best = if press == Side::Bid { bid } else { ask };
            let room = (spread - 1).min(3) as u64;
            let by = 1 + self.rng.below(room) as i64;
            let size = self.size();
            self.set(press, best + press.better() * by * self.tick, size, ids, step);
            self.trim(press, ids, step);
        } else if self.rng.chance(0.25) && self.book.len(press.opposite()) > self.levels / 2 {
            // Buyers press: the best offer goes.
            let best = if press == Side::Bid { ask } else { bid };
            self.set(press.opposite(), best, 0, ids, step);
        } else {
            let side = self.side();
            let (price, there) = self.book.best(side).unwrap_or((bid, 0));
            let size = self.other_size(there);
            self.set(side, price, size, ids, step);
        }
    }

    /// A market order takes one to three levels.
    fn order(&mut self, odd_fills: f64, ids: &mut Ids, step: &mut Step) {
        let maker = self.pressure().opposite();
        let sweep = match self.rng.below(100) {
            0..80 => 0,
            80..95 => 1,
            _ => 2 + self.rng.below(2),
        };
        for n in 0..=sweep {
            let Some((price, there)) = self.book.best(maker) else { return };
            let whole = n < sweep && self.book.len(maker) > 10;
            let lots = there / self.lot;
            if !whole && lots < 2 {
                return;
            }
            let taken = if whole {
                there
            } else {
                let part = (self.rng.exponential(0.2) * lots as f64) as i64;
                self.lot * part.clamp(1, lots - 1)
            };
            self.fills(maker, price, taken, step);
            self.set(maker, price, there - taken, ids, step);
        }
        if self.rng.chance(odd_fills) {
            let (kind, price, size) = match self.rng.below(3) {
                0 => (FillKind::InsuranceFund, self.anchor, self.lot),
                1 => (FillKind::Deleveraging, self.anchor, self.lot),
                _ => (FillKind::Empty, 0, 0),
            };
            step.fills.push(Fill { kind, maker, price, size, hidden: 0 });
        }
    }

    /// One to three orders stood at the price.
    fn fills(&mut self, maker: Side, price: i64, taken: i64, step: &mut Step) {
        let mut left = taken / self.lot;
        while left > 0 {
            let last = left == 1 || self.rng.chance(0.6);
            let lots = if last { left } else { 1 + self.rng.below(left as u64 - 1) as i64 };
            let hidden = if self.rng.chance(0.03) { self.rng.below(lots as u64 + 1) as i64 } else { 0 };
            step.fills.push(Fill {
                kind: FillKind::Market,
                maker,
                price,
                size: lots * self.lot,
                hidden: hidden * self.lot,
            });
            left -= lots;
        }
    }
}

#[cfg(test)]
mod tests;

//! Fills of one price and aggressor within 100 ms make one row.

use std::collections::VecDeque;

use crate::binance::messages::AggTrade;
use crate::clock::{MS, MarketTime};
use crate::market::Fill;
use crate::random::Random;

/// The trades of one symbol.
pub(crate) struct Aggregator {
    pub next_fill: u64,
    next_row: u64,
    /// Block trades count by themselves.
    pub next_block: u64,
    /// Rows that wait for their time; the last one may still grow.
    waiting: VecDeque<(MarketTime, MarketTime, AggTrade)>,
}

const WINDOW: MarketTime = 100 * MS;

impl Aggregator {
    pub(crate) fn new(rng: &mut Random) -> Self {
        Self {
            next_fill: 5_266_000_000 + rng.below(1_000_000),
            next_row: 309_000_000 + rng.below(1_000_000),
            next_block: 500,
            waiting: VecDeque::new(),
        }
    }

    /// When [`Self::pop`] has a row next.
    pub(crate) fn due(&self) -> Option<MarketTime> {
        self.waiting.front().map(|w| w.1)
    }

    pub(crate) fn pop(&mut self, now: MarketTime) -> Option<AggTrade> {
        if self.due()? > now {
            return None;
        }
        self.waiting.pop_front().map(|(_, _, row)| row)
    }

    pub(crate) fn add(&mut self, id: u64, fill: &Fill, now: MarketTime, ms: i64, jitter: MarketTime) {
        if let Some((since, _, row)) = self.waiting.back_mut()
            && (row.price, row.maker) == (fill.price, fill.maker)
            && now < *since + WINDOW
        {
            row.size += fill.size;
            row.visible += fill.size - fill.hidden;
            row.last = id;
            return;
        }
        let due = (now + WINDOW + jitter).max(self.waiting.back().map_or(0, |w| w.1));
        let row = AggTrade {
            id: self.next_row,
            price: fill.price,
            size: fill.size,
            visible: fill.size - fill.hidden,
            first: id,
            last: id,
            event_ms: ms,
            maker: fill.maker,
        };
        self.next_row += 1;
        self.waiting.push_back((now, due, row));
    }
}

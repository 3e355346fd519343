//! When and how the changes of a book are told: one throttle per stream, speed and phase.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::binance::messages::{DepthIds, LevelRow};
use crate::book::{Book, Side};
use crate::clock::{MS, MarketTime};
use crate::config::DepthSpeed;
use crate::market::Step;
use crate::random::Random;

/// One speed of one symbol's depth stream, with its own chain.
pub(crate) struct DepthChannel {
    pub symbol: usize,
    pub stream: Arc<str>,
    pub phase: usize,
    /// Whole images of so many levels, in place of changes.
    pub image: Option<usize>,
    interval: MarketTime,
    /// How much later than at once its first event comes: phases are apart from the beginning.
    offset: MarketTime,
    /// Prices that changed since the last event, with the id range and time of those changes.
    bids: BTreeSet<i64>,
    asks: BTreeSet<i64>,
    first_id: Option<u64>,
    last_id: u64,
    last_change: MarketTime,
    prev_id: u64,
    flushed: Option<MarketTime>,
    pub due: Option<MarketTime>,
}

/// What one depth event tells.
pub(crate) struct Flushed {
    pub changed: MarketTime,
    pub ids: DepthIds,
    pub bids: Vec<LevelRow>,
    pub asks: Vec<LevelRow>,
}

impl DepthChannel {
    /// `phase` is one of so many.
    pub(crate) fn new(
        symbol: usize,
        stream: Arc<str>,
        speed: DepthSpeed,
        first_id: u64,
        phase: (usize, usize),
    ) -> Self {
        let interval = speed.interval_ms() * MS;
        Self {
            symbol,
            stream,
            phase: phase.0,
            image: None,
            interval,
            offset: interval * phase.0 as u64 / phase.1 as u64,
            bids: BTreeSet::new(),
            asks: BTreeSet::new(),
            first_id: None,
            last_id: first_id,
            last_change: 0,
            prev_id: first_id,
            flushed: None,
            due: None,
        }
    }

    /// The same, telling the best levels as a whole.
    pub(crate) fn of_images(self, levels: usize) -> Self {
        Self { image: Some(levels), ..self }
    }

    pub(crate) fn on_step(&mut self, step: &Step, rng: &mut Random) {
        let (Some(first), Some(last)) = (step.changes.first(), step.changes.last()) else { return };
        if self.image.is_none() {
            for c in &step.changes {
                match c.side {
                    Side::Bid => self.bids.insert(c.price),
                    Side::Ask => self.asks.insert(c.price),
                };
            }
        }
        self.first_id.get_or_insert(first.id);
        self.last_id = last.id;
        self.last_change = step.time;
        if self.due.is_none() {
            // The throttle starts anew at each flush, so that the phase drifts.
            let late = if self.interval == 0 { 1 + rng.below(4) } else { rng.exponential(10.0) as u64 };
            let throttled = self.flushed.map_or(step.time + self.offset, |f| f + self.interval + late * MS);
            self.due = Some(throttled.max(step.time + if self.interval == 0 { late * MS } else { 0 }));
        }
    }

    /// Every price that changed, with its size now: also one that came and went meanwhile, as a deletion.
    pub(crate) fn take(&mut self, now: MarketTime, book: &Book) -> Flushed {
        let last = self.last_id;
        let ids = DepthIds { first: self.first_id.take().unwrap_or(last), last, prev: self.prev_id };
        let (bids, asks) = match self.image {
            Some(levels) => {
                (book.levels(Side::Bid).take(levels).collect(), book.levels(Side::Ask).take(levels).collect())
            }
            None => (
                std::mem::take(&mut self.bids).into_iter().rev().map(|p| (p, book.size_at(Side::Bid, p))).collect(),
                std::mem::take(&mut self.asks).into_iter().map(|p| (p, book.size_at(Side::Ask, p))).collect(),
            ),
        };
        self.prev_id = self.last_id;
        self.flushed = Some(now);
        self.due = None;
        Flushed { changed: self.last_change, ids, bids, asks }
    }
}

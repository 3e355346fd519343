//! Market steps -> messages. Deterministic and without I/O; the batches are the same for every connection.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::binance::messages::{self, AggTrade, DepthIds, LevelRow, Names, SingleTrade};
use crate::binance::streams::{MARKET, PUBLIC, symbol_stream};
use crate::book::{Book, Scales, Side};
use crate::clock::{MS, MarketTime};
use crate::config::SimulatorConfig;
use crate::event::{Event, EventKind};
use crate::market::{Fill, FillKind, Step};
use crate::random::Random;

/// A symbol and its stream names.
pub(crate) struct FeedSymbol {
    pub name: Arc<str>,
    pub scales: Scales,
    pair: String,
    trade: Arc<str>,
    ticker: Arc<str>,
    agg_trade: Arc<str>,
}

impl FeedSymbol {
    pub(crate) fn new(name: &str, scales: Scales) -> Self {
        let lower = name.to_lowercase();
        Self {
            name: name.into(),
            scales,
            pair: name.split('_').next().unwrap_or(name).to_owned(),
            trade: format!("{lower}@trade").into(),
            ticker: format!("{lower}@bookTicker").into(),
            agg_trade: format!("{lower}@aggTrade").into(),
        }
    }

    fn names(&self) -> Names<'_> {
        Names { symbol: &self.name, pair: &self.pair, scales: self.scales }
    }
}

/// All streams of all symbols.
pub(crate) struct Feed {
    symbols: Vec<FeedSymbol>,
    depth: Vec<DepthChannel>,
    trades: Vec<Aggregator>,
    single_trades: bool,
    start_ms: i64,
    next_seq: u64,
    rng: Random,
}

/// One speed of one symbol's depth stream, with its own `pu` chain.
struct DepthChannel {
    symbol: usize,
    stream: Arc<str>,
    interval: MarketTime,
    /// Prices that changed since the last event, with the id range and time of those changes.
    bids: BTreeSet<i64>,
    asks: BTreeSet<i64>,
    first_id: Option<u64>,
    last_id: u64,
    last_change: MarketTime,
    prev_id: u64,
    flushed: Option<MarketTime>,
    due: Option<MarketTime>,
}

/// What one depth event tells.
struct Flushed {
    changed: MarketTime,
    ids: DepthIds,
    bids: Vec<LevelRow>,
    asks: Vec<LevelRow>,
}

/// Fills of one price and aggressor within 100 ms make one row.
struct Aggregator {
    next_fill: u64,
    next_row: u64,
    /// Rows that wait for their time; the last one may still grow.
    waiting: VecDeque<(MarketTime, MarketTime, AggTrade)>,
}

const WINDOW: MarketTime = 100 * MS;

impl Feed {
    pub(crate) fn new(config: &SimulatorConfig, start_ms: i64, symbols: Vec<FeedSymbol>, first_ids: &[u64]) -> Self {
        let mut rng = Random::new(config.seed, "feed");
        let mut depth = Vec::new();
        for (symbol, (s, first_id)) in symbols.iter().zip(first_ids).enumerate() {
            for speed in &config.depth_speeds {
                depth.push(DepthChannel {
                    symbol,
                    stream: symbol_stream(&s.name, *speed).into(),
                    interval: speed.interval_ms() * MS,
                    bids: BTreeSet::new(),
                    asks: BTreeSet::new(),
                    first_id: None,
                    last_id: *first_id,
                    last_change: 0,
                    prev_id: *first_id,
                    flushed: None,
                    due: None,
                });
            }
        }
        let trades = symbols
            .iter()
            .map(|_| Aggregator {
                next_fill: 5_266_000_000 + rng.below(1_000_000),
                next_row: 309_000_000 + rng.below(1_000_000),
                waiting: VecDeque::new(),
            })
            .collect();
        Self { symbols, depth, trades, single_trades: config.trade_stream, start_ms, next_seq: 0, rng }
    }

    pub(crate) fn len(&self) -> usize {
        self.symbols.len()
    }

    pub(crate) fn name(&self, symbol: usize) -> &str {
        &self.symbols[symbol].name
    }

    pub(crate) fn index(&self, symbol: &str) -> Option<usize> {
        self.symbols.iter().position(|s| &*s.name == symbol)
    }

    /// When [`Feed::flush`] is due next.
    pub(crate) fn next_time(&self) -> Option<MarketTime> {
        let depth = self.depth.iter().filter_map(|d| d.due);
        let trades = self.trades.iter().filter_map(|t| t.waiting.front().map(|w| w.1));
        depth.chain(trades).min()
    }

    /// Something happened to a symbol, whose book is now this.
    pub(crate) fn on_step(&mut self, step: &Step, book: &Book, out: &mut Vec<Event>) {
        let (now, last_id) = (step.time, step.changes.last().map(|c| c.id));
        for channel in self.depth.iter_mut().filter(|d| d.symbol == step.symbol) {
            channel.on_step(step, &mut self.rng);
        }
        let ms = self.ms(now);
        for fill in &step.fills {
            self.on_fill(step.symbol, fill, now, ms, out);
        }
        if step.top_changed
            && let (Some(id), Some(bid), Some(ask)) = (last_id, book.best(Side::Bid), book.best(Side::Ask))
        {
            let s = &self.symbols[step.symbol];
            let payload = messages::book_ticker(&s.names(), ms, ms, id, bid, ask);
            let (stream, symbol) = (Arc::clone(&s.ticker), Arc::clone(&s.name));
            self.issue(out, EventKind::BookTicker, PUBLIC, stream, symbol, (id, id, None), (ms, ms), payload);
        }
    }

    fn on_fill(&mut self, symbol: usize, fill: &Fill, now: MarketTime, ms: i64, out: &mut Vec<Event>) {
        let jitter = self.rng.below(40) * MS;
        let trades = &mut self.trades[symbol];
        let id = trades.next_fill;
        trades.next_fill += 1;
        if fill.kind == FillKind::Market {
            trades.add(id, fill, now, ms, jitter);
        }
        if self.single_trades {
            let s = &self.symbols[symbol];
            let row = SingleTrade { id, price: fill.price, size: fill.size, kind: fill.kind, maker: fill.maker };
            let payload = messages::trade(&s.names(), ms, ms, &row);
            let (stream, name) = (Arc::clone(&s.trade), Arc::clone(&s.name));
            self.issue(out, EventKind::Trade, PUBLIC, stream, name, (id, id, None), (ms, ms), payload);
        }
    }

    /// Sends what is due at `now`.
    pub(crate) fn flush<'b>(&mut self, now: MarketTime, book: impl Fn(usize) -> &'b Book, out: &mut Vec<Event>) {
        let emitted = self.ms(now);
        for i in 0..self.depth.len() {
            if self.depth[i].due.is_some_and(|d| d <= now) {
                let channel = &mut self.depth[i];
                let (symbol, stream) = (channel.symbol, Arc::clone(&channel.stream));
                let Flushed { changed, ids, bids, asks } = channel.take(now, book(symbol));
                let event = self.ms(changed);
                let s = &self.symbols[symbol];
                let payload = messages::depth(&s.names(), emitted, event, &ids, &bids, &asks);
                let name = Arc::clone(&s.name);
                let ids = (ids.first, ids.last, Some(ids.prev));
                self.issue(out, EventKind::Depth, PUBLIC, stream, name, ids, (event, emitted), payload);
            }
        }
        for i in 0..self.trades.len() {
            while self.trades[i].waiting.front().is_some_and(|w| w.1 <= now) {
                let Some((_, _, row)) = self.trades[i].waiting.pop_front() else { break };
                let s = &self.symbols[i];
                let payload = messages::agg_trade(&s.names(), emitted, &row);
                let (stream, name) = (Arc::clone(&s.agg_trade), Arc::clone(&s.name));
                let ids = (row.id, row.id, None);
                self.issue(out, EventKind::AggTrade, MARKET, stream, name, ids, (row.event_ms, emitted), payload);
            }
        }
    }

    fn ms(&self, at: MarketTime) -> i64 {
        self.start_ms + (at / MS) as i64
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of an event, each given once")]
    fn issue(
        &mut self,
        out: &mut Vec<Event>,
        kind: EventKind,
        family: &'static str,
        stream: Arc<str>,
        symbol: Arc<str>,
        (first_id, last_id, prev_id): (u64, u64, Option<u64>),
        (event_ms, emitted_ms): (i64, i64),
        payload: String,
    ) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let payload = payload.into();
        out.push(Event {
            seq,
            kind,
            stream,
            family,
            symbol,
            first_id,
            last_id,
            prev_id,
            phase: 0,
            conn: None,
            event_ms,
            emitted_ms,
            payload,
        });
    }
}

impl DepthChannel {
    fn on_step(&mut self, step: &Step, rng: &mut Random) {
        let (Some(first), Some(last)) = (step.changes.first(), step.changes.last()) else { return };
        for c in &step.changes {
            match c.side {
                Side::Bid => self.bids.insert(c.price),
                Side::Ask => self.asks.insert(c.price),
            };
        }
        self.first_id.get_or_insert(first.id);
        self.last_id = last.id;
        self.last_change = step.time;
        if self.due.is_none() {
            // The throttle starts anew at each flush, so that the phase drifts.
            let late = if self.interval == 0 { 1 + rng.below(4) } else { rng.exponential(10.0) as u64 };
            let throttled = self.flushed.map_or(0, |f| f + self.interval + late * MS);
            self.due = Some(throttled.max(step.time + if self.interval == 0 { late * MS } else { 0 }));
        }
    }

    /// Every price that changed, with its size now: also one that came and went meanwhile, as a deletion.
    fn take(&mut self, now: MarketTime, book: &Book) -> Flushed {
        let last = self.last_id;
        let ids = DepthIds { first: self.first_id.take().unwrap_or(last), last, prev: self.prev_id };
        let bids = std::mem::take(&mut self.bids).into_iter().rev().map(|p| (p, book.size_at(Side::Bid, p))).collect();
        let asks = std::mem::take(&mut self.asks).into_iter().map(|p| (p, book.size_at(Side::Ask, p))).collect();
        self.prev_id = self.last_id;
        self.flushed = Some(now);
        self.due = None;
        Flushed { changed: self.last_change, ids, bids, asks }
    }
}

impl Aggregator {
    fn add(&mut self, id: u64, fill: &Fill, now: MarketTime, ms: i64, jitter: MarketTime) {
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

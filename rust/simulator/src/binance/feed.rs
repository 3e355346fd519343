//! Market steps -> messages. Deterministic and without I/O; the batches are the same for every connection of a phase.
//!
//! ```text
//! depth      changes and images of books, by throttle
//! trades     fills folded into rows
//! contracts  mark prices, open interest, liquidations
//! ```

mod contracts;
mod depth;
mod trades;

use std::sync::Arc;

use crate::binance::dialect::{Dialect, Product};
use crate::binance::messages::{self, MarkPrice, Names, SingleTrade, Times};
use crate::binance::streams::{ImageStream, symbol_stream};
use crate::book::{Book, Scales, Side};
use crate::clock::{MS, MarketTime, SECOND};
use crate::config::{DepthSpeed, SimulatorConfig};
use crate::event::{Event, EventKind, Figures};
use crate::market::{Fill, FillKind, Step};
use crate::random::Random;
use contracts::Contract;
use depth::{DepthChannel, Flushed};
use trades::Aggregator;

/// A symbol and its stream names.
pub(crate) struct FeedSymbol {
    pub name: Arc<str>,
    pub scales: Scales,
    lower: String,
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
            lower,
        }
    }

    fn dated(&self) -> bool {
        *self.name != *self.pair
    }

    fn names(&self, dialect: &Dialect) -> Names<'_> {
        Names { product: dialect.product, symbol: &self.name, pair: &self.pair, scales: self.scales }
    }
}

/// All streams of all symbols.
pub(crate) struct Feed {
    dialect: &'static Dialect,
    symbols: Vec<FeedSymbol>,
    depth: Vec<DepthChannel>,
    trades: Vec<Aggregator>,
    contracts: Vec<Contract>,
    /// When mark prices are told next, and how often they were.
    marks: Option<(MarketTime, u64)>,
    settings: Settings,
    start_ms: i64,
    next_seq: u64,
    rng: Random,
    blocks: Random,
}

/// What of the configuration concerns the messages.
struct Settings {
    seed: u64,
    speeds: Vec<DepthSpeed>,
    phases: usize,
    single_trades: bool,
    block_trades: f64,
    liquidations: f64,
}

/// An event without its number.
struct Draft {
    kind: EventKind,
    stream: Arc<str>,
    symbol: Arc<str>,
    /// First, last, and the one before.
    ids: (u64, u64, Option<u64>),
    phase: usize,
    at: Times,
    says: Says,
}

/// A text, and the figures that it was written from.
struct Says {
    payload: String,
    figures: Vec<Figures>,
}

impl From<String> for Says {
    fn from(payload: String) -> Self {
        Self { payload, figures: Vec::new() }
    }
}

impl Feed {
    pub(crate) fn new(dialect: &'static Dialect, config: &SimulatorConfig, start_ms: i64) -> Self {
        Self {
            dialect,
            symbols: Vec::new(),
            depth: Vec::new(),
            trades: Vec::new(),
            contracts: Vec::new(),
            marks: (dialect.derivatives && config.mark_prices).then_some((SECOND, 0)),
            settings: Settings {
                seed: config.seed,
                speeds: config.depth_speeds.clone(),
                phases: config.batch_phases,
                single_trades: config.trade_stream || dialect.product == Product::Spot,
                block_trades: config.block_trades,
                liquidations: config.liquidations,
            },
            start_ms,
            next_seq: 0,
            rng: Random::new(config.seed, "feed"),
            blocks: Random::new(config.seed, "blocks"),
        }
    }

    /// One more symbol, whose book is at this id.
    pub(crate) fn add(&mut self, symbol: FeedSymbol, first_id: u64) {
        let (index, phases) = (self.symbols.len(), self.settings.phases);
        for speed in &self.settings.speeds {
            let stream: Arc<str> = symbol_stream(&symbol.name, *speed).into();
            for phase in 0..phases {
                self.depth.push(DepthChannel::new(index, Arc::clone(&stream), *speed, first_id, (phase, phases)));
            }
        }
        self.trades.push(Aggregator::new(&mut self.rng));
        if self.dialect.derivatives {
            self.contracts.push(Contract::new(self.settings.seed, &symbol));
        }
        self.symbols.push(symbol);
    }

    /// Somebody wants whole images of a book; before, none are made. Any other name is none of this feed's.
    pub(crate) fn want(&mut self, stream: &str, last_id: impl Fn(usize) -> u64) {
        let Some(image) = ImageStream::parse(self.dialect, stream) else { return };
        let Some(symbol) = self.symbols.iter().position(|s| s.lower == image.symbol) else { return };
        if self.depth.iter().all(|d| *d.stream != *stream) {
            let channel = DepthChannel::new(symbol, stream.into(), image.speed, last_id(symbol), (0, 1));
            self.depth.push(channel.of_images(image.levels));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.symbols.len()
    }

    pub(crate) fn symbol(&self, symbol: usize) -> &FeedSymbol {
        &self.symbols[symbol]
    }

    pub(crate) fn index(&self, symbol: &str) -> Option<usize> {
        self.symbols.iter().position(|s| &*s.name == symbol)
    }

    /// When [`Feed::flush`] is due next. Mark prices stand still with the market.
    pub(crate) fn next_time(&self, paused: bool) -> Option<MarketTime> {
        let depth = self.depth.iter().filter_map(|d| d.due);
        let trades = self.trades.iter().filter_map(Aggregator::due);
        let liquidations = self.contracts.iter().filter_map(Contract::due);
        let marks = self.marks.map(|m| m.0).filter(|_| !paused);
        depth.chain(trades).chain(liquidations).chain(marks).min()
    }

    /// The market goes on after a pause.
    pub(crate) fn resume(&mut self, now: MarketTime) {
        if let Some((due, _)) = &mut self.marks {
            *due = (*due).max(now);
        }
    }

    /// Something happened to a symbol, whose book is now this.
    pub(crate) fn on_step(&mut self, step: &Step, book: &Book, out: &mut Vec<Event>) {
        for channel in self.depth.iter_mut().filter(|d| d.symbol == step.symbol) {
            channel.on_step(step, &mut self.rng);
        }
        let ms = self.ms(step.time);
        for fill in &step.fills {
            self.on_fill(step.symbol, fill, step.time, ms, out);
        }
        if let Some(contract) = self.contracts.get_mut(step.symbol) {
            contract.on_step(step, self.settings.liquidations, ms);
        }
        if let Some(fill) = step.fills.first()
            && self.blocks.chance(self.settings.block_trades)
        {
            self.on_block(step.symbol, fill, ms, out);
        }
        if step.top_changed
            && let (Some(last), Some(bid), Some(ask)) =
                (step.changes.last(), book.best(Side::Bid), book.best(Side::Ask))
        {
            let s = &self.symbols[step.symbol];
            let at = Times { event: ms, emitted: ms };
            let payload = messages::book_ticker(&s.names(self.dialect), at, last.id, bid, ask);
            let stream = Arc::clone(&s.ticker);
            self.tell(out, EventKind::BookTicker, stream, Some(step.symbol), last.id, at, payload);
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
        if self.settings.single_trades {
            let s = &self.symbols[symbol];
            let t = SingleTrade { id, price: fill.price, size: fill.size, kind: fill.kind, maker: fill.maker };
            let at = Times { event: ms, emitted: ms };
            let payload = messages::trade(&s.names(self.dialect), at, &t);
            let stream = Arc::clone(&s.trade);
            self.tell(out, EventKind::Trade, stream, Some(symbol), id, at, payload);
        }
    }

    /// A block trade beside an order: many times its size, off the book.
    fn on_block(&mut self, symbol: usize, fill: &Fill, ms: i64, out: &mut Vec<Event>) {
        let id = self.trades[symbol].next_block;
        self.trades[symbol].next_block += 1;
        let s = &self.symbols[symbol];
        let size = fill.size.saturating_mul(50);
        let t = SingleTrade { id, price: fill.price, size, kind: fill.kind, maker: fill.maker };
        let at = Times { event: ms, emitted: ms };
        let payload = messages::block_trade(&s.names(self.dialect), at, &t);
        let stream = format!("{}@blockTrade", s.lower).into();
        self.tell(out, EventKind::BlockTrade, stream, Some(symbol), id, at, payload);
    }

    /// Sends what is due at `now`.
    pub(crate) fn flush<'b>(&mut self, now: MarketTime, book: impl Fn(usize) -> &'b Book, out: &mut Vec<Event>) {
        let emitted = self.ms(now);
        for i in 0..self.depth.len() {
            if self.depth[i].due.is_some_and(|d| d <= now) {
                self.flush_depth(i, now, &book, out);
            }
        }
        for i in 0..self.trades.len() {
            while let Some(row) = self.trades[i].pop(now) {
                let s = &self.symbols[i];
                let at = Times { event: row.event_ms, emitted };
                let payload = messages::agg_trade(&s.names(self.dialect), emitted, &row);
                let stream = Arc::clone(&s.agg_trade);
                self.tell(out, EventKind::AggTrade, stream, Some(i), row.id, at, payload);
            }
        }
        for i in 0..self.contracts.len() {
            if let Some(l) = self.contracts[i].pop(now) {
                let s = &self.symbols[i];
                let at = Times { event: l.event_ms, emitted };
                let payload = messages::liquidation(&s.names(self.dialect), emitted, &l);
                let (own, figures) = (format!("{}@forceOrder", s.lower), l.figures(&s.name, s.scales));
                for stream in [&*own, "!forceOrder@arr"] {
                    let says = Says { payload: payload.clone(), figures: vec![figures.clone()] };
                    self.tell(out, EventKind::Liquidation, stream.into(), Some(i), 0, at, says);
                }
            }
        }
        if let Some((_, count)) = self.marks.filter(|m| m.0 <= now) {
            self.marks = Some((now + SECOND, count + 1));
            self.tell_marks(count % 3 == 0, emitted, book, out);
        }
    }

    fn flush_depth<'b>(
        &mut self,
        channel: usize,
        now: MarketTime,
        book: &impl Fn(usize) -> &'b Book,
        out: &mut Vec<Event>,
    ) {
        let channel = &mut self.depth[channel];
        let Flushed { changed, ids, bids, asks } = channel.take(now, book(channel.symbol));
        let (symbol, stream, phase) = (channel.symbol, Arc::clone(&channel.stream), channel.phase);
        let image = channel.image.is_some();
        let at = Times { event: self.ms(changed), emitted: self.ms(now) };
        let s = &self.symbols[symbol];
        let (kind, payload) = if image {
            (EventKind::BookImage, messages::image(&s.names(self.dialect), at, &ids, &bids, &asks))
        } else {
            (EventKind::Depth, messages::depth(&s.names(self.dialect), at, &ids, &bids, &asks))
        };
        let ids = (ids.first, ids.last, (!image).then_some(ids.prev));
        let symbol = Arc::clone(&s.name);
        self.issue(out, Draft { kind, stream, symbol, ids, phase, at, says: payload.into() });
    }

    /// Mark prices every second, and every third one for those who asked for no speed.
    fn tell_marks<'b>(&mut self, third: bool, ms: i64, book: impl Fn(usize) -> &'b Book, out: &mut Vec<Event>) {
        let marks: Vec<(usize, MarkPrice)> = (0..self.symbols.len())
            .filter_map(|i| Some((i, self.contracts.get(i)?.mark(&self.symbols[i], book(i), ms)?)))
            .collect();
        let at = Times { event: ms, emitted: ms };
        let speeds: &[&str] = if third { &["@1s", ""] } else { &["@1s"] };
        for speed in speeds {
            for (i, mark) in &marks {
                let stream = format!("{}@markPrice{speed}", self.symbols[*i].lower).into();
                let says = Says { payload: messages::mark_price(ms, mark), figures: vec![mark.figures()] };
                self.tell(out, EventKind::Derivatives, stream, Some(*i), 0, at, says);
            }
            // Two frames (manual §5): neither is the universe, and the first also has rows of COIN-M.
            let coin = contracts::coin_margined(ms);
            let (dated, perpetual): (Vec<_>, Vec<_>) = marks.iter().partition(|(i, _)| self.symbols[*i].dated());
            let first: Vec<_> = perpetual.iter().map(|(_, m)| m).chain([&coin]).collect();
            let second: Vec<_> = dated.iter().map(|(_, m)| m).collect();
            for rows in [first, second].into_iter().filter(|rows| !rows.is_empty()) {
                let figures = rows.iter().map(|m| m.figures()).collect();
                let rows: Vec<String> = rows.into_iter().map(|m| messages::mark_price(ms, m)).collect();
                let stream = format!("!markPrice@arr{speed}").into();
                let says = Says { payload: format!("[{}]", rows.join(",")), figures };
                self.tell(out, EventKind::Derivatives, stream, None, 0, at, says);
            }
        }
    }

    /// Mark price and open interest of a contract now, for REST.
    pub(crate) fn contract(&self, symbol: usize, book: &Book, now_ms: i64) -> Option<(MarkPrice, i64)> {
        let contract = self.contracts.get(symbol)?;
        Some((contract.mark(&self.symbols[symbol], book, now_ms)?, contract.open_interest))
    }

    fn ms(&self, at: MarketTime) -> i64 {
        self.start_ms + (at / MS) as i64
    }

    /// An event that is no change of a book.
    #[expect(clippy::too_many_arguments, reason = "the parts of an event, each given once")]
    fn tell(
        &mut self,
        out: &mut Vec<Event>,
        kind: EventKind,
        stream: Arc<str>,
        symbol: Option<usize>,
        id: u64,
        at: Times,
        says: impl Into<Says>,
    ) {
        let symbol = symbol.map_or_else(|| "".into(), |s| Arc::clone(&self.symbols[s].name));
        self.issue(out, Draft { kind, stream, symbol, ids: (id, id, None), phase: 0, at, says: says.into() });
    }

    fn issue(&mut self, out: &mut Vec<Event>, d: Draft) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let (first_id, last_id, prev_id) = d.ids;
        out.push(Event {
            seq,
            kind: d.kind,
            stream: d.stream,
            family: self.dialect.family(d.kind),
            symbol: d.symbol,
            first_id,
            last_id,
            prev_id,
            phase: d.phase,
            conn: None,
            event_ms: d.at.event,
            emitted_ms: d.at.emitted,
            payload: d.says.payload.into(),
            figures: d.says.figures,
        });
    }
}

//! Market steps -> notifications. A channel is produced from the first subscription on. What gathers changes does so
//! once for each phase, so that connections of different phases hear different partitions of one chain (§4).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::book::{Book, Side};
use crate::clock::{MS, MarketTime, SECOND};
use crate::deribit::instruments::Instrument;
use crate::deribit::messages::{self, Action, BookMessage, BookRow};
use crate::deribit::streams::Channel;
use crate::deribit::tape::{Tape, Trade};
use crate::deribit::valuation::Valuation;
use crate::event::{Event, EventKind, Figures};
use crate::market::{Market, Step};
use crate::random::Random;

/// What the messages are made from.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub instruments: &'a [Instrument],
    pub market: &'a Market,
    pub tape: &'a Tape,
}

impl World<'_> {
    /// The members of a ticker, and what they say.
    pub(crate) fn ticker(&self, instrument: usize, at_ms: i64) -> (String, Figures) {
        let v = Valuation::of(instrument, self.instruments, |n| self.market.book(n));
        let (i, s) = (&self.instruments[instrument], self.tape.statistics(instrument));
        (messages::ticker_members(i, self.market.book(instrument), &v, s, at_ms), v.figures(i, s))
    }
}

/// All channels that somebody ever subscribed.
pub(crate) struct Feed {
    live: Vec<Live>,
    start_ms: i64,
    next_seq: u64,
    /// Tickers go on without trades.
    next_refresh: MarketTime,
    rng: Random,
}

/// One channel, as the connections of one phase hear it.
struct Live {
    name: Arc<str>,
    symbol: Arc<str>,
    phase: usize,
    channel: Channel,
    content: Content,
    flushed: Option<MarketTime>,
    due: Option<MarketTime>,
}

/// What waits to be told.
enum Content {
    Book(Diff),
    Trades(Vec<Trade>),
    /// The text that was told last, without its time.
    State(String),
}

/// Levels that changed since the last message.
struct Diff {
    bids: BTreeSet<i64>,
    asks: BTreeSet<i64>,
    /// The book as it was told.
    told: Book,
    told_id: u64,
    told_ms: i64,
    first_id: Option<u64>,
    last_id: u64,
    changed: MarketTime,
}

/// How long raw changes wait to be told together, on connections that hear them so: at most.
const COALESCED: MarketTime = 20 * MS;
const REFRESH: MarketTime = SECOND;

impl Feed {
    pub(crate) fn new(seed: u64, start_ms: i64) -> Self {
        Self { live: Vec::new(), start_ms, next_seq: 0, next_refresh: REFRESH, rng: Random::new(seed, "deribit feed") }
    }

    pub(crate) fn ms(&self, at: MarketTime) -> i64 {
        self.start_ms + (at / MS) as i64
    }

    /// When [`Feed::flush`] has something to tell next.
    pub(crate) fn next_time(&self) -> Option<MarketTime> {
        self.live.iter().filter_map(|l| l.due).min()
    }

    /// When [`Feed::refresh`] is due, if anybody cares.
    pub(crate) fn next_refresh(&self) -> Option<MarketTime> {
        let ticker = |l: &Live| matches!(l.channel, Channel::Ticker { .. });
        self.live.iter().any(ticker).then_some(self.next_refresh)
    }

    /// Makes sure that a channel is produced.
    pub(crate) fn begin(&mut self, name: &str, channel: &Channel, phase: usize, world: World<'_>, now: MarketTime) {
        if self.find(name, phase).is_some() {
            return;
        }
        let content = match channel {
            Channel::Book { instrument, .. } => {
                let (book, id) = (world.market.book(*instrument).clone(), world.market.last_id(*instrument));
                Content::Book(Diff {
                    bids: BTreeSet::new(),
                    asks: BTreeSet::new(),
                    told: book,
                    told_id: id,
                    told_ms: self.ms(now),
                    first_id: None,
                    last_id: id,
                    changed: now,
                })
            }
            Channel::Trades { .. } | Channel::TradesOf { .. } => Content::Trades(Vec::new()),
            _ => Content::State(String::new()),
        };
        let symbol = channel.instrument().map_or_else(|| "".into(), |i| Arc::clone(&world.instruments[i].name));
        // Each phase begins somewhere else within the interval.
        let interval = channel.interval().time();
        let flushed = (interval > 0).then(|| now.saturating_sub(self.rng.below(interval)));
        let channel = channel.clone();
        self.live.push(Live { name: name.into(), symbol, phase, channel, content, flushed, due: None });
    }

    fn find(&self, name: &str, phase: usize) -> Option<usize> {
        self.live.iter().position(|l| &*l.name == name && l.phase == phase)
    }

    /// An instrument is no more: its channels fall silent.
    pub(crate) fn end(&mut self, instrument: usize) {
        self.live.retain(|l| l.channel.instrument() != Some(instrument));
    }

    /// Something happened to a book.
    pub(crate) fn on_step(&mut self, step: &Step) {
        for live in self.live.iter_mut().filter(|l| l.channel.instrument() == Some(step.symbol)) {
            let news = match &mut live.content {
                Content::Book(diff) => diff.on_step(step),
                Content::State(_) => !step.changes.is_empty(),
                Content::Trades(_) => false,
            };
            if news {
                live.wait(step.time, &mut self.rng);
            }
        }
    }

    pub(crate) fn on_trade(&mut self, trade: &Trade, now: MarketTime, instruments: &[Instrument]) {
        for live in &mut self.live {
            let concerns = match &live.channel {
                Channel::Trades { instrument, .. } => *instrument == trade.instrument,
                Channel::TradesOf { which, .. } => which.has(&instruments[trade.instrument]),
                _ => false,
            };
            if let (true, Content::Trades(waiting)) = (concerns, &mut live.content) {
                waiting.push(trade.clone());
                live.wait(now, &mut self.rng);
            }
        }
    }

    /// All tickers are told again.
    pub(crate) fn refresh(&mut self, now: MarketTime) {
        self.next_refresh = now.saturating_add(REFRESH);
        for live in self.live.iter_mut().filter(|l| matches!(l.channel, Channel::Ticker { .. })) {
            live.wait(now, &mut self.rng);
        }
    }

    /// Tells what is due.
    pub(crate) fn flush(&mut self, now: MarketTime, world: World<'_>, out: &mut Vec<Event>) {
        let at_ms = self.ms(now);
        for n in 0..self.live.len() {
            let live = &mut self.live[n];
            if live.due.is_none_or(|due| due > now) {
                continue;
            }
            (live.due, live.flushed) = (None, Some(now));
            let start_ms = self.start_ms;
            let Some(told) = live.tell(world, at_ms, |at| start_ms + (at / MS) as i64) else { continue };
            self.issue(n, told, at_ms, out);
        }
    }

    /// How a channel stands, for who has just subscribed.
    pub(crate) fn present(
        &mut self,
        name: &str,
        phase: usize,
        world: World<'_>,
        now: MarketTime,
        out: &mut Vec<Event>,
    ) {
        let at_ms = self.ms(now);
        let Some(n) = self.find(name, phase) else { return };
        if let Some(told) = self.live[n].stand(world, at_ms) {
            self.issue(n, told, at_ms, out);
        }
    }

    /// Something that is told at once, to everybody who has the channel.
    pub(crate) fn announce(
        &mut self,
        concerns: impl Fn(&Channel) -> bool,
        symbol: &Arc<str>,
        data: &str,
        now: MarketTime,
        out: &mut Vec<Event>,
    ) {
        let at_ms = self.ms(now);
        for n in 0..self.live.len() {
            if concerns(&self.live[n].channel) {
                let told = Told {
                    kind: EventKind::Other,
                    ids: (0, 0, None),
                    event_ms: at_ms,
                    data: data.to_owned(),
                    figures: Vec::new(),
                };
                self.issue(n, told, at_ms, out);
                if let Some(event) = out.last_mut() {
                    event.symbol = Arc::clone(symbol);
                }
            }
        }
    }

    fn issue(&mut self, n: usize, told: Told, emitted_ms: i64, out: &mut Vec<Event>) {
        let live = &self.live[n];
        let seq = self.next_seq;
        self.next_seq += 1;
        let (first_id, last_id, prev_id) = told.ids;
        out.push(Event {
            seq,
            kind: told.kind,
            stream: Arc::clone(&live.name),
            family: FAMILY,
            symbol: Arc::clone(&live.symbol),
            phase: live.phase,
            first_id,
            last_id,
            prev_id,
            conn: None,
            event_ms: told.event_ms,
            emitted_ms,
            payload: messages::notification(&live.name, &told.data).into(),
            figures: told.figures,
        });
    }
}

/// The one path there is.
pub(crate) const FAMILY: &str = "v2";

/// What one notification says.
struct Told {
    kind: EventKind,
    ids: (u64, u64, Option<u64>),
    event_ms: i64,
    data: String,
    figures: Vec<Figures>,
}

impl Live {
    /// Something waits to be told: when?
    fn wait(&mut self, now: MarketTime, rng: &mut Random) {
        if self.due.is_some() {
            return;
        }
        let interval = self.channel.interval().time();
        let late = match interval {
            // Raw changes are told one by one; other phases now and then hear several together (§4).
            0 if self.phase == 0 || !matches!(self.content, Content::Book(_)) => 0,
            0 => rng.below(COALESCED),
            _ => rng.exponential(4.0) as u64 * MS,
        };
        let after = self.flushed.filter(|_| interval > 0).map_or(now, |f| f.saturating_add(interval + late));
        self.due = Some(after.max(if interval == 0 { now + late } else { now }));
    }

    fn tell(&mut self, world: World<'_>, at_ms: i64, ms: impl Fn(MarketTime) -> i64) -> Option<Told> {
        match &mut self.content {
            Content::Book(diff) => {
                let instrument = self.channel.instrument()?;
                Some(diff.take(&world.instruments[instrument], world.market.book(instrument), ms))
            }
            Content::Trades(waiting) => {
                let trades = std::mem::take(waiting);
                let (first, last) = (trades.first()?, trades.last()?);
                let rows: Vec<&str> = trades.iter().map(|t| &*t.text).collect();
                let (ids, event_ms) = ((first.seq, last.seq, None), last.at_ms);
                let (kind, data) = (EventKind::Trade, format!("[{}]", rows.join(",")));
                let figures = trades.iter().flat_map(|t| t.closing.iter().cloned()).collect();
                Some(Told { kind, ids, event_ms, data, figures })
            }
            Content::State(_) => {
                let told = self.stand(world, at_ms)?;
                // Only levels that are others than before; a ticker is news each time.
                let levels = told.data.find(r#""bids""#).or(told.data.find(r#""best_bid_price""#)).unwrap_or(0);
                let news = told.data[levels..].to_owned();
                let Content::State(last) = &mut self.content else { return None };
                let same = *last == news && told.kind != EventKind::Derivatives;
                *last = news;
                (!same).then_some(told)
            }
        }
    }

    /// The whole of what the channel is about; `None` where it only tells what happens.
    fn stand(&self, world: World<'_>, at_ms: i64) -> Option<Told> {
        let instrument = self.channel.instrument()?;
        let (i, book) = (&world.instruments[instrument], world.market.book(instrument));
        let id = world.market.last_id(instrument);
        let told = |kind, data| Told { kind, ids: (id, id, None), event_ms: at_ms, data, figures: Vec::new() };
        Some(match (&self.channel, &self.content) {
            (Channel::Book { .. }, Content::Book(diff)) => Told {
                kind: EventKind::Snapshot,
                ids: (diff.told_id, diff.told_id, None),
                event_ms: diff.told_ms,
                data: diff.snapshot(i),
                figures: Vec::new(),
            },
            (Channel::Image { depth, .. }, _) => {
                told(EventKind::BookImage, messages::image(i, book, *depth, at_ms, id))
            }
            (Channel::Quote { .. }, _) => told(EventKind::BookTicker, messages::quote(i, book, at_ms)),
            (Channel::Ticker { .. }, _) => {
                let (members, figures) = world.ticker(instrument, at_ms);
                Told { figures: vec![figures], ..told(EventKind::Derivatives, format!("{{{members}}}")) }
            }
            _ => return None,
        })
    }
}

impl Diff {
    /// False where nothing changed.
    fn on_step(&mut self, step: &Step) -> bool {
        let (Some(first), Some(last)) = (step.changes.first(), step.changes.last()) else { return false };
        for c in &step.changes {
            match c.side {
                Side::Bid => self.bids.insert(c.price),
                Side::Ask => self.asks.insert(c.price),
            };
        }
        self.first_id.get_or_insert(first.id);
        (self.last_id, self.changed) = (last.id, step.time);
        true
    }

    /// Every price that changed, with its size now. One that came and went meanwhile is deleted, known or not: who holds a
    /// later part of the chain may have seen it (§4).
    fn take(&mut self, i: &Instrument, book: &Book, ms: impl Fn(MarketTime) -> i64) -> Told {
        let (bids, asks) = (std::mem::take(&mut self.bids), std::mem::take(&mut self.asks));
        let bids: Vec<BookRow> = bids.into_iter().rev().map(|p| self.row(Side::Bid, p, book)).collect();
        let asks: Vec<BookRow> = asks.into_iter().map(|p| self.row(Side::Ask, p, book)).collect();
        let (prev, id, at_ms) = (self.told_id, self.last_id, ms(self.changed));
        let data = messages::book(i, &BookMessage { at_ms, prev: Some(prev), id, bids: &bids, asks: &asks });
        let first = self.first_id.take().unwrap_or(id);
        (self.told_id, self.told_ms) = (id, at_ms);
        let ids = (first, id, Some(prev));
        Told { kind: EventKind::Depth, ids, event_ms: at_ms, data, figures: Vec::new() }
    }

    fn row(&mut self, side: Side, price: i64, book: &Book) -> BookRow {
        let (before, now) = (self.told.size_at(side, price), book.size_at(side, price));
        self.told.set(side, price, now);
        let action = match (before, now) {
            (_, 0) => Action::Delete,
            (0, _) => Action::New,
            _ => Action::Change,
        };
        (action, price, now)
    }

    /// The book as the next change takes it to be known.
    fn snapshot(&self, i: &Instrument) -> String {
        let rows = |side| self.told.levels(side).map(|(p, s)| (Action::New, p, s)).collect::<Vec<BookRow>>();
        let (bids, asks) = (rows(Side::Bid), rows(Side::Ask));
        let message = BookMessage { at_ms: self.told_ms, prev: None, id: self.told_id, bids: &bids, asks: &asks };
        messages::book(i, &message)
    }
}

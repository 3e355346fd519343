//! Market steps -> messages. Deterministic and without I/O; the batches are the same for every connection.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::SimulatorError;
use crate::book::{Book, Side};
use crate::clock::{MS, MarketTime};
use crate::config::{SimulatorConfig, SymbolConfig};
use crate::event::{self, Event, EventKind};
use crate::market::{FillKind, Step};
use crate::okx::books::{BookChannel, next_point};
use crate::okx::channels::Channel;
use crate::okx::figures::{Figures, Timer};
use crate::okx::instruments::{InstType, Instrument};
use crate::okx::messages::{self, Form, Trade};
use crate::random::Random;

/// The streams that exist, for the sessions to look up.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<RwLock<HashSet<Arc<str>>>>);

impl Streams {
    pub(crate) fn contains(&self, stream: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(stream)
    }

    fn add(&self, stream: Arc<str>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(stream);
    }

    fn remove(&self, stream: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(stream);
    }
}

/// Numbers and times of messages.
pub(crate) struct Publisher {
    start_ms: i64,
    next_seq: u64,
}

/// What is particular to one message.
pub(crate) struct Draft<'a> {
    pub kind: EventKind,
    pub channel: Channel,
    pub stream: Arc<str>,
    pub symbol: &'a Arc<str>,
    /// First, last, and the one before.
    pub ids: (u64, u64, Option<u64>),
    pub event_ms: i64,
    pub payload: String,
    pub figures: Vec<event::Figures>,
}

impl Publisher {
    pub(crate) fn ms(&self, at: MarketTime) -> i64 {
        self.start_ms + (at / MS) as i64
    }

    pub(crate) fn issue(&mut self, out: &mut Vec<Event>, now: MarketTime, draft: Draft<'_>) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let (first_id, last_id, prev_id) = draft.ids;
        out.push(Event {
            seq,
            kind: draft.kind,
            stream: draft.stream,
            family: draft.channel.family(),
            symbol: Arc::clone(draft.symbol),
            first_id,
            last_id,
            prev_id,
            phase: 0,
            conn: None,
            event_ms: draft.event_ms,
            emitted_ms: self.ms(now),
            payload: draft.payload.into(),
            figures: draft.figures,
        });
    }
}

/// All streams of all instruments.
pub(crate) struct Feed {
    lanes: Vec<Lane>,
    figures: Figures,
    publisher: Publisher,
    streams: Streams,
    compression: f64,
    checksums: bool,
    liquidations: f64,
    rng: Random,
}

/// One instrument on its way out.
pub(crate) struct Lane {
    pub instrument: Instrument,
    pub form: Form,
    books: Vec<BookChannel>,
    /// In a call auction books are told once a second.
    pub auction: bool,
    /// What its grid of times is shifted by.
    phase: MarketTime,
    next_trade: u64,
    /// Fills that wait for the next point of the grid.
    fills: Vec<Trade>,
    fills_due: Option<MarketTime>,
    pub last_trade: Trade,
    ticker_due: Option<MarketTime>,
    /// Highest, lowest and first price, and size traded.
    pub day: [i64; 4],
    /// False when it is in the reference data no more.
    pub listed: bool,
    seq: u64,
    changed: MarketTime,
}

/// Channels that exist for each instrument, whatever it is.
const OF_ALL: [Channel; 8] = [
    Channel::Books,
    Channel::Books5,
    Channel::Bbo,
    Channel::BooksTbt,
    Channel::Books50Tbt,
    Channel::Trades,
    Channel::TradesAll,
    Channel::Tickers,
];

const TICK: MarketTime = 10 * MS;

impl Lane {
    /// Streams that only this instrument has.
    fn streams(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        let derivative: &[Channel] = match self.instrument.kind {
            InstType::Spot => &[],
            InstType::Swap => &[Channel::MarkPrice, Channel::OpenInterest, Channel::FundingRate],
            _ => &[Channel::MarkPrice, Channel::OpenInterest],
        };
        OF_ALL.iter().chain(derivative).map(|c| c.stream(&self.instrument.id))
    }

    fn next_time(&self, paused: bool) -> Option<MarketTime> {
        let books = self.books.iter().filter_map(BookChannel::due);
        let idle = self.books.iter().filter_map(BookChannel::idle_at).filter(|_| !paused);
        books.chain(idle).chain(self.fills_due).chain(self.ticker_due).min()
    }

    fn on_step(&mut self, step: &Step, ms: i64) {
        if let Some(last) = step.changes.last() {
            (self.seq, self.changed) = (last.id, step.time);
            for b in &mut self.books {
                b.touch(step.time, self.phase, self.auction);
            }
        }
        for fill in step.fills.iter().filter(|f| f.kind == FillKind::Market) {
            self.fills.push(Trade::new(self.next_trade, fill, ms, self.seq));
            self.next_trade += 1;
            self.fills_due.get_or_insert_with(|| next_point(step.time, TICK, self.phase));
            let [high, low, _, volume] = &mut self.day;
            *high = fill.price.max(*high);
            *low = fill.price.min(*low);
            *volume = volume.saturating_add(fill.size);
        }
        if step.top_changed || !step.fills.is_empty() {
            self.ticker_due.get_or_insert_with(|| next_point(step.time, 100 * MS, self.phase));
        }
    }

    /// Sends what is due: fills, then the books in their documented order, then the ticker.
    fn flush(&mut self, now: MarketTime, book: &Book, publisher: &mut Publisher, out: &mut Vec<Event>) {
        if self.fills_due.is_some_and(|d| d <= now) {
            self.fills_due = None;
            let mut fills = std::mem::take(&mut self.fills).into_iter().peekable();
            while let Some(fill) = fills.next() {
                let mut row = fill.clone();
                self.trade(now, Channel::TradesAll, &fill, publisher, out);
                while let Some(next) = fills.next_if(|next| row.fold(next)) {
                    self.trade(now, Channel::TradesAll, &next, publisher, out);
                }
                self.trade(now, Channel::Trades, &row, publisher, out);
                self.last_trade = row;
            }
        }
        let (emitted, event_ms) = (publisher.ms(now), publisher.ms(self.changed));
        for i in 0..self.books.len() {
            let b = &mut self.books[i];
            // Only the time of the best prices is that of the matching engine.
            let ts = if b.channel == Channel::Bbo { event_ms } else { emitted };
            if let Some(told) = b.tell(now, ts, book, self.seq) {
                let (kind, channel, stream) = (book_kind(b.channel), b.channel, Arc::clone(&b.stream));
                let (symbol, ids) = (&self.instrument.id, (told.prev.unwrap_or(told.seq), told.seq, told.prev));
                let draft =
                    Draft { kind, channel, stream, symbol, ids, event_ms, payload: told.payload, figures: Vec::new() };
                publisher.issue(out, now, draft);
            }
        }
        if self.ticker_due.is_some_and(|d| d <= now) {
            self.ticker_due = None;
            self.ticker(now, book, publisher, out);
        }
    }

    fn trade(&self, now: MarketTime, channel: Channel, row: &Trade, publisher: &mut Publisher, out: &mut Vec<Event>) {
        let symbol = &self.instrument.id;
        let folded = channel == Channel::Trades;
        let mut text = String::with_capacity(200);
        messages::trade(&mut text, symbol, row, folded, self.form);
        let kind = if folded { EventKind::AggTrade } else { EventKind::Trade };
        let (stream, ids) = (channel.stream(symbol), (row.id + 1 - row.count, row.id, None));
        let payload = messages::push(&channel.arg(symbol), &text);
        publisher.issue(
            out,
            now,
            Draft { kind, channel, stream, symbol, ids, event_ms: row.ts, payload, figures: Vec::new() },
        );
    }

    fn ticker(&self, now: MarketTime, book: &Book, publisher: &mut Publisher, out: &mut Vec<Event>) {
        let (symbol, channel, ts) = (&self.instrument.id, Channel::Tickers, publisher.ms(now));
        let payload = messages::push(&channel.arg(symbol), &self.ticker_row(book, ts));
        let (stream, ids) = (channel.stream(symbol), (self.seq, self.seq, None));
        publisher.issue(
            out,
            now,
            Draft { kind: EventKind::Other, channel, stream, symbol, ids, event_ms: ts, payload, figures: Vec::new() },
        );
    }

    fn ticker_row(&self, book: &Book, ts: i64) -> String {
        let price = |p| crate::book::plain_text(p, self.form.scales.price);
        let size = |s| crate::book::plain_text(s, self.form.scales.size);
        let top = |side| book.best(side).map_or_else(Default::default, |(p, s)| (price(p), size(s)));
        let ((ask, ask_size), (bid, bid_size)) = (top(Side::Ask), top(Side::Bid));
        let [high, low, open, volume] = self.day;
        let (open, last) = (price(open), &self.last_trade);
        serde_json::json!({
            "instType": self.instrument.kind.name(), "instId": &*self.instrument.id,
            "last": price(last.price), "lastSz": size(last.size), "askPx": ask, "askSz": ask_size,
            "bidPx": bid, "bidSz": bid_size, "open24h": open, "high24h": price(high), "low24h": price(low),
            "volCcy24h": size(volume), "vol24h": size(volume), "sodUtc0": open, "sodUtc8": open, "ts": ts.to_string(),
        })
        .to_string()
    }
}

fn book_kind(channel: Channel) -> EventKind {
    match channel {
        Channel::Bbo => EventKind::BookTicker,
        Channel::Books5 => EventKind::BookImage,
        _ => EventKind::Depth,
    }
}

impl Feed {
    pub(crate) fn new(config: &SimulatorConfig, start_ms: i64) -> Self {
        let streams = Streams::default();
        streams.add(Channel::Status.stream(""));
        for kind in InstType::ALL {
            streams.add(Channel::Instruments.stream(kind.name()));
            if kind != InstType::Spot {
                streams.add(Channel::Liquidations.stream(kind.name()));
            }
        }
        Self {
            lanes: Vec::new(),
            figures: Figures::new(config.time_compression),
            publisher: Publisher { start_ms, next_seq: 0 },
            streams,
            compression: config.time_compression,
            checksums: config.checksums,
            liquidations: config.liquidations,
            rng: Random::new(config.seed, "feed"),
        }
    }

    /// One more instrument, with a last trade of long ago.
    pub(crate) fn add(
        &mut self,
        symbol: &SymbolConfig,
        now: MarketTime,
        book: &Book,
        seq: u64,
        out: &mut Vec<Event>,
    ) -> Result<(), SimulatorError> {
        let instrument = Instrument::new(symbol, 100_000 + self.lanes.len() as u64)?;
        let (_, price, ..) = symbol.numbers()?;
        let form = Form { scales: instrument.scales, lot: instrument.lot };
        let next_trade = 130_639_000 + self.rng.below(1_000_000);
        // Five minutes to twenty hours old, as recorded.
        let age_ms = (5 + self.rng.below(20 * 60)) as i64 * 60_000;
        let last_trade = Trade {
            id: next_trade,
            count: 1,
            price,
            size: instrument.lot,
            maker: Side::Ask,
            source: 0,
            ts: self.publisher.ms(now) - age_ms,
            seq,
        };
        let lane = Lane {
            books: BookChannel::all(&instrument.id, form, self.compression, self.checksums, book, seq),
            form,
            auction: false,
            phase: self.rng.below(10) * MS,
            next_trade: next_trade + 1,
            fills: Vec::new(),
            fills_due: None,
            last_trade,
            ticker_due: None,
            day: [price, price, price, 0],
            listed: true,
            seq,
            changed: now,
            instrument,
        };
        lane.streams().for_each(|s| self.streams.add(s));
        self.streams.add(Channel::IndexTickers.stream(&lane.instrument.family));
        if lane.instrument.kind == InstType::Option {
            self.streams.add(Channel::OptSummary.stream(&lane.instrument.family));
        }
        let old = lane.last_trade.clone();
        for channel in [Channel::TradesAll, Channel::Trades] {
            lane.trade(now, channel, &old, &mut self.publisher, out);
        }
        self.figures.add(self.lanes.len(), &lane.instrument, now);
        self.lanes.push(lane);
        Ok(())
    }

    /// The instrument is in the reference data (again), and its streams exist.
    pub(crate) fn list(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        lane.listed = true;
        lane.streams().for_each(|s| self.streams.add(s));
    }

    /// It is there no more.
    pub(crate) fn delist(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        lane.listed = false;
        lane.streams().for_each(|s| self.streams.remove(&s));
    }

    pub(crate) fn set_auction(&mut self, lane: usize, auction: bool) {
        self.lanes[lane].auction = auction;
    }

    /// The instrument has this state now, and that is told.
    pub(crate) fn set_state(&mut self, lane: usize, state: &str, now: MarketTime, out: &mut Vec<Event>) {
        self.lanes[lane].instrument.state = state.to_owned();
        let (channel, instrument) = (Channel::Instruments, &self.lanes[lane].instrument);
        let (of, event_ms) = (instrument.kind.name(), self.publisher.ms(now));
        let payload = messages::push(&channel.arg(of), &instrument.row().to_string());
        let (stream, symbol, id) = (channel.stream(of), &instrument.id, event_ms.unsigned_abs());
        let ids = (id, id, None);
        let draft =
            Draft { kind: EventKind::Other, channel, stream, symbol, ids, event_ms, payload, figures: Vec::new() };
        self.publisher.issue(out, now, draft);
    }

    /// After a rest nothing is made up for.
    pub(crate) fn resume(&mut self, now: MarketTime) {
        self.figures.resume(now);
        self.lanes.iter_mut().flat_map(|l| &mut l.books).for_each(|b| b.resume(now));
    }

    pub(crate) fn streams(&self) -> Streams {
        self.streams.clone()
    }

    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    pub(crate) fn index(&self, inst_id: &str) -> Option<usize> {
        self.lanes.iter().position(|l| &*l.instrument.id == inst_id)
    }

    /// When [`Feed::flush`] is due next. Paused, nothing is said that no change asks for.
    pub(crate) fn next_time(&self, paused: bool) -> Option<MarketTime> {
        let lanes = self.lanes.iter().filter_map(|l| l.next_time(paused));
        lanes.chain(self.figures.next_time().filter(|_| !paused)).min()
    }

    /// Something happened to an instrument.
    pub(crate) fn on_step(&mut self, step: &Step, out: &mut Vec<Event>) {
        let ms = self.publisher.ms(step.time);
        let lane = &mut self.lanes[step.symbol];
        lane.on_step(step, ms);
        let order = step.fills.iter().find(|f| f.kind == FillKind::Market);
        if let Some(fill) = order
            && lane.instrument.kind != InstType::Spot
            && self.rng.chance(self.liquidations)
        {
            self.figures.liquidation(lane, fill, step.time, &mut self.rng, &mut self.publisher, out);
        }
    }

    /// Sends what is due at `now`.
    pub(crate) fn flush<'b>(&mut self, now: MarketTime, book: impl Fn(usize) -> &'b Book, out: &mut Vec<Event>) {
        for (i, lane) in self.lanes.iter_mut().enumerate() {
            if lane.next_time(false).is_some_and(|t| t <= now) {
                lane.flush(now, book(i), &mut self.publisher, out);
            }
        }
        self.figures.flush(now, &self.lanes, &book, &mut self.rng, &mut self.publisher, out);
    }

    /// How a stream stands now.
    pub(crate) fn present<'b>(
        &mut self,
        stream: &str,
        now: MarketTime,
        book: impl Fn(usize) -> &'b Book,
        out: &mut Vec<Event>,
    ) {
        let (name, of) = stream.split_once(':').unwrap_or((stream, ""));
        let Some(channel) = Channel::named(name) else { return };
        if let Some(timer) = Timer::of(channel, of, &self.lanes) {
            self.figures.tell(timer, now, &self.lanes, &book, &mut self.rng, &mut self.publisher, out);
            return;
        }
        let Some(i) = self.index(of) else { return };
        let lane = &mut self.lanes[i];
        match channel {
            Channel::Trades => lane.trade(now, channel, &lane.last_trade, &mut self.publisher, out),
            Channel::Tickers => lane.ticker(now, book(i), &mut self.publisher, out),
            _ => {
                let (event_ms, seq) = (self.publisher.ms(lane.changed), lane.seq);
                let Some(b) = lane.books.iter_mut().find(|b| b.channel == channel) else { return };
                let ts = if channel == Channel::Bbo { event_ms } else { self.publisher.ms(now) };
                let told = b.present(now, ts, book(i), seq);
                let kind =
                    if book_kind(channel) == EventKind::Depth { EventKind::Snapshot } else { book_kind(channel) };
                let (stream, symbol) = (Arc::clone(&b.stream), &lane.instrument.id);
                let ids = (told.seq, told.seq, None);
                let draft =
                    Draft { kind, channel, stream, symbol, ids, event_ms, payload: told.payload, figures: Vec::new() };
                self.publisher.issue(out, now, draft);
            }
        }
    }

    /// A maintenance is over (§6).
    pub(crate) fn maintained(&mut self, now: MarketTime, out: &mut Vec<Event>) {
        let (channel, event_ms) = (Channel::Status, self.publisher.ms(now));
        let text = event_ms.to_string();
        let row = serde_json::json!({
            "begin": text, "end": text, "href": "", "preOpenBegin": "", "scheDesc": "", "serviceType": "0",
            "state": "completed", "system": "unified", "maintType": "1", "env": "1",
            "title": "WebSocket system upgrade", "ts": text,
        });
        let payload = messages::push(&channel.arg(""), &row.to_string());
        let (stream, symbol, id) = (channel.stream(""), &Arc::from(""), event_ms.unsigned_abs());
        let ids = (id, id, None);
        let draft =
            Draft { kind: EventKind::Other, channel, stream, symbol, ids, event_ms, payload, figures: Vec::new() };
        self.publisher.issue(out, now, draft);
    }
}

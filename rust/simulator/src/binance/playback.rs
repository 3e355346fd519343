//! A recorded capture in place of the market: the recorded payloads at their recorded distance in time, and the books
//! that they build, so that a snapshot can be had at any moment.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::SimulatorError;
use crate::binance::dialect::{Dialect, Product};
use crate::binance::rest::{Instrument, Reference};
use crate::binance::streams::Route;
use crate::book::{Book, Scales, Side, parse_decimal, rescale};
use crate::capture::{self, CaptureLine, Direction};
use crate::clock::MarketTime;
use crate::event::{Event, EventKind};
use crate::market::Change;
use crate::truth::Truth;

pub(crate) struct Playback {
    dialect: &'static Dialect,
    lines: VecDeque<Line>,
    books: HashMap<Arc<str>, Recorded>,
    speed: f64,
    begun: Option<MarketTime>,
    paused: Option<MarketTime>,
    next_seq: u64,
    exchange_info: Option<String>,
}

struct Line {
    /// Nanoseconds from the first line.
    at: u64,
    what: What,
}

enum What {
    Event(Event, Option<DepthRows>),
    Snapshot(Arc<str>, Snapshot),
}

#[derive(Clone)]
struct Snapshot {
    id: u64,
    rows: DepthRows,
}

type Text = (i64, u8);

/// Prices and sizes as their texts say.
#[derive(Clone, Default)]
struct DepthRows {
    bids: Vec<(Text, Text)>,
    asks: Vec<(Text, Text)>,
}

/// A recorded book on its way.
struct Recorded {
    scales: Scales,
    /// Present where the recording has shown a snapshot and no hole since.
    now: Option<(Book, u64)>,
    /// Updates that wait for the recorded snapshot.
    waiting: Vec<(u64, DepthRows)>,
    /// The recording's next snapshot, served to who asks before it came.
    coming: VecDeque<Snapshot>,
    early: Option<(Book, u64)>,
    /// The first depth stream seen: another speed of it would only say the same again.
    stream: Option<Arc<str>>,
    last_u: Option<u64>,
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    stream: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Payload {
    e: Option<String>,
    s: Option<String>,
    #[serde(rename = "E")]
    emitted: Option<i64>,
    #[serde(rename = "T")]
    event: Option<i64>,
    #[serde(rename = "U")]
    first: Option<u64>,
    u: Option<u64>,
    pu: Option<u64>,
    t: Option<u64>,
    #[serde(rename = "B")]
    best_bid_size: Option<serde_json::Value>,
    #[serde(default)]
    a: serde_json::Value,
    #[serde(default)]
    b: serde_json::Value,
}

#[derive(Deserialize)]
struct DepthReply {
    #[serde(rename = "lastUpdateId")]
    id: u64,
    bids: serde_json::Value,
    asks: serde_json::Value,
}

impl Playback {
    pub(crate) fn open(dialect: &'static Dialect, path: &Path, speed: f64) -> Result<Self, SimulatorError> {
        let lines = capture::read(path)?;
        let mut p = Self {
            dialect,
            lines: VecDeque::new(),
            books: HashMap::new(),
            speed,
            begun: None,
            paused: None,
            next_seq: 0,
            exchange_info: None,
        };
        let mut streams: HashMap<&str, Vec<String>> = HashMap::new();
        // Reference data may be minutes older than the first frame: time counts from what is played first.
        let (mut first, mut last) = (None, 0);
        for (i, line) in lines.iter().enumerate() {
            last = line.recv_ns.unwrap_or(last).max(last);
            let names = streams.entry(&line.conn).or_default();
            let wrong =
                |problem: &str| SimulatorError::Capture { path: path.to_owned(), line: i + 1, problem: problem.into() };
            if let Some(what) = p.take(line, names).map_err(wrong)? {
                p.lines.push_back(Line { at: last - *first.get_or_insert(last), what });
            }
        }
        if p.lines.is_empty() {
            return Err(SimulatorError::Capture {
                path: path.to_owned(),
                line: 0,
                problem: "no market data in it".into(),
            });
        }
        p.find_scales();
        Ok(p)
    }

    /// What a line is worth. Names are those that the line's connection has asked for so far.
    fn take(&mut self, line: &CaptureLine, names: &mut Vec<String>) -> Result<Option<What>, &'static str> {
        if let Some(url) = &line.url {
            let path = url.split_once("://").and_then(|(_, r)| r.find('/').map(|i| &r[i..])).unwrap_or("");
            if line.dir == Direction::Http {
                return self.take_reply(path, &line.frame);
            }
            names.extend(Route::parse(self.dialect.product, path).map(|r| r.streams).unwrap_or_default());
        }
        match line.dir {
            Direction::Http => Ok(None),
            Direction::Out => {
                let asked: serde_json::Value = serde_json::from_str(&line.frame).unwrap_or_default();
                let params = asked["params"].as_array().into_iter().flatten();
                names.extend(params.filter_map(|p| p.as_str().map(str::to_owned)));
                Ok(None)
            }
            Direction::In => Ok(self.take_frame(&line.frame, names)),
        }
    }

    fn take_reply(&mut self, path: &str, body: &str) -> Result<Option<What>, &'static str> {
        if path.contains("/exchangeInfo") {
            self.exchange_info = Some(body.to_owned());
            return Ok(None);
        }
        let Some(query) = path.split_once("/depth?").map(|(_, q)| q) else { return Ok(None) };
        let symbol = query.split('&').find_map(|p| p.strip_prefix("symbol=")).ok_or("a depth reply without symbol")?;
        let reply: DepthReply = serde_json::from_str(body).map_err(|_| "a depth reply that is none")?;
        let rows = DepthRows {
            bids: rows(&reply.bids).ok_or("a depth reply whose bids are no levels")?,
            asks: rows(&reply.asks).ok_or("a depth reply whose asks are no levels")?,
        };
        let symbol: Arc<str> = symbol.into();
        let snapshot = Snapshot { id: reply.id, rows };
        self.recorded(&symbol).coming.push_back(snapshot.clone());
        Ok(Some(What::Snapshot(symbol, snapshot)))
    }

    fn recorded(&mut self, symbol: &Arc<str>) -> &mut Recorded {
        self.books.entry(Arc::clone(symbol)).or_insert_with(|| Recorded {
            scales: Scales { price: 0, size: 0 },
            now: None,
            waiting: Vec::new(),
            coming: VecDeque::new(),
            early: None,
            stream: None,
            last_u: None,
        })
    }

    /// Frames that are no market data (acks, texts) are not played.
    fn take_frame(&mut self, frame: &str, names: &[String]) -> Option<What> {
        let wrapped: Option<Wrapped<'_>> = serde_json::from_str(frame).ok();
        let text = wrapped.as_ref().map_or(frame, |w| w.data.get());
        let payload: Payload = serde_json::from_str(text).ok()?;
        let symbol: Arc<str> = payload.s.as_deref()?.into();
        // The best bid and offer of spot does not say what it is.
        let unnamed = Some("bookTicker").filter(|_| payload.best_bid_size.is_some());
        let (kind, suffix) = match payload.e.as_deref().or(unnamed)? {
            "depthUpdate" => (EventKind::Depth, "@depth"),
            "aggTrade" => (EventKind::AggTrade, "@aggTrade"),
            "trade" => (EventKind::Trade, "@trade"),
            "blockTrade" => (EventKind::BlockTrade, "@blockTrade"),
            "bookTicker" => (EventKind::BookTicker, "@bookTicker"),
            _ => (EventKind::Other, "@"),
        };
        let stream = wrapped.as_ref().map(|w| w.stream.clone()).unwrap_or_else(|| {
            let start = format!("{}{suffix}", symbol.to_lowercase());
            names.iter().find(|n| n.starts_with(&start)).cloned().unwrap_or(start)
        });
        let last = match kind {
            EventKind::AggTrade => payload.a.as_u64()?,
            EventKind::Trade | EventKind::BlockTrade => payload.t?,
            EventKind::Depth | EventKind::BookTicker => payload.u?,
            _ => 0,
        };
        let rows = match kind {
            EventKind::Depth => {
                self.recorded(&symbol);
                Some(DepthRows { bids: rows(&payload.b)?, asks: rows(&payload.a)? })
            }
            _ => None,
        };
        let seq = self.next_seq;
        self.next_seq += 1;
        let event = Event {
            seq,
            kind,
            stream: stream.into(),
            family: self.dialect.family(kind),
            symbol,
            first_id: payload.first.unwrap_or(last),
            last_id: last,
            prev_id: match (kind, self.dialect.product) {
                (EventKind::Depth, Product::Spot) => payload.first.and_then(|first| first.checked_sub(1)),
                _ => payload.pu,
            },
            phase: 0,
            conn: None,
            event_ms: payload.event.or(payload.emitted).unwrap_or(0),
            emitted_ms: payload.emitted.unwrap_or(0),
            payload: text.into(),
            figures: Vec::new(),
        };
        Some(What::Event(event, rows))
    }

    fn find_scales(&mut self) {
        for line in &self.lines {
            let (symbol, rows) = match &line.what {
                What::Event(e, Some(rows)) => (&e.symbol, rows),
                What::Snapshot(symbol, s) => (symbol, &s.rows),
                What::Event(_, None) => continue,
            };
            if let Some(r) = self.books.get_mut(symbol) {
                for (price, size) in rows.bids.iter().chain(&rows.asks) {
                    r.scales.price = r.scales.price.max(price.1);
                    r.scales.size = r.scales.size.max(size.1);
                }
            }
        }
        for r in self.books.values_mut() {
            r.look_ahead();
        }
    }

    /// The recorded reference data, or what the texts tell of it.
    pub(crate) fn reference(&self, start_ms: i64) -> Reference {
        if let Some(document) = &self.exchange_info {
            return Reference::Recorded(document.clone());
        }
        let instrument = |(symbol, recorded): (&Arc<str>, &Recorded)| Instrument {
            symbol: symbol.to_string(),
            scales: recorded.scales,
            tick: 1,
            lot: 1,
            status: self.dialect.trading.to_owned(),
            listed_ms: start_ms,
        };
        let mut instruments: Vec<Instrument> = self.books.iter().map(instrument).collect();
        instruments.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        Reference::Instruments(instruments)
    }

    /// The present book, else the next that the recording will show.
    pub(crate) fn book(&self, symbol: &str) -> Option<(&Book, u64, Scales)> {
        let r = self.books.get(symbol)?;
        r.now.as_ref().or(r.early.as_ref()).map(|(book, id)| (book, *id, r.scales))
    }

    pub(crate) fn begin(&mut self, now: MarketTime) {
        self.begun.get_or_insert(now);
    }

    pub(crate) fn set_paused(&mut self, pause: bool, now: MarketTime) {
        match (self.paused, pause) {
            (None, true) => self.paused = Some(now),
            (Some(since), false) => {
                self.begun = self.begun.map(|b| b + (now - since));
                self.paused = None;
            }
            _ => {}
        }
    }

    pub(crate) fn next_time(&self) -> Option<MarketTime> {
        let begun = self.begun.filter(|_| self.paused.is_none())?;
        self.lines.front().map(|l| begun + (l.at as f64 / self.speed) as u64)
    }

    pub(crate) fn advance(&mut self, to: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        while self.next_time().is_some_and(|t| t <= to) {
            let Some(line) = self.lines.pop_front() else { return };
            match line.what {
                What::Snapshot(symbol, snapshot) => {
                    if let Some(r) = self.books.get_mut(&symbol) {
                        r.on_snapshot(&symbol, &snapshot, truth);
                    }
                }
                What::Event(event, rows) => {
                    if let (Some(rows), Some(r)) = (rows, self.books.get_mut(&event.symbol)) {
                        r.on_update(&event, rows, truth);
                    }
                    events.push(event);
                }
            }
        }
    }
}

impl Recorded {
    fn look_ahead(&mut self) {
        self.early = self.coming.front().map(|s| (self.build(&s.rows), s.id));
    }

    fn changes<'a>(&'a self, id: u64, rows: &'a DepthRows) -> impl Iterator<Item = Change> + 'a {
        let bids = rows.bids.iter().map(|r| (Side::Bid, r));
        let asks = rows.asks.iter().map(|r| (Side::Ask, r));
        bids.chain(asks).filter_map(move |(side, (price, size))| {
            let price = rescale(*price, self.scales.price)?;
            Some(Change { id, side, price, size: rescale(*size, self.scales.size)? })
        })
    }

    fn build(&self, rows: &DepthRows) -> Book {
        let mut book = Book::default();
        self.changes(0, rows).for_each(|c| book.set(c.side, c.price, c.size));
        book
    }

    fn on_snapshot(&mut self, symbol: &Arc<str>, snapshot: &Snapshot, truth: &mut Truth) {
        self.coming.pop_front();
        if self.now.is_none() {
            let book = self.build(&snapshot.rows);
            truth.open_book(symbol, self.scales, snapshot.id, book.clone());
            self.now = Some((book, snapshot.id));
            for (u, rows) in std::mem::take(&mut self.waiting) {
                if u >= snapshot.id {
                    self.apply(symbol, u, &rows, truth);
                }
            }
        }
        self.look_ahead();
    }

    fn on_update(&mut self, event: &Event, rows: DepthRows, truth: &mut Truth) {
        let u = event.last_id;
        if *self.stream.get_or_insert_with(|| Arc::clone(&event.stream)) != event.stream {
            return;
        }
        if self.last_u.is_some_and(|last| u <= last) {
            return;
        }
        let broken = self.last_u.is_some() && event.prev_id != self.last_u;
        self.last_u = Some(u);
        if broken {
            self.now = None;
            self.waiting.clear();
        }
        match &self.now {
            None => self.waiting.push((u, rows)),
            Some((_, id)) if u >= *id => self.apply(&event.symbol, u, &rows, truth),
            Some(_) => {}
        }
    }

    fn apply(&mut self, symbol: &str, u: u64, rows: &DepthRows, truth: &mut Truth) {
        let changes: Vec<Change> = self.changes(u, rows).collect();
        if let Some((book, id)) = &mut self.now {
            changes.iter().for_each(|c| book.set(c.side, c.price, c.size));
            *id = u;
        }
        truth.change(symbol, &changes);
    }
}

fn rows(levels: &serde_json::Value) -> Option<Vec<(Text, Text)>> {
    let number = |v: &serde_json::Value| parse_decimal(v.as_str()?);
    levels.as_array()?.iter().map(|l| Some((number(l.get(0)?)?, number(l.get(1)?)?))).collect()
}

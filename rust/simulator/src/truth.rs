//! What really happened: every event, every frame handed to a socket, every book at every id.

mod carried;
mod history;
mod query;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

pub use carried::Uncarried;
use history::History;
pub(crate) use history::Roll;
pub use query::TruthQuery;

use crate::SimulatorError;
use crate::book::{Book, Scales, Side, decimal_text};
use crate::config::TruthConfig;
use crate::event::{Event, EventKind, Figures};
use crate::market::Change;

/// The truth log of one simulator. Reached through [`crate::Simulator::with_truth`].
#[derive(Debug)]
pub struct Truth {
    config: TruthConfig,
    rules: TruthRules,
    books: BTreeMap<Arc<str>, BookTruth>,
    events: Vec<Arc<Event>>,
    history: History,
    frames: Vec<FrameRecord>,
    connections: BTreeMap<u64, ConnectionRecord>,
    alterations: Vec<Alteration>,
    requests: Vec<RequestRecord>,
    issued: u64,
    /// Entries that were not kept: events, frames, changes.
    lost: [u64; 3],
}

/// What differs between exchanges in reading their events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TruthRules {
    /// The trades that an event of a trade stream carries.
    pub trades: fn(&Event) -> Vec<TradeRecord>,
    /// Whether the first change that a client applies may end exactly at its snapshot's id.
    pub applies_at_snapshot: bool,
    /// Whether levels that leave the window of a snapshot are taken back by the exchange: a client then holds exactly the
    /// best ones, at any time.
    pub windowed: bool,
    /// Trades of an instrument, of each kind, that REST is answered with from here.
    pub history: usize,
}

/// One book: how it began, and every change since.
#[derive(Debug)]
struct BookTruth {
    scales: Scales,
    first_id: u64,
    first: Book,
    changes: Vec<Change>,
    /// Where among the changes ids began anew, lower than before.
    restarts: Vec<usize>,
    now: Book,
    last_id: u64,
}

impl BookTruth {
    /// How many changes the book has as of an id. Where ids began anew an id may have stood twice: the later time counts.
    fn changes_at(&self, id: u64) -> Option<usize> {
        let mut end = self.changes.len();
        for start in self.restarts.iter().copied().rev().chain([0]) {
            let epoch = &self.changes[start..end];
            let from = if start == 0 { Some(self.first_id) } else { epoch.first().map(|c| c.id) };
            let last = epoch.last().map_or(self.first_id, |c| c.id);
            if from.is_some_and(|from| from <= id) && id <= last {
                return Some(start + epoch.partition_point(|c| c.id <= id));
            }
            end = start;
        }
        (id > self.last_id).then_some(self.changes.len())
    }
}

/// A frame that was handed to a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRecord {
    /// Number of the connection.
    pub conn: u64,
    /// Wall time right before the write, ns since the epoch.
    pub write_ns: u64,
    /// [`Event::seq`] of the event it carries; `None` for replies and for what faults sent in its place.
    pub event: Option<u64>,
    /// True when all of it went out (fragments included). What `tamper` told otherwise is whole.
    pub whole: bool,
    /// The message as it was written.
    pub payload: Arc<[u8]>,
}

impl Serialize for FrameRecord {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            conn: u64,
            write_ns: u64,
            event: Option<u64>,
            whole: bool,
            payload: std::borrow::Cow<'a, str>,
        }
        let payload = String::from_utf8_lossy(&self.payload);
        Form { conn: self.conn, write_ns: self.write_ns, event: self.event, whole: self.whole, payload }.serialize(to)
    }
}

/// A WebSocket connection, from accept to end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConnectionRecord {
    /// Its number: 0, 1, 2 … in the order of accepting.
    pub number: u64,
    /// The client's address.
    pub peer: String,
    /// Which of the server's addresses it reached.
    pub address: String,
    /// Path and query of the upgrade; empty when none came.
    pub path: String,
    /// Family of the path.
    pub family: String,
    /// When it was accepted, wall ns.
    pub opened_ns: u64,
    /// When it ended, wall ns.
    pub closed_ns: Option<u64>,
    /// Why it ended.
    pub reason: Option<String>,
    /// Messages that the client sent, pings and pongs left out.
    pub messages: u64,
    /// Pings it was sent.
    pub pings: u64,
    /// Pongs that came back.
    pub pongs: u64,
    /// Data frames handed to its socket.
    pub frames: u64,
}

/// An event that did not reach a connection as it was issued.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alteration {
    /// Number of the connection.
    pub conn: u64,
    /// [`Event::seq`].
    pub event: u64,
    /// The event's stream.
    pub stream: String,
    /// Which plan did it.
    pub plan: u64,
    /// The fault's `kind`.
    pub fault: String,
    /// True when the event itself never came.
    pub lost: bool,
}

/// A REST request and what it was answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestRecord {
    /// When it came, wall ns.
    pub at_ns: u64,
    /// Path and query.
    pub path: String,
    /// Status; 0 where no answer was given.
    pub status: u16,
    /// Id of a snapshot.
    pub snapshot_id: Option<u64>,
    /// What it tells of instruments beside trades and levels; `time` is the answer's own, ms since the epoch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figures>,
    /// Faults that struck it.
    pub faults: Vec<String>,
}

/// A book in text, as the exchange writes its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BookImage {
    /// The exchange's symbol.
    pub symbol: String,
    /// Id of the last change in it.
    pub last_id: u64,
    /// Price and size, best first.
    pub bids: Vec<[String; 2]>,
    /// Price and size, best first.
    pub asks: Vec<[String; 2]>,
}

/// A trade as it was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TradeRecord {
    /// [`Event::seq`].
    pub event: u64,
    /// The exchange's symbol.
    pub symbol: String,
    /// The exchange's id.
    pub id: u64,
    /// Price as written.
    pub price: String,
    /// Size as written.
    pub size: String,
    /// The aggressor: `buy` or `sell`.
    pub side: &'static str,
    /// When, ms since the epoch.
    pub time_ms: i64,
    /// What the exchange says of its kind.
    pub condition: Option<String>,
}

impl Truth {
    pub(crate) fn new(config: TruthConfig) -> Self {
        Self {
            config,
            rules: TruthRules { trades: |_| Vec::new(), applies_at_snapshot: false, windowed: false, history: 0 },
            books: BTreeMap::new(),
            events: Vec::new(),
            history: History::default(),
            frames: Vec::new(),
            connections: BTreeMap::new(),
            alterations: Vec::new(),
            requests: Vec::new(),
            issued: 0,
            lost: [0; 3],
        }
    }

    /// How events are read, before the first one is issued.
    pub(crate) fn follow(&mut self, rules: TruthRules) {
        self.rules = rules;
        self.history = History::new(rules.history);
    }

    // ---- writing it down

    pub(crate) fn open_book(&mut self, symbol: &Arc<str>, scales: Scales, id: u64, book: Book) {
        let truth = BookTruth {
            scales,
            first_id: id,
            first: book.clone(),
            changes: Vec::new(),
            restarts: Vec::new(),
            now: book,
            last_id: id,
        };
        self.books.insert(Arc::clone(symbol), truth);
    }

    pub(crate) fn change(&mut self, symbol: &str, changes: &[Change]) {
        let Some(book) = self.books.get_mut(symbol) else { return };
        for (i, c) in changes.iter().enumerate() {
            if c.id < book.last_id {
                book.restarts.push(book.changes.len() + i);
            }
            book.now.set(c.side, c.price, c.size);
            book.last_id = c.id;
        }
        if self.config.books && book.changes.len() + changes.len() <= self.config.limit {
            book.changes.extend_from_slice(changes);
        } else {
            self.lost[2] += changes.len() as u64;
        }
    }

    pub(crate) fn issue(&mut self, event: &Arc<Event>) {
        self.issued += 1;
        self.history.add(event);
        if self.config.events && self.events.len() < self.config.limit {
            self.events.push(Arc::clone(event));
        } else {
            self.lost[0] += 1;
        }
    }

    pub(crate) fn hand_over(&mut self, frame: FrameRecord) {
        if let Some(c) = self.connections.get_mut(&frame.conn) {
            c.frames += u64::from(frame.event.is_some());
        }
        if self.config.frames && self.frames.len() < self.config.limit {
            self.frames.push(frame);
        } else {
            self.lost[1] += 1;
        }
    }

    pub(crate) fn alter(&mut self, alteration: Alteration) {
        if self.alterations.len() < self.config.limit {
            self.alterations.push(alteration);
        }
    }

    pub(crate) fn connection(&mut self, number: u64) -> &mut ConnectionRecord {
        self.connections.entry(number).or_insert_with(|| ConnectionRecord { number, ..ConnectionRecord::default() })
    }

    pub(crate) fn request(&mut self, request: RequestRecord) {
        if self.requests.len() < self.config.limit {
            self.requests.push(request);
        }
    }

    // ---- asking it

    /// True when nothing is missing from the log: every kind was on and under its limit.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.lost == [0; 3]
    }

    /// Events issued, kept or not.
    #[must_use]
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// The symbols that have a book.
    #[must_use]
    pub fn symbols(&self) -> Vec<String> {
        self.books.keys().map(|s| s.to_string()).collect()
    }

    /// Every event, in order.
    #[must_use]
    pub fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// The events of one stream, in order. `name#1` is the stream as connections of phase 1 hear it; the plain name is
    /// phase 0. Those made for one connection are left out.
    pub fn events_of<'a>(&'a self, stream: &'a str) -> impl Iterator<Item = &'a Arc<Event>> + 'a {
        let phased = stream.rsplit_once('#').and_then(|(name, phase)| Some((name, phase.parse().ok()?)));
        let (name, phase) = phased.unwrap_or((stream, 0));
        self.events.iter().filter(move |e| &*e.stream == name && e.phase == phase && e.conn.is_none())
    }

    /// Frames handed to sockets, in order of writing; of one connection if given.
    pub fn frames(&self, conn: Option<u64>) -> impl Iterator<Item = &FrameRecord> {
        self.frames.iter().filter(move |f| conn.is_none_or(|c| c == f.conn))
    }

    /// Every WebSocket connection so far.
    #[must_use]
    pub fn connections(&self) -> Vec<&ConnectionRecord> {
        self.connections.values().collect()
    }

    /// Events that faults lost or changed, in order.
    #[must_use]
    pub fn alterations(&self) -> &[Alteration] {
        &self.alterations
    }

    /// Every REST request so far.
    #[must_use]
    pub fn requests(&self) -> &[RequestRecord] {
        &self.requests
    }

    /// Trades of a stream kind (`AggTrade` or `Trade`), of one symbol if given.
    #[must_use]
    pub fn trades(&self, kind: EventKind, symbol: Option<&str>) -> Vec<TradeRecord> {
        let wanted = |e: &&Arc<Event>| e.kind == kind && e.conn.is_none() && symbol.is_none_or(|s| s == &*e.symbol);
        self.events.iter().filter(wanted).flat_map(|e| (self.rules.trades)(e)).collect()
    }

    /// The trades that one event carries.
    #[must_use]
    pub fn trades_in(&self, event: &Event) -> Vec<TradeRecord> {
        (self.rules.trades)(event)
    }

    /// Events of a stream whose last id is not among `seen`.
    #[must_use]
    pub fn missing(&self, stream: &str, seen: &HashSet<u64>) -> Vec<Arc<Event>> {
        self.events_of(stream).filter(|e| !seen.contains(&e.last_id)).cloned().collect()
    }

    /// The book as of an id: after every change up to and with it. `None` for an unknown symbol, an id before the
    /// beginning, or where books were not written down.
    #[must_use]
    pub fn book_at(&self, symbol: &str, id: u64) -> Option<BookImage> {
        let (book, last_id) = self.raw_book_at(symbol, id)?;
        Some(image(symbol, &book, last_id, self.books.get(symbol)?.scales))
    }

    /// Best bid and offer as of an id: the first level of each side of [`Self::book_at`].
    #[must_use]
    pub fn top_at(&self, symbol: &str, id: u64) -> Option<BookImage> {
        let (book, last_id) = self.raw_book_at(symbol, id)?;
        Some(image(symbol, &book.cut(1), last_id, self.books.get(symbol)?.scales))
    }

    /// The book as it is now.
    #[must_use]
    pub fn final_book(&self, symbol: &str) -> Option<BookImage> {
        let b = self.books.get(symbol)?;
        Some(image(symbol, &b.now, b.last_id, b.scales))
    }

    /// The book that a client holds at `id` that follows the manual: a snapshot cut at `limit` levels, then every
    /// event of `stream` from the first that reaches beyond it (or, where the manual says so, to it). Levels that were never sent are not in it.
    #[must_use]
    pub fn client_book(
        &self,
        symbol: &str,
        stream: &str,
        snapshot_id: u64,
        limit: usize,
        id: u64,
    ) -> Option<BookImage> {
        let truth = self.books.get(symbol)?;
        if self.rules.windowed {
            let (book, last_id) = self.raw_book_at(symbol, id)?;
            return Some(image(symbol, &book.cut(limit), last_id, truth.scales));
        }
        let (full, mut last_id) = self.raw_book_at(symbol, snapshot_id)?;
        let mut book = full.cut(limit);
        let at = self.rules.applies_at_snapshot;
        let first = self.events_of(stream).find(|e| e.last_id > snapshot_id || (at && e.last_id == snapshot_id));
        if let Some(from) = first.map(|e| e.prev_id.unwrap_or(e.first_id)).filter(|_| id > snapshot_id) {
            for c in truth.changes.iter().filter(|c| c.id > from && c.id <= id) {
                book.set(c.side, c.price, c.size);
                last_id = last_id.max(c.id);
            }
        }
        Some(image(symbol, &book, last_id, truth.scales))
    }

    /// Mantissas of the book as of an id, and the id of its last change.
    pub(crate) fn raw_book_at(&self, symbol: &str, id: u64) -> Option<(Book, u64)> {
        let b = self.books.get(symbol)?;
        if id == b.last_id || id == u64::MAX || (b.restarts.is_empty() && id > b.last_id) {
            return Some((b.now.clone(), b.last_id));
        }
        if self.lost[2] > 0 {
            return None;
        }
        let (mut book, mut last_id) = (b.first.clone(), b.first_id);
        for c in b.changes.iter().take(b.changes_at(id)?) {
            book.set(c.side, c.price, c.size);
            last_id = c.id;
        }
        Some((book, last_id))
    }

    /// The trades of a symbol that REST can still tell.
    pub(crate) fn history(&self, kind: EventKind, symbol: &str) -> &Roll {
        self.history.of(kind, symbol)
    }

    /// Id of the book as it began.
    pub(crate) fn first_id(&self, symbol: &str) -> Option<u64> {
        self.books.get(symbol).map(|b| b.first_id)
    }

    /// Ids of this symbol's changes within `from..to`.
    pub(crate) fn change_ids(&self, symbol: &str, from: u64, to: u64) -> Vec<u64> {
        let changes = self.books.get(symbol).map_or(&[][..], |b| &b.changes);
        changes.iter().map(|c| c.id).filter(|id| (from..to).contains(id)).collect()
    }

    /// Writes `events.jsonl`, `frames.jsonl`, `connections.jsonl`, `alterations.jsonl`, `requests.jsonl` and
    /// `books.jsonl` (the books as they are now) into a folder, which is made.
    ///
    /// # Errors
    /// [`SimulatorError::Io`] naming the file.
    pub fn write(&self, dir: &Path) -> Result<(), SimulatorError> {
        std::fs::create_dir_all(dir).map_err(SimulatorError::io(dir.display().to_string()))?;
        let books = self.books.keys().filter_map(|s| self.final_book(s));
        lines(&dir.join("events.jsonl"), self.events.iter().map(|e| &**e))?;
        lines(&dir.join("frames.jsonl"), &self.frames)?;
        lines(&dir.join("connections.jsonl"), self.connections.values())?;
        lines(&dir.join("alterations.jsonl"), &self.alterations)?;
        lines(&dir.join("requests.jsonl"), &self.requests)?;
        lines(&dir.join("books.jsonl"), books)
    }
}

fn lines<T: Serialize>(path: &Path, rows: impl IntoIterator<Item = T>) -> Result<(), SimulatorError> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for row in rows {
            serde_json::to_writer(&mut file, &row)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    write().map_err(SimulatorError::io(path.display().to_string()))
}

fn image(symbol: &str, book: &Book, last_id: u64, scales: Scales) -> BookImage {
    let side = |s| {
        let text = |(price, size)| [decimal_text(price, scales.price), decimal_text(size, scales.size)];
        book.levels(s).map(text).collect()
    };
    BookImage { symbol: symbol.to_owned(), last_id, bids: side(Side::Bid), asks: side(Side::Ask) }
}

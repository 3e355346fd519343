//! Carries a stream to an engine over connections that err, in virtual time, and keeps what became of it.

use std::collections::VecDeque;

use xtrader_core::batch::Batch;
use xtrader_core::config::{EngineConfig, Mode, SizeUnit, Stream as Wanted};
use xtrader_core::engine::{ConnDown, DownReason, Engine, HttpReply, Input, Link};
use xtrader_core::report::BookReport;
use xtrader_core::symbol::ConnId;
use xtrader_core::table::Table;
use xtrader_core::time::Stamp;

use crate::frames::T0;
use crate::stream::{Exchange, Stream, Tick, Trade};

/// How long a hole may be awaited, in milliseconds: the default.
pub const WINDOW: u64 = 250;
/// From when one is known to be broken until the snapshot that was asked for is made.
pub const RESYNC: u64 = 40;
/// Receive time of the beginning: our clock is the exchange's.
const BEGIN: i64 = T0 * 1_000_000;

/// What becomes of a message on its way, and how much it is late.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Pass(u64),
    Lose,
    Twice(u64),
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Milliseconds that everything takes at least.
    pub lag: u64,
    /// Of one message after the other, over and over.
    pub fates: Vec<Fate>,
    /// How many events make a message, where the exchange does not cut alike.
    pub cuts: Vec<usize>,
    /// When it is cut, and for how long.
    pub outages: Vec<(u64, u64)>,
}

impl Copy {
    /// By how much it is late at most.
    pub fn latest(&self) -> u64 {
        let late = |fate: &Fate| if let Fate::Pass(late) | Fate::Twice(late) = fate { *late } else { 0 };
        self.lag + self.fates.iter().map(late).max().unwrap_or(0)
    }
}

/// What is carried, and how.
#[derive(Clone, Debug)]
pub struct Case {
    pub exchange: Exchange,
    pub ticks: Vec<(u64, Tick)>,
    pub copies: Vec<Copy>,
}

/// What a message is about: numbers of states and of trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Up,
    Down,
    Book { from: usize, to: usize },
    Snapshot(usize),
    Trades { first: usize, last: usize },
}

/// Something that happens to an engine.
#[derive(Clone, Copy, Debug)]
pub struct Happening {
    pub at: u64,
    pub conn: usize,
    pub what: What,
    /// When the exchange sent it.
    sent: u64,
    /// The number of the input that it was.
    pub input: i64,
}

/// What became of it.
pub struct Outcome {
    pub stream: Stream,
    /// In the order in which the engine was told.
    pub log: Vec<Happening>,
    pub batches: Vec<Batch>,
    pub book: BookReport,
    pub counters: serde_json::Value,
    /// How many snapshots in a row were asked for, at most, and left the book broken.
    pub in_vain: usize,
}

/// The way of one connection, in order.
fn way(stream: &Stream, copy: &Copy, conn: usize) -> VecDeque<Happening> {
    let mut messages: Vec<(u64, What)> = Vec::new();
    let mut cuts = copy.cuts.iter().copied().cycle();
    let mut cut = |alike: bool| if alike { 1 } else { cuts.next().unwrap_or(1) };
    let mut from = 0;
    let opening = 1;
    while from + 1 < stream.states.len() {
        if stream.is_beginning(from + 1) {
            from += 1;
            continue;
        }
        let to = (from + cut(stream.exchange.cuts_alike() || from < opening)).min(stream.states.len() - 1);
        let to = (from + 1..to).find(|state| stream.is_beginning(state + 1)).unwrap_or(to);
        messages.push((stream.states[to].at, What::Book { from, to }));
        from = to;
    }
    let mut first = 0;
    while first < stream.trades.len() {
        let last = first + cut(stream.exchange != Exchange::Deribit || first < opening) - 1;
        let last = last.min(stream.trades.len() - 1);
        let last = (first..last).find(|n| stream.trades[n + 1].epoch > stream.trades[first].epoch).unwrap_or(last);
        messages.push((stream.trades[last].at, What::Trades { first, last }));
        first = last + 1;
    }
    messages.sort_by_key(|(sent, _)| *sent);
    let mut fates = copy.fates.iter().copied().cycle();
    let mut outages = copy.outages.clone();
    outages.sort_unstable();
    let mut outages = VecDeque::from(outages);
    let mut way = VecDeque::new();
    let (mut at, mut is_out_until) = (0, 0);
    let mut state = 0;
    let calm = stream.calm;
    for (sent, what) in messages {
        while let Some((begin, long)) = outages.front().copied().filter(|(begin, _)| *begin <= sent) {
            outages.pop_front();
            let begin = begin.max(is_out_until + 1).max(60);
            if begin + long + 100 >= calm || begin > sent {
                continue;
            }
            // What has not arrived by then never does.
            while way.back().is_some_and(|last: &Happening| last.at > begin) {
                way.pop_back();
            }
            is_out_until = begin + long;
            at = is_out_until;
            way.push_back(Happening { at: begin, conn, what: What::Down, sent: begin, input: 0 });
            way.push_back(Happening { at, conn, what: What::Up, sent: at, input: 0 });
            state = usize::MAX;
        }
        if sent <= is_out_until && is_out_until > 0 {
            continue;
        }
        if state == usize::MAX && stream.exchange.sends_snapshots() {
            // The book as this connection cuts it: its next message follows.
            if let What::Book { from, .. } = what {
                at = at.max(sent.saturating_sub(1));
                way.push_back(Happening { at, conn, what: What::Snapshot(from), sent: sent - 1, input: 0 });
                state = from;
            }
        }
        let fate = if sent >= calm || sent <= 2 { Fate::Pass(0) } else { fates.next().unwrap_or(Fate::Pass(0)) };
        let (late, times) = match fate {
            Fate::Pass(late) => (late, 1),
            Fate::Twice(late) => (late, 2),
            Fate::Lose => continue,
        };
        at = at.max(sent + copy.lag + late);
        for _ in 0..times {
            way.push_back(Happening { at, conn, what, sent, input: 0 });
        }
    }
    way
}

struct Play {
    engine: Engine,
    stream: Stream,
    now: u64,
    inputs: i64,
    batches: Vec<Batch>,
    log: Vec<Happening>,
}

impl Play {
    fn stamp(at: u64) -> Stamp {
        let ns = at * 1_000_000;
        Stamp { wall: BEGIN + ns as i64, mono: 1_000_000_000 + ns }
    }

    /// Lets time pass, firing every timer on the way.
    fn pass_to(&mut self, at: u64) {
        let end = Self::stamp(at);
        while let Some(due) = self.engine.next_timeout().filter(|due| due.mono <= end.mono) {
            self.inputs += 1;
            self.engine.handle(due, Input::Timeout);
        }
        self.now = at;
    }

    fn tell(&mut self, happening: Happening) {
        self.pass_to(happening.at.max(self.now));
        self.inputs += 1;
        self.log.push(Happening { at: self.now, input: self.inputs, ..happening });
        let (at, conn) = (Self::stamp(self.now), ConnId(happening.conn as u16 + 1));
        let text = match happening.what {
            What::Up => return self.engine.handle(at, Input::ConnUp { conn, url: "", link: Link::default() }),
            What::Down => {
                let reason = DownReason::Reset;
                let down = ConnDown { reason, code: None, detail: String::new(), retry_after_ms: None };
                return self.engine.handle(at, Input::ConnDown { conn, down: &down });
            }
            What::Book { from, to } => self.stream.book(happening.conn, Some(from), to),
            What::Snapshot(state) => {
                let text = self.stream.book(happening.conn, None, state);
                if !self.stream.exchange.sends_snapshots() {
                    let url = "https://x/api/v3/depth?symbol=BTCUSDT&limit=1000";
                    let reply =
                        HttpReply { request: None, url, status: 200, retry_after_ms: None, body: text.as_bytes() };
                    return self.engine.handle(at, Input::Http(reply));
                }
                text
            }
            What::Trades { first, last } => {
                let trades: Vec<Trade> = self.stream.trades[first..=last].to_vec();
                self.stream.trades(&trades)
            }
        };
        self.engine.handle(at, Input::Frame { conn, payload: text.as_bytes() });
    }

    /// By REST it is asked for when something has come that needs it.
    fn needs_a_snapshot(&self) -> bool {
        let is_asked = |in_flight| self.stream.exchange.sends_snapshots() || in_flight > 0;
        let is_broken = |state: &str| state == "resyncing" || state == "awaiting_snapshot";
        self.engine.books().first().is_some_and(|book| is_broken(&book.state) && is_asked(book.in_flight))
    }
}

/// Carries a case.
pub fn carry(case: &Case) -> Outcome {
    let stream = Stream::new(case.exchange, &case.ticks);
    let mut ways: Vec<VecDeque<Happening>> =
        case.copies.iter().enumerate().map(|(conn, copy)| way(&stream, copy, conn)).collect();
    let config = EngineConfig {
        streams: vec![Wanted::Trades, Wanted::L2],
        tables: vec![Table::Trades, Table::L2, Table::Gaps],
        size_unit: SizeUnit::Native,
        mode: Mode::Replay,
        ..EngineConfig::new(case.exchange.venue())
    };
    let engine = Engine::start(config, "test", Play::stamp(0)).expect("a good configuration");
    let mut play = Play { engine, stream, now: 0, inputs: 0, batches: Vec::new(), log: Vec::new() };
    let nowhere = |what| Happening { at: 0, conn: 0, what, sent: 0, input: 0 };
    let mut is_up = vec![true; ways.len()];
    for conn in 0..ways.len() {
        play.tell(Happening { conn, ..nowhere(What::Up) });
        if case.exchange.sends_snapshots() {
            play.tell(Happening { conn, ..nowhere(What::Snapshot(0)) });
        }
    }
    let mut resync: Option<u64> = None;
    let (mut in_vain, mut in_a_row) = (0, 0);
    if !case.exchange.sends_snapshots() {
        resync = Some(0);
    }
    // Longer than anything takes to come back.
    let patience = play.stream.end + 9_000;
    while play.now < patience {
        let next = ways.iter().enumerate().filter_map(|(n, way)| Some((way.front()?.at, n))).min();
        if let Some(due) = resync.filter(|due| next.is_none_or(|(at, _)| *due <= at)) {
            resync = None;
            let due = due.max(play.now);
            if !case.exchange.sends_snapshots() && due > 0 && !play.needs_a_snapshot() {
                // Nobody speaks any more who could go on from it.
            } else if !case.exchange.sends_snapshots() {
                let state = play.stream.state_at(due);
                play.tell(Happening { at: due, ..nowhere(What::Snapshot(state)) });
            } else if let Some(conn) = (0..ways.len()).find(|conn| is_up[*conn]) {
                subscribe_anew(&play.stream, &mut ways[conn], conn, due);
            } else {
                resync = Some(due + RESYNC);
            }
        } else if let Some((_, conn)) = next {
            let Some(happening) = ways[conn].pop_front() else { break };
            match happening.what {
                What::Up => is_up[conn] = true,
                What::Down => is_up[conn] = false,
                _ => {}
            }
            play.tell(happening);
        } else if let Some(end) = play.log.last().map(|last| last.at + WINDOW).filter(|end| play.now < *end) {
            // A hole that nobody fills is declared only then, and its snapshot is still to come.
            play.pass_to(end);
        } else {
            break;
        }
        let snapshot_comes = ways.iter().flatten().any(|next| matches!(next.what, What::Snapshot(_)));
        if resync.is_none() && !snapshot_comes {
            in_a_row = if play.needs_a_snapshot() { in_a_row + 1 } else { 0 };
            in_vain = in_a_row.max(in_vain);
            resync = (in_a_row > 0).then_some(play.now + RESYNC);
        }
    }
    // Whatever was still open has had its time.
    play.pass_to(play.now + 130_000);
    play.engine.close_batches();
    while let Some(batch) = play.engine.poll_batch() {
        play.batches.push(batch);
    }
    let (book, counters) = (play.engine.books().remove(0), play.engine.counters());
    Outcome { stream: play.stream, log: play.log, batches: play.batches, book, counters, in_vain }
}

/// A connection brings the book as of then between its other messages.
fn subscribe_anew(stream: &Stream, way: &mut VecDeque<Happening>, conn: usize, now: u64) {
    let next = way.iter().position(|next| next.sent > now && matches!(next.what, What::Book { .. } | What::Down));
    let place = next.unwrap_or(way.len());
    let state = match next.map(|next| way[next].what) {
        Some(What::Book { from, .. }) => from,
        _ => stream.state_at(now),
    };
    let mut at = place.checked_sub(1).map_or(now, |before| way[before].at.max(now));
    way.insert(place, Happening { at, conn, what: What::Snapshot(state), sent: now, input: 0 });
    for later in way.iter_mut().skip(place) {
        at = at.max(later.at);
        later.at = at;
    }
}

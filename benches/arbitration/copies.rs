//! What a copy costs that another connection was faster with, and what an engine of three connections loses by them.
//!
//! Each kind of frame of each source goes through an engine of that stream alone, in blocks: a block on one connection,
//! where it wins, then the same block on another, where it loses. Frames of the first half are not timed.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xtrader_core::config::Stream;
use xtrader_core::engine::Engine;
use xtrader_core::event::{DecodedLevels, Scales};
use xtrader_core::exchange::reader::WireReader;
use xtrader_core::exchange::{Decoded, EventKind, Head, Peek, Protocol, with_protocol};
use xtrader_core::symbol::ConnId;
use xtrader_core::time::Stamp;
use xtrader_scan::Isa;

use crate::best::Best;
use crate::paths::{Exchange, Path};
use crate::sources::{Line, Source, accepted, engine, feed, reply};
use crate::{Arguments, frames};

/// Frames of a block, and bytes of them if there are several: as many as fit into the innermost caches, as a frame does
/// that was just received.
const BLOCK: usize = 64;
const BLOCK_BYTES: usize = 1 << 17;
/// Timed frames of a kind.
const MOST: usize = 8192;
/// Fewer say nothing.
const LEAST: usize = 16;

const WINNER: ConnId = ConnId(1);
const LOSER: ConnId = ConnId(2);
/// The same once more, when all that it takes is warm.
const TIMED_LOSER: ConnId = ConnId(3);

/// Kinds of frames, and the streams they belong to.
const KINDS: [(&str, &[Stream]); 6] = [
    ("depth", &[Stream::L2]),
    ("depth, 20 levels and more", &[Stream::L2]),
    ("book", &[Stream::L2]),
    ("trades", &[Stream::Trades]),
    ("bbo", &[Stream::Bbo]),
    ("states", &[Stream::Derivatives, Stream::Options]),
];
const DEPTH: usize = 0;
const DEEP: usize = 1;
const BOOK: usize = 2;

/// What a frame is, and the levels in it.
fn kind_of<P: Protocol>(reader: &mut WireReader, text: &[u8]) -> Option<(usize, usize)> {
    let kind = |head: &Head<'_>| match head.kind {
        EventKind::Depth => Some((DEPTH, levels::<P>(text, head))),
        EventKind::Book => Some((BOOK, levels::<P>(text, head))),
        EventKind::AggTrade | EventKind::Trade => Some((3, 0)),
        EventKind::Bbo => Some((4, 0)),
        EventKind::State => Some((5, 0)),
        // Nobody here asks for those.
        EventKind::MixedTrades => None,
    };
    match P::peek(text) {
        Peek::Event(head) => kind(&head),
        Peek::Miss => match reader.read::<P>(text).ok()?.peek() {
            Peek::Event(head) => kind(&head),
            _ => None,
        },
        Peek::Answer | Peek::Ignored(_) => None,
    }
}

fn levels<P: Protocol>(text: &[u8], head: &Head<'_>) -> usize {
    let mut levels = DecodedLevels::default();
    match P::decode_book(Isa::best(), text, head, Scales::default(), 1 << 20, &mut levels) {
        Decoded::Event(_) => levels.count(),
        _ => 0,
    }
}

struct Item<'a> {
    line: &'a Line,
    is_timed: bool,
}

impl<'a> Item<'a> {
    fn frame(&self) -> Option<(Stamp, &'a [u8])> {
        match self.line {
            Line::Frame { at, text } => Some((*at, text)),
            Line::Reply { .. } => None,
        }
    }
}

/// Cuts what has these sizes into blocks.
fn blocks<T>(mut things: &[T], size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |thing: &&T| {
            bytes += size(thing);
            bytes <= BLOCK_BYTES
        };
        let many = things.iter().take(BLOCK).take_while(fits).count().max(1);
        things.split_off(..many)
    })
}

/// What a timer says of nothing, at best.
fn overhead() -> Duration {
    (0..1 << 14).map(|_| black_box(black_box(Instant::now()).elapsed())).min().unwrap_or_default()
}

/// The frames of one kind, and the replies between them.
struct Feed<'a> {
    source: &'a Source,
    streams: &'a [Stream],
    items: Vec<Item<'a>>,
}

impl<'a> Feed<'a> {
    fn of(source: &'a Source, kinds: &[Option<(usize, usize)>], kind: usize) -> Self {
        // Books need all of their frames, whichever are timed.
        let belongs = |found: usize| if kind <= BOOK { found <= BOOK } else { found == kind };
        let wanted = |(found, levels): (usize, usize)| match kind {
            DEEP => found == DEPTH && levels >= 20,
            _ => found == kind,
        };
        let mut items: Vec<Item<'a>> = Vec::new();
        for (line, found) in source.lines.iter().zip(kinds) {
            match (line, found) {
                (Line::Reply { .. }, _) => items.push(Item { line, is_timed: false }),
                (Line::Frame { .. }, Some(found)) if belongs(found.0) => {
                    items.push(Item { line, is_timed: wanted(*found) });
                }
                _ => {}
            }
        }
        let streams = KINDS[kind].1;
        let mut feed = Self { source, streams, items };
        feed.keep_fresh();
        // With the first half, books are opened and buffers grow.
        let timed = feed.items.iter().filter(|item| item.is_timed).count();
        let mut skip = timed.div_ceil(2).max(timed.saturating_sub(MOST));
        for item in feed.items.iter_mut().filter(|item| item.is_timed) {
            item.is_timed = skip == 0;
            skip = skip.saturating_sub(1);
        }
        feed
    }

    /// Times only frames that make rows where they come alone.
    fn keep_fresh(&mut self) {
        let mut engine = self.source.engine(self.streams, 1);
        let mut before = 0;
        for item in &mut self.items {
            match item.line {
                Line::Frame { at, text } => {
                    feed(&mut engine, *at, WINNER, text);
                    let now = accepted(&engine);
                    item.is_timed &= now > before;
                    before = now;
                }
                Line::Reply { at, url, body } => {
                    reply(&mut engine, *at, url, body);
                    before = accepted(&engine);
                }
            }
        }
    }

    fn timed(&self) -> impl Iterator<Item = &'a [u8]> {
        self.items.iter().filter(|item| item.is_timed).filter_map(|item| item.frame().map(|(_, text)| text))
    }

    /// Time that winning and losing copies take, block by block.
    fn run(&self, overhead: Duration) -> [Vec<Duration>; 2] {
        let mut engine = self.source.engine(self.streams, 3);
        let (mut winning, mut losing) = (Vec::new(), Vec::new());
        // What is not timed comes first on every connection: then all are known to carry it.
        let (first, timed) = self.items.split_at(self.items.iter().position(|item| item.is_timed).unwrap_or_default());
        let of_one_kind = |a: &Item<'_>, b: &Item<'_>| a.frame().is_some() && b.frame().is_some();
        for lines in first.chunk_by(of_one_kind).chain(timed.chunk_by(of_one_kind)) {
            if let Some(Line::Reply { at, url, body }) = lines.first().map(|item| item.line) {
                reply(&mut engine, *at, url, body);
                continue;
            }
            for block in blocks(lines, |item| item.frame().map_or(0, |(_, text)| text.len())) {
                winning.push(took(&mut engine, block, WINNER, overhead));
                let before = accepted(&engine);
                took(&mut engine, block, LOSER, overhead);
                losing.push(took(&mut engine, block, TIMED_LOSER, overhead));
                assert_eq!(accepted(&engine), before, "{}: a copy made a row", self.source.name);
            }
        }
        [winning, losing]
    }
}

/// Takes a block on a connection; says how long the timed frames took, without what timers take.
fn took(engine: &mut Engine, block: &[Item<'_>], conn: ConnId, overhead: Duration) -> Duration {
    let mut spent = Duration::ZERO;
    for run in block.chunk_by(|a, b| a.is_timed == b.is_timed) {
        let begin = Instant::now();
        for (at, text) in run.iter().filter_map(Item::frame) {
            feed(engine, at, conn, text);
        }
        if run.iter().any(|item| item.is_timed) {
            spent += begin.elapsed().saturating_sub(overhead);
        }
    }
    spent
}

fn peek<P: Protocol>(texts: &[&[u8]]) -> Vec<Duration> {
    let time = |block: &[&[u8]]| {
        block.iter().for_each(|text| {
            black_box(P::peek(text));
        });
        let begin = Instant::now();
        for text in block {
            black_box(P::peek(black_box(text)));
        }
        begin.elapsed()
    };
    blocks(texts, |text| text.len()).map(time).collect()
}

/// Inputs of an engine with so many connections, in the order of their coming.
struct Traffic<'a> {
    source: &'a Source,
    first: Stamp,
    inputs: Vec<(u64, ConnId, &'a Line)>,
}

impl<'a> Traffic<'a> {
    fn of(source: &'a Source, connections: u16) -> Self {
        let first = source.lines.first().map(Line::at).unwrap_or_default();
        let mut exchange = Exchange::new(1);
        let mut paths: Vec<Path> = (0..u64::from(connections)).map(Path::new).collect();
        let mut inputs: Vec<(u64, ConnId, &Line)> = Vec::new();
        let mut left: f64 = 0.0;
        for line in &source.lines {
            left = left.max((line.at().wall - first.wall) as f64 / 1e3 + exchange.common());
            if matches!(line, Line::Reply { .. }) {
                inputs.push(((left * 1e3) as u64, ConnId::NONE, line));
                continue;
            }
            for (conn, path) in (1..).zip(&mut paths) {
                inputs.push(((path.arrival(left) * 1e3) as u64, ConnId(conn), line));
            }
        }
        inputs.sort_by_key(|(at, ..)| *at);
        Self { source, first, inputs }
    }

    /// Time that the second half takes, block by block, and how many events of it made rows.
    fn run(&self, connections: u16, overhead: Duration) -> (Vec<Duration>, u64) {
        const STREAMS: [Stream; 5] = [Stream::Trades, Stream::L2, Stream::Bbo, Stream::Derivatives, Stream::Options];
        let mut engine = engine(self.source.venue, &STREAMS, connections, self.first);
        let (first, second) = self.inputs.split_at(self.inputs.len() / 2);
        self.block(&mut engine, first);
        let before = accepted(&engine);
        let spent = |block| self.block(&mut engine, block).saturating_sub(overhead);
        let spent = second.chunks(BLOCK).map(spent).collect();
        (spent, accepted(&engine) - before)
    }

    fn block(&self, engine: &mut Engine, inputs: &[(u64, ConnId, &Line)]) -> Duration {
        let mut replies = Duration::ZERO;
        let begin = Instant::now();
        for (at, conn, line) in inputs {
            let at = Stamp { wall: self.first.wall + *at as i64, mono: self.first.mono + *at };
            match line {
                Line::Frame { text, .. } => feed(engine, at, *conn, text),
                Line::Reply { url, body, .. } => {
                    let begin = Instant::now();
                    reply(engine, at, url, body);
                    replies += begin.elapsed();
                }
            }
        }
        begin.elapsed() - replies
    }
}

/// See the module.
pub fn measure(arguments: &Arguments) -> Value {
    let captures = arguments.captures.iter().map(|path| Source::read(path));
    let sources: Vec<Source> = captures.chain(frames::sources()).collect();
    let overhead = overhead();
    let mut kinds = Vec::new();
    let mut throughput = Vec::new();
    for source in &sources {
        let mut reader = WireReader::default();
        let found: Vec<_> = source
            .lines
            .iter()
            .map(|line| match line {
                Line::Frame { text, .. } => with_protocol!(source.venue, P => kind_of::<P>(&mut reader, text)),
                Line::Reply { .. } => None,
            })
            .collect();
        for (kind, (name, _)) in KINDS.iter().enumerate() {
            let feed = Feed::of(source, &found, kind);
            let texts: Vec<&[u8]> = feed.timed().collect();
            if texts.len() < LEAST {
                continue;
            }
            let mut best: [Best; 3] = Default::default();
            for _ in 0..arguments.rounds {
                let [winning, losing] = feed.run(overhead);
                let peek = with_protocol!(source.venue, P => peek::<P>(&texts));
                best.iter_mut().zip([winning, losing, peek]).for_each(|(best, spent)| best.take(spent));
            }
            let [winning, losing, peek] = best.map(|best| best.nanos_per(texts.len() as u64));
            let file = arguments.frames.as_ref().map(|folder| {
                let path = folder.join(format!("{}.frames", kinds.len()));
                let mut file = BufWriter::new(File::create(&path).unwrap());
                for text in &texts {
                    file.write_all(text).unwrap();
                    file.write_all(b"\n").unwrap();
                }
                file.flush().unwrap();
                path
            });
            kinds.push(json!({
                "source": source.name,
                "kind": name,
                "frames": texts.len(),
                "bytes": texts.iter().map(|text| text.len()).sum::<usize>(),
                "peek": peek,
                "winning": winning,
                "losing": losing,
                "file": file,
            }));
        }
        if !source.is_made() {
            let traffic = [1, 3].map(|connections| (connections, Traffic::of(source, connections)));
            let mut best: [(Best, u64); 2] = Default::default();
            for _ in 0..arguments.rounds {
                for ((best, fresh), (connections, traffic)) in best.iter_mut().zip(&traffic) {
                    let (spent, events) = traffic.run(*connections, overhead);
                    best.take(spent);
                    *fresh = events;
                }
            }
            let [one, three] = best.map(|(best, fresh)| best.nanos_per(fresh));
            throughput.push(json!({ "source": source.name, "one": one, "three": three }));
        }
    }
    json!({ "copies": kinds, "throughput": throughput })
}

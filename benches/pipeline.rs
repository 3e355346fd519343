//! Nanoseconds and allocations per frame, by stage, on recorded captures. `benches/pipeline.py` runs it and puts
//! `orjson.loads` of the same frames beside it.
//!
//!     pipeline [--rounds N] [--core N] CAPTURE…
//!
//! Stages are cumulative: `peek` reads the head, `decode` every frame of trades, books and quotes to its end (without
//! arbitration), `book` is the engine with no table to fill, `columns` the engine with trades, l2 and bbo in `float`,
//! `columns_states` the same with derivatives, options and liquidations beside.
//! Only frames are timed, and of these the second half: with the first, books are opened and buffers grow. REST replies
//! are handed over in between. `columns_whole` is all frames, from an engine that knows nothing on, and the closing of
//! the batches that are open at the end. Each figure is the best of N rounds.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashSet;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use simd_json::{Buffers, Tape};
use xtrader_core::config::{EngineConfig, Mode, Stream};
use xtrader_core::engine::{Engine, HttpReply, Input};
use xtrader_core::event::{DecodedLevels, Scales, TradeRows};
use xtrader_core::exchange::reader::WireReader;
use xtrader_core::exchange::{Decoded, EventKind, Peek, Protocol, with_protocol};
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::table::Table;
use xtrader_core::time::Stamp;
use xtrader_runtime::capture::{CaptureReader, Direction};
use xtrader_runtime::replay::recorded_venue;
use xtrader_scan::Isa;

/// Counts what this thread asks of the system's allocator.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

// SAFETY: hands every call on to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One line of a capture, in memory.
enum Line {
    Frame { conn: ConnId, at: Stamp, text: Vec<u8> },
    Reply { at: Stamp, url: String, body: Vec<u8> },
}

struct Capture {
    venue: Venue,
    lines: Vec<Line>,
    connections: u16,
    /// Frames that are timed, behind those that are not, and their bytes.
    frames: usize,
    untimed: usize,
    bytes: usize,
}

impl Capture {
    fn read(path: &PathBuf) -> Self {
        let mut reader = CaptureReader::open(std::slice::from_ref(path)).unwrap();
        let mut names: Vec<String> = Vec::new();
        let (mut lines, mut lengths, mut wall) = (Vec::new(), Vec::new(), 0);
        let mut venue = None;
        while reader.advance().unwrap() {
            let line = reader.line().unwrap();
            if venue.is_none() {
                venue = Some(recorded_venue(path, line.url).unwrap());
            }
            wall = line.recv_ns.unwrap_or(wall);
            let at = Stamp { wall, mono: wall.unsigned_abs() };
            match line.direction {
                Direction::Out => {}
                Direction::Http => lines.push(Line::Reply {
                    at,
                    url: line.url.unwrap_or_default().to_owned(),
                    body: line.frame.as_bytes().to_vec(),
                }),
                Direction::In => {
                    let known = names.iter().position(|name| name == line.conn);
                    let index = known.unwrap_or_else(|| {
                        names.push(line.conn.to_owned());
                        names.len() - 1
                    });
                    lengths.push(line.frame.len());
                    let conn = ConnId(u16::try_from(index + 1).unwrap());
                    lines.push(Line::Frame { conn, at, text: line.frame.as_bytes().to_vec() });
                }
            }
        }
        let venue = venue.expect("a capture holds a line");
        let timed = lengths.split_off(lengths.len() / 2);
        Self {
            venue,
            lines,
            connections: u16::try_from(names.len()).unwrap(),
            frames: timed.len(),
            untimed: lengths.len(),
            bytes: timed.iter().sum(),
        }
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter_map(|line| match line {
            Line::Frame { text, .. } => Some(text.as_slice()),
            Line::Reply { .. } => None,
        })
    }

    fn engine(&self, tables: &[Table]) -> Engine {
        let is_taken = |stream: &Stream| TABLES.contains(&stream.table()) || tables.contains(&stream.table());
        let config = EngineConfig {
            mode: Mode::Replay,
            streams: Stream::ALL.into_iter().filter(is_taken).collect(),
            tables: tables.to_vec(),
            ..EngineConfig::new(self.venue)
        };
        let at = match self.lines.first() {
            Some(Line::Frame { at, .. } | Line::Reply { at, .. }) => *at,
            None => Stamp::default(),
        };
        let mut engine = Engine::start(config, "bench", at).unwrap();
        for conn in 1..=self.connections {
            engine
                .handle(at, Input::ConnUp { conn: ConnId(conn), url: "", link: xtrader_core::engine::Link::default() });
        }
        engine
    }

    /// Time that `on_frame` takes for the frames that are timed.
    fn time(&self, mut on_frame: impl FnMut(&[u8])) -> Duration {
        self.texts().take(self.untimed).for_each(&mut on_frame);
        let begin = Instant::now();
        self.texts().skip(self.untimed).for_each(&mut on_frame);
        begin.elapsed()
    }

    fn simd_json_tape(&self) -> Duration {
        let (mut scratch, mut buffers, mut tape) = (Vec::new(), Buffers::default(), Tape(Vec::new()));
        self.time(|text| {
            scratch.clear();
            scratch.extend_from_slice(text);
            let mut empty = std::mem::replace(&mut tape, Tape(Vec::new())).reset();
            simd_json::fill_tape(&mut scratch, &mut buffers, &mut empty).unwrap();
            black_box(&empty);
            tape = empty.reset();
        })
    }

    fn peek<P: Protocol>(&self) -> Duration {
        self.time(|text| {
            black_box(P::peek(text));
        })
    }

    fn decode<P: Protocol>(&self) -> Duration {
        let (mut levels, mut trades, mut reader) =
            (DecodedLevels::default(), TradeRows::default(), WireReader::default());
        let isa = Isa::best();
        let mut missed = 0_u64;
        // They grow with the numbers, as an engine's do.
        let mut scales = Scales::default();
        let spent = self.time(|text| {
            let miss = match P::peek(text) {
                Peek::Event(head) => match head.kind {
                    EventKind::Depth | EventKind::Book => {
                        let decoded = P::decode_book(isa, text, &head, scales, 1 << 20, &mut levels);
                        let Scales { price, size } = levels.scales();
                        scales = Scales { price: scales.price.max(price), size: scales.size.max(size) };
                        matches!(black_box(decoded), Decoded::Miss)
                    }
                    EventKind::AggTrade | EventKind::Trade => {
                        trades.clear();
                        let decoded = P::decode_trades(isa, text, &head, scales, &mut trades);
                        matches!(black_box(decoded), Decoded::Miss)
                    }
                    EventKind::Bbo => matches!(black_box(P::decode_bbo(isa, text, &head, scales)), Decoded::Miss),
                    EventKind::MixedTrades => true,
                    // None of the tables below is made of them.
                    EventKind::State => false,
                },
                Peek::Miss => true,
                Peek::Answer | Peek::Ignored(_) => false,
            };
            if miss {
                missed += 1;
                let _ = black_box(reader.read::<P>(text).is_ok());
            }
        });
        black_box(missed);
        spent
    }

    /// Time that a new engine takes for all frames and to close what is open behind them, and for the frames of the
    /// second half alone.
    fn engine_time(&self, tables: &[Table]) -> (Duration, Duration) {
        let mut engine = self.engine(tables);
        let (mut first, mut spent) = (Duration::ZERO, Duration::ZERO);
        let mut begin = Instant::now();
        let mut frames = 0;
        for line in &self.lines {
            match line {
                Line::Frame { conn, at, text } => {
                    if frames == self.untimed {
                        first = spent + begin.elapsed();
                        (spent, begin) = (Duration::ZERO, Instant::now());
                    }
                    frames += 1;
                    engine.handle(*at, Input::Frame { conn: *conn, payload: text });
                    while let Some(batch) = engine.poll_batch() {
                        black_box(batch);
                    }
                }
                Line::Reply { at, url, body } => {
                    spent += begin.elapsed();
                    reply(&mut engine, *at, url, body);
                    begin = Instant::now();
                }
            }
        }
        let second = spent + begin.elapsed();
        let begin = Instant::now();
        engine.close_batches();
        while let Some(batch) = engine.poll_batch() {
            black_box(batch);
        }
        (first + second + begin.elapsed(), second)
    }

    /// Allocations per frame between batch closes, per batch close, and per frame that is the first of its instrument and
    /// kind, in the second half of the capture.
    fn allocation_counts<P: Protocol>(&self, tables: &[Table]) -> [f64; 3] {
        let mut engine = self.engine(tables);
        let (mut quiet, mut quiet_frames, mut closing, mut batches) = (0, 0_u64, 0, 0_u64);
        let (mut first, mut firsts, mut known) = (0, 0_u64, HashSet::new());
        let mut frames = 0;
        for line in &self.lines {
            match line {
                Line::Reply { at, url, body } => reply(&mut engine, *at, url, body),
                Line::Frame { conn, at, text } => {
                    let is_first = match P::peek(text) {
                        Peek::Event(head) => known.insert((*conn, head.symbol, head.kind as u8)),
                        _ => false,
                    };
                    let before = allocations();
                    engine.handle(*at, Input::Frame { conn: *conn, payload: text });
                    let mut closed = 0;
                    while let Some(batch) = engine.poll_batch() {
                        closed += 1;
                        drop(black_box(batch));
                    }
                    let during = allocations() - before;
                    frames += 1;
                    if frames <= self.untimed {
                        continue;
                    }
                    if closed > 0 {
                        closing += during;
                        batches += closed;
                    } else if is_first {
                        first += during;
                        firsts += 1;
                    } else {
                        quiet += during;
                        quiet_frames += 1;
                    }
                }
            }
        }
        if batches == 0 {
            let before = allocations();
            engine.close_batches();
            while let Some(batch) = engine.poll_batch() {
                batches += 1;
                drop(black_box(batch));
            }
            closing = allocations() - before;
        }
        [(quiet, quiet_frames), (closing, batches), (first, firsts)]
            .map(|(all, times)| all as f64 / times.max(1) as f64)
    }
}

fn reply(engine: &mut Engine, at: Stamp, url: &str, body: &[u8]) {
    engine.handle(at, Input::Http(HttpReply { request: None, url, status: 200, retry_after_ms: None, body }));
    while let Some(batch) = engine.poll_batch() {
        drop(batch);
    }
    while engine.poll_action().is_some() {}
}

const TABLES: [Table; 3] = [Table::Trades, Table::L2, Table::Bbo];
const WITH_STATES: [Table; 6] =
    [Table::Trades, Table::L2, Table::Bbo, Table::Derivatives, Table::Options, Table::Liquidations];

fn main() {
    let mut rounds = 5_u32;
    let mut paths = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => rounds = args.next().and_then(|n| n.parse().ok()).expect("--rounds takes a number"),
            "--core" => {
                let id = args.next().and_then(|n| n.parse().ok()).expect("--core takes a number");
                core_affinity::set_for_current(core_affinity::CoreId { id });
            }
            // What `cargo bench` adds.
            "--bench" => {}
            path => paths.push(PathBuf::from(path)),
        }
    }
    let captures: Vec<serde_json::Value> = paths
        .iter()
        .map(|path| {
            let capture = Capture::read(path);
            let whole = capture.frames + capture.untimed;
            let best_of = |frames: usize, stage: &dyn Fn() -> Duration| {
                let nanos = (0..rounds.max(1)).map(|_| stage().as_nanos()).min().unwrap_or(0);
                (nanos as f64 / frames.max(1) as f64 * 10.0).round() / 10.0
            };
            let best = |stage: &dyn Fn() -> Duration| best_of(capture.frames, stage);
            let [per_frame, per_batch, per_first] =
                with_protocol!(capture.venue, P => capture.allocation_counts::<P>(&TABLES));
            serde_json::json!({
                "capture": path,
                "frames": capture.frames,
                "bytes": capture.bytes,
                "simd_json_tape": best(&|| capture.simd_json_tape()),
                "peek": best(&|| with_protocol!(capture.venue, P => capture.peek::<P>())),
                "decode": best(&|| with_protocol!(capture.venue, P => capture.decode::<P>())),
                "book": best(&|| capture.engine_time(&[]).1),
                "columns": best(&|| capture.engine_time(&TABLES).1),
                "columns_states": best(&|| capture.engine_time(&WITH_STATES).1),
                "frames_whole": whole,
                "columns_whole": best_of(whole, &|| capture.engine_time(&TABLES).0),
                "allocations_per_frame": per_frame,
                "allocations_per_batch": per_batch,
                "allocations_per_first": per_first,
            })
        })
        .collect();
    println!("{}", serde_json::json!({ "captures": captures }));
}

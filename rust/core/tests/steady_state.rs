//! Books and arbiters that have reached their size allocate nothing, nor does an engine that has seen its instruments.

#[path = "steady_state/feeds.rs"]
mod feeds;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use xtrader_core::arbiter::{Deduper, SequenceWindow};
use xtrader_core::book::OrderBook;
use xtrader_core::config::{BatchLimits, DedupLimits, EngineConfig, Mode, SizeUnit, Stream};
use xtrader_core::engine::{Engine, HttpReply, Input};
use xtrader_core::event::{DecodedLevels, Level, Levels, Scales};
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::table::Table;
use xtrader_core::time::Stamp;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on as it came; the counter is a plain thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// A price that wanders over several windows and back, with levels near it, far from it and off its tick.
fn messages() -> Vec<DecodedLevels> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below) as i64
    };
    let mut message = |step: i64| {
        let mid = 600_000 + 30 * (1000 - (step - 1000).abs());
        let mut side = |away: i64| {
            let level = |draw: &mut dyn FnMut(u64) -> i64| {
                let distance = if draw(10) == 0 { draw(60_000) } else { draw(800) };
                let off_tick = i64::from(draw(200) == 0);
                Level { price: (mid + away * (1 + distance)) * 5 + off_tick, size: draw(2) * (1 + draw(99)) }
            };
            (0..20).map(|_| level(&mut draw)).collect()
        };
        let (bids, asks) = (side(-1), side(1));
        DecodedLevels {
            narrow: Levels { scales: Scales { price: 1, size: 3 }, bids, asks },
            wide: None,
            padded: Vec::new(),
        }
    };
    (0..2000).map(&mut message).collect()
}

#[test]
fn a_book_that_has_reached_its_size() {
    let messages = messages();
    let mut book = OrderBook::new();
    let tick = xtrader_core::decimal::Decimal::new(5, 1);
    book.set_reference(Some(tick), None);
    let rounds = [(); 4].map(|()| {
        allocations(|| {
            for message in &messages {
                book.apply(message).expect("it fits");
            }
        })
    });
    assert!(rounds[0] > 0, "the first round grows");
    // In the second, blocks of the spill may still be split where they were not before.
    assert_eq!(rounds[2..], [0, 0], "{rounds:?}");
}

#[test]
fn arbiters_from_their_construction() {
    let mut window = SequenceWindow::default();
    let mut numbers = Deduper::<u64>::new(1000, 500);
    let mut texts = Deduper::with_key_bytes(1000, 500, 6000);
    let count = allocations(|| {
        for n in 0..100_000i64 {
            window.insert(n * 3 / 2);
            numbers.insert(&n.unsigned_abs(), n.unsigned_abs() / 2);
            texts.insert(&n.to_le_bytes(), n.unsigned_abs() / 3);
        }
    });
    assert_eq!(count, 0);
    assert!(window.low() > Some(0) && numbers.metrics().evicted > 0 && texts.metrics().evicted > 0);
}

/// 2026-11-22 12:00:00 UTC.
const NOON: i64 = 1_795_348_800 * 1_000_000_000;

#[test]
fn engines_of_every_exchange() {
    steady(1);
}

/// Copies that lost, races and what is counted of them included.
#[test]
fn engines_with_three_connections_to_each_stream() {
    steady(3);
}

/// What a second connection costs is paid with its first frame, not when the first one brings the next news.
#[test]
fn engines_whose_streams_a_second_connection_joins() {
    for feed in feeds::all() {
        let mut begun = Begun::new(&feed, 2);
        let alone: Vec<String> = (0..feeds::STEPS).flat_map(|step| (feed.frames)(step)).collect();
        begun.run(&alone, &[ConnId(1)]);
        let copies = (feed.frames)(feeds::STEPS - 1);
        assert!(begun.run(&copies, &[ConnId(2)]) > 0, "{}: it joins", feed.name);
        let after: Vec<String> = (feeds::STEPS..2 * feeds::STEPS).flat_map(|step| (feed.frames)(step)).collect();
        assert_eq!(begun.run(&after, &[ConnId(1)]), 0, "{}: allocations for {} frames", feed.name, after.len());
        let news = alone.len() + after.len();
        assert_eq!(begun.engine.counters()["frames"]["accepted"], news, "{}: copies are no news", feed.name);
    }
}

fn config(venue: Venue) -> EngineConfig {
    EngineConfig {
        mode: Mode::Replay,
        streams: vec![Stream::Trades, Stream::L2, Stream::Bbo],
        tables: vec![Table::Trades, Table::L2, Table::Bbo],
        // No batch closes here: those of a close are the columns' own.
        batch: BatchLimits { max_rows: 1 << 16, max_bytes: 1 << 26, ..BatchLimits::default() },
        ..EngineConfig::new(venue)
    }
}

/// An engine whose connections are up and whose books have their snapshots.
struct Begun {
    engine: Engine,
    now: Stamp,
}

impl Begun {
    fn new(feed: &feeds::Feed, connections: u16) -> Self {
        let mut begun = Self::with(config(feed.venue), connections);
        if let Some((url, body)) = &feed.snapshot {
            let reply = HttpReply { request: None, url, status: 200, retry_after_ms: None, body: body.as_bytes() };
            begun.engine.handle(begun.now, Input::Http(reply));
        }
        begun
    }

    fn with(config: EngineConfig, connections: u16) -> Self {
        let now = Stamp { wall: NOON, mono: 0 };
        let mut engine = Engine::start(config, "steady", now).expect("a good configuration");
        for conn in (1..=connections).map(ConnId) {
            engine.handle(now, Input::ConnUp { conn, url: "", link: xtrader_core::engine::Link::default() });
        }
        Self { engine, now }
    }

    /// Hands over each frame on each of these connections: what that allocates.
    fn run(&mut self, frames: &[String], conns: &[ConnId]) -> u64 {
        allocations(|| {
            for frame in frames {
                for conn in conns {
                    self.now = Stamp { wall: self.now.wall + 1_000_000, mono: self.now.mono + 1_000_000 };
                    self.engine.handle(self.now, Input::Frame { conn: *conn, payload: frame.as_bytes() });
                }
            }
        })
    }
}

/// What an exchange says of instruments beside their books.
#[test]
fn states_of_every_exchange() {
    for feed in feeds::states() {
        let mut config = EngineConfig {
            streams: vec![feed.stream],
            tables: vec![feed.stream.table()],
            size_unit: SizeUnit::Native,
            ..config(feed.venue)
        };
        // A thousand liquidations a second: the room for their copies is found within the first half.
        config.arbitration.dedup = DedupLimits { ttl_s: 1, per_symbol: 4096, ..config.arbitration.dedup };
        let mut begun = Begun::with(config, 1);
        let frames: Vec<String> = (0..2 * feeds::STEPS).map(feed.frame).collect();
        let (first, second) = frames.split_at(frames.len() / 2);
        begun.run(first, &[ConnId(1)]);
        assert_eq!(begun.run(second, &[ConnId(1)]), 0, "{}: allocations for {} frames", feed.name, second.len());
        assert_eq!(begun.engine.counters()["frames"]["accepted"], frames.len(), "{}", feed.name);
    }
}

fn steady(connections: u16) {
    for feed in feeds::all() {
        let mut begun = Begun::new(&feed, connections);
        let conns: Vec<ConnId> = (1..=connections).map(ConnId).collect();
        let frames: Vec<String> = (0..2 * feeds::STEPS).flat_map(|step| (feed.frames)(step)).collect();
        let (first, second) = frames.split_at(frames.len() / 2);
        let (begin, steady) = (begun.run(first, &conns), begun.run(second, &conns));
        let engine = begun.engine;
        assert!(begin > 0, "{}: the first half opens books", feed.name);
        let counters = engine.counters();
        assert_eq!(counters["scanner_miss"], 0, "{}: {counters}", feed.name);
        assert_eq!(counters["gaps"], 0, "{}: {counters}", feed.name);
        assert_eq!(counters["frames"]["accepted"], frames.len(), "{}: {counters}", feed.name);
        let rows = frames.len() + usize::from(feed.snapshot.is_some());
        assert_eq!(engine.open_rows().map(|(rows, _)| rows), Some(rows), "{}", feed.name);
        assert_eq!(steady, 0, "{}: allocations for {} frames", feed.name, second.len());
        if feed.has_checksums {
            let books = engine.books();
            assert_eq!(books.len(), 1);
            let checked = serde_json::to_value(&books[0]).expect("a report")["checksum_pass"].clone();
            assert_eq!(checked, 2 * feeds::STEPS, "{}", feed.name);
        }
    }
}

//! Memory stays where it is while connections lose frames, are cut and come again: all exchanges at once, three
//! connections to each stream, the simulators in a process of their own.
//!
//! What lives on the heap is counted by the allocator, what the machine sees is read from `/proc`. Seconds show a leak of some
//! dozens of bytes for each frame, minutes one of some.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xtrader_core::config::{Endpoints, EngineConfig, SizeUnit, Stream};
use xtrader_core::symbol::Venue;
use xtrader_runtime::live::{LiveOptions, LiveStream, Next, Policy};
use xtrader_simulator::{Simulator, SimulatorConfig};

static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

fn count(bytes: usize, sign: isize) {
    LIVE.fetch_add(sign * isize::try_from(bytes).unwrap_or(isize::MAX), Ordering::Relaxed);
}

// SAFETY: every call is handed on as it came; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Each has two instruments on it.
const SYMBOLS: [(Venue, [&str; 2]); 4] = [
    (Venue::BinanceFutures, ["BTCUSDT", "ETHUSDT"]),
    (Venue::BinanceSpot, ["BTCUSDT", "ETHUSDT"]),
    (Venue::Okx, ["BTC-USDT-SWAP", "BTC-USDT"]),
    (Venue::Deribit, ["BTC-PERPETUAL", "ETH-PERPETUAL"]),
];
/// Seconds between two cuts of a connection of an exchange.
const CUT_EVERY: f64 = 2.6;
/// Tells the other process how many seconds it is to cut connections.
const SECONDS: &str = "XTRADER_SIMULATE_SECONDS";
/// Precedes the addresses on its standard output.
const MARK: &str = "addresses: ";

const MIB: isize = 1 << 20;

#[test]
fn seconds_of_losses_and_cuts_leave_it_flat() {
    run(6, 14, MIB, 12 * MIB);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn minutes_of_losses_and_cuts_leave_it_flat() {
    run(20, 120, MIB, 12 * MIB);
}

/// The other process. By itself it has nothing to do.
#[test]
#[ignore = "is run by the tests beside it"]
fn the_exchanges() {
    let Some(seconds) = std::env::var(SECONDS).ok().and_then(|text| text.parse::<f64>().ok()) else { return };
    let simulators = SYMBOLS.map(|(venue, symbols)| simulator(venue, symbols, seconds));
    let addresses =
        simulators.each_ref().map(|simulator| json!({"ws": simulator.ws_url(), "rest": simulator.rest_url()}));
    println!("\n{MARK}{}", json!(addresses));
    // Until whoever started this is gone.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn simulator(venue: Venue, symbols: [&str; 2], seconds: f64) -> Simulator {
    let config = json!({"exchange": venue.id(), "symbols": symbols, "book_levels": 100});
    let simulator = Simulator::start(SimulatorConfig::from_json(&config.to_string()).unwrap()).unwrap();
    let inject = |fault: Value, when: Value| {
        simulator.inject_json(&json!({"fault": fault, "when": when}).to_string()).unwrap();
    };
    inject(json!({"kind": "drop"}), json!({"times": 0, "probability": 0.01}));
    inject(json!({"kind": "delay", "seconds": 0.0, "jitter_s": 0.2}), json!({"times": 0}));
    let cuts = (1..).map(|n| f64::from(n) * CUT_EVERY).take_while(|after| *after < seconds);
    for after in cuts {
        inject(json!({"kind": "disconnect", "how": "fin"}), json!({"after_s": after}));
    }
    simulator
}

/// Ends with whoever started it.
struct Exchanges {
    child: Child,
    /// What else it says.
    lines: Lines<BufReader<ChildStdout>>,
    addresses: Vec<Endpoints>,
}

impl Exchanges {
    fn start(seconds: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_exchanges", "--ignored", "--nocapture"])
            .env(SECONDS, seconds.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told =
            lines.by_ref().map(Result::unwrap).find_map(|line| line.strip_prefix(MARK).map(str::to_owned)).unwrap();
        let told: Vec<Value> = serde_json::from_str(&told).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let addresses =
            told.iter().map(|told| Endpoints { ws: text(&told["ws"]), rest: text(&told["rest"]) }).collect();
        Self { child, lines, addresses }
    }
}

impl Drop for Exchanges {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.lines.by_ref().for_each(drop);
        let _ = self.child.wait();
    }
}

fn stream(venue: Venue, symbols: [&str; 2], endpoints: &Endpoints) -> LiveStream {
    let mut engine = EngineConfig::new(venue);
    engine.symbols = symbols.map(str::to_owned).to_vec();
    engine.streams = vec![Stream::Trades, Stream::L2, Stream::Bbo];
    engine.size_unit = SizeUnit::Native;
    engine.endpoints = Some(endpoints.clone());
    engine.connections = 3;
    engine.arbitration.ramp_ms = 50;
    engine.deadlines.backoff_base_ms = 20;
    engine.deadlines.backoff_cap_ms = 100;
    let mut options = LiveOptions::new(engine);
    options.policy = Policy::Block;
    LiveStream::start(options).unwrap()
}

fn resident() -> isize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<isize>().unwrap() * 4096
}

/// What is held at one moment.
struct Sample {
    live: isize,
    resident: isize,
}

/// Drains everything for so long. Yields samples, a hundred milliseconds apart, and how many rows came.
fn drain(streams: &[LiveStream], time: Duration) -> (Vec<Sample>, usize) {
    let (begin, mut samples, mut rows) = (Instant::now(), Vec::with_capacity(4096), 0);
    while begin.elapsed() < time {
        for stream in streams {
            match stream.next_batch(Duration::from_millis(2)) {
                Next::Batch(batch) => rows += batch.rows.num_rows(),
                Next::TimedOut | Next::Warning(_) => {}
                Next::Failed(error) => panic!("{error}"),
                Next::Closed => panic!("closed"),
            }
        }
        if begin.elapsed() >= Duration::from_millis(100) * u32::try_from(samples.len()).unwrap() {
            samples.push(Sample { live: LIVE.load(Ordering::Relaxed), resident: resident() });
        }
    }
    (samples, rows)
}

/// The middle of them: a batch that happens to be open, or a handshake, is no growth.
fn median(samples: &[Sample], of: fn(&Sample) -> isize) -> isize {
    let mut all: Vec<isize> = samples.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

/// After a while of warming up, what is held in the last third of the time is what was held in the first, within these
/// bounds.
fn run(warm_up: u64, seconds: u64, live_bound: isize, resident_bound: isize) {
    let exchanges = Exchanges::start(warm_up + seconds);
    let streams: Vec<LiveStream> = std::iter::zip(SYMBOLS, &exchanges.addresses)
        .map(|((venue, symbols), endpoints)| stream(venue, symbols, endpoints))
        .collect();
    let (_, rows) = drain(&streams, Duration::from_secs(warm_up));
    assert!(rows > 0, "nothing came");
    let (samples, rows) = drain(&streams, Duration::from_secs(seconds));
    let third = samples.len() / 3;
    let (first, last) = (&samples[..third], &samples[samples.len() - third..]);
    let told = |of: fn(&Sample) -> isize| (median(first, of), median(last, of));
    let (live, resident) = (told(|sample| sample.live), told(|sample| sample.resident));
    let counters = streams.iter().map(|stream| stream.report().unwrap()["counters"].clone());
    let counted = |path: &str| -> Vec<u64> {
        counters.clone().map(|counters| counters.pointer(path).and_then(Value::as_u64).unwrap()).collect()
    };
    let (frames, cuts, healed) = (counted("/frames/total"), counted("/disconnects"), counted("/healed"));
    let redundancy: Vec<Value> = counters.clone().map(|counters| counters["redundancy"].clone()).collect();
    println!("{}", json!(redundancy));
    println!("{rows} rows, frames {frames:?}, cuts {cuts:?}, healed {healed:?}, heap {live:?}, resident {resident:?}");
    assert!(cuts.iter().all(|cuts| *cuts >= (warm_up + seconds) / 6), "connections are cut: {cuts:?}");
    assert!(healed.iter().sum::<u64>() > 0, "holes are healed");
    assert!(live.1 - live.0 <= live_bound, "the heap has grown from {} to {} bytes", live.0, live.1);
    assert!(resident.1 - resident.0 <= resident_bound, "from {} to {} bytes are resident", resident.0, resident.1);
    for stream in streams {
        stream.stop().unwrap();
    }
}

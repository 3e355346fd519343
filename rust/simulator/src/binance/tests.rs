use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::book::Side;
use crate::clock::{MS, SECOND};
use crate::event::EventKind;

const START_MS: i64 = 1_795_000_000_000;

fn run(seed: u64, time: MarketTime) -> (Vec<Event>, Truth, Binance) {
    let config = SimulatorConfig { seed, odd_trades: 0.05, book_levels: 300, ..SimulatorConfig::default() };
    let mut truth = Truth::new(config.truth.clone());
    let mut venue = Binance::new(&config, START_MS, &mut truth).expect("a venue");
    let mut events = Vec::new();
    venue.advance(time, &mut events, &mut truth);
    venue.set_paused(true, time);
    venue.advance(time + SECOND, &mut events, &mut truth);
    (events, truth, venue)
}

fn json(e: &Event) -> Value {
    serde_json::from_str(&e.payload).expect("JSON")
}

/// A book of decimal texts, as far from the simulator's own as can be.
fn apply(book: &mut HashMap<(String, String), String>, payload: &Value) {
    for side in ["b", "a"] {
        for level in payload[side].as_array().expect("levels") {
            let (price, size) = (level[0].as_str().expect("price"), level[1].as_str().expect("size"));
            let key = (side.to_owned(), price.to_owned());
            if size.trim_matches(['0', '.']).is_empty() {
                book.remove(&key);
            } else {
                book.insert(key, size.to_owned());
            }
        }
    }
}

fn as_map(image: &crate::BookImage) -> HashMap<(String, String), String> {
    let side = |name: &'static str, levels: &[[String; 2]]| {
        levels.iter().map(move |l| ((name.to_owned(), l[0].clone()), l[1].clone())).collect::<Vec<_>>()
    };
    side("b", &image.bids).into_iter().chain(side("a", &image.asks)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn each_depth_stream_chains_and_sums_up_to_the_book(seed in any::<u64>()) {
        let (events, truth, _) = run(seed, 5 * SECOND);
        let mut streams: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
        for e in events.iter().filter(|e| e.kind == EventKind::Depth) {
            streams.entry(e.stream.to_string()).or_default().push(e);
        }
        prop_assert_eq!(streams.len(), 16, "four symbols at four speeds");
        for (stream, list) in streams {
            let symbol = &list[0].symbol;
            let interval = match stream.rsplit('@').next() {
                Some("100ms") => 100,
                Some("500ms") => 500,
                Some("depth") => 250,
                _ => 0,
            };
            let first = truth.first_id(symbol).expect("a book");
            let mut book = as_map(&truth.book_at(symbol, first).expect("the first book"));
            let mut last: Option<&Event> = None;
            for e in list {
                let p = json(e);
                prop_assert_eq!((&p["U"], &p["u"], &p["pu"]), (&e.first_id.into(), &e.last_id.into(), &e.prev_id.into()));
                prop_assert_eq!(e.prev_id, Some(last.map_or(first, |l| l.last_id)));
                prop_assert!(e.first_id > e.prev_id.expect("pu") + 1, "U is never the previous u + 1");
                prop_assert!(e.last_id >= e.first_id && e.emitted_ms >= e.event_ms);
                if let Some(l) = last {
                    prop_assert!(e.emitted_ms - l.emitted_ms >= interval, "{} after {}", e.emitted_ms, l.emitted_ms);
                }
                apply(&mut book, &p);
                last = Some(e);
                let truth_then = truth.book_at(symbol, e.last_id).expect("a book");
                prop_assert_eq!(&as_map(&truth_then), &book);
                prop_assert_eq!(truth_then.last_id, e.last_id);
            }
            prop_assert_eq!(as_map(&truth.final_book(symbol).expect("a book")), book, "nothing is left untold");
        }
    }

    #[test]
    fn rows_of_fills_are_contiguous_and_lose_nothing(seed in any::<u64>()) {
        let (events, _, _) = run(seed, 10 * SECOND);
        let mut rows: HashMap<String, Vec<Value>> = HashMap::new();
        let mut fills: HashMap<String, Vec<Value>> = HashMap::new();
        for e in &events {
            match e.kind {
                EventKind::AggTrade => rows.entry(e.symbol.to_string()).or_default().push(json(e)),
                EventKind::Trade => fills.entry(e.symbol.to_string()).or_default().push(json(e)),
                _ => {}
            }
        }
        for (symbol, rows) in rows {
            let mut fills = fills[&symbol].iter().peekable();
            let number = |v: &Value, k: &str| v[k].as_u64().expect("a number");
            for (i, row) in rows.iter().enumerate() {
                prop_assert_eq!(number(row, "a"), number(&rows[0], "a") + i as u64);
                let late = number(row, "E") - number(row, "T");
                prop_assert!((100..400).contains(&late), "{} ms late", late);
                let mut sum = 0.0;
                while let Some(f) = fills.next_if(|f| number(f, "t") <= number(row, "l")) {
                    let market = f["X"] == "MARKET";
                    prop_assert!(!market || (number(f, "t") >= number(row, "f") && f["p"] == row["p"] && f["m"] == row["m"]));
                    sum += if market { f["q"].as_str().expect("q").parse::<f64>().expect("a number") } else { 0.0 };
                }
                let (q, nq) = (row["q"].as_str().expect("q"), row["nq"].as_str().expect("nq"));
                let (q, nq): (f64, f64) = (q.parse().expect("a number"), nq.parse().expect("a number"));
                prop_assert!((q - sum).abs() < 1e-6 && nq <= q);
            }
            prop_assert!(fills.all(|f| f["X"] != "MARKET"));
        }
    }

    #[test]
    fn the_ticker_is_the_top_of_the_book_at_its_id(seed in any::<u64>()) {
        let (events, truth, _) = run(seed, SECOND);
        let tickers: Vec<&Event> = events.iter().filter(|e| e.kind == EventKind::BookTicker).collect();
        prop_assert!(tickers.len() > 20);
        for e in tickers {
            let (p, top) = (json(e), truth.top_at(&e.symbol, e.last_id).expect("a book"));
            prop_assert_eq!(top.last_id, e.last_id);
            let sent = [&p["b"], &p["B"], &p["a"], &p["A"]].map(|v| v.as_str().expect("text").to_owned());
            let [[b, bs], [a, as_]] = [top.bids[0].clone(), top.asks[0].clone()];
            prop_assert_eq!(sent, [b, bs, a, as_]);
        }
    }
}

#[test]
fn one_seed_gives_one_sequence_of_events_in_one_order() {
    let (a, b, c) = (run(9, SECOND).0, run(9, SECOND).0, run(10, SECOND).0);
    assert_eq!(a, b);
    assert_ne!(a, c);
    assert!(a.iter().enumerate().all(|(i, e)| e.seq == i as u64));
    assert!(a.windows(2).all(|w| w[0].emitted_ms <= w[1].emitted_ms));
}

#[test]
fn events_hold_mostly_five_to_sixty_levels() {
    let (events, _, _) = run(3, 20 * SECOND);
    let levels = |e: &Event| json(e)["b"].as_array().map_or(0, Vec::len) + json(e)["a"].as_array().map_or(0, Vec::len);
    let mut counts: Vec<usize> = events.iter().filter(|e| &*e.stream == "btcusdt@depth@100ms").map(levels).collect();
    counts.sort_unstable();
    let usual = counts.iter().filter(|n| (5..=60).contains(*n)).count();
    assert!(usual * 10 > counts.len() * 8, "{counts:?}");
}

fn ask(venue: &mut Binance, truth: &Truth, now: MarketTime, fault: Option<Fault>) -> (u64, Value) {
    let request = RestRequest { path: "/fapi/v1/depth", query: "symbol=BTCUSDT&limit=1000", now, wall_ms: 0 };
    let reply = venue.rest(&request, fault.as_slice(), truth);
    assert_eq!((reply.status, reply.again), (200, false), "{}", reply.body);
    (reply.snapshot_id.expect("an id"), serde_json::from_str(&reply.body).expect("JSON"))
}

#[test]
fn snapshots_stand_in_every_relation_to_the_events() {
    let config = SimulatorConfig { book_levels: 300, ..SimulatorConfig::default() };
    let mut truth = Truth::new(config.truth.clone());
    let mut venue = Binance::new(&config, START_MS, &mut truth).expect("a venue");
    let mut events = Vec::new();
    let now = 3 * SECOND;
    venue.advance(now, &mut events, &mut truth);
    events.into_iter().for_each(|e| truth.issue(&e.into()));
    let depth: Vec<_> = truth.events_of("btcusdt@depth@100ms").cloned().collect();
    let last = depth.last().expect("an event");
    let at = |position| Some(Fault::SnapshotAt { position, stream: None });

    let (id, body) = ask(&mut venue, &truth, now, at(SnapshotPosition::Inside));
    assert!(last.first_id <= id && id < last.last_id);
    let expected = truth.book_at("BTCUSDT", id).expect("a book");
    assert_eq!(body["bids"], serde_json::to_value(&expected.bids).expect("JSON"));

    assert_eq!(ask(&mut venue, &truth, now, at(SnapshotPosition::AtEnd)).0, last.last_id);

    let (id, _) = ask(&mut venue, &truth, now, Some(Fault::StaleSnapshot { age_s: 2.0 }));
    let then = START_MS + 1000;
    assert!(depth.iter().all(|e| e.last_id > id || e.event_ms <= then), "as of one second after the start");
    assert!(id < depth[15].first_id);

    let (_, body) = ask(&mut venue, &truth, now, Some(Fault::SnapshotOf { symbol: "ETHUSDT".into() }));
    assert!(body["bids"][0][0].as_str().expect("a price").starts_with("19"));

    let symbols: HashSet<String> = truth.symbols().into_iter().collect();
    assert_eq!(symbols.len(), 4);
}

#[test]
fn a_newer_snapshot_waits_until_there_is_one() {
    let quiet = |name: &str| crate::SymbolConfig {
        trades_per_s: 0.0,
        book_tickers_per_s: 0.0,
        depth_changes_per_s: 0.0,
        ..crate::SymbolConfig::named(name)
    };
    let config = SimulatorConfig { symbols: vec![quiet("BTCUSDT")], ..SimulatorConfig::default() };
    let mut truth = Truth::new(config.truth.clone());
    let mut venue = Binance::new(&config, START_MS, &mut truth).expect("a venue");
    assert_eq!(venue.next_time(), None, "nothing on a quiet book");
    let big = Fault::BigEvent { levels: 20 };
    let mut events = Vec::new();
    venue.strike(&big, &Target::default(), 5 * MS, &mut events, &mut truth);
    venue.advance(SECOND, &mut events, &mut truth);
    events.drain(..).for_each(|e| truth.issue(&e.into()));
    let request = RestRequest { path: "/fapi/v1/depth", query: "symbol=BTCUSDT", now: SECOND, wall_ms: 0 };
    let newer = [Fault::SnapshotAt { position: SnapshotPosition::Newer, stream: None }];
    assert!(venue.rest(&request, &newer, &truth).again);
    venue.strike(&big, &Target::default(), SECOND + 5 * MS, &mut events, &mut truth);
    let reply = venue.rest(&request, &newer, &truth);
    let last = truth.events_of("btcusdt@depth@100ms").last().expect("an event").last_id;
    assert!(!reply.again && reply.snapshot_id.expect("an id") > last);
}

#[test]
fn a_cross_is_in_the_book_the_events_and_the_truth() {
    let config = SimulatorConfig::default();
    let mut truth = Truth::new(config.truth.clone());
    let mut venue = Binance::new(&config, START_MS, &mut truth).expect("a venue");
    let mut events = Vec::new();
    venue.advance(SECOND, &mut events, &mut truth);
    let target = Target { symbol: Some("ETHUSDT".into()), ..Target::default() };
    venue.strike(&Fault::Cross { seconds: 0.3 }, &target, SECOND, &mut events, &mut truth);
    let (crossed, id) = truth.raw_book_at("ETHUSDT", u64::MAX).expect("a book");
    assert!(crossed.is_crossed());
    venue.advance(2 * SECOND, &mut events, &mut truth);
    assert!(events.iter().any(|e| e.kind == EventKind::BookTicker && e.last_id == id));
    assert!(!truth.raw_book_at("ETHUSDT", u64::MAX).expect("a book").0.is_crossed());
    assert!(crossed.best(Side::Bid) >= crossed.best(Side::Ask).map(|(p, _)| (p, 0)));
}

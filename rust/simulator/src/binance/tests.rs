use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use serde_json::Value;

use super::dialect::Product;
use super::*;
use crate::book::Side;
use crate::clock::{MS, SECOND};
use crate::event::EventKind;
use crate::exchange::ExchangeName;
use crate::fault::SnapshotPosition;

const START_MS: i64 = 1_795_000_000_000;

const BOTH: [(ExchangeName, &Dialect); 2] =
    [(ExchangeName::BinanceFutures, &FUTURES), (ExchangeName::BinanceSpot, &SPOT)];

fn venue(config: &SimulatorConfig) -> (Binance, Truth) {
    let mut truth = Truth::new(config.truth.clone());
    let dialect = BOTH.into_iter().find(|b| b.0 == config.exchange).expect("Binance").1;
    (Binance::new(dialect, config, START_MS, &mut truth).expect("a venue"), truth)
}

fn run_with(config: &SimulatorConfig, time: MarketTime) -> (Vec<Event>, Truth, Binance) {
    let (mut venue, mut truth) = venue(config);
    let mut events = Vec::new();
    venue.advance(time, &mut events, &mut truth);
    venue.set_paused(true, time);
    venue.advance(time + 2 * SECOND, &mut events, &mut truth);
    (events, truth, venue)
}

fn run_of(exchange: ExchangeName, seed: u64, time: MarketTime) -> (Vec<Event>, Truth, Binance) {
    let odd_trades = if exchange == ExchangeName::BinanceFutures { 0.05 } else { 0.0 };
    let config = SimulatorConfig { seed, odd_trades, book_levels: 300, ..SimulatorConfig::of(exchange) };
    run_with(&config, time)
}

fn run(seed: u64, time: MarketTime) -> (Vec<Event>, Truth, Binance) {
    run_of(ExchangeName::BinanceFutures, seed, time)
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

/// One stream of changes: its ids chain, its throttle holds, and it sums up to the book.
fn chains(dialect: &Dialect, truth: &Truth, list: &[&Event], interval: i64) -> Result<(), TestCaseError> {
    let symbol = &list[0].symbol;
    let first = truth.first_id(symbol).expect("a book");
    let mut book = as_map(&truth.book_at(symbol, first).expect("the first book"));
    let mut last: Option<&Event> = None;
    for e in list {
        let p = json(e);
        prop_assert_eq!((&p["U"], &p["u"]), (&e.first_id.into(), &e.last_id.into()));
        let prev = e.prev_id.expect("the id before");
        prop_assert_eq!(prev, last.map_or(first, |l| l.last_id));
        match dialect.product {
            Product::Futures => {
                prop_assert_eq!(&p["pu"], prev);
                prop_assert!(e.first_id > prev + 1, "U is never the previous u + 1");
            }
            Product::Spot => {
                prop_assert!(p.get("pu").is_none());
                prop_assert_eq!(e.first_id, prev + 1);
            }
        }
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
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn each_depth_stream_chains_and_sums_up_to_the_book(seed in any::<u64>()) {
        for (exchange, dialect) in BOTH {
            let (events, truth, _) = run_of(exchange, seed, 5 * SECOND);
            let mut streams: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
            for e in events.iter().filter(|e| e.kind == EventKind::Depth) {
                streams.entry(e.stream.to_string()).or_default().push(e);
            }
            prop_assert_eq!(streams.len(), 4 * dialect.speeds.len(), "four symbols at all speeds");
            for (stream, list) in streams {
                let interval = match stream.rsplit('@').next() {
                    Some("100ms") => 100,
                    Some("500ms") => 500,
                    Some("depth") => dialect.plain_speed.interval_ms() as i64,
                    _ => 0,
                };
                chains(dialect, &truth, &list, interval)?;
            }
        }
    }

    #[test]
    fn phases_cut_other_batches_over_the_same_ids(seed in any::<u64>()) {
        for (exchange, dialect) in BOTH {
            let config = SimulatorConfig { seed, batch_phases: 3, book_levels: 300, ..SimulatorConfig::of(exchange) };
            let (events, truth, _) = run_with(&config, 3 * SECOND);
            let of = |phase: usize| -> Vec<&Event> {
                events.iter().filter(|e| &*e.stream == "btcusdt@depth@100ms" && e.phase == phase).collect()
            };
            let mut ends = HashSet::new();
            for phase in 0..3 {
                chains(dialect, &truth, &of(phase), 100)?;
                ends.insert(of(phase).iter().map(|e| e.last_id).collect::<Vec<_>>());
            }
            prop_assert_eq!(ends.len(), 3);
            prop_assert!(events.iter().all(|e| e.kind == EventKind::Depth || e.phase == 0));
        }
    }

    #[test]
    fn rows_of_fills_are_contiguous_and_lose_nothing(seed in any::<u64>()) {
        for (exchange, _) in BOTH {
        let (events, _, _) = run_of(exchange, seed, 10 * SECOND);
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
                    let market = f.get("X").is_none_or(|x| x == "MARKET");
                    prop_assert!(!market || (number(f, "t") >= number(row, "f") && f["p"] == row["p"] && f["m"] == row["m"]));
                    sum += if market { f["q"].as_str().expect("q").parse::<f64>().expect("a number") } else { 0.0 };
                }
                let nq = row.get("nq").unwrap_or(&row["q"]);
                let (q, nq) = (row["q"].as_str().expect("q"), nq.as_str().expect("nq"));
                let (q, nq): (f64, f64) = (q.parse().expect("a number"), nq.parse().expect("a number"));
                prop_assert!((q - sum).abs() < 1e-6 && nq <= q);
            }
            prop_assert!(fills.all(|f| f.get("X").is_some_and(|x| x != "MARKET")));
        }
        }
    }

    #[test]
    fn the_ticker_is_the_top_of_the_book_at_its_id(seed in any::<u64>()) {
        for (exchange, _) in BOTH {
        let (events, truth, _) = run_of(exchange, seed, SECOND);
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
    let (mut venue, mut truth) = venue(&config);
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
    let quiet = |name: &str| SymbolConfig {
        trades_per_s: 0.0,
        book_tickers_per_s: 0.0,
        depth_changes_per_s: 0.0,
        ..SymbolConfig::named(name)
    };
    let config = SimulatorConfig { symbols: vec![quiet("BTCUSDT")], mark_prices: false, ..SimulatorConfig::default() };
    let (mut venue, mut truth) = venue(&config);
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
    let (mut venue, mut truth) = venue(&config);
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

fn get(venue: &mut Binance, truth: &Truth, path: &str, query: &str, now: MarketTime) -> (u16, Value) {
    let reply = venue.rest(&RestRequest { path, query, now, wall_ms: 0 }, &[], truth);
    (reply.status, serde_json::from_str(&reply.body).expect("JSON"))
}

#[test]
fn images_are_the_top_of_the_book_and_made_only_when_wanted() {
    for (exchange, _) in BOTH {
        let config = SimulatorConfig { book_levels: 300, ..SimulatorConfig::of(exchange) };
        let (mut venue, mut truth) = venue(&config);
        let mut events = Vec::new();
        venue.advance(SECOND, &mut events, &mut truth);
        assert!(events.iter().all(|e| e.kind != EventKind::BookImage));
        let mut session = venue.open("/ws/btcusdt@depth5@100ms/btcusdt@depth20").expect("a session");
        venue.advance(4 * SECOND, &mut events, &mut truth);
        let images: Vec<&Event> = events.iter().filter(|e| e.kind == EventKind::BookImage).collect();
        let count = |stream: &str| images.iter().filter(|e| &*e.stream == stream).count();
        assert!(count("btcusdt@depth5@100ms") > 20 && count("btcusdt@depth20") >= 2, "{}", images.len());
        for e in images {
            assert!(session.deliver(e, 0).is_some() && e.prev_id.is_none());
            let (p, truth) = (json(e), truth.book_at("BTCUSDT", e.last_id).expect("a book"));
            let levels = if e.stream.contains("depth5") { 5 } else { 20 };
            let (bids, asks) = match exchange {
                ExchangeName::BinanceSpot => {
                    assert_eq!(p.as_object().map(serde_json::Map::len), Some(3), "no event type, no symbol");
                    assert_eq!(p["lastUpdateId"], e.last_id);
                    (&p["bids"], &p["asks"])
                }
                _ => (&p["b"], &p["a"]),
            };
            assert_eq!(bids, &serde_json::json!(truth.bids[..levels]));
            assert_eq!(asks, &serde_json::json!(truth.asks[..levels]));
        }
    }
}

#[test]
fn block_trades_count_by_themselves() {
    let config = SimulatorConfig { block_trades: 0.3, ..SimulatorConfig::of(ExchangeName::BinanceSpot) };
    let (events, _, _) = run_with(&config, 5 * SECOND);
    let of = |kind| ids(&events, kind);
    let blocks: Vec<u64> = of(EventKind::BlockTrade);
    assert!(blocks.len() > 5 && blocks.windows(2).all(|w| w[1] == w[0] + 1));
    assert!(of(EventKind::Trade).iter().all(|id| *id > 1_000_000_000));
    assert!(of(EventKind::Trade).windows(2).all(|w| w[1] == w[0] + 1), "contiguous");
}

fn ids(events: &[Event], kind: EventKind) -> Vec<u64> {
    events.iter().filter(|e| e.kind == kind && &*e.symbol == "BTCUSDT").map(|e| e.last_id).collect()
}

#[test]
fn mark_prices_come_in_two_frames_a_second() {
    let (events, truth, mut venue) = run(4, 6 * SECOND + 500 * MS);
    let of = |stream: &str| -> Vec<&Event> { events.iter().filter(|e| &*e.stream == stream).collect() };
    assert_eq!((of("btcusdt@markPrice@1s").len(), of("btcusdt@markPrice").len()), (6, 2));
    let all = of("!markPrice@arr@1s");
    assert_eq!((all.len(), of("!markPrice@arr").len()), (12, 4));
    let rows = |e: &Event| json(e).as_array().expect("rows").clone();
    let (first, second) = (rows(all[0]), rows(all[1]));
    assert_eq!((first.len(), second.len()), (4, 1));
    assert!(first.iter().any(|r| r["st"] == 2) && second.iter().all(|r| r["st"] == 1));
    assert_eq!((&second[0]["s"], &second[0]["T"], &second[0]["r"]), (&"BTCUSDT_261225".into(), &0.into(), &"".into()));
    let funded = &first[0];
    assert_eq!(funded["T"].as_i64().expect("T") % (8 * 3_600_000), 0);
    assert!(all.iter().all(|e| e.family == "market"));

    let (status, one) = get(&mut venue, &truth, "/fapi/v1/premiumIndex", "symbol=BTCUSDT", 7 * SECOND);
    assert_eq!((status, &one["symbol"], &one["lastFundingRate"]), (200, &"BTCUSDT".into(), &funded["r"]));
    let mark: f64 = one["markPrice"].as_str().expect("text").parse().expect("a number");
    let top = truth.final_book("BTCUSDT").expect("a book");
    let (bid, ask): (f64, f64) = (top.bids[0][0].parse().expect("bid"), top.asks[0][0].parse().expect("ask"));
    assert!((mark - (bid + ask) / 2.0).abs() < 1e-6);
    let (_, all) = get(&mut venue, &truth, "/fapi/v1/premiumIndex", "", 7 * SECOND);
    assert_eq!(all.as_array().map(Vec::len), Some(4));
    let (_, open) = get(&mut venue, &truth, "/fapi/v1/openInterest", "symbol=ETHUSDT", 7 * SECOND);
    assert!(open["openInterest"].as_str().expect("text").parse::<f64>().expect("a number") > 0.0);
    assert_eq!(get(&mut venue, &truth, "/fapi/v1/openInterest", "symbol=NO", 7 * SECOND).0, 400);
}

#[test]
fn liquidations_are_the_latest_of_their_second() {
    let config = SimulatorConfig { liquidations: 1.0, ..SimulatorConfig::default() };
    let (events, _, _) = run_with(&config, 10 * SECOND);
    let all: Vec<&Event> = events.iter().filter(|e| &*e.stream == "!forceOrder@arr").collect();
    let own: Vec<&Event> = events.iter().filter(|e| &*e.stream == "btcusdt@forceOrder").collect();
    assert!(own.len() >= 8 && all.len() > own.len());
    assert!(own.windows(2).all(|w| w[1].emitted_ms - w[0].emitted_ms >= 1000), "one a second at most");
    let orders = json(own[0]);
    assert_eq!((&orders["o"]["s"], &orders["o"]["T"]), (&"BTCUSDT".into(), &own[0].event_ms.into()));
}

#[test]
fn instruments_come_go_and_halt_while_the_market_runs() {
    for (exchange, dialect) in BOTH {
        let config = SimulatorConfig { book_levels: 100, ..SimulatorConfig::of(exchange) };
        let (mut venue, mut truth) = venue(&config);
        let mut events = Vec::new();
        venue.advance(SECOND, &mut events, &mut truth);
        let mut strike = |venue: &mut Binance, truth: &mut Truth, fault: &str, symbol: Option<&str>, at| {
            let fault: Fault = serde_json::from_str(fault).expect("a fault");
            let target = Target { symbol: symbol.map(str::to_owned), ..Target::default() };
            venue.strike(&fault, &target, at, &mut events, truth);
            venue.advance(at + SECOND, &mut events, truth);
            std::mem::take(&mut events)
        };
        let list = r#"{"kind":"list","symbol":"NEWUSDT","opens_after_s":1.5}"#;
        strike(&mut venue, &mut truth, list, None, SECOND);
        let path = |name: &str| format!("{}/{name}", dialect.rest);
        let status = |venue: &mut Binance, truth: &Truth, symbol: &str| {
            let (_, info) = get(venue, truth, &path("exchangeInfo"), "", 2 * SECOND);
            let rows = info["symbols"].as_array().expect("rows").clone();
            rows.iter().find(|r| r["symbol"] == symbol).map(|r| r["status"].clone())
        };
        assert_eq!(status(&mut venue, &truth, "NEWUSDT"), Some(dialect.trading.into()));
        let (code, empty) = get(&mut venue, &truth, &path("depth"), "symbol=NEWUSDT", 2 * SECOND);
        assert_eq!((code, &empty["bids"]), (200, &serde_json::json!([])));
        let spot = dialect.product == Product::Spot;
        assert_eq!(empty["lastUpdateId"] == -1, spot);

        let events =
            strike(&mut venue, &mut truth, r#"{"kind":"status","status":"BREAK"}"#, Some("ETHUSDT"), 2 * SECOND);
        let first = events.iter().find(|e| &*e.stream == "newusdt@depth@100ms").expect("it opened");
        assert_eq!(first.prev_id, Some(empty["lastUpdateId"].as_u64().unwrap_or(0)));
        assert!(json(first)["b"].as_array().is_some_and(|b| b.len() > 50));
        assert_eq!(status(&mut venue, &truth, "ETHUSDT"), Some("BREAK".into()));
        strike(&mut venue, &mut truth, r#"{"kind":"delist"}"#, Some("SOLUSDT"), 3 * SECOND);
        let events = strike(&mut venue, &mut truth, r#"{"kind":"rate","factor":1}"#, None, 4 * SECOND);
        let touched: HashSet<&str> =
            events.iter().filter(|e| e.kind == EventKind::BookTicker).map(|e| &*e.symbol).collect();
        assert!(touched.contains("NEWUSDT") && touched.contains("BTCUSDT"));
        assert!(!touched.contains("ETHUSDT") && !touched.contains("SOLUSDT"), "{touched:?}");
        assert_eq!(status(&mut venue, &truth, "SOLUSDT"), None);
        assert_eq!(get(&mut venue, &truth, &path("depth"), "symbol=SOLUSDT", 5 * SECOND).1["code"], -1121);

        let trading = format!(r#"{{"kind":"status","status":"{}"}}"#, dialect.trading);
        let events = strike(&mut venue, &mut truth, &trading, Some("ETHUSDT"), 5 * SECOND);
        assert!(events.iter().any(|e| &*e.symbol == "ETHUSDT"), "it goes on");
        let book = |symbol: &str| truth.final_book(symbol).expect("a book");
        assert!(book("NEWUSDT").bids.len() > 50);
    }
}

#[test]
fn spot_refuses_what_it_has_not_got() {
    let refused = |change: fn(&mut SimulatorConfig)| {
        let mut config = SimulatorConfig::of(ExchangeName::BinanceSpot);
        change(&mut config);
        let mut truth = Truth::new(config.truth.clone());
        Binance::new(&SPOT, &config, START_MS, &mut truth).err().expect("refused").to_string()
    };
    assert!(refused(|c| c.depth_speeds = vec![DepthSpeed::Ms250]).contains("it has 100ms, 1000ms"));
    assert!(refused(|c| c.symbols[0].tick = "0.000000001".into()).contains("symbols.BTCUSDT"));
}

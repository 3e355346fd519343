use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::EventKind;
use crate::venue::Reply;

const START_MS: i64 = 1_795_000_000_000;

fn venue(config: &SimulatorConfig) -> (Okx, Truth) {
    let mut truth = Truth::new(config.truth.clone());
    let venue = Okx::new(config, START_MS, &mut truth).expect("a venue");
    (venue, truth)
}

fn config(symbols: &[&str]) -> SimulatorConfig {
    SimulatorConfig {
        symbols: symbols.iter().map(|s| SymbolConfig::named(s)).collect(),
        ..SimulatorConfig::of(crate::ExchangeName::Okx)
    }
}

const ONE: &[&str] = &["BTC-USDT-SWAP"];

fn advance(venue: &mut Okx, truth: &mut Truth, to: MarketTime) -> Vec<Event> {
    let mut events = Vec::new();
    venue.advance(to, &mut events, truth);
    events
}

fn strike(venue: &mut Okx, truth: &mut Truth, now: MarketTime, fault: &Fault, symbol: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let target = Target { symbol: Some(symbol.into()), ..Target::default() };
    venue.strike(fault, &target, now, &mut events, truth);
    events
}

fn present(venue: &mut Okx, stream: &str, now: MarketTime) -> Event {
    let mut events = Vec::new();
    venue.present(stream, now, &mut events);
    assert_eq!(events.len(), 1, "{stream}");
    events.remove(0)
}

fn json(e: &Event) -> Value {
    serde_json::from_str(&e.payload).expect("JSON")
}

fn row(e: &Event) -> Value {
    json(e)["data"][0].clone()
}

/// A book of decimal texts, as far from the simulator's own as can be.
type Texts = BTreeMap<(&'static str, String), String>;

fn apply(book: &mut Texts, row: &Value) {
    for side in ["bids", "asks"] {
        for level in row[side].as_array().expect("levels") {
            assert_eq!(level[2], "0", "the third value is always 0");
            let (price, size) = (level[0].as_str().expect("price"), level[1].as_str().expect("size"));
            let key = (side, price.to_owned());
            if size == "0" {
                assert!(book.remove(&key).is_some(), "no orphan is deleted: {level}");
            } else {
                book.insert(key, size.to_owned());
            }
        }
    }
}

fn plain(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

fn best(image: &crate::BookImage, levels: usize) -> Texts {
    let side = |name: &'static str, rows: &[[String; 2]]| {
        rows.iter().take(levels).map(move |l| ((name, plain(&l[0])), plain(&l[1]))).collect::<Vec<_>>()
    };
    side("bids", &image.bids).into_iter().chain(side("asks", &image.asks)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// The manual's state machine (§4), on a subscription that begins at any time, also over a reset of the ids.
    #[test]
    fn each_book_channel_chains_from_its_snapshot_to_the_true_book(seed in any::<u64>(), begin in 1..3000u64) {
        let (mut venue, mut truth) = venue(&SimulatorConfig { seed, book_levels: 500, ..config(ONE) });
        advance(&mut venue, &mut truth, begin * MS);
        let mut held: HashMap<&str, (Texts, i64)> = HashMap::new();
        let mut events: Vec<Event> = Vec::new();
        for channel in ["books", "books-l2-tbt", "books50-l2-tbt"] {
            events.push(present(&mut venue, &format!("{channel}:BTC-USDT-SWAP"), begin * MS));
        }
        events.extend(advance(&mut venue, &mut truth, (begin + 800) * MS));
        events.extend(strike(&mut venue, &mut truth, (begin + 800) * MS, &Fault::RestartIds, ONE[0]));
        events.extend(advance(&mut venue, &mut truth, (begin + 1600) * MS));
        let (mut falls, mut updates) = (0, 0);
        for e in &events {
            let (name, depth) = match &*e.stream {
                "books:BTC-USDT-SWAP" => ("books", 400),
                "books-l2-tbt:BTC-USDT-SWAP" => ("books-l2-tbt", 400),
                "books50-l2-tbt:BTC-USDT-SWAP" => ("books50-l2-tbt", 50),
                _ => continue,
            };
            let row = row(e);
            let (book, last) = held.entry(name).or_default();
            prop_assert_eq!(&row["checksum"], 0);
            if e.kind == EventKind::Snapshot {
                prop_assert_eq!(&row["prevSeqId"], -1);
                book.clear();
            } else {
                prop_assert_eq!(&row["prevSeqId"], *last);
                falls += usize::from(row["seqId"].as_i64() < Some(*last));
                updates += 1;
            }
            apply(book, &row);
            *last = row["seqId"].as_i64().expect("an id");
            let image = truth.book_at(ONE[0], e.last_id).expect("a book");
            prop_assert_eq!(image.last_id, e.last_id);
            prop_assert_eq!(&best(&image, depth), book);
        }
        prop_assert!(updates > 50 && falls == 3, "{} updates, {} falls", updates, falls);
    }

    #[test]
    fn folds_and_single_fills_tell_the_same(seed in any::<u64>()) {
        let (mut venue, mut truth) = venue(&SimulatorConfig { seed, ..config(ONE) });
        let mut next: Option<u64> = None;
        let (mut singles, mut folds) = (BTreeMap::new(), 0);
        for e in advance(&mut venue, &mut truth, 20 * SECOND) {
            let text = |key: &str| row(&e)[key].as_str().expect(key).to_owned();
            let size = |t: &str| t.parse::<f64>().expect("a number");
            match e.kind {
                EventKind::Trade => {
                    prop_assert!(row(&e).get("count").is_none() && e.family == "business");
                    singles.insert(e.last_id, (text("px"), text("side"), text("source"), size(&text("sz"))));
                }
                EventKind::AggTrade => {
                    let (id, count): (u64, u64) = (text("tradeId").parse().expect("id"), text("count").parse().expect("count"));
                    prop_assert!(next.is_none_or(|n| id - count == n), "contiguous, counting `count`");
                    next = Some(id);
                    folds += usize::from(count > 1);
                    let part: Vec<_> = (id - count + 1..=id).map(|n| singles[&n].clone()).collect();
                    let same = |p: &&(String, String, String, f64)| (&p.0, &p.1, &p.2) == (&text("px"), &text("side"), &text("source"));
                    prop_assert_eq!(part.iter().filter(same).count() as u64, count);
                    prop_assert!((part.iter().map(|p| p.3).sum::<f64>() - size(&text("sz"))).abs() < 1e-6);
                }
                _ => {}
            }
        }
        prop_assert!(singles.len() > 100 && folds > 10);
    }
}

#[test]
fn pushes_of_one_instrument_come_in_the_documented_order() {
    let (mut venue, mut truth) = venue(&config(ONE));
    advance(&mut venue, &mut truth, 1);
    const ORDER: [&str; 5] = ["bbo-tbt", "books-l2-tbt", "books50-l2-tbt", "books", "books5"];
    for channel in ORDER {
        present(&mut venue, &format!("{channel}:{}", ONE[0]), 1);
    }
    let mut seen = 0;
    let mut last: Option<(i64, u64, usize)> = None;
    for e in advance(&mut venue, &mut truth, 5 * SECOND) {
        let Some(rank) = ORDER.iter().position(|c| e.stream.split(':').next() == Some(*c)) else { continue };
        if let Some((at, id, before)) = last.filter(|l| l.0 == e.emitted_ms) {
            assert!(rank > before && e.last_id == id, "{} at {at}", e.stream);
            seen += 1;
        }
        last = Some((e.emitted_ms, e.last_id, rank));
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn one_seed_gives_one_sequence_of_events_numbered_in_order() {
    let run = |seed| {
        let (mut venue, mut truth) = venue(&SimulatorConfig { seed, ..SimulatorConfig::of(crate::ExchangeName::Okx) });
        let first = truth.events().len() as u64;
        let events = advance(&mut venue, &mut truth, SECOND);
        assert!(events.iter().zip(first..).all(|(e, n)| e.seq == n));
        events
    };
    assert_eq!(run(9), run(9));
    assert_ne!(run(9), run(10));
}

/// With nothing traded and nothing changed: one word a minute, equal ids, no levels; images come again as they were.
#[test]
fn a_quiet_book_says_that_it_lives() {
    let mut config = config(&["BTC-USDT"]);
    let s = &mut config.symbols[0];
    (s.trades_per_s, s.book_tickers_per_s, s.depth_changes_per_s) = (0.0, 0.0, 0.0);
    let (mut venue, mut truth) = venue(&config);
    let events = advance(&mut venue, &mut truth, 61 * SECOND);
    let of = |stream: &str| events.iter().filter(|e| &*e.stream == stream).map(row).collect::<Vec<_>>();
    let books = of("books:BTC-USDT");
    assert_eq!(books.len(), 1);
    assert_eq!((&books[0]["prevSeqId"], &books[0]["asks"]), (&books[0]["seqId"], &json!([])));
    assert_eq!(of("bbo-tbt:BTC-USDT").len(), 1);
    assert_eq!(of("books5:BTC-USDT")[0]["bids"].as_array().map(Vec::len), Some(5));
    assert_eq!(of("index-tickers:BTC-USDT").len(), 7, "every ten seconds");
    venue.set_paused(true, 61 * SECOND);
    assert_eq!(venue.next_time(), None, "nothing by itself while it rests");
}

#[test]
fn checksums_are_real_where_they_are_wanted() {
    let (mut venue, mut truth) = venue(&SimulatorConfig { checksums: true, ..config(&["BTC-USDT"]) });
    let mut events = vec![present(&mut venue, "books:BTC-USDT", 0)];
    events.extend(advance(&mut venue, &mut truth, 2 * SECOND));
    let mut book = Texts::new();
    let mut checked = 0;
    for e in events.iter().filter(|e| &*e.stream == "books:BTC-USDT") {
        apply(&mut book, &row(e));
        let price = |p: &str| p.parse::<f64>().expect("a price");
        let side = |name: &str| {
            let mut s: Vec<_> =
                book.iter().filter(|(k, _)| k.0 == name).map(|(k, v)| (price(&k.1), format!("{}:{v}", k.1))).collect();
            s.sort_by(|a, b| if name == "bids" { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
            s.into_iter().take(25).map(|s| s.1).collect::<Vec<_>>()
        };
        let parts: Vec<String> = side("bids").into_iter().zip(side("asks")).flat_map(|(b, a)| [b, a]).collect();
        // Bit by bit, as IEEE 802.3 defines it.
        let crc = !parts.join(":").bytes().fold(u32::MAX, |c, b| {
            (0..8).fold(c ^ u32::from(b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
        });
        assert_eq!(row(e)["checksum"], crc.cast_signed());
        checked += 1;
    }
    assert!(checked > 5);
}

#[test]
fn subscribers_hear_the_last_trade_however_old_it_is() {
    let (mut venue, _) = venue(&config(&["BTC-USDT"]));
    let last = row(&present(&mut venue, "trades:BTC-USDT", 0));
    let age = START_MS - last["ts"].as_str().expect("ts").parse::<i64>().expect("ms");
    assert!((300_000..72_000_000 + 300_000).contains(&age), "{age} ms");
}

#[test]
fn figures_are_told_with_the_fields_of_the_manual() {
    let (mut venue, mut truth) =
        venue(&SimulatorConfig { liquidations: 1.0, ..SimulatorConfig::of(crate::ExchangeName::Okx) });
    let events = advance(&mut venue, &mut truth, 100 * SECOND);
    let found = |stream: &str, fields: &[&str]| {
        let e = events.iter().find(|e| &*e.stream == stream).unwrap_or_else(|| panic!("no {stream}"));
        let row = row(e);
        for f in fields {
            assert!(row.get(f).is_some_and(|v| v.as_str().is_some_and(|s| !s.is_empty())), "{stream}: {f} in {row}");
        }
        row
    };
    found("mark-price:BTC-USDT-SWAP", &["instType", "instId", "markPx", "ts"]);
    found("index-tickers:BTC-USD", &["instId", "idxPx", "ts"]);
    let funding =
        found("funding-rate:BTC-USD-SWAP", &["fundingRate", "method", "minFundingRate", "premium", "settState", "ts"]);
    let time = |key: &str| funding[key].as_str().expect(key).parse::<i64>().expect("ms");
    assert_eq!(time("nextFundingTime") - time("fundingTime"), 8 * 3_600_000);
    assert!(time("fundingTime") > START_MS);
    let oi = found("open-interest:BTC-USDT-SWAP", &["instType", "instId", "oi", "oiCcy", "oiUsd", "ts"]);
    let number = |key: &str| oi[key].as_str().expect(key).parse::<f64>().expect("a number");
    assert!((number("oi") * 0.01 - number("oiCcy")).abs() < 0.001, "contracts of 0.01 BTC");
    found(
        "opt-summary:BTC-USD",
        &["instId", "delta", "gamma", "vega", "theta", "markVol", "bidVol", "askVol", "fwdPx"],
    );
    let liquidation = found("liquidation-orders:SWAP", &["instId", "instFamily", "instType", "uly"]);
    let detail = &liquidation["details"][0];
    assert_eq!(detail["posSide"], if detail["side"] == "buy" { "short" } else { "long" });
    found("tickers:BTC-USD-261225-100000-C", &["last", "askPx", "bidPx", "vol24h", "ts"]);
    assert!(events.iter().all(|e| &*e.stream != "liquidation-orders:SPOT" && &*e.stream != "funding-rate:BTC-USDT"));
}

#[test]
fn before_it_opens_a_book_may_be_crossed_and_is_told_once_a_second() {
    let (mut venue, mut truth) = venue(&config(ONE));
    advance(&mut venue, &mut truth, SECOND);
    let status = |s: &str| Fault::Status { status: s.into() };
    let told = strike(&mut venue, &mut truth, SECOND, &status("preopen"), ONE[0]);
    assert!(told.iter().any(|e| &*e.stream == "instruments:SWAP" && row(e)["state"] == "preopen"));
    let events = advance(&mut venue, &mut truth, 6 * SECOND);
    let books = events.iter().filter(|e| &*e.stream == "books:BTC-USDT-SWAP").count();
    assert!((4..=6).contains(&books), "{books} updates in five seconds");
    let bbo = events.iter().rfind(|e| &*e.stream == "bbo-tbt:BTC-USDT-SWAP").map(row).expect("best prices");
    let price = |side: &str| bbo[side][0][0].as_str().expect("a price").parse::<f64>().expect("a number");
    assert!(price("bids") >= price("asks"), "crossed");
    strike(&mut venue, &mut truth, 6 * SECOND, &status("live"), ONE[0]);
    advance(&mut venue, &mut truth, 7 * SECOND);
    assert!(!truth.raw_book_at(ONE[0], u64::MAX).expect("a book").0.is_crossed());
}

#[test]
fn instruments_come_and_go() {
    let (mut venue, mut truth) = venue(&config(ONE));
    advance(&mut venue, &mut truth, SECOND);
    let new = Fault::List { symbol: SymbolConfig::named("ETH-USDT-SWAP"), opens_after_s: 1.0 };
    let told = strike(&mut venue, &mut truth, SECOND, &new, "");
    assert_eq!(row(&told[told.len() - 1])["state"], "preopen");
    assert_eq!(row(&present(&mut venue, "books:ETH-USDT-SWAP", SECOND))["asks"], json!([]));
    let events = advance(&mut venue, &mut truth, 3 * SECOND);
    assert!(events.iter().any(|e| &*e.stream == "instruments:SWAP" && row(e)["state"] == "live"));
    assert!(events.iter().any(|e| &*e.stream == "books:ETH-USDT-SWAP"));
    let rest = |venue: &mut Okx, truth: &Truth| {
        let query = "instType=SWAP";
        let request = RestRequest { path: "/api/v5/public/instruments", query, now: 3 * SECOND, wall_ms: 0 };
        let v: Value = serde_json::from_str(&venue.rest(&request, &[], truth).body).expect("JSON");
        v["data"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(rest(&mut venue, &truth), 2);
    strike(&mut venue, &mut truth, 3 * SECOND, &Fault::Delist, ONE[0]);
    assert_eq!(rest(&mut venue, &truth), 1);
    let mut session = venue.open("/ws/v5/public").expect("a session");
    let ask = r#"{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT-SWAP"}]}"#;
    assert!(matches!(&session.on_text(ask, 3 * SECOND)[..], [Reply::Text(t)] if t.contains("60018")));
    let bad = Fault::List { symbol: SymbolConfig::named("XUSDT"), opens_after_s: 0.0 };
    assert!(strike(&mut venue, &mut truth, 3 * SECOND, &bad, "").is_empty(), "no name of this exchange");
}

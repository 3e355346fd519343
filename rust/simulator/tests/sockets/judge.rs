//! The independent oracle over what a plain client recorded must agree with the truth.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use xtrader_simulator::{EventKind, RecordRequest, RecordSummary, Simulator, TradeRecord};

use crate::client::{Client, get, start, wait_until};

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("xtrader-simulator-{}-{name}", std::process::id()))
}

/// A file that goes with development. `None`, said aloud, where it is not at hand; in CI that is a failure.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn shared(path: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("XTRADER_SHARED").map_or(beside, PathBuf::from);
    let found = folder.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing", found.display());
    eprintln!("skipped: {} is missing", found.display());
    None
}

/// What differs between exchanges in the oracle's check.
struct Case {
    /// As the simulator names it.
    exchange: &'static str,
    /// As the oracle does.
    oracle: &'static str,
    /// The oracle's names of the trade channels.
    trades: &'static [(&'static str, EventKind)],
    /// A trade's id as it is written.
    trade_id: fn(&TradeRecord) -> String,
    /// Whether the oracle understands a symbol's name.
    named: fn(&str) -> bool,
    /// The number of default symbols that it does; then two of them.
    books: usize,
    symbols: [&'static str; 2],
    /// Streams of a symbol, as they are subscribed: changes of the book, trades, best bid and offer.
    depth: fn(&str) -> String,
    folded: fn(&str) -> String,
    ticker: fn(&str) -> String,
    /// Connections of a recording; the one that carries the books.
    connections: usize,
    book_connection: &'static str,
    /// Target of a fault that concerns that connection alone, and of one for trades.
    book_target: &'static str,
    trade_target: &'static str,
    /// The oracle's name of a book: by connection and symbol.
    book: fn(&str, &str) -> String,
    /// Fewer levels than a snapshot shows.
    book_levels: usize,
    /// What the oracle makes of a repeated and an old frame of the second symbol: gaps, duplicates.
    repeats: (u64, u64),
}

const BINANCE_FUTURES: Case = Case {
    exchange: "binance-futures",
    oracle: "binance_usdm",
    trades: &[("aggTrade", EventKind::AggTrade), ("trade", EventKind::Trade)],
    trade_id: |t| t.id.to_string(),
    named: |_| true,
    books: 4,
    symbols: ["BTCUSDT", "ETHUSDT"],
    depth: |s| format!("{}@depth@100ms", s.to_lowercase()),
    folded: |s| format!("{}@aggTrade", s.to_lowercase()),
    ticker: |s| format!("{}@bookTicker", s.to_lowercase()),
    connections: 2,
    book_connection: "public",
    book_target: r#"{"family":"public"}"#,
    trade_target: r#"{"family":"market"}"#,
    book: |conn, s| format!("{conn}|depth|{s}"),
    book_levels: 900,
    repeats: (0, 2),
};

const BINANCE_SPOT: Case = Case {
    exchange: "binance-spot",
    oracle: "binance",
    connections: 1,
    book_connection: "spot",
    book_target: r#"{"family":"spot"}"#,
    trade_target: r#"{"stream":"btcusdt@aggTrade"}"#,
    ..BINANCE_FUTURES
};

const DERIBIT: Case = Case {
    exchange: "deribit",
    oracle: "deribit",
    trades: &[("trades", EventKind::Trade)],
    trade_id: |t| format!("{}{}", if t.symbol.starts_with("ETH") { "ETH-" } else { "" }, t.id),
    // Combos have names of their own.
    named: |s| !s.contains("-FS-"),
    books: 7,
    symbols: ["BTC-PERPETUAL", "ETH-PERPETUAL"],
    depth: |s| format!("book.{s}.100ms"),
    folded: |s| format!("trades.{s}.100ms"),
    ticker: |s| format!("quote.{s}"),
    connections: 1,
    book_connection: "v2",
    book_target: r#"{"family":"v2"}"#,
    trade_target: r#"{"stream":"trades.BTC-PERPETUAL.100ms"}"#,
    book: |conn, s| format!("{conn}|book.100ms|{s}"),
    ..BINANCE_FUTURES
};

const OKX: Case = Case {
    exchange: "okx",
    oracle: "okx",
    trades: &[("trades", EventKind::AggTrade), ("trades-all", EventKind::Trade)],
    books: 6,
    symbols: ["BTC-USDT", "BTC-USD-SWAP"],
    depth: |s| format!("books:{s}"),
    folded: |s| format!("trades:{s}"),
    ticker: |s| format!("bbo-tbt:{s}"),
    connections: 2,
    book_connection: "public",
    book_target: r#"{"family":"public"}"#,
    trade_target: r#"{"family":"business"}"#,
    trade_id: |t| t.id.to_string(),
    named: |_| true,
    book: |conn, s| format!("{conn}|books|{s}"),
    book_levels: 380,
    // Ids may fall here: an old frame does not fit the chain, and is a gap.
    repeats: (1, 1),
};

/// Every exchange is judged by the same tests.
macro_rules! judged {
    ($name:ident, $case:expr) => {
        mod $name {
            #[test]
            fn the_oracle_agrees_with_the_truth() {
                super::agrees(&$case);
            }

            #[test]
            fn the_oracle_agrees_with_the_truth_about_faults_too() {
                super::agrees_about_faults(&$case);
            }
        }
    };
}

judged!(binance_futures, super::BINANCE_FUTURES);
judged!(binance_spot, super::BINANCE_SPOT);
judged!(deribit, super::DERIBIT);
judged!(okx, super::OKX);

fn oracle(case: &Case, capture: &PathBuf) -> Option<Value> {
    let script = shared("tools/oracle.py")?;
    let out =
        Command::new("python3").arg(script).arg(capture).args(["--exchange", case.oracle]).output().expect("python3");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(serde_json::from_slice(&out.stdout).expect("JSON"))
}

fn plain(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// Everything that the oracle says of trades and books, from the truth alone.
fn agree(case: &Case, sim: &Simulator, summary: &RecordSummary, found: &Value) {
    sim.with_truth(|t| {
        let whole: Vec<_> = t.frames(None).filter(|f| f.whole && summary.connections.contains(&f.conn)).collect();
        assert_eq!(found["lines"]["in"], whole.len(), "every frame that was handed over");
        let events: Vec<_> = whole.iter().filter_map(|f| Some((f.conn, &t.events()[f.event? as usize]))).collect();
        let count = |kind| events.iter().filter(|(_, e)| e.kind == kind).count();
        assert_eq!(found["books_total"]["updates"], count(EventKind::Depth));
        for (channel, kind) in case.trades {
            let mut rows: HashMap<u64, usize> = HashMap::new();
            t.trades(*kind, None).iter().for_each(|t| *rows.entry(t.event).or_default() += 1);
            let heard: usize = events.iter().filter_map(|(_, e)| rows.get(&e.seq)).sum();
            // The last trade, told again to who subscribes.
            let again = events.iter().filter(|(_, e)| e.kind == *kind && e.conn.is_some()).count();
            assert_eq!(found["trades_by_channel"][channel], heard + again, "{channel}");
        }

        // The last trades, word for word.
        let heard: HashSet<u64> = events.iter().map(|(_, e)| e.seq).collect();
        let trades = case.trades.iter().flat_map(|(_, kind)| t.trades(*kind, None));
        let issued: Vec<String> = trades
            .filter(|t| heard.contains(&t.event))
            .map(|t| {
                format!(
                    "{}|{}|{}|{}|{}|{}|{}",
                    case.oracle,
                    t.symbol,
                    (case.trade_id)(&t),
                    plain(&t.price),
                    plain(&t.size),
                    t.side,
                    t.time_ms * 1_000_000
                )
            })
            .collect();
        for line in found["trades"]["last3"].as_array().expect("lines") {
            assert!(issued.iter().any(|i| i == line), "{line} was never issued");
        }

        for (key, book) in found["books"].as_object().expect("books") {
            let symbol = key.rsplit('|').next().expect("a symbol");
            if book["synced_at_end"] == false {
                continue;
            }
            let id = book["last_id"].as_u64().expect("an id");
            let truth = t.book_at(symbol, id).expect("a book");
            assert_eq!(truth.last_id, id);
            let top = |levels: &[[String; 2]]| {
                json!(levels.iter().take(10).map(|l| [plain(&l[0]), plain(&l[1])]).collect::<Vec<_>>())
            };
            assert_eq!((&book["top10_bid"], &book["top10_ask"]), (&top(&truth.bids), &top(&truth.asks)), "{key}");
            assert_eq!(book["crossed_after_update"], 0);
        }
    });
}

fn agrees(case: &Case) {
    let sim = start(&json!({"exchange": case.exchange}).to_string());
    let path = temporary(&format!("{}-plain.jsonl.gz", case.exchange));
    let symbols = sim.with_truth(|t| t.symbols()).into_iter().filter(|s| (case.named)(s)).collect();
    let request = RecordRequest { symbols, ..RecordRequest::new(&path, 5.0) };
    let summary = sim.record(&request).expect("a recording");
    assert_eq!(summary.connections.len(), case.connections);
    if let Some(found) = oracle(case, &path) {
        agree(case, &sim, &summary, &found);
        let total = &found["books_total"];
        assert_eq!((&total["gaps"], &total["resyncs"], &total["bridge_failures"]), (&json!(0), &json!(0), &json!(0)));
        assert_eq!((&total["books"], &total["snapshots"]), (&json!(case.books), &json!(case.books)));
        // Books keep less than a snapshot's 1000 levels out of sight: the whole of what is in sight must be equal.
        assert_eq!(
            total["accepted"].as_u64().expect("a number") + total["stale"].as_u64().expect("a number"),
            total["updates"].as_u64().expect("a number")
        );
    }
    std::fs::remove_file(path).expect("no file");
}

fn agrees_about_faults(case: &Case) {
    let [first, second] = case.symbols;
    let target = |text: &str| serde_json::from_str::<Value>(text).expect("a target");
    let stream = |name: String| json!({ "stream": name });
    let faults = json!([
        {"fault": {"kind": "drop"}, "target": stream((case.depth)(first)), "when": {"after_frames": 15}},
        {"fault": {"kind": "drop"}, "target": stream((case.folded)(first)), "when": {"after_frames": 5, "times": 2}},
        {"fault": {"kind": "duplicate"}, "target": stream((case.depth)(second)), "when": {"after_frames": 12}},
        {"fault": {"kind": "stale", "back": 3}, "target": stream((case.depth)(second)), "when": {"after_frames": 20}},
        {"fault": {"kind": "delay", "seconds": 0.05, "jitter_s": 0.1}, "target": target(case.trade_target)},
        {"fault": {"kind": "malformed", "how": "truncated"}, "target": stream((case.ticker)(second)),
         "when": {"after_frames": 5}},
        {"fault": {"kind": "snapshot_at", "position": "inside"}, "target": {"path": "depth", "symbol": second}},
        {"fault": {"kind": "disconnect"}, "target": target(case.book_target), "when": {"after_s": 4}},
    ]);
    let config =
        json!({"exchange": case.exchange, "symbols": case.symbols, "book_levels": case.book_levels, "faults": faults});
    let sim = start(&config.to_string());
    let path = temporary(&format!("{}-faults.jsonl", case.exchange));
    let summary = sim.record(&RecordRequest::new(&path, 7.0)).expect("a recording");
    assert_eq!(summary.connections.len(), case.connections + 1, "the one with the books was cut and came again");
    let text = std::fs::read_to_string(&path).expect("a capture");
    assert!(text.starts_with("{\"recv_ns\":"));
    if let Some(found) = oracle(case, &path) {
        agree(case, &sim, &summary, &found);
        assert_eq!(found["not_json"], 1, "the truncated frame");
        let book = |number: u8, symbol: &str| {
            &found["books"][(case.book)(&format!("ws-{}-{number}", case.book_connection), symbol)]
        };
        assert_eq!(book(1, first)["gaps"], 1);
        assert_eq!(book(1, first)["resyncs"], 1);
        assert_eq!((book(1, second)["gaps"].as_u64(), book(1, second)["duplicates"].as_u64()), {
            let (gaps, duplicates) = case.repeats;
            (Some(gaps), Some(duplicates))
        });
        for symbol in case.symbols {
            let book = book(2, symbol);
            assert_eq!((&book["synced_at_end"], &book["gaps"]), (&json!(true), &json!(0)));
            let levels =
                sim.with_truth(|t| t.book_at(symbol, book["last_id"].as_u64().expect("an id"))).expect("a book");
            let count = json!({"bid": levels.bids.len(), "ask": levels.asks.len()});
            assert_eq!(book["levels"], count, "a book below the snapshot's levels is known to the last one");
        }
    }
    std::fs::remove_file(path).expect("no file");
}

/// Where a Binance exchange plays a recording: what WebSocket and REST paths begin with, and its most levels.
struct Played {
    exchange: &'static str,
    ws: &'static str,
    rest: &'static str,
    levels: usize,
}

const FUTURES_PLAYED: Played = Played { exchange: "binance-futures", ws: "/public", rest: "/fapi/v1", levels: 1000 };
const SPOT_PLAYED: Played = Played { exchange: "binance-spot", ws: "", rest: "/api/v3", levels: 5000 };

#[test]
fn a_recording_plays_as_it_was_recorded() {
    plays_as_recorded(&FUTURES_PLAYED);
    plays_as_recorded(&SPOT_PLAYED);
}

fn plays_as_recorded(played: &Played) {
    let Played { exchange, ws, rest, levels } = played;
    let config = json!({"exchange": exchange, "symbols": ["BTCUSDT", "ETHUSDT"], "book_levels": 500});
    let sim = start(&config.to_string());
    let path = temporary(&format!("{exchange}-played.jsonl.gz"));
    let summary = sim.record(&RecordRequest::new(&path, 3.0)).expect("a recording");
    let of = |sim: &Simulator, stream: &str, conns: &[u64]| {
        sim.with_truth(|t| {
            let events =
                t.frames(None).filter(|f| conns.contains(&f.conn)).filter_map(|f| Some(&t.events()[f.event? as usize]));
            events.filter(|e| &*e.stream == stream).map(|e| e.payload.to_string()).collect::<Vec<_>>()
        })
    };
    let recorded = of(&sim, "btcusdt@depth@100ms", &summary.connections);
    let agg_trades = of(&sim, "ethusdt@aggTrade", &summary.connections);
    let last = sim.with_truth(|t| {
        let id =
            t.events().iter().filter(|e| recorded.last().is_some_and(|r| **r == *e.payload)).map(|e| e.last_id).max();
        t.book_at("BTCUSDT", id.expect("an event")).expect("a book")
    });
    drop(sim);

    let source = json!({"exchange": exchange, "source": {"capture": {"path": path, "speed": 5.0}}});
    let sim = start(&source.to_string());
    assert_eq!(get(&sim, &format!("{rest}/exchangeInfo")).json()["symbols"].as_array().map(Vec::len), Some(2));
    let mut public = Client::connect(&sim, &format!("{ws}/ws/btcusdt@depth@100ms"));
    assert_eq!(public.texts(recorded.len()), recorded);
    let early = get(&sim, &format!("{rest}/depth?symbol=BTCUSDT&limit={levels}"));
    assert_eq!(early.status, 200);
    wait_until("the end of the recording", || {
        sim.with_truth(|t| t.final_book("BTCUSDT")).is_some_and(|b| b.last_id == last.last_id)
    });
    assert_eq!(sim.with_truth(|t| t.final_book("BTCUSDT")).expect("a book"), last);
    let snapshot = get(&sim, &format!("{rest}/depth?symbol=BTCUSDT&limit={levels}")).json();
    assert_eq!((&snapshot["bids"], &snapshot["lastUpdateId"]), (&json!(last.bids), &json!(last.last_id)));
    let played =
        || sim.with_truth(|t| t.events_of("ethusdt@aggTrade").map(|e| e.payload.to_string()).collect::<Vec<_>>());
    wait_until("all trades", || played().len() >= agg_trades.len());
    assert_eq!(played(), agg_trades);
    std::fs::remove_file(path).expect("no file");
}

#[test]
fn sessions_recorded_at_the_exchange_play_to_their_golden_books() {
    // One symbol of each: the ends of its first and last update, and its snapshot's id.
    let sushi = [600_859_600_917, 600_860_425_198, 600_859_605_926];
    plays_to_golden(&FUTURES_PLAYED, "binance_usdm/cf_2021-07-22_4sym", ".jsonl", "SUSHIUSDT", sushi);
    let nkn = [499_869_752, 499_870_179, 499_869_752];
    plays_to_golden(&SPOT_PLAYED, "binance/cf_2021-10-12_4sym", ".jsonl.gz", "NKNUSDT", nkn);
}

fn plays_to_golden(played: &Played, run: &str, ending: &str, symbol: &str, [first_u, last_u, snapshot]: [u64; 3]) {
    let Played { exchange, ws, rest, .. } = played;
    let Some(path) = shared(&format!("captures/{run}{ending}")) else { return };
    let Some(golden) = shared(&format!("captures/golden/{run}.json")) else { return };
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(golden).expect("a file")).expect("JSON");
    let source = json!({"exchange": exchange, "source": {"capture": {"path": path, "speed": 20.0}}});
    let sim = start(&source.to_string());
    let lower = symbol.to_lowercase();
    let mut public = Client::connect(&sim, &format!("{ws}/stream?streams={lower}@depth@100ms"));
    let first = public.json();
    assert_eq!(first["data"]["u"], first_u);
    let early = get(&sim, &format!("{rest}/depth?symbol={symbol}&limit=1000")).json();
    assert!(early["lastUpdateId"].as_u64().expect("an id") >= snapshot);
    let updates = golden["books"][format!("ws-1|depth|{symbol}")]["updates"].as_u64().expect("a number");
    assert_eq!(public.events(updates as usize - 1).last().expect("an event")["data"]["u"], last_u);
    for (key, book) in golden["books"].as_object().expect("books") {
        let symbol = key.rsplit('|').next().expect("a symbol");
        let now = || sim.with_truth(|t| t.final_book(symbol));
        wait_until("the end of the recording", || now().is_some_and(|b| book["last_id"] == b.last_id));
        let truth = now().expect("a book");
        let top = |levels: &[[String; 2]]| {
            json!(levels.iter().take(10).map(|l| [plain(&l[0]), plain(&l[1])]).collect::<Vec<_>>())
        };
        assert_eq!((&book["top10_bid"], &book["top10_ask"]), (&top(&truth.bids), &top(&truth.asks)), "{key}");
        assert_eq!(book["levels"], json!({"bid": truth.bids.len(), "ask": truth.asks.len()}));
    }
}

//! Through the engine itself: a recording to tables, their `raw` to the same tables.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use serde_json::Value;
use xtrader_core::time::NS_PER_DAY;

use super::*;
use crate::store::{ParquetStore, StoreOptions};
use crate::testing::files;

/// Half a minute before a midnight.
const BEGIN: i64 = 20_001 * NS_PER_DAY - 30_000_000_000;

fn depth(symbol: &str, prev: i64, last: i64, ms: i64) -> Value {
    json!({
        "e": "depthUpdate", "E": ms, "T": ms, "s": symbol, "U": prev + 1, "u": last, "pu": prev,
        "b": [[format!("{}.10", 100 + last % 5), "1.5"], ["99.90", format!("{}.250", last % 3)]],
        "a": [[format!("{}.30", 110 + last % 7), "0.007"]],
    })
}

fn trade(symbol: &str, id: i64, ms: i64) -> Value {
    json!({
        "e": "aggTrade", "E": ms, "a": id, "s": symbol, "p": "105.20", "q": format!("{}.001", id % 4 + 1),
        "f": id * 2, "l": id * 2 + 1, "T": ms, "m": id % 2 == 0,
    })
}

fn quote(symbol: &str, id: i64, ms: i64) -> Value {
    json!({
        "e": "bookTicker", "u": id, "s": symbol, "b": "104.10", "B": "2.5", "a": "110.30", "A": "0.007", "T": ms, "E": ms,
    })
}

fn snapshot(symbol: &str, id: i64) -> (String, String) {
    let body = json!({ "lastUpdateId": id, "E": 1, "T": 1, "bids": [["99.90", "3"]], "asks": [["110.00", "4"]] });
    (format!("https://fapi.binance.com/fapi/v1/depth?symbol={symbol}&limit=1000"), body.to_string())
}

/// Two symbols on two connections over a midnight, with a hole, a resync, copies, a clock that is set back, times that
/// were not recorded, and frames that nobody can read.
fn recording() -> String {
    recording_from(BEGIN)
}

fn recording_from(begin: i64) -> String {
    let url = |conn: &str| format!("wss://fstream.binance.com/{conn}/ws");
    let put = |lines: &mut String, recv_ns, conn: &str, frame: Value| {
        lines.push_str(&line(recv_ns, conn, "in", Some(&url(conn)), &frame.to_string()));
    };
    let symbols = ["BTCUSDT", "ETHUSDT"].map(|symbol| {
        json!({
            "symbol": symbol, "pair": symbol, "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000_i64,
            "onboardDate": 1_569_398_400_000_i64, "status": "TRADING", "baseAsset": &symbol[..3], "quoteAsset": "USDT",
            "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 3,
            "filters": [
                { "filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "100000", "tickSize": "0.10" },
                { "filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001" },
                { "filterType": "MIN_NOTIONAL", "notional": "5" },
            ],
        })
    });
    let info = json!({ "symbols": symbols });
    let info_url = "https://fapi.binance.com/fapi/v1/exchangeInfo";
    let mut lines = line(Some(begin - 1), "rest", "http", Some(info_url), &info.to_string());
    for step in 0..120_i64 {
        let now = begin + step * 500_000_000;
        let ms = now / 1_000_000 - 3;
        let recv = (step % 17 != 5).then_some(if step > 80 { now - 1_000_000_000 } else { now });
        for symbol in ["BTCUSDT", "ETHUSDT"] {
            let id = 1000 + step * 10;
            if (symbol, step) != ("BTCUSDT", 40) {
                put(&mut lines, recv, "public", depth(symbol, id - 10, id, ms));
            }
            put(&mut lines, recv, "market", trade(symbol, 500 + step, ms));
            if step % 9 == 0 {
                put(&mut lines, recv, "public", trade(symbol, 500 + step, ms));
                put(&mut lines, recv, "public", quote(symbol, id, ms));
            }
            if step == 2 || step == 44 {
                let (url, body) = snapshot(symbol, id);
                lines.push_str(&line(recv, "rest", "http", Some(&url), &body));
            }
        }
        if step == 60 {
            put(&mut lines, recv, "market", json!({ "e": "kline", "s": "BTCUSDT" }));
            put(&mut lines, recv, "market", json!("no event"));
        }
    }
    lines
}

fn options(path: &Path, max_rows: usize) -> ReplayOptions {
    ReplayOptions {
        paths: vec![path.to_owned()],
        tables: Some(Table::ALL.to_vec()),
        batch: BatchLimits { max_rows, ..BatchLimits::default() },
        ..ReplayOptions::default()
    }
}

/// Replays into Parquet, and returns the report without what the shell measures.
fn store(options: ReplayOptions, root: &Path) -> Value {
    let mut replay = Replay::open(options).unwrap();
    let small = StoreOptions { row_group_rows: 50, part_bytes: 40_000, ..StoreOptions::default() };
    let mut store = ParquetStore::create(root, &Table::ALL, small).unwrap();
    while let Some(batch) = replay.next_batch().unwrap() {
        store.write(&batch).unwrap();
    }
    store.finish().unwrap();
    let progress = replay.progress();
    assert_eq!(progress.bytes_read, progress.bytes_total);
    let mut report = replay.report();
    assert_eq!(report["frames"], progress.frames);
    for measured in ["elapsed_s", "frames_per_s"] {
        assert!(report.as_object_mut().unwrap().remove(measured).unwrap().is_f64());
    }
    report
}

#[test]
fn a_recording_fills_every_table_and_every_line_is_accounted_for() {
    let folder = Folder::new();
    let path = folder.file("session.jsonl", recording().as_bytes());
    let report = store(options(&path, 64), &folder.path().join("out"));
    let rows = &report["rows"];
    assert_eq!(rows["trades"], 240);
    assert_eq!(rows["bbo"], 28);
    assert_eq!(rows["gaps"], 2, "one gap, opened and closed");
    assert_eq!(rows["instruments"], 2);
    let inputs = 1 + 2 + 5 + report["frames"].as_u64().unwrap();
    assert!(rows["raw"].as_u64().unwrap() >= inputs, "{rows}");
    assert_eq!((report["replies"].as_u64(), report["connections"].as_u64()), (Some(5), Some(2)));
    let days = ["2024-10-04", "2024-10-05"];
    let dates: Vec<bool> = days
        .iter()
        .map(|day| folder.path().join(format!("out/l2/exchange=binance-futures/date={day}")).is_dir())
        .collect();
    assert_eq!(dates, [true, true]);
    let books = report["books"].as_array().unwrap();
    assert!(
        books.len() == 2 && books.iter().all(|book| book["state"] == "live" && book["last_id"] == 2190),
        "{books:?}"
    );
}

/// Also the bytes: the tables of a replay hold nothing of the day it was made on, of its batches or of its place.
#[test]
fn raw_replays_to_the_same_files_and_so_does_its_own_raw() {
    let folder = Folder::new();
    let path = folder.file("session.jsonl", recording().as_bytes());
    let place = |name: &str| folder.path().join(name);
    let report = store(options(&path, 64), &place("first"));
    assert_eq!(store(options(&path, 64), &place("again")), report);
    assert_eq!(files(&place("again")), files(&place("first")));
    assert_eq!(store(options(&place("first"), 64), &place("second"))["rows"], report["rows"]);
    assert_eq!(files(&place("second")), files(&place("first")));
    // Other batches: the same, but for the configuration that the `start` row of `raw` bears.
    store(options(&place("second"), 7), &place("third"));
    let tables = |name: &str| {
        let mut files = files(&place(name));
        files.retain(|path, _| !path.starts_with("raw/"));
        files
    };
    assert_eq!(tables("third"), tables("first"));
}

/// Receive time, message and id of every trade, in the order in which they come out.
fn trades(paths: Vec<PathBuf>) -> Vec<(i64, i64, String)> {
    let options = ReplayOptions { paths, tables: Some(vec![Table::Trades]), ..ReplayOptions::default() };
    let mut replay = Replay::open(options).unwrap();
    let mut found = Vec::new();
    while let Some(batch) = replay.next_batch().unwrap() {
        let column = |name: &str| batch.rows.column_by_name(name).unwrap();
        let times = column("ts_recv").as_primitive::<TimestampNanosecondType>();
        let (messages, ids) = (column("msg_id").as_primitive::<Int64Type>(), column("trade_id").as_string::<i32>());
        for row in 0..batch.rows.num_rows() {
            found.push((times.value(row), messages.value(row), ids.value(row).to_owned()));
        }
    }
    found
}

/// Against each recording by itself: the sessions share nothing but the numbers.
#[test]
fn recordings_of_different_days_are_sessions_in_the_order_of_time() {
    let folder = Folder::new();
    let early = folder.file("b.jsonl", recording().as_bytes());
    let late = folder.file("a.jsonl", recording_from(BEGIN + 40 * NS_PER_DAY).as_bytes());
    let together = trades(vec![late.clone(), early.clone()]);
    let alone = [trades(vec![early.clone()]), trades(vec![late.clone()])].concat();
    let what = |rows: &[(i64, i64, String)]| -> Vec<(i64, String)> {
        rows.iter().map(|(time, _, id)| (*time, id.clone())).collect()
    };
    assert_eq!(what(&together), what(&alone));
    assert!(together.is_sorted_by(|a, b| a.1 < b.1), "every number comes once, in order");

    let both = ReplayOptions { paths: vec![late.clone(), early.clone()], ..options(&late, 64) };
    let report = store(both, &folder.path().join("out"));
    let singles = [&early, &late].map(|path| store(options(path, 64), &folder.path().join(path.file_stem().unwrap())));
    for key in ["frames", "bytes", "replies", "connections"] {
        assert_eq!(report[key], singles[0][key].as_u64().unwrap() * 2, "{key}");
    }
    assert_eq!(report["counters"], added(singles[0]["counters"].clone(), singles[1]["counters"].clone()));
    assert_eq!(report["books"], singles[1]["books"], "every book as it stood last");
    store(options(&folder.path().join("out"), 64), &folder.path().join("again"));
    assert_eq!(files(&folder.path().join("again")), files(&folder.path().join("out")));
}

#[test]
fn what_is_missing_at_the_end_of_a_recording_is_named_there() {
    let folder = Folder::new();
    let url = |conn: &str| format!("wss://fstream.binance.com/{conn}/ws");
    let put = |at: i64, conn: &str, id: i64| {
        line(Some(BEGIN + at), conn, "in", Some(&url(conn)), &trade("BTCUSDT", id, 1).to_string())
    };
    let session = [put(0, "market", 1), put(0, "public", 1), put(5, "market", 2), put(9, "market", 5)].concat();
    let path = folder.file("session.jsonl", session.as_bytes());
    let report = store(options(&path, 64), &folder.path().join("first"));
    assert_eq!((&report["rows"]["gaps"], &report["counters"]["gaps"]), (&json!(1), &json!(1)));
    assert_eq!(report["counters"]["timeouts"], 1, "no other timer of after the end");
    store(options(&folder.path().join("first"), 64), &folder.path().join("again"));
    assert_eq!(files(&folder.path().join("again")), files(&folder.path().join("first")));
    // And so is what a session lacks behind which another begins.
    let later =
        line(Some(BEGIN + 40 * NS_PER_DAY), "a", "in", Some(&url("market")), &trade("BTCUSDT", 9, 1).to_string());
    let later = folder.file("later.jsonl", later.as_bytes());
    let both = ReplayOptions { paths: vec![path.clone(), later], ..options(&path, 64) };
    assert_eq!(store(both, &folder.path().join("both"))["rows"]["gaps"], 1);
}

#[test]
fn a_recording_that_was_cut_into_files_is_one_session() {
    let folder = Folder::new();
    let all = recording();
    let lines: Vec<&str> = all.lines().collect();
    let whole = folder.file("whole.jsonl", all.as_bytes());
    let (head, tail) = lines.split_at(lines.len() / 2);
    let cut = [("2.jsonl", head), ("1.jsonl", tail)].map(|(name, lines)| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        folder.file(&format!("cut/{name}"), text.as_bytes())
    });
    let report = store(options(&whole, 64), &folder.path().join("first"));
    assert_eq!(store(options(cut[0].parent().unwrap(), 64), &folder.path().join("second")), report);
    assert_eq!(files(&folder.path().join("second")), files(&folder.path().join("first")));
}

/// Number of the input, time found and time ended of every row of `gaps`.
fn gaps(lines: &str) -> Vec<(i64, i64, Option<i64>)> {
    let folder = Folder::new();
    let path = folder.file("session.jsonl", lines.as_bytes());
    let options = ReplayOptions { tables: Some(vec![Table::Gaps]), ..options(&path, 64) };
    let mut replay = Replay::open(options).unwrap();
    let mut gaps = Vec::new();
    while let Some(batch) = replay.next_batch().unwrap() {
        if batch.table == Table::Gaps {
            let of = |name| batch.rows.column_by_name(name).unwrap();
            let time = |name| of(name).as_primitive::<TimestampNanosecondType>();
            let (found, ended) = (time("ts_detected"), time("ts_resumed"));
            let numbers = of("msg_id").as_primitive::<Int64Type>().values();
            gaps.extend(
                numbers.iter().enumerate().map(|(row, id)| (*id, found.value(row), ended.iter().nth(row).flatten())),
            );
        }
    }
    gaps
}

#[test]
fn what_is_missing_behind_a_clock_that_was_set_back_is_named_in_its_time() {
    let second = 1_000_000_000;
    let begin = BEGIN + 10 * 3_600 * second + 50 * 60 * second;
    let recording = |set_back: i64| {
        let mut lines = String::new();
        for step in 0..100 {
            let recv = begin + step * second / 10 - if step < 40 { 0 } else { set_back };
            let id = 1000 + step * 10;
            // One change that nobody brings; from then on the second connection brings nothing at all.
            for conn in ["one", "two"].iter().take(if step < 50 { 2 } else { 1 }).filter(|_| step != 50) {
                let frame = depth("BTCUSDT", id - 10, id, begin / 1_000_000 + step * 100).to_string();
                lines.push_str(&line(Some(recv), conn, "in", Some(WSS), &frame));
            }
            if step == 2 || step == 60 {
                let (url, body) = snapshot("BTCUSDT", id);
                lines.push_str(&line(Some(recv), "rest", "http", Some(&url), &body));
            }
        }
        lines
    };
    let (straight, set_back) = (gaps(&recording(0)), gaps(&recording(20 * 60 * second)));
    let numbers = |gaps: &[(i64, i64, Option<i64>)]| gaps.iter().map(|(id, ..)| *id).collect::<Vec<_>>();
    assert_eq!(numbers(&set_back), numbers(&straight), "after the same line");
    let ends = |gaps: &[(i64, i64, Option<i64>)]| {
        gaps.iter().map(|(_, found, end)| end.map(|end| end - found)).collect::<Vec<_>>()
    };
    assert_eq!(ends(&straight), [None, Some(9 * second / 10)], "found at 5.1 s and over at 6.0 s");
    assert_eq!(ends(&set_back), [None, Some(0)], "the receive time of what showed it is held at that of before");
}

#[test]
fn recordings_of_two_venues_are_replayed_one_after_the_other() {
    let folder = Folder::new();
    let futures = folder.file("futures.jsonl", recording().as_bytes());
    let trade = json!({
        "e": "trade", "E": 1_728_000_000_001_i64, "s": "BTCUSDT", "t": 7, "p": "60000.10", "q": "0.5",
        "T": 1_728_000_000_000_i64, "m": true, "M": true,
    });
    let url = "wss://stream.binance.com:9443/ws/btcusdt@trade";
    let spot = line(Some(BEGIN + 1), "public", "in", Some(url), &trade.to_string());
    let spot = folder.file("spot.jsonl", spot.as_bytes());
    let report = store(ReplayOptions { paths: vec![futures.clone(), spot], ..options(&futures, 64) }, folder.path());
    assert_eq!(report["rows"]["trades"], 241);
    for market in ["binance-futures", "binance-spot"] {
        assert!(folder.path().join(format!("trades/exchange={market}")).is_dir(), "{market}");
    }
}

#[test]
fn rows_of_what_was_read_before_a_bad_line_are_handed_out_before_its_error() {
    let folder = Folder::new();
    let whole = recording();
    let path = folder.file("cut.jsonl", &whole.as_bytes()[..whole.len() - 20]);
    let mut replay = Replay::open(options(&path, 4096)).unwrap();
    let mut rows = 0;
    let error = loop {
        match replay.next_batch() {
            Ok(Some(batch)) => rows += if batch.table == Table::Trades { batch.rows.num_rows() } else { 0 },
            Ok(None) => panic!("a cut recording must not look whole"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(rows >= 239 && error.contains("cut.jsonl, line "), "{rows} {error}");
    assert!(matches!(replay.next_batch(), Ok(None)));
}

#[test]
fn real_speed_hands_out_what_there_is_before_it_waits_and_never_waits_longer_than_it_may() {
    let folder = Folder::new();
    let hour = 3_600_000_000_000;
    let frame = |recv, id| line(Some(recv), "a", "in", Some(WSS), &trade("BTCUSDT", id, 1_700_000_000_000).to_string());
    let path = folder.file("a.jsonl", (frame(BEGIN, 1) + &frame(BEGIN + hour, 2)).as_bytes());
    let options = ReplayOptions { speed: Speed::Real, tables: Some(vec![Table::Trades]), ..options(&path, 64) };
    let mut replay = Replay::open(options).unwrap();
    let Ok(Next::Batch(batch)) = replay.next_within(Duration::ZERO) else { panic!("a trade is there") };
    assert_eq!(batch.rows.num_rows(), 1);
    assert!(matches!(replay.next_within(Duration::ZERO), Ok(Next::Waiting)));
}

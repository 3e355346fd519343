//! Several venues behind one stream, and the login of those that have one: the engine on the shell against simulated
//! exchanges.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt16Type;
use serde_json::{Map, Value, json};
use xtrader_core::batch::Batch;
use xtrader_core::table::Table;
use xtrader_runtime::RuntimeError;
use xtrader_runtime::live::{LiveStream, Next, Plan};
use xtrader_simulator::{Simulator, SimulatorConfig};

use crate::script::PATIENCE;

/// Nothing that comes out may hold it.
const CANARY: &str = "canary-5e1f";

fn simulator(config: &Value) -> Simulator {
    Simulator::start(SimulatorConfig::from_json(&config.to_string()).unwrap()).unwrap()
}

/// A simulated exchange where the canary logs in.
fn with_account(exchange: &str, symbol: &str) -> Simulator {
    let account = json!({"key": CANARY, "secret": CANARY, "passphrase": CANARY, "tier": 9});
    simulator(&json!({"exchange": exchange, "symbols": [symbol], "book_levels": 100, "accounts": [account]}))
}

fn endpoints(simulator: &Simulator) -> Value {
    json!({"ws": simulator.ws_url(), "rest": simulator.rest_url()})
}

fn plan(options: Value) -> Result<Plan, RuntimeError> {
    let Value::Object(options) = options else { panic!("no object") };
    let options: Map<String, Value> = options;
    Plan::of(options)
}

/// A file of credentials; gone when it is dropped.
struct Secrets(PathBuf);

impl Secrets {
    fn new(name: &str, secret: &str) -> Self {
        let path = std::env::temp_dir().join(format!("xtrader-venues-{}-{name}", std::process::id()));
        std::fs::write(&path, format!("key={CANARY}\nsecret={secret}\npassphrase={CANARY}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self(path)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Reads until `done` says so.
fn read_until(stream: &LiveStream, mut done: impl FnMut(&Batch) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "not in time: {}", stream.report().unwrap());
        match stream.next_batch(Duration::from_millis(20)) {
            Next::Batch(batch) if done(&batch) => return,
            Next::Batch(_) | Next::TimedOut => {}
            end => panic!("{end:?}"),
        }
    }
}

/// The words of a dictionary column, and what each row's shard is.
fn exchanges(batch: &Batch) -> Vec<(u16, String)> {
    let shards = batch.rows.column_by_name("shard").unwrap().as_primitive::<UInt16Type>();
    let words = batch.rows.column_by_name("exchange").unwrap().as_any_dictionary();
    let names = words.values().as_string::<i32>();
    let keys = words.normalized_keys();
    shards.values().iter().zip(keys).map(|(shard, key)| (*shard, names.value(key).to_owned())).collect()
}

#[test]
fn trades_off_the_book_come_beside_those_of_the_book() {
    let spot = simulator(&json!({"exchange": "binance-spot", "symbols": ["BTCUSDT"], "block_trades": 0.5}));
    for source in ["trade", "agg_trade"] {
        let plan = plan(json!({
            "subscriptions": ["binance-spot:BTCUSDT"],
            "engine": {
                "streams": ["trades"], "trade_source": source, "endpoints": {"binance-spot": endpoints(&spot)},
            },
        }));
        let stream = LiveStream::start_all(plan.unwrap()).unwrap();
        let mut wanted = BTreeSet::from(["regular", "block"]);
        read_until(&stream, |batch| {
            if batch.table == Table::Trades {
                let words = batch.rows.column_by_name("condition").unwrap().as_any_dictionary();
                let names = words.values().as_string::<i32>();
                words.normalized_keys().into_iter().for_each(|key| _ = wanted.remove(names.value(key)));
            }
            wanted.is_empty()
        });
        stream.stop().unwrap();
    }
}

#[test]
fn several_venues_come_by_one_stream_each_from_a_shard_of_its_own() {
    let futures = simulator(&json!({"symbols": ["BTCUSDT"]}));
    let okx = simulator(&json!({"exchange": "okx", "symbols": ["BTC-USDT", "BTC-USDT-SWAP"]}));
    let deribit = simulator(&json!({"exchange": "deribit", "symbols": ["BTC-PERPETUAL"], "book_levels": 100}));
    let plan = plan(json!({
        "subscriptions": ["binance-futures:BTCUSDT", "okx-swap:BTCUSDT", "deribit:BTC-PERPETUAL", "okx:BTC-USDT"],
        "engine": {
            "streams": ["trades", "l2"],
            "endpoints": {
                "binance-futures": endpoints(&futures), "okx": endpoints(&okx), "deribit": endpoints(&deribit),
            },
        },
    }));
    let stream = LiveStream::start_all(plan.unwrap()).unwrap();
    assert!(matches!(stream.warnings(), [warning] if warning.starts_with("deribit: raw channels take a login")));
    let markets = ["binance-futures", "okx-spot", "okx-swap", "deribit"];
    let mut wanted: BTreeSet<(Table, String)> =
        markets.iter().flat_map(|m| [Table::Trades, Table::L2].map(|table| (table, (*m).to_owned()))).collect();
    let mut shards: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    read_until(&stream, |batch| {
        if matches!(batch.table, Table::Trades | Table::L2) {
            for (shard, exchange) in exchanges(batch) {
                wanted.remove(&(batch.table, exchange.clone()));
                shards.entry(exchange).or_default().insert(shard);
            }
        }
        wanted.is_empty()
    });
    let expected = [("binance-futures", 0), ("deribit", 2), ("okx-spot", 1), ("okx-swap", 1)];
    assert_eq!(shards, expected.map(|(market, shard)| (market.to_owned(), BTreeSet::from([shard]))).into());
    let report = stream.report().unwrap();
    let parts = report["shards"].as_array().unwrap();
    let ids: Vec<_> = parts.iter().map(|part| (part["shard"].as_u64(), part["exchange"].as_str())).collect();
    assert_eq!(ids, [(Some(0), Some("binance-futures")), (Some(1), Some("okx")), (Some(2), Some("deribit"))]);
    let total = |report: &Value| report["counters"]["frames"]["total"].as_u64().unwrap();
    assert_eq!(total(&report), parts.iter().map(total).sum::<u64>());
    stream.stop().unwrap();
    while matches!(stream.next_batch(PATIENCE), Next::Batch(_)) {}
    assert!(matches!(stream.next_batch(PATIENCE), Next::Closed), "the end of all is the end");
}

// Fault: Z05
#[test]
fn a_login_brings_what_takes_one_and_leaves_no_secret_behind() {
    for (exchange, symbol, speed, channel) in [
        ("deribit", "BTC-PERPETUAL", "auto", "book.BTC-PERPETUAL.raw"),
        ("okx", "BTC-USDT-SWAP", "10ms", "books-l2-tbt"),
    ] {
        let simulator = with_account(exchange, symbol);
        let secrets = Secrets::new(exchange, CANARY);
        let plan = plan(json!({
            "subscriptions": [format!("{exchange}:{symbol}")],
            "engine": {
                "streams": ["trades", "l2"], "tables": ["trades", "l2", "raw"], "depth_speed": speed,
                "endpoints": endpoints(&simulator),
            },
            "login": {"file": secrets.0},
        }))
        .unwrap();
        assert!(!format!("{plan:?}").contains(CANARY));
        let stream = LiveStream::start_all(plan).unwrap();
        let warnings = format!("{:?}", stream.warnings());
        assert!(!warnings.contains("raw channels") && !warnings.contains(CANARY), "{warnings}");
        let (mut tables, mut frames) = (BTreeSet::new(), Vec::new());
        read_until(&stream, |batch| {
            tables.insert(batch.table);
            if batch.table == Table::Raw {
                let payloads = batch.rows.column_by_name("payload").unwrap().as_binary::<i32>().clone();
                frames.extend(payloads.iter().flatten().map(|payload| String::from_utf8_lossy(payload).into_owned()));
            }
            tables.contains(&Table::Trades) && tables.contains(&Table::L2) && frames.iter().any(|f| f.contains(channel))
        });
        stream.stop().unwrap();
        assert!(frames.iter().all(|frame| !frame.contains(CANARY)), "{exchange}");
        let tokens = frames.iter().filter_map(|frame| frame.split_once("\"access_token\":\"")).map(|(_, token)| token);
        assert!(tokens.map(|token| token.starts_with('*')).eq((exchange == "deribit").then_some(true)), "{exchange}");
        let report = stream.report().unwrap().to_string();
        assert!(!report.contains(CANARY), "{report}");
    }
}

// Fault: Z05
#[test]
fn a_refused_login_ends_the_stream_with_the_exchanges_words_and_no_secret() {
    for (exchange, symbol) in [("deribit", "BTC-PERPETUAL"), ("okx", "BTC-USDT-SWAP")] {
        let simulator = with_account(exchange, symbol);
        let wrong = format!("{CANARY}-wrong");
        let secrets = Secrets::new(&format!("wrong-{exchange}"), &wrong);
        let plan = plan(json!({
            "subscriptions": [format!("{exchange}:{symbol}")],
            "engine": {"streams": ["trades"], "endpoints": endpoints(&simulator)},
            "login": {"file": secrets.0},
        }));
        let stream = LiveStream::start_all(plan.unwrap()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let error = loop {
            match stream.next_batch(Duration::from_millis(20)) {
                Next::Failed(error) => break error,
                Next::Closed => panic!("it ended without a word"),
                Next::Batch(_) | Next::Warning(_) | Next::TimedOut => assert!(Instant::now() < deadline, "not in time"),
            }
        };
        assert!(matches!(error, RuntimeError::Config(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(exchange) && text.contains("refused") && !text.contains(CANARY), "{text}");
    }
}

#[test]
fn a_shard_that_fails_ends_the_stream_when_all_is_read() {
    let futures = simulator(&json!({"symbols": ["BTCUSDT"]}));
    let okx = with_account("okx", "BTC-USDT-SWAP");
    let secrets = Secrets::new("one-of-two", "wrong");
    let plan = plan(json!({
        "subscriptions": ["binance-futures:BTCUSDT", "okx:BTC-USDT-SWAP"],
        "engine": {
            "streams": ["trades"],
            "endpoints": {"binance-futures": endpoints(&futures), "okx": endpoints(&okx)},
        },
        "login": {"okx": {"file": secrets.0}},
    }));
    let stream = LiveStream::start_all(plan.unwrap()).unwrap();
    let failed = loop {
        match stream.next_batch(PATIENCE) {
            Next::Batch(_) => {}
            end => break end,
        }
    };
    assert!(matches!(failed, Next::Failed(RuntimeError::Config(_))), "{failed:?}");
    assert!(matches!(stream.next_batch(PATIENCE), Next::Failed(_)), "and it stays so");
}

#[test]
fn a_speed_that_takes_a_login_is_refused_without_one() {
    for (symbol, said) in [
        ("okx:BTC-USDT-SWAP", "depth_speed = 10ms takes a login at okx"),
        ("binance-spot:BTCUSDT", "depth_speed = 10ms is not offered by binance-spot"),
    ] {
        let plan = plan(json!({"subscriptions": [symbol], "engine": {"streams": ["l2"], "depth_speed": "10ms"}}));
        let error = LiveStream::start_all(plan.unwrap()).expect_err("no login").to_string();
        assert!(error.contains(said), "{error}");
    }
}

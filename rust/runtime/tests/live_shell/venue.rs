//! The whole way: the engine on the shell against a simulated exchange, judged by the truth that it wrote down.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use serde_json::Value;
use xtrader_core::batch::Batch;
use xtrader_core::config::{Endpoints, Stream};
use xtrader_core::table::Table;
use xtrader_runtime::live::{LiveOptions, LiveStream, Next, Policy};
use xtrader_simulator::{Ending, EventKind, Fault, FaultPlan, Simulator, SimulatorConfig};

use crate::script::{PATIENCE, options};

const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];

fn simulator(change: impl FnOnce(&mut SimulatorConfig)) -> Simulator {
    let mut config = SimulatorConfig::from_json(r#"{"symbols": ["BTCUSDT", "ETHUSDT"]}"#).unwrap();
    change(&mut config);
    Simulator::start(config).unwrap()
}

fn live(simulator: &Simulator) -> LiveOptions {
    let mut options = options();
    options.engine.symbols = SYMBOLS.map(str::to_owned).to_vec();
    options.engine.streams = vec![Stream::Trades, Stream::L2, Stream::Bbo];
    options.engine.endpoints = Some(Endpoints { ws: simulator.ws_url(), rest: simulator.rest_url() });
    options.engine.deadlines.backoff_base_ms = 20;
    options.engine.deadlines.backoff_cap_ms = 100;
    options.policy = Policy::Block;
    options
}

/// Trades by symbol and id, and the words of the gaps, as they came.
#[derive(Default)]
struct Collected {
    trades: BTreeMap<(String, u64), (f64, f64)>,
    gaps: Vec<String>,
    rows: BTreeMap<&'static str, usize>,
}

impl Collected {
    fn take(&mut self, batch: &Batch) {
        *self.rows.entry(batch.table.name()).or_default() += batch.rows.num_rows();
        let column = |name: &str| batch.rows.column_by_name(name).unwrap();
        match batch.table {
            Table::Trades => {
                let (symbol, id) = (column("symbol").as_string::<i32>(), column("trade_id").as_string::<i32>());
                let number = |name: &str| column(name).as_primitive::<Float64Type>().clone();
                let (price, size) = (number("price"), number("size"));
                for i in 0..batch.rows.num_rows() {
                    let key = (symbol.value(i).to_owned(), id.value(i).parse().unwrap());
                    let twice = self.trades.insert(key, (price.value(i), size.value(i)));
                    assert!(twice.is_none(), "a trade came twice");
                }
            }
            Table::Gaps => {
                let causes = column("cause").as_any_dictionary();
                let words = causes.values().as_string::<i32>();
                self.gaps.extend(causes.normalized_keys().into_iter().map(|key| words.value(key).to_owned()));
            }
            _ => {}
        }
    }
}

/// Reads until `done` says so.
fn read_until(stream: &LiveStream, collected: &mut Collected, mut done: impl FnMut(&Collected) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done(collected) {
        assert!(Instant::now() < deadline, "not in time: {:?} {}", collected.rows, stream.report().unwrap());
        match stream.next_batch(Duration::from_millis(20)) {
            Next::Batch(batch) => collected.take(&batch),
            Next::TimedOut | Next::Warning(_) => {}
            end => panic!("{end:?}"),
        }
    }
}

fn book<'a>(report: &'a Value, symbol: &str) -> &'a Value {
    let books = report["books"].as_array().unwrap();
    books.iter().find(|b| b["symbol"] == symbol).unwrap_or(&Value::Null)
}

/// Stops the market and waits until every book is where the exchange's is, and the last trades have come.
fn settle(simulator: &Simulator, stream: &LiveStream, collected: &mut Collected) -> Value {
    simulator.pause();
    assert!(simulator.wait_drained(PATIENCE));
    let wanted: Vec<(&str, u64)> =
        SYMBOLS.iter().map(|s| (*s, simulator.with_truth(|t| t.final_book(s)).unwrap().last_id)).collect();
    let last_trades: Vec<(String, u64)> = SYMBOLS
        .iter()
        .filter_map(|s| {
            simulator
                .with_truth(|t| t.trades(EventKind::AggTrade, Some(s)).last().map(|t| t.id))
                .map(|id| ((*s).to_owned(), id))
        })
        .collect();
    read_until(stream, collected, |c| {
        let report = stream.report().unwrap();
        last_trades.iter().all(|last| c.trades.contains_key(last))
            && wanted.iter().all(|(symbol, id)| {
                let book = book(&report, symbol);
                book["state"] == "live" && book["last_id"] == *id
            })
    });
    stream.report().unwrap()
}

/// The books are the exchange's, and the trades are all that it issued from the first that came.
fn compare(simulator: &Simulator, report: &Value, collected: &Collected) {
    let number = |text: &str| text.parse::<f64>().unwrap();
    for symbol in SYMBOLS {
        let truth = simulator.with_truth(|t| t.final_book(symbol)).unwrap();
        for (side, truth) in [("top10_bid", truth.bids), ("top10_ask", truth.asks)] {
            let ours: Vec<(f64, f64)> =
                serde_json::from_value::<Vec<(String, String)>>(book(report, symbol)[side].clone())
                    .unwrap()
                    .iter()
                    .map(|(p, s)| (number(p), number(s)))
                    .collect();
            let theirs: Vec<_> = truth.iter().take(10).map(|[p, s]| (number(p), number(s))).collect();
            assert_eq!(ours, theirs, "{symbol} {side}");
        }
        let issued = simulator.with_truth(|t| t.trades(EventKind::AggTrade, Some(symbol)));
        let ours: Vec<_> = collected.trades.iter().filter(|((s, _), _)| s == symbol).collect();
        let first = ours.first().expect("trades").0.1;
        let theirs: Vec<_> = issued.iter().filter(|t| t.id >= first).collect();
        assert_eq!(ours.len(), theirs.len(), "{symbol}");
        for (((_, id), (price, size)), truth) in ours.into_iter().zip(theirs) {
            assert_eq!((*id, *price, *size), (truth.id, number(&truth.price), number(&truth.size)));
        }
    }
}

#[test]
fn a_quiet_session_gives_the_exchanges_books_and_every_trade() {
    let simulator = simulator(|_| {});
    let stream = LiveStream::start(live(&simulator)).unwrap();
    let mut collected = Collected::default();
    read_until(&stream, &mut collected, |c| {
        ["trades", "l2", "bbo", "instruments"].iter().all(|t| c.rows.contains_key(t)) && c.trades.len() > 40
    });
    let report = settle(&simulator, &stream, &mut collected);
    compare(&simulator, &report, &collected);
    assert_eq!(collected.gaps, [""; 0]);
    stream.stop().unwrap();
}

#[test]
fn a_session_through_tls_is_the_same() {
    let simulator = simulator(|config| config.tls = true);
    let pem = std::env::temp_dir().join(format!("xtrader-simulator-{}.pem", std::process::id()));
    std::fs::write(&pem, simulator.ca_pem().unwrap()).unwrap();
    let mut options = live(&simulator);
    options.extra_ca = Some(pem.clone());
    let stream = LiveStream::start(options).unwrap();
    let mut collected = Collected::default();
    read_until(&stream, &mut collected, |c| c.trades.len() > 20);
    let report = settle(&simulator, &stream, &mut collected);
    compare(&simulator, &report, &collected);
    std::fs::remove_file(pem).unwrap();
}

#[test]
fn a_lost_connection_is_named_and_everything_comes_back() {
    let simulator = simulator(|_| {});
    let stream = LiveStream::start(live(&simulator)).unwrap();
    let mut collected = Collected::default();
    let both_live = |stream: &LiveStream| {
        let report = stream.report().unwrap();
        SYMBOLS.iter().all(|s| book(&report, s)["state"] == "live")
    };
    read_until(&stream, &mut collected, |_| both_live(&stream));
    let mut cut = FaultPlan::new(Fault::Disconnect { how: Ending::Reset, at_byte: None });
    cut.target.family = Some("public".to_owned());
    simulator.inject(cut).unwrap();
    read_until(&stream, &mut collected, |c| c.gaps.len() >= 4 && both_live(&stream) && c.trades.len() > 40);
    assert!(collected.gaps.iter().any(|cause| cause == "disconnect"), "{:?}", collected.gaps);
    let report = settle(&simulator, &stream, &mut collected);
    compare(&simulator, &report, &collected);
    let reopened = report["connections"].as_array().unwrap().iter().filter(|c| c["opened"].as_u64() > Some(1)).count();
    assert_eq!(reopened, 1, "{report}");
}

#[test]
fn a_flood_of_pings_and_fragments_costs_nothing() {
    let simulator = simulator(|_| {});
    for plan in [
        r#"{"fault": {"kind": "ping_flood", "count": 500}}"#,
        r#"{"fault": {"kind": "fragment", "parts": 7, "pings": true}, "when": {"times": 200}}"#,
    ] {
        simulator.inject_json(plan).unwrap();
    }
    let stream = LiveStream::start(live(&simulator)).unwrap();
    let mut collected = Collected::default();
    read_until(&stream, &mut collected, |c| c.trades.len() > 40);
    let report = settle(&simulator, &stream, &mut collected);
    compare(&simulator, &report, &collected);
    assert_eq!(collected.gaps, [""; 0]);
}

//! A replay of the recorded inputs gives the same rows of every table, in the same order.

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt16Type, UInt64Type};
use proptest::prelude::*;

use super::frames::{
    T0, binance_instruments, deribit_book, deribit_trade, deribit_trades, okx_book, okx_trade, spot_depth,
};
use super::harness::{A, B, World, agg_trade, all_rows, depth, live_config, quote, snapshot, trade, value};
use crate::config::Stream;
use crate::engine::{Action, Command, ConnDown, DownReason, Engine, Headers, HttpReply, Input, RequestId, StartRecord};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;
use crate::time::Stamp;

/// Feeds the rows of `raw` to a new engine.
pub fn replay(world: &mut World) -> World {
    world.engine.close_batches();
    while let Some(batch) = world.engine.poll_batch() {
        world.batches.push(batch);
    }
    let mut again: Option<World> = None;
    for batch in world.batches.iter().filter(|b| b.table == Table::Raw) {
        let rows = &batch.rows;
        let column = |name: &str| rows.column_by_name(name).expect("a column of raw");
        let payloads = column("payload").as_binary::<i32>();
        for row in 0..rows.num_rows() {
            let wall = column("ts_recv").as_primitive::<TimestampNanosecondType>().value(row);
            let mono = column("ts_mono").as_primitive::<UInt64Type>().value(row);
            let conn = ConnId(column("conn_id").as_primitive::<UInt16Type>().value(row));
            let text = |name: &str| value(column(name).as_ref(), row);
            let payload = payloads.value(row);
            let at = Stamp { wall, mono };
            let kind = text("kind");
            if kind == "start" {
                let record: StartRecord = serde_json::from_slice(payload).expect("a start record");
                let engine = Engine::start(record.config, &record.build, at).expect("it started before");
                again = Some(World { engine, now: at, actions: Vec::new(), batches: Vec::new() });
                continue;
            }
            let again = again.as_mut().expect("start comes first");
            let (url, headers) = (text("url"), Headers::read(&text("headers")));
            let (down, command): (ConnDown, Command);
            let input = match kind.as_str() {
                "conn_up" => {
                    let link = serde_json::from_slice(payload).expect("what was recorded");
                    Input::ConnUp { conn, url: &url, link }
                }
                "conn_down" => {
                    down = serde_json::from_slice(payload).expect("what was recorded");
                    Input::ConnDown { conn, down: &down }
                }
                "frame" => Input::Frame { conn, payload },
                "http" => Input::Http(HttpReply {
                    request: text("request_id").parse().ok().map(RequestId),
                    url: &url,
                    status: text("status").parse().expect("a status"),
                    retry_after_ms: headers.retry_after_ms,
                    body: payload,
                }),
                "command" => {
                    command = serde_json::from_slice(payload).expect("what was recorded");
                    Input::Command(&command)
                }
                _ => Input::Timeout,
            };
            if let Some(source) = headers.stamps {
                again.engine.stamped_by(conn, source);
            }
            again.engine.handle_recorded(headers.wall.unwrap_or(Some(wall)), mono, input);
        }
    }
    again.expect("there is a start row")
}

#[derive(Clone, Debug)]
enum Step {
    Frame(bool, String),
    Reply(i64, u16),
    Down(bool, DownReason),
    Up,
    /// Every request is granted.
    Granted,
    Pass(u64),
    Clock(i64),
    Command(Command),
}

fn futures() -> BoxedStrategy<String> {
    prop_oneof![
        (0i64..40).prop_map(|i| depth(
            "BTCUSDT",
            (i * 10, i * 10 + 1, i * 10 + 10),
            r#"["100.0","1"]"#,
            r#"["101","2"]"#
        )),
        (0i64..40, 0i64..12).prop_map(|(i, d)| depth(
            "BTCUSDT",
            (i * 10 - d, i * 10 + 1, i * 10 + 10),
            "",
            r#"["99.5","1"]"#
        )),
        (0i64..60).prop_map(|i| agg_trade(i, "100.25", "1.5")),
        (0i64..60).prop_map(|i| trade(i, "MARKET", "0.001")),
        (0i64..60).prop_map(|i| quote(i, "100", "100.5")),
        Just("{\"result\":null,\"id\":1}".to_owned()),
    ]
    .boxed()
}

fn spot() -> BoxedStrategy<String> {
    (0i64..40, 0i64..12)
        .prop_map(|(i, d)| {
            spot_depth("BTCUSDT", (i * 10 - d, i * 10 + 10), T0 + i + d, &[("100", "1")], &[("101", "2")])
        })
        .boxed()
}

fn okx() -> BoxedStrategy<String> {
    let side: [(&str, &str); 1] = [("100", "1")];
    prop_oneof![
        3 => (0i64..6, 0i64..6, 0i64..99)
            .prop_map(move |(prev, id, ts)| okx_book("BTC-USDT", (prev, id), T0 + ts, &side, &[("101", "2")], 0)),
        1 => (0i64..6, 0i64..99, 0i32..2)
            .prop_map(move |(id, ts, sum)| okx_book("BTC-USDT", (-1, id), T0 + ts, &side, &[("101", "2")], sum)),
        1 => (0i64..60, 1i64..4).prop_map(|(id, count)| okx_trade("BTC-USDT", id, count, T0 + id)),
    ]
    .boxed()
}

fn deribit() -> BoxedStrategy<String> {
    let side: [(&str, &str); 1] = [("100", "1")];
    prop_oneof![
        3 => (0i64..20, 1i64..4)
            .prop_map(move |(id, d)| deribit_book("BTC_USDC", (Some(id - d), id), T0 + id, &side, &[("101", "2")])),
        1 => (0i64..20).prop_map(move |id| deribit_book("BTC_USDC", (None, id), T0 + id, &side, &[])),
        1 => (1i64..60, 1i64..4).prop_map(|(seq, many)| {
            let trades: Vec<String> = (seq..seq + many).map(|seq| deribit_trade("BTC_USDC", seq, T0 + seq, "")).collect();
            deribit_trades("BTC_USDC", &trades)
        }),
        1 => Just(r#"{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}"#.to_owned()),
    ]
    .boxed()
}

fn step(frame: BoxedStrategy<String>) -> impl Strategy<Value = Step> {
    let frame = prop_oneof![6 => frame, 1 => "[ -~]{0,60}"];
    prop_oneof![
        8 => (any::<bool>(), frame).prop_map(|(b, f)| Step::Frame(b, f)),
        2 => (0i64..400, prop_oneof![Just(200u16), Just(429), Just(0)]).prop_map(|(id, s)| Step::Reply(id, s)),
        1 => (any::<bool>(), prop_oneof![Just(DownReason::Reset), Just(DownReason::Closed)]).prop_map(|(b, r)| Step::Down(b, r)),
        2 => Just(Step::Up),
        1 => Just(Step::Granted),
        2 => (0u64..40_000).prop_map(Step::Pass),
        1 => (-5_000_000_000i64..5_000_000_000).prop_map(Step::Clock),
        1 => command().prop_map(Step::Command),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let names = ["BTCUSDT", "ETHUSDT", "ETH-USDT", "ETH_USDC", "ETH*"];
    let name = (0usize..names.len()).prop_map(move |n| vec![names[n].to_owned()]);
    prop_oneof![
        2 => name.clone().prop_map(Command::Add),
        2 => name.prop_map(Command::Remove),
        1 => (0u16..4).prop_map(Command::Connections),
    ]
}

/// What may happen to a venue.
fn steps(venue: Venue) -> impl Strategy<Value = Vec<Step>> {
    let frame = match venue {
        Venue::BinanceFutures => futures(),
        Venue::BinanceSpot => spot(),
        Venue::Okx => okx(),
        Venue::Deribit => deribit(),
    };
    prop::collection::vec(step(frame), 0..120)
}

fn any_venue() -> impl Strategy<Value = (Venue, Vec<Step>)> {
    let venues = [Venue::BinanceFutures, Venue::BinanceSpot, Venue::Okx, Venue::Deribit];
    (0usize..4).prop_flat_map(move |n| (Just(venues[n]), steps(venues[n])))
}

/// A live engine of a venue with its connections up.
fn begin(venue: Venue, connections: u16) -> World {
    let symbol = match venue {
        Venue::BinanceFutures | Venue::BinanceSpot => "BTCUSDT",
        Venue::Okx => "BTC-USDT",
        Venue::Deribit => "BTC_USDC",
    };
    let streams = [Stream::Trades, Stream::L2, Stream::Bbo, Stream::L2Top];
    let mut config = live_config(venue, &[symbol], &streams);
    config.connections = connections;
    config.arbitration.max_age_s = Some(60);
    let mut world = World::new(config);
    world.connect_all();
    world
}

fn run(world: &mut World, steps: &[Step]) {
    for step in steps {
        let conn = |second: &bool| if *second { B } else { A };
        match step {
            Step::Frame(second, text) => world.frame(conn(second), text),
            Step::Reply(id, status) => {
                let asked = world.actions.iter().find_map(|a| match a {
                    Action::Http { request, url, .. } => Some((*request, url.clone())),
                    _ => None,
                });
                if let Some((request, url)) = asked {
                    world.actions.retain(|a| !matches!(a, Action::Http { request: r, .. } if *r == request));
                    let listed = [("BTCUSDT", "TRADING")];
                    let body = if url.contains("depth") {
                        snapshot(*id, r#"["100.0","5"]"#, r#"["101.0","5"]"#)
                    } else {
                        binance_instruments(&listed)
                    };
                    world.reply(Some(request), &url, *status, &body);
                }
            }
            Step::Down(second, reason) => world.down(conn(second), *reason),
            Step::Up => world.connect_all(),
            Step::Granted => {
                for conn in [A, B] {
                    world.acknowledge(conn);
                }
                world.actions.retain(|action| !matches!(action, Action::Send { .. }));
            }
            Step::Pass(ms) => world.pass_ms(*ms),
            Step::Clock(by) => world.now.wall += by,
            // What cannot be done is refused, and is no input.
            Step::Command(command) => drop(world.command(command)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn recorded_inputs_give_the_same_rows((venue, steps) in any_venue(), connections in 1..=3_u16) {
        let mut world = begin(venue, connections);
        run(&mut world, &steps);
        world.input(Input::Command(&Command::Stop));
        let mut again = replay(&mut world);
        again.engine.close_batches();
        while let Some(batch) = again.engine.poll_batch() {
            again.batches.push(batch);
        }
        for table in Table::ALL {
            prop_assert_eq!(all_rows(&again.batches, table), all_rows(&world.batches, table), "{}", table.name());
        }
        prop_assert_eq!(again.counters(), world.counters());
    }

    // Fault: B13
    #[test]
    fn every_frame_has_one_outcome_and_no_live_book_is_crossed((venue, steps) in any_venue()) {
        let mut world = begin(venue, 1);
        run(&mut world, &steps);
        let counters = world.counters();
        let frames = &counters["frames"];
        let sum = |v: &serde_json::Value| -> u64 {
            v.as_object().map_or(0, |o| o.values().filter_map(serde_json::Value::as_u64).sum())
        };
        let plain: u64 = ["accepted", "duplicate", "stale", "held", "held_dropped"].iter().filter_map(|k| frames[k].as_u64()).sum();
        prop_assert_eq!(frames["total"].as_u64(), Some(plain + sum(&frames["ignored"]) + sum(&frames["rejected"])));
        let in_flight: u64 = world.engine.books().iter().map(|b| b.in_flight).sum();
        prop_assert_eq!(frames["held"].as_u64(), Some(in_flight));
        for book in world.engine.books() {
            if let (true, Some(bid), Some(ask)) = (book.state == "live", book.top10_bid.first(), book.top10_ask.first()) {
                prop_assert!(bid.0.parse::<f64>().ok() < ask.0.parse::<f64>().ok());
            }
        }
    }

    #[test]
    fn l2_always_chains((venue, steps) in any_venue()) {
        let mut world = begin(venue, 1);
        run(&mut world, &steps);
        // A book that was ended on request begins anew.
        let may_end = steps.iter().any(|step| matches!(step, Step::Command(Command::Remove(_))));
        let mut last = std::collections::BTreeMap::<String, String>::new();
        for row in world.rows(Table::L2, &["symbol", "is_snapshot", "prev_id", "last_id"]) {
            let [symbol, is_snapshot, prev, id] = row.split('|').collect::<Vec<_>>()[..] else {
                panic!("four columns: {row}")
            };
            let before = last.insert(symbol.to_owned(), id.to_owned()).unwrap_or_default();
            let begins_anew = may_end && is_snapshot == "true" && prev.is_empty();
            prop_assert!(prev == before || begins_anew, "{}: {} after {}", symbol, row, before);
        }
    }
}

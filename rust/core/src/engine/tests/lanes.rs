//! Several connections to one stream: opened one after the other, each with the whole set of channels, and none of them
//! missed as long as another lives.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::exchange::{Exchange, VENUES, book, refusal, refused, symbol, trade};
use super::frames::{T0, okx_trade};
use super::harness::{World, live_config};
use crate::config::{ConfigError, EngineConfig, Stream};
use crate::engine::{Action, Command, DownReason, Engine, Input, Link};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;
use crate::time::Stamp;

/// Trades of one symbol on so many connections, none of them open yet.
fn planned(venue: Venue, connections: u16) -> World {
    World::new(EngineConfig { connections, ..live_config(venue, &[symbol(venue)], &[Stream::Trades]) })
}

/// The same, all of them up and granted, and the actions so far forgotten.
fn carried(venue: Venue, connections: u16) -> World {
    up(planned(venue, connections), connections)
}

/// So many connections of a world up and granted, and the actions so far forgotten.
fn up(mut world: World, connections: u16) -> World {
    for _ in 0..40 {
        world.connect_all();
        world.pass_ms(100);
    }
    assert_eq!(world.count("/connects"), u64::from(connections));
    world.actions.clear();
    world
}

/// Answers whatever was asked for and opened, as a willing exchange does.
fn willing(world: &mut World) {
    world.connect_all();
    let asked: Vec<ConnId> = world
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Send { conn, .. } => Some(*conn),
            _ => None,
        })
        .collect();
    for conn in asked {
        world.acknowledge(conn);
        world.actions.retain(|action| !matches!(action, Action::Send { conn: to, .. } if *to == conn));
    }
}

fn channels(world: &World, conn: u16) -> Vec<String> {
    let asked = |text: String| {
        let request: Value = serde_json::from_str(&text).unwrap_or_default();
        let is_wanted = ["method", "op"].iter().any(|key| {
            request[key].as_str().is_some_and(|word| word.to_lowercase().rsplit('/').next() == Some("subscribe"))
        });
        is_wanted.then(|| [&request["params"]["channels"], &request["params"], &request["args"]].map(Value::to_string))
    };
    world.sent(ConnId(conn)).into_iter().filter_map(asked).map(|told| told.concat()).collect()
}

#[test]
fn copies_of_a_lane_are_opened_one_after_the_other_and_ask_for_the_same() {
    for venue in VENUES {
        let mut world = planned(venue, 3);
        let begin = world.now.mono;
        let mut opened = BTreeMap::new();
        for _ in 0..40 {
            for action in &world.actions {
                if let Action::Open { conn, advice, .. } = action {
                    opened.insert(advice.place, ((world.now.mono - begin) / 1_000_000, conn.0));
                }
            }
            world.connect_all();
            world.pass_ms(100);
        }
        let times: Vec<u64> = opened.values().map(|(ms, _)| *ms).collect();
        assert_eq!(times.len(), 3, "{venue:?}: {opened:?}");
        assert_eq!(times[0], 0);
        for pair in times.windows(2) {
            assert!((1000..=1500).contains(&(pair[1] - pair[0])), "{venue:?}: {opened:?}");
        }
        let asked = channels(&world, 1);
        assert!(!asked.is_empty(), "{venue:?}");
        for conn in 2..=3 {
            assert_eq!(channels(&world, conn), asked, "{venue:?}");
        }
    }
}

#[test]
fn a_lane_that_is_gone_leaves_its_number_and_its_memory_to_the_next() {
    let coins: Vec<String> = (0..14).map(|n| format!("C{n}X-USDT")).collect();
    let names: Vec<&str> = coins.iter().map(String::as_str).collect();
    let streams = [Stream::Trades, Stream::L2];
    let config = EngineConfig { connections: 2, ..live_config(Venue::Okx, &names, &streams) };
    let mut world = up(World::new(config), 2);
    let (mut trades, mut openings) = (0, Vec::new());
    for round in 0..40 {
        // One connection has room for 29 channels, and 28 are taken: the symbol begins a lane.
        world.command(&Command::Add(vec!["BTC-USDT".into()])).expect("it may be added");
        let began = world.now.mono;
        for _ in 0..40 {
            if world.opens() > 0 {
                openings.push(((world.now.mono - began) / 1_000_000, world.opens()));
            }
            willing(&mut world);
            world.pass_ms(100);
        }
        for conn in 1..=8 {
            world.frame(ConnId(conn), &okx_trade("BTC-USDT", 1 + round, 1, T0 + 1_000 * round));
        }
        trades += 1;
        assert_eq!(world.rows(Table::Trades, &["trade_id"]).len(), trades, "each once, and of each lane");
        world.command(&Command::Remove(vec!["BTC-USDT".into()])).expect("it may be removed");
        for action in std::mem::take(&mut world.actions) {
            if let Action::Close { conn, .. } = action {
                world.down(conn, DownReason::Local);
            }
        }
        world.pass_ms(1_000);
    }
    let engine = &world.engine;
    assert!(engine.connections.iter().all(|c| c.lane <= 1) && engine.connections.len() <= 6);
    assert!(engine.repeats.len() <= 2, "{}", engine.repeats.len());
    assert!(engine.arbitration().lanes.len() <= 2);
    assert_eq!(openings.len(), 80, "one after the other");
    let hurried = openings.chunks(2).filter(|pair| pair[1].0 - pair[0].0 < 1_000).count();
    assert_eq!(hurried, 0, "nobody is missed who opens a lane: {openings:?}");
}

#[test]
fn an_event_is_taken_from_whichever_copy_comes_first_and_once() {
    for venue in VENUES {
        let mut world = carried(venue, 3);
        for (id, first) in [(1, 1), (2, 3), (3, 2), (4, 1)] {
            for turn in 0..3 {
                world.frame(ConnId((first + turn - 1) % 3 + 1), &trade(venue, id));
            }
        }
        let ids = world.rows(Table::Trades, &["conn_id"]);
        assert_eq!(ids, ["1", "3", "2", "1"], "{venue:?}");
        assert!(world.rows(Table::Gaps, &["cause"]).is_empty(), "{venue:?}");
    }
}

// Fault: G05
#[test]
fn what_is_subscribed_twice_is_asked_for_once_and_counted_once() {
    for (venue, symbols) in [
        (Venue::BinanceSpot, ["BTCUSDT", "BTC*", "binance-spot:BTCUSDT"]),
        (Venue::Okx, ["BTC-USDT", "okx-spot:BTC*", "okx-spot:BTCUSDT"]),
    ] {
        let mut world = World::new(live_config(venue, &symbols, &[Stream::Trades, Stream::L2Top, Stream::L2]));
        world.pass_ms(0);
        let reference = match venue {
            Venue::Okx => super::frames::okx_instruments(&[super::frames::okx_spot("BTC", "USDT", "live")]),
            _ => super::frames::binance_instruments(&[("BTCUSDT", "TRADING")]),
        };
        let opens: Vec<Action> = world.actions.iter().filter(|a| matches!(a, Action::Open { .. })).cloned().collect();
        world.tell_reference(200, &reference);
        world.actions = opens;
        world.connect_all();
        let asked = channels(&world, 1).concat();
        let names = match venue {
            Venue::Okx => [r#""trades""#, r#""books""#],
            _ => ["btcusdt@trade", "btcusdt@depth"],
        };
        assert_eq!(names.map(|name| asked.matches(name).count()), [1, 1], "{venue:?}: {asked}");
        for id in [1, 2] {
            world.frame(ConnId(1), &trade(venue, id));
        }
        assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1", "2"], "{venue:?}");
    }
}

// Fault: G06
#[test]
fn more_copies_than_the_exchange_allows_connections_are_refused_with_the_remedy() {
    let enter = |login: bool, symbols: usize, connections: u16| {
        let symbols = (0..symbols).map(|n| format!("X{n}_USDC")).collect();
        let config = live_config(Venue::Deribit, &[], &[Stream::Trades]);
        Engine::start(EngineConfig { symbols, connections, login, ..config }, "test", Stamp { wall: 1, mono: 1 }).err()
    };
    let start = |symbols, connections| enter(false, symbols, connections);
    assert_eq!(start(1000, 16), None, "two lanes of sixteen are thirty-two");
    let refused = start(1001, 16).expect("three lanes of sixteen");
    assert_eq!(refused, ConfigError::Connections { exchange: "deribit", allowed: 32, whose: "", each: 16 });
    assert!(refused.to_string().contains("choose a smaller `connections`"), "{refused}");
    assert_eq!(start(1001, 10), None);
    // Deribit §1: sixteen of one key.
    assert_eq!(enter(true, 500, 16), None);
    let refused = enter(true, 501, 16).expect("two lanes of sixteen").to_string();
    assert!(refused.contains("deribit allows 16 connections at once that are logged in by one key"), "{refused}");
}

// Fault: X17
#[test]
fn a_channel_refused_on_one_connection_is_missing_only_where_no_other_carries_it() {
    for venue in VENUES {
        let mut world = planned(venue, 2);
        let refuse = |world: &mut World| {
            let Some(Action::Open { conn, url, .. }) = world.actions.pop() else { panic!("an open comes last") };
            world.input(Input::ConnUp { conn, url: &url, link: Link::default() });
            let asked: Vec<Value> =
                world.sent(conn).iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
            world.frame(conn, &refusal(venue, &asked.last().expect("a request")["id"], refused(venue)));
            world.actions.retain(|action| matches!(action, Action::Open { .. }));
        };
        refuse(&mut world);
        assert_eq!((world.rows(Table::Gaps, &["cause"]).len(), world.engine.fault()), (0, None), "{venue:?}");
        while world.opens() == 0 {
            world.pass_ms(100);
        }
        world.actions.retain(|action| matches!(action, Action::Open { .. }));
        refuse(&mut world);
        assert_eq!(world.rows(Table::Gaps, &["cause", "evidence"]), ["silence|shell"], "{venue:?}");
        assert!(matches!(world.engine.fault(), Some(ConfigError::Refused { .. })), "{venue:?}");
    }
}

// Fault: N11
#[test]
fn outages_that_overlap_are_a_gap_for_as_long_as_both_last() {
    for venue in VENUES {
        let mut world = carried(venue, 2);
        for conn in [1, 2] {
            world.frame(ConnId(conn), &trade(venue, 1));
        }
        world.down(ConnId(1), DownReason::Reset);
        world.now = world.now.after(50_000_000);
        assert!(world.rows(Table::Gaps, &["cause"]).is_empty(), "{venue:?}");
        world.frame(ConnId(2), &trade(venue, 2));
        world.down(ConnId(2), DownReason::Reset);
        let lost = world.now.wall;
        while world.opens() == 0 {
            world.pass_ms(10);
        }
        willing(&mut world);
        world.pass_ms(1);
        let back = world.now.wall;
        for conn in [2, 1] {
            world.frame(ConnId(conn), &trade(venue, 5));
        }
        let gaps = world.rows(Table::Gaps, &["cause", "missing", "ts_detected", "ts_resumed"]);
        assert_eq!(gaps, [format!("disconnect||{lost}|"), format!("disconnect|2|{lost}|{back}")], "{venue:?}");
        assert_eq!(world.count("/disconnects"), 2);
    }
}

/// A quiet stream: what was granted carries it, though it has not spoken there.
#[test]
fn a_quiet_stream_is_carried_by_whoever_was_granted_it() {
    for venue in VENUES {
        let mut world = carried(venue, 2);
        world.frame(ConnId(1), &trade(venue, 1));
        world.down(ConnId(1), DownReason::Reset);
        world.frame(ConnId(2), &trade(venue, 2));
        assert!(world.rows(Table::Gaps, &["cause"]).is_empty(), "{venue:?}");
        assert_eq!(world.rows(Table::Trades, &["conn_id"]), ["1", "2"]);
    }
}

#[test]
fn a_broken_book_is_asked_for_on_one_connection_and_then_on_another() {
    for venue in [Venue::Okx, Venue::Deribit] {
        let config = live_config(venue, &[symbol(venue)], &[Stream::L2]);
        let mut world = up(World::new(EngineConfig { connections: 2, ..config }), 2);
        for (prev, id) in [(None, 10), (Some(10), 15)] {
            for conn in [1, 2] {
                world.frame(ConnId(conn), &book(venue, prev, id));
            }
        }
        let ended = |world: &World| -> Vec<u16> {
            (1..=2).filter(|conn| world.sent(ConnId(*conn)).iter().any(|text| text.contains("unsubscribe"))).collect()
        };
        world.frame(ConnId(2), &book(venue, Some(20), 25));
        world.pass_ms(250);
        assert_eq!(ended(&world), [2], "{venue:?}: the one that is ahead");
        willing(&mut world);
        // It brings none. Copies of the other stand for themselves meanwhile.
        world.actions.clear();
        while ended(&world).is_empty() {
            world.pass_ms(100);
            world.frame(ConnId(1), r#"{"event":"unsubscribe"}"#);
        }
        assert_eq!(ended(&world), [1], "{venue:?}");
        world.frame(ConnId(1), &book(venue, None, 30));
        for conn in [2, 1] {
            world.frame(ConnId(conn), &book(venue, Some(30), 33));
        }
        assert_eq!(world.rows(Table::L2, &["last_id", "conn_id"]), ["10|1", "15|1", "30|1", "33|2"], "{venue:?}");
        assert_eq!(world.rows(Table::Gaps, &["gap_id"]), ["1", "1"]);
    }
}

/// Nobody carries it: the second one is not waited for as long as at the start.
#[test]
fn copies_that_are_all_lost_follow_one_another_sooner_than_at_the_start() {
    for venue in VENUES {
        let mut world = carried(venue, 3);
        for conn in 1..=3 {
            world.down(ConnId(conn), DownReason::Reset);
        }
        let mut opened = Vec::new();
        while opened.len() < 3 {
            world.pass_ms(1);
            let now = world.now.mono / 1_000_000;
            opened.extend(std::mem::take(&mut world.actions).iter().filter_map(|action| match action {
                Action::Open { .. } => Some(now),
                _ => None,
            }));
        }
        let apart: Vec<u64> = opened.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(apart.iter().all(|ms| (100..1000).contains(ms)), "{venue:?}: {apart:?}");
    }
}

// Fault: N20
#[test]
fn a_link_that_is_down_for_an_hour_is_one_gap_and_comes_back_within_the_longest_backoff() {
    for venue in VENUES {
        let mut world = carried(venue, 3);
        for conn in 1..=3 {
            world.frame(ConnId(conn), &trade(venue, 1));
        }
        for conn in 1..=3 {
            world.down(ConnId(conn), DownReason::Reset);
        }
        let end = world.now.after(3_600_000_000_000).mono;
        let mut attempts = 0;
        while world.now.mono < end {
            world.pass_ms(100);
            for action in std::mem::take(&mut world.actions) {
                if let Action::Open { conn, .. } = action {
                    attempts += 1;
                    world.down(conn, DownReason::ConnectFailed);
                }
            }
        }
        assert!((200..3 * 400).contains(&attempts), "{venue:?}: {attempts} attempts");
        for _ in 0..320 {
            world.pass_ms(100);
            willing(&mut world);
        }
        assert_eq!(world.count("/connects"), 6, "{venue:?}: all are back within the cap");
        for conn in [2, 1, 3] {
            world.frame(ConnId(conn), &trade(venue, 9));
        }
        assert_eq!(world.rows(Table::Gaps, &["gap_id", "cause", "missing"]), ["1|disconnect|", "1|disconnect|7"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    // Fault: N21
    #[test]
    fn connections_that_stop_and_come_back_in_any_order_lose_nothing_that_one_of_them_brought(
        venue in (0usize..4).prop_map(|n| VENUES[n]),
        acts in prop::collection::vec((0u16..3, 0u8..4, 0u64..3_000), 1..80),
    ) {
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |config| config.connections = 3);
        exchange.pass_ms(5_000);
        let mut brought = Vec::new();
        for (line, act, pass) in acts {
            match act {
                0 => {
                    // It ends, and nobody gets in for now.
                    exchange.is_closed = true;
                    if let Some(line) = exchange.lines.get(usize::from(line)).copied() {
                        exchange.end(line.conn, DownReason::Eof);
                    }
                }
                1 => exchange.is_closed = false,
                _ => {
                    let is_brought = exchange.up() > 0;
                    exchange.happens();
                    brought.extend(is_brought.then(|| exchange.id.to_string()));
                }
            }
            exchange.pass_ms(pass);
        }
        // In the end all of them come back; a place that was given up for a while later than others.
        exchange.is_closed = false;
        exchange.pass_ms(1_500_000);
        exchange.happens();
        brought.push(exchange.id.to_string());
        prop_assert_eq!(exchange.up(), 3);
        prop_assert_eq!(exchange.trades(), brought);
        let resumed = exchange.world.rows(Table::Gaps, &["ts_resumed"]);
        let opened = resumed.iter().filter(|resumed| resumed.is_empty()).count();
        prop_assert_eq!(opened * 2, resumed.len(), "every gap is closed");
    }
}

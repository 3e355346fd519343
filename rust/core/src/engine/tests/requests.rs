//! Requests on a connection and their answers: paced, granted, refused, left out, put off; heartbeats and logins.

use proptest::prelude::*;
use serde_json::json;

use super::exchange::{Exchange, VENUES, symbol};
use super::frames::{T0, deribit_book, grants, okx_book};
use super::harness::{A, World, live_config};
use crate::config::{EngineConfig, Stream};
use crate::engine::{Action, Command, DownReason};
use crate::exchange::{Heartbeat, Protocol, with_protocol};
use crate::symbol::Venue;
use crate::table::Table;

fn world(venue: Venue, symbols: &[&str]) -> World {
    let mut world = World::new(live_config(venue, symbols, &[Stream::L2]));
    let Some(Action::Open { conn, url, .. }) = world.actions.first().cloned() else { panic!("an open comes first") };
    world.input(crate::engine::Input::ConnUp { conn, url: &url, link: crate::engine::Link::default() });
    world
}

/// The requests sent, read.
fn requests(world: &World) -> Vec<serde_json::Value> {
    world.sent(A).iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
}

fn okx_error(id: &serde_json::Value, code: &str) -> String {
    json!({"id": id, "event": "error", "code": code, "msg": "no", "connId": "a"}).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_window_holds_more_requests_than_the_exchange_takes(
        venue in (0usize..4).prop_map(|n| VENUES[n]),
        breaks in prop::collection::vec((0usize..20, 0u64..4_000), 20..150),
    ) {
        let limits = with_protocol!(venue, P => P::LIMITS);
        let names: Vec<String> = (0..20).map(|n| match venue {
            Venue::Deribit => format!("X{n}_USDC"),
            Venue::Okx => format!("X{n}-USDT"),
            _ => format!("X{n}USDT"),
        }).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut world = world(venue, &names);
        let mut times = Vec::new();
        let mut id = 10;
        for (book, pass) in breaks {
            // A book that comes, and breaks at once.
            id += 10;
            for prev in [None, Some(id + 3)] {
                let text = match venue {
                    Venue::Okx => okx_book(names[book], (prev.unwrap_or(-1), id + prev.map_or(0, |_| 5)), T0 + id, &[], &[], 0),
                    _ => deribit_book(names[book], (prev, id + prev.map_or(0, |_| 5)), T0 + id, &[], &[]),
                };
                world.frame(A, &text);
            }
            let end = world.now.mono + pass * 1_000_000;
            loop {
                let sent = world.sent(A).into_iter().filter(|text| text != "ping").count();
                times.extend(std::iter::repeat_n(world.now.mono, sent));
                world.acknowledge(A);
                world.actions.clear();
                let due = world.engine.next_timeout().filter(|due| due.mono <= end);
                let Some(due) = due else { break };
                world.pass_ms(due.mono.saturating_sub(world.now.mono).div_ceil(1_000_000).max(1));
            }
        }
        let (burst, every) = (u64::from(limits.request_burst), limits.request_every_ms * 1_000_000);
        for (first, start) in times.iter().enumerate() {
            for (last, end) in times.iter().enumerate().skip(first) {
                let allowed = burst + (end - start) / every;
                prop_assert!(((last - first) as u64) < allowed, "{:?}: {} in {} ns", venue, last - first + 1, end - start);
            }
        }
    }
}

/// Requests that a connection may make in so many seconds, by the manuals: futures §1, spot §1, OKX §1; Deribit §1 has ten
/// at once and ten more every three seconds.
const ALLOWED: [(Venue, u64, u64); 4] =
    [(Venue::BinanceFutures, 1, 10), (Venue::BinanceSpot, 1, 5), (Venue::Okx, 3_600, 480), (Venue::Deribit, 60, 210)];

/// Twice as many requests are wanted as the exchange allows, for three times as long.
// Fault: X09
#[test]
fn no_window_holds_more_requests_than_the_manual_allows() {
    for (venue, window_s, allowed) in ALLOWED {
        let (window, step) = (window_s * 1_000, window_s * 500 / allowed);
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |_| ());
        let other = symbol(venue).replace("BTC", "ETH");
        let mut times = Vec::new();
        for n in 0..3 * window / step {
            let other = vec![other.clone()];
            let command = if n % 2 == 0 { Command::Add(other) } else { Command::Remove(other) };
            exchange.command(&command).expect("a good command");
            exchange.pass_ms(step);
            exchange.happens();
            let asked = std::mem::take(&mut exchange.asked);
            times.extend(asked.iter().filter(|(_, text)| text != "ping").map(|_| n * step));
        }
        assert_eq!(exchange.opened, 1, "{venue:?}: each connection has a budget of its own");
        // A time is that of its step, so that what lies so far apart lies within one window.
        let within = |start: u64| times.iter().filter(|time| (start..=start + window - step).contains(*time)).count();
        let busiest = times.iter().map(|start| within(*start) as u64).max().unwrap_or(0);
        assert!((allowed / 2..=allowed).contains(&busiest), "{venue:?}: {busiest} in {window_s} s");
    }
}

#[test]
fn connections_share_the_requests_that_the_exchange_counts_together() {
    const STEP_MS: u64 = 20;
    let mut config = live_config(Venue::Deribit, &["BTC-PERPETUAL"], &[Stream::Trades, Stream::L2]);
    (config.connections, config.arbitration.ramp_ms) = (8, 0);
    let mut world = World::new(config);
    let (mut sent, mut up) = (Vec::new(), 0);
    for _ in 0..200 {
        for action in std::mem::take(&mut world.actions) {
            match action {
                Action::Open { conn, url, .. } => {
                    up += 1;
                    let link = crate::engine::Link::default();
                    world.input(crate::engine::Input::ConnUp { conn, url: &url, link });
                }
                Action::Send { .. } => sent.push(world.now.mono),
                _ => {}
            }
        }
        world.pass_ms(STEP_MS);
    }
    let limits = crate::exchange::deribit::Deribit::LIMITS;
    let (burst, every) = (u64::from(limits.request_burst), limits.request_every_ms * 1_000_000);
    assert_eq!((up, sent.len()), (8, 16), "each asks for heartbeats and for its channels");
    for (first, start) in sent.iter().enumerate() {
        for (last, end) in sent.iter().enumerate().skip(first) {
            let span = end - start + STEP_MS * 1_000_000;
            assert!(((last - first) as u64) < burst + span / every, "{} at {start}..{end}", last - first + 1);
        }
    }
}

// Fault: X17
#[test]
fn a_channel_that_is_silently_left_out_is_refused_and_the_others_run() {
    let mut world = world(Venue::Deribit, &["BTC-PERPETUAL", "BTC-1JAN20"]);
    let asked = requests(&world);
    let subscribe = asked.iter().find(|request| request["method"] == "public/subscribe").expect("a subscription");
    let granted = json!({"jsonrpc": "2.0", "id": subscribe["id"], "result": ["book.BTC-PERPETUAL.100ms"]});
    world.frame(A, &granted.to_string());
    assert_eq!(world.count("/refused_channels"), 1);
    assert_eq!(world.rows(Table::Gaps, &["symbol", "stream", "cause", "evidence"]), ["BTCUSD-200101|l2|silence|shell"]);
    assert_eq!(world.engine.fault(), None);
    world.frame(A, &deribit_book("BTC-PERPETUAL", (None, 1), T0, &[("1", "1")], &[]));
    assert_eq!(world.rows(Table::L2, &["symbol"]), ["BTCUSD"]);
}

// Fault: X17
#[test]
fn a_refusal_of_several_is_asked_for_one_by_one_and_one_channel_costs_no_other() {
    let mut world = world(Venue::Okx, &["BTC-USDT", "NO-USDT", "ETH-USDT"]);
    let first = requests(&world).remove(0);
    assert_eq!(first["args"].as_array().map(Vec::len), Some(3));
    // The exchange grants the first and refuses the rest with an error that names no channel.
    world.frame(A, &json!({"id": first["id"], "event": "subscribe", "arg": first["args"][0]}).to_string());
    world.actions.clear();
    world.frame(A, &okx_error(&first["id"], "60018"));
    let singles = requests(&world);
    let names: Vec<&str> = singles.iter().map(|r| r["args"][0]["instId"].as_str().expect("instId")).collect();
    assert_eq!(names, ["NO-USDT", "ETH-USDT"]);
    world.frame(A, &okx_error(&singles[0]["id"], "60018"));
    for answer in grants(&singles[1].to_string()) {
        world.frame(A, &answer);
    }
    assert_eq!(world.count("/refused_channels"), 1);
    assert_eq!(world.rows(Table::Gaps, &["symbol", "cause"]), ["NOUSDT|silence"]);
    world.pass_ms(15_000);
    assert_eq!((world.closes(), world.engine.fault()), (0, None));
}

/// What OKX says to a request of which it does not know one channel, and says so without the request's id.
fn okx_answers(world: &mut World, request: &serde_json::Value, unknown: &str) {
    for arg in request["args"].as_array().expect("args") {
        if arg["instId"] == unknown && request["op"] == "subscribe" {
            world.frame(A, &json!({"event": "error", "code": "60018", "msg": "no", "connId": "a"}).to_string());
        } else {
            world.frame(A, &json!({"id": request["id"], "event": request["op"], "arg": arg}).to_string());
        }
    }
}

// Fault: X17
#[test]
fn an_error_that_does_not_say_of_what_is_found_out_and_costs_no_other() {
    let mut world = world(Venue::Okx, &["BTC-USDT", "NO-USDT", "ETH-USDT", "SOL-USDT"]);
    let mut asked = 0;
    while let Some(request) = requests(&world).get(asked).cloned() {
        okx_answers(&mut world, &request, "NO-USDT");
        asked += 1;
        assert!(asked < 9 && requests(&world).len() <= asked + 1, "one after the other");
    }
    assert_eq!((world.closes(), world.count("/refused_channels"), world.engine.fault()), (0, 1, None));
    assert_eq!(world.rows(Table::Gaps, &["symbol", "cause"]), ["NOUSDT|silence"]);
    world.pass_ms(15_000);
    assert_eq!((world.closes(), world.count("/refused_channels")), (0, 1), "everything is answered");
}

// Fault: X17
#[test]
fn several_that_are_refused_without_a_name_are_those_that_are_not_granted() {
    let mut world = world(Venue::Okx, &["BTC-USDT", "NO-USDT", "ETH-USDT", "NOR-USDT"]);
    let request = requests(&world).remove(0);
    world.actions.clear();
    let error = json!({"event": "error", "code": "60018", "msg": "no", "connId": "a"}).to_string();
    let ack = |n: usize| json!({"id": request["id"], "event": "subscribe", "arg": request["args"][n]}).to_string();
    for answer in [&error, &ack(0), &error, &ack(2)] {
        assert_eq!(world.count("/refused_channels"), 0, "not before all have answered");
        world.frame(A, answer);
    }
    assert_eq!(world.rows(Table::Gaps, &["symbol", "cause"]), ["NOUSDT|silence", "NORUSDT|silence"]);
    world.pass_ms(15_000);
    assert_eq!((world.closes(), world.count("/refused_channels")), (0, 2));
    assert!(requests(&world).iter().all(|request| request["op"] != "subscribe"), "nothing is asked twice");
}

// Fault: X17
#[test]
fn a_request_that_is_refused_whole_without_a_name_is_asked_for_one_by_one_in_turn() {
    let mut world = world(Venue::Okx, &["BTC-USDT", "NO-USDT", "ETH-USDT"]);
    world.actions.clear();
    world.frame(A, &json!({"event": "error", "code": "60012", "msg": "no", "connId": "a"}).to_string());
    world.pass_ms(10_000);
    let mut asked = 0;
    while let Some(request) = requests(&world).get(asked).cloned() {
        assert_eq!((asked + 1, request["args"].as_array().map(Vec::len)), (requests(&world).len(), Some(1)));
        okx_answers(&mut world, &request, "NO-USDT");
        asked += 1;
    }
    assert_eq!((asked, world.closes(), world.count("/refused_channels")), (3, 0, 1));
    assert_eq!(world.rows(Table::Gaps, &["symbol", "cause"]), ["NOUSDT|silence"]);
}

// Fault: X17
#[test]
fn an_error_that_may_mean_two_requests_costs_the_connection_once() {
    let mut world = world(Venue::Okx, &["BTC-USDT"]);
    world.command(&Command::Add(vec!["NO-USDT".into(), "ETH-USDT".into()])).expect("a good command");
    let both = requests(&world);
    assert_eq!(both.len(), 2);
    world.actions.clear();
    okx_answers(&mut world, &both[1], "NO-USDT");
    assert_eq!(world.closes(), 1);
    let mut opened = 0;
    // Until the books are missed, which nobody sends here.
    for _ in 0..25 {
        world.pass_ms(1_000);
        if let Some(Action::Close { .. }) = world.actions.iter().find(|action| matches!(action, Action::Close { .. })) {
            world.actions.clear();
            world.down(A, DownReason::Closed);
        }
        for action in std::mem::take(&mut world.actions) {
            match action {
                Action::Open { conn, url, .. } => {
                    opened += 1;
                    world.input(crate::engine::Input::ConnUp { conn, url: &url, link: crate::engine::Link::default() });
                }
                Action::Send { text, .. } if text == "ping" => world.frame(A, "pong"),
                Action::Send { text, .. } => {
                    okx_answers(&mut world, &serde_json::from_str(&text).expect("a request"), "NO-USDT");
                }
                _ => {}
            }
        }
    }
    assert_eq!((opened, world.count("/refused_channels")), (1, 1), "and not again and again");
    assert_eq!(world.engine.fault(), None);
}

// Fault: X17
#[test]
fn channels_left_without_an_answer_beside_others_that_have_one_are_refused() {
    let mut world = world(Venue::Okx, &["BTC-USDT", "ETH-USDT"]);
    let first = requests(&world).remove(0);
    world.frame(A, &json!({"id": first["id"], "event": "subscribe", "arg": first["args"][0]}).to_string());
    world.pass_ms(9_999);
    assert_eq!(world.count("/refused_channels"), 0);
    world.pass_ms(1);
    assert_eq!((world.count("/refused_channels"), world.closes()), (1, 0));
}

#[test]
fn all_channels_refused_is_a_fault_with_the_exchanges_words() {
    let mut world = world(Venue::Okx, &["NO-USDT"]);
    let first = requests(&world).remove(0);
    world.frame(A, &okx_error(&first["id"], "60018"));
    let fault = world.engine.fault().expect("nothing is left").to_string();
    assert!(fault.contains("60018"), "{fault}");
}

/// OKX §1: 60014 too frequent, 64007 internal, to be tried again. Deribit §6: 10028 too many requests, 10047 under stress.
#[test]
fn a_request_that_the_exchange_has_no_time_for_is_asked_for_later_and_nothing_is_refused() {
    for (venue, code, asked) in [
        (Venue::Okx, "60014", "args"),
        (Venue::Okx, "64007", "args"),
        (Venue::Deribit, "10028", "params"),
        (Venue::Deribit, "10047", "params"),
    ] {
        let mut world = world(venue, &[symbol(venue)]);
        let first = requests(&world).pop().expect("a subscription");
        world.actions.clear();
        let error = match venue {
            Venue::Okx => okx_error(&first["id"], code),
            _ => format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":{code},"message":"no"}}}}"#, first["id"]),
        };
        world.frame(A, &error);
        assert_eq!((requests(&world).len(), world.count("/refused_channels"), world.engine.fault()), (0, 0, None));
        world.pass_ms(8_000);
        assert_eq!(requests(&world).len(), 1, "{code}");
        assert_eq!(requests(&world)[0][asked], first[asked], "{code}");
    }
}

#[test]
fn the_end_of_a_channel_is_no_answer_to_its_new_beginning() {
    let mut world = world(Venue::Okx, &["BTC-USDT"]);
    world.acknowledge(A);
    world.actions.clear();
    world.frame(A, &okx_book("BTC-USDT", (-1, 10), T0, &[], &[], 0));
    world.frame(A, &okx_book("BTC-USDT", (12, 13), T0, &[], &[], 0));
    let asked = requests(&world);
    assert_eq!((&asked[0]["op"], &asked[1]["op"]), (&json!("unsubscribe"), &json!("subscribe")));
    world.frame(A, &grants(&asked[0].to_string())[0]);
    // What cannot be ended is at its end.
    world.frame(A, &okx_error(&asked[0]["id"], "60018"));
    assert_eq!((world.closes(), world.count("/refused_channels")), (0, 0));
    world.pass_ms(10_000);
    assert_eq!(world.closes(), 1, "the subscription was never answered");
}

#[test]
fn okx_is_asked_for_life_before_thirty_seconds_of_silence_and_its_answer_is_awaited() {
    let mut world = world(Venue::Okx, &["BTC-USDT"]);
    world.acknowledge(A);
    world.actions.clear();
    world.pass_ms(19_999);
    assert!(world.sent(A).is_empty());
    world.pass_ms(1);
    assert_eq!(world.sent(A), ["ping"]);
    world.frame(A, "pong");
    world.frame(A, &okx_book("BTC-USDT", (-1, 10), T0, &[], &[], 0));
    world.actions.clear();
    world.pass_ms(20_000);
    assert_eq!(world.sent(A), ["ping"]);
    world.pass_ms(10_000);
    assert_eq!(world.closes(), 1, "no pong");
}

#[test]
fn deribit_is_answered_at_once_and_closed_without_heartbeats() {
    let mut world = world(Venue::Deribit, &["BTC-PERPETUAL"]);
    let first = requests(&world);
    assert_eq!(first[0]["method"], "public/set_heartbeat", "before anything else");
    world.acknowledge(A);
    world.actions.clear();
    for _ in 0..10 {
        world.pass_ms(10_000);
        world.acknowledge(A);
        assert_eq!(world.closes(), 0);
        world.actions.clear();
        world.frame(A, r#"{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}"#);
        assert_eq!(requests(&world)[0]["method"], "public/test");
        world.acknowledge(A);
    }
    world.pass_ms(20_000);
    assert_eq!(world.closes(), 1);
}

#[test]
fn an_announced_end_is_answered_by_another_connection_before_it_comes() {
    for (venue, name, notice) in [
        (Venue::Okx, "BTC-USDT", r#"{"event":"notice","code":"64008","msg":"soon","connId":"a4d3ae55"}"#),
        (
            Venue::BinanceSpot,
            "BTCUSDT",
            r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#,
        ),
    ] {
        let mut world = world(venue, &[name]);
        world.acknowledge(A);
        world.pass_ms(12_000);
        world.actions.clear();
        world.frame(A, notice);
        assert_eq!(world.opens(), 1, "{venue:?}");
        world.down(A, DownReason::Closed);
        world.pass_ms(100);
        assert_eq!(world.opens(), 1, "{venue:?}: it has the place now");
    }
}

#[test]
fn who_must_log_in_asks_for_channels_only_then_and_a_refused_login_is_a_fault() {
    let config = EngineConfig { login: true, ..live_config(Venue::Deribit, &["BTC-PERPETUAL"], &[Stream::L2]) };
    let up = || {
        let mut world = World::new(config.clone());
        let Some(Action::Open { conn, url, .. }) = world.actions.first().cloned() else {
            panic!("an open comes first")
        };
        world.input(crate::engine::Input::ConnUp { conn, url: &url, link: crate::engine::Link::default() });
        let login = world.actions.iter().find_map(|action| match action {
            Action::Login { request, .. } => Some(*request),
            _ => None,
        });
        assert!(!world.sent(A).iter().any(|text| text.contains("public/subscribe")));
        (world, login.expect("a login"))
    };
    let (mut world, login) = up();
    world.frame(
        A,
        &json!({"jsonrpc": "2.0", "id": login, "result": {"access_token": "*", "expires_in": 900}}).to_string(),
    );
    assert!(world.sent(A).iter().any(|text| text.contains("book.BTC-PERPETUAL.raw")));
    let (mut world, login) = up();
    let error = json!({"jsonrpc": "2.0", "id": login, "error": {"code": 13004, "message": "invalid_credentials"}});
    world.frame(A, &error.to_string());
    assert!(world.engine.fault().is_some_and(|fault| fault.to_string().contains("invalid_credentials")));
    let (mut world, login) = up();
    let error = json!({"jsonrpc": "2.0", "id": login, "error": {"code": 10028, "message": "too_many_requests"}});
    world.frame(A, &error.to_string());
    assert_eq!((world.engine.fault(), world.closes()), (None, 1), "it comes back by itself");
    let (mut world, _) = up();
    world.pass_ms(10_000);
    assert_eq!(world.closes(), 1, "no answer");
}

/// What the manuals say that an exchange takes; zero where they name no bound.
struct Manual {
    venue: Venue,
    frames_per_s: u32,
    channels: usize,
    /// Handshakes in so many milliseconds.
    connects: (u32, u64),
    connections: u32,
    logged_in: u32,
    lifetime_s: u64,
    /// Weight of REST requests in so many milliseconds.
    rest: (u32, u64),
    /// A proof of life may be so long away, in milliseconds.
    silence_ms: u64,
}

/// Each in §1 of its manual.
const MANUALS: [Manual; 4] = [
    Manual {
        venue: Venue::BinanceFutures,
        frames_per_s: 10,
        channels: 200,
        connects: (300, 300_000),
        connections: 0,
        logged_in: 0,
        lifetime_s: 86_400,
        rest: (2_400, 60_000),
        silence_ms: 180_000,
    },
    Manual {
        venue: Venue::BinanceSpot,
        frames_per_s: 5,
        channels: 1_024,
        connects: (300, 300_000),
        connections: 0,
        logged_in: 0,
        lifetime_s: 86_400,
        rest: (6_000, 60_000),
        silence_ms: 20_000,
    },
    Manual {
        venue: Venue::Okx,
        frames_per_s: 0,
        channels: 29,
        connects: (3, 1_000),
        connections: 0,
        logged_in: 0,
        lifetime_s: 0,
        rest: (20, 2_000),
        silence_ms: 30_000,
    },
    Manual {
        venue: Venue::Deribit,
        frames_per_s: 0,
        channels: 500,
        connects: (0, 60_000),
        connections: 32,
        logged_in: 16,
        lifetime_s: 0,
        // 20 requests of 500 credits a second.
        rest: (10_000, 1_000),
        silence_ms: 60_000,
    },
];

// Fault: N13, Z17
#[test]
fn no_limit_is_wider_than_the_manual_says() {
    for manual in MANUALS {
        let venue = manual.venue;
        let (limits, heartbeat) = with_protocol!(venue, P => (P::LIMITS, P::HEARTBEAT));
        let within = |own: u64, bound: u64| bound == 0 || (1..=bound).contains(&own);
        let (connects, connects_ms) = manual.connects;
        let (weight, weight_ms) = manual.rest;
        assert!(within(limits.frames_per_s.into(), manual.frames_per_s.into()), "{venue:?}: frames");
        for channels in [limits.channels_per_connection, limits.channels_per_request] {
            assert!(within(channels as u64, manual.channels as u64), "{venue:?}: channels");
        }
        assert!(within(limits.connects.into(), connects.into()), "{venue:?}: connects");
        assert!(limits.connects_window_ms >= connects_ms, "{venue:?}: connects");
        assert!(within(limits.connections.into(), manual.connections.into()), "{venue:?}: connections");
        assert!(within(limits.logged_in.into(), manual.logged_in.into()), "{venue:?}: logged in");
        assert!(within(limits.lifetime_s, manual.lifetime_s), "{venue:?}: lifetime");
        // So much weight in each millisecond, and never more at once than the pool holds.
        let (own, own_ms) = (u64::from(limits.rest_weight), limits.rest_window_ms);
        assert!(own > 0 && own * weight_ms <= u64::from(weight) * own_ms, "{venue:?}: weight");
        let silence = match heartbeat {
            Heartbeat::Pings { every_ms } | Heartbeat::Frames { every_ms } => every_ms,
            Heartbeat::Question { after_ms } => after_ms,
        };
        assert!(within(silence, manual.silence_ms), "{venue:?}: heartbeat");
    }
}

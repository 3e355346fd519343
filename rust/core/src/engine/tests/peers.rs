//! Peers are judged: answers, first data, silence, backoff, snapshots that never fit.

use super::harness::{A, B, World, agg_trade, agg_trade_at, config, depth, depth_at, quote, snapshot};
use crate::config::{BookLimits, EngineConfig, Stream};
use crate::engine::{Action, Command, ConnDown, DownReason, HttpReply, Input};
use crate::symbol::Venue;
use crate::table::Table;
use crate::time::NS_PER_MS;

#[test]
fn streams_are_asked_for_on_the_half_of_the_exchange_that_delivers_them() {
    let world = World::new(config(&[Stream::Trades, Stream::L2, Stream::Bbo]));
    let urls: Vec<&str> = world
        .actions
        .iter()
        .filter_map(|a| match a {
            Action::Open { url, .. } => Some(url.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(urls, ["wss://fstream.binance.com/market/stream", "wss://fstream.binance.com/public/stream"]);
}

// Fault: N07
#[test]
fn a_subscription_that_is_not_answered_costs_the_connection() {
    let mut world = World::new(config(&[Stream::L2]));
    let Some(Action::Open { conn, url, .. }) = world.actions.first().cloned() else { panic!("an open comes first") };
    world.input(Input::ConnUp { conn, url: &url, link: crate::engine::Link::default() });
    world.pass_ms(9_999);
    assert_eq!(world.closes(), 0);
    world.pass_ms(1);
    assert_eq!(world.closes(), 1);
}

// Fault: X17
#[test]
fn what_was_refused_is_named_once_and_asked_for_again_with_the_reference_data() {
    let symbols = vec!["BTC-PERPETUAL".into(), "ETH-PERPETUAL".into()];
    let mut world =
        World::new(EngineConfig { symbols, streams: vec![Stream::L2], ..EngineConfig::new(Venue::Deribit) });
    let answer = |world: &mut World, channels: &str| {
        let asked = world.actions.iter().rev().find_map(|action| match action {
            Action::Send { text, .. } if text.contains("public/subscribe") && text.contains("book.") => {
                serde_json::from_str::<serde_json::Value>(text).ok()
            }
            _ => None,
        });
        let asked = asked.expect("a subscription");
        world.frame(A, &format!(r#"{{"jsonrpc":"2.0","id":{},"result":[{channels}]}}"#, asked["id"]));
        asked["params"]["channels"].to_string()
    };
    world.input(Input::ConnUp { conn: A, url: "", link: crate::engine::Link::default() });
    answer(&mut world, r#""book.BTC-PERPETUAL.100ms""#);
    let named = ["deribit|ETHUSD|l2|silence"];
    let gaps = ["exchange", "symbol", "stream", "cause"];
    assert_eq!(
        (world.rows(Table::Gaps, &gaps), world.count("/refused_channels")),
        (named.map(str::to_owned).to_vec(), 1)
    );

    world.pass_ms(1);
    let request = world.requests("get_instruments")[0];
    let row = |base: &str| {
        format!(
            r#"{{"instrument_name":"{base}-PERPETUAL","kind":"future","base_currency":"{base}","quote_currency":"USD","settlement_period":"perpetual","instrument_type":"reversed","state":"open"}}"#
        )
    };
    world.actions.clear();
    world.reply(Some(request), "", 200, &format!(r#"{{"jsonrpc":"2.0","result":[{},{}]}}"#, row("BTC"), row("ETH")));
    assert_eq!(answer(&mut world, ""), r#"["book.ETH-PERPETUAL.100ms"]"#);
    assert_eq!((world.rows(Table::Gaps, &gaps).len(), world.count("/refused_channels")), (1, 1), "known already");
}

// Fault: N06, N07
#[test]
fn a_stream_that_never_speaks_though_the_market_moves_is_named_and_asked_for_again() {
    let mut world = World::live(&[Stream::Trades, Stream::Bbo]);
    // Trades flow; quotes were acknowledged and never come.
    for i in 0..15 {
        world.pass_ms(5_000);
        world.frame(A, &agg_trade(i + 1, "1", "1"));
        world.acknowledge(B);
    }
    let first = world.requests("depth?symbol=BTCUSDT&limit=5");
    assert!(!first.is_empty(), "an acknowledgement proves nothing: REST is asked");
    world.reply(Some(first[0]), "", 200, &snapshot(5, r#"["100","1"]"#, r#"["101","1"]"#));
    world.actions.clear();
    for _ in 0..6 {
        world.pass_ms(5_000);
        world.acknowledge(B);
    }
    let second = world.requests("depth?symbol=BTCUSDT&limit=5");
    world.reply(Some(second[0]), "", 200, &snapshot(9, r#"["102","1"]"#, r#"["103","1"]"#));
    world.pass_ms(2_000);
    let resubscribed =
        world.actions.iter().any(|a| matches!(a, Action::Send { text, .. } if text.contains("UNSUBSCRIBE")));
    let reconnected = world.closes() > 0;
    assert!(resubscribed || reconnected, "{:?}", world.actions);
    let named = ["stream", "cause", "evidence", "ts_last_good", "ts_resumed"];
    assert_eq!(world.rows(Table::Gaps, &named), ["bbo|silence|clock||"]);
}

// Fault: N06
#[test]
fn one_of_two_hundred_streams_that_dies_costs_the_others_nothing() {
    let symbols: Vec<String> = (0..200).map(|i| format!("X{i}USDT")).collect();
    let mut world = World::new(EngineConfig { symbols: symbols.clone(), ..config(&[Stream::Trades]) });
    assert_eq!(world.opens(), 1, "one connection carries them all");
    world.connect_all();
    world.actions.clear();
    let mut id = 0;
    let mut flow = |world: &mut World, symbols: &[String]| {
        id += 1;
        for symbol in symbols {
            world.frame(A, &agg_trade_at(symbol, id, world.now.wall / 1_000_000, "1", "1"));
        }
    };
    flow(&mut world, &symbols);
    let last_good = world.now.wall;
    let (mute, others) = symbols.split_first().expect("two hundred");
    let mut asked = Vec::new();
    while asked.is_empty() && world.now.wall < last_good + 300 * 1_000_000_000 {
        world.pass_ms(1_000);
        flow(&mut world, others);
        asked = world.requests("aggTrades");
    }
    assert_eq!((asked.len(), world.requests(&format!("aggTrades?symbol={mute}&")).len()), (1, 1));
    world.reply(Some(asked[0]), "", 200, r#"[{"a":9,"p":"1","q":"1","f":18,"l":19,"T":1,"m":true}]"#);
    world.pass_ms(1_000);
    flow(&mut world, others);
    world.pass_ms(1_000);
    assert_eq!(
        world.rows(Table::Gaps, &["symbol", "cause", "evidence", "ts_last_good"]),
        [format!("{mute}|silence|clock|{last_good}")]
    );
    assert_eq!(world.closes(), 0);
    let sent: Vec<&str> = world
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Send { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), 2, "{sent:?}");
    for (text, method) in sent.iter().zip(["UNSUBSCRIBE", "SUBSCRIBE"]) {
        let text: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!((&text["method"], &text["params"]), (&method.into(), &serde_json::json!(["x0usdt@aggTrade"])));
    }
    let rows = world.rows(Table::Trades, &["symbol"]);
    assert_eq!(rows.iter().filter(|symbol| *symbol == mute).count(), 1);
    assert_eq!((rows.len() - 1) % others.len(), 0, "every other stream has every one of its rows");
    assert_eq!(world.count("/frames/accepted"), rows.len() as u64);
}

// Fault: T07
#[test]
fn an_exchange_clock_that_is_ten_seconds_off_is_told_and_judges_nobody() {
    // An event that is later than its receipt says so; one that is late cannot be told from a slow line.
    for (skew, flags) in [(-10_000, 144), (10_000, 152)] {
        let mut world = World::live(&[Stream::Trades, Stream::L2]);
        let mut sent = Vec::new();
        for i in 1..=600 {
            let time = world.now.wall / 1_000_000 + skew;
            sent.push(format!("{}|{}|{flags}", time * 1_000_000, world.now.wall));
            world.frame(A, &depth_at("BTCUSDT", (i * 10, i * 10 + 1, i * 10 + 10), time, r#"["100.0","1"]"#, ""));
            world.frame(B, &agg_trade_at("BTCUSDT", i, time, "1", "1"));
            for request in world.requests("depth?symbol=BTCUSDT&limit=1000") {
                world.reply(Some(request), "", 200, &snapshot(i * 10 + 5, "", r#"["101.0","1"]"#));
            }
            assert_eq!((world.closes(), world.opens()), (0, 0), "{skew}");
            world.actions.clear();
            world.pass_ms(1_000);
        }
        assert!(world.rows(Table::Gaps, &["cause"]).is_empty(), "{skew}");
        assert_eq!(world.rows(Table::Trades, &["ts_event", "ts_recv", "flags"]), sent, "as sent, beside our own time");
        assert_eq!(world.rows(Table::L2, &["last_id"]).len(), 601, "{skew}");
        assert_eq!((world.engine.books()[0].gaps, world.engine.books()[0].resyncs), (0, 0));
    }
}

// Fault: N06
#[test]
fn a_stream_that_is_merely_quiet_is_left_alone() {
    let mut world = World::live(&[Stream::Trades]);
    world.frame(A, &agg_trade(7, "1", "1"));
    for _ in 0..20 {
        world.pass_ms(30_000);
        for request in world.requests("aggTrades") {
            world.reply(Some(request), "", 200, r#"[{"a":7,"p":"1","q":"1","f":14,"l":15,"T":1,"m":true}]"#);
        }
        world.acknowledge(A);
        world.actions.clear();
    }
    assert_eq!(world.closes(), 0);
    assert!(world.rows(Table::Gaps, &["cause"]).is_empty());
}

// Fault: N04, N05, X26
#[test]
fn a_stream_that_missed_trades_is_dead_and_the_gap_begins_at_its_last_trade() {
    let mut world = World::live(&[Stream::Trades]);
    world.frame(A, &agg_trade(7, "1", "1"));
    let last = world.now.wall;
    world.pass_ms(30_000);
    world.acknowledge(A);
    let request = world.requests("aggTrades")[0];
    world.reply(Some(request), "", 200, r#"[{"a":9,"p":"1","q":"1","f":18,"l":19,"T":1,"m":true}]"#);
    assert!(world.rows(Table::Gaps, &["cause"]).is_empty(), "it may still be on its way");
    world.pass_ms(2_000);
    assert_eq!(
        world.rows(Table::Gaps, &["stream", "cause", "evidence", "ts_last_good"]),
        [format!("trades|silence|clock|{last}")]
    );
    assert_eq!(world.closes(), 1, "the whole connection is silent");
}

// Fault: N04
#[test]
fn a_half_open_connection_shows_itself_by_not_answering() {
    let mut world = World::live(&[Stream::L2]);
    world.frame(A, &depth("BTCUSDT", (1, 2, 3), "", ""));
    world.pass_ms(30_000);
    assert_eq!(world.closes(), 0);
    world.pass_ms(10_000);
    assert_eq!(world.closes(), 1);
}

// Fault: N14
#[test]
fn a_half_open_connection_opens_gaps_of_what_it_carried_and_of_nothing_else() {
    let of = |stream: Stream| match stream {
        Stream::Trades => agg_trade(1, "100.5", "2"),
        Stream::Bbo => quote(1, "100.0", "100.5"),
        _ => depth("BTCUSDT", (1, 2, 3), "", ""),
    };
    for stream in [Stream::Trades, Stream::Bbo, Stream::L2] {
        let mut world =
            World::new(EngineConfig { symbols: vec!["BTCUSDT".into(), "ETHUSDT".into()], ..config(&[stream]) });
        world.connect_all();
        // What is removed is nobody's loss any more.
        world.frame(A, &of(stream).replace("BTCUSDT", "ETHUSDT").replace("btcusdt", "ethusdt"));
        world.command(&Command::Remove(vec!["ETHUSDT".into()])).expect("it is there");
        world.frame(A, &of(stream));
        world.pass_ms(45_000);
        assert_eq!(world.closes(), 1, "{stream:?}");
        world.down(A, DownReason::Local);
        let gaps = world.rows(Table::Gaps, &["symbol", "stream", "cause"]);
        assert_eq!(gaps, [format!("BTCUSDT|{}|silence", stream.name())]);
    }
}

// Fault: N13
#[test]
fn attempts_are_spread_and_grow_rarer_while_a_peer_accepts_and_cuts() {
    let mut world = World::live(&[Stream::Trades]);
    world.frame(A, &agg_trade(1, "1", "1"));
    let mut attempts = 0;
    let end = world.now.mono + 600_000 * NS_PER_MS.unsigned_abs();
    world.down(A, DownReason::Closed);
    while world.now.mono < end {
        world.pass_ms(100);
        if world.opens() > 0 {
            attempts += 1;
            world.connect_all();
            world.actions.clear();
            world.pass_ms(100);
            world.down(A, DownReason::Closed);
        }
    }
    assert!((15..120).contains(&attempts), "{attempts} attempts in ten minutes");
    assert_eq!(world.rows(Table::Gaps, &["cause", "ts_resumed"]), ["disconnect|"], "one outage, still open");
}

// Fault: N02
#[test]
fn a_peer_that_says_too_much_is_left_alone_for_five_seconds_and_any_other_close_is_not() {
    for (code, waits) in [(1000, false), (1001, false), (1008, true), (1012, false), (1013, true)] {
        let mut world = World::live(&[Stream::Trades]);
        world.frame(A, &agg_trade(1, "1", "1"));
        world.pass_ms(15_000);
        let detail = String::from("go away");
        let down = ConnDown { reason: DownReason::Closed, code: Some(code), detail, retry_after_ms: None };
        world.input(Input::ConnDown { conn: A, down: &down });
        world.pass_ms(4_999);
        assert_eq!(world.opens(), usize::from(!waits), "{code}");
        world.pass_ms(1);
        assert_eq!(world.opens(), 1, "{code}: it comes back by itself");
        world.connect_all();
        world.frame(A, &agg_trade(4, "1", "1"));
        let gaps = world.rows(Table::Gaps, &["gap_id", "cause", "first_missing", "last_missing"]);
        assert_eq!(gaps, ["1|disconnect||", "1|disconnect|2|3"], "{code}");
    }
}

// Fault: N16
#[test]
fn a_peer_that_says_when_to_come_back_is_obeyed() {
    let mut world = World::live(&[Stream::Trades]);
    let down = ConnDown {
        reason: DownReason::Refused,
        code: Some(429),
        detail: "Too Many Requests".into(),
        retry_after_ms: Some(45_000),
    };
    world.input(Input::ConnDown { conn: A, down: &down });
    world.pass_ms(44_999);
    assert_eq!(world.opens(), 0);
    world.pass_ms(30_001);
    assert_eq!(world.opens(), 1);
}

// Fault: X08, X10
#[test]
fn a_snapshot_that_never_overlaps_is_never_published() {
    let mut world = World::live(&[Stream::L2]);
    for i in 0..100 {
        let base = 1_000 + i * 10;
        world.frame(A, &depth("BTCUSDT", (base - 10, base - 9, base), "", ""));
        for request in world.requests("depth?symbol=BTCUSDT&limit=1000") {
            world.reply(Some(request), "", 200, &snapshot(5, r#"["100","1"]"#, ""));
        }
        world.actions.clear();
        world.pass_ms(1_000);
    }
    assert!(world.rows(Table::L2, &["last_id"]).is_empty());
    assert_eq!(world.engine.books()[0].state, "awaiting_snapshot");
    assert!(world.count("/replies/ignored/snapshot_too_old") > 5);
    assert!(world.rows(Table::Gaps, &["cause"]).is_empty());
}

// Fault: X09
#[test]
fn failing_snapshots_leave_trades_flowing_and_are_asked_for_with_a_backoff() {
    let mut world = World::live(&[Stream::Trades, Stream::L2]);
    let mut asked = 0;
    for i in 0..600 {
        world.frame(A, &depth("BTCUSDT", (i * 10, i * 10 + 1, i * 10 + 10), "", ""));
        world.frame(B, &agg_trade(i + 1, "1", "1"));
        for request in world.requests("depth?symbol=BTCUSDT&limit=1000") {
            asked += 1;
            world.reply(Some(request), "", 503, "");
        }
        world.actions.clear();
        world.pass_ms(1_000);
    }
    assert!((10..120).contains(&asked), "{asked} requests in ten minutes");
    assert_eq!(world.rows(Table::Trades, &["trade_id"]).len(), 600);
    assert!(world.rows(Table::L2, &["last_id"]).is_empty());
}

// Fault: X10
#[test]
fn a_snapshot_of_another_symbol_is_not_taken() {
    let mut world = World::live(&[Stream::L2]);
    world.frame(A, &depth("BTCUSDT", (20, 21, 30), r#"["60000.0","1"]"#, r#"["60001.0","1"]"#));
    let request = world.requests("depth")[0];
    world.reply(Some(request), "", 200, &snapshot(25, r#"["3000.0","1"]"#, r#"["3001.0","1"]"#));
    assert!(world.rows(Table::L2, &["last_id"]).is_empty());
    assert_eq!(world.count("/replies/ignored/snapshot_crossed"), 1);
}

// Fault: X11
#[test]
fn a_snapshot_that_lags_is_bridged_by_what_was_held() {
    let mut world = World::live(&[Stream::L2]);
    for i in 1..=10 {
        world.frame(A, &depth("BTCUSDT", (i * 10, i * 10 + 1, i * 10 + 10), r#"["100.0","1"]"#, ""));
    }
    let request = world.requests("depth")[0];
    world.reply(Some(request), "", 200, &snapshot(45, r#"["100.0","2"]"#, r#"["101.0","1"]"#));
    assert_eq!(world.engine.books()[0].last_id, Some(110));
    assert_eq!(world.engine.books()[0].resyncs, 0);
}

/// Connected, with no book yet, and with such limits.
fn holding(limit: impl FnOnce(&mut BookLimits)) -> World {
    let mut config = config(&[Stream::L2]);
    limit(&mut config.book);
    let mut world = World::new(config);
    world.connect_all();
    world
}

// Fault: X08
#[test]
fn held_events_are_bounded_and_the_oldest_dropped_and_counted() {
    let mut world = holding(|limits| limits.max_held_events = 10);
    for i in 1..=100 {
        world.frame(A, &depth("BTCUSDT", (i * 10, i * 10 + 1, i * 10 + 10), "", ""));
    }
    let book = &world.engine.books()[0];
    assert_eq!((book.in_flight, book.dropped), (10, 90));
    assert_eq!((world.count("/frames/held"), world.count("/frames/held_dropped")), (10, 90));
}

// Fault: X08
#[test]
fn levels_of_held_events_are_bounded_too_and_the_newest_is_always_kept() {
    let mut world = holding(|limits| limits.max_held_levels = 10);
    let levels = |n: i64| (0..n).map(|price| format!(r#"["{}.0","1"]"#, 100 + price)).collect::<Vec<_>>().join(",");
    for (i, many) in [(1, 4), (2, 4), (3, 4), (4, 11), (5, 1)] {
        world.frame(A, &depth("BTCUSDT", (i * 10, i * 10 + 1, i * 10 + 10), &levels(many), ""));
        let kept = [1, 2, 2, 1, 1][usize::try_from(i - 1).expect("a place")];
        assert_eq!(world.engine.books()[0].in_flight, kept, "after {i}");
    }
    assert_eq!((world.count("/frames/held"), world.count("/frames/held_dropped")), (1, 4));
}

#[test]
fn data_nobody_asked_for_is_counted_and_makes_no_instrument() {
    let mut world = World::live(&[Stream::Bbo]);
    world.frame(A, &quote(1, "1", "2").replace("BTCUSDT", "ETHUSDT"));
    world.frame(A, &agg_trade(1, "1", "1"));
    assert_eq!(world.count("/frames/ignored/unsolicited"), 1);
    assert_eq!(world.count("/frames/ignored/unrequested_stream"), 1);
}

#[test]
fn a_late_reply_to_a_forgotten_request_is_ignored() {
    let mut world = World::live(&[Stream::L2]);
    world.frame(A, &depth("BTCUSDT", (20, 21, 30), "", ""));
    let request = world.requests("depth")[0];
    world.down(A, DownReason::Eof);
    world.input(Input::Http(HttpReply {
        request: Some(request),
        url: "",
        status: 200,
        retry_after_ms: None,
        body: snapshot(25, "", "").as_bytes(),
    }));
    assert!(world.rows(Table::L2, &["last_id"]).is_empty());
    assert_eq!(world.count("/replies/ignored/unknown_reply"), 1);
}

//! Open interest of Binance futures, which REST alone tells: asked for by turns, and rows of `derivatives`.

use super::harness::{A, World, all_rows, live_config, recording_of};
use super::replay::replay;
use crate::config::{EngineConfig, SizeUnit, Stream};
use crate::engine::{Action, DownReason, RequestId};
use crate::symbol::Venue;
use crate::table::Table;

const COLUMNS: [&str; 5] = ["symbol", "mark_price", "open_interest", "ts_event", "conn_id"];

fn world(symbols: &[&str], streams: &[Stream], interval_s: u64) -> World {
    let config = live_config(Venue::BinanceFutures, symbols, streams);
    let mut world = World::new(EngineConfig { open_interest_interval_s: interval_s, ..config });
    world.connect_all();
    world
}

/// Who was asked for since the actions were last forgotten.
fn asked(world: &mut World) -> Vec<(RequestId, String)> {
    let actions = std::mem::take(&mut world.actions);
    let polls = actions.into_iter().filter_map(|action| match action {
        Action::Http { request, url, weight } if url.contains("openInterest") => {
            assert_eq!(weight, 1);
            Some((request, url))
        }
        _ => None,
    });
    polls.collect()
}

fn told(symbol: &str, open: &str, time: i64) -> String {
    format!(r#"{{"symbol":"{symbol}","openInterest":"{open}","time":{time}}}"#)
}

fn mark(time: i64) -> String {
    format!(
        r#"{{"stream":"btcusdt@markPrice@1s","data":{{"e":"markPriceUpdate","E":{time},"s":"BTCUSDT","p":"7.5","P":"7","i":"7","r":"0","T":0,"st":1}}}}"#
    )
}

#[test]
fn each_instrument_is_asked_for_once_an_interval_and_never_two_at_once() {
    let symbols = ["BTCUSDT", "ETHUSDT", "XRPUSDT"];
    let mut world = world(&symbols, &[Stream::Derivatives], 30);
    let mut at = Vec::new();
    for second in 0..=91 {
        for (request, url) in asked(&mut world) {
            let symbol = url.rsplit('=').next().expect("a symbol").to_owned();
            assert_eq!(url, format!("https://fapi.binance.com/fapi/v1/openInterest?symbol={symbol}"));
            world.reply(Some(request), &url, 200, &told(&symbol, "1", 1_795_348_700_000 + second));
            at.push((second, symbol));
        }
        world.pass_ms(1_000);
    }
    let expected: Vec<(i64, String)> =
        (0..10).map(|n| (1 + 10 * n, symbols[usize::try_from(n).expect("few") % 3].to_owned())).collect();
    assert_eq!(at, expected);
    assert_eq!(world.rows(Table::Derivatives, &["open_interest"]).len(), 10);
    // Who is removed is asked for no more, and the others take its turns.
    world.command(&crate::engine::Command::Remove(vec!["ETHUSDT".to_owned()])).expect("it is subscribed");
    world.actions.clear();
    let mut turns = Vec::new();
    for _ in 0..4 {
        world.pass_ms(15_000);
        for (request, url) in asked(&mut world) {
            turns.push(url.rsplit('=').next().expect("a symbol").to_owned());
            world.reply(Some(request), &url, 503, "");
        }
    }
    assert!(turns.len() >= 4 && turns.windows(2).all(|two| two[0] != two[1]), "{turns:?}");
    assert!(!turns.contains(&"ETHUSDT".to_owned()), "{turns:?}");
}

#[test]
fn nobody_asks_for_what_is_not_wanted_or_not_offered() {
    for (venue, symbol, streams, interval_s) in [
        (Venue::BinanceFutures, "BTCUSDT", &[Stream::Derivatives][..], 0),
        (Venue::BinanceFutures, "BTCUSDT", &[Stream::Trades, Stream::L2], 10),
        (Venue::BinanceSpot, "BTCUSDT", &[Stream::Trades], 10),
        (Venue::Okx, "BTC-USDT-SWAP", &[Stream::Derivatives], 10),
        (Venue::Deribit, "BTC-PERPETUAL", &[Stream::Derivatives], 10),
    ] {
        let config = live_config(venue, &[symbol], streams);
        let mut world = World::new(EngineConfig { open_interest_interval_s: interval_s, ..config });
        world.connect_all();
        world.pass_ms(120_000);
        assert!(asked(&mut world).is_empty(), "{venue:?} {streams:?}");
    }
}

#[test]
fn many_instruments_take_at_most_half_of_the_budget_however_short_the_interval() {
    let names: Vec<String> = (0..100).map(|n| format!("A{n}USDT")).collect();
    let symbols: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = world(&symbols, &[Stream::Derivatives], 1);
    world.pass_ms(1_000);
    let mut requests = 0;
    for _ in 0..6_000 {
        let now = asked(&mut world);
        assert!(now.len() <= 1, "no bursts");
        requests += now.len();
        for (request, url) in now {
            world.reply(Some(request), &url, 429, "");
        }
        world.pass_ms(10);
    }
    // Of 2400 a minute (futures §2).
    assert!((1_190..=1_201).contains(&requests), "{requests}");
    // Where nobody answers there are only a few on their way.
    world.pass_ms(60_000);
    assert!(asked(&mut world).len() <= 4);
}

#[test]
fn open_interest_is_a_row_that_says_nothing_of_the_connections_and_a_replay_has_it_too() {
    let mut world = world(&["BTCUSDT"], &[Stream::Derivatives], 10);
    world.frame(A, &mark(1_795_348_700_000));
    world.pass_ms(1_000);
    let next = |world: &mut World, status: u16, body: &str| {
        let [(request, url)] = asked(world).try_into().expect("one request");
        world.reply(Some(request), &url, status, body);
        world.pass_ms(10_000);
    };
    next(&mut world, 200, &told("BTCUSDT", "10659.509", 1_795_348_701_000));
    world.down(A, DownReason::Reset);
    assert_eq!(world.rows(Table::Gaps, &["stream", "cause", "ts_resumed"]), ["derivatives|disconnect|"]);
    // The same again, an older one, one of somebody else, and what is none.
    next(&mut world, 200, &told("BTCUSDT", "10659.509", 1_795_348_701_000));
    next(&mut world, 200, &told("BTCUSDT", "1", 1_795_348_700_999));
    next(&mut world, 200, &told("ETHUSDT", "1", 1_795_348_702_000));
    next(&mut world, 400, r#"{"code":-1121,"msg":"Invalid symbol."}"#);
    next(&mut world, 0, "");
    next(&mut world, 200, "<html>");
    next(&mut world, 200, &told("BTCUSDT", "0", 1_795_348_703_000));
    let expected = [
        "BTCUSDT|7.5||1795348700000000000|1",
        "BTCUSDT||10659.509|1795348701000000000|0",
        "BTCUSDT||0|1795348703000000000|0",
    ];
    assert_eq!(world.rows(Table::Derivatives, &COLUMNS), expected);
    assert_eq!(world.rows(Table::Gaps, &["cause"]).len(), 1, "the connection is still down");
    let count = |outcome: &str| world.count(&format!("/replies/{outcome}"));
    assert_eq!(count("ignored/older_state"), 1);
    assert_eq!((count("rejected/schema"), count("rejected/status"), count("rejected/json")), (1, 2, 1));
    let mut again = replay(&mut world);
    again.rows(Table::Derivatives, &COLUMNS);
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Levels) {
        assert_eq!(all_rows(&again.batches, table), all_rows(&world.batches, table), "{table:?}");
    }
    assert_eq!(again.counters(), world.counters());
}

#[test]
fn a_recording_of_anybody_that_holds_such_replies_has_their_rows() {
    for size_unit in [SizeUnit::Base, SizeUnit::Native] {
        let mut world = World::new(EngineConfig { size_unit, ..recording_of(Venue::BinanceFutures) });
        let url = "https://fapi.binance.com/fapi/v1/openInterest?symbol=ETHUSDT";
        world.reply(None, url, 200, &told("ETHUSDT", "10659.509", 1_589_437_530_011));
        world.reply(None, url, 200, &told("ETHUSDT", "10660", 1_589_437_540_011));
        let expected = ["ETHUSDT||10659.509|1589437530011000000|0", "ETHUSDT||10660|1589437540011000000|0"];
        assert_eq!(world.rows(Table::Derivatives, &COLUMNS), expected);
        world.pass_ms(120_000);
        assert!(asked(&mut world).is_empty(), "a recording asks for nothing");
    }
}

//! What is subscribed: names at once, the rest by the reference data, and what the reference data become.

use super::exchange::VENUES;
use super::frames::{
    T0, binance_instruments, deribit_instruments, deribit_trade, deribit_trades, okx_instruments, okx_spot, okx_swap,
    okx_trade,
};
use super::harness::{A, World, agg_trade, all_rows, live_config};
use super::replay::replay;
use crate::config::{ConfigError, EngineConfig, SizeUnit, Stream};
use crate::engine::{Action, Command};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

fn okx(symbols: &[&str]) -> World {
    World::new(live_config(Venue::Okx, symbols, &[Stream::Trades]))
}

/// Fetches the reference data when it is due and answers every request alike.
fn refresh(world: &mut World, status: u16, body: &str) {
    if world.requests("exchangeInfo").is_empty() {
        world.pass_ms(10_000);
    }
    assert!(world.tell_reference(status, body) > 0, "it was asked for");
}

/// Everything subscribed on all connections since the actions were last forgotten.
fn subscribed(world: &World) -> String {
    let sent = world.actions.iter().filter_map(|action| match action {
        Action::Send { text, .. } if text.contains("ubscribe") && !text.contains("unsub") => Some(text.as_str()),
        _ => None,
    });
    sent.collect::<Vec<_>>().join("\n")
}

#[test]
fn names_known_by_their_text_are_subscribed_at_once_and_others_after_the_reference_data() {
    let mut world = okx(&["BTC-USDT", "okx-swap:BTCUSDT"]);
    world.connect_all();
    world.frame(A, &okx_trade("BTC-USDT", 7, 1, T0));
    assert_eq!(world.rows(Table::Trades, &["symbol"]), ["BTCUSDT"]);
    assert!(!subscribed(&world).contains("SWAP"));
    world.pass_ms(0);
    world.actions.retain(|action| matches!(action, Action::Http { .. }));
    let reference = okx_instruments(&[okx_spot("BTC", "USDT", "live"), okx_swap("BTC", "USDT", "live")]);
    world.tell_reference(200, &reference);
    assert!(subscribed(&world).contains("BTC-USDT-SWAP") && !subscribed(&world).contains("BTC-USDT\""));
    world.acknowledge(A);
    world.frame(A, &okx_trade("BTC-USDT-SWAP", 9, 1, T0));
    assert_eq!(
        world.rows(Table::Trades, &["exchange", "symbol", "size"]),
        ["okx-spot|BTCUSDT|2", "okx-swap|BTCUSDT|0.02"]
    );
}

// Fault: G03
#[test]
fn a_name_that_is_not_listed_is_an_error_with_a_hint_and_never_another_one() {
    let futures = |symbol: &str| {
        let config = live_config(Venue::BinanceFutures, &[symbol], &[Stream::Trades]);
        World::new(EngineConfig { reference_interval_s: 10, ..config })
    };
    let mut world = futures("BTCUSD");
    world.pass_ms(0);
    world.tell_reference(200, &binance_instruments(&[("BTCUSDT", "TRADING"), ("ETHUSDT", "TRADING")]));
    let error = world.engine.fault().expect("BTCUSD is not listed").to_string();
    assert!(error.contains("BTCUSD") && error.contains("BTCUSDT"), "{error}");
    assert!(matches!(world.engine.fault(), Some(ConfigError::NotListed { .. })));
    // A pattern that fits nothing is one too.
    let mut world = futures("*EUR");
    world.pass_ms(0);
    world.tell_reference(200, &binance_instruments(&[("BTCUSDT", "TRADING")]));
    assert!(world.engine.fault().is_some_and(|fault| fault.to_string().contains("*EUR")));
    // One that is listed is none, now and when it is gone.
    let mut world = futures("BTCUSDT");
    for listed in [[("BTCUSDT", "TRADING")], [("ETHUSDT", "TRADING")]] {
        refresh(&mut world, 200, &binance_instruments(&listed));
        assert_eq!(world.engine.fault(), None);
    }
}

#[test]
fn patterns_and_conditions_mean_what_is_listed_and_fits() {
    let rows = [okx_spot("BTC", "USDT", "live"), okx_spot("BTC", "EUR", "live"), okx_swap("ETH", "USDT", "live")];
    for (symbol, meant) in [
        ("*USDT", vec!["BTC-USDT", "ETH-USDT-SWAP"]),
        ("okx-spot:*", vec!["BTC-EUR", "BTC-USDT"]),
        ("kind=perpetual", vec!["ETH-USDT-SWAP"]),
        ("base=BTC,quote=EUR", vec!["BTC-EUR"]),
    ] {
        let mut world = okx(&[symbol]);
        world.pass_ms(0);
        world.tell_reference(200, &okx_instruments(&rows));
        world.connect_all();
        let asked: serde_json::Value = serde_json::from_str(&subscribed(&world)).expect("one request for all");
        let mut names: Vec<&str> =
            asked["args"].as_array().expect("args").iter().filter_map(|arg| arg["instId"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, meant, "{symbol}");
    }
}

/// Names are judged before anything is connected; what is only meant, when the reference data have come.
#[test]
fn a_stream_that_nothing_that_fits_has_is_an_error_and_not_silence() {
    let spot = [okx_spot("BTC", "USDT", "live")];
    let both = [okx_spot("BTC", "USDT", "live"), okx_swap("BTC", "USDT", "live")];
    let odd = [serde_json::json!({"instType": "SWAP", "instId": "ODD-USDT-SWAP", "state": "live"})];
    for (symbol, listed, streams, said) in [
        ("quote=USDT", &spot[..], &[Stream::Derivatives][..], "okx-spot:BTC-USDT has none of the streams derivatives"),
        ("*USDT", &spot, &[Stream::Trades, Stream::Derivatives], "*USDT means has the stream \"derivatives\""),
        ("base=BTC", &both, &[Stream::L2Top, Stream::Options], "has the stream \"options\""),
        ("okx:BTCUSDT", &both, &[Stream::Trades, Stream::Options], "has the stream \"options\""),
        ("kind=perpetual", &odd, &[Stream::Trades], "native"),
        ("okx:BTCUSDT", &both, &[Stream::Derivatives, Stream::L2Top], ""),
        ("*", &both, &[Stream::Derivatives], ""),
    ] {
        let mut world = World::new(live_config(Venue::Okx, &[symbol], streams));
        world.pass_ms(0);
        world.connect_all();
        world.tell_reference(200, &okx_instruments(listed));
        let fault = world.engine.fault().map(ToString::to_string);
        match said {
            "" => assert_eq!(fault, None, "{symbol}"),
            said => assert!(fault.as_ref().is_some_and(|fault| fault.contains(said)), "{symbol}: {fault:?}"),
        }
    }
    // While running it is refused, and nothing has happened.
    let mut world = World::new(live_config(Venue::Okx, &["BTC-USDT-SWAP"], &[Stream::Derivatives]));
    world.pass_ms(0);
    world.connect_all();
    world.tell_reference(200, &okx_instruments(&both));
    let add = Command::Add(vec!["*C-USDT".to_owned()]);
    let refused = world.engine.command(world.now, &add).expect_err("nothing of it has the stream").to_string();
    assert!(refused.contains("okx-spot:BTC-USDT has none of the streams derivatives"), "{refused}");
    assert_eq!(world.engine.fault(), None);
}

// Fault: X23
#[test]
fn listings_changes_and_delistings_are_rows_with_validity_and_new_ones_are_subscribed() {
    let columns = ["native_symbol", "status", "valid_from", "valid_to"];
    let config = live_config(Venue::BinanceSpot, &["*USDT"], &[Stream::Trades]);
    let mut world = World::new(EngineConfig { reference_interval_s: 10, ..config });
    refresh(&mut world, 200, &binance_instruments(&[("BTCUSDT", "TRADING")]));
    let first = world.now.wall;
    world.connect_all();
    world.actions.clear();
    refresh(&mut world, 200, &binance_instruments(&[("BTCUSDT", "TRADING")]));
    assert_eq!(world.rows(Table::Instruments, &columns), [format!("BTCUSDT|trading|{first}|")], "nothing changed");
    assert_eq!(subscribed(&world), "");
    refresh(&mut world, 200, &binance_instruments(&[("BTCUSDT", "HALT"), ("ETHUSDT", "TRADING")]));
    let second = world.now.wall;
    refresh(&mut world, 200, &binance_instruments(&[("ETHUSDT", "TRADING")]));
    let third = world.now.wall;
    assert_eq!(
        world.rows(Table::Instruments, &columns)[1..],
        [
            format!("BTCUSDT|trading|{first}|{second}"),
            format!("BTCUSDT|halted|{second}|"),
            format!("ETHUSDT|trading|{second}|"),
            format!("BTCUSDT|halted|{second}|{third}"),
            format!("BTCUSDT|closed|{third}|"),
        ]
    );
    let asked = world.actions.iter().filter(|a| matches!(a, Action::Send { text, .. } if text.contains("ethusdt@")));
    assert_eq!(asked.count(), 1);
}

#[test]
fn reference_data_that_fail_are_asked_for_again_while_names_flow_and_nothing_is_called_unlisted() {
    let mut world = World::new(live_config(Venue::BinanceFutures, &["BTCUSDT"], &[Stream::Trades]));
    world.pass_ms(0);
    world.connect_all();
    let mut asked = 0;
    for id in 1..=600 {
        world.pass_ms(1_000);
        world.frame(A, &agg_trade(id, "1", "1"));
        world.acknowledge(A);
        asked += world.tell_reference(if id % 2 == 0 { 429 } else { 503 }, "");
        world.actions.clear();
    }
    assert!((10..200).contains(&asked), "{asked} requests in ten minutes");
    assert_eq!(world.rows(Table::Trades, &["trade_id"]).len(), 600);
    assert_eq!(world.engine.fault(), None);
    world.pass_ms(31_000);
    world.tell_reference(200, &binance_instruments(&[("BTCUSDT", "TRADING")]));
    world.actions.clear();
    world.pass_ms(3_599_000);
    assert!(world.requests("exchangeInfo").is_empty(), "it is fetched hourly from then on");
    world.pass_ms(1_000);
    assert_eq!(world.requests("exchangeInfo").len(), 1);
}

/// The reference data of a venue, with two instruments or none.
fn listed(venue: Venue, is_empty: bool) -> String {
    let rows = [okx_spot("BTC", "USDT", "live"), okx_spot("ETH", "USDT", "live")];
    match venue {
        Venue::Okx => okx_instruments(if is_empty { &[] } else { &rows }),
        Venue::Deribit => deribit_instruments(if is_empty { &[] } else { &["BTC_USDC", "ETH_USDC"] }),
        _ => binance_instruments(if is_empty { &[] } else { &[("BTCUSDT", "TRADING"), ("ETHUSDT", "TRADING")] }),
    }
}

/// An exchange that is being restarted may know of nothing for a while. One that says so again and again is believed.
#[test]
fn a_good_reply_that_names_nothing_any_more_closes_nothing_until_it_has_been_said_eight_times_in_a_row() {
    for venue in VENUES {
        let market = if venue == Venue::Deribit { "deribit-spot:*" } else { "*USDT" };
        let config = live_config(venue, &[market], &[Stream::Trades]);
        let mut world = World::new(EngineConfig { reference_interval_s: 3_600, ..config });
        world.pass_ms(0);
        let n = world.tell_reference(200, &listed(venue, false));
        world.connect_all();
        let closed = |world: &mut World| {
            let rows = world.rows(Table::Instruments, &["status"]);
            rows.iter().filter(|status| *status == "closed").count()
        };
        let refused = |world: &World| world.count("/replies/rejected/nothing_listed");
        world.pass_ms(3_600_000);
        for said in 1..=7 {
            assert_eq!(world.tell_reference(200, &listed(venue, true)), n, "{venue:?}, the {said}th time");
            assert_eq!((refused(&world), closed(&mut world)), (said * n as u64, 0), "{venue:?}");
            // Asked again long before it is due.
            world.pass_ms(30_000);
        }
        // What is there again makes forgotten what was not.
        world.tell_reference(200, &listed(venue, false));
        for _ in 1..=7 {
            world.pass_ms(3_600_000);
            world.tell_reference(200, &listed(venue, true));
        }
        assert_eq!((refused(&world), closed(&mut world)), (14 * n as u64, 0), "{venue:?}");
        world.pass_ms(3_600_000);
        world.tell_reference(200, &listed(venue, true));
        assert_eq!((refused(&world), closed(&mut world)), (14 * n as u64, 2), "{venue:?}");
        let mut again = replay(&mut world);
        again.rows(Table::Trades, &["symbol"]);
        assert_eq!(all_rows(&again.batches, Table::Instruments), all_rows(&world.batches, Table::Instruments));
        assert_eq!(again.counters(), world.counters(), "{venue:?}");
    }
}

#[test]
fn one_reply_of_several_that_fails_makes_nothing_unlisted() {
    for failing in 0..2 {
        let mut world = okx(&["okx-spot:BTC-USDT", "okx-swap:BTCUSDT"]);
        world.pass_ms(0);
        let mut asked = world.requests("instType=SPOT");
        asked.extend(world.requests("instType=SWAP"));
        assert_eq!(asked.len(), 2);
        world.connect_all();
        world.actions.clear();
        let rows = [okx_spot("BTC", "USDT", "live"), okx_swap("BTC", "USDT", "live")];
        for order in [failing, 1 - failing] {
            let status = if order == 1 { 429 } else { 200 };
            world.reply(Some(asked[order]), &format!("{order}"), status, &okx_instruments(&rows[order..=order]));
        }
        assert_eq!(world.engine.fault(), None);
        world.pass_ms(600);
        assert_eq!(world.requests("instType").len(), 2, "both are asked for again, once");
        for (order, (row, kind)) in rows.iter().zip(["SPOT", "SWAP"]).enumerate() {
            let request = world.requests(&format!("instType={kind}"))[0];
            world.reply(Some(request), &format!("{order}"), 200, &okx_instruments(std::slice::from_ref(row)));
        }
        world.connect_all();
        assert_eq!(world.engine.fault(), None);
        assert!(subscribed(&world).contains("BTC-USDT-SWAP"));
    }
}

#[test]
fn what_nobody_knows_is_kept_as_other_and_costs_the_rest_nothing() {
    let odd = serde_json::json!({"instType": "EVENTS", "instId": "MOON-USDT-2027", "state": "live", "tickSz": "0.01",
        "lotSz": "1", "ctVal": "", "ctMult": ""});
    let unknown = serde_json::json!({"instType": "SWAP", "instId": "ODD-USDT-SWAP", "state": "live"});
    let mut world = okx(&["*USDT*"]);
    world.pass_ms(0);
    world.tell_reference(200, &okx_instruments(&[odd, unknown, okx_spot("BTC", "USDT", "live")]));
    world.connect_all();
    assert_eq!(world.engine.fault(), None, "a size that nobody can tell is left out of what only fits");
    assert!(subscribed(&world).contains("BTC-USDT") && !subscribed(&world).contains("ODD"));
    let kinds = world.rows(Table::Instruments, &["native_symbol", "kind"]);
    assert!(kinds.contains(&"MOON-USDT-2027|other".to_owned()), "{kinds:?}");
    // Meant by its name it is an error that names the way out.
    let mut world = okx(&["okx-swap:ODD-USDT-SWAP"]);
    world.pass_ms(0);
    world.tell_reference(200, &okx_instruments(&[serde_json::json!({"instType": "SWAP", "instId": "ODD-USDT-SWAP"})]));
    assert!(
        world.engine.fault().is_some_and(|fault| fault.to_string().contains("native")),
        "{:?}",
        world.engine.fault()
    );
}

// Fault: G06
#[test]
fn more_symbols_than_a_connection_carries_are_spread_and_more_than_an_address_carries_are_refused() {
    let names: Vec<String> = (0..100).map(|n| format!("X{n}-USDT")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = okx(&names);
    assert_eq!(world.opens(), 4, "29 at most on each");
    world.connect_all();
    let most = (1..=4).map(|conn| world.sent(ConnId(conn)).join("").matches("instId").count());
    assert_eq!(most.collect::<Vec<_>>(), [29, 29, 29, 13]);
    let many: Vec<String> = (0..17_000).map(|n| format!("X{n}_USDC")).collect();
    let config = EngineConfig { symbols: many, ..live_config(Venue::Deribit, &[], &[Stream::Trades]) };
    let refused = crate::engine::Engine::start(config, "test", crate::time::Stamp { wall: 1, mono: 1 }).err();
    assert!(matches!(refused, Some(ConfigError::Connections { allowed: 32, each: 1, .. })), "{refused:?}");
}

// Fault: X18
#[test]
fn what_was_never_subscribed_is_counted_and_makes_nothing() {
    let mut world = World::new(live_config(Venue::Deribit, &["BTC-PERPETUAL"], &[Stream::Trades]));
    world.connect_all();
    world.frame(A, &deribit_trades("ETH-PERPETUAL", &[deribit_trade("ETH-PERPETUAL", 1, T0, "")]));
    assert_eq!(world.count("/frames/ignored/unsolicited"), 1);
    assert!(world.rows(Table::Trades, &["symbol"]).is_empty());
}

#[test]
fn a_name_in_native_units_needs_no_reference_data() {
    let config = live_config(Venue::Okx, &["BTC-USDT-SWAP"], &[Stream::Trades]);
    let mut world = World::new(EngineConfig { size_unit: SizeUnit::Native, ..config });
    world.connect_all();
    world.frame(A, &okx_trade("BTC-USDT-SWAP", 9, 1, T0));
    assert_eq!(world.rows(Table::Trades, &["size"]), ["2"]);
    let mut world = World::new(live_config(Venue::Deribit, &["BTCUSD"], &[Stream::Trades]));
    world.pass_ms(0);
    world.tell_reference(200, &deribit_instruments(&["BTC-PERPETUAL"]));
    assert_eq!(world.engine.fault(), None);
}

/// OKX §2: X-Perps are listed among the futures and have a funding rate; their names do not tell.
#[test]
fn what_only_the_reference_data_call_perpetual_is_asked_for_its_funding() {
    let future = |native: &str, rule: &str| {
        serde_json::json!({"instType": "FUTURES", "instId": native, "ruleType": rule, "uly": "BTC-USDT", "ctMult": "1",
            "ctType": "linear", "ctVal": "0.01", "ctValCcy": "BTC", "tickSz": "0.1", "lotSz": "1", "state": "live"})
    };
    let listed = [future("BTC-USDT-310404", "xperp"), future("BTC-USDT-261225", "normal")];
    for size_unit in [SizeUnit::Base, SizeUnit::Native] {
        let names = ["BTC-USDT-310404", "BTC-USDT-261225"];
        let config = live_config(Venue::Okx, &names, &[Stream::Derivatives]);
        let mut world = World::new(EngineConfig { size_unit, ..config });
        world.pass_ms(0);
        world.tell_reference(200, &okx_instruments(&listed));
        world.connect_all();
        let asked = subscribed(&world);
        let of = |channel: &str, native: &str| {
            let argument = serde_json::json!({"channel": channel, "instId": native}).to_string();
            asked.contains(&argument)
        };
        assert!(of("mark-price", names[0]) && of("mark-price", names[1]), "{asked}");
        assert!(of("funding-rate", names[0]) && !of("funding-rate", names[1]), "{asked}");
    }
}

fn x_perp(state: &str) -> serde_json::Value {
    serde_json::json!({"instType": "FUTURES", "instId": "TSLA-USDT-310404", "ruleType": "xperp", "uly": "TSLA-USDT",
        "ctMult": "1", "ctType": "linear", "ctVal": "0.01", "ctValCcy": "TSLA", "tickSz": "0.1", "lotSz": "1",
        "state": state})
}

/// OKX §2: an X-Perp is listed among the dated futures and called like one.
#[test]
fn one_symbol_stands_in_every_table_once_the_reference_data_tell_it() {
    let mut world = World::replaying_at(Venue::Okx, 1);
    let native = "TSLA-USDT-310404";
    world.frame(A, &okx_trade(native, 1, 1, T0));
    world.frame(A, &super::frames::okx_book(native, (-1, 10), T0, &[("1", "1")], &[("2", "1")], 0));
    world.reply(
        None,
        "https://www.okx.com/api/v5/public/instruments?instType=FUTURES",
        200,
        &okx_instruments(&[x_perp("live")]),
    );
    world.frame(A, &okx_trade(native, 2, 1, T0));
    world.frame(A, &super::frames::okx_book(native, (10, 11), T0, &[("1", "2")], &[], 0));
    assert_eq!(world.rows(Table::Trades, &["symbol"]), ["TSLAUSDT-310404", "TSLAUSDT"]);
    assert_eq!(world.rows(Table::Instruments, &["symbol"]), ["TSLAUSDT"]);
    assert_eq!(
        world.rows(Table::L2, &["symbol", "source", "is_snapshot", "last_id"]),
        ["TSLAUSDT-310404|ws|true|10", "TSLAUSDT|checkpoint|true|10", "TSLAUSDT|ws|false|11"],
        "the book has a beginning under either"
    );
    assert_eq!(world.engine.books().len(), 1);
    assert!(world.rows(Table::Gaps, &["cause"]).is_empty());
}

/// OKX §2: what has changed comes on `instruments`, whole.
#[test]
fn a_notice_that_tells_an_instrument_whole_is_its_row_live_and_in_a_recording() {
    let columns = ["native_symbol", "symbol", "status", "status_native"];
    let push = |rows: &[serde_json::Value]| {
        serde_json::json!({"arg": {"channel": "instruments", "instType": "SWAP"}, "data": rows}).to_string()
    };
    let reply = okx_instruments(&[okx_swap("BTC", "USDT", "live")]);
    let live = EngineConfig {
        size_unit: SizeUnit::Native,
        ..live_config(Venue::Okx, &["okx-swap:BTC-USDT-SWAP"], &[Stream::Trades])
    };
    let mut worlds = [World::new(live), World::replaying_at(Venue::Okx, 1)];
    worlds[0].pass_ms(0);
    worlds[0].connect_all();
    worlds[0].tell_reference(200, &reply);
    worlds[1].reply(None, "https://www.okx.com/api/v5/public/instruments?instType=SWAP", 200, &reply);
    for world in &mut worlds {
        world.frame(A, &push(&[okx_swap("BTC", "USDT", "suspend"), okx_swap("NEW", "USDT", "preopen")]));
        world.frame(A, &push(&[okx_swap("BTC", "USDT", "suspend")]));
        assert_eq!(
            world.rows(Table::Instruments, &columns),
            [
                "BTC-USDT-SWAP|BTCUSDT|trading|live",
                "BTC-USDT-SWAP|BTCUSDT|trading|live",
                "BTC-USDT-SWAP|BTCUSDT|halted|suspend",
                "NEW-USDT-SWAP|NEWUSDT|halted|preopen",
            ],
            "what changes nothing adds nothing"
        );
        assert_eq!(world.count("/frames/accepted"), 2);
    }
}

/// OKX §2: pushes tell changes alone, so that a list shows two that would be called alike, and a push only one of them.
#[test]
fn what_a_notice_lists_shares_no_symbol_with_another() {
    let mut world = World::replaying_at(Venue::Okx, 1);
    let url = "https://www.okx.com/api/v5/public/instruments?instType=SPOT";
    world.reply(None, url, 200, &okx_instruments(&[okx_spot("AB", "C", "live")]));
    for state in ["preopen", "preopen", "live"] {
        let listed = okx_spot("A", "BC", state);
        let push = serde_json::json!({"arg": {"channel": "instruments", "instType": "SPOT"}, "data": [listed]});
        world.frame(A, &push.to_string());
    }
    assert_eq!(
        world.rows(Table::Instruments, &["native_symbol", "symbol", "status_native"]),
        [
            "AB-C|ABC|live",
            "A-BC|A-BC|preopen",
            "AB-C|ABC|live",
            "AB-C|AB-C|live",
            "A-BC|A-BC|preopen",
            "A-BC|A-BC|live"
        ]
    );
    for (id, native) in [(1, "AB-C"), (2, "A-BC")] {
        world.frame(A, &okx_trade(native, id, 1, T0));
    }
    assert_eq!(world.rows(Table::Trades, &["trade_id", "symbol"]), ["1|AB-C", "2|A-BC"]);
}

/// Deribit §2: both are offered.
#[test]
fn listings_and_changes_of_state_are_told_by_channels_of_their_own() {
    let mut world = World::new(live_config(Venue::Deribit, &["BTC-PERPETUAL"], &[Stream::Trades]));
    world.pass_ms(0);
    world.connect_all();
    world.tell_reference(200, &deribit_instruments(&["BTC-PERPETUAL"]));
    let asked = subscribed(&world);
    assert!(asked.contains("instrument.state.any.any") && asked.contains("instrument.creation.any.any"), "{asked}");
    world.acknowledge(A);
    world.pass_ms(20_000);
    world.actions.clear();
    let created = serde_json::json!({"jsonrpc": "2.0", "method": "subscription", "params": {
        "channel": "instrument.creation.any.any", "data": {"instrument_name": "NEW_USDC-PERPETUAL"}}});
    world.frame(A, &created.to_string());
    assert_eq!(world.requests("get_instruments").len(), 1, "at once, not in an hour");
}

/// Deribit offers no `derivatives` of spot, whose tickers a recording may have all the same.
#[test]
fn what_a_market_does_not_offer_is_no_row_of_it() {
    let mut world = World::replaying_at(Venue::Deribit, 1);
    for native in ["BTC_USDC", "BTC-PERPETUAL"] {
        world.frame(A, &super::frames::deribit_ticker(native, T0, "92281.78", ""));
    }
    assert_eq!(world.rows(Table::Derivatives, &["exchange", "symbol"]), ["deribit|BTCUSD"]);
    assert_eq!(world.count("/frames/ignored/unrequested_stream"), 1);
}

/// OKX lists spot pairs once more for margin, under their own names.
#[test]
fn a_type_that_nobody_knows_takes_no_name_from_one_that_is_known() {
    let margin = serde_json::json!({"instType": "MARGIN", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT",
        "tickSz": "0.1", "lotSz": "0.00000001", "state": "live"});
    let told = |world: &mut World, kind: &str, row: serde_json::Value| {
        let url = format!("https://www.okx.com/api/v5/public/instruments?instType={kind}");
        world.reply(None, &url, 200, &okx_instruments(&[row]));
    };
    let mut world = World::replaying_at(Venue::Okx, 1);
    told(&mut world, "SPOT", okx_spot("BTC", "USDT", "live"));
    told(&mut world, "MARGIN", margin.clone());
    world.frame(A, &okx_trade("BTC-USDT", 1, 1, T0));
    assert_eq!(world.rows(Table::Trades, &["exchange", "symbol"]), ["okx-spot|BTCUSDT"]);
    let mut world = World::replaying_at(Venue::Okx, 1);
    told(&mut world, "MARGIN", margin);
    told(&mut world, "SPOT", okx_spot("BTC", "USDT", "live"));
    world.frame(A, &okx_trade("BTC-USDT", 1, 1, T0));
    assert_eq!(world.rows(Table::Trades, &["exchange", "symbol"]), ["okx-spot|BTCUSDT"], "nor where it came first");
}

// Fault: B11
#[test]
fn reference_data_are_bounded_counted_beyond_and_make_room_of_what_is_closed() {
    let config = live_config(Venue::BinanceSpot, &["AUSDT"], &[Stream::Trades]);
    let mut world = World::new(EngineConfig { reference_interval_s: 10, max_instruments: 3, ..config });
    let listed = |names: &[&'static str]| {
        let rows: Vec<(&str, &str)> = names.iter().map(|name| (*name, "TRADING")).collect();
        binance_instruments(&rows)
    };
    let known = |world: &mut World| {
        let rows = world.rows(Table::Instruments, &["native_symbol"]);
        rows.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    };
    refresh(&mut world, 200, &listed(&["AUSDT", "BUSDT", "CUSDT", "DUSDT"]));
    assert_eq!((known(&mut world).as_str(), world.count("/instruments_left_out")), ("AUSDT BUSDT CUSDT", 1));
    refresh(&mut world, 200, &listed(&["AUSDT", "DUSDT"]));
    refresh(&mut world, 200, &listed(&["AUSDT", "DUSDT", "EUSDT"]));
    assert_eq!(known(&mut world), "AUSDT BUSDT CUSDT DUSDT EUSDT", "two were closed and gave way to two");
    assert_eq!(world.engine.fault(), None);
}

/// Binance spot §1: symbols may be of any script; a recorded URL spells them in bytes.
#[test]
fn a_recorded_snapshot_is_of_the_symbol_that_its_url_spells() {
    let mut world = World::replaying_at(Venue::BinanceSpot, 1);
    let body = r#"{"lastUpdateId":10,"bids":[["1.0","1.0"]],"asks":[["2.0","1.0"]]}"#;
    let depth = |first: i64, last: i64| {
        format!(
            r#"{{"stream":"币安人生usdt@depth@100ms","data":{{"e":"depthUpdate","E":1795348700003,"s":"币安人生USDT","U":{first},"u":{last},"b":[["1.0","2.0"]],"a":[]}}}}"#
        )
    };
    world.frame(A, &depth(9, 11));
    let url = "https://api.binance.com/api/v3/depth?symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&limit=5000";
    world.reply(None, url, 200, body);
    world.frame(A, &depth(12, 12));
    assert_eq!(
        world.rows(Table::L2, &["symbol", "last_id"]),
        ["币安人生USDT|10", "币安人生USDT|11", "币安人生USDT|12"]
    );
    assert_eq!(world.engine.books().len(), 1);
}

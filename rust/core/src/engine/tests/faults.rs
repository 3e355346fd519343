//! Frames that no exchange should send, and more than a connection takes.

use std::collections::BTreeMap;

use super::frames::{T0, deribit_book, deribit_trade, deribit_trades, okx_book, okx_trade};
use super::harness::{A, World, agg_trade, depth, snapshot, trade};
use crate::config::{EngineConfig, Stream};
use crate::engine::Action;
use crate::symbol::Venue;
use crate::table::Table;

// Fault: X19, B01, B02, B04
#[test]
fn every_frame_is_in_exactly_one_counter() {
    let mut world = World::replaying(1);
    let frames: [&[u8]; 12] = [
        b"",
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"[]",
        b"null",
        br#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1,"s":"BTCUSDT","k":{}}}"#,
        br#"{"e":"never heard of","E":1}"#,
        br#"{"result":null,"id":1}"#,
        br#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"a":1,"s":"BTCUSDT","p":"NaN","q":"1","f":1,"l":1,"T":1,"m":true}}"#,
        br#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"a":2,"s":"BTCUSDT","p":"1e400","q":"1","f":1,"l":1,"T":1,"m":true}}"#,
    ];
    for frame in frames {
        world.input(crate::engine::Input::Frame { conn: A, payload: frame });
    }
    world.frame(A, &agg_trade(3, "1", "1"));
    world.frame(A, &depth("BTCUSDT", (1, 2, 3), "", ""));
    let counters = world.counters();
    let frames = &counters["frames"];
    let sum =
        |v: &serde_json::Value| v.as_object().map_or(0, |o| o.values().filter_map(serde_json::Value::as_u64).sum());
    let total: u64 = ["accepted", "duplicate", "stale", "held", "held_dropped"]
        .iter()
        .filter_map(|k| frames[k].as_u64())
        .sum::<u64>()
        + sum(&frames["ignored"])
        + sum(&frames["rejected"]);
    assert_eq!(frames["total"], 14);
    assert_eq!(total, 14, "{counters}");
    assert_eq!(frames["accepted"], 1);
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["3"]);
}

// Fault: B03
#[test]
fn nesting_a_hundred_thousand_deep_is_rejected() {
    let mut world = World::replaying(1);
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    world.frame(A, &deep);
    assert_eq!(world.count("/frames/rejected/depth"), 1);
}

// Fault: B05
#[test]
fn more_levels_than_allowed_are_rejected() {
    let mut config = super::harness::recording();
    config.book.max_levels = 3;
    let mut world = World::new(config);
    world.input(crate::engine::Input::ConnUp { conn: A, url: "", link: crate::engine::Link::default() });
    let four = [r#"["1.0","1"]"#; 4].join(",");
    world.frame(A, &depth("BTCUSDT", (1, 2, 3), &four, ""));
    assert_eq!(world.count("/frames/rejected/limit"), 1);
    world.recorded_snapshot(&snapshot(9, &four, ""));
    assert_eq!(world.count("/replies/rejected/limit"), 1);
}

// Fault: X22, T07, T09
#[test]
fn times_that_cannot_be_are_delivered_and_flagged() {
    let mut world = World::replaying(1);
    let micros = agg_trade(1, "1", "1").replace("\"T\":1795348700001", "\"T\":1795348700001000000");
    world.frame(A, &micros);
    assert_eq!(world.rows(Table::Trades, &["ts_event", "flags"]), ["|152"]);
    let future = agg_trade(2, "1", "1").replace("\"T\":1795348700002", "\"T\":1895348800002");
    world.frame(A, &future);
    assert_eq!(world.rows(Table::Trades, &["flags"])[1], "152");
}

// Fault: B11
#[test]
fn instruments_are_bounded_and_the_rest_counted() {
    let mut config = super::harness::recording();
    config.max_instruments = 10;
    let mut world = World::new(config);
    world.input(crate::engine::Input::ConnUp { conn: A, url: "", link: crate::engine::Link::default() });
    for i in 0..20_000 {
        world.frame(A, &agg_trade(1, "1", "1").replace("BTCUSDT", &format!("X{i}USDT")));
    }
    assert_eq!(world.count("/frames/ignored/too_many_instruments"), 19_990);
}

#[test]
fn a_frame_on_a_connection_that_never_came_up_is_counted() {
    let mut world = World::replaying(1);
    world.frame(crate::symbol::ConnId(0), &agg_trade(1, "1", "1"));
    world.frame(crate::symbol::ConnId(9), &agg_trade(1, "1", "1"));
    assert_eq!(world.count("/frames/ignored/connection_not_up"), 2);
}

/// More channels than a connection takes are spread over several, each within what its exchange allows (§1 of each
/// manual).
// Fault: G06
#[test]
fn subscriptions_are_spread_over_as_many_connections_as_they_need() {
    let name: fn(usize) -> String = |i| format!("QQ{i}USDT");
    let cases = [
        (Venue::BinanceFutures, 200, name),
        (Venue::BinanceSpot, 200, name),
        (Venue::Okx, 29, |i| format!("QQ{i}-USDT")),
        (Venue::Deribit, 500, |i| format!("QQ{i}_USDC-PERPETUAL")),
    ];
    for (venue, most, name) in cases {
        let symbols: Vec<String> = (0..600).map(name).collect();
        let mut world = World::new(EngineConfig { symbols, streams: vec![Stream::L2], ..EngineConfig::new(venue) });
        for action in std::mem::take(&mut world.actions) {
            if let Action::Open { conn, url, .. } = action {
                world.input(crate::engine::Input::ConnUp { conn, url: &url, link: crate::engine::Link::default() });
            }
        }
        let mut channels: BTreeMap<u16, usize> = BTreeMap::new();
        for action in &world.actions {
            if let Action::Send { conn, text } = action {
                *channels.entry(conn.0).or_default() += text.to_uppercase().matches("QQ").count();
            }
        }
        assert!(channels.values().all(|n| *n <= most), "{venue:?}: {channels:?}");
        assert_eq!((channels.values().sum::<usize>(), channels.len()), (600, 600usize.div_ceil(most)), "{venue:?}");
    }
}

/// A frame, a part of it, and what stands there instead.
type Spoilt<'a> = (String, &'a str, &'a str);

/// Prices may be negative (combos), sizes never: a frame with one is counted and costs only itself, whoever reads it.
#[test]
fn negative_sizes_are_out_of_range_everywhere() {
    let quote = |bid: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"quote.X-PERPETUAL","data":{{"timestamp":{T0},"instrument_name":"X-PERPETUAL","best_bid_price":1.5,"best_bid_amount":{bid},"best_ask_price":2.5,"best_ask_amount":3.0}}}}}}"#
        )
    };
    let spot_trade = trade(1, "MARKET", "5");
    let cases: Vec<(Venue, Vec<Spoilt<'_>>)> = vec![
        (
            Venue::BinanceFutures,
            vec![
                (agg_trade(1, "100.5", "5"), r#""q":"5""#, r#""q":"-5""#),
                (depth("BTCUSDT", (1, 2, 1), r#"["1","5"]"#, ""), r#"["1","5"]"#, r#"["1","-5"]"#),
            ],
        ),
        (Venue::BinanceSpot, vec![(spot_trade, r#""q":"5""#, r#""q":"-5""#)]),
        (
            Venue::Okx,
            vec![
                (okx_trade("BTC-USDT", 1, 1, T0), r#""sz":"2""#, r#""sz":"-2""#),
                (okx_book("BTC-USDT", (-1, 5), T0, &[("1", "7")], &[("2", "7")], 0), r#"["1","7""#, r#"["1","-7""#),
            ],
        ),
        (
            Venue::Deribit,
            vec![
                (
                    deribit_trades("X-PERPETUAL", &[deribit_trade("X-PERPETUAL", 1, T0, "")]),
                    r#""amount":10.0"#,
                    r#""amount":-10.0"#,
                ),
                (
                    deribit_book("X-PERPETUAL", (None, 5), T0, &[("1", "7")], &[("2", "7")]),
                    r#""change",1,7"#,
                    r#""change",1,-7"#,
                ),
                (quote("4.0"), r#"amount":4.0"#, r#"amount":-4.0"#),
            ],
        ),
    ];
    for (venue, frames) in cases {
        for (good, plain, negative) in frames {
            let bad = good.replace(plain, negative);
            assert_ne!(bad, good, "{good}");
            // Blanks make it a shape that no scanner knows.
            for frame in [bad.clone(), bad.replacen('{', "{ ", 1)] {
                let mut world = World::replaying_at(venue, 1);
                world.frame(A, &frame);
                assert_eq!(world.count("/frames/rejected/range"), 1, "{frame}");
                world.frame(A, &good);
                assert_eq!(world.count("/frames/rejected/range"), 1, "{good}");
            }
        }
    }
}

/// Deribit writes numbers bare, and a writer of such may write any of them with an exponent.
#[test]
fn integers_are_exact_in_whatever_notation() {
    let mut world = World::replaying_at(Venue::Deribit, 1);
    let native = "BTC-PERPETUAL";
    let book = deribit_book(native, (None, 12_000), T0, &[("1", "7")], &[("2", "7")]);
    world.frame(A, &book.replace("\"change_id\":12000", "\"change_id\":1.2e4"));
    let change = deribit_book(native, (Some(12_000), 12_001), T0 + 1, &[("1", "8")], &[]);
    world.frame(A, &change.replace("\"prev_change_id\":12000", "\"prev_change_id\":120E+2"));
    world.frame(A, &deribit_book(native, (Some(12_001), 12_002), T0 + 2, &[("1", "9")], &[]));
    let trade = deribit_trade(native, 270, T0, "").replace("\"trade_seq\":270", "\"trade_seq\":2.7e2");
    let trade = trade.replace(&format!("\"timestamp\":{T0}"), "\"timestamp\":1.7953487e12");
    world.frame(A, &deribit_trades(native, &[trade]));
    world.frame(A, &deribit_trades(native, &[deribit_trade(native, 271, T0, "")]));
    assert_eq!(world.count("/frames/accepted"), 5);
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["12000", "12001", "12002"]);
    assert_eq!(world.rows(Table::Trades, &["seq"]), ["270", "271"]);
    assert_eq!(world.rows(Table::Gaps, &["cause"]), [""; 0]);
    for (written, reason) in [("1.5", "schema"), ("1e30", "range"), ("\"1\"", "schema")] {
        let mut world = World::replaying_at(Venue::Deribit, 1);
        world.frame(A, &book.replace("\"change_id\":12000", &format!("\"change_id\":{written}")));
        assert_eq!(world.count(&format!("/frames/rejected/{reason}")), 1, "{written}");
    }
}

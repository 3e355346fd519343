//! Trades and quotes: each once, in order of arrival, and what is missing is named.

use super::frames::{T0, deribit_trade, deribit_trades};
use super::harness::{A, B, World, agg_trade, agg_trade_at, quote, trade};
use crate::config::Stream;
use crate::engine::{DownReason, Input, Link};
use crate::symbol::Venue;
use crate::table::Table;

const GAPS: [&str; 7] = ["stream", "cause", "evidence", "missing", "first_missing", "last_missing", "ts_resumed"];

#[test]
fn a_row_of_fills_says_everything_the_exchange_says() {
    let mut world = World::replaying(1);
    world.frame(A, &agg_trade(7, "76916.10", "0.010"));
    assert_eq!(
        world.rows(
            Table::Trades,
            &[
                "symbol",
                "exchange",
                "trade_id",
                "side",
                "price",
                "size",
                "count",
                "first_id",
                "last_id",
                "condition",
                "source",
                "flags"
            ]
        ),
        ["BTCUSDT|binance-futures|7|sell|76916.1|0.01|2|14|15|regular|ws|144"]
    );
}

#[test]
fn a_missing_id_is_a_gap_of_known_size_before_the_next_trade() {
    let mut world = World::replaying(1);
    for id in [1, 2, 6] {
        world.frame(A, &agg_trade(id, "1", "1"));
    }
    let gaps = world.rows(Table::Gaps, &GAPS);
    assert_eq!(gaps.len(), 2);
    assert_eq!(gaps[0], "trades|missed|sequence|3|3|5|");
    assert!(gaps[1].starts_with("trades|missed|sequence|3|3|5|1"), "closed at once: {}", gaps[1]);
    let gap = world.rows(Table::Gaps, &["msg_id", "row"]);
    let trades = world.rows(Table::Trades, &["msg_id", "row"]);
    assert_eq!((gap[0].as_str(), gap[1].as_str(), trades[2].as_str()), ("4|1", "4|2", "4|3"));
}

// Fault: X03
#[test]
fn a_copy_from_another_connection_is_dropped_and_a_late_original_is_delivered() {
    let mut world = World::replaying(2);
    world.frame(B, &agg_trade(1, "1", "1"));
    for (conn, id) in [(A, 1), (A, 3), (B, 2), (A, 2), (B, 3)] {
        world.frame(conn, &agg_trade(id, "1", "1"));
    }
    world.pass_ms(1_000);
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1", "3", "2"]);
    assert_eq!(world.count("/frames/duplicate"), 3);
    let gaps = world.rows(Table::Gaps, &["first_missing", "last_missing", "repaired", "conn_ids"]);
    assert_eq!(gaps, ["2|2|none|[1]", "2|2|connection|[1]"], "it came within the window");
    assert_eq!((world.count("/gaps"), world.count("/healed")), (0, 1));
}

#[test]
fn what_no_connection_brings_within_the_window_is_a_gap() {
    let mut world = World::replaying(2);
    for (conn, id) in [(A, 1), (B, 1), (A, 4), (B, 3)] {
        world.frame(conn, &agg_trade(id, "1", "1"));
    }
    world.pass_ms(250);
    assert_eq!(world.rows(Table::Gaps, &GAPS)[0], "trades|missed|sequence|1|2|2|");
    world.frame(B, &agg_trade(2, "1", "1"));
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1", "4", "3", "2"], "later still is late, not lost");
}

// Fault: X21
#[test]
fn ids_that_begin_anew_are_a_new_epoch_and_a_late_copy_is_none() {
    let mut world = World::replaying(1);
    let at = |id, time: i64| agg_trade_at("BTCUSDT", id, 1_795_348_700_000 + time, "1", "1");
    world.frame(A, &at(1_000_000, 10));
    world.frame(A, &at(500_000, 5));
    assert_eq!(world.count("/frames/ignored/too_old"), 1, "older, and not later");
    for (id, time) in [(7, 20), (8, 30), (9, 40)] {
        world.frame(A, &at(id, time));
    }
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1000000", "7", "8", "9"]);
    assert_eq!(world.rows(Table::Gaps, &["cause", "evidence", "missing"]), ["id_reset|sequence|"; 2]);
}

#[test]
fn the_first_kind_of_trade_seen_is_taken_and_the_other_ignored() {
    let mut world = World::replaying(1);
    world.frame(A, &trade(5, "MARKET", "1"));
    world.frame(A, &agg_trade(1, "1", "1"));
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["5"]);
    assert_eq!(world.count("/frames/ignored/other_trade_source"), 1);
}

// Fault: X22
#[test]
fn what_is_no_trade_is_ignored_with_its_reason_and_leaves_no_hole() {
    let mut world = World::replaying(1);
    for (id, kind, size) in [(1, "MARKET", "1"), (2, "INSURANCE_FUND", "1"), (3, "MARKET", "0"), (4, "MARKET", "1")] {
        world.frame(A, &trade(id, kind, size));
    }
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1", "4"]);
    assert_eq!(world.count("/frames/ignored/not_market"), 1);
    assert_eq!(world.count("/frames/ignored/zero_price_or_size"), 1);
    assert!(world.rows(Table::Gaps, &GAPS).is_empty());
}

/// Deribit §2: names of combos are free-form. What is listed as something else is no combo, whatever it is called.
#[test]
fn a_trade_is_one_of_a_combo_where_the_instrument_is_listed_as_one_and_by_its_name_only_where_it_is_not_listed() {
    let listed = |name: &str, kind: &str| {
        format!(r#"{{"instrument_name":"{name}","kind":"{kind}","instrument_type":"linear","state":"open"}}"#)
    };
    let rows = [
        listed("BTC-SPREAD", "future_combo"),
        listed("PRED-X", "prediction"),
        listed("PRED-YES-25DEC26", "prediction"),
        r#"{"instrument_name":"BTC-ODD","kind":null}"#.to_owned(),
    ];
    let url = "https://www.deribit.com/api/v2/public/get_instruments?currency=any";
    let mut world = World::replaying_at(Venue::Deribit, 1);
    world.reply(None, url, 200, &format!(r#"{{"jsonrpc":"2.0","result":[{}]}}"#, rows.join(",")));
    let natives = ["BTC-SPREAD", "PRED-X", "PRED-YES-25DEC26", "BTC-ODD", "BTC-FS-25DEC26_PERP", "BTC-NEW"];
    for native in natives {
        let even = deribit_trade(native, 2, T0, "").replace(r#""price":92294.5"#, r#""price":0.0"#);
        let leg = deribit_trade(native, 3, T0, r#","combo_trade_id":"43""#);
        world.frame(A, &deribit_trades(native, &[deribit_trade(native, 1, T0, ""), even, leg]));
    }
    let mixed: Vec<String> = natives.iter().map(|native| deribit_trade(native, 4, T0, "")).collect();
    world.frame(A, &deribit_trades("future.any", &mixed));
    let told = world.rows(Table::Trades, &["symbol", "trade_id", "condition"]);
    let of = |native: &str| -> Vec<String> {
        let own = told.iter().filter_map(|row| row.strip_prefix(&format!("{native}|")));
        own.map(str::to_owned).collect()
    };
    for native in natives {
        match native {
            // The price of a combo is a difference of prices.
            "BTC-SPREAD" | "BTC-FS-25DEC26_PERP" => {
                assert_eq!(of(native), ["ETH-1|combo", "ETH-2|combo", "ETH-3|combo", "ETH-4|combo"], "{native}");
            }
            _ => assert_eq!(of(native), ["ETH-1|regular", "ETH-3|combo_leg", "ETH-4|regular"], "{native}"),
        }
    }
    assert_eq!(world.count("/rows/ignored/zero_price_or_size"), 4);
    assert!(world.rows(Table::Gaps, &GAPS).is_empty());
}

// Fault: N01, N02
#[test]
fn a_disconnect_is_one_gap_a_stream_closed_with_what_was_missed() {
    let mut world = World::live(&[Stream::Trades]);
    world.frame(A, &agg_trade(1, "1", "1"));
    world.down(A, DownReason::Closed);
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["trades|disconnect|shell||||"]);
    world.pass_ms(60_000);
    world.connect_all();
    world.frame(A, &agg_trade(5, "1", "1"));
    let gaps = world.rows(Table::Gaps, &GAPS);
    assert_eq!(gaps.len(), 2);
    assert!(gaps[1].starts_with("trades|disconnect|shell|3|2|4|1"), "{}", gaps[1]);
}

// Fault: N01, N02
#[test]
fn a_message_that_begins_with_what_is_known_ends_an_outage_with_what_is_new_in_it() {
    let at = |ids: &[i64]| {
        let trades: Vec<String> = ids.iter().map(|id| deribit_trade("BTC-PERPETUAL", *id, T0 + id, "")).collect();
        deribit_trades("BTC-PERPETUAL", &trades)
    };
    let mut world = World::replaying_at(Venue::Deribit, 1);
    world.frame(A, &at(&[1, 2]));
    world.down(A, DownReason::Reset);
    world.pass_ms(1_000);
    world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
    world.frame(A, &at(&[2, 5]));
    let gaps = world.rows(Table::Gaps, &GAPS);
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(gaps[1].starts_with("trades|disconnect|shell|2|3|4|1"), "{}", gaps[1]);
}

// Fault: X03
#[test]
fn quotes_are_taken_while_their_ids_rise() {
    let mut world = World::replaying(2);
    world.frame(A, &quote(10, "100", "101"));
    world.frame(B, &quote(10, "100", "101"));
    world.frame(B, &quote(12, "100", "102"));
    world.frame(A, &quote(11, "100", "101"));
    assert_eq!(
        world.rows(Table::Bbo, &["update_id", "bid_price", "bid_size", "ask_price", "ask_size", "conn_id", "flags"]),
        ["10|100|1.5|101|2|1|192", "12|100|1.5|102|2|2|192"]
    );
    assert_eq!((world.count("/frames/duplicate"), world.count("/frames/ignored/older_quote")), (1, 1));
}

#[test]
fn receive_times_never_fall_on_one_connection_and_say_when_they_had_to_be_held() {
    let mut world = World::replaying(2);
    world.now.wall += 10_000_000_000;
    world.frame(A, &agg_trade(1, "1", "1"));
    world.now.wall -= 5_000_000_000;
    world.frame(A, &agg_trade(2, "1", "1"));
    world.frame(B, &agg_trade(3, "1", "1"));
    let noon = super::harness::NOON;
    assert_eq!(
        world.rows(Table::Trades, &["ts_recv", "flags"]),
        [
            format!("{}|144", noon + 10_000_000_000),
            format!("{}|152", noon + 10_000_000_000),
            format!("{}|144", noon + 5_000_000_000)
        ]
    );
}

// Fault: X30
#[test]
fn times_that_run_backwards_are_delivered_in_order_of_arrival_as_they_were_sent() {
    let mut world = World::replaying(1);
    let times: [i64; 4] = [1_795_348_700_000, 1_795_348_699_000, 1_795_348_699_500, 1_795_348_640_000];
    for (id, time) in (1..).zip(times) {
        world.pass_ms(1);
        world.frame(A, &agg_trade_at("BTCUSDT", id, time, "1", "1"));
    }
    let mut received = super::harness::NOON;
    let expected = (1..).zip(times).map(|(id, time)| {
        received += 1_000_000;
        format!("{id}|{}|{}|{received}|144", time * 1_000_000, (time + 100) * 1_000_000)
    });
    let expected: Vec<String> = expected.collect();
    assert_eq!(world.rows(Table::Trades, &["trade_id", "ts_event", "ts_venue", "ts_recv", "flags"]), expected);
    assert!(world.rows(Table::Gaps, &GAPS).is_empty());
    assert_eq!(world.count("/frames/accepted"), 4);
}

// Fault: X21
#[test]
fn a_connection_that_comes_back_behind_a_fall_of_ids_brings_what_is_known() {
    let mut world = World::replaying(2);
    let before = |id: i64| agg_trade_at("BTCUSDT", id, T0 + id, "1", "1");
    let behind = |id: i64| agg_trade_at("BTCUSDT", id, T0 + 6_000 + id, "1", "1");
    for conn in [A, B] {
        (5_000..=5_010).for_each(|id| world.frame(conn, &before(id)));
        (1..=5).for_each(|id| world.frame(conn, &behind(id)));
    }
    world.down(B, DownReason::Reset);
    world.input(Input::ConnUp { conn: B, url: "", link: Link::default() });
    (5_006..=5_010).for_each(|id| world.frame(B, &before(id)));
    (1..=6).for_each(|id| world.frame(B, &behind(id)));
    world.pass_ms(1_000);
    let wanted: Vec<String> = (5_000..=5_010).chain(1..=6).map(|id| id.to_string()).collect();
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), wanted);
    assert_eq!(world.rows(Table::Gaps, &["cause"]), ["id_reset"; 2]);
}

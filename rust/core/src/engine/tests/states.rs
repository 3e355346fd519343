//! States of instruments, liquidations, samples of books, and trades of several rows.

use serde_json::json;

use super::frames::{
    T0, deribit_book, deribit_ticker, deribit_trade, deribit_trades, okx_book, okx_old_book, okx_state, okx_trade,
    spot_snapshot,
};
use super::harness::{A, B, NOON, World, live_config, recording_of};
use crate::config::{EngineConfig, Stream};
use crate::engine::DownReason;
use crate::symbol::Venue;
use crate::table::Table;

const GAPS: [&str; 4] = ["stream", "cause", "first_missing", "last_missing"];

fn mark(native: &str, price: &str, ts: i64) -> String {
    okx_state("mark-price", json!({"instType": "SWAP", "instId": native, "markPx": price, "ts": ts.to_string()}))
}

fn index(native: &str, price: &str, ts: i64) -> String {
    okx_state("index-tickers", json!({"instId": native, "idxPx": price, "ts": ts.to_string()}))
}

// Fault: X03
#[test]
fn newer_wins_within_each_feed_and_copies_are_dropped() {
    let mut world = World::replaying_at(Venue::Okx, 2);
    for (conn, frame) in [
        (A, mark("BTC-USDT-SWAP", "100", T0)),
        (B, mark("BTC-USDT-SWAP", "100", T0)),
        (B, mark("BTC-USDT-SWAP", "101", T0 + 2)),
        (A, mark("BTC-USDT-SWAP", "99", T0 + 1)),
        (
            A,
            okx_state(
                "funding-rate",
                json!({"instId": "BTC-USDT-SWAP", "instType": "SWAP", "fundingRate": "0.0001",
            "fundingTime": "1795350000000", "ts": (T0 - 9).to_string()}),
            ),
        ),
    ] {
        world.frame(conn, &frame);
    }
    assert_eq!(
        world.rows(Table::Derivatives, &["mark_price", "funding_rate", "conn_id", "flags"]),
        ["100||1|128", "101||2|128", "|0.0001|1|128"]
    );
    assert_eq!((world.count("/frames/duplicate"), world.count("/frames/ignored/older_state")), (1, 1));
}

/// The frames as the exchanges write them: heads are told by the order of their keys.
#[test]
fn a_copy_of_states_is_dropped_by_its_heads_and_a_frame_with_news_is_read() {
    let mark_price = |symbol: &str, ms: i64| {
        format!(
            r#"{{"e":"markPriceUpdate","E":{ms},"s":"{symbol}","p":"1.5","P":"1","i":"1","r":"0.0001","T":{NOON},"st":1}}"#
        )
    };
    let marks = |of: &[(&str, i64)]| {
        let rows: Vec<_> = of.iter().map(|(symbol, ms)| mark_price(symbol, *ms)).collect();
        format!(r#"{{"stream":"!markPrice@arr@1s","data":[{}]}}"#, rows.join(","))
    };
    let summary = |ts: i64| {
        format!(
            r#"{{"arg":{{"channel":"opt-summary","instFamily":"BTC-USD"}},"data":[{{"instType":"OPTION","instId":"BTC-USD-270326-90000-C","deltaBS":"0.5","markVol":"0.6","ts":"{ts}"}}]}}"#
        )
    };
    let funding = |ts: i64| {
        format!(
            r#"{{"arg":{{"channel":"funding-rate","instId":"BTC-USDT-SWAP"}},"data":[{{"fundingRate":"0.0001","fundingTime":"1795350000000","instId":"BTC-USDT-SWAP","instType":"SWAP","ts":"{ts}"}}]}}"#
        )
    };
    // The space leaves its body to the reader, which is counted.
    let option = |ts| deribit_ticker("BTC-25DEC26-100000-C", ts, "0.05", r#","mark_iv":61.5,"greeks":{"delta": 0.5}"#);
    let of_each: [(Venue, Table, String, String, String); 4] = [
        (
            Venue::BinanceFutures,
            Table::Derivatives,
            marks(&[("A", T0), ("B", T0)]),
            marks(&[("B", T0), ("A", T0 - 1)]),
            marks(&[("A", T0), ("B", T0 + 1)]),
        ),
        (Venue::Okx, Table::Options, summary(T0), summary(T0 - 1), summary(T0 + 1)),
        (Venue::Okx, Table::Derivatives, funding(T0), funding(T0), funding(T0 + 1)),
        (Venue::Deribit, Table::Options, option(T0), option(T0), option(T0 + 1)),
    ];
    for (venue, table, first, known, news) in of_each {
        let mut world = World::replaying_at(venue, 2);
        world.frame(A, &first);
        let rows = world.rows(table, &["conn_id"]).len();
        let read = world.count("/scanner_miss");
        world.frame(B, &first);
        world.frame(B, &known);
        assert_eq!(world.count("/scanner_miss"), read, "a copy was read: {known}");
        assert_eq!(world.rows(table, &["conn_id"]).len(), rows, "a copy is a row: {known}");
        world.frame(B, &news);
        let told = world.rows(table, &["conn_id"]);
        assert_eq!(told.last().map(String::as_str), Some("2"), "{news}");
        assert_eq!(told.len(), rows + 1, "the row that is new, and no other: {news}");
        assert_eq!(world.count("/frames/total"), world.count("/frames/accepted") + 2);
    }
}

#[test]
fn an_index_is_a_row_of_everyone_who_follows_it() {
    let mut world = World::replaying_at(Venue::Okx, 1);
    for native in ["BTC-USDT-SWAP", "BTC-USDT-261225", "ETH-USDT-SWAP"] {
        world.frame(A, &mark(native, "100", T0));
    }
    world.frame(A, &index("BTC-USDT", "99.5", T0 + 1));
    let rows = world.rows(Table::Derivatives, &["exchange", "symbol", "index_price", "flags"]);
    assert_eq!(rows[3..], ["okx-swap|BTCUSDT|99.5|128", "okx-futures|BTCUSDT-261225|99.5|128"]);
}

#[test]
fn an_index_that_nobody_follows_yet_is_known_to_whoever_does_then() {
    let mut world = World::replaying_at(Venue::Okx, 2);
    for (conn, price, ms) in [(A, "97", T0), (B, "97", T0), (A, "98", T0 + 2), (B, "96", T0 - 1)] {
        world.frame(conn, &index("BTC-USDT", price, ms));
    }
    let told = ["/frames/accepted", "/frames/duplicate", "/frames/ignored/older_state", "/frames/ignored/unsolicited"];
    assert_eq!(told.map(|counter| world.count(counter)), [2, 1, 1, 0]);
    world.frame(B, &mark("BTC-USDT-SWAP", "100", T0 + 3));
    world.frame(B, &mark("ETH-USDT-SWAP", "10", T0 + 3));
    world.frame(A, &index("BTC-USDT", "99", T0 + 4));
    world.frame(A, &mark("BTC-USDT-261225", "101", T0 + 5));
    let rows = world.rows(Table::Derivatives, &["symbol", "index_price", "mark_price", "msg_id", "conn_id", "flags"]);
    let begun: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(
        begun,
        [
            "BTCUSDT|98||7|1|128",
            "BTCUSDT||100|7|2|128",
            "ETHUSDT||10|8|2|128",
            "BTCUSDT|99||9|1|128",
            "BTCUSDT-261225|99||10|1|128",
            "BTCUSDT-261225||101|10|1|128",
        ]
    );
    // A copy of what it began with is no news.
    world.frame(B, &index("BTC-USDT", "99", T0 + 4));
    assert_eq!(world.rows(Table::Derivatives, &["symbol"]).len(), begun.len());
}

#[test]
fn an_option_ticker_is_a_row_of_each_table_and_each_says_that_it_is_the_last() {
    let mut world = World::replaying_at(Venue::Deribit, 1);
    world.frame(A, &deribit_ticker("BTC-25DEC26-100000-C", T0, "0.05", r#","mark_iv":61.5,"greeks":{"delta":0.5}"#));
    assert_eq!(world.rows(Table::Derivatives, &["mark_price", "flags"]), ["0.05|128"]);
    assert_eq!(world.rows(Table::Options, &["mark_iv", "delta", "flags"]), ["0.615|0.5|128"]);
}

#[test]
fn a_liquidation_is_a_row_of_each_position_that_was_closed() {
    let mut world = World::replaying_at(Venue::Deribit, 1);
    for (seq, who) in [(1, "T"), (2, "M"), (3, "MT")] {
        let trade = deribit_trade("BTC-PERPETUAL", seq, T0 + seq, &format!(r#","liquidation":"{who}""#));
        world.frame(A, &deribit_trades("BTC-PERPETUAL", &[trade]));
    }
    assert_eq!(world.rows(Table::Liquidations, &["id", "side"]), ["1|sell", "2|buy", "3|sell", "3|buy"]);
    assert_eq!(world.rows(Table::Trades, &["condition"]), ["liquidation"; 3]);
}

#[test]
fn trades_that_are_taken_for_their_liquidations_leave_gaps_of_liquidations() {
    for (streams, name) in
        [(&[Stream::Liquidations][..], "liquidations"), (&[Stream::Trades, Stream::Liquidations], "trades")]
    {
        let mut world = World::new(live_config(Venue::Deribit, &["BTC-PERPETUAL"], streams));
        world.connect_all();
        for seq in [1, 5] {
            let trade = deribit_trade("BTC-PERPETUAL", seq, T0 + seq, "");
            world.frame(A, &deribit_trades("BTC-PERPETUAL", &[trade]));
        }
        world.down(A, DownReason::Closed);
        let gaps = world.rows(Table::Gaps, &["stream", "missing", "missing_unit", "scope"]);
        assert_eq!(gaps[..2], [format!("{name}|3|trades|stream"), format!("{name}|3|trades|stream")]);
        assert_eq!(gaps[2], format!("{name}|||stream"), "the connection is gone");
    }
}

#[test]
fn of_a_message_that_is_partly_known_the_rest_is_taken_and_its_last_row_says_so() {
    let mut world = World::replaying_at(Venue::Deribit, 1);
    let message = |seqs: &[i64]| {
        let trades: Vec<String> = seqs.iter().map(|seq| deribit_trade("BTC-PERPETUAL", *seq, T0 + seq, "")).collect();
        deribit_trades("BTC-PERPETUAL", &trades)
    };
    for seqs in [&[1, 2, 3][..], &[2, 3, 4, 5], &[4, 5], &[8]] {
        world.frame(A, &message(seqs));
    }
    assert_eq!(
        world.rows(Table::Trades, &["seq", "trade_id", "flags"]),
        ["1|ETH-1|0", "2|ETH-2|0", "3|ETH-3|128", "4|ETH-4|0", "5|ETH-5|128", "8|ETH-8|128"]
    );
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["trades|missed|6|7"; 2]);
    assert_eq!(world.count("/frames/duplicate"), 1);
}

// Fault: X21
#[test]
fn ids_that_fall_below_the_window_open_an_epoch_in_messages_of_one_and_of_many_instruments() {
    for channel in ["BTC-PERPETUAL", "future.any"] {
        let mut world = World::replaying_at(Venue::Deribit, 1);
        for (seq, ts) in [(1_000_000, T0), (3, T0 - 1), (1, T0 + 1), (2, T0 + 2)] {
            world.frame(A, &deribit_trades(channel, &[deribit_trade("BTC-PERPETUAL", seq, ts, "")]));
        }
        assert_eq!(world.rows(Table::Trades, &["seq"]), ["1000000", "1", "2"], "{channel}");
        assert_eq!(world.rows(Table::Gaps, &["cause"]), ["id_reset"; 2]);
    }
}

#[test]
fn a_message_of_several_instruments_is_sorted_by_them() {
    let mut world = World::replaying_at(Venue::Deribit, 1);
    let trades = [("BTC-PERPETUAL", 1), ("BTC-PERPETUAL", 2), ("ETH-PERPETUAL", 9)]
        .map(|(native, seq)| deribit_trade(native, seq, T0, ""));
    world.frame(A, &deribit_trades("future.any", &trades));
    assert_eq!(world.rows(Table::Trades, &["symbol", "seq", "flags"]), ["BTCUSD|1|0", "BTCUSD|2|128", "ETHUSD|9|128"]);
}

#[test]
fn folds_of_okx_are_ranges_and_the_old_trade_at_a_subscription_is_no_gap() {
    let mut world = World::replaying_at(Venue::Okx, 1);
    let day = 86_400_000;
    for (id, count, ts) in [(100, 1, T0 - day), (103, 3, T0), (103, 3, T0), (110, 2, T0 + 1), (111, 1, T0 + 2)] {
        world.frame(A, &okx_trade("BTC-USDT", id, count, ts));
    }
    assert_eq!(
        world.rows(Table::Trades, &["trade_id", "first_id", "last_id", "flags"]),
        ["100|100|100|144", "103|101|103|144", "110|109|110|144", "111|111|111|144"]
    );
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["trades|missed|104|108"; 2]);
}

#[test]
fn a_block_trade_has_no_place_among_the_ids() {
    let mut world = World::replaying_at(Venue::BinanceSpot, 1);
    let block = r#"{"stream":"bnbbtc@blockTrade","data":{"e":"blockTrade","E":1795348700300,"s":"BNBBTC","t":582,"p":"0.052","q":"5838","T":1795348700300,"m":true}}"#;
    let trade = |id: i64| {
        format!(
            r#"{{"stream":"bnbbtc@aggTrade","data":{{"e":"aggTrade","E":1795348700400,"s":"BNBBTC","a":{id},"p":"0.05","q":"1","f":{id},"l":{id},"T":1795348700400,"m":false,"M":true}}}}"#
        )
    };
    for frame in [block, &trade(1), &block.replace("582", "583"), &trade(2)] {
        world.frame(A, frame);
    }
    assert_eq!(
        world.rows(Table::Trades, &["trade_id", "condition"]),
        ["582|block", "1|regular", "583|block", "2|regular"]
    );
    assert!(world.rows(Table::Gaps, &GAPS).is_empty());
    assert_eq!(world.count("/frames/ignored/other_trade_source"), 0);
}

#[test]
fn the_best_levels_are_sampled_when_they_changed_and_only_of_live_books() {
    let config = recording_of(Venue::Okx);
    let mut world = World::new(EngineConfig { streams: vec![Stream::L2Top], ..config });
    world.input(crate::engine::Input::ConnUp { conn: A, url: "", link: crate::engine::Link::default() });
    let top = ["ts_recv", "bid_prices", "bid_sizes", "flags"];
    world.pass_ms(1_000);
    world.frame(A, &okx_book("BTC-USDT", (-1, 10), T0, &[("100", "5")], &[("101", "1")], 0));
    world.frame(A, &okx_book("BTC-USDT", (10, 11), T0, &[("100", "6")], &[], 0));
    world.pass_ms(500);
    let first = NOON + 1_100 * 1_000_000;
    assert_eq!(world.rows(Table::L2Top, &top), [format!("{first}|[100]|[6]|192")], "once, when it was due");
    world.frame(A, &okx_book("BTC-USDT", (12, 13), T0, &[("100", "7")], &[], 0));
    world.pass_ms(500);
    assert_eq!(world.rows(Table::L2Top, &top).len(), 1, "a broken book is not handed out");
    world.frame(A, &okx_book("BTC-USDT", (-1, 20), T0, &[("100", "7")], &[], 0));
    world.pass_ms(500);
    assert_eq!(world.rows(Table::L2Top, &["bid_sizes"]), ["[6]", "[7]"]);
    assert!(world.rows(Table::L2, &["last_id"]).is_empty(), "nobody asked for its changes");
}

#[test]
fn samples_alone_are_enough_to_ask_for_the_book() {
    let mut world = World::new(live_config(Venue::BinanceSpot, &["BTCUSDT"], &[Stream::L2Top]));
    world.connect_all();
    world.frame(A, &super::frames::spot_depth("BTCUSDT", (8, 12), T0, &[("100", "2")], &[]));
    let request = world.requests("depth")[0];
    world.reply(Some(request), "", 200, &spot_snapshot(10, &[("100", "1")], &[("101", "1")]));
    world.pass_ms(200);
    assert_eq!(world.rows(Table::L2Top, &["bid_sizes"]), ["[2]"]);
}

// Fault: T09, X22
#[test]
fn times_that_cannot_be_are_null_or_flagged() {
    for (ts, event, flag) in [
        (T0, (T0 * 1_000_000).to_string(), 0),
        (0, String::new(), 8),
        (T0 / 1000, (T0 * 1_000).to_string(), 8),
        (T0 * 1_000_000, String::new(), 8),
    ] {
        let mut world = World::replaying_at(Venue::Okx, 1);
        world.frame(A, &okx_trade("BTC-USDT", 7, 1, ts));
        world.frame(A, &okx_old_book("BTC-USDT", true, ts, &[("1", "1")], &[], 0));
        assert_eq!(world.rows(Table::Trades, &["ts_event", "flags"]), [format!("{event}|{}", 144 | flag)], "{ts}");
        assert_eq!(world.rows(Table::L2, &["ts_event", "flags"]), [format!("{event}|{}", 160 | flag)], "{ts}");
        let mut world = World::replaying_at(Venue::Deribit, 1);
        world.frame(A, &deribit_book("BTC-PERPETUAL", (None, 1), ts, &[("1", "1")], &[]));
        assert_eq!(world.rows(Table::L2, &["ts_event", "flags"]), [format!("{event}|{}", 160 | flag)], "{ts}");
    }
    // Before 1970: no time, and no panic.
    let mut world = World::replaying_at(Venue::Deribit, 1);
    world.frame(A, &deribit_book("BTC-PERPETUAL", (None, 1), -5, &[("1", "1")], &[]));
    assert!(world.rows(Table::L2, &["ts_event"]).iter().all(String::is_empty));
}

#[test]
fn a_spot_book_that_was_just_listed_begins_empty_below_all_ids() {
    for id in [-1, 0] {
        let mut world = World::replaying_at(Venue::BinanceSpot, 1);
        world.frame(A, &super::frames::spot_depth("NEWUSDT", (1, 3), T0, &[("1", "1")], &[]));
        world.reply(None, "https://x/api/v3/depth?symbol=NEWUSDT", 200, &spot_snapshot(id, &[], &[]));
        assert_eq!(world.rows(Table::L2, &["is_snapshot", "last_id"]), ["true|0", "false|3"], "{id}");
    }
}

/// Binance futures §1: streams of all symbols carry both product families.
#[test]
fn a_frame_of_another_product_alone_is_ignored_for_that_and_is_no_copy() {
    let mut world = World::new(live_config(Venue::BinanceFutures, &["BTCUSDT"], &[Stream::Derivatives]));
    world.connect_all();
    let row = r#"{"e":"markPriceUpdate","E":1795348700500,"s":"BTCUSD_PERP","p":"1.5","P":"1","i":"1","r":"0.0001","T":1795348800000,"st":2}"#;
    for frame in [
        format!(r#"{{"stream":"btcusd_perp@markPrice@1s","data":{row}}}"#),
        format!(r#"{{"stream":"!markPrice@arr@1s","data":[{row},{row}]}}"#),
    ] {
        world.frame(A, &frame);
    }
    assert_eq!((world.count("/frames/ignored/other_product"), world.count("/frames/duplicate")), (2, 0));
    assert!(world.rows(Table::Derivatives, &["symbol"]).is_empty());
}

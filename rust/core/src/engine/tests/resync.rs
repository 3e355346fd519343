//! Books whose snapshot comes on the stream itself: broken, asked for again, rebuilt.

use super::frames::{Side, T0, deribit_book, okx_book, okx_instruments, okx_old_book, okx_swap};
use super::harness::{A, B, World, live_config};
use super::reader::{gaps, live};
use crate::config::{EngineConfig, SizeUnit, Stream};
use crate::engine::{Action, DownReason};
use crate::symbol::Venue;
use crate::table::Table;

const BIDS: Side<'_> = &[("100.0", "5"), ("99.5", "4")];
const ASKS: Side<'_> = &[("100.5", "3"), ("101.0", "2")];
const GAPS: [&str; 7] = ["gap_id", "cause", "evidence", "missing", "first_missing", "last_missing", "repaired"];

/// One book of OKX spot, subscribed.
fn okx() -> World {
    let mut world = World::new(live_config(Venue::Okx, &["BTC-USDT"], &[Stream::L2]));
    world.connect_all();
    world.actions.clear();
    world
}

fn synced() -> World {
    let mut world = okx();
    world.frame(A, &okx_book("BTC-USDT", (-1, 10), T0, BIDS, ASKS, 0));
    world
}

fn update(world: &mut World, ids: (i64, i64), bids: Side<'_>, checksum: i32) {
    world.frame(A, &okx_book("BTC-USDT", ids, T0 + ids.1, bids, &[], checksum));
}

fn ops(world: &World) -> Vec<String> {
    let sent = world.sent(A).into_iter().map(|text| serde_json::from_str::<serde_json::Value>(&text).expect("JSON"));
    sent.map(|request| request["op"].as_str().expect("op").to_owned()).collect()
}

#[test]
fn the_first_subscription_brings_the_book_and_what_came_before_it_is_counted() {
    let mut world = okx();
    update(&mut world, (7, 9), &[("100.0", "1")], 0);
    world.frame(A, &okx_book("BTC-USDT", (-1, 10), T0, BIDS, ASKS, 0));
    update(&mut world, (10, 15), &[("100.0", "1")], 0);
    assert_eq!(
        world.rows(Table::L2, &["is_snapshot", "prev_id", "last_id", "bid_sizes", "flags", "source"]),
        ["true||10|[5,4]|160|ws", "false|10|15|[1]|128|ws"]
    );
    assert_eq!(world.count("/frames/ignored/before_snapshot"), 1);
    assert!(world.rows(Table::Gaps, &GAPS).is_empty());
    assert!(world.actions.is_empty(), "{:?}", world.actions);
}

// Fault: X01, X07
#[test]
fn a_break_is_one_gap_and_one_request_and_the_snapshot_closes_it() {
    let mut world = synced();
    update(&mut world, (20, 25), &[("100.0", "1")], 0);
    for ids in [(25, 30), (30, 31), (40, 50)] {
        update(&mut world, ids, &[("100.0", "1")], 0);
    }
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["1|missed|chain||11|20|none"], "its size is not known");
    assert_eq!(ops(&world), ["unsubscribe", "subscribe"], "no storm");
    world.frame(A, &okx_book("BTC-USDT", (-1, 50), T0 + 60, BIDS, ASKS, 0));
    update(&mut world, (50, 52), &[], 0);
    let gaps = world.rows(Table::Gaps, &["gap_id", "ts_detected", "ts_resumed"]);
    assert_eq!(gaps.len(), 2);
    assert!(gaps[0].ends_with('|') && !gaps[1].ends_with('|'), "{gaps:?}");
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["10", "50", "52"]);
    // Broken again: asked for again at once.
    world.actions.clear();
    update(&mut world, (60, 70), &[], 0);
    assert_eq!(ops(&world), ["unsubscribe", "subscribe"]);
}

// Fault: X05, X21
#[test]
fn a_whole_book_below_the_live_one_is_a_new_epoch_and_named() {
    let mut world = synced();
    update(&mut world, (10, 15), &[("100.0", "1")], 0);
    world.frame(A, &okx_book("BTC-USDT", (-1, 3), T0 + 20, BIDS, ASKS, 0));
    world.frame(A, &okx_book("BTC-USDT", (3, 5), T0 + 21, BIDS, &[], 0));
    assert_eq!(world.rows(Table::L2, &["is_snapshot", "last_id"]), ["true|10", "false|15", "true|3", "false|5"]);
    assert_eq!(gaps(&mut world), [("id_reset".to_owned(), true)]);
    // The same book once more, as one that is asked for anew, is none.
    world.frame(A, &okx_book("BTC-USDT", (-1, 5), T0 + 22, BIDS, ASKS, 0));
    assert_eq!(gaps(&mut world).len(), 1);
}

// Fault: X05, X21
#[test]
fn in_a_recording_ids_may_have_fallen_while_connections_came_and_went_untold() {
    for (silent_ms, is_behind) in [(1_000, false), (59_000, false), (61_000, true)] {
        let mut world = World::replaying_at(Venue::Okx, 2);
        let book = |ids, at| okx_book("BTC-USDT", ids, T0 + at, BIDS, ASKS, 0);
        world.frame(A, &book((-1, 1_000), 0));
        world.frame(A, &book((1_000, 1_010), 1));
        world.pass_ms(silent_ms);
        world.frame(B, &book((-1, 10), silent_ms as i64));
        assert_eq!(live(&world).and_then(|book| book.id), Some(if is_behind { 10 } else { 1_010 }));
        if is_behind {
            world.frame(B, &book((10, 11), silent_ms as i64 + 1));
            assert_eq!(world.rows(Table::L2, &["is_snapshot", "last_id"])[2..], ["true|10", "false|11"]);
            assert_eq!(gaps(&mut world), [("silence".to_owned(), true)]);
            // Whoever lags is behind it again.
            world.frame(A, &book((1_010, 1_020), 2));
            assert_eq!(live(&world).and_then(|book| book.id), Some(11));
        } else {
            assert_eq!(world.count("/frames/ignored/snapshot_known"), 1);
            assert_eq!(gaps(&mut world), []);
        }
    }
}

#[test]
fn a_snapshot_that_does_not_come_is_asked_for_again_and_never_twice_in_the_queue() {
    let mut world = synced();
    update(&mut world, (20, 25), &[], 0);
    world.acknowledge(A);
    world.actions.clear();
    // The stream lives, the book does not come.
    let mut asked = 0;
    for id in 30..630 {
        world.pass_ms(1_000);
        update(&mut world, (id, id + 1), &[], 0);
        world.acknowledge(A);
        asked += world.sent(A).iter().filter(|text| text.contains("subscribe")).count();
        world.actions.clear();
    }
    assert!((10..=48).contains(&asked), "{asked} requests in ten minutes: two a deadline, and a few early ones");
    assert_eq!(world.rows(Table::Gaps, &["gap_id"]), ["1"]);
}

// Fault: X15
#[test]
fn a_checksum_that_is_another_breaks_the_book_and_zero_or_none_is_no_checksum() {
    for (checksum, breaks) in [(0, false), (12_345, true)] {
        let mut world = synced();
        update(&mut world, (10, 12), &[("99.0", "1")], checksum);
        let gaps = world.rows(Table::Gaps, &["cause", "evidence"]);
        assert_eq!(gaps, if breaks { vec!["checksum|checksum"] } else { vec![] });
        assert_eq!(world.rows(Table::L2, &["last_id"]).len(), if breaks { 1 } else { 2 });
        assert_eq!(ops(&world).len(), if breaks { 2 } else { 0 });
        let book = &world.engine.books()[0];
        assert_eq!((book.checksum_pass, book.checksum_fail), (0, u64::from(breaks)));
    }
}

// Fault: X15
#[test]
fn a_book_that_had_checksums_and_has_none_any_more_says_how_long_it_is_not_proven() {
    let mut world = synced();
    let unverified = |world: &World| world.engine.books()[0].unverified;
    update(&mut world, (10, 12), &[("99.0", "1")], 0);
    assert_eq!(unverified(&world), 0, "the exchange has never offered one");
    update(&mut world, (12, 14), &[("99.0", "2")], 12_345);
    world.frame(A, &okx_book("BTC-USDT", (-1, 20), T0 + 20, BIDS, ASKS, 0));
    for id in 20..25 {
        update(&mut world, (id, id + 1), &[("99.0", "1")], 0);
    }
    let book = &world.engine.books()[0];
    assert_eq!((book.checksum_fail, book.unverified, &*book.state), (1, 6, "live"), "the snapshot and five changes");
}

// Fault: X15
#[test]
fn a_book_that_fails_after_every_snapshot_is_asked_for_ever_more_rarely_until_one_lasts() {
    let mut world = synced();
    let mut id = 10;
    // For ten minutes every snapshot is good and every change after it is not.
    let mut asked = 0;
    for second in 0..600 {
        update(&mut world, (id, id + 1), &[("99.0", "1")], 12_345);
        id += 1;
        let now = world.sent(A).iter().filter(|text| text.contains("unsubscribe")).count();
        assert!(second > 0 || now == 1, "the first time at once");
        world.acknowledge(A);
        world.actions.clear();
        if now > 0 {
            asked += now;
            id += 10;
            world.frame(A, &okx_book("BTC-USDT", (-1, id), T0 + id, BIDS, ASKS, 0));
        }
        world.pass_ms(1_000);
    }
    assert!((15..=120).contains(&asked), "{asked} times in ten minutes");
    id += 100;
    world.frame(A, &okx_book("BTC-USDT", (-1, id), T0 + id, BIDS, ASKS, 0));
    for _ in 0..40 {
        update(&mut world, (id, id + 1), &[("99.0", "1")], 0);
        id += 1;
        world.pass_ms(1_000);
        world.acknowledge(A);
        world.actions.clear();
    }
    update(&mut world, (id, id + 1), &[("99.0", "1")], 12_345);
    assert_eq!(ops(&world), ["unsubscribe", "subscribe"], "one that has lasted is asked for at once");
}

// Fault: X15
#[test]
fn a_snapshot_with_a_wrong_checksum_is_not_taken_and_the_book_before_it_is_broken() {
    let mut world = synced();
    world.frame(A, &okx_old_book("BTC-USDT", true, T0 + 9, BIDS, ASKS, 77));
    assert_eq!(world.count("/frames/rejected/checksum"), 1);
    assert_eq!(world.engine.books()[0].state, "resyncing");
    assert_eq!(world.rows(Table::Gaps, &["cause"]), ["checksum"]);
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["10"]);
}

#[test]
fn a_snapshot_that_nobody_asked_for_is_no_gap() {
    let mut world = synced();
    world.frame(A, &okx_book("BTC-USDT", (-1, 40), T0 + 40, BIDS, ASKS, 0));
    update(&mut world, (40, 41), &[], 0);
    assert_eq!(world.rows(Table::L2, &["is_snapshot", "last_id"]), ["true|10", "true|40", "false|41"]);
    assert!(world.rows(Table::Gaps, &GAPS).is_empty());
    assert!(world.actions.is_empty());
}

// Fault: X05
#[test]
fn a_keep_alive_makes_no_row_and_a_reset_is_a_closed_gap_and_no_break() {
    let mut world = synced();
    for (prev, id) in [(10, 10), (10, 15), (15, 15), (15, 3), (3, 5)] {
        update(&mut world, (prev, id), if prev == id { &[] } else { &[("100.0", "1")] }, 0);
    }
    assert_eq!(world.rows(Table::L2, &["prev_id", "last_id"]), ["|10", "10|15", "15|3", "3|5"]);
    assert_eq!(world.rows(Table::Gaps, &["gap_id", "cause", "evidence"]), ["1|id_reset|chain"; 2]);
    let resumed = world.rows(Table::Gaps, &["ts_resumed", "msg_id"]);
    let reset = world.rows(Table::L2, &["msg_id", "row"]);
    assert!(resumed[1].ends_with(reset[2].split('|').next().expect("a cell")), "before its row: {resumed:?} {reset:?}");
    let book = &world.engine.books()[0];
    assert_eq!((book.heartbeats, book.sequence_resets, book.gaps, book.resyncs), (2, 1, 0, 0));
    assert!(world.actions.is_empty());
}

/// OKX §4: in call auctions the best ask may lie below the best bid. Reference data tell when there is none; where nothing
/// tells, there may be one. A word that nobody knows tells of no auction. No other manual knows of any.
// Fault: X12, X23
#[test]
fn a_crossed_book_is_broken_unless_an_auction_may_have_crossed_it() {
    let native = "BTC-USDT-SWAP";
    let okx = |state: Option<&str>| {
        let config = live_config(Venue::Okx, &[native], &[Stream::L2]);
        let mut world = World::new(EngineConfig { size_unit: SizeUnit::Native, ..config });
        world.pass_ms(0);
        if let Some(state) = state {
            world.tell_reference(200, &okx_instruments(&[okx_swap("BTC", "USDT", state)]));
        }
        world.connect_all();
        world.actions.clear();
        world
    };
    for (state, may_cross) in [
        (None, true),
        (Some("preopen"), true),
        (Some("suspend"), true),
        (Some("live"), false),
        (Some("a-new-word"), false),
    ] {
        let mut world = okx(state);
        world.frame(A, &okx_book(native, (-1, 10), T0, BIDS, ASKS, 0));
        world.frame(A, &okx_book(native, (10, 11), T0, &[("100.7", "1")], &[], 0));
        if may_cross {
            assert!(world.rows(Table::Gaps, &GAPS).is_empty(), "{state:?}");
            assert_eq!(world.rows(Table::L2, &["last_id", "flags"]), ["10|160", "11|132"], "{state:?}");
        } else {
            assert_eq!(world.rows(Table::Gaps, &["cause", "evidence"]), ["missed|crossed"], "{state:?}");
            assert_eq!(world.rows(Table::L2, &["last_id", "flags"]), ["10|160"], "{state:?}");
            assert_eq!(ops(&world), ["unsubscribe", "subscribe"], "{state:?}");
        }
        let mut world = okx(state);
        world.frame(A, &okx_book(native, (-1, 10), T0, &[("100.7", "1")], ASKS, 0));
        let (rows, refused): (&[&str], u64) = if may_cross { (&["10|164"], 0) } else { (&[], 1) };
        assert_eq!(world.rows(Table::L2, &["last_id", "flags"]), rows, "{state:?}");
        assert_eq!(world.count("/frames/rejected/crossed"), refused, "{state:?}");
    }
    let mut world = World::new(live_config(Venue::Deribit, &["BTC_USDC"], &[Stream::L2]));
    world.connect_all();
    world.frame(A, &deribit_book("BTC_USDC", (None, 10), T0, BIDS, ASKS));
    world.frame(A, &deribit_book("BTC_USDC", (Some(10), 11), T0, &[("100.7", "1")], &[]));
    assert_eq!(world.rows(Table::Gaps, &["cause", "evidence"]), ["missed|crossed"]);
}

// Fault: X16
#[test]
fn levels_leave_the_window_by_what_the_exchange_sends_and_by_nothing_else() {
    let mut world = okx();
    let prices: Vec<String> = (0..500).map(|n| format!("{}", 10_000 - n)).collect();
    let all: Vec<(&str, &str)> = prices.iter().map(|price| (price.as_str(), "1")).collect();
    world.frame(A, &okx_book("BTC-USDT", (-1, 10), T0, &all[..400], &[("10001", "1")], 0));
    update(&mut world, (10, 11), &[("10000.5", "2")], 0);
    assert_eq!(world.engine.books()[0].levels.bid, 401, "never trimmed unasked");
    update(&mut world, (11, 12), &[(&prices[399], "0")], 0);
    assert_eq!(world.engine.books()[0].levels.bid, 400);
    assert_eq!(world.count("/unknown_deletes"), 0);
}

// Fault: N01
#[test]
fn a_lost_connection_is_a_gap_of_each_book_and_the_snapshot_after_it_closes_both() {
    let names = ["BTC-PERPETUAL", "ETH-PERPETUAL"];
    let mut world = World::new(live_config(Venue::Deribit, &names, &[Stream::L2]));
    world.connect_all();
    for name in names {
        world.frame(A, &deribit_book(name, (None, 10), T0, BIDS, ASKS));
    }
    world.down(A, DownReason::Reset);
    world.actions.clear();
    world.pass_ms(31_000);
    assert_eq!(world.rows(Table::Gaps, &["gap_id", "symbol", "cause"]), ["1|BTCUSD|disconnect", "2|ETHUSD|disconnect"]);
    world.connect_all();
    for name in names {
        world.frame(A, &deribit_book(name, (None, 90), T0 + 9, BIDS, ASKS));
        world.frame(A, &deribit_book(name, (Some(90), 95), T0 + 10, &[("99.5", "0")], &[]));
    }
    assert_eq!(world.rows(Table::Gaps, &["gap_id"]), ["1", "2", "1", "2"]);
    assert_eq!(world.rows(Table::L2, &["symbol", "last_id"]).len(), 6);
    let subscribed = world.sent(A).iter().filter(|text| text.contains("public/subscribe")).count();
    assert_eq!(subscribed, 1, "the resync is no second request");
    assert!(world.actions.iter().all(|action| !matches!(action, Action::Close { .. })));
}

#[test]
fn a_dead_book_is_ended_and_asked_for_once() {
    let mut world = synced();
    for _ in 0..300 {
        world.pass_ms(1_000);
        for answer in world.sent(A).iter().flat_map(|text| super::frames::grants(text)).collect::<Vec<_>>() {
            world.frame(A, &answer);
        }
        world.actions.retain(|action| !matches!(action, Action::Send { text, .. } if text == "ping"));
        if !world.rows(Table::Gaps, &["cause"]).is_empty() {
            break;
        }
    }
    assert_eq!(world.rows(Table::Gaps, &["cause", "evidence"]), ["silence|clock"]);
    let closed = world.closes();
    assert!(closed == 1 || ops(&world) == ["unsubscribe", "subscribe"], "{:?}", world.actions);
}

#[test]
fn a_book_beside_a_broken_one_is_not_disturbed() {
    let mut world = World::new(live_config(Venue::Okx, &["BTC-USDT", "ETH-USDT"], &[Stream::L2]));
    world.connect_all();
    world.actions.clear();
    for name in ["BTC-USDT", "ETH-USDT"] {
        world.frame(A, &okx_book(name, (-1, 10), T0, BIDS, ASKS, 0));
    }
    update(&mut world, (20, 25), &[], 0);
    for id in 10..20 {
        world.frame(A, &okx_book("ETH-USDT", (id, id + 1), T0 + id, &[("100.0", "1")], &[], 0));
    }
    assert_eq!(world.rows(Table::Gaps, &["symbol"]), ["BTCUSDT"]);
    assert_eq!(world.rows(Table::L2, &["symbol"]).len(), 12);
    assert!(world.sent(A).iter().all(|text| !text.contains("ETH")));
}

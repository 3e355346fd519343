//! Several connections to one stream: what each of them lacks, and what they make together.

use super::frames::{T0, deribit_trade, deribit_trades, okx_trade, spot_depth, spot_snapshot};
use super::harness::{A, B, World, agg_trade, agg_trade_at, depth, depth_at, snapshot, trade};
use crate::engine::{DownReason, Input, Link};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

const C: ConnId = ConnId(3);
const TOLD: [&str; 5] = ["gap_id", "missing", "first_missing", "last_missing", "repaired"];

/// A recording of three connections, so many of which have brought trade 1.
fn trading(connections: u16) -> World {
    let mut world = World::replaying(3);
    for conn in 1..=connections {
        world.frame(ConnId(conn), &agg_trade(1, "1", "1"));
    }
    world
}

fn trades(world: &mut World, conn: ConnId, ids: impl IntoIterator<Item = i64>) {
    for id in ids {
        world.frame(conn, &agg_trade(id, "1", "1"));
    }
}

/// A book at 30 that so many connections have brought there.
fn live(connections: u16) -> World {
    let mut world = World::replaying(3);
    world.frame(A, &depth("BTCUSDT", (10, 11, 20), "", ""));
    world.recorded_snapshot(&snapshot(15, r#"["99.0","1"]"#, r#"["101.0","1"]"#));
    for conn in 1..=connections {
        world.frame(ConnId(conn), &depth("BTCUSDT", (20, 21, 30), "", ""));
    }
    world
}

fn diff(world: &mut World, conn: ConnId, prev: i64, last: i64) {
    world.frame(conn, &depth("BTCUSDT", (prev, prev + 1, last), r#"["98.0","1"]"#, ""));
}

// Fault: N12, X02
#[test]
fn a_trade_that_comes_after_the_window_is_delivered_once_and_closes_its_gap() {
    let mut world = trading(2);
    trades(&mut world, A, [2, 4]);
    world.pass_ms(250);
    assert_eq!(world.rows(Table::Gaps, &TOLD), ["1|1|3|3|none"], "declared, and still open");
    world.pass_ms(4_000);
    trades(&mut world, B, [2, 3, 4, 3]);
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1", "2", "4", "3"]);
    assert_eq!(world.rows(Table::Gaps, &TOLD)[1..], ["1|1|3|3|connection"]);
    world.pass_ms(100_000);
    assert_eq!(world.rows(Table::Gaps, &TOLD).len(), 2);
    assert_eq!((world.count("/gaps"), world.count("/healed")), (1, 0));
}

#[test]
fn a_gap_of_trades_is_given_up_after_a_minute_and_what_comes_still_later_has_its_own_rows() {
    let mut world = trading(2);
    trades(&mut world, A, [4]);
    world.pass_ms(60_249);
    assert_eq!(world.rows(Table::Gaps, &TOLD).len(), 1);
    world.pass_ms(1);
    assert_eq!(world.rows(Table::Gaps, &TOLD), ["1|2|2|3|none", "1|2|2|3|none"]);
    trades(&mut world, B, [3]);
    assert_eq!(world.rows(Table::Gaps, &TOLD)[2..], ["2|1|3|3|none", "2|1|3|3|connection"]);
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1", "4", "3"]);
}

#[test]
fn a_hole_that_is_filled_in_part_is_told_run_by_run() {
    let mut world = trading(2);
    trades(&mut world, A, [10]);
    trades(&mut world, B, [4, 5, 8]);
    world.pass_ms(250);
    let told = world.rows(Table::Gaps, &TOLD);
    let healed = ["2|2|4|5|none", "2|2|4|5|connection"];
    assert_eq!(told[..1], ["1|2|2|3|none"]);
    assert_eq!(told[1..3], healed);
    assert_eq!(told[3..], ["3|2|6|7|none", "4|1|8|8|none", "4|1|8|8|connection", "5|1|9|9|none"]);
    trades(&mut world, B, [9]);
    world.pass_ms(60_000);
    let told = world.rows(Table::Gaps, &TOLD);
    assert_eq!(told[7..], ["5|1|9|9|connection", "1|2|2|3|none", "3|2|6|7|none"], "each is closed");
    assert_eq!((world.count("/gaps"), world.count("/healed")), (3, 2));
}

#[test]
fn a_gap_that_the_window_of_ids_has_passed_is_given_up() {
    let mut world = trading(2);
    trades(&mut world, A, [3, 5_000]);
    let told = world.rows(Table::Gaps, &TOLD);
    assert_eq!(told[..2], ["1|1|2|2|none", "1|1|2|2|none"], "nobody could tell a copy from a repetition");
    world.pass_ms(300);
    assert_eq!(world.rows(Table::Gaps, &TOLD).len(), 3, "the other may still come in part");
}

/// Whoever goes on beyond a hole has left it out, also when that shows only later.
#[test]
fn all_that_have_left_a_hole_out_are_named_and_nobody_else() {
    let columns = ["first_missing", "last_missing", "repaired", "conn_ids"];
    let mut world = trading(3);
    trades(&mut world, A, [4]);
    world.pass_ms(100);
    trades(&mut world, B, [2, 4]);
    trades(&mut world, C, [2, 3, 4]);
    assert_eq!(world.rows(Table::Gaps, &columns), ["2|3|none|[1,2]", "2|3|connection|[1,2]"]);
    // What is declared names them too, and whoever goes beyond it after that is named by its second row.
    trades(&mut world, A, [6]);
    world.pass_ms(100);
    trades(&mut world, B, [6]);
    world.pass_ms(200);
    trades(&mut world, C, [6]);
    world.pass_ms(60_000);
    assert_eq!(world.rows(Table::Gaps, &columns)[2..], ["5|5|none|[1,2]", "5|5|none|[1,2,3]"]);
}

/// The same of a book: here nobody is left that could bring it.
#[test]
fn a_hole_of_a_book_names_all_that_have_left_it_out() {
    let mut world = live(2);
    world.down(C, DownReason::Reset);
    diff(&mut world, A, 40, 50);
    diff(&mut world, B, 40, 50);
    let told = world.rows(Table::Gaps, &["first_missing", "last_missing", "repaired", "conn_ids"]);
    assert_eq!(told, ["31|40|none|[1,2]"]);
}

#[test]
fn a_connection_that_joins_ahead_of_the_others_has_left_nothing_out() {
    let mut world = trading(2);
    trades(&mut world, C, [5]);
    trades(&mut world, A, [2, 3, 4, 5]);
    world.pass_ms(300);
    assert!(world.rows(Table::Gaps, &TOLD).is_empty());
    let mut world = live(2);
    diff(&mut world, C, 40, 50);
    assert_eq!(world.engine.books()[0].state, "holding");
    diff(&mut world, A, 30, 40);
    world.pass_ms(300);
    assert!(world.rows(Table::Gaps, &TOLD).is_empty());
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["15", "20", "30", "40", "50"]);
}

// Fault: X01
#[test]
fn what_never_came_is_never_told_as_repaired_however_many_holes_the_window_has_passed() {
    for (name, wait_ms, goes) in [("awaited", 0, false), ("declared", 300, false), ("behind an outage", 300, true)] {
        let mut world = trading(2);
        for id in (3..=401).step_by(2) {
            trades(&mut world, A, [id]);
            trades(&mut world, B, [id]);
        }
        world.pass_ms(wait_ms);
        if goes {
            for conn in [A, B] {
                world.down(conn, DownReason::Reset);
            }
            world.pass_ms(2_000);
        }
        trades(&mut world, A, [6_001]);
        trades(&mut world, B, [6_001]);
        world.pass_ms(120_000);
        let closed = world.rows(Table::Gaps, &["first_missing", "last_missing", "repaired", "ts_resumed"]);
        let mut closed: Vec<&str> = closed.iter().filter_map(|row| Some(row.split_once("|none|1")?.0)).collect();
        closed.sort_unstable();
        let mut wanted: Vec<String> = (2..=400).step_by(2).map(|id: i64| format!("{id}|{id}")).collect();
        wanted.push("402|6000".into());
        wanted.sort_unstable();
        assert_eq!(closed, wanted, "{name}");
        assert_eq!((world.count("/gaps"), world.count("/healed")), (201, 0), "{name}");
    }
}

// Fault: N11
#[test]
fn outages_that_overlap_are_one_gap_where_they_overlap() {
    let mut world = trading(2);
    world.down(A, DownReason::Reset);
    trades(&mut world, B, [2, 3]);
    world.pass_ms(50);
    assert!(world.rows(Table::Gaps, &TOLD).is_empty(), "the other carries the stream");
    let noon = world.now.wall;
    world.down(B, DownReason::Reset);
    world.pass_ms(1_000);
    world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
    trades(&mut world, A, [7]);
    world.input(Input::ConnUp { conn: B, url: "", link: Link::default() });
    trades(&mut world, B, [8]);
    let told = world.rows(Table::Gaps, &["cause", "first_missing", "last_missing", "ts_detected", "ts_resumed"]);
    assert_eq!(told[0], format!("disconnect|||{noon}|"));
    assert_eq!(told[1..], [format!("disconnect|4|6|{noon}|{}", noon + 1_000_000_000)]);
}

// Fault: X20
#[test]
fn recent_trades_that_a_new_connection_repeats_are_known() {
    let mut world = trading(2);
    trades(&mut world, A, 2..=9);
    world.down(A, DownReason::Reset);
    world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
    trades(&mut world, A, 1..=10);
    trades(&mut world, B, 2..=11);
    let ids: Vec<String> = (1..=11).map(|id: i64| id.to_string()).collect();
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ids);
    assert!(world.rows(Table::Gaps, &TOLD).is_empty());
}

// Fault: X27
#[test]
fn of_two_that_say_different_things_under_one_id_the_first_counts_whole() {
    let mut world = trading(2);
    world.frame(A, &agg_trade(2, "100", "1"));
    world.frame(B, &agg_trade(2, "200", "9"));
    assert_eq!(world.rows(Table::Trades, &["price", "size"]), ["1|1", "100|1"]);
    let mut world = live(2);
    world.frame(A, &depth("BTCUSDT", (30, 31, 40), r#"["98.0","1"]"#, ""));
    world.frame(B, &depth("BTCUSDT", (30, 31, 40), r#"["97.0","5"]"#, r#"["101.0","0"]"#));
    assert_eq!(world.rows(Table::L2, &["bid_prices"])[3..], ["[98]"]);
    let prices: Vec<String> = world.engine.books()[0].top10_bid.iter().map(|(price, _)| price.clone()).collect();
    assert_eq!(prices, ["99", "98"]);
}

// Fault: X21
#[test]
fn trade_ids_that_fall_are_named_once_whoever_is_behind() {
    let mut world = World::replaying(2);
    let at = |id: i64, time: i64| agg_trade_at("BTCUSDT", id, 1_795_348_700_000 + time, "1", "1");
    for (conn, id, time) in [(A, 1_000_000, 10), (B, 1_000_000, 10), (A, 1_000_001, 20), (A, 1, 50), (A, 2, 60)] {
        world.frame(conn, &at(id, time));
    }
    for (id, time) in [(1_000_001, 20), (1_000_002, 30), (1, 50), (2, 60), (3, 70)] {
        world.frame(B, &at(id, time));
    }
    world.frame(A, &at(3, 70));
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1000000", "1000001", "1", "2", "1000002", "3"]);
    assert_eq!(world.rows(Table::Gaps, &["gap_id", "cause"]), ["1|id_reset"; 2]);
}

// Fault: X21
#[test]
fn trade_ids_that_fall_a_little_are_no_repetitions() {
    let mut world = World::replaying(2);
    let at = |id: i64, time: i64| agg_trade_at("BTCUSDT", id, 1_795_348_700_000 + time, "1", "1");
    for (id, time) in [(101, 10), (102, 20), (103, 30), (101, 2_000), (102, 2_010), (103, 2_010), (104, 2_020)] {
        world.frame(A, &at(id, time));
    }
    for (id, time) in [(102, 20), (103, 30), (104, 40), (101, 2_000), (102, 2_010), (104, 2_020), (105, 2_030)] {
        world.frame(B, &at(id, time));
    }
    let told = ["101", "102", "103", "101", "102", "103", "104", "104", "105"];
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), told);
    assert_eq!(world.rows(Table::Gaps, &["gap_id", "cause"]), ["1|id_reset"; 2]);
}

// Fault: X21
#[test]
fn trade_ids_that_fall_to_ones_that_the_window_never_saw_are_a_new_epoch() {
    let mut world = World::replaying(2);
    let at = |id: i64, time: i64| agg_trade_at("BTCUSDT", id, T0 + time, "1", "1");
    for (conn, id, time) in [(A, 1_009, 9), (B, 1_009, 9), (A, 1_010, 10), (A, 1_011, 11)] {
        world.frame(conn, &at(id, time));
    }
    for (id, time) in [(1, 60_000), (2, 60_010), (4, 60_020)] {
        world.frame(A, &at(id, time));
    }
    for (id, time) in [(1_010, 10), (1_011, 11), (1_012, 12), (1, 60_000), (2, 60_010), (4, 60_020), (5, 60_030)] {
        world.frame(B, &at(id, time));
    }
    world.pass_ms(120_000);
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1009", "1010", "1011", "1", "2", "4", "1012", "5"]);
    let told = world.rows(Table::Gaps, &["cause", "first_missing", "last_missing", "repaired"]);
    assert_eq!(told, ["id_reset|||none", "id_reset|||none", "missed|3|3|none", "missed|3|3|none"]);
}

#[test]
fn what_comes_late_after_a_quiet_hour_is_no_fall_of_ids() {
    let mut world = World::replaying(2);
    let at = |id: i64, time: i64, kind: &str| {
        let of = |id: i64| format!(r#"":{}"#, T0 + id);
        trade(id, kind, "1").replace(&of(id), &of(time))
    };
    for conn in [A, B] {
        world.frame(conn, &at(10, 0, "MARKET"));
    }
    // What is no trade tells no time.
    for (conn, id, kind) in [(A, 12, "INSURANCE_FUND"), (B, 11, "MARKET"), (B, 12, "INSURANCE_FUND"), (A, 13, "MARKET")]
    {
        world.frame(conn, &at(id, 3_600_000 + id, kind));
    }
    world.pass_ms(120_000);
    assert_eq!(world.rows(Table::Trades, &["trade_id", "ts_event"]).len(), 3);
    assert_eq!(
        world.rows(Table::Gaps, &["cause", "first_missing", "repaired"]),
        ["missed|11|none", "missed|11|connection"]
    );
}

// Fault: X21
#[test]
fn what_lags_from_before_the_very_first_trade_is_of_an_epoch_that_was_over() {
    for venue in [Venue::BinanceFutures, Venue::Okx, Venue::Deribit] {
        let mut world = World::replaying_at(venue, 2);
        let at = |id: i64, time: i64| match venue {
            Venue::Okx => okx_trade("BTC-USDT", id, 1, T0 + time),
            Venue::Deribit => deribit_trades("BTC-PERPETUAL", &[deribit_trade("BTC-PERPETUAL", id, T0 + time, "")]),
            _ => agg_trade_at("BTCUSDT", id, T0 + time, "1", "1"),
        };
        for id in 0..3 {
            world.frame(B, &at(990_000 + id, 100 + id));
        }
        for (id, time) in [(1_000_016, 50), (1_000_018, 60), (990_000, 100), (990_001, 101), (990_002, 102)] {
            world.frame(A, &at(id, time));
        }
        for id in 3..5 {
            world.frame(B, &at(990_000 + id, 100 + id));
            world.frame(A, &at(990_000 + id, 100 + id));
        }
        world.pass_ms(100_000);
        let column = if venue == Venue::Deribit { "seq" } else { "trade_id" };
        let told = ["990000", "990001", "990002", "1000016", "1000018", "990003", "990004"];
        assert_eq!(world.rows(Table::Trades, &[column]), told, "{venue:?}");
        let told = world.rows(Table::Gaps, &["cause", "first_missing", "last_missing", "repaired"]);
        let missed = "missed|1000017|1000017|none";
        assert_eq!(told, ["id_reset|||none", "id_reset|||none", missed, missed], "{venue:?}");
    }
}

// Fault: X21
#[test]
fn ids_of_a_book_that_fall_are_named_once_whoever_is_behind() {
    let mut world = live(2);
    let at = |(prev, last): (i64, i64), time: i64| {
        depth_at("BTCUSDT", (prev, prev + 1, last), 1_795_348_700_030 + time, r#"["98.0","1"]"#, "")
    };
    world.frame(A, &at((2, 3), 50));
    for (ids, time) in [((30, 40), 10), ((40, 50), 20)] {
        world.frame(B, &at(ids, time));
    }
    world.recorded_snapshot(&snapshot(3, r#"["99.0","1"]"#, r#"["101.0","1"]"#));
    world.frame(A, &at((3, 4), 60));
    for (ids, time) in [((50, 60), 30), ((2, 3), 50), ((3, 4), 60), ((4, 5), 70)] {
        world.frame(B, &at(ids, time));
    }
    world.pass_ms(1_000);
    assert_eq!(world.rows(Table::Gaps, &["gap_id", "cause", "repaired"]), ["1|id_reset|none"; 2]);
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["15", "20", "30", "3", "3", "4", "5"]);
    assert_eq!(world.engine.books()[0].state, "live");
}

#[test]
fn a_late_event_of_the_connection_that_is_left_is_no_fall_of_ids() {
    let mut world = World::replaying_at(Venue::BinanceSpot, 2);
    let at =
        |(prev, last): (i64, i64), time: i64| spot_depth("BTCUSDT", (prev + 1, last), T0 + time, &[("98.0", "1")], &[]);
    world.frame(A, &at((10, 20), 0));
    let url = "https://x/api/v3/depth?symbol=BTCUSDT&limit=5000";
    world.reply(None, url, 200, &spot_snapshot(15, &[("99.0", "1")], &[("101.0", "1")]));
    for (conn, ids, time) in [(B, (10, 20), 5), (A, (20, 30), 6), (A, (30, 40), 7)] {
        world.frame(conn, &at(ids, time));
    }
    world.down(A, DownReason::Reset);
    for (ids, time) in [((20, 30), 11), ((30, 40), 12), ((40, 50), 13)] {
        world.frame(B, &at(ids, time));
    }
    assert!(world.rows(Table::Gaps, &TOLD).is_empty());
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["15", "20", "30", "40", "50"]);
}

// Fault: X28
#[test]
fn what_is_held_is_tried_by_what_it_follows_however_it_was_cut() {
    let mut world = live(3);
    diff(&mut world, A, 50, 60);
    diff(&mut world, B, 40, 70);
    diff(&mut world, C, 30, 45);
    assert_eq!(world.rows(Table::L2, &["last_id"])[3..], ["45", "70"]);
    world.pass_ms(1_000);
    assert_eq!(world.count("/gaps"), 0);
}

// Fault: X28
#[test]
fn no_event_of_a_book_waits_longer_than_the_window_whatever_is_filled_meanwhile() {
    let mut world = live(2);
    diff(&mut world, A, 40, 50);
    world.pass_ms(200);
    diff(&mut world, A, 60, 70);
    diff(&mut world, B, 30, 35);
    assert_eq!(world.rows(Table::Gaps, &TOLD).len(), 0, "a part of the hole");
    world.pass_ms(49);
    diff(&mut world, B, 35, 45);
    let told = world.rows(Table::Gaps, &TOLD);
    assert_eq!(told, ["1||31|40|none", "1||31|40|connection"], "cut elsewhere, and filled all the same");
    world.pass_ms(200);
    assert_eq!(world.engine.books()[0].state, "holding", "the second hole has its own time");
    world.pass_ms(1);
    assert_eq!(world.rows(Table::Gaps, &TOLD)[2..], ["2||51|60|none"]);
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["15", "20", "30", "35", "45", "50"]);
}

// Fault: X01, N11
#[test]
fn what_is_held_when_the_last_that_could_fill_the_hole_goes_is_a_gap_at_once() {
    let mut world = live(2);
    world.down(C, DownReason::Reset);
    diff(&mut world, A, 40, 50);
    world.pass_ms(100);
    world.down(B, DownReason::Reset);
    let told = world.rows(Table::Gaps, &["stream", "cause", "first_missing", "last_missing", "conn_ids"]);
    assert_eq!(told, ["l2|missed|31|40|[1]"]);
}

// Fault: X01, N11
#[test]
fn a_connection_that_has_not_spoken_of_the_book_yet_may_fill_a_hole() {
    let mut world = live(1);
    diff(&mut world, A, 40, 50);
    world.pass_ms(20);
    assert_eq!(world.engine.books()[0].state, "holding");
    diff(&mut world, C, 30, 40);
    assert_eq!(world.rows(Table::L2, &["last_id"])[2..], ["30", "40", "50"]);
    assert_eq!(world.rows(Table::Gaps, &TOLD), ["1||31|40|none", "1||31|40|connection"]);
}

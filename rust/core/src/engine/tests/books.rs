//! Books: held, synchronised, broken, bridged, written whole at the turn of a day.

use super::frames::{T0, okx_book, okx_instruments, okx_swap};
use super::harness::{A, B, World, depth, depth_at, recording_of, snapshot, snapshot_at};
use crate::config::{EngineConfig, Stream};
use crate::engine::{DownReason, Input, Link};
use crate::symbol::Venue;
use crate::table::Table;

const BIDS: &str = r#"["100.0","5"],["99.5","4"]"#;
const ASKS: &str = r#"["100.5","3"],["101.0","2"]"#;
const L2: [&str; 9] =
    ["is_snapshot", "first_id", "last_id", "prev_id", "bid_prices", "bid_sizes", "ask_prices", "ask_sizes", "source"];
const GAPS: [&str; 8] =
    ["gap_id", "stream", "cause", "evidence", "first_missing", "last_missing", "ts_resumed", "repaired"];

/// BTCUSDT live at id 30: snapshot 25, bridged by (20, 21..30).
fn synced(connections: u16) -> World {
    let mut world = World::replaying(connections);
    for conn in 1..=connections {
        world.frame(crate::symbol::ConnId(conn), &depth("BTCUSDT", (20, 21, 30), r#"["100.0","7"]"#, ""));
    }
    world.recorded_snapshot(&snapshot(25, BIDS, ASKS));
    world
}

#[test]
fn a_snapshot_and_the_events_that_follow_it_are_the_rows_of_l2() {
    let mut world = World::replaying(1);
    world.frame(A, &depth("BTCUSDT", (5, 6, 10), r#"["99.0","1"]"#, ""));
    world.frame(A, &depth("BTCUSDT", (10, 11, 20), r#"["99.5","0"]"#, ""));
    world.recorded_snapshot(&snapshot(15, BIDS, ASKS));
    world.frame(A, &depth("BTCUSDT", (20, 25, 26), "", r#"["100.5","0"],["100.6","8"]"#));
    assert_eq!(
        world.rows(Table::L2, &L2),
        [
            "true||15||[100,99.5]|[5,4]|[100.5,101]|[3,2]|rest",
            "false|11|20|15|[99.5]|[0]|[]|[]|ws",
            "false|25|26|20|[]|[]|[100.5,100.6]|[0,8]|ws",
        ]
    );
    assert!(world.rows(Table::Gaps, &GAPS).is_empty(), "the first sync is no gap");
    let book = &world.engine.books()[0];
    assert_eq!((book.accepted, book.stale, book.gaps, book.resyncs), (2, 1, 0, 0));
    assert_eq!(book.top10_ask, [("100.6".into(), "8".into()), ("101".into(), "2".into())]);
}

// Fault: X03
#[test]
fn what_repeats_a_held_event_comes_to_what_that_comes_to() {
    let mut world = World::replaying(1);
    let (before, first, after) = (
        depth("BTCUSDT", (1, 8, 10), r#"["50.0","9"]"#, ""),
        depth("BTCUSDT", (10, 11, 20), r#"["99.5","0"]"#, ""),
        depth("BTCUSDT", (20, 25, 26), "", r#"["100.5","0"],["100.6","8"]"#),
    );
    for frame in [&before, &before, &first, &before, &first, &after, &first] {
        world.frame(A, frame);
    }
    let book = &world.engine.books()[0];
    assert_eq!((book.held, book.in_flight, book.duplicates, book.stale), (7, 7, 0, 0));
    world.recorded_snapshot(&snapshot(15, BIDS, ASKS));
    let book = &world.engine.books()[0];
    assert_eq!((book.accepted, book.stale, book.duplicates, book.in_flight), (2, 3, 2, 0));
    let frames = ["accepted", "stale", "duplicate", "held"].map(|outcome| world.count(&format!("/frames/{outcome}")));
    assert_eq!(frames, [2, 3, 2, 0]);
}

// Fault: X03
#[test]
fn an_event_that_ends_at_the_snapshot_is_applied_since_the_snapshot_is_cut() {
    let mut world = World::replaying(1);
    world.frame(A, &depth("BTCUSDT", (5, 6, 15), r#"["50.0","9"]"#, ""));
    world.recorded_snapshot(&snapshot(15, BIDS, ASKS));
    assert_eq!(world.engine.books()[0].accepted, 1);
    world.frame(A, &depth("BTCUSDT", (5, 6, 15), r#"["50.0","9"]"#, ""));
    assert_eq!(world.engine.books()[0].duplicates, 1, "only after it does u <= id mean duplicate");
}

#[test]
fn a_missing_event_is_named_before_the_next_row_and_only_that_book_resyncs() {
    let mut world = synced(1);
    world.frame(A, &depth("ETHUSDT", (1, 2, 3), r#"["10","1"]"#, ""));
    world.reply(None, "https://x/fapi/v1/depth?symbol=ETHUSDT", 200, &snapshot(2, r#"["10","2"]"#, ""));
    world.frame(A, &depth("BTCUSDT", (40, 41, 50), r#"["99.5","0"]"#, ""));
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["1|l2|missed|chain|31|40||none"]);
    world.frame(A, &depth("ETHUSDT", (3, 4, 5), r#"["10","5"]"#, ""));
    world.frame(A, &depth("BTCUSDT", (50, 51, 60), r#"["98.5","6"]"#, ""));
    let states: Vec<(String, String)> = world.engine.books().into_iter().map(|b| (b.symbol, b.state)).collect();
    assert_eq!(states, [("BTCUSDT".into(), "resyncing".into()), ("ETHUSDT".into(), "live".into())]);
    world.recorded_snapshot(&snapshot(45, BIDS, ASKS));
    let gaps = world.rows(Table::Gaps, &GAPS);
    assert_eq!(gaps.len(), 2);
    assert!(gaps[1].starts_with("1|l2|missed|chain|31|40|1") && gaps[1].ends_with("|none"), "{}", gaps[1]);
    let ids = world.rows(Table::L2, &["symbol", "is_snapshot", "prev_id", "last_id"]);
    assert_eq!(
        ids,
        [
            "BTCUSDT|true||25",
            "BTCUSDT|false|25|30",
            "ETHUSDT|true||2",
            "ETHUSDT|false|2|3",
            "ETHUSDT|false|3|5",
            "BTCUSDT|true|30|45",
            "BTCUSDT|false|45|50",
            "BTCUSDT|false|50|60"
        ]
    );
    let order: Vec<(i64, i32)> = world
        .rows(Table::Gaps, &["msg_id", "row"])
        .iter()
        .map(|text| text.split_once('|').map(|(m, r)| (m.parse().expect("i64"), r.parse().expect("i32"))).expect("two"))
        .collect();
    assert!(order.is_sorted());
}

#[test]
fn a_snapshot_that_comes_while_a_book_is_live_is_ignored_with_a_reason() {
    let mut world = synced(1);
    world.recorded_snapshot(&snapshot(30, BIDS, ASKS));
    assert_eq!(world.count("/replies/ignored/snapshot_while_live"), 1);
    assert_eq!(world.engine.books()[0].snapshots, 1);
}

#[test]
fn a_hole_on_one_connection_is_bridged_by_the_other_without_a_gap() {
    let mut world = synced(2);
    world.frame(A, &depth("BTCUSDT", (40, 41, 50), r#"["98.0","1"]"#, ""));
    assert_eq!(world.engine.books()[0].state, "holding");
    world.frame(B, &depth("BTCUSDT", (30, 31, 40), r#"["97.0","1"]"#, ""));
    assert_eq!(world.engine.books()[0].state, "live");
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["25", "30", "40", "50"]);
    world.pass_ms(1_000);
    let gaps = world.rows(Table::Gaps, &["gap_id", "cause", "first_missing", "last_missing", "repaired", "conn_ids"]);
    assert_eq!(gaps, ["1|missed|31|40|none|[1]", "1|missed|31|40|connection|[1]"]);
    assert_eq!((world.count("/gaps"), world.count("/healed")), (0, 1));
    assert_eq!((world.engine.books()[0].gaps, world.engine.books()[0].healed), (0, 1));
    assert_eq!(world.count("/frames/held"), 0);
}

#[test]
fn a_hole_that_both_connections_have_is_a_gap_at_once() {
    let mut world = synced(2);
    let late = depth("BTCUSDT", (40, 41, 50), r#"["98.0","1"]"#, "");
    world.frame(A, &late);
    assert!(world.rows(Table::Gaps, &GAPS).is_empty());
    world.frame(B, &late);
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["1|l2|missed|chain|31|40||none"]);
}

#[test]
fn a_hole_that_stays_open_for_the_heal_window_is_a_gap() {
    let mut world = synced(2);
    world.frame(A, &depth("BTCUSDT", (40, 41, 50), r#"["98.0","1"]"#, ""));
    world.pass_ms(249);
    assert!(world.rows(Table::Gaps, &GAPS).is_empty());
    world.pass_ms(1);
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["1|l2|missed|chain|31|40||none"]);
}

// Fault: X03
#[test]
fn a_repeated_event_is_dropped_before_it_is_parsed() {
    let mut world = synced(2);
    let repeated = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1795348700033,"T":1795348700030,"s":"BTCUSDT","U":21,"u":30,"pu":20,"b":THIS IS NEVER READ"#;
    world.frame(B, repeated);
    assert_eq!(world.engine.books()[0].duplicates, 2, "one while it was held, one now");
    assert_eq!(world.count("/frames/rejected/json"), 0);
}

#[test]
fn ids_that_fall_while_time_goes_on_are_a_reset() {
    let mut world = synced(1);
    world.frame(A, &depth_at("BTCUSDT", (3, 4, 5), 1_795_348_900_000, r#"["90.0","1"]"#, ""));
    assert_eq!(world.rows(Table::Gaps, &["cause", "stream"]), ["id_reset|l2"]);
    world.recorded_snapshot(&snapshot(4, BIDS, ASKS));
    assert_eq!(world.rows(Table::Gaps, &["cause", "stream"]).len(), 2);
    assert_eq!(world.engine.books()[0].last_id, Some(5));
}

#[test]
fn a_crossed_book_is_never_published() {
    let mut world = synced(1);
    world.frame(A, &depth("BTCUSDT", (30, 31, 40), r#"["100.7","1"]"#, ""));
    assert_eq!(world.rows(Table::Gaps, &["cause", "evidence"]), ["missed|crossed"]);
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["25", "30"]);
}

#[test]
fn a_book_is_crossed_only_at_the_end_of_an_event() {
    let mut world = synced(1);
    let both = depth("BTCUSDT", (30, 31, 40), r#"["100.7","1"]"#, r#"["100.5","0"],["101.0","0"],["102.0","1"]"#);
    world.frame(A, &both);
    assert!(world.rows(Table::Gaps, &GAPS).is_empty());
    assert_eq!(world.engine.books()[0].last_id, Some(40));
}

#[test]
fn every_day_and_every_interval_begins_with_the_whole_book() {
    let mut world = synced(1);
    world.pass_ms(3_600_000);
    let rows = world.rows(Table::L2, &["ts_recv", "ts_event", "conn_id", "last_id", "bid_sizes", "source"]);
    let one = super::harness::NOON + 3_600 * 1_000_000_000;
    assert_eq!(rows.last().expect("rows"), &format!("{one}||0|30|[7,4]|checkpoint"));
    assert_eq!(rows.len(), 3);
}

// Fault: X19, B04
#[test]
fn a_rejected_event_of_a_live_book_is_missing_when_the_next_one_comes() {
    for (bids, reason) in [(r#"["1e400","7"]"#, "range"), (r#"["99.5",null]"#, "schema")] {
        let mut world = synced(1);
        world.frame(A, &depth("BTCUSDT", (30, 31, 40), bids, ""));
        assert_eq!(world.count(&format!("/frames/rejected/{reason}")), 1, "{bids}: {}", world.counters());
        world.frame(A, &depth("BTCUSDT", (40, 41, 50), r#"["99.5","1"]"#, ""));
        assert_eq!(world.rows(Table::Gaps, &GAPS), ["1|l2|missed|chain|31|40||none"], "{bids}");
        assert_eq!(world.rows(Table::L2, &["last_id"]), ["25", "30"], "no row stands on one that is missing");
        world.recorded_snapshot(&snapshot(45, BIDS, ASKS));
        assert_eq!(world.rows(Table::L2, &["last_id"]), ["25", "30", "45", "50"]);
        assert_eq!(world.engine.books()[0].state, "live");
    }
}

// Fault: N01
#[test]
fn a_lost_connection_is_one_gap_and_the_resync_is_no_second() {
    let mut world = World::live(&[Stream::L2]);
    world.frame(A, &depth("BTCUSDT", (20, 21, 30), "", ""));
    let request = world.requests("depth")[0];
    world.reply(Some(request), "", 200, &snapshot(25, BIDS, ASKS));
    world.down(A, DownReason::Reset);
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["1|l2|disconnect|shell||||none"]);
    world.actions.clear();
    world.pass_ms(60_000);
    assert!(world.opens() >= 1);
    world.connect_all();
    world.frame(A, &depth("BTCUSDT", (60, 61, 70), "", ""));
    let request = world.requests("depth?symbol=BTCUSDT&limit=1000")[0];
    world.reply(Some(request), "", 200, &snapshot(65, BIDS, ASKS));
    let gaps = world.rows(Table::Gaps, &["gap_id", "cause"]);
    assert_eq!(gaps, ["1|disconnect", "1|disconnect"]);
    assert_eq!(world.rows(Table::L2, &["last_id"]), ["25", "30", "65", "70"]);
}

// Fault: N01, X11
#[test]
fn a_recording_of_a_reconnect_replays_to_a_live_book_whenever_its_snapshot_comes() {
    for (events, wait) in [(1, 0), (2, 100), (2, 249), (2, 251), (5, 1_000)] {
        let mut world = synced(1);
        world.input(Input::ConnUp { conn: B, url: "", link: Link::default() });
        for i in 0..events {
            let id = 50 + i * 10;
            world.frame(B, &depth("BTCUSDT", (id, id + 1, id + 10), r#"["99.0","1"]"#, ""));
        }
        world.pass_ms(wait);
        world.recorded_snapshot(&snapshot(55, BIDS, ASKS));
        let book = &world.engine.books()[0];
        assert_eq!((book.state.as_str(), book.gaps), ("live", 1), "{events} events, {wait} ms");
        assert_eq!(book.last_id, Some(50 + events * 10), "{events} events, {wait} ms");
        let gaps = world.rows(Table::Gaps, &["gap_id", "cause", "first_missing", "last_missing"]);
        assert_eq!(gaps, ["1|missed|31|50"; 2]);
    }
}

/// Live it is ended soon after; in a recording nobody does.
#[test]
fn of_what_is_listed_no_more_and_silent_there_is_no_book() {
    let config = recording_of(Venue::Okx);
    let mut world = World::new(EngineConfig { streams: vec![Stream::L2, Stream::L2Top], ..config });
    let tell = |world: &mut World, listed: &[&str]| {
        let rows: Vec<_> = listed.iter().map(|base| okx_swap(base, "USDT", "live")).collect();
        let url = "https://www.okx.com/api/v5/public/instruments?instType=SWAP";
        world.reply(None, url, 200, &okx_instruments(&rows));
    };
    world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
    tell(&mut world, &["BTC", "OLD"]);
    for native in ["BTC-USDT-SWAP", "OLD-USDT-SWAP"] {
        world.frame(A, &okx_book(native, (-1, 5), T0, &[("1", "2")], &[("2", "2")], 0));
    }
    tell(&mut world, &["BTC"]);
    let kept = |world: &mut World| world.rows(Table::L2, &["symbol", "source"]).split_off(2);
    world.pass_ms(3_600_000);
    assert_eq!(kept(&mut world), ["BTCUSDT|checkpoint"]);
    world.pass_ms(3_600_000);
    assert_eq!(kept(&mut world), ["BTCUSDT|checkpoint", "BTCUSDT|checkpoint"]);
    assert_eq!(world.rows(Table::L2Top, &["symbol"]), ["BTCUSDT", "OLDUSDT"], "what has not changed is not sampled");
    let live: Vec<String> = world.engine.books().into_iter().filter(|b| b.state == "live").map(|b| b.symbol).collect();
    assert_eq!(live, ["BTCUSDT"]);
    assert!(world.rows(Table::Gaps, &["cause"]).is_empty());
}

// Fault: X21
#[test]
fn what_a_newer_snapshot_still_lies_before_keeps_no_book_from_going_on() {
    let mut world = World::replaying(2);
    let change = |world: &mut World, conn, seconds: i64, ids| {
        world.frame(conn, &depth_at("BTCUSDT", ids, T0 + 1_000 * seconds, r#"["99.0","1"]"#, ""));
    };
    let book = |world: &mut World, seconds: i64, id| {
        world.recorded_snapshot(&snapshot_at(id, T0 + 1_000 * seconds, BIDS, r#"["101.0","1"]"#));
    };
    change(&mut world, A, 1, (1_020, 1_021, 1_030));
    book(&mut world, 1, 1_030);
    change(&mut world, A, 2, (1_030, 1_031, 1_040));
    // What lies between is lost, and then ids fall, which nobody says.
    change(&mut world, A, 3, (1_060, 1_061, 1_070));
    world.pass_ms(1_000);
    world.down(A, DownReason::Reset);
    change(&mut world, B, 4, (20, 21, 30));
    book(&mut world, 4, 25);
    for (seconds, last) in [(5, 40), (6, 50)] {
        change(&mut world, B, seconds, (last - 10, last - 9, last));
    }
    let book = &world.engine.books()[0];
    assert_eq!((&*book.state, book.last_id), ("live", Some(50)));
    assert_eq!(world.rows(Table::Gaps, &["gap_id"]), ["1", "1"]);
}

//! One id with two contents: the first stands, and the difference is told.

use super::harness::{A, B, World, agg_trade, depth, quote, recording, snapshot};
use crate::config::{EngineConfig, Verify};
use crate::engine::{Input, Link};
use crate::symbol::ConnId;
use crate::table::Table;

const GAPS: [&str; 7] = ["stream", "cause", "evidence", "first_missing", "last_missing", "conn_id", "conn_ids"];

/// A recording of two connections.
fn world(verify: Verify) -> World {
    let mut config: EngineConfig = recording();
    config.arbitration.verify = verify;
    let mut world = World::new(config);
    for conn in [A, B] {
        world.input(Input::ConnUp { conn, url: "", link: Link::default() });
    }
    world
}

/// A trade that both tell alike: from the second connection on there is somebody to compare with.
fn both_speak(world: &mut World) {
    for conn in [A, B] {
        world.frame(conn, &agg_trade(0, "100", "1"));
    }
}

/// Stream, id, and message and connection of both.
type Told = (&'static str, i64, (i64, u16), (i64, u16));

fn conflicts(world: &World) -> Vec<Told> {
    let told = world.engine.conflicts();
    assert!(told.iter().all(|c| (&*c.exchange, &*c.symbol) == ("binance-futures", "BTCUSDT")));
    let of = |c: &crate::report::ConflictReport| {
        (c.stream, c.id, (c.first_msg_id, c.first_conn_id), (c.second_msg_id, c.second_conn_id))
    };
    told.iter().map(of).collect()
}

// Fault: X04, X27
#[test]
fn of_two_trades_under_one_id_the_first_stands_and_both_messages_are_told() {
    let mut world = world(Verify::ALL);
    for (conn, id, price) in [(A, 1, "100"), (B, 1, "100.0"), (B, 2, "101"), (A, 2, "102"), (A, 3, "1"), (B, 3, "1")] {
        world.frame(conn, &agg_trade(id, price, "1"));
    }
    assert_eq!(world.rows(Table::Trades, &["trade_id", "price", "conn_id"]), ["1|100|1", "2|101|2", "3|1|1"]);
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["trades|conflict|content|2|2|1|[2,1]"; 2]);
    assert_eq!(conflicts(&world), [("trades", 2, (5, 2), (6, 1))]);
    assert_eq!((world.count("/conflicts"), world.count("/frames/duplicate")), (1, 3));
}

// Fault: X04, X27
#[test]
fn a_book_is_never_mixed_of_two_changes_under_one_id() {
    let mut world = world(Verify::ALL);
    world.recorded_snapshot(&snapshot(10, r#"["100","1"]"#, r#"["101","1"]"#));
    for (conn, ids, bids) in [
        (A, (10, 11, 12), r#"["100","2"],["99","3"]"#),
        (B, (10, 11, 12), r#"["99.0","3.0"],["100","2"]"#),
        (A, (12, 13, 14), r#"["100","5"]"#),
        (B, (12, 13, 14), r#"["98","7"]"#),
        // Another cut of the same changes cannot be compared.
        (B, (11, 12, 14), r#"["97","9"]"#),
    ] {
        world.frame(conn, &depth("BTCUSDT", ids, bids, ""));
    }
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["l2|conflict|content|14|14|2|[1,2]"; 2]);
    assert_eq!(conflicts(&world), [("l2", 14, (6, 1), (7, 2))]);
    let bids = world.engine.books()[0].top10_bid.clone();
    assert_eq!(bids, [("100".to_owned(), "5".to_owned()), ("99".to_owned(), "3".to_owned())]);
}

// Fault: X04, X27
#[test]
fn of_two_quotes_under_one_id_the_first_stands() {
    let mut world = world(Verify::ALL);
    for (conn, id, bid) in [(A, 5, "100"), (B, 5, "100"), (B, 6, "101"), (A, 6, "99")] {
        world.frame(conn, &quote(id, bid, "102"));
    }
    assert_eq!(world.rows(Table::Bbo, &["update_id", "bid_price"]), ["5|100", "6|101"]);
    assert_eq!(conflicts(&world), [("bbo", 6, (5, 2), (6, 1))]);
}

#[test]
fn only_what_is_picked_is_compared() {
    let tenth = Verify::try_from("1/10".to_owned()).expect("a share");
    for verify in [Verify::OFF, tenth, Verify::ALL] {
        let mut world = world(verify);
        both_speak(&mut world);
        for id in 1..=60 {
            world.frame(A, &agg_trade(id, "100", "1"));
            world.frame(B, &agg_trade(id, "101", "1"));
        }
        let told: Vec<i64> = conflicts(&world).iter().map(|conflict| conflict.1).collect();
        assert_eq!(told, (1..=60).filter(|id| verify.picks(*id)).collect::<Vec<_>>());
        assert_eq!(world.rows(Table::Trades, &["price"]), ["100"; 61]);
    }
}

#[test]
fn the_latest_conflicts_are_told_and_all_are_counted() {
    let mut world = world(Verify::ALL);
    both_speak(&mut world);
    for id in 1..=100 {
        world.frame(A, &agg_trade(id, "100", "1"));
        world.frame(ConnId(2), &agg_trade(id, "101", "1"));
    }
    let told: Vec<i64> = conflicts(&world).iter().map(|conflict| conflict.1).collect();
    assert_eq!(told, (37..=100).collect::<Vec<_>>());
    assert_eq!(world.count("/conflicts"), 100);
}

/// The rule in the simplest words: of each stream the latest 256 winners are remembered.
#[test]
fn a_copy_whose_winner_is_remembered_no_more_is_counted_as_unchecked_and_no_other_is() {
    let tenth = Verify::try_from("1/10".to_owned()).expect("a share");
    for verify in [Verify::OFF, tenth, Verify::ALL] {
        let mut world = world(verify);
        both_speak(&mut world);
        for id in 1..=4_000 {
            world.frame(A, &agg_trade(id, "100", "1"));
        }
        let picked: Vec<i64> = (1..=4_000).filter(|id| verify.picks(*id)).collect();
        let forgotten = picked.len().saturating_sub(256);
        let (mut checked, mut unchecked) = (0, 0);
        for id in 1..=4_000 {
            world.frame(B, &agg_trade(id, "101", "1"));
            let is_remembered = picked.iter().position(|of| *of == id).map(|at| at >= forgotten);
            checked += u64::from(is_remembered == Some(true));
            unchecked += u64::from(is_remembered == Some(false));
            assert_eq!((world.count("/conflicts"), world.count("/unchecked")), (checked, unchecked), "{id}");
        }
        assert_eq!(checked + unchecked, picked.len() as u64);
        assert_eq!(world.engine.arbitration().unchecked, unchecked);
    }
}

/// What nobody was there to compare with was never remembered, nor was another cut of a book.
#[test]
fn what_never_was_remembered_is_not_taken_for_forgotten() {
    let mut config: EngineConfig = recording();
    config.arbitration.verify = Verify::ALL;
    let mut world = World::new(config);
    for conn in [A, B] {
        world.input(Input::ConnUp { conn, url: "", link: Link::default() });
    }
    (1..=300).for_each(|id| world.frame(A, &agg_trade(id, "100", "1")));
    (1..=300).for_each(|id| world.frame(B, &agg_trade(id, "100", "1")));
    world.recorded_snapshot(&snapshot(10, r#"["100","1"]"#, r#"["101","1"]"#));
    for (conn, ids) in [(A, (10, 11, 12)), (A, (12, 13, 14)), (B, (10, 11, 14))] {
        world.frame(conn, &depth("BTCUSDT", ids, "", ""));
    }
    assert_eq!((world.count("/frames/duplicate"), world.count("/unchecked")), (301, 0));
}

// Fault: X04, X27
#[test]
fn a_quote_that_newer_ones_have_overtaken_is_compared_like_any() {
    let mut world = world(Verify::ALL);
    for conn in [A, B] {
        world.frame(conn, &quote(1, "100", "102"));
    }
    for (conn, bid) in [(A, "100"), (B, "99")] {
        (2..=11).for_each(|id| world.frame(conn, &quote(id, bid, "102")));
    }
    assert_eq!(world.count("/conflicts"), 10);
    assert_eq!(world.rows(Table::Bbo, &["bid_price"]), ["100"; 11]);
}

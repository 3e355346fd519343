//! Books of OKX whose ids chain and whose times are only a guess: they run back, and old frames come again.

use super::frames::{T0, okx_book, okx_old_book};
use super::harness::World;
use crate::engine::{Input, Link};

use crate::symbol::{ConnId, Venue};
use crate::table::Table;

const GAPS: [&str; 5] = ["stream", "cause", "first_missing", "last_missing", "repaired"];

fn change(world: &mut World, conn: u16, (prev, id): (i64, i64), ms: i64) {
    let size = (id % 7 + 1).to_string();
    world.frame(ConnId(conn), &okx_book("BTC-USDT", (prev, id), T0 + ms, &[("99", &size)], &[("101", "1")], 0));
}

/// Of so many connections, each of which has brought the snapshot and what is up to `last`.
fn live(connections: u16, last: i64) -> World {
    let mut world = World::replaying_at(Venue::Okx, connections);
    for id in 100..=last {
        for conn in 1..=connections {
            change(&mut world, conn, (if id == 100 { -1 } else { id - 1 }, id), 10 * (id - 100));
        }
    }
    world
}

fn rows(world: &mut World) -> Vec<String> {
    world.rows(Table::L2, &["last_id"])
}

fn each_once(last: i64) -> Vec<String> {
    (100..=last).map(|id| id.to_string()).collect()
}

// Fault: X03
#[test]
fn an_old_frame_that_comes_again_is_known_however_quiet_the_book() {
    for connections in 1..=3 {
        let mut world = live(connections, 106);
        change(&mut world, 1, (104, 105), 50);
        world.pass_ms(700);
        for conn in 1..=connections {
            change(&mut world, conn, (106, 107), 760);
        }
        world.pass_ms(1_000);
        assert_eq!(rows(&mut world), each_once(107), "{connections} connections");
        assert_eq!(world.rows(Table::Gaps, &GAPS).len(), 0, "{connections} connections");
        assert_eq!(world.engine.books()[0].state, "live");
    }
}

// Fault: X30
#[test]
fn what_is_held_is_taken_in_the_order_of_the_chain_where_times_run_back() {
    let mut world = live(2, 101);
    change(&mut world, 1, (102, 103), 30);
    change(&mut world, 1, (103, 104), 29);
    world.pass_ms(20);
    for (link, ms) in [((101, 102), 25), ((102, 103), 30), ((103, 104), 29)] {
        change(&mut world, 2, link, ms);
    }
    world.pass_ms(1_000);
    assert_eq!(rows(&mut world), each_once(104));
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["l2|missed|102|102|none", "l2|missed|102|102|connection"]);
    assert_eq!(world.engine.books()[0].state, "live");
}

// Fault: X30
#[test]
fn times_that_run_back_now_and_then_are_no_gap() {
    for joins in [false, true] {
        let mut world = live(if joins { 1 } else { 2 }, 103);
        if joins {
            world.input(Input::ConnUp { conn: ConnId(2), url: "", link: Link::default() });
            change(&mut world, 2, (-1, 103), 30);
        }
        for id in 104..140 {
            let ms = 10 * (id - 100) - if id % 5 == 3 { 15 } else { 0 };
            for conn in [1, 2] {
                change(&mut world, conn, (id - 1, id), ms);
                world.pass_ms(4);
            }
        }
        world.pass_ms(1_000);
        assert_eq!(rows(&mut world), each_once(139), "{joins}");
        assert_eq!(world.rows(Table::Gaps, &GAPS).len(), 0, "{joins}");
    }
}

// Fault: X03
#[test]
fn without_ids_an_old_frame_that_comes_again_is_known_by_its_time() {
    let mut world = World::replaying_at(Venue::Okx, 1);
    for (at, size) in [(0, "1"), (100, "2"), (200, "3"), (100, "2"), (200, "4"), (300, "5")] {
        let text = okx_old_book("BTC-USDT", at == 0, T0 + at, &[("99", size)], &[("101", "1")], 0);
        world.frame(ConnId(1), &text);
    }
    assert_eq!(world.rows(Table::L2, &["bid_sizes"]), ["[1]", "[2]", "[3]", "[4]", "[5]"]);
}

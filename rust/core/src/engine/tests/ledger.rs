//! Connections beside each other: the rows of `connections`, and what several of them gained.

use std::net::IpAddr;

use super::harness::{World, agg_trade, all_rows, config};
use crate::config::{EngineConfig, Stream};
use crate::engine::{Action, Command, ConnDown, DownReason, Input, Link};
use crate::symbol::ConnId;
use crate::table::{StampSource, Table};

const MS: u64 = 1_000_000;

/// A live engine of trades on so many connections, all of them up.
fn several(connections: u16) -> World {
    several_of(EngineConfig { connections, ..config(&[Stream::Trades]) })
}

fn several_of(mut config: EngineConfig) -> World {
    config.arbitration.ramp_ms = 0;
    // Nobody is judged for being quiet.
    let deadlines = &mut config.deadlines;
    (deadlines.silence_ms, deadlines.stream_silence_ms, deadlines.first_data_ms) = (600_000, 600_000, 600_000);
    config.tables.push(Table::Connections);
    let mut world = World::new(config);
    up(&mut world);
    world
}

fn ip(conn: ConnId) -> IpAddr {
    IpAddr::from([10, 0, 0, conn.0 as u8])
}

/// Answers every wish to open a connection: each has an address of its own.
fn up(world: &mut World) {
    for action in std::mem::take(&mut world.actions) {
        if let Action::Open { conn, url, .. } = action {
            let link = Link { ip: Some(ip(conn)), stamps: StampSource::Kernel };
            world.input(Input::ConnUp { conn, url: &url, link });
            world.acknowledge(conn);
        }
    }
    world.actions.clear();
}

/// A trade that comes on each of these connections so many milliseconds after now, in this order.
fn trade_on(world: &mut World, id: i64, conns: &[(u16, u64)]) {
    let began = world.now;
    for (conn, ms) in conns {
        world.now = began.after(ms * MS);
        world.frame(ConnId(*conn), &agg_trade(id, "100.5", "1"));
    }
}

#[test]
fn an_interval_is_a_row_of_each_connection() {
    let mut world = several(3);
    for id in 1..=100 {
        let conns: &[(u16, u64)] = if id <= 60 { &[(1, 0), (2, 4), (3, 8)] } else { &[(2, 0), (1, 2), (3, 8)] };
        trade_on(&mut world, id, conns);
        world.pass_ms(42);
    }
    world.pass_ms(60_000);
    let columns =
        ["exchange", "symbol", "conn_id", "host", "ip", "state", "stamp_source", "wins", "losses", "reconnects"];
    let rows = world.rows(Table::Connections, &columns);
    let told = |conn: u16, wins: u64, losses: u64| {
        format!("binance-futures||{conn}|fstream.binance.com|10.0.0.{conn}|up|kernel|{wins}|{losses}|0")
    };
    assert_eq!(rows[..3], [told(1, 60, 40), told(2, 40, 60), told(3, 0, 100)]);
    // The first trade was sent 99.899 s before it came on the first of them, and the later ones before that.
    let ahead: Vec<f64> = world.rows(Table::Connections, &["clock_offset_us"])[..3]
        .iter()
        .map(|text| text.parse().expect("a number"))
        .collect();
    assert_eq!(ahead, [-99_899e3, -99_903e3, -99_907e3]);
    let quantiles = world.rows(Table::Connections, &["lead_p50_us", "behind_p50_us", "behind_p99_us"]);
    let near = |text: &str, expected: Option<f64>| match expected {
        None => assert_eq!(text, ""),
        Some(us) => assert!((text.parse::<f64>().expect("a number") / us - 1.0).abs() < 0.04, "{text} for {us}"),
    };
    let expected = [[Some(4e3), Some(2e3), Some(2e3)], [Some(2e3), Some(4e3), Some(4e3)], [None, Some(8e3), Some(8e3)]];
    for (row, expected) in quantiles.iter().zip(expected) {
        row.split('|').zip(expected).for_each(|(text, expected)| near(text, expected));
    }
    let scores = world.rows(Table::Connections, &["score"]);
    near(&scores[0], Some(2e3 * 0.4));
    // The next interval is empty: nothing is compared, and what scores remember is an average.
    world.pass_ms(60_000);
    let later = world
        .rows(Table::Connections, &["messages", "wins", "losses", "lead_p50_us", "latency_p50_us", "clock_offset_us"]);
    assert_eq!(later[3..], ["0|0|0|||", "0|0|0|||", "0|0|0|||"]);
}

/// With the kernel's stamps: what is read last may have come before.
#[test]
fn leads_are_between_the_times_at_which_copies_came_and_not_at_which_they_were_read() {
    let mut world = several(3);
    for id in 1..=100 {
        let began = world.now;
        // The third of them came before the second, and was read after it.
        for (conn, ms) in [(1, 4), (2, 9), (3, 6)] {
            world.now = began.after(ms * MS);
            world.frame(ConnId(conn), &agg_trade(id, "100.5", "1"));
        }
        world.now = began.after(9 * MS);
        world.pass_ms(41);
    }
    world.pass_ms(60_000);
    let columns = ["conn_id", "wins", "losses", "lead_p50_us", "behind_p50_us"];
    let rows = world.rows(Table::Connections, &columns);
    for (row, expected) in rows.iter().zip([5e3, 5e3, 2e3]) {
        let us = row.rsplit('|').find(|text| !text.is_empty()).and_then(|text| text.parse::<f64>().ok());
        assert!((us.expect("a number") / expected - 1.0).abs() < 0.04, "{row}: {expected}");
    }
    let mut again = super::replay::replay(&mut world);
    assert_eq!(again.rows(Table::Connections, &columns), rows);
}

/// What was asked for is no evidence: the row says who stamped.
#[test]
fn an_interval_tells_who_stamped_most_of_what_came_in_it_and_a_replay_says_the_same() {
    let [user, kernel, hardware] = [StampSource::User, StampSource::Kernel, StampSource::Hardware];
    // Both connections came up with the kernel's. Of the second nothing else is ever said.
    let intervals: [(&[(StampSource, usize)], &str); 7] = [
        (&[(kernel, 3)], "kernel"),
        (&[(user, 3)], "user"),
        (&[], "user"),
        (&[(user, 1), (kernel, 2), (user, 2), (kernel, 3)], "kernel"),
        (&[(hardware, 2), (kernel, 2)], "kernel"),
        (&[(hardware, 3), (user, 2)], "hardware"),
        (&[], "user"),
    ];
    let mut world = several(2);
    let (mut id, mut changes, mut last) = (0, Vec::new(), kernel);
    for (stamps, _) in intervals {
        for (source, count) in stamps {
            for _ in 0..*count {
                id += 1;
                world.engine.stamped_by(ConnId(1), *source);
                trade_on(&mut world, id, &[(1, 0), (2, 1)]);
                let is_other = std::mem::replace(&mut last, *source) != *source;
                changes.extend(is_other.then(|| format!("1|stamps: {}", source.name())));
            }
        }
        world.pass_ms(60_000);
    }
    let rows = world.rows(Table::Connections, &["conn_id", "stamp_source"]);
    let told: Vec<String> =
        intervals.iter().flat_map(|(_, told)| [format!("1|{told}"), "2|kernel".to_owned()]).collect();
    assert_eq!(rows, told);
    let headers = world.rows(Table::Raw, &["conn_id", "headers"]);
    let headers: Vec<String> = headers.into_iter().filter(|row| row.contains("stamps")).collect();
    assert_eq!(headers, changes, "once for each change");
    let mut again = super::replay::replay(&mut world);
    assert_eq!(again.rows(Table::Connections, &["conn_id", "stamp_source"]), rows);
    again.rows(Table::Raw, &["kind"]);
    for table in Table::ALL {
        assert_eq!(all_rows(&again.batches, table), all_rows(&world.batches, table), "{table:?}");
    }
}

/// One that comes up again is stamped as that says, and what it received before is not forgotten.
#[test]
fn a_connection_that_comes_up_again_keeps_what_was_counted_of_its_interval() {
    let mut world = several(1);
    world.engine.stamped_by(ConnId(1), StampSource::User);
    (1..=5).for_each(|id| trade_on(&mut world, id, &[(1, 0)]));
    world.down(ConnId(1), DownReason::Reset);
    while world.opens() == 0 {
        world.pass_ms(100);
    }
    up(&mut world);
    trade_on(&mut world, 6, &[(1, 0)]);
    world.pass_ms(60_000);
    let rows = world.rows(Table::Connections, &["state", "stamp_source"]);
    assert_eq!(rows[..2], ["down|user", "up|kernel"], "a row ends with the connection, and so does its interval");
}

#[test]
fn one_connection_is_measured_and_compared_with_nothing() {
    let mut world = several(1);
    for id in 1..=10 {
        trade_on(&mut world, id, &[(1, 0)]);
    }
    world.pass_ms(60_000);
    let rows = world.rows(Table::Connections, &["wins", "losses", "score", "lead_p50_us", "behind_p50_us"]);
    assert_eq!(rows, ["0|0|||"]);
    let latency = world.rows(Table::Connections, &["latency_p50_us"]);
    let us: f64 = latency[0].parse().expect("a number");
    assert!((us / 100e6 - 1.0).abs() < 0.04, "{us}: 100 s");
    assert_eq!(world.engine.arbitration().lanes, []);
}

#[test]
fn an_end_is_a_row_with_its_reason_and_so_is_the_engines() {
    let mut world = several(2);
    let down = ConnDown { reason: DownReason::Closed, code: Some(1001), detail: "bye".into(), retry_after_ms: None };
    world.input(Input::ConnDown { conn: ConnId(2), down: &down });
    world.pass_ms(30_000);
    up(&mut world);
    world.input(Input::Command(&Command::Stop));
    let rows = world.rows(Table::Connections, &["conn_id", "state", "reconnects", "close_reason"]);
    assert_eq!(rows, ["2|down|0|closed 1001: bye", "1|up|0|stopped", "2|up|1|stopped"]);
    assert_eq!(world.rows(Table::Gaps, &["cause"]), [] as [&str; 0], "an end is no gap");
}

// Fault: N10
#[test]
fn a_leg_that_lags_by_seconds_costs_no_trade_and_shows_its_lag() {
    let mut world = several(2);
    let mut state = 7_u64;
    let mut arrivals = Vec::new();
    for id in 1..=400_i64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = id.unsigned_abs() * 50;
        arrivals.push((at, 1, id));
        arrivals.push((at + (state >> 33) % 5_000, 2, id));
    }
    // TCP keeps the order of each.
    let mut latest = 0;
    for arrival in arrivals.iter_mut().filter(|(_, conn, _)| *conn == 2) {
        latest = arrival.0.max(latest);
        arrival.0 = latest;
    }
    arrivals.sort_unstable();
    let began = world.now;
    for (at, conn, id) in &arrivals {
        let now = began.after(at * MS);
        world.pass_ms((now.mono - world.now.mono) / MS);
        world.frame(ConnId(*conn), &agg_trade(*id, "100.5", "1"));
    }
    let ids: Vec<String> = (1..=400).map(|id| id.to_string()).collect();
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ids, "each once, in order");
    assert_eq!(world.rows(Table::Gaps, &["cause"]), [] as [&str; 0]);
    world.pass_ms(60_000);
    let rows = world.rows(Table::Connections, &["conn_id", "wins", "losses", "behind_p99_us"]);
    assert!(rows[0].starts_with("1|400|0|"), "{rows:?}");
    let lag: f64 =
        rows[1].strip_prefix("2|0|400|").and_then(|us| us.parse().ok()).unwrap_or_else(|| panic!("{rows:?}"));
    assert!((4.5e6..5.2e6).contains(&lag), "{lag} µs at 99 %");
}

#[test]
fn the_summary_says_what_redundancy_gained_against_the_best_single_connection() {
    let mut world = several(3);
    // 1: always 5 ms behind; 2: mostly first, and a twentieth of all lost; 3: first where 2 is not, else 3 ms behind.
    for id in 1..=2_000_i64 {
        match id % 20 {
            0 => trade_on(&mut world, id, &[(3, 0), (1, 5)]),
            _ => trade_on(&mut world, id, &[(2, 0), (3, 3), (1, 5)]),
        }
        world.pass_ms(10);
    }
    // What is waited for makes room.
    for id in 2_001..=12_000 {
        trade_on(&mut world, id, &[(2, 0), (3, 3), (1, 5)]);
    }
    let report = world.engine.arbitration();
    let [lane] = &report.lanes[..] else { panic!("{report:?}") };
    assert_eq!((lane.exchange, lane.lane, lane.events), ("binance-futures", 0, 12_000));
    let missed: Vec<u64> = lane.connections.iter().map(|connection| connection.missed).collect();
    assert_eq!(missed, [0, 100, 0]);
    assert_eq!(lane.best, 1, "100 of 12,000 that are 250 ms late are 2.1 ms each");
    assert_eq!((lane.gain_ms.p999, lane.holes_of_best), (0.0, 100));
    let third = lane.connections[2].behind_ms;
    assert!((third.p50 - 3.0).abs() < 0.1 && (third.p999 - 3.0).abs() < 0.1, "{third:?}");
    // A row that is written between takes nothing away.
    world.pass_ms(60_000);
    assert_eq!(world.engine.arbitration(), report);
    // Who loses more than that is worth is not the best, however far ahead it is else.
    for id in 12_001..=16_000 {
        let all = [(3, 0), (1, 5), (2, 0)];
        // The last ones might still come.
        trade_on(&mut world, id, &all[..if id % 20 == 0 && id < 15_900 { 2 } else { 3 }]);
        world.pass_ms(10);
    }
    let report = world.engine.arbitration();
    let lane = &report.lanes[0];
    assert_eq!((lane.best, lane.holes_of_best, lane.connections[1].missed), (2, 0, 294));
}

#[test]
fn what_a_connection_lacks_it_has_missed_however_short_the_session() {
    let mut world = several(2);
    for id in 1..=100 {
        if id % 2 == 0 {
            trade_on(&mut world, id, &[(1, 0), (2, 1)])
        } else {
            trade_on(&mut world, id, &[(1, 3)])
        }
        world.pass_ms(10);
    }
    world.pass_ms(1_000);
    world.input(Input::Command(&Command::Stop));
    let report = world.engine.arbitration();
    let [lane] = &report.lanes[..] else { panic!("{report:?}") };
    let told: Vec<_> = lane.connections.iter().map(|place| (place.wins, place.losses, place.missed)).collect();
    assert_eq!((lane.events, told), (100, vec![(100, 0, 0), (0, 50, 50)]));
    // What the first has brought since a second left for good is nothing that this one missed.
    world.command(&Command::Connections(1)).expect("within its bounds");
    world.pass_ms(1_000);
    world.down(ConnId(2), DownReason::Local);
    for id in 101..=400 {
        trade_on(&mut world, id, &[(1, 0)]);
    }
    world.pass_ms(1_000);
    let report = world.engine.arbitration();
    let second = &report.lanes[0].connections[1];
    assert_eq!((second.wins, second.losses, second.missed), (0, 50, 50));
}

#[test]
fn a_place_that_was_there_for_a_moment_is_not_the_best() {
    let mut world = several(2);
    for id in 1..=2_000 {
        let conns: [(u16, u64); 2] = if id % 2 == 0 { [(1, 0), (2, 5)] } else { [(2, 0), (1, 5)] };
        trade_on(&mut world, id, &conns);
        world.pass_ms(10);
    }
    let before = world.engine.arbitration();
    world.command(&Command::Connections(3)).expect("within its bounds");
    world.pass_ms(2_000);
    up(&mut world);
    for id in 2_001..=2_005 {
        trade_on(&mut world, id, &[(3, 0), (1, 5), (2, 5)]);
        world.pass_ms(10);
    }
    let report = world.engine.arbitration();
    assert_eq!((report.lanes[0].connections.len(), report.lanes[0].best), (3, before.lanes[0].best));
    assert!((report.lanes[0].gain_ms.p99 - 5.0).abs() < 0.2, "{report:?}");
}

/// More have come since than wait for their copies, so it was said to have lost them; it had not.
#[test]
fn who_brings_many_events_late_has_lost_none_and_costs_what_they_were_late() {
    let mut world = several(2);
    trade_on(&mut world, 1, &[(1, 0), (2, 0)]);
    for burst in 0..10 {
        let (ids, began) = (2 + burst * 300..302 + burst * 300, world.now);
        ids.clone().for_each(|id| trade_on(&mut world, id, &[(1, 0)]));
        world.now = began.after(100 * MS);
        ids.for_each(|id| trade_on(&mut world, id, &[(2, 0)]));
        world.pass_ms(1_000);
    }
    world.pass_ms(60_000);
    let report = world.engine.arbitration();
    let told: Vec<_> =
        report.lanes[0].connections.iter().map(|place| (place.wins, place.losses, place.missed)).collect();
    assert_eq!(told, [(3_001, 0, 0), (0, 3_001, 0)]);
    let scores: Vec<f64> =
        world.rows(Table::Connections, &["score"])[..2].iter().map(|text| text.parse().expect("a number")).collect();
    assert!(scores[0] == 0.0 && (83e3..=103e3).contains(&scores[1]), "{scores:?}: it is 100 ms late");
}

/// A connection is in no race while it is down.
#[test]
fn what_comes_while_a_connection_is_down_it_has_missed_though_it_is_told_of_it_afterwards() {
    let mut world = several(2);
    (1..=100).for_each(|id| trade_on(&mut world, id, &[(1, 0), (2, 1)]));
    let lost = |world: &World| {
        let report = world.engine.arbitration();
        let place = &report.lanes[0].connections[1];
        (place.losses, place.missed)
    };
    world.pass_ms(1_000);
    assert_eq!(lost(&world), (100, 0));
    world.down(ConnId(2), DownReason::Reset);
    (101..=1_100).for_each(|id| trade_on(&mut world, id, &[(1, 0)]));
    while world.opens() == 0 {
        world.pass_ms(100);
    }
    up(&mut world);
    // What it brings first was there long ago; then it goes on with the other.
    (501..=900).for_each(|id| trade_on(&mut world, id, &[(2, 0)]));
    (1_101..=2_000).for_each(|id| trade_on(&mut world, id, &[(1, 0), (2, 1)]));
    world.pass_ms(1_000);
    assert_eq!(lost(&world), (100 + 900, 1_000));
}

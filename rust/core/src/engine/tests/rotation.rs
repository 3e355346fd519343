//! Slow addresses are left for others, one at a time, and remembered; nothing but the ledger tells of it.

use std::net::{IpAddr, SocketAddr};

use super::exchange::{Exchange, Line, VENUES, book, symbol, trade};
use crate::arbiter::addresses::order;
use crate::config::{EngineConfig, Stream};
use crate::engine::{Action, DownReason, Input, Link};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

const DWELL_S: u64 = 60;

fn ip(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

/// An exchange of so many addresses, three connections to it, and its trades.
fn exchange(venue: Venue, addresses: u8) -> Exchange {
    let addresses = (1..=addresses).map(|n| SocketAddr::new(ip(n), 443)).collect();
    Exchange::at(venue, &[Stream::Trades], addresses, |config: &mut EngineConfig| {
        config.connections = 3;
        config.arbitration.dwell_s = Some(DWELL_S);
    })
}

/// So many seconds of trades and changes of the book, which each address brings so many milliseconds late. Yields by which addresses the
/// connections went, whenever that changed, and when that was.
fn run(exchange: &mut Exchange, seconds: u64, late: fn(IpAddr) -> u64) -> Vec<(u64, Vec<IpAddr>)> {
    const EVERY: u64 = 50;
    let began = exchange.world.now.mono;
    let mut seen: Vec<(u64, Vec<IpAddr>)> = Vec::new();
    while exchange.world.now.mono - began < seconds * 1_000_000_000 {
        exchange.id += 1;
        let text = trade(exchange.venue, exchange.id);
        let change = book(exchange.venue, Some(exchange.id * 10 - 10), exchange.id * 10);
        let mut lines: Vec<(u64, ConnId)> =
            exchange.lines.iter().filter(|l| l.trades || l.book).filter_map(|l| Some((late(l.ip?), l.conn))).collect();
        lines.sort_unstable();
        let mut passed = 0;
        for (at, conn) in lines {
            exchange.pass_ms(at - passed);
            passed = at;
            for line in exchange.lines.clone().iter().filter(|line| line.conn == conn) {
                [(line.trades, &text), (line.book, &change)].into_iter().filter(|(carries, _)| *carries).for_each(
                    |(_, text)| {
                        exchange.world.frame(conn, text);
                        exchange.serve();
                    },
                );
            }
        }
        exchange.pass_ms(EVERY - passed);
        let mut now: Vec<IpAddr> =
            exchange.lines.iter().filter(|line| line.trades).filter_map(|line| line.ip).collect();
        now.sort_unstable();
        if seen.last().is_none_or(|(_, then)| *then != now) {
            seen.push(((exchange.world.now.mono - began) / 1_000_000_000, now));
        }
    }
    seen
}

fn nothing_tells(exchange: &mut Exchange) {
    assert_eq!(exchange.gaps(), [""; 0], "{:?}", exchange.venue);
    let (first, last) = (2, exchange.id);
    let expected: Vec<String> = (first..=last).map(|id| id.to_string()).collect();
    let told = exchange.trades();
    assert_eq!(told, expected[expected.len() - told.len()..], "{:?}", exchange.venue);
    assert!(told.len() + 50 > expected.len(), "{:?}", exchange.venue);
}

#[test]
fn the_slow_address_is_left_after_its_time_for_one_that_nobody_has_tried() {
    for venue in VENUES {
        let mut exchange = exchange(venue, 4);
        let seen = run(&mut exchange, 4 * DWELL_S, |to| if to == ip(1) { 30 } else { 2 });
        let known =
            |at: u64| seen.iter().rfind(|(then, _)| *then <= at).map(|(_, ips)| ips.clone()).unwrap_or_default();
        assert_eq!(known(DWELL_S - 1), [ip(1), ip(2), ip(3)], "{venue:?}: {seen:?}");
        assert_eq!(known(2 * DWELL_S), [ip(2), ip(3), ip(4)], "{venue:?}: {seen:?}");
        assert_eq!(known(4 * DWELL_S), [ip(2), ip(3), ip(4)], "{venue:?}: {seen:?}");
        assert_eq!(exchange.redundancy("replaced"), 1, "{venue:?}");
        nothing_tells(&mut exchange);
        let ends = exchange.world.rows(Table::Connections, &["ip", "state", "close_reason"]);
        let ends: Vec<&String> = ends.iter().filter(|row| !row.ends_with('|')).collect();
        assert_eq!(ends, ["10.0.0.1|leaving|by us: replaced: the others are better"], "{venue:?}");
    }
}

#[test]
fn of_two_slow_ones_the_slower_goes_first_and_the_other_a_dwell_later() {
    let mut exchange = exchange(Venue::BinanceSpot, 5);
    let seen = run(&mut exchange, 4 * DWELL_S, |to| match to {
        to if to == ip(1) => 20,
        to if to == ip(3) => 40,
        _ => 2,
    });
    let left = |which: IpAddr| seen.iter().find(|(_, ips)| !ips.contains(&which) && ips.len() >= 3).map(|(at, _)| *at);
    let (first, second) = (left(ip(3)).expect("the slower"), left(ip(1)).expect("the slow one"));
    assert!(first >= DWELL_S && second >= first + DWELL_S, "{seen:?}");
    assert!(seen.iter().all(|(_, ips)| ips.len() <= 4), "at most one beside the three: {seen:?}");
    assert_eq!(exchange.redundancy("replaced"), 2);
    nothing_tells(&mut exchange);
}

#[test]
fn a_slow_address_is_remembered_and_a_good_one_is_gone_to_again() {
    let mut exchange = exchange(Venue::BinanceSpot, 3);
    let late = |to: IpAddr| if to == ip(1) { 30 } else { 2 };
    run(&mut exchange, 2 * DWELL_S, late);
    // Nothing is left to try: it shares the address of another rather than go back to the slow one.
    let standing = |exchange: &Exchange| exchange.lines.iter().filter(|line| line.ip == Some(ip(1))).count();
    assert_eq!((standing(&exchange), exchange.up()), (0, 3));
    // Who is cut comes back to a good one, for as long as the slow one is known to be slow.
    for _ in 0..5 {
        let conn = exchange.lines[0].conn;
        exchange.end(conn, DownReason::Reset);
        run(&mut exchange, DWELL_S, late);
        assert_eq!((standing(&exchange), exchange.up()), (0, 3));
    }
    assert_eq!(exchange.redundancy("replaced"), 1, "{}", symbol(exchange.venue));
    // Slow once is not slow for ever.
    run(&mut exchange, 12 * DWELL_S, late);
    for _ in 0..8 {
        let conn = exchange.lines[0].conn;
        exchange.end(conn, DownReason::Reset);
        run(&mut exchange, 10, |_| 2);
    }
    assert!(standing(&exchange) > 0, "it may have become better");
    assert_eq!(exchange.gaps(), [""; 0]);
}

/// Opening connections has a budget: what is due of two lanes in one moment is replaced ten seconds apart.
#[test]
fn replacements_of_several_lanes_keep_their_distance() {
    let mut exchange = Exchange::at(
        Venue::BinanceFutures,
        &[Stream::Trades, Stream::L2],
        (1..=4).map(|n| SocketAddr::new(ip(n), 443)).collect(),
        |config: &mut EngineConfig| {
            config.connections = 3;
            config.arbitration.dwell_s = Some(DWELL_S);
        },
    );
    let mut opened = Vec::new();
    for second in 0..3 * DWELL_S {
        let before = exchange.opened;
        // In each lane one of three goes by the slow address.
        run(&mut exchange, 1, |to| if to == ip(1) { 30 } else { 2 });
        opened.extend((before..exchange.opened).map(|_| second));
    }
    let replaced: Vec<u64> = opened.into_iter().filter(|second| *second >= DWELL_S).collect();
    let [first, second] = replaced[..] else { panic!("one of each lane: {replaced:?}") };
    assert!((10..=15).contains(&(second - first)), "{replaced:?}");
    assert_eq!(exchange.redundancy("replaced"), 2);
    assert_eq!(exchange.gaps(), [""; 0]);
}

/// What is known of addresses must not send all to the best one while none of them is there yet.
#[test]
fn connections_that_are_cut_in_one_moment_come_back_to_different_addresses() {
    for (ramp_ms, cuts) in [(0, 6), (1_000, 2)] {
        let mut exchange = Exchange::at(
            Venue::BinanceSpot,
            &[Stream::Trades],
            (1..=4).map(|n| SocketAddr::new(ip(n), 443)).collect(),
            |config: &mut EngineConfig| {
                config.connections = 3;
                config.arbitration.ramp_ms = ramp_ms;
            },
        );
        for _ in 0..cuts {
            exchange.run_ms(300_000, 50);
            let lines = std::mem::take(&mut exchange.lines);
            assert_eq!(lines.len(), 3);
            lines.iter().for_each(|line| exchange.world.down(line.conn, DownReason::Reset));
            let went = dialled(&mut exchange, 400);
            let mut ips: Vec<IpAddr> = went.iter().map(|(_, ip)| *ip).collect();
            ips.sort_unstable();
            ips.dedup();
            assert_eq!((went.len(), ips.len()), (3, 3), "{ramp_ms}: {went:?}");
        }
    }
}

/// Twenty seconds in which an upgrade takes so long. Yields who went where.
fn dialled(exchange: &mut Exchange, upgrade_ms: u64) -> Vec<(ConnId, IpAddr)> {
    const STEP: u64 = 50;
    let (mut dialling, mut went) = (Vec::new(), Vec::new());
    for step in 0..20_000 / STEP {
        let (opens, others) = std::mem::take(&mut exchange.world.actions)
            .into_iter()
            .partition::<Vec<_>, _>(|action| matches!(action, Action::Open { .. }));
        exchange.world.actions = others;
        exchange.serve();
        for action in opens {
            if let Action::Open { conn, url, advice } = action {
                let ip = order(&exchange.addresses, &advice)[0].ip();
                went.push((conn, ip));
                dialling.push((step + upgrade_ms / STEP, conn, url, ip));
            }
        }
        exchange.world.pass_ms(STEP);
        dialling.retain(|(due, conn, url, ip)| {
            if *due <= step {
                let link = Link { ip: Some(*ip), ..Link::default() };
                exchange.lines.push(Line {
                    conn: *conn,
                    since: 0,
                    ip: link.ip,
                    trades: false,
                    book: false,
                    late_ms: 0,
                });
                exchange.world.input(Input::ConnUp { conn: *conn, url, link });
            }
            *due > step
        });
    }
    exchange.serve();
    went
}

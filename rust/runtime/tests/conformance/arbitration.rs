//! Several connections to each stream: what one lacks another brings, what none brings is named, and a connection that
//! is replaced by plan leaves no trace.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use xtrader_runtime::live::LiveOptions;

use crate::case::Case;
use crate::session::Session;
use crate::truth::compare_with_the_carried;

/// Connections to each stream.
const CONNECTIONS: u16 = 3;

/// Seconds between two cuts: else it looks as if the exchange wanted fewer connections, and one of them is given up.
const CUT_EVERY: f64 = 2.6;

/// Three connections, each of which loses one frame of a hundred and is cut now and then, for seconds.
pub fn what_is_missing_is_what_no_connection_carried(case: &'static Case) {
    merge(case, 5, 12);
}

/// As above, each cut ten times.
pub fn what_is_missing_is_what_no_connection_carried_for_long(case: &'static Case) {
    merge(case, 13, 80);
}

fn redundant(options: &mut LiveOptions) {
    options.engine.connections = CONNECTIONS;
    options.engine.arbitration.ramp_ms = 50;
    // A machine under load may hold a thread up for longer than an exchange would.
    options.engine.book.heal_window_ms = 3000;
}

fn merge(case: &'static Case, seed: u64, seconds: u32) {
    let mut s = Session::with(case, |config| config.seed = seed, redundant);
    s.until_live();
    s.until("every connection is up", |s| s.up() >= usize::from(CONNECTIONS));
    s.inject(json!({"kind": "drop"}), json!({}), json!({"times": 0, "probability": 0.01}));
    // So that now one of them is first and now another.
    s.inject(json!({"kind": "delay", "seconds": 0.0, "jitter_s": 0.4}), json!({}), json!({}));
    for subject in &case.subjects {
        // Rarer than a frame of a hundred on all three: otherwise seconds would not show it.
        for stream in [case.book_stream, case.trade_stream] {
            let target = json!({"stream": stream(subject.native)});
            let when = json!({"times": 0, "probability": 0.4, "after_s": seconds / 2, "for_s": 1.5});
            s.inject(json!({"kind": "drop"}), target, when);
        }
    }
    let cuts: Vec<u64> = (0..)
        .map(|n| 0.5 + f64::from(n) * CUT_EVERY)
        .take_while(|after| *after < f64::from(seconds))
        // Everything that was handed over arrives before the end.
        .map(|after| s.inject(json!({"kind": "disconnect", "how": "fin"}), json!({}), json!({ "after_s": after })))
        .collect();
    s.read_for(Duration::from_secs(seconds.into()));
    s.simulator.clear_faults();
    assert!(cuts.iter().filter(|cut| s.simulator.fault_fired(**cut) > 0).count() > 2, "connections are cut");
    s.until_live();
    for subject in &case.subjects {
        s.until_more("trades", subject, 2);
        s.until_more("l2", subject, 2);
    }
    assert!(s.compare() > 0, "some trades came on no connection");
    compare_with_the_carried(case, &s.simulator, &s.tables);
    let healed = s.tables.gaps.iter().filter(|gap| gap.repaired == "connection").count();
    assert!(healed > 0, "no hole was filled: {:?}", s.tables.gaps);
    s.assert_books_are_whole();
    s.stream.stop().unwrap();
}

/// Four addresses stand behind the name, one of them is slow: after its time the connection there is replaced by one to
/// the address that nobody has tried, alone, and nothing tells of it but the ledger.
pub fn a_slow_address_is_left_for_one_that_nobody_has_tried(case: &'static Case) {
    let slow = "127.0.0.1";
    let mut s = Session::with(
        case,
        |config| {
            config.addresses = (1..=4).map(|n| IpAddr::from([127, 0, 0, n])).collect();
            // Enough for a lane of trades alone to be sure of: a hundred common events within the time that scores keep.
            for symbol in &mut config.symbols {
                (symbol.trades_per_s, symbol.depth_changes_per_s) = (150.0, 200.0);
            }
            let delay = json!({"fault": {"kind": "delay", "seconds": 0.15}, "target": {"address": slow}});
            config.faults.push(serde_json::from_value(delay).unwrap());
        },
        |options| {
            redundant(options);
            options.engine.arbitration.dwell_s = Some(6);
        },
    );
    s.until_live();
    let wanted = usize::from(CONNECTIONS);
    s.until("every connection is up", |s| s.up() >= wanted);
    // Where the exchange parts its streams there is one of each family.
    let families = s.up().div_ceil(wanted);
    let standing = |s: &Session, ip: &str| {
        let there = |truth: &xtrader_simulator::Truth| {
            truth.connections().iter().filter(|c| c.address == ip && c.closed_ns.is_none()).count()
        };
        s.simulator.with_truth(there)
    };
    assert!(standing(&s, slow) > 0 && standing(&s, "127.0.0.4") == 0);
    s.until("the slow address is left", |s| standing(s, slow) == 0);
    assert!(standing(&s, "127.0.0.4") > 0, "what nobody knows is worth a try");
    let replaced = s.counter("/redundancy/replaced");
    assert!((1..=families as u64).contains(&replaced), "{replaced}: who is not slow stays");
    s.until("its row is there", |s| s.tables.ends.iter().any(|(ip, _)| ip == slow));
    let (_, reason) = s.tables.ends.iter().find(|(ip, _)| ip == slow).unwrap();
    assert!(reason.contains("the others are better"), "{reason}");
    s.until_more("l2", case.subject(), 3);
    s.until_more("trades", case.subject(), 1);
    assert_eq!(s.compare(), 0);
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
}

/// A connection whose time is over is replaced before it ends: no gap, nothing twice, nothing missing. Alone or beside
/// others.
// Fault: N18
pub fn a_planned_replacement_leaves_no_gap(case: &'static Case) {
    for connections in [1, CONNECTIONS] {
        let mut s = Session::with(
            case,
            |_| {},
            |options| {
                redundant(options);
                options.engine.connections = connections;
                options.engine.arbitration.max_age_s = Some(2);
            },
        );
        s.until_live();
        let wanted = 3 * usize::from(connections);
        s.until("each has been replaced twice", |s| {
            s.simulator.with_truth(|truth| truth.connections().iter().filter(|c| c.closed_ns.is_some()).count())
                >= wanted
        });
        s.until_more("l2", case.subject(), 3);
        s.until_more("trades", case.subject(), 1);
        assert_eq!(s.compare(), 0);
        assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
    }
}

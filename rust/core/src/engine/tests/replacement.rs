//! Planned changes leave no trace in the data; an exchange that wants fewer connections than we do gets its way.

use super::exchange::{Exchange, VENUES, symbol};
use crate::config::Stream;
use crate::engine::DownReason;
use crate::engine::jitter::Jitter;
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

const BOTH: [Stream; 2] = [Stream::Trades, Stream::L2];

fn ids(from: i64, to: i64) -> Vec<String> {
    (from..=to).map(|id| id.to_string()).collect()
}

// Fault: N18
#[test]
fn connections_that_would_be_cut_at_an_age_are_replaced_before_and_nothing_tells_it() {
    for venue in VENUES {
        for connections in [1, 3] {
            let mut exchange = Exchange::new(venue, &BOTH, |config| {
                config.connections = connections;
                config.arbitration.max_age_s = Some(50);
            });
            exchange.lifetime_ms = 60_000;
            exchange.run_ms(600_000, 250);
            assert_eq!(exchange.cut, 0, "{venue:?}: none was old enough to be cut");
            let replaced = exchange.redundancy("replaced");
            assert!(replaced >= 12 * u64::from(connections), "{venue:?}: {replaced}");
            assert_eq!(exchange.gaps(), [""; 0], "{venue:?}");
            let end = exchange.id;
            assert_eq!(exchange.trades(), ids(2, end), "{venue:?}");
            let books = exchange.world.rows(Table::L2, &["last_id"]);
            assert!(books.len() as i64 >= end - 2 && books.is_sorted_by_key(|id| id.parse::<i64>().ok()), "{venue:?}");
            assert_eq!(exchange.up(), usize::from(connections) * families(venue));
            let most = exchange.world.rows(Table::Raw, &["conn_id"]);
            let most = most.iter().filter_map(|id| id.parse::<usize>().ok()).max();
            assert!(most <= Some(2 * usize::from(connections) * families(venue)), "{venue:?}: numbers are used again");
        }
    }
}

/// Families of addresses that trades and books of a venue take.
fn families(venue: Venue) -> usize {
    if venue == Venue::BinanceFutures { 2 } else { 1 }
}

// Fault: N18
#[test]
fn an_old_connection_that_lags_stays_until_it_has_brought_what_the_new_one_lacks() {
    for venue in VENUES {
        for connections in [1, 3] {
            let mut exchange = Exchange::new(venue, &BOTH, |config| {
                config.connections = connections;
                config.arbitration.max_age_s = Some(50);
            });
            // Every second one lags, by more than trades are awaited.
            exchange.late_ms = |opened| 3_000 * (opened as u64 % 2);
            exchange.run_ms(300_000, 250);
            assert!(exchange.redundancy("replaced") >= 4 * u64::from(connections), "{venue:?}");
            let mut told: Vec<i64> = exchange.trades().iter().filter_map(|id| id.parse().ok()).collect();
            told.sort_unstable();
            // What the last seconds brought may still be on its way.
            let end = exchange.id - 13;
            told.retain(|id| *id <= end);
            assert_eq!(told, (told[0]..=end).collect::<Vec<i64>>(), "{venue:?} {connections}: each once");
        }
    }
}

// Fault: N18
#[test]
fn quiet_streams_are_handed_over_too() {
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |config| {
            config.arbitration.max_age_s = Some(100);
        });
        exchange.happens();
        exchange.run_ms(1_200_000, 400_000);
        assert!(exchange.redundancy("replaced") >= 11, "{venue:?}");
        assert_eq!(exchange.gaps(), [""; 0], "{venue:?}");
        assert_eq!(exchange.trades(), ids(2, 5), "{venue:?}");
    }
}

#[test]
fn no_two_of_a_lane_are_replaced_at_about_the_same_time() {
    let mut exchange = Exchange::new(Venue::BinanceSpot, &[Stream::Trades], |config| {
        config.connections = 3;
        config.arbitration.max_age_s = Some(3_600);
    });
    let mut times = Vec::new();
    for _ in 0..40_000 {
        let before = exchange.redundancy("replaced");
        exchange.run_ms(1_000, 1_000);
        let now = exchange.redundancy("replaced");
        assert!(now <= before + 1);
        times.extend((now > before).then_some(exchange.world.now.mono / 1_000_000_000));
    }
    assert!(times.len() >= 30, "{times:?}");
    let close = times.windows(2).filter(|pair| pair[1] - pair[0] < 30).count();
    assert!(close <= 1, "{times:?}");
    assert_eq!(exchange.gaps(), [""; 0]);
}

#[test]
fn one_that_does_not_come_to_carry_everything_is_given_up_and_the_old_one_stays() {
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |config| {
            config.arbitration.max_age_s = Some(100);
        });
        exchange.run_ms(75_000, 1_000);
        // Whoever comes from here on gets its grants and no trades.
        exchange.mute = (2..=9).map(ConnId).collect();
        exchange.run_ms(75_000, 1_000);
        assert_eq!(exchange.redundancy("replaced"), 0, "{venue:?}");
        let given_up = exchange.redundancy("replacements_given_up");
        assert!((1..=2).contains(&given_up), "{venue:?}: {given_up}");
        exchange.mute.clear();
        exchange.run_ms(120_000, 1_000);
        assert!(exchange.redundancy("replaced") >= 1, "{venue:?}: it is tried again");
        assert_eq!(exchange.gaps(), [""; 0], "{venue:?}");
        let end = exchange.id;
        assert_eq!(exchange.trades(), ids(2, end), "{venue:?}");
    }
}

#[test]
fn one_that_cannot_be_replaced_is_tried_less_and_less_often() {
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |config| {
            config.arbitration.max_age_s = Some(100);
        });
        exchange.mute = (2..=9).map(ConnId).collect();
        exchange.run_ms(7_200_000, 1_000);
        let given_up = exchange.redundancy("replacements_given_up");
        assert!((8..30).contains(&given_up), "{venue:?}: {given_up}");
    }
}

#[test]
fn who_dies_while_another_is_to_take_its_place_is_followed_by_that() {
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |config| {
            config.arbitration.max_age_s = Some(100);
        });
        while exchange.up() < 2 {
            exchange.run_ms(100, 100);
        }
        exchange.end(ConnId(1), DownReason::Reset);
        exchange.serve();
        let opened = exchange.opened;
        exchange.run_ms(60_000, 100);
        assert_eq!((exchange.opened, exchange.up()), (opened, 1), "{venue:?}");
        assert_eq!(exchange.gaps(), [""; 0], "{venue:?}");
        let end = exchange.id;
        assert_eq!(exchange.trades(), ids(2, end), "{venue:?}");
    }
}

#[test]
fn an_announced_end_of_all_is_left_before_it_comes() {
    for (venue, notice) in [
        (Venue::Okx, r#"{"event":"notice","code":"64008","msg":"soon","connId":"a4d3ae55"}"#),
        (Venue::BinanceSpot, r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#),
    ] {
        let mut exchange = Exchange::new(venue, &BOTH, |config| config.connections = 3);
        exchange.run_ms(20_000, 100);
        for conn in 1..=3 {
            exchange.world.frame(ConnId(conn), notice);
        }
        exchange.serve();
        exchange.run_ms(15_000, 100);
        assert_eq!(exchange.redundancy("replaced"), 3, "{venue:?}");
        assert!(exchange.lines.iter().all(|line| line.conn.0 > 3), "{venue:?}: {:?}", exchange.lines);
        assert_eq!(exchange.gaps(), [""; 0], "{venue:?}");
        let end = exchange.id;
        assert_eq!(exchange.trades(), ids(2, end), "{venue:?}");
    }
}

#[test]
fn without_a_place_for_both_the_old_one_goes_first_and_the_report_says_so() {
    let mut exchange = Exchange::new(Venue::Deribit, &[Stream::Trades], |config| {
        config.symbols = (0..501).map(|n| format!("X{n}_USDC")).chain(["BTC_USDC".into()]).collect();
        config.connections = 16;
        config.arbitration.max_age_s = Some(200);
    });
    for _ in 0..400 {
        exchange.run_ms(1_000, 1_000);
        assert!(exchange.up() <= 32, "Deribit takes no more");
    }
    assert!(exchange.redundancy("replaced_without_overlap") >= 32);
    assert_eq!(exchange.redundancy("replaced"), 0);
    assert_eq!(exchange.gaps(), [""; 0]);
    assert_eq!(exchange.trades().len() as i64, exchange.id - 1);
}

/// N06 for one of several connections: no REST request, no gap, no harm to the others.
// Fault: N06
#[test]
fn a_stream_that_comes_on_all_connections_but_one_is_asked_for_there_and_then_that_one_is_replaced() {
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |config| config.connections = 3);
        exchange.mute = vec![ConnId(2)];
        let ended = |exchange: &Exchange| -> Vec<u16> {
            let asked = exchange.asked.iter().filter(|(_, text)| text.to_lowercase().contains("unsubscribe"));
            asked.map(|(conn, _)| conn.0).collect()
        };
        while ended(&exchange).is_empty() && exchange.id < 200 {
            exchange.run_ms(1_000, 1_000);
        }
        assert_eq!((ended(&exchange), exchange.redundancy("streams_on_none")), (vec![2], 0), "{venue:?}");
        while exchange.redundancy("replaced") == 0 && exchange.id < 200 {
            exchange.run_ms(1_000, 1_000);
        }
        assert_eq!(exchange.redundancy("replaced"), 1, "{venue:?}: within a few deadlines");
        exchange.run_ms(200_000, 1_000);
        assert_eq!((ended(&exchange), exchange.redundancy("replaced")), (vec![2], 1), "{venue:?}");
        assert_eq!((exchange.up(), exchange.probes, exchange.gaps().len()), (3, 0, 0), "{venue:?}");
        assert!(exchange.lines.iter().all(|line| line.conn != ConnId(2)), "{venue:?}");
    }
}

/// Seldom events are no reason to call a connection mute because another was a moment faster.
#[test]
fn who_is_a_moment_later_with_a_seldom_event_is_not_mute() {
    let mut exchange = Exchange::new(Venue::BinanceSpot, &[Stream::Trades], |config| config.connections = 2);
    exchange.pass_ms(5_000);
    for _ in 0..500 {
        exchange.id += 1;
        let text = super::exchange::trade(exchange.venue, exchange.id);
        exchange.world.frame(ConnId(1), &text);
        exchange.pass_ms(31);
        exchange.world.frame(ConnId(2), &text);
        exchange.pass_ms(exchange.id as u64 * 3_777 % 70_000);
    }
    assert!(exchange.asked.iter().all(|(_, text)| !text.contains("UNSUBSCRIBE")));
    assert_eq!((exchange.redundancy("replaced"), exchange.gaps().len()), (0, 0));
}

// Fault: X25
#[test]
fn an_exchange_that_ends_the_older_of_our_connections_gets_its_way() {
    for venue in VENUES {
        for limit in [1, 2] {
            let mut exchange = Exchange::new(venue, &[Stream::Trades], |config| {
                config.connections = 3;
                config.arbitration.max_age_s = None;
            });
            exchange.limit = limit;
            exchange.run_ms(60_000, 100);
            let (opened, parked) = (exchange.opened, exchange.redundancy("parked"));
            assert!(opened <= 20, "{venue:?}: {opened}");
            assert_eq!((parked, exchange.up()), (3 - limit as u64, limit), "{venue:?}");
            let lane = &exchange.world.engine.lanes()[0];
            assert_eq!((lane.wanted, usize::from(lane.up), u64::from(lane.parked)), (3, limit, parked), "{venue:?}");
            assert_eq!(lane.on_one.len(), usize::from(limit == 1), "{venue:?}");
            // It is tried again, ever more seldom.
            exchange.run_ms(7_200_000, 1_000);
            assert!(exchange.opened - opened <= 45, "{venue:?}: {} in two hours", exchange.opened - opened);
            assert_eq!(exchange.gaps(), [""; 0], "{venue:?}");
            let end = exchange.id;
            assert_eq!(exchange.trades(), ids(2, end), "{venue:?}");
            // And when it allows more again, they come.
            exchange.limit = 3;
            exchange.run_ms(20_000_000, 60_000);
            assert_eq!((exchange.up(), exchange.redundancy("parked")), (3, 0), "{venue:?}");
        }
    }
}

/// Which of the connections ends and when is left to chance: about every 2.6 s, for ten minutes.
// Fault: X25
#[test]
fn cuts_by_chance_are_no_limit_however_frequent() {
    for connections in [2, 3, 4] {
        let mut parked = 0;
        for seed in 0..100 {
            let mut exchange = Exchange::new(Venue::BinanceFutures, &[Stream::Trades], |config| {
                config.connections = connections;
                config.seed = seed;
            });
            let mut chance = Jitter::new(seed);
            let end = exchange.world.now.mono + 600_000_000_000;
            let mut before = 0;
            while exchange.world.now.mono < end {
                exchange.pass_ms(100 + chance.below(5_000));
                if let Some(line) = exchange.lines.get(chance.below(u64::from(connections)) as usize) {
                    exchange.end(line.conn, DownReason::Closed);
                    exchange.serve();
                }
                let now = exchange.redundancy("parked");
                parked += now.saturating_sub(before);
                before = now;
            }
            assert!(exchange.cut == 0 && exchange.opened > 60, "{seed}: {}", exchange.opened);
        }
        assert!(parked <= 2, "{connections}: {parked} in 1000 minutes");
    }
}

#[test]
fn the_report_says_what_lives_on_one_connection_and_on_none() {
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |config| config.connections = 2);
        exchange.run_ms(5_000, 100);
        let told = |exchange: &Exchange| {
            let lane = &exchange.world.engine.lanes()[0];
            let states: Vec<&str> = lane.links.iter().map(|link| link.state).collect();
            (lane.up, states.join(" "), lane.on_one.len(), lane.on_none.len())
        };
        assert_eq!(told(&exchange), (2, "up up".into(), 0, 0), "{venue:?}");
        exchange.is_closed = true;
        exchange.end(ConnId(1), DownReason::Reset);
        assert_eq!(told(&exchange), (1, "down up".into(), 1, 0), "{venue:?}");
        let name = &exchange.world.engine.lanes()[0].on_one[0];
        assert!(name.ends_with(" trades") && name.contains(&symbol(venue)[..3]), "{name}");
        exchange.end(ConnId(2), DownReason::Reset);
        assert_eq!(told(&exchange), (0, "down down".into(), 0, 1), "{venue:?}");
        assert_eq!((exchange.redundancy("streams_on_none"), exchange.redundancy("wanted")), (1, 2));
    }
}

#[test]
fn nobody_lives_until_the_exchange_cuts_it_whatever_age_is_asked_for() {
    let mut exchange = Exchange::new(Venue::BinanceSpot, &[Stream::Trades], |config| {
        config.arbitration.max_age_s = Some(30 * 86_400);
    });
    exchange.lifetime_ms = 86_400_000;
    exchange.run_ms(3 * 86_400_000, 60_000);
    assert_eq!((exchange.cut, exchange.gaps()), (0, Vec::new()));
    assert!(exchange.redundancy("replaced") >= 3);
}

//! Quotes of several connections: each once, newer wins, and ids that fall are named and not taken for old ones.

use proptest::prelude::*;

use super::frames::T0;
use super::harness::{A, B, World};
use crate::engine::{DownReason, Input, Link};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

const C: ConnId = ConnId(3);

fn futures(id: i64, time: i64) -> String {
    let time = T0 + time;
    format!(
        r#"{{"stream":"btcusdt@bookTicker","data":{{"e":"bookTicker","u":{id},"s":"BTCUSDT","b":"100","B":"1.5","a":"101","A":"2","T":{time},"E":{time}}}}}"#
    )
}

/// Binance spot §5: no time.
fn spot(id: i64) -> String {
    format!(
        r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{id},"s":"BTCUSDT","b":"25.35","B":"31.21","a":"25.36","A":"40.66"}}}}"#
    )
}

/// Deribit §5: no id.
fn deribit(time: i64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"quote.BTC-PERPETUAL","data":{{"timestamp":{},"instrument_name":"BTC-PERPETUAL","best_ask_price":92288.5,"best_bid_price":92288.0,"best_ask_amount":99470.0,"best_bid_amount":133440.0}}}}}}"#,
        T0 + time
    )
}

fn ids(world: &mut World) -> Vec<i64> {
    world.rows(Table::Bbo, &["update_id"]).iter().map(|id| id.parse().expect("an id")).collect()
}

fn causes(world: &mut World) -> Vec<String> {
    world.rows(Table::Gaps, &["gap_id", "cause", "ts_resumed"]).iter().map(|row| first_two(row)).collect()
}

fn first_two(row: &str) -> String {
    row.split('|').take(2).collect::<Vec<_>>().join("|")
}

// Fault: X21
#[test]
fn what_lags_behind_a_fall_of_ids_is_known() {
    let mut world = World::replaying(2);
    let old: Vec<String> = (0..7).map(|step| futures(1_000 + step, step)).collect();
    let new: Vec<String> = (1..6).map(|step| futures(step, 10 + step)).collect();
    for (step, frame) in old.iter().chain(&new).enumerate() {
        world.frame(A, frame);
        // The other is five frames behind.
        if let Some(frame) = step.checked_sub(5).and_then(|behind| old.iter().chain(&new).nth(behind)) {
            world.frame(B, frame);
        }
        world.pass_ms(1);
    }
    for frame in &new[2..] {
        world.frame(B, frame);
    }
    assert_eq!(ids(&mut world), (1_000..1_007).chain(1..6).collect::<Vec<_>>());
    assert_eq!(causes(&mut world), ["1|id_reset"; 2]);
    world.frame(B, &futures(6, 20));
    world.frame(A, &futures(6, 20));
    assert_eq!(ids(&mut world)[12..], [6], "both are in the new epoch");
}

// Fault: X30
#[test]
fn quotes_whose_times_run_back_while_their_ids_rise_are_of_one_epoch() {
    let mut world = World::replaying(2);
    let quotes = [(10, 100), (11, 99), (12, 98), (13, 120), (14, 110)];
    for conn in [A, B] {
        for (id, time) in quotes {
            world.frame(conn, &futures(id, time));
            world.pass_ms(1);
        }
    }
    assert_eq!(ids(&mut world), [10, 11, 12, 13, 14]);
    assert!(causes(&mut world).is_empty());
    assert_eq!(world.count("/frames/ignored/older_quote") + world.count("/frames/duplicate"), 5);
}

// Fault: X02, X03
#[test]
fn an_old_quote_that_a_connection_repeats_is_no_fall_of_ids() {
    let mut world = World::replaying(1);
    for (id, time) in [(10, 100), (11, 101), (12, 102), (11, 101), (13, 103), (10, 100), (14, 104)] {
        world.frame(A, &futures(id, time));
        world.pass_ms(1);
    }
    assert_eq!(ids(&mut world), [10, 11, 12, 13, 14]);
    assert!(causes(&mut world).is_empty());

    let mut world = World::replaying_at(Venue::BinanceSpot, 1);
    for id in [10, 11, 12, 11, 13, 10, 14] {
        world.frame(A, &spot(id));
        world.pass_ms(700);
    }
    assert_eq!(ids(&mut world), [10, 11, 12, 13, 14]);
    assert!(causes(&mut world).is_empty());
}

// Fault: X02
#[test]
fn a_connection_that_comes_back_repeats_what_was_and_ids_have_not_fallen() {
    let mut world = World::replaying_at(Venue::BinanceSpot, 1);
    (100..=110).for_each(|id| world.frame(A, &spot(id)));
    world.down(A, DownReason::Reset);
    world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
    for id in 106..=112 {
        world.frame(A, &spot(id));
        world.pass_ms(1_100);
    }
    assert_eq!(ids(&mut world), (100..=112).collect::<Vec<_>>());
    assert_eq!(causes(&mut world), ["1|disconnect"; 2]);
}

// Fault: X03
#[test]
fn an_old_quote_without_a_time_that_is_repeated_over_and_over_is_no_fall_of_ids() {
    for venue in [Venue::BinanceSpot, Venue::Deribit] {
        let quote = |id| if venue == Venue::Deribit { deribit(id) } else { spot(id) };
        let mut world = World::replaying_at(venue, 2);
        for id in [90, 100] {
            world.frame(A, &quote(id));
            world.frame(B, &quote(id));
        }
        for _ in 0..5 {
            world.frame(A, &quote(90));
            world.pass_ms(1_100);
        }
        assert_eq!(world.rows(Table::Bbo, &["conn_id"]).len(), 2, "{venue:?}");
        assert!(causes(&mut world).is_empty());
    }
}

// Fault: X21
#[test]
fn ids_without_times_that_fall_and_stay_below_are_a_new_epoch() {
    for connections in [1, 2, 3] {
        let mut world = World::replaying_at(Venue::BinanceSpot, connections);
        for id in (1_000_000..1_000_005).chain(1..60) {
            for conn in 1..=connections {
                world.frame(ConnId(conn), &spot(id));
            }
            world.pass_ms(100);
        }
        // The first second might have been repetitions; the gap tells how long nothing was believed.
        assert_eq!(ids(&mut world), (1_000_000..1_000_005).chain(11..60).collect::<Vec<_>>());
        let spans = world.rows(Table::Gaps, &["cause", "ts_last_good", "ts_resumed"]);
        let told = |at: i64| (super::harness::NOON + at * 1_000_000).to_string();
        assert_eq!(spans[1..], [format!("id_reset|{}|{}", told(400), told(1_500))]);
    }
}

// Fault: X21
#[test]
fn without_times_what_lags_behind_a_fall_of_ids_is_known_and_one_that_goes_on_is_believed() {
    let mut world = World::replaying_at(Venue::BinanceSpot, 2);
    let frames: Vec<i64> = (5_000..5_020).chain(1..60).collect();
    for (step, id) in frames.iter().enumerate() {
        world.frame(A, &spot(*id));
        if let Some(behind) = step.checked_sub(8) {
            world.frame(B, &spot(frames[behind]));
        }
        world.pass_ms(250);
    }
    let taken = ids(&mut world);
    assert_eq!(taken, (5_000..5_020).chain(5..60).collect::<Vec<_>>(), "what B brings of before is known");
    assert_eq!(causes(&mut world), ["1|id_reset"; 2]);

    let mut world = World::replaying_at(Venue::BinanceSpot, 2);
    for step in 0..200 {
        world.frame(A, &spot(if step < 50 { 5_000 + step } else { step }));
        world.frame(B, &spot(5_000 + step));
        world.pass_ms(100);
    }
    assert_eq!(ids(&mut world), (5_000..5_200).collect::<Vec<_>>(), "one alone counts anew");
    assert!(causes(&mut world).is_empty());
}

// Fault: X21
#[test]
fn ids_that_fell_while_nobody_was_there_are_a_new_epoch() {
    let back = |world: &mut World, conn| {
        world.input(Input::ConnUp { conn, url: "", link: Link::default() });
    };
    let mut world = World::replaying(2);
    for conn in [A, B] {
        world.frame(conn, &futures(9_000, 0));
        world.down(conn, DownReason::Reset);
    }
    world.pass_ms(500);
    for id in 1..5 {
        for conn in [A, B] {
            back(&mut world, conn);
            world.frame(conn, &futures(id, 500 + id));
        }
    }
    assert_eq!(ids(&mut world), [9_000, 1, 2, 3, 4]);
    assert_eq!(causes(&mut world), ["1|disconnect"; 2], "one break is one gap");

    let mut world = World::replaying_at(Venue::BinanceSpot, 2);
    for conn in [A, B] {
        world.frame(conn, &spot(9_000));
        world.down(conn, DownReason::Reset);
    }
    for id in 1..100 {
        for conn in [A, B] {
            back(&mut world, conn);
            world.frame(conn, &spot(id));
        }
        world.pass_ms(1_000);
    }
    assert_eq!(ids(&mut world), std::iter::once(9_000).chain(61..100).collect::<Vec<_>>(), "no copy is so late");
    assert_eq!(causes(&mut world), ["1|disconnect"; 2]);
}

// Fault: X21
#[test]
fn a_connection_that_joins_around_a_fall_of_ids_is_on_the_side_that_its_time_tells() {
    let mut world = World::replaying(3);
    for (conn, id, time) in [(A, 1_000, 0), (A, 1_001, 5), (B, 1_000, 0), (A, 1, 20), (A, 2, 30)] {
        world.frame(conn, &futures(id, time));
    }
    for (id, time) in [(1_001, 5), (1, 20), (2, 30), (3, 40)] {
        world.frame(C, &futures(id, time));
    }
    world.frame(B, &futures(4, 50));
    world.frame(A, &futures(3, 40));
    assert_eq!(ids(&mut world), [1_000, 1_001, 1, 2, 3, 4]);
    assert_eq!(causes(&mut world), ["1|id_reset"; 2]);
}

// Fault: X30
#[test]
fn a_quote_dated_far_ahead_does_not_silence_those_that_follow() {
    let mut world = World::replaying_at(Venue::Deribit, 1);
    world.frame(A, &deribit(0));
    world.frame(A, &deribit(86_400_000));
    for step in 1..20 {
        world.pass_ms(100);
        world.frame(A, &deribit(100 * step));
    }
    assert_eq!(world.rows(Table::Bbo, &["conn_id"]).len(), 2 + 9);
    assert_eq!(causes(&mut world), ["1|id_reset"; 2]);
}

#[test]
fn ids_of_a_quote_that_proves_to_be_damaged_are_forgotten() {
    let mut world = World::replaying(1);
    world.frame(A, &futures(10, 0));
    world.frame(A, &futures(9_999_999, 5).replace(r#""b":"100""#, r#""b":"1x0""#));
    world.frame(A, &futures(11, 10));
    assert_eq!(ids(&mut world), [10, 11]);
    assert!(causes(&mut world).is_empty());
}

/// What an exchange sends: ids that rise and now and then fall, at times that run back by a little.
fn sent() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let epoch = (0..3_i64, prop::collection::vec((1..40_i64, 0..30_i64, -3..=3_i64), 1..30));
    prop::collection::vec(epoch, 1..4).prop_map(|epochs| {
        let (mut time, mut told) = (0, Vec::new());
        for (at, (begin, quotes)) in epochs.into_iter().enumerate() {
            // Each epoch begins lower than the one before, and behind its last time.
            let mut id = 10_000 * (4 - i64::try_from(at).unwrap_or_default()) + begin;
            time += 10;
            for (step, wait, jitter) in quotes {
                (id, time) = (id + step, time + wait);
                told.push((id, time + jitter));
            }
        }
        told
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Copies that lose nothing and lag however they may: the merged stream is what was sent.
    // Fault: X21, X30
    #[test]
    fn copies_make_what_was_sent_wherever_each_of_them_is_behind_a_fall(
        sent in sent(),
        lags in prop::collection::vec(0..400_i64, 1..4),
        jitters in prop::collection::vec(0..60_i64, 97),
    ) {
        let mut arrivals: Vec<(i64, u16, usize)> = Vec::new();
        for (conn, lag) in (1_u16..).zip(&lags) {
            let mut at = 0;
            for (step, (_, time)) in sent.iter().enumerate() {
                at = at.max(time + lag + jitters[(step * 7 + usize::from(conn) * 31) % jitters.len()]);
                arrivals.push((at, conn, step));
            }
        }
        arrivals.sort_by_key(|(at, conn, step)| (*at, *conn, *step));
        let mut world = World::replaying(u16::try_from(lags.len()).expect("few"));
        let mut now = 0;
        for (at, conn, step) in arrivals {
            world.pass_ms((at - now).unsigned_abs());
            now = at;
            world.frame(ConnId(conn), &futures(sent[step].0, sent[step].1));
        }
        let falls = sent.windows(2).filter(|pair| pair[1].0 < pair[0].0).count();
        prop_assert_eq!(ids(&mut world), sent.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        let told = world.rows(Table::Gaps, &["cause"]);
        prop_assert_eq!(told, vec!["id_reset".to_owned(); 2 * falls]);
    }
}

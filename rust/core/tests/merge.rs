//! Any stream, carried by impaired connections with losses, repetitions, delays, cuts of their own, reconnects and
//! resets, makes the trades and the books of the clean stream, through the engine and on every exchange. What no copy
//! brings in time is named, and nothing else.
//!
//! The tables are judged by models of this test: a naive book of levels, sets of ids, the overlap rule in ten lines.

#[path = "merge/carriage.rs"]
mod carriage;
#[path = "../src/engine/tests/cells.rs"]
#[allow(dead_code)]
mod cells;
#[path = "../src/engine/tests/fold.rs"]
mod fold;
#[path = "../src/engine/tests/frames.rs"]
#[allow(dead_code)]
mod frames;
#[path = "merge/judge.rs"]
mod judge;
#[path = "merge/reader.rs"]
mod reader;
#[path = "merge/stream.rs"]
mod stream;

use proptest::prelude::*;

use carriage::{Case, Copy, Fate, carry};
use stream::{Exchange, Tick};

fn exchange() -> impl Strategy<Value = Exchange> {
    prop::sample::select(Exchange::ALL.to_vec())
}

fn ticks() -> impl Strategy<Value = Vec<(u64, Tick)>> {
    let tick = prop_oneof![
        10 => (1i64..4, 0usize..8, 0u32..6).prop_map(|(by, level, size)| Tick::Change(by, level, size)),
        8 => (1i64..4).prop_map(Tick::Trade),
        1 => Just(Tick::KeepAlive),
        1 => Just(Tick::Reset),
        1 => Just(Tick::TradeReset),
    ];
    prop::collection::vec((1u64..60, tick), 4..90)
}

fn copy(reconnects: bool) -> impl Strategy<Value = Copy> {
    let fate = prop_oneof![
        12 => (0u64..30).prop_map(Fate::Pass),
        2 => (30u64..400).prop_map(Fate::Pass),
        2 => Just(Fate::Lose),
        1 => (0u64..30).prop_map(Fate::Twice),
    ];
    let outage = (100u64..2_500, 1u64..600);
    let outages = prop::collection::vec(outage, 0..if reconnects { 3 } else { 1 });
    (
        prop_oneof![8 => 0u64..120, 2 => 120u64..500, 1 => 500u64..6_000],
        prop::collection::vec(fate, 1..60),
        prop::collection::vec(1usize..4, 1..8),
        outages,
    )
        .prop_map(|(lag, fates, cuts, outages)| Copy { lag, fates, cuts, outages })
}

fn case(reconnects: bool, own_cuts: bool) -> impl Strategy<Value = Case> {
    (exchange(), ticks(), prop::collection::vec(copy(reconnects), 2..5)).prop_map(
        move |(exchange, ticks, mut copies)| {
            for copy in copies.iter_mut().filter(|_| !own_cuts) {
                copy.cuts = vec![1];
            }
            // Trades of before ids fell are told from those behind by who brings them, and not for so long.
            let trades_fall = ticks.iter().any(|(_, tick)| matches!(tick, Tick::TradeReset));
            for copy in copies.iter_mut().filter(|_| trades_fall) {
                copy.lag = copy.lag.min(500);
            }
            Case { exchange, ticks, copies }
        },
    )
}

/// So many cases of each property: seconds of them, or by `XTRADER_LONG_CASES` as many as wanted.
fn cases(many: u32) -> ProptestConfig {
    let wanted = std::env::var("XTRADER_LONG_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: wanted.unwrap_or(many),
        max_shrink_iters: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(160))]

    // Fault: N12, X01, X02, X03, X07
    #[test]
    fn copies_that_are_cut_alike_make_the_clean_stream(case in case(false, false)) {
        judge::all(&case, &carry(&case));
    }

    // Fault: X05, X28
    #[test]
    fn copies_that_are_cut_as_each_connection_likes_make_the_clean_stream(case in case(false, true)) {
        judge::all(&case, &carry(&case));
    }

    // Fault: N10, N11, X20
    #[test]
    fn connections_that_come_and_go_make_the_clean_stream(case in case(true, true)) {
        judge::all(&case, &carry(&case));
    }
}

/// Changes, one a millisecond, but for what happens at some of them, over connections that only lag and lose.
fn okx(changes: usize, but: &[(usize, Tick)], copies: [(u64, &[Fate]); 2]) -> Case {
    let tick = |n: usize| but.iter().find(|(at, _)| *at == n).map_or(Tick::Change(1, 0, 0), |(_, tick)| *tick);
    carried(Exchange::Okx, (0..changes).map(|n| (1, tick(n))).collect(), copies)
}

/// Over connections that only lag and lose.
fn carried<const N: usize>(exchange: Exchange, ticks: Vec<(u64, Tick)>, copies: [(u64, &[Fate]); N]) -> Case {
    let copy = |(lag, fates): (u64, &[Fate])| Copy { lag, fates: fates.to_vec(), cuts: vec![1], outages: Vec::new() };
    Case { exchange, ticks, copies: copies.map(copy).to_vec() }
}

const ON_TIME: Fate = Fate::Pass(0);

/// So many messages on time, and then another fate.
fn after(many: usize, fate: Fate) -> Vec<Fate> {
    [vec![ON_TIME; many], vec![fate]].concat()
}

#[test]
fn who_lags_behind_a_reset_and_has_left_something_out_heals_what_the_other_lost() {
    let slow = [after(7, Fate::Pass(157)), after(4, Fate::Lose), vec![ON_TIME; 7]].concat();
    let case = okx(21, &[(16, Tick::Reset)], [(0, &slow), (0, &after(17, Fate::Lose))]);
    judge::all(&case, &carry(&case));
}

#[test]
fn what_waits_behind_two_resets_is_taken_in_order() {
    let one = [after(2, Fate::Lose), after(9, Fate::Pass(9))].concat();
    let other = [Fate::Lose, ON_TIME, Fate::Twice(0), ON_TIME, Fate::Pass(19), Fate::Lose, ON_TIME, ON_TIME];
    let case = okx(41, &[(36, Tick::Reset), (38, Tick::Reset)], [(0, &one), (0, &other)]);
    judge::all(&case, &carry(&case));
}

#[test]
fn a_proof_of_life_that_is_lost_is_no_gap() {
    let slow = [after(9, Fate::Pass(251)), vec![ON_TIME; 5]].concat();
    let case = okx(26, &[(24, Tick::KeepAlive)], [(0, &after(24, Fate::Lose)), (0, &slow)]);
    judge::all(&case, &carry(&case));
}

// Fault: X05, X21
#[test]
fn trades_of_before_ids_fell_come_from_who_lags() {
    let mut ticks = vec![(30, Tick::Trade(2)); 46];
    ticks[41].1 = Tick::TradeReset;
    for exchange in Exchange::ALL {
        // The last trade of before, which nothing shows to be missing, and one further back.
        let fast = [after(36, Fate::Lose), after(3, Fate::Lose), vec![ON_TIME; 9]].concat();
        let case = carried(exchange, ticks.clone(), [(0, &fast), (200, &[ON_TIME])]);
        judge::all(&case, &carry(&case));
        // And one that nobody brings.
        let slow = [after(36, Fate::Lose), vec![ON_TIME; 9]].concat();
        let case = carried(exchange, ticks.clone(), [(0, &fast), (200, &slow)]);
        judge::all(&case, &carry(&case));
    }
}

// Fault: X05, X21
#[test]
fn a_book_that_lacks_something_when_its_ids_fall_comes_back() {
    let mut ticks = vec![(10, Tick::Change(1, 0, 3)); 40];
    ticks[20].1 = Tick::Reset;
    for exchange in Exchange::ALL {
        for lag in [0, 5, 100, 300] {
            let lost = [after(14, Fate::Lose), vec![ON_TIME; 30]].concat();
            let case = carried(exchange, ticks.clone(), [(0, &lost), (lag, &lost)]);
            judge::all(&case, &carry(&case));
        }
    }
}

#[test]
fn who_has_proved_the_book_alive_while_others_lagged_may_still_heal_it() {
    let waits = [8, 35, 35, 16, 31, 59, 39, 1, 40, 4, 49, 10, 18, 17, 1, 30, 45, 51, 47, 54, 23, 31];
    let tick = |n| match n {
        16 | 17 | 21 => Tick::KeepAlive,
        18 => Tick::Reset,
        _ => Tick::Change(1, 0, 0),
    };
    let ticks = std::iter::zip(waits, 0..).map(|(wait, n)| (wait, tick(n))).collect();
    let slow = [after(5, Fate::Pass(94)), vec![ON_TIME; 3]].concat();
    let fast = [after(7, Fate::Lose), after(0, Fate::Twice(5)), after(9, Fate::Pass(145))].concat();
    let mut case = carried(Exchange::Okx, ticks, [(240, &slow), (0, &fast)]);
    case.copies[0].outages = vec![(520, 126)];
    let joins = Copy { lag: 25, fates: vec![ON_TIME], cuts: vec![1], outages: vec![(167, 371)] };
    case.copies.push(joins);
    judge::all(&case, &carry(&case));
}

#[test]
fn what_is_held_says_more_exactly_what_is_missing_than_who_comes_last() {
    let ticks = vec![(10, Tick::Change(1, 0, 3)); 30];
    for exchange in Exchange::ALL {
        let one = [after(10, Fate::Lose), vec![ON_TIME; 30]].concat();
        let other = [after(10, Fate::Lose), after(0, Fate::Lose), after(0, Fate::Lose), vec![ON_TIME; 30]].concat();
        let case = carried(exchange, ticks.clone(), [(0, &one), (5, &other)]);
        judge::all(&case, &carry(&case));
    }
}

// Fault: X05, X21
#[test]
fn a_snapshot_behind_a_fall_is_where_the_others_get_to() {
    let mut ticks = vec![(1, Tick::Change(1, 0, 0)); 12];
    ticks[1].0 = 18;
    ticks[11].1 = Tick::Reset;
    for exchange in Exchange::ALL {
        let fast = [Fate::Lose, ON_TIME, ON_TIME];
        let mut case = carried(exchange, ticks.clone(), [(0, &fast), (0, &[Fate::Pass(251)])]);
        case.copies[0].outages = vec![(100, 1)];
        judge::all(&case, &carry(&case));
    }
}

// Fault: X05, X21
#[test]
fn a_snapshot_that_nothing_follows_since_ids_fell_does_not_stand() {
    let mut ticks = vec![(1, Tick::Change(1, 0, 0)); 18];
    ticks[15].1 = Tick::Reset;
    for exchange in Exchange::ALL {
        let mut case = carried(exchange, ticks.clone(), [(254, &[ON_TIME]), (339, &[ON_TIME])]);
        case.copies.iter_mut().for_each(|copy| copy.outages = vec![(100, 1)]);
        judge::all(&case, &carry(&case));
    }
}

// Fault: X05, X21
#[test]
fn what_waits_from_before_ids_fell_is_left_behind_where_the_book_is_further() {
    let mut ticks = vec![(50, Tick::Change(1, 0, 0)); 25];
    ticks[22].1 = Tick::Reset;
    for exchange in Exchange::ALL {
        let mut case = carried(exchange, ticks.clone(), [(0, &[ON_TIME]), (0, &[ON_TIME])]);
        case.copies[0].outages = vec![(934, 94), (1_121, 40)];
        case.copies[1].outages = vec![(1_018, 80)];
        judge::all(&case, &carry(&case));
    }
}

// Fault: X05, X21
#[test]
fn how_far_others_were_when_a_snapshot_came_nobody_knows() {
    let after = [
        39, 5, 52, 44, 46, 59, 37, 36, 15, 20, 1, 12, 14, 23, 24, 48, 33, 6, 12, 27, 43, 5, 49, 10, 40, 48, 54, 52, 7,
        19, 35, 24, 10, 27, 41, 34,
    ];
    let mut ticks: Vec<(u64, Tick)> = after.into_iter().map(|ms| (ms, Tick::Change(1, 0, 0))).collect();
    ticks[1].1 = Tick::TradeReset;
    (ticks[27].1, ticks[31].1, ticks[32].1) = (Tick::Trade(1), Tick::Trade(1), Tick::Reset);
    for exchange in Exchange::ALL {
        let mut slow = [ON_TIME; 30];
        (slow[16], slow[18], slow[22], slow[29]) = (Fate::Lose, Fate::Pass(96), Fate::Pass(5), Fate::Lose);
        let slower = [Fate::Pass(1), ON_TIME, ON_TIME, ON_TIME, ON_TIME];
        let fast = [ON_TIME, ON_TIME, Fate::Lose, ON_TIME, ON_TIME, ON_TIME, ON_TIME];
        let mut case = carried(exchange, ticks.clone(), [(298, &slow), (460, &slower), (0, &fast)]);
        let outages = [vec![(162, 122)], vec![(604, 200), (278, 42)], vec![(668, 249)]];
        case.copies.iter_mut().zip(outages).for_each(|(copy, outages)| copy.outages = outages);
        judge::all(&case, &carry(&case));
    }
}

// Fault: X05, X21
#[test]
fn of_a_time_between_two_falls_only_who_lags_has_seen_anything() {
    let mut ticks = vec![(50, Tick::Trade(1)); 60];
    (ticks[20].1, ticks[41].1) = (Tick::TradeReset, Tick::TradeReset);
    for exchange in Exchange::ALL {
        let mut case = carried(exchange, ticks.clone(), [(400, &[ON_TIME]), (0, &[ON_TIME])]);
        case.copies[0].outages = vec![(1_100, 800)];
        case.copies[1].outages = vec![(990, 1_070)];
        judge::all(&case, &carry(&case));
    }
}

/// The same over and over, as long as one likes: `XTRADER_LONG_CASES=100000 cargo test -- --ignored`.
#[test]
#[ignore = "takes minutes: make test-long"]
fn any_number_of_copies_in_any_state() {
    let mut runner = proptest::test_runner::TestRunner::new(cases(80_000));
    let any = (any::<bool>(), any::<bool>()).prop_flat_map(|(reconnects, own_cuts)| case(reconnects, own_cuts));
    let checked = runner.run(&any, |case| {
        judge::all(&case, &carry(&case));
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}

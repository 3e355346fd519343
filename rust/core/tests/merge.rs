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
#[path = "../src/engine/tests/frames.rs"]
#[allow(dead_code)]
mod frames;
#[path = "merge/judge.rs"]
mod judge;
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
        prop_oneof![4 => 0u64..120, 1 => 120u64..500],
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
            Case { exchange, ticks, copies }
        },
    )
}

/// So many cases of each property: seconds of them, or by `XTRADER_LONG_CASES` as many as wanted.
fn cases() -> ProptestConfig {
    let many = std::env::var("XTRADER_LONG_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(160);
    ProptestConfig { cases: many, max_shrink_iters: 3_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

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
    let copy = |(lag, fates): (u64, &[Fate])| Copy { lag, fates: fates.to_vec(), cuts: vec![1], outages: Vec::new() };
    Case {
        exchange: Exchange::Okx,
        ticks: (0..changes).map(|n| (1, tick(n))).collect(),
        copies: copies.map(copy).to_vec(),
    }
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

/// The same over and over, as long as one likes: `XTRADER_LONG_CASES=100000 cargo test -- --ignored`.
#[test]
#[ignore = "takes minutes: make test-long"]
fn any_number_of_copies_in_any_state() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 20_000, ..cases() });
    let any = (any::<bool>(), any::<bool>()).prop_flat_map(|(reconnects, own_cuts)| case(reconnects, own_cuts));
    let checked = runner.run(&any, |case| {
        judge::all(&case, &carry(&case));
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}

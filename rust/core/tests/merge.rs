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

fn case(reconnects: bool, own_cuts: bool, ids_fall: bool) -> impl Strategy<Value = Case> {
    (exchange(), ticks(), prop::collection::vec(copy(reconnects), 2..5)).prop_map(
        move |(exchange, mut ticks, mut copies)| {
            ticks.retain(|(_, tick)| ids_fall || matches!(tick, Tick::Change(..) | Tick::Trade(_)));
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
    fn copies_that_are_cut_alike_make_the_clean_stream(case in case(false, false, false)) {
        judge::all(&case, &carry(&case));
    }

    // Fault: X05, X28
    #[test]
    fn copies_that_are_cut_as_each_connection_likes_make_the_clean_stream(case in case(false, true, false)) {
        judge::all(&case, &carry(&case));
    }

    // Fault: N10, N11, X20
    #[test]
    fn connections_that_come_and_go_make_the_clean_stream(case in case(true, true, false)) {
        judge::all(&case, &carry(&case));
    }
}

/// The same over and over, as long as one likes: `XTRADER_LONG_CASES=100000 cargo test -- --ignored`.
#[test]
#[ignore = "takes minutes: make test-long"]
fn any_number_of_copies_in_any_state() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 20_000, ..cases() });
    let any = (any::<bool>(), any::<bool>()).prop_flat_map(|(reconnects, own_cuts)| case(reconnects, own_cuts, true));
    let checked = runner.run(&any, |case| {
        judge::all(&case, &carry(&case));
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}

//! Faults of all kinds at once, drawn by a seed: how many connections, which kinds, when, on whom. A seed that fails
//! becomes one of [`SEEDS`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::{Value, json};
use xtrader_core::exchange::{Protocol, with_protocol};

use crate::case::Case;
use crate::draw::Draw;
use crate::session::Session;

/// Run each time. A new one goes to the end, with a word on what it showed. 304: a hole that is awaited for two seconds
/// is not named before. 1795413944: what an exchange sends again may be of before the first trade that came.
const SEEDS: [u64; 4] = [1, 2, 304, 1_795_413_944];
/// Faults of one run.
const FAULTS: usize = 12;
/// Seconds of one run.
const SECONDS: u64 = 6;

/// The seeds that are known.
pub fn every_known_seed_is_survived(case: &'static Case) {
    for seed in SEEDS {
        survive(case, seed);
    }
}

/// Seeds that nobody has tried: as many as fit into some minutes, from `XTRADER_SEED` on, or from the clock.
pub fn new_seeds_are_survived(case: &'static Case) {
    let given = std::env::var("XTRADER_SEED").ok().and_then(|text| text.parse().ok());
    let clock = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let first: u64 = given.unwrap_or(clock);
    for seed in first..first + 15 {
        survive(case, seed);
    }
}

fn survive(case: &'static Case, seed: u64) {
    let mut draw = Draw(seed);
    let connections = u16::try_from(1 + draw.below(3)).unwrap();
    let heal_window_ms = draw.one_of(&[50, 250, 2000]);
    let mut s = Session::with(
        case,
        |config| config.seed = seed,
        |options| {
            let engine = &mut options.engine;
            engine.seed = seed;
            engine.connections = connections;
            engine.arbitration.ramp_ms = 20;
            engine.book.heal_window_ms = heal_window_ms;
            engine.deadlines.first_data_ms = 2000;
            engine.deadlines.silence_ms = 1500;
            engine.deadlines.ack_ms = 2000;
            options.net.assembly_ms = 1000;
        },
    );
    s.until_live();
    let faults: Vec<Value> = (0..FAULTS).map(|_| fault(case, &mut draw, connections)).collect();
    for fault in &faults {
        s.inject(fault["fault"].clone(), fault["target"].clone(), fault["when"].clone());
    }
    s.read_for(Duration::from_secs(SECONDS));
    s.simulator.clear_faults();
    let told = format!("seed {seed}, {connections} connections, {faults:#?}");
    s.until(&format!("every stream comes back ({told})"), |s| case.subjects.iter().all(|subject| s.is_live(subject)));
    for subject in &case.subjects {
        s.until_more("trades", subject, 2);
        s.until_more("l2", subject, 2);
    }
    let compared = catch_unwind(AssertUnwindSafe(|| s.compare()));
    assert!(compared.is_ok(), "XTRADER_SEED={seed} ({told})");
    s.assert_books_are_whole();
    s.stream.stop().unwrap();
}

/// One fault. None of them changes what an exchange says: that nobody could see without a checksum.
fn fault(case: &Case, draw: &mut Draw, connections: u16) -> Value {
    let subject = &case.subjects[draw.below(case.subjects.len())];
    let streams = [(case.book_stream)(subject.native), (case.trade_stream)(subject.native)];
    let stream = json!({"stream": draw.one_of(&streams)});
    let after = draw.within(0.0, SECONDS as f64 - 1.5);
    let once = json!({"after_s": after});
    let some =
        json!({"after_s": after, "for_s": draw.within(0.2, 1.5), "times": 0, "probability": draw.within(0.02, 0.5)});
    let connection = json!({"connection": draw.below(2 * usize::from(connections))});
    let anybody = draw.one_of(&[json!({}), connection, json!({"family": case.family})]);
    let ends = json!(draw.one_of(&["reset", "fin"]));
    let snapshots = with_protocol!(case.venue, P => P::SYNC).snapshot;
    let by_rest = snapshots == xtrader_core::exchange::SnapshotSource::Rest;
    let (fault, target, when) = match draw.below(if by_rest { 20 } else { 17 }) {
        0 | 1 => (json!({"kind": "drop"}), stream, some),
        2 => (json!({"kind": "drop"}), anybody, some),
        3 => (json!({"kind": "duplicate"}), anybody, some),
        4 => (json!({"kind": "swap"}), stream, some),
        5 => (json!({"kind": "stale", "back": 1 + draw.below(20)}), stream, some),
        6 => {
            let (seconds, jitter) = (draw.within(0.0, 0.2), draw.within(0.0, 0.3));
            (
                json!({"kind": "delay", "seconds": seconds, "jitter_s": jitter}),
                anybody,
                json!({"after_s": after, "for_s": 1.5}),
            )
        }
        7 => {
            let how = draw.one_of(&["truncated", "empty", "not_json", "invalid_utf8", "two_documents"]);
            (json!({"kind": "malformed", "how": how}), anybody, some)
        }
        8 => (json!({"kind": "fragment", "parts": 2 + draw.below(5), "pings": draw.below(2) == 0}), anybody, some),
        9 | 10 => (json!({"kind": "disconnect", "how": ends}), anybody, once),
        11 => (json!({"kind": "disconnect", "how": ends, "at_byte": draw.below(200)}), anybody, once),
        12 => (json!({"kind": "close", "code": draw.one_of(&[1000, 1001, 1006, 1008, 1011, 1013])}), anybody, once),
        13 => (json!({"kind": "half_open"}), anybody, once),
        14 => (json!({"kind": "silence"}), stream, json!({"after_s": after, "for_s": 1.0})),
        15 => {
            (json!({"kind": "refuse_upgrade", "status": draw.one_of(&[429, 503]), "retry_after_s": 1}), json!({}), once)
        }
        16 => (json!({"kind": "shutdown"}), anybody, once),
        17 => (
            json!({"kind": "rest_status", "status": draw.one_of(&[429, 500, 503]), "retry_after_s": 1}),
            json!({}),
            some,
        ),
        18 => (json!({"kind": "rest_slow", "seconds": draw.within(0.1, 1.0)}), json!({}), some),
        _ => (json!({"kind": "stale_snapshot", "age_s": draw.within(0.1, 2.0)}), json!({}), some),
    };
    json!({"fault": fault, "target": target, "when": when})
}

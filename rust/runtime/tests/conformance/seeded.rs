//! Faults drawn by seed, on every stream at once: whatever strikes, the books are the exchange's at every row and each
//! trade is in the table or in a gap.

use std::time::Duration;

use serde_json::{Value, json};

use crate::case::Case;
use crate::draw::Draw;
use crate::session::Session;

/// A few seconds.
pub fn books_and_trades_survive_seconds_of_faults(case: &'static Case) {
    survive(case, 7, 8);
}

/// A few minutes.
pub fn books_and_trades_survive_minutes_of_faults(case: &'static Case) {
    survive(case, 11, 180);
}

fn survive(case: &'static Case, seed: u64, seconds: usize) {
    let mut s = Session::with(case, |config| config.seed = seed, |_| {});
    s.until_live();
    let faults: Vec<u64> =
        plans(case, seed, seconds).into_iter().map(|(fault, target, when)| s.inject(fault, target, when)).collect();
    s.read_for(Duration::from_secs(seconds as u64));
    s.simulator.clear_faults();
    s.until("every stream has come back", |s| case.subjects.iter().all(|subject| s.is_live(subject)));
    for subject in &case.subjects {
        s.until_more("trades", subject, 2);
        s.until_more("l2", subject, 2);
    }
    assert!(s.compare() > 0, "trades were lost");
    let never: Vec<_> = faults.iter().filter(|fault| s.simulator.fault_fired(**fault) == 0).collect();
    assert!(never.is_empty(), "these never struck: {never:?}");
    for subject in &case.subjects {
        let gaps: Vec<_> = s.tables.gaps_of("l2", subject.key).collect();
        assert!(gaps.iter().any(|gap| gap.cause == "missed") && gaps.iter().any(|gap| gap.cause == "disconnect"));
        assert_eq!(gaps.iter().filter(|gap| gap.is_closed).count() * 2, gaps.len(), "{gaps:?}");
    }
}

/// What strikes whom and when. A snapshot costs weight and requests: as few as the narrowest exchange has in a minute.
fn plans(case: &Case, seed: u64, seconds: usize) -> Vec<(Value, Value, Value)> {
    let mut draw = Draw(seed);
    let mut plans = vec![
        (json!({"kind": "delay", "seconds": 0.01, "jitter_s": 0.1}), json!({}), json!({})),
        (json!({"kind": "duplicate"}), json!({}), json!({"times": 0, "probability": 0.02})),
    ];
    let rounds = (seconds / 30).max(1);
    for round in 0..rounds {
        let mut after =
            |share: usize| json!({"after_s": round * (seconds / rounds) + draw.below(seconds / rounds * share / 10)});
        for subject in &case.subjects {
            let (book, trades) = ((case.book_stream)(subject.native), (case.trade_stream)(subject.native));
            plans.push((json!({"kind": "drop"}), json!({"stream": book}), after(7)));
            let truncated = json!({"kind": "malformed", "how": "truncated"});
            plans.push((truncated, json!({"stream": trades}), after(7)));
            let mut some = after(3);
            some["times"] = 3.into();
            some["probability"] = 0.3.into();
            plans.push((json!({"kind": "drop"}), json!({"stream": trades}), some));
        }
        let cut = json!({"kind": "disconnect", "how": "reset", "at_byte": draw.below(60)});
        plans.push((
            cut,
            json!({"family": case.family}),
            json!({"after_s": round * (seconds / rounds) + draw.below(3)}),
        ));
    }
    plans
}

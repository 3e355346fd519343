//! Streams: silent, refused, broken, of nobody's asking.

use std::time::Duration;

use serde_json::{Value, json};
use xtrader_core::config::Stream;
use xtrader_core::engine::Command;

use crate::case::Case;
use crate::session::Session;

/// A stream that was granted and never spoke is named when its deadline has passed, asked for anew, and comes when it
/// comes; nobody else notices.
// Fault: X17
pub fn a_stream_that_never_speaks_is_named(case: &'static Case) {
    let (key, stream) = (case.subject().key, (case.book_stream)(case.subject().native));
    let mute = json!({"fault": {"kind": "silence"}, "target": {"stream": stream}});
    let mut s = Session::with(
        case,
        |config| config.faults = vec![serde_json::from_value(mute).unwrap()],
        |options| {
            options.engine.deadlines.first_data_ms = 1000;
            options.engine.deadlines.stream_silence_ms = 1000;
        },
    );
    s.until("silence is named", |s| s.tables.gaps_of("l2", key).any(|gap| gap.cause == "silence"));
    assert!(s.is_live(case.bystander()));
    assert_eq!(s.tables.count("l2", key), 0);
    s.simulator.remove_fault(0);
    s.until("the gap is closed", |s| s.tables.gaps_of("l2", key).any(|gap| gap.is_closed));
    s.until_live();
    s.until_more("l2", case.subject(), 3);
    s.compare();
    assert!(s.tables.gaps.iter().all(|gap| gap.key.name == key), "{:?}", s.tables.gaps);
}

/// A subscription that the exchange never answers is not believed in, though its data come: when the time of the answer is
/// over its connection is given up, and the next one, which is answered, carries everything; nobody else notices.
// Fault: N07
pub fn a_subscription_that_is_never_answered_is_made_anew(case: &'static Case) {
    let ack_ms = 3000;
    let unanswered = json!({"fault": {"kind": "unanswered"}, "target": {"family": case.family}});
    let mut s = Session::with(
        case,
        |config| config.faults = vec![serde_json::from_value(unanswered).unwrap()],
        |options| options.engine.deadlines.ack_ms = ack_ms,
    );
    s.until("its connection is given up", |s| s.counter("/disconnects") > 0);
    s.until_live();
    for subject in &case.subjects {
        s.until_more("l2", subject, 3);
        s.until_more("trades", subject, 3);
    }
    s.compare();
    s.simulator.with_truth(|truth| {
        let ended: Vec<_> = truth.connections().into_iter().filter(|c| c.closed_ns.is_some()).collect();
        let [ended] = &ended[..] else { panic!("{ended:?}") };
        assert_eq!(ended.family, case.family);
        assert!(ended.closed_ns.unwrap() - ended.opened_ns >= ack_ms * 1_000_000, "its time was not over: {ended:?}");
    });
    s.assert_books_are_whole();
    assert!(s.tables.gaps.iter().all(|gap| gap.cause == "silence"), "{:?}", s.tables.gaps);
    assert_eq!((s.counter("/disconnects"), s.counter("/refused_channels")), (1, 0));
}

/// What the exchange refuses, or silently leaves out, is counted and named; the others run on.
// Fault: X17
pub fn a_refused_stream_is_named_and_the_others_run_on(case: &'static Case) {
    refuse(case, json!([]));
}

/// So it is where the exchange does not say which request it refuses: that is found out, and not asked for ever.
// Fault: X17
pub fn a_refusal_that_does_not_say_of_what_costs_no_other(case: &'static Case) {
    refuse(case, json!([{"fault": {"kind": "nameless_errors"}}]));
}

fn refuse(case: &'static Case, faults: Value) {
    let mut s = Session::with(case, |config| config.faults = serde_json::from_value(faults).unwrap(), |_| {});
    s.until_live();
    let (key, bystander) = (case.subject().key, case.bystander().key);
    s.inject(json!({"kind": "delist"}), json!({"symbol": case.subject().native}), json!({}));
    s.inject(json!({"kind": "disconnect"}), json!({"family": case.family}), json!({}));
    s.until("the book of the other one is back", |s| s.tables.gaps_of("l2", bystander).any(|gap| gap.is_closed));
    if case.refuses {
        s.until("the refusal is counted", |s| s.counter("/refused_channels") >= 3);
    }
    s.until_more("trades", case.bystander(), 3);
    s.until_more("l2", case.bystander(), 3);
    assert!(s.is_live(case.bystander()) && !s.is_live(case.subject()));
    if case.refuses {
        // The reference data say why, and it ends.
        s.until("its gap has ended with it", |s| s.tables.gaps_of("l2", key).any(|gap| gap.is_closed));
    }
    let open: Vec<bool> = s.tables.gaps_of("l2", key).map(|gap| !gap.is_closed).collect();
    assert_eq!(open, if case.refuses { vec![true, false] } else { vec![true] });
    let opened = s.simulator.with_truth(|truth| truth.connections().len());
    s.read_for(Duration::from_secs(2));
    assert_eq!(s.simulator.with_truth(|truth| truth.connections().len()), opened, "no connection comes and goes");
}

/// A stream of states that should speak and does not is named by the exchange's own word how often it does, whatever else
/// comes; nobody else notices.
// Fault: X17
pub fn a_stream_of_states_that_should_speak_is_missed(case: &'static Case) {
    for (stream, channel) in case.spoken {
        let (subject, table) = (case.subject(), stream.name());
        let mute = json!({"fault": {"kind": "silence"}, "target": {"stream": channel(subject.native)}});
        let mut s = Session::with(
            case,
            |config| config.faults = vec![serde_json::from_value(mute).unwrap()],
            |options| {
                options.engine.streams = vec![Stream::Trades, *stream];
                options.engine.deadlines.first_data_ms = 1000;
                options.engine.deadlines.stream_silence_ms = 1000;
            },
        );
        s.until("silence is named", |s| s.tables.gaps_of(table, subject.key).any(|gap| gap.cause == "silence"));
        s.until_more("trades", subject, 1);
        s.simulator.remove_fault(0);
        s.until("the gap is closed", |s| s.tables.gaps_of(table, subject.key).any(|gap| gap.is_closed));
        s.until_more(table, subject, 3);
        let (named, closed): (Vec<_>, Vec<_>) = s.tables.gaps.iter().partition(|gap| !gap.is_closed);
        assert!((named.len(), closed.len()) == (1, 1), "{:?}", s.tables.gaps);
        assert_eq!(s.counter("/refused_channels"), 0);
    }
}

/// What is asked for no more is ended at the exchange too: it sends nothing more of it, nothing is missing, and asked for
/// again it begins anew.
pub fn what_is_asked_for_no_more_is_ended(case: &'static Case) {
    let subject = case.subject();
    let name = format!("{}:{}", case.venue.id(), subject.native);
    let mut s = Session::with(case, |_| {}, |options| options.engine.symbols[0].clone_from(&name));
    s.until_live();
    s.stream.command(&Command::Remove(vec![name.clone()])).unwrap();
    s.until_more("l2", case.bystander(), 3);
    // What was on its way when it was ended is counted, and no row.
    s.read_for(Duration::from_secs(1));
    let (rows, late) = (s.tables.count("l2", subject.key), s.counter("/frames/ignored/ended"));
    s.until_more("l2", case.bystander(), 20);
    s.until_more("trades", case.bystander(), 3);
    assert_eq!((s.tables.count("l2", subject.key), s.counter("/frames/ignored/ended")), (rows, late));
    s.stream.command(&Command::Add(vec![name])).unwrap();
    s.until("its book is live again", |s| s.is_live(subject));
    s.until_more("l2", subject, 3);
    assert!(s.is_live(case.bystander()));
    assert!(s.tables.gaps.iter().all(|gap| gap.stream == "trades"), "{:?}", s.tables.gaps);
}

/// Once it has run, a stream of which all is refused does not fail: that is said, and what is listed no more ends as it
/// would beside others.
// Fault: X17
pub fn a_stream_of_which_all_is_refused_goes_on(case: &'static Case) {
    let mut s = Session::with(case, |_| {}, |options| options.engine.symbols.truncate(1));
    let subject = case.subject();
    s.until("its book is live", |s| s.is_live(subject));
    s.inject(json!({"kind": "delist"}), json!({"symbol": subject.native}), json!({}));
    s.inject(json!({"kind": "disconnect"}), json!({"family": case.family}), json!({}));
    if case.refuses {
        s.until("its gap has ended with it", |s| s.tables.gaps_of("l2", subject.key).any(|gap| gap.is_closed));
        let said = s.warnings.first().unwrap();
        assert!(said.starts_with(&format!("{} refuses ", case.venue.id())), "{:?}", s.warnings);
    } else {
        s.until("its gap is open", |s| s.tables.gaps_of("l2", subject.key).any(|gap| !gap.is_closed));
    }
    s.read_for(Duration::from_secs(2));
}

/// An exchange that has no time, at the very start or later, is waited for: nothing is refused, and nothing fails.
// Fault: X17
pub fn an_exchange_that_has_no_time_is_waited_for(case: &'static Case) {
    let fault = || serde_json::from_str::<Value>(case.has_no_time).unwrap();
    let plan = json!({"fault": fault(), "target": {"family": case.family}});
    let mut s = Session::with(case, |config| config.faults = vec![serde_json::from_value(plan).unwrap()], |_| {});
    s.until_live();
    let later = s.inject(fault(), json!({"family": case.family}), json!({}));
    s.inject(json!({"kind": "disconnect"}), json!({"family": case.family}), json!({}));
    s.until_struck(later);
    s.until("the book has a gap that is over", |s| s.tables.gaps_of("l2", case.subject().key).any(|gap| gap.is_closed));
    s.until_live();
    s.until_more("trades", case.subject(), 3);
    s.until_more("trades", case.bystander(), 3);
    s.compare();
    assert_eq!((s.counter("/refused_channels"), &s.warnings[..]), (0, &[][..]));
}

/// Data of an instrument that nobody asked for are counted, and become no row.
// Fault: X18, B11
pub fn an_alien_instrument_is_counted_and_left_out(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    let stream = (case.book_stream)(case.subject().native);
    let how = json!({"text": {"text": case.alien}});
    let fault = json!({"kind": "malformed", "how": how, "before": true});
    s.inject(fault, json!({"stream": stream}), json!({"times": 5}));
    s.until("they are counted", |s| s.counter("/frames/ignored/unsolicited") >= 5);
    s.until_more("l2", case.subject(), 3);
    assert_eq!(s.compare(), 0);
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
    assert!(!s.tables.rows.keys().any(|(_, name)| name.contains("ALIEN")), "{:?}", s.tables.rows.keys());
}

/// A frame that cannot be read is in one counter with its reason, and costs no other.
pub fn a_malformed_frame_costs_only_itself(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    let stream = (case.book_stream)(case.subject().native);
    let wrong = [
        (json!("truncated"), "json"),
        (json!("empty"), "json"),
        (json!("not_json"), "json"),
        (json!("trailing_bytes"), "json"),
        (json!("invalid_utf8"), "utf8"),
        (json!({"deep_nesting": {"depth": 1000}}), "depth"),
    ];
    for (how, reason) in wrong {
        let path = format!("/frames/rejected/{reason}");
        let before = s.counter(&path);
        let fault = json!({"kind": "malformed", "how": how, "before": true});
        s.inject(fault, json!({"stream": stream}), json!({}));
        s.until(&format!("{how} is counted as {reason}"), |s| s.counter(&path) > before);
    }
    s.until_more("l2", case.subject(), 3);
    assert_eq!(s.compare(), 0);
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
    assert_eq!(s.report()["counters"]["frames"]["rejected"].as_object().map(|r| r.len()), Some(3));
}

/// A lost trade is one gap that says which, before the trade that shows it.
// Fault: X01
pub fn lost_trades_are_named_one_by_one(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    let (key, stream) = (case.subject().key, (case.trade_stream)(case.subject().native));
    s.inject(json!({"kind": "drop"}), json!({"stream": stream}), json!({}));
    s.until("the gap is named", |s| s.tables.gaps_of("trades", key).any(|gap| gap.is_closed));
    s.until_more("trades", case.subject(), 3);
    assert!(s.compare() > 0);
    let gap = &s.tables.gaps[0];
    let (first, last) = gap.ids.unwrap();
    assert_eq!((&*gap.cause, &*gap.evidence, gap.missing), ("missed", "sequence", Some(last - first + 1)));
    let next = s.tables.trades.iter().find(|row| row.key.name == key && row.key.place > gap.key.place).unwrap();
    assert_eq!((case.trade_ids)(next).0, last + 1);
    assert_eq!(s.tables.gaps.len(), 2, "nobody else: {:?}", s.tables.gaps);
}

//! Books: what breaks one, how it is named, and how it comes back.

use serde_json::{Value, json};

use crate::case::{Case, Snapshots};
use crate::session::Session;
use crate::truth::Depth;

/// A change that never came is named before the book's next row, costs nobody else anything, and the book begins anew
/// from a fresh snapshot on the same connection.
// Fault: X01, X07
pub fn a_lost_change_is_a_gap_and_a_resync(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    let (key, stream) = (case.subject().key, (case.book_stream)(case.subject().native));
    let asked = |s: &Session| match case.snapshots {
        Snapshots::Rest(path) => s.simulator.with_truth(|truth| {
            truth.requests().iter().filter(|r| r.path.contains(path) && r.path.contains(case.subject().native)).count()
        }) as u64,
        Snapshots::Channel => s.simulator.with_truth(|truth| truth.connections().iter().map(|c| c.messages).sum()),
    };
    let (before, connections) = (asked(&s), s.simulator.with_truth(|truth| truth.connections().len()));
    s.inject(json!({"kind": "drop"}), json!({"stream": stream}), json!({}));
    s.until("the gap is closed", |s| s.tables.gaps_of("l2", key).any(|gap| gap.is_closed));
    s.until_more("l2", case.subject(), 3);
    s.compare();

    let gaps: Vec<_> = s.tables.gaps_of("l2", key).collect();
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert_eq!((&*gaps[0].cause, &*gaps[0].evidence), ("missed", "chain"));
    assert_eq!(gaps[0].missing, None, "ids that jump cannot be counted");
    let next = s.tables.l2.iter().find(|row| row.key.name == key && row.key.place > gaps[0].key.place).unwrap();
    assert!(next.is_snapshot, "{next:?}");
    assert_eq!(s.tables.gaps.len(), 2, "nobody else: {:?}", s.tables.gaps);
    let now = s.simulator.with_truth(|truth| truth.connections().len());
    assert_eq!(now, connections, "on the same connections");
    let more = asked(&s) - before;
    assert!(if case.snapshots == Snapshots::Channel { more >= 2 } else { more == 1 }, "asked {more} times");
}

/// A bid above every offer, which nothing takes back, is no book: it is named at that message, never handed out, and a
/// fresh snapshot ends it.
// Fault: X12
pub fn a_crossed_book_is_named_and_begins_anew(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    let (key, stream) = (case.subject().key, (case.book_stream)(case.subject().native));
    let (field, json) = case.crossing;
    let how = json!({"set": {"field": field, "json": json}});
    s.inject(json!({"kind": "malformed", "how": how}), json!({"stream": stream}), json!({}));
    s.until("the gap is closed", |s| s.tables.gaps_of("l2", key).any(|gap| gap.is_closed));
    s.until_more("l2", case.subject(), 3);
    s.compare();
    let gaps: Vec<_> = s.tables.gaps_of("l2", key).collect();
    assert_eq!((gaps.len(), &*gaps[0].evidence), (2, "crossed"), "{gaps:?}");
    assert_eq!(s.tables.gaps.len(), 2, "nobody else: {:?}", s.tables.gaps);
}

/// A checksum that is another than the book's is a gap and a resync; one that is 0, or missing, proves nothing and costs
/// nothing.
// Fault: X15
pub fn a_checksum_proves_the_book_where_there_is_one(case: &'static Case) {
    let mut s = Session::with(case, |config| config.checksums = case.checksum.is_some(), |_| {});
    s.until_live();
    let (key, stream) = (case.subject().key, (case.book_stream)(case.subject().native));
    s.until_more("l2", case.subject(), 10);
    if let Some(field) = case.checksum {
        assert!(s.book(case.subject())["checksum_pass"].as_u64() > Some(5), "{}", s.book(case.subject()));
        let strike =
            |how: Value| s.inject(json!({"kind": "malformed", "how": how}), json!({"stream": stream}), json!({}));
        let (zero, gone) =
            (strike(json!({"set": {"field": field, "json": "0"}})), strike(json!({"remove": {"field": field}})));
        s.until_struck(zero);
        s.until_struck(gone);
        s.until_more("l2", case.subject(), 3);
        assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
        let how = json!({"set": {"field": field, "json": "12345"}});
        s.inject(json!({"kind": "malformed", "how": how}), json!({"stream": stream}), json!({}));
        s.until("the gap is closed", |s| s.tables.gaps_of("l2", key).any(|gap| gap.is_closed));
        s.until_more("l2", case.subject(), 3);
    }
    s.compare();
    let failures = u64::from(case.checksum.is_some());
    assert_eq!(s.book(case.subject())["checksum_fail"], failures);
    assert_eq!(s.tables.gaps.len() as u64, 2 * failures, "{:?}", s.tables.gaps);
    assert!(s.tables.gaps.iter().all(|gap| (&*gap.cause, &*gap.evidence) == ("checksum", "checksum")));
    assert_eq!(s.book(case.bystander())["checksum_fail"], 0);
}

/// Ids that fall while the chain goes on are a new epoch, which every stream that has them names; the book goes on
/// without a resync.
// Fault: X05
pub fn ids_that_fall_with_the_chain_intact_cost_nothing(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    if case.ids_fall {
        s.inject(json!({"kind": "restart_ids"}), json!({"symbol": case.subject().native}), json!({}));
        s.until("the epoch is named", |s| s.tables.gaps_of("l2", case.subject().key).count() == 2);
    }
    s.until_more("l2", case.subject(), 10);
    s.compare();
    assert_eq!(s.book(case.subject())["sequence_resets"], u64::from(case.ids_fall));
    assert_eq!(s.book(case.subject())["snapshots"], 1, "no resync");
    assert_eq!(s.tables.gaps.is_empty(), !case.ids_fall, "{:?}", s.tables.gaps);
    for pair in s.tables.gaps.chunks(2) {
        let [open, closed] = pair else { panic!("half a gap: {pair:?}") };
        assert_eq!((&*open.key.name, &*open.cause), (case.subject().key, "id_reset"));
        assert_eq!((open.gap_id, open.key.place.0), (closed.gap_id, closed.key.place.0), "both rows in one input");
    }
}

/// Where a book has more levels than a snapshot shows, the one in the tables is what the manual says a client holds.
// Fault: X16
pub fn levels_beyond_the_snapshot_are_as_the_manual_says(case: &'static Case) {
    let mut s = Session::with(case, |config| config.book_levels = 1500, |_| {});
    s.until_live();
    s.until_more("l2", case.subject(), 30);
    s.compare_at(Depth::Cut(case.snapshot_levels));
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
}

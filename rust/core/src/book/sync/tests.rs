//! The state machines of the manuals, step by step, and any stream at all against a naive model.

use super::*;

const FUTURES: SyncRules =
    SyncRules { snapshot: SnapshotSource::Rest, ids_may_fall: false, first_may_end_at_snapshot: true };
const SPOT: SyncRules = SyncRules { first_may_end_at_snapshot: false, ..FUTURES };
const A: ConnId = ConnId(1);
const B: ConnId = ConnId(2);

fn key(prev: i64, first: i64, last: i64) -> Key {
    Key { prev, first, last }
}

fn live_at(rules: SyncRules, id: i64) -> BookSync {
    let mut sync = BookSync::new(rules);
    sync.snapshot_taken(id, None);
    sync
}

/// Judges a diff of one connection.
fn judge(sync: &BookSync, key: Key, conn: ConnId) -> Verdict {
    sync.judge(&sync.place(key, None, conn).expect("it says what it follows"))
}

/// What the engine does with a diff: judges it, applies it if it may, and notes it.
fn take(sync: &mut BookSync, key: Key, event: i64, conn: ConnId) -> Verdict {
    let diff = sync.place(key, Some(event), conn).expect("placed");
    let verdict = sync.judge(&diff);
    if verdict == Verdict::Apply {
        sync.applied(&diff);
    }
    sync.note(&diff);
    verdict
}

fn bridged_at(id: i64) -> BookSync {
    let mut sync = live_at(FUTURES, id - 10);
    assert_eq!(take(&mut sync, key(id - 20, id - 15, id), 1, A), Verdict::Apply);
    sync
}

#[test]
fn step_1_events_are_buffered_until_there_is_a_snapshot() {
    let sync = BookSync::new(FUTURES);
    assert_eq!(judge(&sync, key(1, 2, 3), A), Verdict::Hold);
    assert_eq!(sync.id(), None);
}

#[test]
fn step_3_events_before_the_snapshot_are_dropped_strictly_before_on_futures() {
    assert_eq!(judge(&live_at(FUTURES, 100), key(80, 90, 99), A), Verdict::Stale);
    assert_eq!(judge(&live_at(FUTURES, 100), key(80, 90, 100), A), Verdict::Apply);
    assert_eq!(judge(&live_at(SPOT, 100), key(89, 90, 100), A), Verdict::Stale);
}

#[test]
fn step_4_the_first_event_covers_the_snapshot_or_follows_it() {
    let sync = live_at(FUTURES, 100);
    assert_eq!(judge(&sync, key(90, 95, 105), A), Verdict::Apply, "U <= id <= u");
    assert_eq!(judge(&sync, key(100, 103, 105), A), Verdict::Apply, "pu == id");
    assert_eq!(judge(&sync, key(98, 103, 105), A), Verdict::Apply, "pu < id < U");
    assert_eq!(judge(&sync, key(101, 103, 105), A), Verdict::Gap, "something between is missing");
}

// Fault: X08, X10
#[test]
fn step_4_a_snapshot_older_than_the_buffer_is_fetched_again() {
    let sync = BookSync::new(FUTURES);
    let held = [key(100, 101, 110), key(110, 111, 120)];
    assert_eq!(sync.judge_snapshot(99, held.iter().copied()), SnapshotVerdict::TooOld);
    assert_eq!(sync.judge_snapshot(100, held.iter().copied()), SnapshotVerdict::Take);
    assert_eq!(sync.judge_snapshot(500, held.iter().copied()), SnapshotVerdict::Take, "everything held is stale");
}

#[test]
fn step_5_the_chain_holds_or_the_book_is_broken() {
    let sync = bridged_at(100);
    assert_eq!(judge(&sync, key(100, 150, 160), A), Verdict::Apply);
    assert_eq!(judge(&sync, key(101, 150, 160), A), Verdict::Gap);
    assert_eq!(judge(&sync, key(99, 150, 160), A), Verdict::Gap, "the connection contradicts itself");
}

#[test]
fn step_6_what_is_already_applied_is_a_duplicate() {
    let sync = bridged_at(100);
    assert_eq!(judge(&sync, key(90, 91, 100), A), Verdict::Duplicate);
    assert_eq!(judge(&sync, key(90, 91, 100), B), Verdict::Duplicate);
}

#[test]
fn another_connection_may_cut_the_stream_differently() {
    let mut sync = bridged_at(100);
    assert_eq!(judge(&sync, key(95, 96, 105), B), Verdict::Apply);
    assert_eq!(judge(&sync, key(105, 106, 110), B), Verdict::Hold, "the other one may fill the hole");
    take(&mut sync, key(104, 107, 112), 2, A);
    assert_eq!(judge(&sync, key(105, 106, 110), B), Verdict::Gap, "the other one is past the hole too");
    sync.forget(A);
    assert_eq!(judge(&sync, key(105, 106, 110), B), Verdict::Gap, "nobody is left to fill it");
}

#[test]
fn ids_that_fall_while_time_goes_on_are_a_reset_and_a_late_copy_is_not() {
    let mut sync = bridged_at(100);
    let is_reset =
        |sync: &BookSync, key, event, conn| sync.is_reset(&sync.place(key, Some(event), conn).expect("placed"));
    assert!(is_reset(&sync, key(4, 5, 6), 2, A));
    assert!(!is_reset(&sync, key(4, 5, 6), 1, A));
    assert!(!is_reset(&sync, key(90, 91, 100), 1, A));
    assert_eq!(take(&mut sync, key(80, 81, 90), 1, B), Verdict::Duplicate);
    assert!(!is_reset(&sync, key(90, 91, 95), 2, B), "the clock of another gateway is no sign of a reset");
    assert!(is_reset(&sync, key(4, 5, 6), 2, B), "its own ids fell");
}

#[test]
fn a_live_book_needs_no_snapshot_but_an_unfollowed_one_may_be_replaced_by_a_newer() {
    assert_eq!(bridged_at(100).judge_snapshot(200, std::iter::empty()), SnapshotVerdict::WhileLive);
    assert_eq!(live_at(FUTURES, 100).judge_snapshot(101, std::iter::empty()), SnapshotVerdict::Take);
    assert_eq!(live_at(FUTURES, 100).judge_snapshot(100, std::iter::empty()), SnapshotVerdict::WhileLive);
}

const OKX: SyncRules =
    SyncRules { snapshot: SnapshotSource::Channel, ids_may_fall: true, first_may_end_at_snapshot: false };

fn okx_at(id: i64, event: i64, conns: &[ConnId]) -> BookSync {
    let mut sync = BookSync::new(OKX);
    for conn in conns {
        sync.channel_snapshot_taken(id, Some(event), *conn);
    }
    sync
}

/// A chain where ids say only what follows what.
fn link(prev: i64, last: i64) -> Key {
    Key { prev, first: last, last }
}

// Fault: X05, X07
#[test]
fn okx_the_documented_series_with_a_keep_alive_and_a_reset() {
    let mut sync = okx_at(10, 0, &[A]);
    for (event, (prev, last)) in (1..).zip([(10, 15), (15, 15), (15, 3), (3, 5)]) {
        assert_eq!(take(&mut sync, link(prev, last), event, A), Verdict::Apply, "{prev}/{last}");
    }
    assert_eq!(take(&mut sync, link(3, 5), 4, A), Verdict::Duplicate, "the last one again");
    assert_eq!(judge(&sync, link(7, 9), A), Verdict::Gap);
    assert_eq!(judge(&sync, link(1, 4), A), Verdict::Gap, "never by comparing sizes of ids");
}

#[test]
fn okx_a_reset_that_one_connection_missed_is_bridged_by_the_other() {
    let mut sync = okx_at(15, 0, &[A, B]);
    assert_eq!(take(&mut sync, link(3, 5), 2, A), Verdict::Hold, "its reset is missing, and B may bring it");
    let held = sync.place(link(3, 5), Some(2), A).expect("placed");
    assert_eq!(take(&mut sync, link(15, 3), 1, B), Verdict::Apply);
    assert_eq!(sync.judge(&held), Verdict::Apply);
    assert_eq!(take(&mut sync, link(3, 5), 2, B), Verdict::Apply);
    assert_eq!(take(&mut sync, link(5, 8), 3, A), Verdict::Apply, "A counts epochs as B does");
}

#[test]
fn okx_a_connection_that_left_something_out_and_lags_behind_a_reset_may_still_heal() {
    let mut sync = okx_at(15, 0, &[A, B]);
    for (event, (prev, last)) in (1..).zip([(15, 20), (20, 25), (25, 3)]) {
        assert_eq!(take(&mut sync, link(prev, last), event, A), Verdict::Apply);
    }
    assert_eq!(take(&mut sync, link(20, 25), 2, B), Verdict::Duplicate, "it left out 15/20");
    assert_eq!(take(&mut sync, link(5, 7), 5, A), Verdict::Hold, "B may bring 3/5, though its ids are higher");
    assert_eq!(take(&mut sync, link(25, 3), 3, B), Verdict::Duplicate);
    assert!(sync.may_heal(ConnId::NONE));
    let mut healed = sync.clone();
    assert_eq!(take(&mut healed, link(3, 5), 4, B), Verdict::Apply);
    assert_eq!(take(&mut healed, link(5, 7), 5, A), Verdict::Apply);
    assert_eq!(take(&mut sync, link(7, 9), 6, B), Verdict::Gap, "both are past it");
    assert!(!sync.may_heal(ConnId::NONE));
}

#[test]
fn okx_what_waits_behind_several_resets_is_taken_in_the_order_of_time() {
    let mut sync = okx_at(30, 0, &[A, B]);
    let chain: Vec<_> = (1..).zip([(30, 31), (31, 32), (32, 20), (20, 21), (21, 10), (10, 11)]).collect();
    assert_eq!(take(&mut sync, link(31, 32), 2, A), Verdict::Hold, "it left out 30/31");
    let mut held = Vec::new();
    for (event, (prev, last)) in &chain[1..] {
        let diff = sync.place(link(*prev, *last), Some(*event), A).expect("placed");
        assert_eq!(sync.judge(&diff), Verdict::Hold, "{prev}/{last}");
        sync.note(&diff);
        held.push(diff);
    }
    held.reverse();
    held.sort_by_key(Placed::order);
    assert_eq!(take(&mut sync, link(30, 31), 1, B), Verdict::Apply);
    for diff in &held {
        assert_eq!(sync.judge(diff), Verdict::Apply, "{diff:?}");
        sync.applied(diff);
    }
    assert_eq!((sync.id(), sync.at.epoch), (Some(11), 2));
}

#[test]
fn okx_who_joins_across_a_reset_is_not_locked_out() {
    let mut sync = okx_at(15, 5, &[A]);
    // B is ahead: it joined behind a reset that A has not brought yet.
    assert_eq!(sync.judge_channel_snapshot(3, Some(7), B), SnapshotVerdict::Known);
    sync.note_snapshot(3, Some(7), B);
    assert_eq!(take(&mut sync, link(3, 5), 8, B), Verdict::Hold);
    assert_eq!(take(&mut sync, link(15, 3), 6, A), Verdict::Apply);
    assert_eq!(take(&mut sync, link(3, 5), 8, A), Verdict::Apply);
    assert_eq!(take(&mut sync, link(5, 9), 9, B), Verdict::Apply);
    // C is behind: its snapshot and its first diffs are of before the reset, with higher ids.
    let c = ConnId(3);
    assert_eq!(sync.judge_channel_snapshot(12, Some(4), c), SnapshotVerdict::Known);
    sync.note_snapshot(12, Some(4), c);
    for (event, (prev, last)) in [(5, (12, 15)), (6, (15, 3)), (8, (3, 5)), (9, (5, 9))] {
        assert_eq!(take(&mut sync, link(prev, last), event, c), Verdict::Duplicate, "{prev}/{last}");
    }
    assert_eq!(take(&mut sync, link(9, 11), 10, c), Verdict::Apply);
}

#[test]
fn okx_a_late_copy_is_no_gap_when_its_connection_is_the_last_one_left() {
    let mut sync = okx_at(10, 0, &[A, B]);
    for (event, (prev, last)) in (1..).zip([(10, 20), (20, 30)]) {
        assert_eq!(take(&mut sync, link(prev, last), event, A), Verdict::Apply);
    }
    sync.forget(A);
    assert_eq!(take(&mut sync, link(10, 20), 1, B), Verdict::Duplicate);
    assert_eq!(take(&mut sync, link(20, 30), 2, B), Verdict::Duplicate);
    assert_eq!(take(&mut sync, link(30, 31), 3, B), Verdict::Apply);
}

#[test]
fn without_ids_the_leader_may_bring_several_of_one_time_and_others_only_what_is_later() {
    let ts = |ts| Key { prev: Key::UNLINKED, first: ts, last: ts };
    let mut sync = BookSync::new(OKX);
    assert_eq!(sync.place(ts(1), Some(1), A), None, "nobody tells what it follows");
    sync.channel_snapshot_taken(100, Some(100), A);
    sync.note_snapshot(90, Some(90), B);
    for (at, conn, verdict) in [
        (110, A, Verdict::Apply),
        (110, A, Verdict::Apply),
        (110, B, Verdict::Duplicate),
        (110, B, Verdict::Duplicate),
        (105, A, Verdict::Duplicate),
        (120, B, Verdict::Apply),
        (120, B, Verdict::Apply),
        (120, A, Verdict::Duplicate),
        (130, A, Verdict::Apply),
    ] {
        let diff = sync.place(ts(at), Some(at), conn).expect("placed");
        assert!(!sync.opens_epoch(&diff), "a time that falls is no id that falls");
        assert_eq!(take(&mut sync, ts(at), at, conn), verdict, "{at} {conn:?}");
    }
}

/// A snapshot on the stream itself below a live book that several connections carry: the exchange counts anew where its
/// own connection had come as far as the book, and not where that lags, only joins, or was told of before.
// Fault: X05
#[test]
fn a_snapshot_below_the_book_counts_anew_only_on_a_connection_that_had_come_as_far() {
    const DERIBIT: SyncRules = SyncRules { ids_may_fall: false, ..OKX };
    for rules in [OKX, DERIBIT] {
        let mut sync = BookSync::new(rules);
        sync.channel_snapshot_taken(90, Some(90), A);
        sync.note_snapshot(90, Some(90), B);
        for conn in [A, B] {
            take(&mut sync, link(90, 100), 100, conn);
        }
        for conn in [A, B] {
            assert_eq!(sync.judge_channel_snapshot(5, Some(101), conn), SnapshotVerdict::Take, "{rules:?}");
            assert_eq!(sync.judge_channel_snapshot(5, Some(100), conn), SnapshotVerdict::Take, "of one moment");
            assert_eq!(sync.judge_channel_snapshot(5, Some(99), conn), SnapshotVerdict::Known, "made before the book");
        }
        assert_eq!(take(&mut sync, link(100, 110), 110, A), Verdict::Apply);
        assert_eq!(sync.judge_channel_snapshot(5, Some(111), A), SnapshotVerdict::Take);
        // However late it was made: this one, and one that is heard for the first time, may but lag.
        for lagging in [B, ConnId(3)] {
            for made in [99, 110, 111, 5_000_000_000] {
                let verdict = sync.judge_channel_snapshot(105, Some(made), lagging);
                assert_eq!(verdict, SnapshotVerdict::Known, "{rules:?} {lagging:?} {made}");
            }
        }
        // Alone it is the book, whatever its id.
        sync.forget(B);
        assert_eq!(sync.judge_channel_snapshot(5, Some(99), A), SnapshotVerdict::Take, "{rules:?}");
    }
}

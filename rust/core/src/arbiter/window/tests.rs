//! The window against a set of all ids.

use std::collections::BTreeSet;

use super::*;
use proptest::prelude::*;

/// What is missing and may still come.
fn missing(window: &SequenceWindow) -> Vec<i64> {
    let Some((start, high)) = window.span else { return Vec::new() };
    (start.max(window.low_of(high))..=high).filter(|id| window.check(*id, *id) == Verdict::Fresh).collect()
}

/// Every id ever seen, and the rules of the window in words.
struct Model {
    bits: i128,
    start: Option<i128>,
    high: i128,
    seen: BTreeSet<i128>,
}

impl Model {
    fn low(&self) -> i128 {
        (self.high - self.bits + 1).max(i128::from(i64::MIN))
    }

    fn insert(&mut self, id: i64) -> Seen {
        let id = i128::from(id);
        let Some(start) = self.start else {
            (self.start, self.high) = (Some(id), id);
            self.seen.insert(id);
            return Seen::New;
        };
        if id < self.low() {
            return Seen::TooOld;
        }
        if !self.seen.insert(id) {
            return Seen::Duplicate;
        }
        let high = self.high;
        self.high = high.max(id);
        if id > high + 1 {
            Seen::Jump { first_missing: (high + 1) as i64, last_missing: (id - 1) as i64 }
        } else if id == high + 1 || id < start {
            Seen::New
        } else {
            Seen::Repaired
        }
    }

    fn missing(&self, from: i128) -> Vec<i64> {
        let Some(start) = self.start else {
            return Vec::new();
        };
        (start.max(from)..=self.high).filter(|id| !self.seen.contains(id)).map(|id| id as i64).collect()
    }
}

#[derive(Clone, Debug)]
enum Op {
    One(i64),
    Range(i64, i64),
    Reset,
}

/// Ids near a base, with now and then a jump of about the window's size.
fn ops(base: i64) -> impl Strategy<Value = Vec<Op>> {
    let near = (-30i64..200).prop_map(move |by| base.saturating_add(by));
    let far = (-300i64..900).prop_map(move |by| base.saturating_add(by));
    let id = prop_oneof![9 => near, 1 => far].boxed();
    let range =
        (id.clone(), prop_oneof![0i64..6, 0i64..300]).prop_map(|(first, n)| Op::Range(first, first.saturating_add(n)));
    proptest::collection::vec(prop_oneof![12 => id.prop_map(Op::One), 4 => range, 1 => Just(Op::Reset)], 1..120)
}

fn bases() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(1 << 40), Just(i64::MIN), Just(i64::MIN + 70), Just(i64::MAX - 150), Just(i64::MAX)]
}

proptest! {
    #[test]
    fn the_window_says_what_a_set_of_all_ids_says(ops in bases().prop_flat_map(ops), bits in prop_oneof![Just(64usize), Just(100), Just(256)]) {
        let mut window = SequenceWindow::new(bits);
        let fresh = || Model { bits: bits.next_power_of_two() as i128, start: None, high: 0, seen: BTreeSet::new() };
        let mut model = fresh();
        for op in ops {
            match op {
                Op::One(id) => prop_assert_eq!(window.insert(id), model.insert(id)),
                Op::Reset => {
                    window.reset();
                    model = fresh();
                }
                Op::Range(first, last) => {
                    let verdict = window.check(first, last);
                    let before = window.clone();
                    let seen = window.insert_range(last, first);
                    let (mut expected, mut first_jump) = (RangeSeen::default(), None);
                    // The range is judged as one: what it pushes out of the window itself is not too old.
                    for id in first..=last {
                        let outcome = if i128::from(id) < model.low() && model.start.is_some() { Seen::TooOld } else { Seen::New };
                        expected.too_old += u64::from(outcome == Seen::TooOld);
                    }
                    for id in first..=last {
                        match model.insert(id) {
                            Seen::TooOld => continue,
                            Seen::Duplicate => expected.duplicates += 1,
                            Seen::Repaired => { expected.repaired += 1; expected.fresh += 1 }
                            Seen::New => expected.fresh += 1,
                            Seen::Jump { first_missing, last_missing } => {
                                expected.fresh += 1;
                                first_jump = Some((first_missing, last_missing));
                            }
                        }
                    }
                    expected.jump = first_jump;
                    prop_assert_eq!(seen, expected);
                    let length = last.abs_diff(first) + 1;
                    let wanted = if seen.too_old == length { Verdict::TooOld }
                        else if seen.fresh == 0 { Verdict::Known }
                        else if seen.fresh == length { Verdict::Fresh }
                        else { Verdict::PartlyKnown };
                    prop_assert_eq!(verdict, wanted, "{:?}", before);
                }
            }
            prop_assert_eq!(window.high().map(i128::from), model.start.map(|_| model.high));
            prop_assert_eq!(missing(&window), model.missing(model.low()));
        }
    }
}

#[test]
fn a_hole_is_named_when_it_opens_and_when_it_is_filled() {
    let mut window = SequenceWindow::default();
    assert_eq!(window.insert(100), Seen::New, "nothing is missing before the first");
    assert_eq!(window.insert(104), Seen::Jump { first_missing: 101, last_missing: 103 });
    assert_eq!(window.insert(102), Seen::Repaired);
    assert_eq!(window.insert(102), Seen::Duplicate);
    assert_eq!(missing(&window), [101, 103]);
    assert_eq!(window.insert(98), Seen::New, "another connection began earlier");
    assert_eq!(window.insert(98), Seen::Duplicate);
    assert_eq!(missing(&window).len(), 2, "99 was never promised");
    let wanted = Metrics { fresh: 4, duplicates: 2, jumps: 1, repaired: 1, ..Metrics::default() };
    assert_eq!(window.metrics(), wanted);
}

#[test]
fn ids_that_fall_are_too_old_until_a_new_epoch_is_opened() {
    let mut window = SequenceWindow::new(64);
    window.insert(1_000_000);
    assert_eq!(window.insert(5), Seen::TooOld);
    assert_eq!(window.check(1, 5), Verdict::TooOld);
    window.reset();
    assert_eq!(window.check(1, 5), Verdict::Fresh);
    assert_eq!(window.insert(5), Seen::New);
    assert_eq!(window.insert(6), Seen::New);
}

#[test]
fn a_jump_from_end_to_end_of_the_ids_takes_no_longer_than_any_other() {
    let mut window = SequenceWindow::new(64);
    window.insert(i64::MIN);
    let jump = Seen::Jump { first_missing: i64::MIN + 1, last_missing: i64::MAX - 1 };
    assert_eq!(window.insert(i64::MAX), jump);
    assert_eq!(missing(&window), (i64::MAX - 63..i64::MAX).collect::<Vec<_>>());
    assert_eq!(window.insert(i64::MIN), Seen::TooOld);

    let mut window = SequenceWindow::new(64);
    assert_eq!(window.check(i64::MIN, i64::MAX), Verdict::Fresh);
    assert_eq!(window.insert_range(i64::MIN, i64::MAX).fresh, u64::MAX, "saturated: one more than a u64");
    assert!(missing(&window).is_empty());
    assert_eq!(window.check(i64::MIN, i64::MAX), Verdict::Known);
}

//! Holes against sets of ids.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::config::Stream;
use crate::engine::carriers::Carriers;
use crate::engine::context::Origin;
use crate::engine::trade_holes::finding;
use crate::symbol::ConnId;

#[derive(Clone, Debug)]
enum Op {
    /// So many ids go by, and then so many are left out.
    Add(i64, i64),
    Fill(i64, i64),
    Fetch(i64),
    TakeFilled(i64, i64),
    Take(i64, i64),
    TakeFirst,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let id = 0i64..120;
    let ids = (0i64..120, 0i64..12).prop_map(|(first, more)| (first, first + more));
    let op = prop_oneof![
        3 => (0i64..4, 1i64..9).prop_map(|(by, many)| Op::Add(by, many)),
        3 => ids.clone().prop_map(|(first, last)| Op::Fill(first, last)),
        2 => id.prop_map(Op::Fetch),
        2 => ids.clone().prop_map(|(first, last)| Op::TakeFilled(first, last)),
        1 => ids.prop_map(|(first, last)| Op::Take(first, last)),
        1 => Just(Op::TakeFirst),
    ];
    prop::collection::vec(op, 1..80)
}

fn hole(ids: Ids) -> Hole {
    let origin = Origin { ts_recv: 0, suspect: 0, conn: ConnId(1) };
    Hole::new(ids, OpenGap::notice(origin, Stream::Trades, finding(ids), &Carriers::default()), 0)
}

/// A hole as a set.
#[derive(Clone, Debug)]
struct Model {
    ids: Ids,
    missing: BTreeSet<i64>,
    is_fetched: bool,
}

impl Model {
    fn has_some_of(&self, ids: Ids) -> bool {
        (ids.0..=ids.1).any(|id| (self.ids.0..=self.ids.1).contains(&id))
    }
}

fn seen(hole: &Hole) -> (Ids, Vec<i64>, bool) {
    (hole.ids, hole.missing.iter().flat_map(|run| run.0..=run.1).collect(), hole.repaired == Repaired::Rest)
}

fn wanted(model: &Model) -> (Ids, Vec<i64>, bool) {
    (model.ids, model.missing.iter().copied().collect(), model.is_fetched)
}

/// Those that are out, in order, and those that are left.
fn divide(models: &[Model], is_out: impl Fn(&Model) -> bool) -> (Vec<Model>, Vec<Model>) {
    models.iter().cloned().partition(is_out)
}

proptest! {
    #[test]
    fn each_knows_what_is_missing_of_it(ops in ops()) {
        let (mut holes, mut models, mut high) = (Holes::default(), Vec::<Model>::new(), 0);
        for op in ops {
            match op {
                Op::Add(by, many) => {
                    let ids = (high + by + 1, high + by + many);
                    high = ids.1;
                    holes.add(hole(ids));
                    models.push(Model { ids, missing: (ids.0..=ids.1).collect(), is_fetched: false });
                }
                Op::Fill(first, last) => {
                    let come = |id: &i64| (first..=last).contains(id);
                    let many: usize = models.iter().map(|model| model.missing.iter().filter(|id| come(id)).count()).sum();
                    prop_assert_eq!(holes.fill((first, last)), many as i64);
                    models.iter_mut().for_each(|model| model.missing.retain(|id| !come(id)));
                }
                Op::Fetch(id) => {
                    let lacks = models.iter_mut().find(|model| model.missing.contains(&id));
                    prop_assert_eq!(holes.fetch(id), lacks.is_some());
                    if let Some(model) = lacks {
                        model.is_fetched = model.missing.remove(&id);
                    }
                }
                Op::TakeFilled(first, last) => {
                    let mut taken = Vec::new();
                    holes.take_filled((first, last), |hole| taken.push(seen(&hole)));
                    let (out, left) = divide(&models, |model| model.missing.is_empty() && model.has_some_of((first, last)));
                    prop_assert_eq!(taken, out.iter().map(wanted).collect::<Vec<_>>());
                    models = left;
                }
                Op::Take(first, last) => {
                    let (out, left) = divide(&models, |model| model.has_some_of((first, last)));
                    let taken: Vec<_> = holes.take((first, last)).iter().map(seen).collect();
                    prop_assert_eq!(taken, out.iter().map(wanted).collect::<Vec<_>>());
                    models = left;
                }
                Op::TakeFirst => {
                    let is_so = |ids: Ids| ids.0 % 2 == 0;
                    let first = models.first().filter(|model| is_so(model.ids)).cloned();
                    prop_assert_eq!(holes.take_first(|hole| is_so(hole.ids)).map(|hole| seen(&hole)), first.as_ref().map(wanted));
                    if first.is_some() {
                        models.remove(0);
                    }
                }
            }
            prop_assert_eq!(holes.list.iter().map(seen).collect::<Vec<_>>(), models.iter().map(wanted).collect::<Vec<_>>());
            for first in 0..high {
                let missing = models.iter().flat_map(|model| &model.missing).copied().find(|id| (first..=first + 9).contains(id));
                prop_assert_eq!(holes.first_missing((first, first + 9)), missing);
            }
        }
    }
}

#[test]
fn ids_at_both_ends_of_the_numbers_are_ids() {
    let mut holes = Holes::default();
    holes.add(hole((i64::MIN, i64::MAX)));
    assert_eq!(holes.fill((i64::MIN, i64::MIN)) + holes.fill((i64::MAX, i64::MAX)), 2);
    assert_eq!(holes.first().map(|hole| hole.missing.clone()), Some(vec![(i64::MIN + 1, i64::MAX - 1)]));
    assert_eq!(holes.fill((i64::MIN, i64::MAX)), i64::MAX, "saturated");
}

#[test]
fn one_timer_at_a_time_is_armed_and_the_next_one_when_it_has_fired() {
    let mut holes = Holes::default();
    assert_eq!(holes.alarm(0), None);
    for (id, until) in [(1, 10), (2, 12), (3, 20)] {
        holes.add(Hole { until, ..hole((id, id)) });
        assert_eq!(holes.alarm(2), (id == 1).then_some(10));
    }
    holes.take((1, 1));
    assert_eq!((holes.alarm(9), holes.alarm(10), holes.alarm(11)), (None, Some(12), None));
}

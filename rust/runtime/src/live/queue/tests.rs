use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use proptest::prelude::*;
use xtrader_core::batch::{BatchConfig, Batches, KeyExchange, RawRow, RowKey, SymbolId};
use xtrader_core::config::EngineConfig;
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::table::InputKind;

use super::*;

const BOUND: usize = 20_000;

/// A batch of one row, numbered, with so many bytes of payload.
fn batch(number: i64, bytes: usize) -> Batch {
    let config = config();
    let mut batches = Batches::new(BatchConfig {
        numeric: config.numeric,
        size_unit: config.size_unit,
        limits: config.batch,
        tables: vec![Table::Raw],
    });
    let key = RowKey {
        ts_event: None,
        ts_venue: None,
        ts_recv: number,
        exchange: KeyExchange::from(Venue::BinanceFutures),
        symbol: SymbolId::NONE,
        shard: 0,
        msg_id: number,
        row: 0,
        conn: ConnId::NONE,
        flags: 0,
    };
    let row = RawRow {
        ts_mono: 0,
        kind: InputKind::Frame,
        request_id: None,
        status: None,
        headers: None,
        url: None,
        payload: &vec![b'x'; bytes],
    };
    batches.raw(&key, &row).expect("a row");
    batches.close_all();
    batches.pop().expect("a batch")
}

fn config() -> EngineConfig {
    serde_json::from_str(r#"{"venue": "binance-futures"}"#).expect("a configuration")
}

fn queue(policy: Policy) -> Queue {
    Queue::new(BOUND, policy, Gaps::new(&config()), Arc::default(), Arc::default())
}

fn first(batch: &Batch, column: &str) -> i64 {
    batch.rows.column_by_name(column).expect("a column").as_primitive::<Int64Type>().value(0)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(usize),
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![2 => (1usize..12_000).prop_map(Step::Push), 1 => Just(Step::Take)];
    prop::collection::vec(step, 1..120)
}

/// Reads the queue as a consumer: batches must come in order, and every number left out must have been announced.
#[derive(Default)]
struct Consumer {
    next: i64,
    announced: i64,
}

impl Consumer {
    fn take(&mut self, queue: &Queue) -> bool {
        match queue.try_take() {
            Taken::Batch(batch) if batch.table == Table::Gaps => self.announced += first(&batch, "missing"),
            Taken::Batch(batch) => {
                assert_eq!(
                    first(&batch, "msg_id"),
                    self.next + self.announced,
                    "told before what lies behind the hole"
                );
                self.next += self.announced + 1;
                self.announced = 0;
            }
            Taken::Nothing | Taken::Closed => return false,
            told @ (Taken::Failed(_) | Taken::Warning(_)) => panic!("{told:?}"),
        }
        true
    }
}

proptest! {
    /// Whatever the order of pushes and takes: the bound holds, order holds, and what is missing is told in its place.
    #[test]
    fn nothing_is_lost_in_silence(
        steps in steps(),
        policy in prop_oneof![Just(Policy::Block), Just(Policy::DropOldest), Just(Policy::DropNewest)],
    ) {
        let queue = queue(policy);
        let mut consumer = Consumer::default();
        let mut pushed = 0;
        let mut waiting = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(bytes) => {
                    waiting.push_back(batch(pushed, bytes));
                    pushed += 1;
                }
                Step::Take => { consumer.take(&queue); }
            }
            while let Some(batch) = waiting.pop_front() {
                if let Err(batch) = queue.push(batch) {
                    waiting.push_front(batch);
                    break;
                }
            }
            let report = queue.report();
            let (bytes, batches) = (report["bytes"].as_u64(), report["batches"].as_u64());
            prop_assert!(bytes <= Some(BOUND as u64) || batches == Some(1));
            prop_assert!(waiting.is_empty() || policy == Policy::Block);
        }
        for batch in waiting {
            queue.push_last(batch);
        }
        queue.close();
        while consumer.take(&queue) {}
        prop_assert_eq!(consumer.next + consumer.announced, pushed);
        let report = queue.report();
        prop_assert_eq!(report["rows_total"].as_u64().unwrap_or(0), pushed as u64 - if policy == Policy::DropNewest {
            report["dropped_rows"].as_u64().unwrap_or(0)
        } else { 0 });
        if policy == Policy::Block {
            prop_assert_eq!(&report["dropped_rows"], 0);
        }
    }
}

#[test]
fn a_batch_beyond_the_bound_is_let_in_alone() {
    for policy in [Policy::Block, Policy::DropOldest, Policy::DropNewest] {
        let queue = queue(policy);
        assert!(queue.push(batch(0, 5 * BOUND)).is_ok());
        let refused = queue.push(batch(1, 1)).is_err();
        assert_eq!(refused, policy == Policy::Block);
        assert_eq!(queue.report()["batches"], 1);
    }
}

#[test]
fn the_end_comes_behind_everything_else_and_the_first_end_counts() {
    let queue = queue(Policy::Block);
    assert!(queue.push(batch(0, 1)).is_ok());
    queue.fail(Failure::Died("broken".to_owned()));
    queue.close();
    assert!(matches!(queue.try_take(), Taken::Batch(_)));
    assert!(matches!(queue.try_take(), Taken::Failed(Failure::Died(why)) if why == "broken"));
}

/// Rows of the engine are numbered from 0, so all below it is free.
#[test]
fn every_row_about_a_drop_has_a_key_of_its_own_before_what_is_missing() {
    let queue = queue(Policy::DropNewest);
    let mut keys = Vec::new();
    for number in 0..3 {
        for number in [2 * number, 2 * number + 1] {
            assert!(queue.push(batch(number, 15_000)).is_ok(), "one is let in, the other is dropped");
        }
        assert!(matches!(queue.try_take(), Taken::Batch(batch) if batch.table == Table::Raw));
        let Taken::Batch(gaps) = queue.try_take() else { panic!("the drop is told of") };
        let ids = gaps.rows.column_by_name("msg_id").expect("a column").as_primitive::<Int64Type>().values().clone();
        let rows = gaps.rows.column_by_name("row").expect("a column").as_primitive::<Int32Type>().values().clone();
        keys.extend(ids.iter().copied().zip(rows.iter().copied()));
    }
    assert_eq!(keys, [(1, -2), (1, -1), (3, -4), (3, -3), (5, -6), (5, -5)]);
}

#[test]
fn a_warning_waits_for_no_batch_and_outlives_the_end() {
    for policy in [Policy::Block, Policy::DropOldest, Policy::DropNewest] {
        let queue = queue(policy);
        while queue.push(batch(1, 1_000)).is_ok() && queue.report()["dropped_batches"] == 0 {}
        for n in 0..2 * MOST_WARNINGS {
            queue.warn(n.to_string());
        }
        queue.close();
        for n in 0..MOST_WARNINGS {
            assert!(matches!(queue.try_take(), Taken::Warning(told) if told == n.to_string()));
        }
        assert!(matches!(queue.try_take(), Taken::Batch(_)), "{policy:?}");
    }
}

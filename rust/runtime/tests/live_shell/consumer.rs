//! The consumer's side: batches, policies, waiting.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use xtrader_core::batch::Batch;
use xtrader_core::table::Table;
use xtrader_runtime::live::{LiveOptions, Next, Policy};

use crate::peer::{Peer, read_to_end, text};
use crate::script::{PATIENCE, Run, options};

/// A peer that sends what it is told to.
fn told() -> (Peer, Sender<String>) {
    let (tell, told) = channel::<String>();
    let peer = Peer::websocket(move |mut stream, _| {
        while let Ok(word) = told.recv() {
            stream.write_all(&text(&word)).unwrap();
        }
        read_to_end(stream);
    });
    (peer, tell)
}

/// The msg_ids of a batch of `raw`.
fn ids(batch: &Batch) -> Vec<i64> {
    assert_eq!(batch.table, Table::Raw);
    batch.rows.column_by_name("msg_id").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

fn batch(run: &Run) -> Batch {
    match run.stream.next_batch(PATIENCE) {
        Next::Batch(batch) => batch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_waiting_consumer_gets_rows_at_once() {
    let (peer, tell) = told();
    let mut options = options();
    // Only eagerness can deliver within the test's patience.
    options.engine.batch.max_delay_ms = 60_000;
    let run = Run::open(options, peer.ws());
    for i in 1..=20 {
        tell.send(format!("{i}")).unwrap();
        assert_eq!(ids(&batch(&run)), [i]);
    }
    assert!(matches!(run.stream.next_batch(Duration::ZERO), Next::TimedOut));
}

#[test]
fn rows_that_wait_for_a_slow_consumer_come_when_it_has_read_the_rest() {
    let (peer, tell) = told();
    let mut options = options();
    options.engine.batch.max_delay_ms = 60_000;
    let run = Run::open(options, peer.ws());
    for i in 1..=10 {
        tell.send(format!("{i}")).unwrap();
        run.frame();
    }
    let mut got = Vec::new();
    while got.len() < 10 {
        got.extend(ids(&batch(&run)));
    }
    assert_eq!(got, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_collector_gets_batches_by_age() {
    let (peer, tell) = told();
    let mut options = options();
    options.eager = false;
    options.engine.batch.max_delay_ms = 100;
    let run = Run::open(options, peer.ws());
    for _ in 0..10 {
        tell.send("x".to_owned()).unwrap();
    }
    let mut got = Vec::new();
    while got.len() < 10 {
        got.extend(ids(&batch(&run)));
    }
    assert_eq!(got, (1..=10).collect::<Vec<_>>());
}

// Fault: C05
#[test]
fn any_executor_can_await_batches() {
    let (peer, tell) = told();
    let run = Run::open(options(), peer.ws());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for i in 1..=20 {
            // A future that is dropped has taken nothing.
            let abandoned = tokio::time::timeout(Duration::ZERO, run.stream.next()).await;
            assert!(abandoned.is_err());
            tell.send(format!("{i}")).unwrap();
            let Next::Batch(batch) = run.stream.next().await else { panic!("no batch") };
            assert_eq!(ids(&batch), [i]);
        }
        run.stream.stop().unwrap();
        assert!(matches!(run.stream.next().await, Next::Closed));
    });
}

/// Sends `n` messages of 300 kB one by one, without a consumer, to a queue of 1 MiB.
fn overfilled(policy: Policy, n: usize) -> (Run, Peer, Receiver<()>) {
    let (all_sent, sent) = channel();
    let peer = Peer::websocket(move |mut stream, _| {
        for _ in 0..n {
            stream.write_all(&text(&"x".repeat(300_000))).unwrap();
        }
        all_sent.send(()).unwrap();
        read_to_end(stream);
    });
    let mut options: LiveOptions = options();
    options.policy = policy;
    options.queue_bytes = 1 << 20;
    options.engine.batch.max_bytes = 1 << 18;
    options.eager = false;
    options.engine.batch.max_delay_ms = 0;
    let run = Run::open(options, peer.ws());
    (run, peer, sent)
}

/// One gap of dropped rows: missing, last good and detection, from its two rows.
fn sink_drop(batch: &Batch) -> (i64, Option<i64>) {
    assert_eq!((batch.table, batch.rows.num_rows()), (Table::Gaps, 2));
    let column = |name: &str| batch.rows.column_by_name(name).unwrap();
    let word = |name: &str| {
        let words = column(name).as_any_dictionary();
        words.values().as_string::<i32>().value(words.normalized_keys()[0]).to_owned()
    };
    assert_eq!((word("stream"), word("scope")), ("raw".to_owned(), "sink".to_owned()));
    assert_eq!(
        (word("cause"), word("evidence"), word("missing_unit")),
        ("sink_drop".into(), "shell".into(), "rows".into())
    );
    let gap_ids = column("gap_id").as_primitive::<Int64Type>().values().to_vec();
    assert!(gap_ids[0] < 0 && gap_ids[0] == gap_ids[1], "{gap_ids:?}");
    let resumed = column("ts_resumed").as_primitive::<TimestampNanosecondType>();
    let detected = column("ts_detected").as_primitive::<TimestampNanosecondType>();
    assert!(resumed.iter().next().unwrap().is_none(), "the first row is the detection");
    assert!(resumed.iter().nth(1).unwrap().is_some_and(|at| at >= detected.value(0)));
    let last_good = column("ts_last_good").as_primitive::<TimestampNanosecondType>().iter().next().unwrap();
    (column("missing").as_primitive::<Int64Type>().value(0), last_good)
}

#[test]
fn drop_oldest_keeps_what_is_new_and_tells_first_what_is_missing() {
    let (run, _peer, _sent) = overfilled(Policy::DropOldest, 20);
    for _ in 0..20 {
        run.frame();
    }
    run.stream.stop().unwrap();
    let (missing, last_good) = sink_drop(&batch(&run));
    assert_eq!(last_good, None, "nothing had been read before");
    let mut got = Vec::new();
    while let Next::Batch(batch) = run.stream.next_batch(PATIENCE) {
        got.extend(ids(&batch));
    }
    assert!(!got.is_empty());
    assert_eq!(got, (missing + 1..=20).collect::<Vec<_>>(), "{missing} are missing, and nothing else");
    let report = run.stream.report().unwrap();
    assert_eq!(report["queue"]["dropped_rows"], missing);
}

#[test]
fn drop_newest_keeps_what_is_old_and_tells_in_its_place_what_is_missing() {
    let (run, _peer, _sent) = overfilled(Policy::DropNewest, 20);
    for _ in 0..20 {
        run.frame();
    }
    run.stream.stop().unwrap();
    let mut got = Vec::new();
    let mut missing = 0;
    let mut last_recv = None;
    while let Next::Batch(batch) = run.stream.next_batch(PATIENCE) {
        if batch.table == Table::Gaps {
            let (rows, last_good) = sink_drop(&batch);
            assert!(last_good.is_some() && last_good == last_recv, "the hole begins behind the last row");
            missing += rows;
        } else {
            let recv = batch.rows.column_by_name("ts_recv").unwrap().as_primitive::<TimestampNanosecondType>().clone();
            last_recv = recv.values().last().copied();
            assert_eq!(ids(&batch)[0], got.len() as i64 + missing + 1, "a hole is told before what lies behind it");
            got.extend(ids(&batch));
        }
    }
    assert!(missing > 0);
    assert_eq!(got.len() as i64 + missing, 20);
}

#[test]
fn block_stops_reading_and_loses_nothing() {
    // Far more than the kernel's buffers and the queue hold together.
    const N: usize = 100;
    let (run, _peer, sent) = overfilled(Policy::Block, N);
    // The peer gets stuck: it has not sent everything when the queue is full and the shard stands still.
    run.frame();
    assert!(sent.try_recv().is_err());
    let mut got = Vec::new();
    while got.len() < N {
        got.extend(ids(&batch(&run)));
    }
    assert_eq!(got, (1..=N as i64).collect::<Vec<_>>());
    let report = run.stream.report().unwrap();
    assert_eq!(report["queue"]["dropped_rows"], 0);
    assert!(report["queue"]["max_bytes_seen"].as_u64().unwrap() <= 1 << 20, "{report}");
}

#[test]
fn without_the_table_drops_are_counted_only() {
    let (peer, tell) = told();
    let mut options = options();
    options.engine.tables = vec![Table::Raw];
    options.queue_bytes = 1 << 20;
    options.engine.batch.max_bytes = 1 << 18;
    options.eager = false;
    options.engine.batch.max_delay_ms = 0;
    let run = Run::open(options, peer.ws());
    for _ in 0..10 {
        tell.send("x".repeat(300_000)).unwrap();
        run.frame();
    }
    run.stream.stop().unwrap();
    let mut tables = Vec::new();
    while let Next::Batch(batch) = run.stream.next_batch(PATIENCE) {
        tables.push(batch.table);
    }
    assert!(tables.iter().all(|t| *t == Table::Raw), "{tables:?}");
    assert!(run.stream.report().unwrap()["queue"]["dropped_rows"].as_u64().unwrap() > 0);
}

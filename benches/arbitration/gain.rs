//! How late an event comes with 1, 2, 3 and 4 connections, in virtual time: the engine takes every copy when it arrives
//! by [`crate::paths`], and the receive time of the row it makes, less the time the exchange sent it, is what counts.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use serde_json::{Value, json};
use xtrader_core::batch::Batch;
use xtrader_core::config::Stream;
use xtrader_core::engine::{Engine, Input};
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::time::Stamp;

use crate::Arguments;
use crate::frames::agg_trade;
use crate::paths::{Exchange, Path, Random};
use crate::sources::engine;

/// Events a second, at times of their own.
const EVENTS_PER_S: f64 = 500.0;
const MOST_CONNECTIONS: u16 = 4;
/// 2026-09-21; nanoseconds.
const BEGIN: i64 = 1_790_000_000_000_000_000;
const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99_5", 0.995), ("p99_9", 0.999)];

struct Event {
    sent_us: f64,
    /// When each connection has it.
    arrivals: Vec<f64>,
}

fn events(arguments: &Arguments) -> Vec<Event> {
    let mut random = Random::new(arguments.seed);
    let mut exchange = Exchange::new(arguments.seed.wrapping_add(1));
    let mut paths: Vec<Path> = (0..u64::from(MOST_CONNECTIONS))
        .map(|n| Path::new(arguments.seed.wrapping_mul(1000).wrapping_add(n)))
        .collect();
    let mut sent_us = 0.0;
    let mut left: f64 = 0.0;
    let mut events = Vec::new();
    while sent_us < arguments.seconds as f64 * 1e6 {
        sent_us += 1e6 / EVENTS_PER_S * random.exponential();
        // The exchange sends in order.
        left = left.max(sent_us + exchange.common());
        let arrivals = paths.iter_mut().map(|path| path.arrival(left)).collect();
        events.push(Event { sent_us, arrivals });
    }
    events
}

/// Latency of each event in microseconds, as its row tells.
fn latencies(events: &[Event], texts: &[String], connections: u16) -> Vec<f64> {
    let mut arrivals: Vec<(u64, u16, usize)> = Vec::new();
    for (n, event) in events.iter().enumerate() {
        let of_each = (1..=connections).zip(&event.arrivals);
        arrivals.extend(of_each.map(|(conn, at)| ((at * 1e3) as u64, conn, n)));
    }
    // Stable: what arrives at one time on one connection stays in order.
    arrivals.sort_by_key(|(at, ..)| *at);
    let at = |ns: u64| Stamp { wall: BEGIN + ns as i64, mono: ns };
    let mut engine = engine(Venue::BinanceFutures, &[Stream::Trades], connections, at(0));
    let mut latencies = Vec::with_capacity(events.len());
    for (ns, conn, n) in arrivals {
        while let Some(due) = engine.next_timeout().filter(|due| due.mono <= ns) {
            engine.handle(due, Input::Timeout);
        }
        engine.handle(at(ns), Input::Frame { conn: ConnId(conn), payload: texts[n].as_bytes() });
        drain(&mut engine, events, &mut latencies);
    }
    engine.close_batches();
    drain(&mut engine, events, &mut latencies);
    assert_eq!(latencies.len(), events.len(), "every event once");
    latencies
}

fn drain(engine: &mut Engine, events: &[Event], latencies: &mut Vec<f64>) {
    while let Some(Batch { rows, .. }) = engine.poll_batch() {
        let column = |name| rows.column_by_name(name).expect("the table has it");
        let received = column("ts_recv").as_primitive::<TimestampNanosecondType>();
        let ids = column("trade_id").as_string::<i32>();
        for (received, id) in received.values().iter().zip(ids.iter().flatten()) {
            let event: usize = id.parse().expect("ids are numbers");
            latencies.push((received - BEGIN) as f64 / 1e3 - events[event - 1].sent_us);
        }
    }
}

/// See the module.
pub fn measure(arguments: &Arguments) -> Value {
    let events = events(arguments);
    let text = |(n, event): (usize, &Event)| {
        agg_trade(n as u64 + 1, (BEGIN / 1_000_000) as u64 + (event.sent_us / 1e3) as u64)
    };
    let texts: Vec<String> = events.iter().enumerate().map(text).collect();
    let rows = (1..=MOST_CONNECTIONS).map(|connections| {
        let mut latencies = latencies(&events, &texts, connections);
        latencies.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let rank = ((q * latencies.len() as f64).ceil() as usize).clamp(1, latencies.len());
            (latencies[rank - 1] * 10.0).round() / 10.0
        };
        let of_each: serde_json::Map<String, Value> =
            QUANTILES.iter().map(|(name, q)| ((*name).to_owned(), quantile(*q).into())).collect();
        json!({ "connections": connections, "latency_us": of_each })
    });
    json!({
        "events": events.len(),
        "events_per_s": EVENTS_PER_S,
        "seconds": arguments.seconds,
        "seed": arguments.seed,
        "gain": rows.collect::<Vec<_>>(),
    })
}

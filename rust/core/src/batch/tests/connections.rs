//! Rows of `connections`.

use super::*;
use crate::batch::ConnectionRow;
use crate::table::{ConnState, StampSource};

#[test]
fn a_connection_that_was_compared_and_one_that_was_not() {
    let mut batches = batches_with(Numeric::Decimal, NO_LIMITS, &[Table::Connections]);
    let key = key(SymbolId::NONE);
    let none = ConnectionRow {
        host: "fstream.binance.com",
        ip: None,
        opened_at: None,
        state: ConnState::Opening,
        score: None,
        stamp_source: StampSource::User,
        messages: 0,
        bytes: 0,
        wins: 0,
        losses: 0,
        lead_p50: None,
        behind_p50: None,
        behind_p99: None,
        latency_p50: None,
        latency_p99: None,
        reconnects: 0,
        close_reason: None,
        clock_offset: None,
    };
    let compared = ConnectionRow {
        ip: Some("10.0.0.1"),
        opened_at: Some(5),
        state: ConnState::Down,
        score: Some(1.5),
        stamp_source: StampSource::Hardware,
        messages: 9,
        bytes: 900,
        wins: 3,
        losses: 4,
        lead_p50: Some(1_500),
        behind_p50: Some(2_000),
        behind_p99: Some(3_000),
        latency_p50: Some(4_000),
        latency_p99: Some(5_250),
        reconnects: 2,
        close_reason: Some("closed 1001: bye"),
        clock_offset: Some(-500),
        ..none
    };
    batches.connection(&key, &none).expect("it fits");
    batches.connection(&key, &compared).expect("it fits");
    let rows = the_batch(&mut batches);
    let floats = |name: &str| values::<Float64Type>(&rows, name);
    let counts = |name: &str| values::<Int64Type>(&rows, name);
    for (name, value) in [
        ("score", 1.5),
        ("lead_p50_us", 1.5),
        ("behind_p50_us", 2.0),
        ("behind_p99_us", 3.0),
        ("latency_p50_us", 4.0),
        ("latency_p99_us", 5.25),
        ("clock_offset_us", -0.5),
    ] {
        assert_eq!(floats(name), [None, Some(value)], "{name}");
    }
    for (name, value) in [("messages", 9), ("bytes", 900), ("wins", 3), ("losses", 4), ("reconnects", 2)] {
        assert_eq!(counts(name), [Some(0), Some(value)], "{name}");
    }
    assert_eq!(words(&rows, "state"), [Some("opening".into()), Some("down".into())]);
    assert_eq!(words(&rows, "stamp_source"), [Some("user".into()), Some("hardware".into())]);
    let reasons = rows.rows.column_by_name("close_reason").expect("a column").as_string::<i32>();
    assert_eq!(reasons.iter().collect::<Vec<_>>(), [None, Some("closed 1001: bye")]);
}

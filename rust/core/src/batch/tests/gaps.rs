//! Rows of `gaps`.

use super::*;

#[test]
fn a_gap_stands_in_its_row() {
    let mut batches = batches(Numeric::Float);
    let gap = GapRow {
        gap_id: 9,
        stream: Table::L2,
        scope: GapScope::Book,
        cause: GapCause::Missed,
        evidence: GapEvidence::Chain,
        missing: None,
        missing_unit: None,
        first_missing: Some(100),
        last_missing: Some(199),
        ts_last_good: Some(5),
        ts_detected: 6,
        ts_resumed: None,
        repaired: Repaired::None,
        conn_ids: &[ConnId(1), ConnId(2)],
    };
    batches.gap(&key(SymbolId::NONE), &gap).expect("in range");
    let closing = GapRow {
        stream: Table::Trades,
        missing: Some(4),
        missing_unit: Some(GapUnit::Trades),
        ts_resumed: Some(7),
        repaired: Repaired::Rest,
        conn_ids: &[],
        ..gap
    };
    let key = RowKey { exchange: Venue::BinanceFutures.into(), ..key(SymbolId::NONE) };
    batches.gap(&key, &closing).expect("in range");
    let batch = the_batch(&mut batches);
    let word = |name: &str| words(&batch, name).into_iter().map(|w| w.unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(texts(&batch, "symbol"), ["", ""]);
    assert_eq!(word("exchange"), ["binance-futures"; 2]);
    assert_eq!(values::<Int64Type>(&batch, "gap_id"), [Some(9); 2]);
    assert_eq!(word("stream"), ["l2", "trades"]);
    assert_eq!(word("scope"), ["book"; 2]);
    assert_eq!(word("cause"), ["missed"; 2]);
    assert_eq!(word("evidence"), ["chain"; 2]);
    assert_eq!(values::<Int64Type>(&batch, "missing"), [None, Some(4)]);
    assert_eq!(words(&batch, "missing_unit"), [None, Some("trades".to_owned())]);
    assert_eq!(values::<Int64Type>(&batch, "first_missing"), [Some(100); 2]);
    assert_eq!(values::<Int64Type>(&batch, "last_missing"), [Some(199); 2]);
    assert_eq!(values::<TimestampNanosecondType>(&batch, "ts_last_good"), [Some(5); 2]);
    assert_eq!(values::<TimestampNanosecondType>(&batch, "ts_detected"), [Some(6); 2]);
    assert_eq!(values::<TimestampNanosecondType>(&batch, "ts_resumed"), [None, Some(7)]);
    assert_eq!(word("repaired"), ["none", "rest"]);
    assert_eq!(lists::<UInt16Type>(&batch, "conn_ids"), [vec![1, 2], vec![]]);
}

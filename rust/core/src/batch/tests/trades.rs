//! Rows of `trades`.

use super::*;

#[test]
fn a_trade_stands_in_its_row() {
    let mut batches = batches(Numeric::Float);
    let btc = batches.intern("BTCUSDT");
    let long = batches.intern("BTCUSDT-261225");
    assert_eq!(batches.intern("BTCUSDT"), btc);
    batches
        .trade(
            &key(btc),
            &trade(TradeId::Number(3_000_000_000), "65000.10", "0.001"),
            &Texts::default(),
            &Conversion::None,
        )
        .expect("in range");
    let mut ids = Texts::default();
    let id = TradeId::Text(ids.add("ETH-1234567890123"));
    let text = Trade { seq: Some(-1), count: None, ..trade(id, "1", "2") };
    batches
        .trade(&RowKey { ts_event: None, ts_venue: Some(9), ..key(long) }, &text, &ids, &Conversion::None)
        .expect("in range");
    assert_eq!(batches.open_rows(), 2);
    let batch = the_batch(&mut batches);
    assert_eq!(batches.open_rows(), 0);
    assert_eq!(batch.table, Table::Trades);

    assert_eq!(values::<TimestampNanosecondType>(&batch, "ts_event"), [Some(1_000), None]);
    assert_eq!(values::<TimestampNanosecondType>(&batch, "ts_venue"), [None, Some(9)]);
    assert_eq!(values::<TimestampNanosecondType>(&batch, "ts_recv"), [Some(3_000); 2]);
    assert_eq!(words(&batch, "exchange"), [Some("binance-futures".to_owned()), Some("binance-futures".to_owned())]);
    assert_eq!(texts(&batch, "symbol"), ["BTCUSDT", "BTCUSDT-261225"]);
    assert_eq!(values::<UInt16Type>(&batch, "shard"), [Some(7); 2]);
    assert_eq!(values::<Int64Type>(&batch, "msg_id"), [Some(42); 2]);
    assert_eq!(values::<Int32Type>(&batch, "row"), [Some(5); 2]);
    assert_eq!(values::<UInt16Type>(&batch, "conn_id"), [Some(2); 2]);
    assert_eq!(values::<UInt8Type>(&batch, "flags"), [Some(flags::LAST); 2]);
    assert_eq!(texts(&batch, "trade_id"), ["3000000000", "ETH-1234567890123"]);
    assert_eq!(words(&batch, "side"), [Some("sell".to_owned()), Some("sell".to_owned())]);
    assert_eq!(values::<Float64Type>(&batch, "price"), [Some(65000.1), Some(1.0)]);
    assert_eq!(values::<Float64Type>(&batch, "size"), [Some(0.001), Some(2.0)]);
    assert_eq!(values::<Int64Type>(&batch, "count"), [Some(3), None]);
    assert_eq!(values::<Int64Type>(&batch, "first_id"), [Some(10); 2]);
    assert_eq!(values::<Int64Type>(&batch, "last_id"), [Some(12); 2]);
    assert_eq!(values::<Int64Type>(&batch, "seq"), [None, Some(-1)]);
    assert_eq!(words(&batch, "condition"), [Some("rpi".to_owned()), Some("rpi".to_owned())]);
    assert_eq!(words(&batch, "source"), [Some("ws".to_owned()), Some("ws".to_owned())]);
    for name in ["contracts", "index_price", "mark_price"] {
        assert_eq!(values::<Float64Type>(&batch, name), [None, None], "{name}");
    }
}

#[test]
fn prices_and_sizes_are_what_the_mode_says() {
    let fill = |numeric| {
        let mut batches = batches_with(numeric, NO_LIMITS, &[Table::Trades]);
        batches
            .trade(
                &key(SymbolId::NONE),
                &trade(TradeId::Number(1), "7.5040", "12"),
                &Texts::default(),
                &Conversion::None,
            )
            .expect("in range");
        the_batch(&mut batches)
    };
    let decimal = fill(Numeric::Decimal);
    assert_eq!(values::<Decimal128Type>(&decimal, "price"), [Some(7_504_000_000_000_000_000)]);
    assert_eq!(values::<Decimal128Type>(&decimal, "size"), [Some(12_000_000_000_000_000_000)]);
    let fixed = fill(Numeric::Fixed);
    assert_eq!(values::<Int64Type>(&fixed, "price"), [Some(75_040)]);
    assert_eq!(values::<Int8Type>(&fixed, "price_scale"), [Some(4)]);
    assert_eq!(values::<Int64Type>(&fixed, "size"), [Some(12)]);
    assert_eq!(values::<Int8Type>(&fixed, "size_scale"), [Some(0)]);
    assert_eq!(values::<Float64Type>(&fill(Numeric::Float), "price"), [Some(7.504)]);
}

#[test]
fn what_some_exchanges_say_with_a_trade_stands_in_the_row_that_has_it() {
    // More rows than a block of columns, and extras in some of them.
    let said = |n: i64| n % 3 == 0;
    let fill = |numeric| {
        let mut batches = batches_with(numeric, NO_LIMITS, &[Table::Trades]);
        for n in 0..200 {
            let number = |scale| said(n).then(|| Decimal::new(n.into(), scale));
            let event = Trade {
                contracts: number(1),
                index_price: number(2),
                mark_price: number(3),
                ..trade(TradeId::Number(n), "5", "20")
            };
            batches.trade(&key(SymbolId::NONE), &event, &Texts::default(), &Conversion::None).expect("in range");
        }
        the_batch(&mut batches)
    };
    let (float, fixed) = (fill(Numeric::Float), fill(Numeric::Fixed));
    for (name, unit) in [("contracts", 10.0), ("index_price", 100.0), ("mark_price", 1000.0)] {
        let expected: Vec<_> = (0..200).map(|n| said(n).then(|| n as f64 / unit)).collect();
        assert_eq!(values::<Float64Type>(&float, name), expected, "{name}");
    }
    // Prices share a scale, and contracts the one of the size.
    assert_eq!(values::<Int64Type>(&fixed, "price")[..4], [5000, 5, 5, 5000].map(Some));
    assert_eq!(values::<Int64Type>(&fixed, "index_price")[..4], [Some(0), None, None, Some(30)]);
    assert_eq!(values::<Int8Type>(&fixed, "price_scale")[..4], [3, 0, 0, 3].map(Some));
    assert_eq!(values::<Int64Type>(&fixed, "size")[..4], [200, 20, 20, 200].map(Some));
    assert_eq!(values::<Int64Type>(&fixed, "contracts")[..4], [Some(0), None, None, Some(3)]);
    assert_eq!(values::<Int8Type>(&fixed, "size_scale")[..4], [1, 0, 0, 1].map(Some));
}

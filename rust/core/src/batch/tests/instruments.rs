//! Rows of `instruments`.

use super::*;

#[test]
fn an_instrument_stands_in_its_row() {
    let option = Instrument {
        lot_size: Some(decimal("0.001")),
        tick_size: None,
        strike: Some(decimal("100000")),
        option_type: Some(OptionType::Put),
        ..instrument()
    };
    let fill = |numeric| {
        let mut batches = batches(numeric);
        let symbol = batches.intern("BTCUSDT-261225");
        batches.instrument(&key(symbol), &instrument(), 11, None).expect("in range");
        batches.instrument(&key(symbol), &option, 12, Some(13)).expect("in range");
        the_batch(&mut batches)
    };
    let batch = fill(Numeric::Float);
    assert_eq!(texts(&batch, "symbol"), ["BTCUSDT-261225"; 2]);
    assert_eq!(texts(&batch, "native_symbol"), ["BTCUSDT_261225"; 2]);
    assert_eq!(texts(&batch, "base"), ["BTC"; 2]);
    assert_eq!(texts(&batch, "quote"), ["USDT"; 2]);
    assert_eq!(texts(&batch, "settle"), ["USDT"; 2]);
    assert_eq!(texts(&batch, "status_native"), ["TRADING"; 2]);
    assert_eq!(words(&batch, "kind"), [Some("future".to_owned()), Some("future".to_owned())]);
    assert_eq!(words(&batch, "status"), [Some("trading".to_owned()), Some("trading".to_owned())]);
    assert_eq!(words(&batch, "option_type"), [None, Some("put".to_owned())]);
    assert_eq!(values::<Float64Type>(&batch, "tick_size"), [Some(0.1), None]);
    assert_eq!(values::<Float64Type>(&batch, "lot_size"), [None, Some(0.001)]);
    assert_eq!(values::<Float64Type>(&batch, "min_notional"), [Some(5.0); 2]);
    assert_eq!(values::<Float64Type>(&batch, "multiplier"), [Some(1.0); 2]);
    assert_eq!(values::<Float64Type>(&batch, "strike"), [None, Some(100_000.0)]);
    assert_eq!(column(&batch, "inverse").as_boolean().iter().collect::<Vec<_>>(), [Some(false); 2]);
    assert_eq!(values::<TimestampNanosecondType>(&batch, "expiry"), [Some(1_798_185_600_000_000_000); 2]);
    assert_eq!(values::<TimestampNanosecondType>(&batch, "valid_from"), [Some(11), Some(12)]);
    assert_eq!(values::<TimestampNanosecondType>(&batch, "valid_to"), [None, Some(13)]);

    let batch = fill(Numeric::Fixed);
    assert_eq!(values::<Int64Type>(&batch, "tick_size"), [Some(10), None]);
    assert_eq!(values::<Int64Type>(&batch, "min_notional"), [Some(500), Some(5)]);
    assert_eq!(values::<Int64Type>(&batch, "strike"), [None, Some(100_000)]);
    assert_eq!(values::<Int8Type>(&batch, "price_scale"), [Some(2), Some(0)]);
    assert_eq!(values::<Int64Type>(&batch, "lot_size"), [None, Some(1)]);
    assert_eq!(values::<Int64Type>(&batch, "multiplier"), [Some(1), Some(1000)]);
    assert_eq!(values::<Int8Type>(&batch, "size_scale"), [Some(0), Some(3)]);
}

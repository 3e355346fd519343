//! Rows of `derivatives`, `options` and `liquidations`.

use super::*;

fn derivative() -> Derivative {
    Derivative {
        mark_price: Some(decimal("65000.25")),
        index_price: Some(decimal("65001.5")),
        funding_rate: Some(decimal("-0.000125")),
        next_funding_time: Some(1_798_185_600_000_000_000),
        open_interest: Some(decimal("1200")),
        open_interest_base: None,
        last_price: Some(decimal("64999")),
    }
}

#[test]
fn a_derivative_stands_in_its_row() {
    let mut batches = batches_with(Numeric::Float, NO_LIMITS, &[Table::Derivatives]);
    batches.derivative(&key(SymbolId::NONE), &derivative(), &Conversion::None).expect("in range");
    batches.derivative(&key(SymbolId::NONE), &Derivative::default(), &Conversion::None).expect("in range");
    assert_eq!(batches.open_rows(), 2);
    let batch = the_batch(&mut batches);
    assert_eq!(batch.table, Table::Derivatives);
    assert_eq!(values::<Float64Type>(&batch, "mark_price"), [Some(65_000.25), None]);
    assert_eq!(values::<Float64Type>(&batch, "index_price"), [Some(65_001.5), None]);
    assert_eq!(values::<Float64Type>(&batch, "funding_rate"), [Some(-0.000_125), None]);
    let funding = values::<TimestampNanosecondType>(&batch, "next_funding_time");
    assert_eq!(funding, [Some(1_798_185_600_000_000_000), None]);
    assert_eq!(values::<Float64Type>(&batch, "open_interest"), [Some(1200.0), None]);
    assert_eq!(values::<Float64Type>(&batch, "last_price"), [Some(64_999.0), None]);
}

#[test]
fn prices_sizes_and_rates_of_a_derivative_have_scales_of_their_own() {
    let mut batches = batches_with(Numeric::Fixed, NO_LIMITS, &[Table::Derivatives]);
    batches.derivative(&key(SymbolId::NONE), &derivative(), &Conversion::None).expect("in range");
    batches.derivative(&key(SymbolId::NONE), &Derivative::default(), &Conversion::None).expect("in range");
    let batch = the_batch(&mut batches);
    assert_eq!(values::<Int64Type>(&batch, "mark_price"), [Some(6_500_025), None]);
    assert_eq!(values::<Int64Type>(&batch, "index_price"), [Some(6_500_150), None]);
    assert_eq!(values::<Int64Type>(&batch, "last_price"), [Some(6_499_900), None]);
    assert_eq!(values::<Int8Type>(&batch, "price_scale"), [Some(2), None]);
    assert_eq!(values::<Int64Type>(&batch, "open_interest"), [Some(1200), None]);
    assert_eq!(values::<Int8Type>(&batch, "size_scale"), [Some(0), None]);
    assert_eq!(values::<Int64Type>(&batch, "funding_rate"), [Some(-125), None]);
    assert_eq!(values::<Int8Type>(&batch, "rate_scale"), [Some(6), None]);
}

fn option() -> OptionState {
    OptionState {
        underlying_price: Some(decimal("65000.5")),
        mark_price: Some(decimal("0.0415")),
        mark_iv: Some(decimal("0.5986")),
        bid_iv: None,
        ask_iv: Some(decimal("0.61")),
        delta: Some(decimal("0.51")),
        gamma: Some(decimal("0.00003")),
        vega: Some(decimal("72.5")),
        theta: Some(decimal("-41.25")),
        open_interest: Some(decimal("12.5")),
        open_interest_base: None,
    }
}

#[test]
fn an_option_stands_in_its_row() {
    let fill = |numeric| {
        let mut batches = batches_with(numeric, NO_LIMITS, &[Table::Options]);
        batches.option(&key(SymbolId::NONE), &option(), &Conversion::None).expect("in range");
        batches.option(&key(SymbolId::NONE), &OptionState::default(), &Conversion::None).expect("in range");
        the_batch(&mut batches)
    };
    let (float, fixed) = (fill(Numeric::Float), fill(Numeric::Fixed));
    for (name, sent, mantissa) in [
        ("underlying_price", Some(65_000.5), Some(650_005_000)),
        ("mark_price", Some(0.0415), Some(415)),
        ("mark_iv", Some(0.5986), Some(5986)),
        ("bid_iv", None, None),
        ("ask_iv", Some(0.61), Some(6100)),
        ("delta", Some(0.51), Some(51_000)),
        ("gamma", Some(0.000_03), Some(3)),
        ("vega", Some(72.5), Some(7_250_000)),
        ("theta", Some(-41.25), Some(-4_125_000)),
        ("open_interest", Some(12.5), Some(125)),
    ] {
        assert_eq!(values::<Float64Type>(&float, name), [sent, None], "{name}");
        assert_eq!(values::<Int64Type>(&fixed, name), [mantissa, None], "{name}");
    }
    for (name, scale) in [("price_scale", 4), ("size_scale", 1), ("iv_scale", 4), ("greek_scale", 5)] {
        assert_eq!(values::<Int8Type>(&fixed, name), [Some(scale), None], "{name}");
    }
    let delta = values::<Decimal128Type>(&fill(Numeric::Decimal), "delta");
    assert_eq!(delta, [Some(510_000_000_000_000_000), None]);
}

#[test]
fn a_liquidation_stands_in_its_row() {
    let event = Liquidation {
        id: Some(7),
        side: Side::Sell,
        price: decimal("64990.5"),
        size: decimal("0.014"),
        contracts: None,
    };
    let mut batches = batches_with(Numeric::Fixed, NO_LIMITS, &[Table::Liquidations]);
    batches.liquidation(&key(SymbolId::NONE), &event, &Conversion::None).expect("in range");
    let contracts = Liquidation { id: None, side: Side::Buy, size: decimal("13"), ..event };
    let times = Conversion::Times(decimal("0.01"));
    batches.liquidation(&key(SymbolId::NONE), &contracts, &times).expect("in range");
    let batch = the_batch(&mut batches);
    assert_eq!(values::<Int64Type>(&batch, "id"), [Some(7), None]);
    assert_eq!(words(&batch, "side"), [Some("sell".to_owned()), Some("buy".to_owned())]);
    assert_eq!(values::<Int64Type>(&batch, "price"), [Some(649_905); 2]);
    assert_eq!(values::<Int8Type>(&batch, "price_scale"), [Some(1); 2]);
    assert_eq!(values::<Int64Type>(&batch, "size"), [Some(14), Some(13)]);
    assert_eq!(values::<Int64Type>(&batch, "contracts"), [None, Some(1300)], "at the scale of the size");
    assert_eq!(values::<Int8Type>(&batch, "size_scale"), [Some(3), Some(2)]);
}

#[test]
fn a_state_with_a_number_beyond_its_column_leaves_nothing() {
    let wide = Some(decimal("9223372036854775808"));
    let none = key(SymbolId::NONE);
    let mut batches = batches(Numeric::Fixed);
    let refused = Err(RowError::OutOfRange(OutOfRange));
    for bad in [
        Derivative { index_price: wide, ..derivative() },
        Derivative { funding_rate: wide, ..derivative() },
        Derivative { open_interest: wide, ..derivative() },
    ] {
        assert_eq!(batches.derivative(&none, &bad, &Conversion::None), refused, "{bad:?}");
    }
    for bad in [
        OptionState { mark_price: wide, ..option() },
        OptionState { bid_iv: wide, ..option() },
        OptionState { vega: wide, ..option() },
        OptionState { open_interest: wide, ..option() },
    ] {
        assert_eq!(batches.option(&none, &bad, &Conversion::None), refused, "{bad:?}");
    }
    assert_eq!(batches.open_rows(), 0);
}

#[test]
fn a_state_that_a_double_cannot_say_is_flagged() {
    let long = Some(decimal("0.10000000000000001"));
    let mut batches = batches_with(Numeric::Float, NO_LIMITS, &[Table::Derivatives, Table::Options]);
    for state in [derivative(), Derivative { funding_rate: long, ..derivative() }] {
        batches.derivative(&key(SymbolId::NONE), &state, &Conversion::None).expect("in range");
    }
    for state in [option(), OptionState { gamma: long, ..option() }] {
        batches.option(&key(SymbolId::NONE), &state, &Conversion::None).expect("in range");
    }
    batches.close_all();
    for _ in 0..2 {
        let batch = batches.pop().expect("both tables");
        assert_eq!(values::<UInt8Type>(&batch, "flags"), [Some(flags::LAST), Some(flags::LAST | flags::LOSSY)]);
    }
}

//! Numbers that their column says less of, or cannot say.

use super::*;

#[test]
fn a_row_with_a_number_that_a_double_cannot_say_is_flagged() {
    // Seventeen digits; the nearest double's shortest text is 0.1.
    let long = "0.10000000000000001";
    let mut batches = batches(Numeric::Float);
    let none = key(SymbolId::NONE);
    batches
        .trade(&none, &trade(TradeId::Number(1), long, "1"), &Texts::default(), &Conversion::None)
        .expect("in range");
    batches
        .trade(&none, &trade(TradeId::Number(2), "1", long), &Texts::default(), &Conversion::None)
        .expect("in range");
    batches.trade(&none, &trade(TradeId::Number(3), "1", "1"), &Texts::default(), &Conversion::None).expect("in range");
    let flagged = Some(flags::LAST | flags::LOSSY);
    let trades = the_batch(&mut batches);
    assert_eq!(values::<UInt8Type>(&trades, "flags"), [flagged, flagged, Some(flags::LAST)]);
    assert_eq!(values::<Float64Type>(&trades, "price"), [Some(0.1), Some(1.0), Some(1.0)]);

    let quote = |size| Bbo {
        times: EventTimes::default(),
        bid: None,
        ask: Some((decimal("1"), decimal(size))),
        update_id: None,
    };
    batches.bbo(&none, &quote(long), &Conversion::None).expect("in range");
    batches.bbo(&none, &quote("1"), &Conversion::None).expect("in range");
    assert_eq!(values::<UInt8Type>(&the_batch(&mut batches), "flags"), [flagged, Some(flags::LAST)]);

    let lossy = 10_000_000_000_000_001; // at scale 17
    let levels = message((17, 0), &[(10_000_000_000_000_000, 1)], &[(lossy, 1), (1, 1)]);
    batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, &Conversion::None).expect("in range");
    let levels = message((0, 17), &[(1, 1)], &[(1, 1)]);
    batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, &Conversion::None).expect("in range");
    let levels = wide((20, 0), &[(100_000_000_000_000_000_000, 1), (100_000_000_000_000_000_001, 1)]);
    batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, &Conversion::None).expect("in range");
    batches.close_all();
    let (l2, levels) = (batches.pop().expect("l2"), batches.pop().expect("levels"));
    assert_eq!(values::<UInt8Type>(&l2, "flags"), [flagged, Some(flags::LAST), flagged]);
    let last = Some(flags::LAST);
    let lossy = Some(flags::LOSSY);
    assert_eq!(
        values::<UInt8Type>(&levels, "flags"),
        [Some(0), lossy, last, Some(0), last, Some(0), flagged],
        "each level by itself"
    );
    assert_eq!(lists::<Float64Type>(&l2, "bid_prices"), [vec![0.1], vec![1.0], vec![1.0, 1.0]]);
}

#[test]
fn only_float_is_lossy() {
    for numeric in [Numeric::Decimal, Numeric::Fixed] {
        let mut batches = batches(numeric);
        batches
            .trade(
                &key(SymbolId::NONE),
                &trade(TradeId::Number(1), "0.10000000000000001", "1"),
                &Texts::default(),
                &Conversion::None,
            )
            .expect("in range");
        assert_eq!(values::<UInt8Type>(&the_batch(&mut batches), "flags"), [Some(flags::LAST)]);
    }
}

#[test]
fn a_number_beyond_its_column_leaves_nothing() {
    let none = key(SymbolId::NONE);
    let too_fine = "0.0000000000000000001"; // 19 digits behind the point
    let too_large = "123456789012345678901"; // 21 before it
    for (numeric, bad, last_good) in [
        (Numeric::Decimal, too_fine, "0.000000000000000001"),
        (Numeric::Decimal, too_large, "12345678901234567890"),
        (Numeric::Fixed, "9223372036854775808", "9223372036854775807"),
        (Numeric::Fixed, "-9223372036854775809", "-9223372036854775808"),
    ] {
        let mut batches = batches(numeric);
        for (price, size) in [(bad, "1"), ("1", bad)] {
            assert_eq!(
                batches.trade(&none, &trade(TradeId::Number(1), price, size), &Texts::default(), &Conversion::None),
                Err(OutOfRange.into()),
                "{price} {size}"
            );
            let side = Some((decimal(price), decimal(size)));
            let bbo = Bbo { times: EventTimes::default(), bid: None, ask: side, update_id: None };
            assert_eq!(batches.bbo(&none, &bbo, &Conversion::None), Err(OutOfRange.into()));
            let odd = Instrument { min_notional: Some(decimal(price)), multiplier: decimal(size), ..instrument() };
            assert_eq!(batches.instrument(&none, &odd, 0, None), Err(OutOfRange));
        }
        let bad = decimal(bad);
        let levels = wide((bad.scale, 0), &[(1, 1), (bad.mantissa, 1)]);
        assert_eq!(
            batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, &Conversion::None),
            Err(OutOfRange.into())
        );
        assert_eq!(batches.open_rows(), 0);

        batches
            .trade(&none, &trade(TradeId::Number(2), last_good, last_good), &Texts::default(), &Conversion::None)
            .expect("in range");
        let good = decimal(last_good);
        let levels = wide((good.scale, 0), &[(good.mantissa, 1)]);
        batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, &Conversion::None).expect("in range");
        batches.close_all();
        let (trades, l2) = (batches.pop().expect("trades"), batches.pop().expect("l2"));
        assert_eq!(texts(&trades, "trade_id"), ["2"]);
        let prices = column(&l2, "bid_prices").as_list::<i32>();
        assert_eq!((prices.len(), prices.values().len()), (1, 1), "no value of the refused message is left");
    }
}

#[test]
fn trailing_zeros_do_not_put_a_fixed_number_out_of_range() {
    let long = "12345678901.0000000000";
    let mut batches = batches_with(Numeric::Fixed, NO_LIMITS, &[Table::Trades, Table::Bbo]);
    batches
        .trade(&key(SymbolId::NONE), &trade(TradeId::Number(1), long, "1.50"), &Texts::default(), &Conversion::None)
        .expect("in range");
    let (bid, ask) = (Some((decimal("0.50"), decimal("1"))), Some((decimal(long), decimal("1"))));
    let bbo = Bbo { times: EventTimes::default(), bid, ask, update_id: None };
    batches.bbo(&key(SymbolId::NONE), &bbo, &Conversion::None).expect("in range");
    batches.close_all();
    let (trades, quotes) = (batches.pop().expect("trades"), batches.pop().expect("bbo"));
    assert_eq!(values::<Int64Type>(&trades, "price"), [Some(12_345_678_901)]);
    assert_eq!(values::<Int8Type>(&trades, "price_scale"), [Some(0)]);
    assert_eq!(values::<Int8Type>(&trades, "size_scale"), [Some(2)], "as sent wherever that fits");
    assert_eq!(values::<Int64Type>(&quotes, "bid_price"), [Some(5)]);
    assert_eq!(values::<Int64Type>(&quotes, "ask_price"), [Some(123_456_789_010)]);
    assert_eq!(values::<Int8Type>(&quotes, "price_scale"), [Some(1)]);
}

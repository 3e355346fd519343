//! Rows of `l2`, `levels` and `l2_top`.

use super::*;

#[test]
fn a_book_message_is_one_row_of_l2_and_one_row_a_level_of_levels() {
    let mut batches = batches(Numeric::Float);
    let first = message((1, 3), &[(1000, 2500), (999, 0)], &[(1001, 1)]);
    let head = BookHead {
        is_snapshot: true,
        first_id: None,
        last_id: Some(0),
        prev_id: Some(-5),
        times: EventTimes::default(),
        checksum: None,
    };
    batches.book(&key(SymbolId::NONE), &head, None, &first, Source::Rest, &Conversion::None).expect("in range");
    let empty = message((1, 3), &[], &[]);
    let head = BookHead { is_snapshot: false, first_id: Some(1), last_id: Some(4), ..head };
    batches.book(&key(SymbolId::NONE), &head, Some(0), &empty, Source::Ws, &Conversion::None).expect("in range");
    assert_eq!(batches.open_rows(), 2 + 3);
    batches.close_all();
    let (l2, levels) = (batches.pop().expect("l2"), batches.pop().expect("levels"));

    assert_eq!(l2.table, Table::L2);
    assert_eq!(column(&l2, "is_snapshot").as_boolean().iter().collect::<Vec<_>>(), [Some(true), Some(false)]);
    assert_eq!(values::<Int64Type>(&l2, "first_id"), [None, Some(1)]);
    assert_eq!(values::<Int64Type>(&l2, "last_id"), [Some(0), Some(4)]);
    assert_eq!(values::<Int64Type>(&l2, "prev_id"), [None, Some(0)], "the book's, not the exchange's");
    assert_eq!(lists::<Float64Type>(&l2, "bid_prices"), [vec![100.0, 99.9], vec![]]);
    assert_eq!(lists::<Float64Type>(&l2, "bid_sizes"), [vec![2.5, 0.0], vec![]]);
    assert_eq!(lists::<Float64Type>(&l2, "ask_prices"), [vec![100.1], vec![]]);
    assert_eq!(lists::<Float64Type>(&l2, "ask_sizes"), [vec![0.001], vec![]]);
    assert_eq!(words(&l2, "source"), [Some("rest".to_owned()), Some("ws".to_owned())]);

    assert_eq!(levels.table, Table::Levels);
    assert_eq!(words(&levels, "side"), ["bid", "bid", "ask"].map(|s| Some(s.to_owned())));
    assert_eq!(values::<Int32Type>(&levels, "row"), [Some(5), Some(6), Some(7)]);
    assert_eq!(values::<UInt8Type>(&levels, "flags"), [Some(0), Some(0), Some(flags::LAST)]);
    assert_eq!(values::<Float64Type>(&levels, "price"), [Some(100.0), Some(99.9), Some(100.1)]);
    assert_eq!(values::<Float64Type>(&levels, "size"), [Some(2.5), Some(0.0), Some(0.001)]);
    assert_eq!(column(&levels, "is_snapshot").as_boolean().iter().collect::<Vec<_>>(), [Some(true); 3]);
}

#[test]
fn levels_of_a_book_in_decimal_and_in_fixed() {
    let levels = message((2, 3), &[(12_345, -7)], &[(i64::MAX, i64::MIN)]);
    let mut decimals = batches_with(Numeric::Decimal, NO_LIMITS, &[Table::L2]);
    decimals
        .book(&key(SymbolId::NONE), &BookHead::default(), None, &levels, Source::Ws, &Conversion::None)
        .expect("in range");
    let batch = the_batch(&mut decimals);
    assert_eq!(lists::<Decimal128Type>(&batch, "bid_prices"), [[123_450_000_000_000_000_000]]);
    assert_eq!(lists::<Decimal128Type>(&batch, "bid_sizes"), [[-7_000_000_000_000_000]]);
    assert_eq!(lists::<Decimal128Type>(&batch, "ask_prices"), [[i128::from(i64::MAX) * 10i128.pow(16)]]);
    assert_eq!(lists::<Decimal128Type>(&batch, "ask_sizes"), [[i128::from(i64::MIN) * 10i128.pow(15)]]);

    let mut fixed = batches_with(Numeric::Fixed, NO_LIMITS, &[Table::L2, Table::Levels]);
    for levels in [&levels, &message((2, 3), &[], &[])] {
        fixed
            .book(&key(SymbolId::NONE), &BookHead::default(), None, levels, Source::Ws, &Conversion::None)
            .expect("in range");
    }
    fixed.close_all();
    let (l2, rows) = (fixed.pop().expect("l2"), fixed.pop().expect("levels"));
    assert_eq!(lists::<Int64Type>(&l2, "ask_prices"), [vec![i64::MAX], vec![]]);
    assert_eq!(lists::<Int64Type>(&l2, "ask_sizes"), [vec![i64::MIN], vec![]]);
    assert_eq!(values::<Int8Type>(&l2, "price_scale"), [Some(2), None], "no number, no scale");
    assert_eq!(values::<Int8Type>(&l2, "size_scale"), [Some(3), None]);
    assert_eq!(values::<Int64Type>(&rows, "price"), [Some(12_345), Some(i64::MAX)]);
    assert_eq!(values::<Int8Type>(&rows, "size_scale"), [Some(3); 2]);
}

#[test]
fn the_best_levels_of_a_book_are_one_row_of_l2_top() {
    let mut book = crate::book::OrderBook::new();
    book.apply(&message((1, 3), &[(1000, 2500), (999, 1), (998, 7)], &[(1001, 1), (1002, 20)])).expect("in range");
    let fill = |numeric| {
        let mut batches = batches_with(numeric, NO_LIMITS, &[Table::L2Top]);
        let none = key(SymbolId::NONE);
        batches.l2_top(&none, book.bids().take(2), book.asks().take(2), &Conversion::None).expect("in range");
        batches.l2_top(&none, book.bids().take(0), book.asks().take(1), &Conversion::None).expect("in range");
        batches.l2_top(&none, book.bids().take(0), book.asks().take(0), &Conversion::None).expect("in range");
        the_batch(&mut batches)
    };
    let float = fill(Numeric::Float);
    assert_eq!(lists::<Float64Type>(&float, "bid_prices"), [vec![100.0, 99.9], vec![], vec![]]);
    assert_eq!(lists::<Float64Type>(&float, "bid_sizes"), [vec![2.5, 0.001], vec![], vec![]]);
    assert_eq!(lists::<Float64Type>(&float, "ask_prices"), [vec![100.1, 100.2], vec![100.1], vec![]]);
    assert_eq!(lists::<Float64Type>(&float, "ask_sizes"), [vec![0.001, 0.02], vec![0.001], vec![]]);
    let fixed = fill(Numeric::Fixed);
    assert_eq!(lists::<Int64Type>(&fixed, "ask_sizes"), [vec![1, 20], vec![1], vec![]]);
    assert_eq!(values::<Int8Type>(&fixed, "price_scale"), [Some(1), Some(1), None], "no number, no scale");
    assert_eq!(values::<Int8Type>(&fixed, "size_scale"), [Some(3), Some(3), None]);
}

#[test]
fn levels_alone_refuses_a_message_whole() {
    let mut batches = batches_with(Numeric::Decimal, NO_LIMITS, &[Table::Levels]);
    let levels = wide((0, 0), &[(1, 1), (10i128.pow(20), 1)]);
    let none = key(SymbolId::NONE);
    assert_eq!(
        batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, &Conversion::None),
        Err(OutOfRange.into())
    );
    assert_eq!(batches.open_rows(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn levels_says_what_l2_says(
        bids in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..9),
        asks in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..9),
        scales in (0u8..=18, 0u8..=18),
    ) {
        let mut batches = batches_with(Numeric::Float, NO_LIMITS, &[Table::L2, Table::Levels]);
        let levels = message(scales, &bids, &asks);
        batches.book(&key(SymbolId::NONE), &BookHead::default(), None, &levels, Source::Ws, &Conversion::None).expect("a double holds it");
        batches.close_all();
        let l2 = batches.pop().expect("l2");
        let of_l2 = |bids: &str, asks: &str| {
            [bids, asks].map(|name| lists::<Float64Type>(&l2, name)).concat().concat()
        };
        let (prices, sizes) = (of_l2("bid_prices", "ask_prices"), of_l2("bid_sizes", "ask_sizes"));
        // The standard parser on the texts is the judge of both.
        let parsed = |m: i64, scale| Decimal::new(i128::from(m), scale).to_string().parse::<f64>().expect("a number");
        let sent = || bids.iter().chain(&asks);
        prop_assert_eq!(&prices, &sent().map(|l| parsed(l.0, scales.0)).collect::<Vec<_>>());
        prop_assert_eq!(&sizes, &sent().map(|l| parsed(l.1, scales.1)).collect::<Vec<_>>());
        if let Some(rows) = batches.pop() {
            let some = |values: Vec<f64>| values.into_iter().map(Some).collect::<Vec<_>>();
            prop_assert_eq!(values::<Float64Type>(&rows, "price"), some(prices));
            prop_assert_eq!(values::<Float64Type>(&rows, "size"), some(sizes));
        } else {
            prop_assert!(prices.is_empty());
        }
    }
}

//! When batches close, and that any cut of batches gives the rows of one.

use super::*;

#[test]
fn rows_of_tables_that_nobody_wants_are_let_go() {
    let mut batches = batches_with(Numeric::Float, NO_LIMITS, &[Table::Bbo]);
    assert_eq!(Table::ALL.map(|t| batches.is_wanted(t)), Table::ALL.map(|t| t == Table::Bbo));
    batches
        .trade(&key(SymbolId::NONE), &trade(TradeId::Number(1), "1", "1"), &Texts::default(), &Conversion::None)
        .expect("nothing to do");
    let levels = message((0, 0), &[(1, 1)], &[]);
    batches
        .book(&key(SymbolId::NONE), &BookHead::default(), None, &levels, Source::Ws, &Conversion::None)
        .expect("nothing to do");
    batches.close_all();
    assert_eq!(batches.open_rows(), 0);
    assert!(batches.pop().is_none());
}

#[test]
fn a_batch_closes_by_rows() {
    let limits = BatchLimits { max_rows: 3, ..NO_LIMITS };
    let mut batches = batches_with(Numeric::Float, limits, &[Table::Trades, Table::Levels]);
    for id in 0..7 {
        batches
            .trade(&key(SymbolId::NONE), &trade(TradeId::Number(id), "1", "1"), &Texts::default(), &Conversion::None)
            .expect("in range");
    }
    assert_eq!(batches.open_rows(), 1);
    let levels = message((0, 0), &[(1, 1); 4], &[(2, 2); 4]);
    batches
        .book(&key(SymbolId::NONE), &BookHead::default(), None, &levels, Source::Ws, &Conversion::None)
        .expect("in range");
    batches.close_all();
    let sizes: Vec<_> = std::iter::from_fn(|| batches.pop()).map(|b| (b.table, b.rows.num_rows())).collect();
    let (trades, levels) = (Table::Trades, Table::Levels);
    assert_eq!(sizes, [(trades, 3), (trades, 3), (levels, 3), (levels, 3), (trades, 1), (levels, 2)]);
}

#[test]
fn a_batch_closes_by_bytes() {
    let limits = BatchLimits { max_bytes: 64 << 10, ..NO_LIMITS };
    let mut batches = batches_with(Numeric::Float, limits, &[Table::L2, Table::Raw]);
    let none = key(SymbolId::NONE);
    let levels = message((0, 0), &[(1, 1); 1000], &[(1, 1); 500]); // 24 000 bytes
    for _ in 0..3 {
        batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, &Conversion::None).expect("in range");
    }
    let frame = RawRow {
        ts_mono: 0,
        kind: InputKind::Frame,
        request_id: None,
        status: None,
        headers: None,
        url: None,
        payload: &[b'x'; 40_000],
    };
    for _ in 0..2 {
        batches.raw(&none, &frame).expect("in range");
    }
    assert_eq!(batches.open_rows(), 0);
    let sizes: Vec<_> = std::iter::from_fn(|| batches.pop()).map(|b| (b.table, b.rows.num_rows())).collect();
    assert_eq!(sizes, [(Table::L2, 3), (Table::Raw, 2)]);
}

#[test]
fn a_small_batch_holds_little() {
    let mut batches = batches_with(Numeric::Float, BatchLimits::default(), &Table::ALL);
    let none = key(SymbolId::NONE);
    let levels = message((0, 0), &[(1, 1); 5], &[(1, 1); 5]);
    batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, &Conversion::None).expect("in range");
    batches.trade(&none, &trade(TradeId::Number(1), "1", "1"), &Texts::default(), &Conversion::None).expect("in range");
    batches.close_all();
    for batch in std::iter::from_fn(|| batches.pop()) {
        let bytes = batch.rows.get_array_memory_size();
        assert!(bytes < 16 << 10, "{:?} with one row holds {bytes} bytes", batch.table);
    }
}

// Fault: C11
#[test]
fn a_held_batch_does_not_change() {
    let limits = BatchLimits { max_rows: 4, ..NO_LIMITS };
    let mut batches = batches_with(Numeric::Float, limits, &[Table::L2]);
    let message_of = |n: i64| message((0, 0), &[(n, n); 3], &[(n, n); 2]);
    let fill = |batches: &mut Batches, from: i64| {
        for n in from..from + 4 {
            let head = BookHead { last_id: Some(n), ..BookHead::default() };
            batches
                .book(&key(SymbolId::NONE), &head, None, &message_of(n), Source::Ws, &Conversion::None)
                .expect("in range");
        }
        batches.pop().expect("a full batch")
    };
    let held = fill(&mut batches, 0);
    for from in 1..100 {
        fill(&mut batches, from * 4);
    }
    assert_eq!(values::<Int64Type>(&held, "last_id"), [Some(0), Some(1), Some(2), Some(3)]);
    let expected: Vec<_> = (0..4).map(|n| vec![f64::from(n); 3]).collect();
    assert_eq!(lists::<Float64Type>(&held, "bid_prices"), expected);
}

/// One call of the interface.
#[derive(Clone, Debug)]
enum Call {
    Trade { id: i64, text: Option<String>, price: i64, seq: Option<i64>, mark: Option<i64> },
    State { mark: Option<i64>, held: Option<i64> },
    Book { bids: Vec<(i64, i64)>, asks: Vec<(i64, i64)>, prev: Option<i64> },
    Quote { bid: Option<(i64, i64)>, ask: Option<(i64, i64)> },
    Raw { payload: Vec<u8>, url: Option<String> },
    Close,
}

fn call() -> impl Strategy<Value = Call> {
    let level = || (any::<i32>().prop_map(i64::from), 0..1000i64);
    let levels = move || proptest::collection::vec(level(), 0..20);
    prop_oneof![
        4 => (any::<i64>(), proptest::option::of("[a-z0-9é-]{0,20}"), any::<i64>(), any::<[Option<i64>; 2]>())
            .prop_map(|(id, text, price, [seq, mark])| Call::Trade { id, text, price, seq, mark }),
        4 => any::<[Option<i64>; 2]>().prop_map(|[mark, held]| Call::State { mark, held }),
        4 => (levels(), levels(), any::<Option<i64>>())
            .prop_map(|(bids, asks, prev)| Call::Book { bids, asks, prev }),
        4 => (proptest::option::of(level()), proptest::option::of(level()))
            .prop_map(|(bid, ask)| Call::Quote { bid, ask }),
        2 => (proptest::collection::vec(any::<u8>(), 0..50), proptest::option::of("[a-z:/]{0,9}"))
            .prop_map(|(payload, url)| Call::Raw { payload, url }),
        1 => Just(Call::Close),
    ]
}

fn cents(mantissa: i64) -> Decimal {
    Decimal::new(mantissa.into(), 2)
}

/// Plays the calls; the rows of each table, one after the other whatever the cuts, and the largest batch.
fn play(
    calls: &[Call],
    numeric: Numeric,
    limits: BatchLimits,
    close_on_request: bool,
) -> (Vec<Option<RecordBatch>>, usize) {
    let mut batches = batches_with(numeric, limits, &Table::ALL);
    let symbols = ["BTCUSDT", "BTCUSDT-261225"].map(|s| batches.intern(s));
    for (n, call) in (0i64..).zip(calls) {
        let key = RowKey {
            ts_event: (n % 3 != 0).then_some(n),
            ts_venue: (n % 5 == 0).then_some(n),
            msg_id: n,
            ..key(symbols[(n % 2) as usize])
        };
        // A number out of range leaves nothing, in one batch as in many.
        let _ = match call {
            Call::Trade { id, text, price, seq, mark } => {
                let mut ids = Texts::default();
                let id = text.as_deref().map_or(TradeId::Number(*id), |text| TradeId::Text(ids.add(text)));
                let (price, mark_price) = (Decimal::new(i128::from(*price), 4), mark.map(cents));
                let event = Trade { price, seq: *seq, mark_price, ..trade(id, "1", "0.10") };
                batches.trade(&key, &event, &ids, &Conversion::None)
            }
            Call::State { mark, held } => {
                let (mark_price, open_interest) = (mark.map(cents), held.map(cents));
                let derivative = Derivative { mark_price, open_interest, ..Derivative::default() };
                let option = OptionState { delta: mark_price, open_interest, ..OptionState::default() };
                let side = mark_price.zip(open_interest);
                batches
                    .derivative(&key, &derivative, &Conversion::None)
                    .and(batches.option(&key, &option, &Conversion::None))
                    .and(batches.l2_top(&key, side.into_iter(), std::iter::empty(), &Conversion::None))
                    .and(side.map_or(Ok(()), |(price, size)| {
                        let event = Liquidation { id: *mark, side: Side::Buy, price, size, contracts: None };
                        batches.liquidation(&key, &event, &Conversion::Times(cents(25)))
                    }))
            }
            Call::Book { bids, asks, prev } => batches.book(
                &key,
                &BookHead::default(),
                *prev,
                &message((2, 3), bids, asks),
                Source::Ws,
                &Conversion::None,
            ),
            Call::Quote { bid, ask } => {
                let side = |s: &Option<(i64, i64)>| {
                    s.map(|(p, s)| (Decimal::new(i128::from(p), 2), Decimal::new(i128::from(s), 3)))
                };
                let bbo = Bbo { times: EventTimes::default(), bid: side(bid), ask: side(ask), update_id: None };
                batches.bbo(&key, &bbo, &Conversion::None)
            }
            Call::Raw { payload, url } => batches
                .raw(
                    &key,
                    &RawRow {
                        ts_mono: 1,
                        kind: InputKind::Frame,
                        request_id: None,
                        status: None,
                        headers: None,
                        url: url.as_deref(),
                        payload,
                    },
                )
                .map_err(RowError::from),
            Call::Close => {
                if close_on_request {
                    batches.close_all();
                }
                Ok(())
            }
        };
    }
    batches.close_all();
    let closed: Vec<_> = std::iter::from_fn(|| batches.pop()).collect();
    let largest = closed.iter().map(|b| b.rows.num_rows()).max().unwrap_or(0);
    let tables = Table::ALL.map(|table| {
        let of_table: Vec<_> = closed.iter().filter(|b| b.table == table).map(|b| &b.rows).collect();
        let schema = of_table.first()?.schema();
        Some(arrow_select::concat::concat_batches(&schema, of_table).expect("one schema"))
    });
    (tables.into(), largest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_of_batches_gives_the_same_rows(
        calls in proptest::collection::vec(call(), 0..200),
        numeric in prop_oneof![Just(Numeric::Float), Just(Numeric::Decimal), Just(Numeric::Fixed)],
        max_rows in 1usize..140,
        max_bytes in 1usize..20_000,
    ) {
        let (whole, _) = play(&calls, numeric, NO_LIMITS, false);
        let (cut, largest) = play(&calls, numeric, BatchLimits { max_rows, max_bytes, max_delay_ms: 0 }, true);
        prop_assert!(largest <= max_rows);
        prop_assert_eq!(whole, cut);
    }
}

//! Sizes in base units: one rule for every table.

use super::*;

const ONE: Decimal = Decimal::new(1, 0);

fn exactly_as(text: &str) -> f64 {
    text.parse().expect("a number")
}

fn quote(bid: (Decimal, Decimal), ask: (Decimal, Decimal)) -> Bbo {
    Bbo { times: EventTimes::default(), bid: Some(bid), ask: Some(ask), update_id: None }
}

fn liquidation(price: Decimal, size: Decimal) -> Liquidation {
    Liquidation { id: None, side: Side::Buy, price, size, contracts: None }
}

/// Writes one level to every table that has sizes.
fn write_everywhere(batches: &mut Batches, level: (i64, i64), scales: (u8, u8), conversion: &Conversion) {
    let none = key(SymbolId::NONE);
    let price = Decimal::new(level.0.into(), scales.0);
    let size = Decimal::new(level.1.into(), scales.1);
    let event = Trade { price, size, ..trade(TradeId::Number(1), "1", "1") };
    batches.trade(&none, &event, &Texts::default(), conversion).expect("in range");
    let levels = message(scales, &[level], &[level]);
    batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, conversion).expect("in range");
    batches.bbo(&none, &quote((price, size), (price, size)), conversion).expect("in range");
    let side = || std::iter::once((price, size));
    batches.l2_top(&none, side(), side(), conversion).expect("in range");
    batches.liquidation(&none, &liquidation(price, size), conversion).expect("in range");
    batches.close_all();
}

/// Every size of every row, whatever the table.
fn sizes_everywhere<T: ArrowPrimitiveType>(batches: &mut Batches) -> Vec<T::Native> {
    let mut sizes = Vec::new();
    for batch in std::iter::from_fn(|| batches.pop()) {
        match batch.table {
            Table::Bbo => {
                sizes.extend(["bid_size", "ask_size"].iter().flat_map(|name| values::<T>(&batch, name)).flatten());
            }
            Table::L2 | Table::L2Top => {
                sizes.extend(["bid_sizes", "ask_sizes"].iter().flat_map(|name| lists::<T>(&batch, name).concat()));
            }
            _ => sizes.extend(values::<T>(&batch, "size").into_iter().flatten()),
        }
    }
    sizes
}

const EVERYWHERE: [Table; 6] = [Table::Trades, Table::L2, Table::Levels, Table::Bbo, Table::L2Top, Table::Liquidations];
/// One in `trades` and in `liquidations`, two in each of the others.
const HOW_MANY: usize = 10;

#[test]
fn contracts_become_base_units_in_every_table() {
    // OKX linear: 25 contracts of 0.01 BTC.
    let mut batches = batches_with(Numeric::Float, NO_LIMITS, &EVERYWHERE);
    write_everywhere(&mut batches, (650_001, 25), (1, 0), &Conversion::Times(decimal("0.01")));
    assert_eq!(sizes_everywhere::<Float64Type>(&mut batches), [0.25; HOW_MANY]);
    // OKX inverse: 13 contracts of 100 USD at 65 000.
    write_everywhere(&mut batches, (650_000, 13), (1, 0), &Conversion::OverPrice(decimal("100")));
    assert_eq!(sizes_everywhere::<Float64Type>(&mut batches), [0.02; HOW_MANY]);
    // Deribit inverse: 10 USD at 3 000.
    write_everywhere(&mut batches, (3000, 10), (0, 0), &Conversion::OverPrice(ONE));
    assert_eq!(sizes_everywhere::<Float64Type>(&mut batches), [10.0 / 3000.0; HOW_MANY]);

    let mut batches = batches_with(Numeric::Decimal, NO_LIMITS, &EVERYWHERE);
    write_everywhere(&mut batches, (3000, 20), (0, 0), &Conversion::OverPrice(ONE));
    assert_eq!(sizes_everywhere::<Decimal128Type>(&mut batches), [6_666_666_666_666_667; HOW_MANY]);

    let mut batches = batches_with(Numeric::Fixed, NO_LIMITS, &EVERYWHERE);
    write_everywhere(&mut batches, (650_001, 25), (1, 0), &Conversion::Times(decimal("1000")));
    assert_eq!(sizes_everywhere::<Int64Type>(&mut batches), [25_000; HOW_MANY]);
}

#[test]
fn in_fixed_the_multiplier_adds_its_digits_to_the_scale() {
    let mut batches = batches_with(Numeric::Fixed, NO_LIMITS, &EVERYWHERE);
    for multiplier in ["0.01", "0.25"] {
        write_everywhere(&mut batches, (650_001, 25), (1, 1), &Conversion::Times(decimal(multiplier)));
        for batch in std::iter::from_fn(|| batches.pop()) {
            let scales = values::<Int8Type>(&batch, "size_scale");
            assert!(scales.iter().all(|scale| *scale == Some(3)), "{:?} {multiplier}: {scales:?}", batch.table);
        }
    }
}

#[test]
fn native_sizes_stay_what_they_are() {
    let config = BatchConfig {
        numeric: Numeric::Fixed,
        size_unit: SizeUnit::Native,
        limits: NO_LIMITS,
        tables: EVERYWHERE.to_vec(),
    };
    let mut batches = Batches::new(config);
    for conversion in [Conversion::Times(decimal("0.01")), Conversion::OverPrice(ONE), Conversion::Unknown] {
        write_everywhere(&mut batches, (650_001, 25), (1, 0), &conversion);
        assert_eq!(sizes_everywhere::<Int64Type>(&mut batches), [25; HOW_MANY], "{conversion:?}");
    }
}

#[test]
fn a_deleted_level_stays_deleted() {
    for conversion in [Conversion::Times(decimal("0.01")), Conversion::OverPrice(decimal("100"))] {
        // Long prices leave the quick way to a double.
        for price in [650_000, 0, -5, i64::MAX] {
            let mut batches = batches_with(Numeric::Float, NO_LIMITS, &EVERYWHERE);
            write_everywhere(&mut batches, (price, 0), (1, 3), &conversion);
            let bits: Vec<_> = sizes_everywhere::<Float64Type>(&mut batches).iter().map(|s| s.to_bits()).collect();
            assert_eq!(bits, [0; HOW_MANY], "{conversion:?} at {price}");
        }
    }
}

#[test]
fn what_cannot_be_converted_is_refused_and_leaves_nothing() {
    let none = key(SymbolId::NONE);
    let unknown = (Conversion::Unknown, RowError::MissingReference);
    let inverse = (Conversion::OverPrice(ONE), RowError::QuotientInFixed);
    let by_zero = (Conversion::OverPrice(ONE), RowError::OutOfRange(OutOfRange));
    for (numeric, price, (conversion, error)) in [
        (Numeric::Float, "5", unknown),
        (Numeric::Decimal, "5", unknown),
        (Numeric::Fixed, "5", unknown),
        (Numeric::Fixed, "5", inverse),
        (Numeric::Float, "0", by_zero),
        (Numeric::Decimal, "0", by_zero),
        (Numeric::Float, "-5", by_zero),
        (Numeric::Decimal, "-5", by_zero),
    ] {
        for tables in [Table::ALL.as_slice(), &[Table::Levels, Table::L2Top]] {
            let mut batches = batches_with(numeric, NO_LIMITS, tables);
            let refused = |table| if tables.contains(&table) { Err(error) } else { Ok(()) };
            let (price, one) = (decimal(price), ONE);
            let event = Trade { price, ..trade(TradeId::Number(1), "1", "1") };
            assert_eq!(batches.trade(&none, &event, &Texts::default(), &conversion), refused(Table::Trades));
            let good = decimal("7");
            let bbo = quote((good, ONE), (price, ONE));
            assert_eq!(batches.bbo(&none, &bbo, &conversion), refused(Table::Bbo));
            let event = liquidation(price, ONE);
            assert_eq!(batches.liquidation(&none, &event, &conversion), refused(Table::Liquidations));
            let price_mantissa = i64::try_from(price.mantissa).expect("short");
            let levels = message((0, 0), &[(7, 0), (7, 1)], &[(price_mantissa, 1)]);
            let book = batches.book(&none, &BookHead::default(), None, &levels, Source::Ws, &conversion);
            assert_eq!(book, Err(error));
            let top = batches.l2_top(&none, [(good, one)].into_iter(), [(price, one)].into_iter(), &conversion);
            assert_eq!(top, Err(error));
            assert_eq!(batches.open_rows(), 0, "{numeric:?} {conversion:?}");
        }
    }
}

#[test]
fn a_quotient_is_not_lossy_and_its_price_may_be() {
    let none = key(SymbolId::NONE);
    let mut batches = batches_with(Numeric::Float, NO_LIMITS, &[Table::Trades]);
    let over = Conversion::OverPrice(ONE);
    for price in ["3", "3.0000000000000000001"] {
        batches.trade(&none, &trade(TradeId::Number(1), price, "1"), &Texts::default(), &over).expect("in range");
    }
    // 2^53 + 1 hundredths: a product is exact, and a double cannot say it.
    let times = Conversion::Times(decimal("0.01"));
    let long = trade(TradeId::Number(1), "3", "9007199254740993");
    batches.trade(&none, &long, &Texts::default(), &times).expect("in range");
    let batch = the_batch(&mut batches);
    let lossy = Some(flags::LAST | flags::LOSSY);
    assert_eq!(values::<UInt8Type>(&batch, "flags"), [Some(flags::LAST), lossy, lossy]);
    assert_eq!(values::<Float64Type>(&batch, "size")[2], Some(exactly_as("90071992547409.93")));
}

#[test]
fn contracts_are_what_the_exchange_says_or_what_its_sizes_count() {
    let column_of = |unit, said: Option<&str>, conversion: &Conversion| {
        let mut batches = batches_of(unit, Table::Trades);
        let event = Trade { contracts: said.map(decimal), ..trade(TradeId::Number(1), "50", "200") };
        batches.trade(&key(SymbolId::NONE), &event, &Texts::default(), conversion).expect("in range");
        let batch = the_batch(&mut batches);
        (values::<Float64Type>(&batch, "contracts")[0], values::<Float64Type>(&batch, "size")[0])
    };
    let (base, native) = (SizeUnit::Base, SizeUnit::Native);
    let (times, over) = (Conversion::Times(decimal("0.5")), Conversion::OverPrice(decimal("10")));
    assert_eq!(column_of(base, None, &Conversion::None), (None, Some(200.0)));
    assert_eq!(column_of(base, Some("20"), &Conversion::None), (Some(20.0), Some(200.0)));
    assert_eq!(column_of(base, None, &times), (Some(200.0), Some(100.0)));
    assert_eq!(column_of(native, None, &times), (Some(200.0), Some(200.0)));
    assert_eq!(column_of(base, None, &over), (Some(200.0), Some(40.0)));
    // Deribit: sizes in dollars, and a number of contracts that old recordings lack.
    let dollars = Conversion::OverPrice(ONE);
    assert_eq!(column_of(base, Some("20"), &dollars), (Some(20.0), Some(4.0)));
    assert_eq!(column_of(base, None, &dollars), (None, Some(4.0)));
    assert_eq!(column_of(native, None, &Conversion::Unknown), (Some(200.0), Some(200.0)));
}

fn batches_of(size_unit: SizeUnit, table: Table) -> Batches {
    Batches::new(BatchConfig { numeric: Numeric::Float, size_unit, limits: NO_LIMITS, tables: vec![table] })
}

#[test]
fn open_interest_is_what_the_exchange_says_in_base_units_else_converted() {
    let written = |unit, state: &Derivative, conversion: &Conversion| {
        let mut batches = batches_of(unit, Table::Derivatives);
        batches.derivative(&key(SymbolId::NONE), state, conversion).expect("it can be written");
        values::<Float64Type>(&the_batch(&mut batches), "open_interest")[0]
    };
    let (base, native) = (SizeUnit::Base, SizeUnit::Native);
    let held = Derivative { open_interest: Some(decimal("500")), ..Derivative::default() };
    let marked = Derivative { mark_price: Some(decimal("40")), index_price: Some(decimal("50")), ..held };
    let indexed = Derivative { index_price: Some(decimal("50")), ..held };
    let said = Derivative { open_interest_base: Some(decimal("7")), ..marked };
    let (times, over) = (Conversion::Times(decimal("0.5")), Conversion::OverPrice(decimal("10")));
    assert_eq!(written(base, &held, &Conversion::None), Some(500.0));
    assert_eq!(written(base, &held, &times), Some(250.0));
    assert_eq!(written(base, &marked, &over), Some(125.0), "at the mark price");
    assert_eq!(written(base, &indexed, &over), Some(100.0), "else at the index");
    assert_eq!(written(base, &held, &over), None, "else nobody knows");
    for nothing in ["0", "-40"] {
        let unmarked = Derivative { mark_price: Some(decimal(nothing)), ..marked };
        assert_eq!(written(base, &unmarked, &over), Some(100.0), "at a price of {nothing}");
        let neither = Derivative { index_price: Some(decimal(nothing)), ..unmarked };
        assert_eq!(written(base, &neither, &over), None);
    }
    for conversion in [Conversion::None, times, over, Conversion::Unknown] {
        assert_eq!(written(base, &said, &conversion), Some(7.0), "as said");
        assert_eq!(written(native, &said, &conversion), Some(500.0), "as sent");
    }
    assert_eq!(written(base, &marked, &Conversion::Unknown), None, "nor here");
    let of_option = OptionState {
        open_interest: Some(decimal("45")),
        open_interest_base: Some(decimal("0.45")),
        ..OptionState::default()
    };
    for (unit, expected) in [(base, 0.45), (native, 45.0)] {
        let mut batches = batches_of(unit, Table::Options);
        batches.option(&key(SymbolId::NONE), &of_option, &Conversion::Unknown).expect("nothing to convert");
        assert_eq!(values::<Float64Type>(&the_batch(&mut batches), "open_interest"), [Some(expected)]);
    }
}

fn conversion() -> impl Strategy<Value = Conversion> {
    let multiplier = || (prop_oneof![Just(1i128), Just(10), Just(100), 1..i128::from(i64::MAX)], 0u8..=9);
    prop_oneof![
        multiplier().prop_map(|(m, scale)| Conversion::Times(Decimal::new(m, scale))),
        multiplier().prop_map(|(m, scale)| Conversion::OverPrice(Decimal::new(m, scale))),
    ]
}

/// Short numbers take the quick ways, long ones do not.
fn mantissa() -> impl Strategy<Value = i64> {
    prop_oneof![1..1_000_000i64, 1..i64::MAX]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn all_tables_say_the_same_size(
        level in (mantissa(), mantissa()),
        scales in (0u8..=9, 0u8..=9),
        conversion in conversion(),
    ) {
        let mut batches = batches_with(Numeric::Float, NO_LIMITS, &EVERYWHERE);
        write_everywhere(&mut batches, level, scales, &conversion);
        let sizes = sizes_everywhere::<Float64Type>(&mut batches);
        prop_assert_eq!(sizes.len(), HOW_MANY);
        prop_assert!(sizes.iter().all(|size| size.to_bits() == sizes[0].to_bits()), "{:?}", sizes);
        if let Conversion::Times(multiplier) = conversion {
            let product = multiplier.mantissa * i128::from(level.1);
            let text = Decimal::new(product, multiplier.scale + scales.1).to_string();
            prop_assert_eq!(sizes[0], exactly_as(&text), "the standard parser is the judge");
        }
    }
}

//! Every table against rows written out by hand, and any cut of batches against one batch.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float64Type, Int8Type, Int32Type, Int64Type, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use proptest::prelude::*;

use crate::decimal::Decimal;
use crate::event::{EventTimes, Level, Scales, TradeId};
use crate::symbol::{ConnId, Exchange, Venue};
use crate::table::{
    Condition, GapCause, GapEvidence, GapScope, GapUnit, InputKind, InstrumentKind, OptionType, Repaired, Side, Status,
    flags,
};

use crate::instrument::Conversion;

use super::*;

const NO_LIMITS: BatchLimits = BatchLimits { max_rows: 1 << 16, max_bytes: 64 << 20, max_delay_ms: 0 };

fn batches(numeric: Numeric) -> Batches {
    batches_with(numeric, NO_LIMITS, &Table::ALL)
}

fn batches_with(numeric: Numeric, limits: BatchLimits, tables: &[Table]) -> Batches {
    Batches::new(BatchConfig { numeric, size_unit: SizeUnit::Base, limits, tables: tables.to_vec() })
}

fn key(symbol: SymbolId) -> RowKey {
    RowKey {
        ts_event: Some(1_000),
        ts_venue: None,
        ts_recv: 3_000,
        exchange: Exchange::BinanceFutures.into(),
        symbol,
        shard: 7,
        msg_id: 42,
        row: 5,
        conn: ConnId(2),
        flags: flags::LAST,
    }
}

fn decimal(text: &str) -> Decimal {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mantissa = format!("{whole}{fraction}").parse().expect("digits");
    Decimal::new(mantissa, u8::try_from(fraction.len()).expect("a short fraction"))
}

fn trade(id: TradeId, price: &str, size: &str) -> Trade {
    Trade {
        times: EventTimes::default(),
        id,
        side: Side::Sell,
        price: decimal(price),
        size: decimal(size),
        contracts: None,
        count: Some(3),
        first_id: Some(10),
        last_id: Some(12),
        seq: None,
        condition: Condition::Rpi,
        index_price: None,
        mark_price: None,
        source: Source::Ws,
    }
}

fn message(scales: (u8, u8), bids: &[(i64, i64)], asks: &[(i64, i64)]) -> DecodedLevels {
    let side = |levels: &[(i64, i64)]| levels.iter().map(|&(price, size)| Level { price, size }).collect();
    let mut levels = DecodedLevels::default();
    levels.reset(Scales { price: scales.0, size: scales.1 });
    (levels.narrow.bids, levels.narrow.asks) = (side(bids), side(asks));
    levels
}

fn wide(scales: (u8, u8), bids: &[(i128, i128)]) -> DecodedLevels {
    let bids = bids.iter().map(|&(price, size)| Level { price, size }).collect();
    let scales = Scales { price: scales.0, size: scales.1 };
    let levels = crate::event::Levels { scales, bids, asks: Vec::new() };
    DecodedLevels { wide: Some(Box::new(levels)), ..DecodedLevels::default() }
}

/// Closes everything; the one batch there is.
fn the_batch(batches: &mut Batches) -> Batch {
    batches.close_all();
    let batch = batches.pop().expect("a batch");
    assert!(batches.pop().is_none(), "one batch only");
    batch
}

fn column<'a>(batch: &'a Batch, name: &str) -> &'a ArrayRef {
    batch.rows.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
}

fn values<T: ArrowPrimitiveType>(batch: &Batch, name: &str) -> Vec<Option<T::Native>> {
    column(batch, name).as_primitive::<T>().iter().collect()
}

fn texts(batch: &Batch, name: &str) -> Vec<String> {
    column(batch, name).as_string::<i32>().iter().map(|t| t.expect("no null").to_owned()).collect()
}

fn words(batch: &Batch, name: &str) -> Vec<Option<String>> {
    let column = column(batch, name).as_dictionary::<Int8Type>();
    column
        .downcast_dict::<arrow_array::StringArray>()
        .expect("words")
        .into_iter()
        .map(|w| w.map(str::to_owned))
        .collect()
}

fn lists<T: ArrowPrimitiveType>(batch: &Batch, name: &str) -> Vec<Vec<T::Native>> {
    let column = column(batch, name).as_list::<i32>();
    column.iter().map(|l| l.expect("no null").as_primitive::<T>().values().to_vec()).collect()
}

// Schemas ---------------------------------------------------------------------------------------------------------

/// `name:type`, `?` behind a type that may be null; a type is a word of the tables' documentation.
fn describe(schema: &arrow_schema::Schema) -> Vec<String> {
    use arrow_schema::{DataType, TimeUnit};
    fn word(data_type: &DataType) -> String {
        match data_type {
            DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC" => "time".into(),
            DataType::Dictionary(key, value) if **key == DataType::Int8 && **value == DataType::Utf8 => "word".into(),
            DataType::Decimal128(38, 18) => "decimal".into(),
            DataType::List(item) if !item.is_nullable() => format!("[{}]", word(item.data_type())),
            DataType::Float64 => "f64".into(),
            DataType::Int64 => "i64".into(),
            DataType::Int32 => "i32".into(),
            DataType::Int8 => "i8".into(),
            DataType::UInt64 => "u64".into(),
            DataType::UInt16 => "u16".into(),
            DataType::UInt8 => "u8".into(),
            DataType::Boolean => "bool".into(),
            DataType::Utf8 => "utf8".into(),
            DataType::Binary => "binary".into(),
            other => panic!("unexpected type {other}"),
        }
    }
    let may_be_null = |field: &arrow_schema::FieldRef| if field.is_nullable() { "?" } else { "" };
    schema.fields().iter().map(|f| format!("{}:{}{}", f.name(), word(f.data_type()), may_be_null(f))).collect()
}

const KEYS: &str = "ts_event:time? ts_venue:time? ts_recv:time exchange:word symbol:utf8 shard:u16 msg_id:i64 row:i32 \
                    conn_id:u16 flags:u8";

/// The columns behind the keys, `#` for the type of prices and sizes.
fn documented(table: Table) -> &'static str {
    match table {
        Table::Trades => {
            "trade_id:utf8 side:word price:# size:# contracts:#? count:i64? first_id:i64? last_id:i64? seq:i64? \
             condition:word index_price:#? mark_price:#? source:word"
        }
        Table::L2 => {
            "is_snapshot:bool first_id:i64? last_id:i64? prev_id:i64? bid_prices:[#] bid_sizes:[#] ask_prices:[#] \
             ask_sizes:[#] source:word"
        }
        Table::Levels => "is_snapshot:bool side:word price:# size:#",
        Table::Bbo => "bid_price:#? bid_size:#? ask_price:#? ask_size:#? update_id:i64?",
        Table::Gaps => {
            "gap_id:i64 stream:word scope:word cause:word evidence:word missing:i64? missing_unit:word? \
             first_missing:i64? last_missing:i64? ts_last_good:time? ts_detected:time ts_resumed:time? repaired:word \
             conn_ids:[u16]"
        }
        Table::Instruments => {
            "native_symbol:utf8 kind:word base:utf8 quote:utf8 settle:utf8 tick_size:#? lot_size:#? min_notional:#? \
             multiplier:# inverse:bool expiry:time? strike:#? option_type:word? status:word status_native:utf8 \
             valid_from:time valid_to:time?"
        }
        Table::L2Top => "bid_prices:[#] bid_sizes:[#] ask_prices:[#] ask_sizes:[#]",
        Table::Derivatives => {
            "mark_price:#? index_price:#? funding_rate:#? next_funding_time:time? open_interest:#? last_price:#?"
        }
        Table::Options => {
            "underlying_price:#? mark_price:#? mark_iv:#? bid_iv:#? ask_iv:#? delta:#? gamma:#? vega:#? theta:#? \
             open_interest:#?"
        }
        Table::Liquidations => "id:i64? side:word price:# size:# contracts:#?",
        Table::Raw => "ts_mono:u64 kind:word request_id:u64? status:u16? headers:utf8? url:utf8? payload:binary",
    }
}

#[test]
fn every_schema_is_the_documented_one() {
    for (numeric, number) in [(Numeric::Float, "f64"), (Numeric::Decimal, "decimal"), (Numeric::Fixed, "i64")] {
        for table in Table::ALL {
            let mut expected = format!("{KEYS} {}", documented(table).replace('#', number));
            if numeric == Numeric::Fixed && documented(table).contains('#') {
                expected += " price_scale:i8? size_scale:i8?";
                expected += match table {
                    Table::Derivatives => " rate_scale:i8?",
                    Table::Options => " iv_scale:i8? greek_scale:i8?",
                    _ => "",
                };
            }
            let schema = schema(table, numeric, SizeUnit::Native);
            assert_eq!(describe(&schema).join(" "), expected, "{table:?} {numeric:?}");
            let metadata = |key: &str| schema.metadata()[key].clone();
            assert_eq!(metadata("xtrader.schema_version"), "1");
            assert_eq!(metadata("xtrader.table"), table.name());
            assert_eq!(
                format!("\"{}\"", metadata("xtrader.numeric")),
                serde_json::to_string(&numeric).expect("a word")
            );
            assert_eq!(metadata("xtrader.size_unit"), "native");
        }
    }
}

// Tables ----------------------------------------------------------------------------------------------------------

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
fn a_quote_may_lack_a_side() {
    for numeric in [Numeric::Float, Numeric::Fixed] {
        let mut batches = batches(numeric);
        let quote = |bid, ask| Bbo { times: EventTimes::default(), bid, ask, update_id: Some(0) };
        let bid = (decimal("0.5"), decimal("10"));
        let ask = (decimal("0.625"), decimal("3.0"));
        for bbo in [quote(Some(bid), Some(ask)), quote(None, Some(ask)), quote(Some(bid), None), quote(None, None)] {
            batches.bbo(&key(SymbolId::NONE), &bbo, &Conversion::None).expect("in range");
        }
        let batch = the_batch(&mut batches);
        assert_eq!(values::<Int64Type>(&batch, "update_id"), [Some(0); 4], "0 is an id");
        if numeric == Numeric::Float {
            assert_eq!(values::<Float64Type>(&batch, "bid_price"), [Some(0.5), None, Some(0.5), None]);
            assert_eq!(values::<Float64Type>(&batch, "bid_size"), [Some(10.0), None, Some(10.0), None]);
            assert_eq!(values::<Float64Type>(&batch, "ask_price"), [Some(0.625), Some(0.625), None, None]);
            assert_eq!(values::<Float64Type>(&batch, "ask_size"), [Some(3.0), Some(3.0), None, None]);
        } else {
            // Both prices of a row share one scale: the smallest that says both.
            assert_eq!(values::<Int64Type>(&batch, "bid_price"), [Some(500), None, Some(5), None]);
            assert_eq!(values::<Int64Type>(&batch, "ask_price"), [Some(625), Some(625), None, None]);
            assert_eq!(values::<Int8Type>(&batch, "price_scale"), [Some(3), Some(3), Some(1), None]);
            assert_eq!(values::<Int64Type>(&batch, "bid_size"), [Some(100), None, Some(10), None]);
            assert_eq!(values::<Int64Type>(&batch, "ask_size"), [Some(30), Some(30), None, None]);
            assert_eq!(values::<Int8Type>(&batch, "size_scale"), [Some(1), Some(1), Some(0), None]);
        }
    }
}

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

fn instrument() -> Instrument {
    Instrument {
        exchange: Exchange::BinanceFutures,
        native_symbol: "BTCUSDT_261225".into(),
        symbol: "BTCUSDT-261225".into(),
        kind: InstrumentKind::Future,
        base: "BTC".into(),
        quote: "USDT".into(),
        settle: "USDT".into(),
        tick_size: Some(decimal("0.10")),
        lot_size: None,
        min_notional: Some(decimal("5")),
        multiplier: decimal("1"),
        inverse: false,
        conversion: Conversion::None,
        expiry: Some(1_798_185_600_000_000_000),
        strike: None,
        option_type: None,
        status: Status::Trading,
        status_native: "TRADING".into(),
    }
}

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

#[test]
fn an_input_stands_in_raw_byte_for_byte() {
    let mut batches = batches(Numeric::Float);
    let frame = RawRow {
        ts_mono: u64::MAX,
        kind: InputKind::Frame,
        request_id: None,
        status: None,
        headers: None,
        url: None,
        payload: b"\xff\x00{}",
    };
    let reply = RawRow {
        kind: InputKind::Http,
        request_id: Some(3),
        status: Some(429),
        headers: Some("retry-after: 7"),
        url: Some("http://localhost/depth"),
        payload: b"",
        ..frame
    };
    batches.raw(&key(SymbolId::NONE), &frame).expect("in range");
    batches.raw(&key(SymbolId::NONE), &reply).expect("in range");
    let batch = the_batch(&mut batches);
    assert_eq!(values::<UInt64Type>(&batch, "ts_mono"), [Some(u64::MAX); 2]);
    assert_eq!(words(&batch, "kind"), [Some("frame".to_owned()), Some("http".to_owned())]);
    assert_eq!(values::<UInt64Type>(&batch, "request_id"), [None, Some(3)]);
    assert_eq!(values::<UInt16Type>(&batch, "status"), [None, Some(429)]);
    let optional =
        |name: &str| column(&batch, name).as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(optional("headers"), [None, Some("retry-after: 7".to_owned())]);
    assert_eq!(optional("url"), [None, Some("http://localhost/depth".to_owned())]);
    let payload = column(&batch, "payload").as_binary::<i32>();
    assert_eq!(payload.iter().collect::<Vec<_>>(), [Some(b"\xff\x00{}".as_slice()), Some(b"")]);
}

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

// Lossy, out of range ---------------------------------------------------------------------------------------------

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

// Cuts ------------------------------------------------------------------------------------------------------------

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
    Trade { id: i64, text: Option<String>, price: i64, seq: Option<i64> },
    Book { bids: Vec<(i64, i64)>, asks: Vec<(i64, i64)>, prev: Option<i64> },
    Quote { bid: Option<(i64, i64)>, ask: Option<(i64, i64)> },
    Raw { payload: Vec<u8>, url: Option<String> },
    Close,
}

fn call() -> impl Strategy<Value = Call> {
    let level = || (any::<i32>().prop_map(i64::from), 0..1000i64);
    let levels = move || proptest::collection::vec(level(), 0..20);
    prop_oneof![
        4 => (any::<i64>(), proptest::option::of("[a-z0-9é-]{0,20}"), any::<i64>(), any::<Option<i64>>())
            .prop_map(|(id, text, price, seq)| Call::Trade { id, text, price, seq }),
        4 => (levels(), levels(), any::<Option<i64>>())
            .prop_map(|(bids, asks, prev)| Call::Book { bids, asks, prev }),
        4 => (proptest::option::of(level()), proptest::option::of(level()))
            .prop_map(|(bid, ask)| Call::Quote { bid, ask }),
        2 => (proptest::collection::vec(any::<u8>(), 0..50), proptest::option::of("[a-z:/]{0,9}"))
            .prop_map(|(payload, url)| Call::Raw { payload, url }),
        1 => Just(Call::Close),
    ]
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
            Call::Trade { id, text, price, seq } => {
                let mut ids = Texts::default();
                let id = text.as_deref().map_or(TradeId::Number(*id), |text| TradeId::Text(ids.add(text)));
                let price = Decimal::new(i128::from(*price), 4);
                batches.trade(&key, &Trade { price, seq: *seq, ..trade(id, "1", "0.10") }, &ids, &Conversion::None)
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

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

use super::*;

mod bbo;
mod books;
mod closing;
mod connections;
mod gaps;
mod instruments;
mod numbers;
mod raw;
mod schemas;
mod states;
mod trades;
mod units;

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
        liquidated: None,
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

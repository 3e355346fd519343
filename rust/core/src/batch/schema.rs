//! The tables as Arrow schemas. One table has one schema for one [`Numeric`] and one [`SizeUnit`], whatever the batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use crate::config::{Numeric, SizeUnit};
use crate::decimal::DECIMAL_SCALE;
use crate::table::{SCHEMA_VERSION, Table};

/// Zone of every time.
pub(super) const UTC: &str = "UTC";
/// Digits of the `decimal128(38, 18)` columns.
pub(super) const DECIMAL_PRECISION: u8 = 38;
/// Sides of a book, in `levels`.
pub(super) const BOOK_SIDES: [&str; 2] = ["bid", "ask"];

/// The schema of a table.
///
/// In `fixed`, the scales stand at the table's end. Every price of a row shares `price_scale` and every size
/// `size_scale`; funding rates have `rate_scale`, implied volatilities share `iv_scale` and greeks `greek_scale`. Each
/// is null where the row has no such number. In `instruments`, steps, notionals and strikes are prices, and lots and
/// multipliers are sizes; contracts and open interest are sizes everywhere.
#[must_use]
pub fn schema(table: Table, numeric: Numeric, size_unit: SizeUnit) -> SchemaRef {
    let mut fields = keys();
    fields.extend(columns(table, &number(numeric)));
    if numeric == Numeric::Fixed {
        fields.extend(scales(table).iter().map(|name| maybe(name, DataType::Int8)));
    }
    let metadata = [
        ("xtrader.schema_version", SCHEMA_VERSION),
        ("xtrader.table", table.name()),
        ("xtrader.numeric", numeric.name()),
        ("xtrader.size_unit", size_unit.name()),
    ];
    let metadata: HashMap<_, _> = metadata.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    Arc::new(Schema::new(fields).with_metadata(metadata))
}

/// The field of the items of a list: never null.
pub(super) fn list_item(items: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(items, false))
}

fn keys() -> Vec<Field> {
    vec![
        maybe("ts_event", time()),
        maybe("ts_venue", time()),
        is("ts_recv", time()),
        is("exchange", word()),
        is("symbol", DataType::Utf8),
        is("shard", DataType::UInt16),
        is("msg_id", DataType::Int64),
        is("row", DataType::Int32),
        is("conn_id", DataType::UInt16),
        is("flags", DataType::UInt8),
    ]
}

fn columns(table: Table, number: &DataType) -> Vec<Field> {
    let number = || number.clone();
    let numbers = || DataType::List(list_item(number()));
    match table {
        Table::Trades => vec![
            is("trade_id", DataType::Utf8),
            is("side", word()),
            is("price", number()),
            is("size", number()),
            maybe("contracts", number()),
            maybe("count", DataType::Int64),
            maybe("first_id", DataType::Int64),
            maybe("last_id", DataType::Int64),
            maybe("seq", DataType::Int64),
            is("condition", word()),
            maybe("index_price", number()),
            maybe("mark_price", number()),
            is("source", word()),
        ],
        Table::L2 => vec![
            is("is_snapshot", DataType::Boolean),
            maybe("first_id", DataType::Int64),
            maybe("last_id", DataType::Int64),
            maybe("prev_id", DataType::Int64),
            is("bid_prices", numbers()),
            is("bid_sizes", numbers()),
            is("ask_prices", numbers()),
            is("ask_sizes", numbers()),
            is("source", word()),
        ],
        Table::Levels => {
            vec![is("is_snapshot", DataType::Boolean), is("side", word()), is("price", number()), is("size", number())]
        }
        Table::L2Top => vec![
            is("bid_prices", numbers()),
            is("bid_sizes", numbers()),
            is("ask_prices", numbers()),
            is("ask_sizes", numbers()),
        ],
        Table::Derivatives => vec![
            maybe("mark_price", number()),
            maybe("index_price", number()),
            maybe("funding_rate", number()),
            maybe("next_funding_time", time()),
            maybe("open_interest", number()),
            maybe("last_price", number()),
        ],
        Table::Options => [
            "underlying_price",
            "mark_price",
            "mark_iv",
            "bid_iv",
            "ask_iv",
            "delta",
            "gamma",
            "vega",
            "theta",
            "open_interest",
        ]
        .map(|name| maybe(name, number()))
        .into(),
        Table::Liquidations => vec![
            maybe("id", DataType::Int64),
            is("side", word()),
            is("price", number()),
            is("size", number()),
            maybe("contracts", number()),
        ],
        Table::Bbo => vec![
            maybe("bid_price", number()),
            maybe("bid_size", number()),
            maybe("ask_price", number()),
            maybe("ask_size", number()),
            maybe("update_id", DataType::Int64),
        ],
        Table::Gaps => vec![
            is("gap_id", DataType::Int64),
            is("stream", word()),
            is("scope", word()),
            is("cause", word()),
            is("evidence", word()),
            maybe("missing", DataType::Int64),
            maybe("missing_unit", word()),
            maybe("first_missing", DataType::Int64),
            maybe("last_missing", DataType::Int64),
            maybe("ts_last_good", time()),
            is("ts_detected", time()),
            maybe("ts_resumed", time()),
            is("repaired", word()),
            is("conn_ids", DataType::List(list_item(DataType::UInt16))),
        ],
        Table::Instruments => vec![
            is("native_symbol", DataType::Utf8),
            is("kind", word()),
            is("base", DataType::Utf8),
            is("quote", DataType::Utf8),
            is("settle", DataType::Utf8),
            maybe("tick_size", number()),
            maybe("lot_size", number()),
            maybe("min_notional", number()),
            is("multiplier", number()),
            is("inverse", DataType::Boolean),
            maybe("expiry", time()),
            maybe("strike", number()),
            maybe("option_type", word()),
            is("status", word()),
            is("status_native", DataType::Utf8),
            is("valid_from", time()),
            maybe("valid_to", time()),
        ],
        Table::Connections => {
            let us = |name| maybe(name, DataType::Float64);
            vec![
                is("host", DataType::Utf8),
                maybe("ip", DataType::Utf8),
                maybe("opened_at", time()),
                is("state", word()),
                maybe("score", DataType::Float64),
                is("stamp_source", word()),
                is("messages", DataType::Int64),
                is("bytes", DataType::Int64),
                is("wins", DataType::Int64),
                is("losses", DataType::Int64),
                us("lead_p50_us"),
                us("behind_p50_us"),
                us("behind_p99_us"),
                us("latency_p50_us"),
                us("latency_p99_us"),
                is("reconnects", DataType::Int64),
                maybe("close_reason", DataType::Utf8),
                us("clock_offset_us"),
            ]
        }
        Table::Raw => vec![
            // Nanoseconds since an arbitrary origin are no time of day, so no timestamp.
            is("ts_mono", DataType::UInt64),
            is("kind", word()),
            maybe("request_id", DataType::UInt64),
            maybe("status", DataType::UInt16),
            maybe("headers", DataType::Utf8),
            maybe("url", DataType::Utf8),
            is("payload", DataType::Binary),
        ],
    }
}

/// The scale columns of a table in `fixed`.
const fn scales(table: Table) -> &'static [&'static str] {
    match table {
        Table::Gaps | Table::Raw | Table::Connections => &[],
        Table::Derivatives => &["price_scale", "size_scale", "rate_scale"],
        Table::Options => &["price_scale", "size_scale", "iv_scale", "greek_scale"],
        Table::Trades
        | Table::L2
        | Table::Levels
        | Table::Bbo
        | Table::Instruments
        | Table::L2Top
        | Table::Liquidations => &["price_scale", "size_scale"],
    }
}

fn is(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn maybe(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()))
}

/// A word of a closed set.
fn word() -> DataType {
    DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into())
}

const fn number(numeric: Numeric) -> DataType {
    match numeric {
        Numeric::Float => DataType::Float64,
        Numeric::Decimal => DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE as i8),
        Numeric::Fixed => DataType::Int64,
    }
}

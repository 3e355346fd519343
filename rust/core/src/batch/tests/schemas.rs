//! Schemas against the documentation.

use super::*;

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
        Table::Connections => {
            "host:utf8 ip:utf8? opened_at:time? state:word score:f64? stamp_source:word messages:i64 bytes:i64 wins:i64 \
             losses:i64 lead_p50_us:f64? behind_p50_us:f64? behind_p99_us:f64? latency_p50_us:f64? latency_p99_us:f64? \
             reconnects:i64 close_reason:utf8? clock_offset_us:f64?"
        }
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

//! The rows that came, read out of their Arrow batches.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt16Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use xtrader_core::batch::Batch;
use xtrader_core::table::Table;

/// The place of a row in the order of truth: input, then row within it.
pub type Place = (i64, i32);

/// What every row begins with.
#[derive(Clone, Debug)]
pub struct Key {
    /// Market and symbol.
    pub name: String,
    pub place: Place,
    /// The connection that brought it, 0 if none did.
    pub conn: u16,
}

#[derive(Clone, Debug)]
pub struct BookRow {
    pub key: Key,
    pub is_snapshot: bool,
    pub last_id: Option<i64>,
    pub prev_id: Option<i64>,
    pub bids: Vec<(f64, f64)>,
    pub asks: Vec<(f64, f64)>,
    pub source: String,
}

#[derive(Clone, Debug)]
pub struct TradeRow {
    pub key: Key,
    /// The number in the exchange's id.
    pub id: i64,
    pub side: String,
    pub price: f64,
    pub size: f64,
    pub first_id: Option<i64>,
    pub last_id: Option<i64>,
    pub seq: Option<i64>,
    pub source: String,
}

#[derive(Clone, Debug)]
pub struct GapRow {
    pub key: Key,
    pub gap_id: i64,
    pub stream: String,
    pub cause: String,
    pub evidence: String,
    pub missing: Option<i64>,
    pub ids: Option<(i64, i64)>,
    pub is_closed: bool,
    /// Who filled it: `none`, `connection` or `rest`.
    pub repaired: String,
}

impl GapRow {
    /// The second row of a gap that nobody has filled.
    pub fn is_lasting(&self) -> bool {
        self.is_closed && self.repaired == "none"
    }
}

#[derive(Clone, Debug)]
pub struct InstrumentRow {
    pub key: Key,
    pub native: String,
    pub status: String,
    pub valid_to: Option<i64>,
}

/// What stands in one column of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Number(f64),
    Integer(i64),
    /// Nanoseconds.
    Time(i64),
    Word(String),
    Numbers(Vec<f64>),
}

/// What a row says, by column. Null is not there.
pub type Cells = BTreeMap<String, Cell>;

/// A row of one of the tables that no book is built from.
#[derive(Clone, Debug)]
pub struct PlainRow {
    pub table: &'static str,
    pub key: Key,
    /// All but where it stands: who, from where, and when it was received.
    pub cells: Cells,
}

/// Everything that came, in order.
#[derive(Debug, Default)]
pub struct Tables {
    pub l2: Vec<BookRow>,
    pub trades: Vec<TradeRow>,
    /// Trades whose ids are of another space than those of the feed (Binance spot).
    pub off_book: Vec<TradeRow>,
    pub gaps: Vec<GapRow>,
    pub instruments: Vec<InstrumentRow>,
    /// Trades, quotes, samples of books, states and liquidations, whole.
    pub plain: Vec<PlainRow>,
    /// Payloads of inputs that were recorded.
    pub payloads: Vec<String>,
    /// Address and reason of each connection that has ended.
    pub ends: Vec<(String, String)>,
    /// How many rows a table has of a market and symbol.
    pub rows: BTreeMap<(&'static str, String), usize>,
}

impl Tables {
    pub fn take(&mut self, batch: &Batch) {
        let read = Reader(&batch.rows);
        for i in 0..batch.rows.num_rows() {
            let key = read.key(i);
            if matches!(
                batch.table,
                Table::Trades | Table::Bbo | Table::L2Top | Table::Derivatives | Table::Options | Table::Liquidations
            ) {
                self.plain.push(PlainRow { table: batch.table.name(), key: key.clone(), cells: read.cells(i) });
            }
            let is_off_book = batch.table == Table::Trades
                && key.name.starts_with("binance-spot:")
                && read.word("condition", i) == "block";
            if is_off_book {
                self.off_book.push(read.trade(key, i));
                continue;
            }
            *self.rows.entry((batch.table.name(), key.name.clone())).or_default() += 1;
            match batch.table {
                Table::L2 => self.l2.push(BookRow {
                    is_snapshot: read.column("is_snapshot").as_boolean().value(i),
                    last_id: read.maybe::<Int64Type>("last_id", i),
                    prev_id: read.maybe::<Int64Type>("prev_id", i),
                    bids: read.levels(["bid_prices", "bid_sizes"], i),
                    asks: read.levels(["ask_prices", "ask_sizes"], i),
                    source: read.word("source", i),
                    key,
                }),
                Table::Raw => {
                    let payload = read.column("payload").as_binary::<i32>().value(i);
                    self.payloads.push(String::from_utf8_lossy(payload).into_owned());
                }
                Table::Trades => self.trades.push(read.trade(key, i)),
                Table::Gaps => self.gaps.push(GapRow {
                    gap_id: read.value::<Int64Type>("gap_id", i),
                    stream: read.word("stream", i),
                    cause: read.word("cause", i),
                    evidence: read.word("evidence", i),
                    missing: read.maybe::<Int64Type>("missing", i),
                    ids: read.maybe::<Int64Type>("first_missing", i).zip(read.maybe::<Int64Type>("last_missing", i)),
                    is_closed: read.maybe::<TimestampNanosecondType>("ts_resumed", i).is_some(),
                    repaired: read.word("repaired", i),
                    key,
                }),
                Table::Instruments => self.instruments.push(InstrumentRow {
                    native: read.text("native_symbol", i),
                    status: read.word("status", i),
                    valid_to: read.maybe::<TimestampNanosecondType>("valid_to", i),
                    key,
                }),
                Table::Connections => {
                    let reason = read.text("close_reason", i);
                    if !reason.is_empty() {
                        self.ends.push((read.text("ip", i), reason));
                    }
                }
                _ => {}
            }
        }
    }

    /// How many rows a table has of an instrument.
    pub fn count(&self, table: &'static str, name: &str) -> usize {
        self.rows.get(&(table, name.to_owned())).copied().unwrap_or_default()
    }

    /// What stays missing of a stream of an instrument: gaps that nobody has filled, closed or not yet.
    pub fn lasting_gaps_of<'a>(&'a self, stream: &'a str, name: &'a str) -> impl Iterator<Item = &'a GapRow> {
        let closed: BTreeSet<i64> = self.gaps.iter().filter(|gap| gap.is_closed).map(|gap| gap.gap_id).collect();
        self.gaps_of(stream, name).filter(move |gap| gap.is_lasting() || !closed.contains(&gap.gap_id))
    }

    /// The gap rows of a stream of an instrument.
    pub fn gaps_of<'a>(&'a self, stream: &'a str, name: &'a str) -> impl Iterator<Item = &'a GapRow> {
        self.gaps.iter().filter(move |gap| gap.stream == stream && gap.key.name == name)
    }
}

/// The digits at the end of an id (`ETH-123`).
pub fn number(id: &str) -> i64 {
    let digits = id.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap_or_else(|e| panic!("{id:?} ends in no number: {e}"))
}

struct Reader<'a>(&'a RecordBatch);

impl Reader<'_> {
    fn trade(&self, key: Key, i: usize) -> TradeRow {
        TradeRow {
            key,
            id: number(&self.text("trade_id", i)),
            side: self.word("side", i),
            price: self.value::<Float64Type>("price", i),
            size: self.value::<Float64Type>("size", i),
            first_id: self.maybe::<Int64Type>("first_id", i),
            last_id: self.maybe::<Int64Type>("last_id", i),
            seq: self.maybe::<Int64Type>("seq", i),
            source: self.word("source", i),
        }
    }

    fn column(&self, name: &str) -> &dyn Array {
        self.0.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
    }

    fn value<T: ArrowPrimitiveType>(&self, name: &str, i: usize) -> T::Native {
        self.column(name).as_primitive::<T>().value(i)
    }

    fn maybe<T: ArrowPrimitiveType>(&self, name: &str, i: usize) -> Option<T::Native> {
        let column = self.column(name).as_primitive::<T>();
        column.is_valid(i).then(|| column.value(i))
    }

    fn text(&self, name: &str, i: usize) -> String {
        self.column(name).as_string::<i32>().value(i).to_owned()
    }

    fn word(&self, name: &str, i: usize) -> String {
        let column = self.column(name).as_any_dictionary();
        column.values().as_string::<i32>().value(column.normalized_keys()[i]).to_owned()
    }

    /// Every column that is not null, but the place of the row.
    fn cells(&self, i: usize) -> Cells {
        const PLACE: [&str; 8] = ["ts_recv", "exchange", "symbol", "shard", "msg_id", "row", "conn_id", "flags"];
        let schema = self.0.schema();
        let says = schema.fields().iter().filter(|field| !PLACE.contains(&field.name().as_str()));
        let says = says.filter(|field| self.column(field.name()).is_valid(i));
        let cell = |field: &arrow_schema::Field| {
            let name = field.name();
            match field.data_type() {
                DataType::Float64 => Cell::Number(self.value::<Float64Type>(name, i)),
                DataType::Int64 => Cell::Integer(self.value::<Int64Type>(name, i)),
                DataType::Timestamp(..) => Cell::Time(self.value::<TimestampNanosecondType>(name, i)),
                DataType::Utf8 => Cell::Word(self.text(name, i)),
                DataType::Dictionary(..) => Cell::Word(self.word(name, i)),
                DataType::List(_) => {
                    let list = self.column(name).as_list::<i32>().value(i);
                    Cell::Numbers(list.as_primitive::<Float64Type>().values().to_vec())
                }
                other => panic!("{name} is {other}"),
            }
        };
        says.map(|field| (field.name().clone(), cell(field))).collect()
    }

    fn levels(&self, [prices, sizes]: [&str; 2], i: usize) -> Vec<(f64, f64)> {
        let [prices, sizes] = [prices, sizes].map(|name| self.column(name).as_list::<i32>().value(i));
        let [prices, sizes] = [&prices, &sizes].map(|list| list.as_primitive::<Float64Type>().values());
        prices.iter().copied().zip(sizes.iter().copied()).collect()
    }

    fn key(&self, i: usize) -> Key {
        Key {
            name: format!("{}:{}", self.word("exchange", i), self.text("symbol", i)),
            place: (self.value::<Int64Type>("msg_id", i), self.value::<Int32Type>("row", i)),
            conn: self.value::<UInt16Type>("conn_id", i),
        }
    }
}

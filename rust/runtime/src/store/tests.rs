#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder};
use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int8Array, Int64Array, StringArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::testing::{Folder, files};

const NOON: i64 = 20_000 * NS_PER_DAY + NS_PER_DAY / 2;

#[derive(Clone, Debug)]
struct Row {
    ts_recv: i64,
    symbol: &'static str,
    sizes: Vec<f64>,
    payload: Vec<u8>,
}

fn row(ts_recv: i64, symbol: &'static str) -> Row {
    Row { ts_recv, symbol, sizes: vec![1.5, 0.0], payload: b"{}".to_vec() }
}

fn schema() -> SchemaRef {
    let word = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into());
    let item = Arc::new(Field::new_list_field(DataType::Float64, false));
    let fields = vec![
        Field::new("ts_event", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), true),
        Field::new("ts_recv", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
        Field::new("exchange", word, false),
        Field::new("symbol", DataType::Utf8, false),
        Field::new("msg_id", DataType::Int64, false),
        Field::new("price", DataType::Float64, false),
        Field::new("bid_sizes", DataType::List(item), false),
        Field::new("payload", DataType::Binary, false),
    ];
    let metadata = [("xtrader.table", "l2"), ("xtrader.numeric", "float")];
    Arc::new(Schema::new(fields).with_metadata(metadata.map(|(k, v)| (k.to_owned(), v.to_owned())).into()))
}

/// Rows as a batch, numbered from `first`.
fn batch(rows: &[Row], first: usize) -> Batch {
    let mut sizes = ListBuilder::new(Float64Builder::new()).with_field(Field::new_list_field(DataType::Float64, false));
    for row in rows {
        sizes.values().append_slice(&row.sizes);
        sizes.append(true);
    }
    let exchange = DictionaryArray::new(
        Int8Array::from(vec![0; rows.len()]),
        Arc::new(StringArray::from(Exchange::DICTIONARY.to_vec())),
    );
    let times = |times: TimestampNanosecondArray| Arc::new(times.with_timezone("UTC")) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().enumerate().map(|(i, row)| (i % 3 > 0).then_some(row.ts_recv - 1)).collect()),
        times(rows.iter().map(|row| Some(row.ts_recv)).collect()),
        Arc::new(exchange),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.symbol))),
        Arc::new(Int64Array::from_iter_values((first..first + rows.len()).map(|id| id as i64))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| (row.ts_recv % 7) as f64))),
        Arc::new(sizes.finish()),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.payload))),
    ];
    Batch { table: Table::L2, rows: RecordBatch::try_new(schema(), columns).unwrap() }
}

fn create(root: &Path, options: StoreOptions) -> Result<ParquetStore, RuntimeError> {
    ParquetStore::create(root, &[Table::L2], options)
}

/// Writes rows, cut into batches at these places.
fn store(root: &Path, rows: &[Row], cuts: &[usize], options: StoreOptions) -> Vec<StoredPart> {
    let mut store = create(root, options).unwrap();
    let whole = batch(rows, 0);
    let mut at: Vec<usize> = cuts.to_vec();
    at.extend([0, rows.len()]);
    at.sort_unstable();
    for (number, pair) in at.windows(2).enumerate() {
        let (start, end) = (pair[0], pair[1]);
        // Slices of a larger batch and batches of their own must be the same.
        let piece = match number % 2 {
            0 => Batch { table: Table::L2, rows: whole.rows.slice(start, end - start) },
            _ => Batch { table: Table::L2, rows: batch_at(&whole, rows, start, end) },
        };
        store.write(&piece).unwrap();
    }
    store.finish().unwrap()
}

/// A batch of its own with the values that the slice has.
fn batch_at(whole: &Batch, rows: &[Row], start: usize, end: usize) -> RecordBatch {
    let mut columns = batch(&rows[start..end], start).rows.columns().to_vec();
    columns[0] = whole.rows.column(0).slice(start, end - start);
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Symbols and numbers of one file, a list per row group.
fn read(path: &Path) -> Vec<Vec<(String, i64)>> {
    let groups =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().metadata().num_row_groups();
    let read_group = |group| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let reader = builder.with_row_groups(vec![group]).build().unwrap();
        let rows = reader.flat_map(|batch| {
            let batch = batch.unwrap();
            let symbols = batch.column_by_name("symbol").unwrap().as_string::<i32>().clone();
            let ids = batch.column_by_name("msg_id").unwrap().as_primitive::<Int64Type>().clone();
            (0..batch.num_rows()).map(move |row| (symbols.value(row).to_owned(), ids.value(row))).collect::<Vec<_>>()
        });
        rows.collect()
    };
    (0..groups).map(read_group).collect()
}

fn small() -> StoreOptions {
    StoreOptions { row_group_rows: 5, row_group_bytes: 300, part_bytes: 6000, ..StoreOptions::default() }
}

#[test]
fn the_layout_is_hive_partitions_with_exchange_and_date_in_the_path_only() {
    let folder = Folder::new();
    let rows = [row(NOON, "BTCUSDT"), row(NOON + NS_PER_DAY, "BTCUSDT"), row(NOON, "ETHUSDT")];
    let parts = store(folder.path(), &rows, &[], StoreOptions::default());
    let names: Vec<String> = files(folder.path()).into_keys().collect();
    let days = ["2024-10-04", "2024-10-05"];
    let expected = days.map(|day| format!("l2/exchange=binance-futures/date={day}/part-00000.parquet"));
    assert_eq!(names, expected);
    assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), 3);
    let file = part::schema(&folder.path().join(&names[0])).unwrap();
    let columns: Vec<&str> = file.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["ts_event", "ts_recv", "symbol", "msg_id", "price", "bid_sizes", "payload"]);
    assert_eq!(file.metadata(), schema().metadata());
}

#[test]
fn the_footer_bears_the_metadata_and_columns_are_encoded_as_their_kind_asks() {
    let folder = Folder::new();
    let parts = store(folder.path(), &[row(NOON, "A"), row(NOON, "B")], &[], StoreOptions::default());
    let file = File::open(&parts[0].path).unwrap();
    assert_eq!(file.metadata().unwrap().len(), parts[0].bytes);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let footer = builder.metadata().file_metadata();
    let metadata: Vec<(&str, Option<&str>)> = footer
        .key_value_metadata()
        .unwrap()
        .iter()
        .filter(|pair| pair.key.starts_with("xtrader."))
        .map(|pair| (pair.key.as_str(), pair.value.as_deref()))
        .collect();
    assert_eq!(metadata, [("xtrader.numeric", Some("float")), ("xtrader.table", Some("l2"))]);
    let group = builder.metadata().row_group(0);
    let encoded = |name: &str, encoding| {
        let column = group.columns().iter().find(|column| column.column_path().parts()[0] == name).unwrap();
        column.encodings().any(|one| one == encoding)
    };
    for name in ["ts_event", "ts_recv", "msg_id"] {
        assert!(encoded(name, Encoding::DELTA_BINARY_PACKED) && !encoded(name, Encoding::RLE_DICTIONARY), "{name}");
    }
    for name in ["price", "bid_sizes", "symbol"] {
        assert!(encoded(name, Encoding::RLE_DICTIONARY), "{name}");
    }
    assert!(!encoded("payload", Encoding::RLE_DICTIONARY));
}

#[test]
fn a_part_has_its_name_only_when_it_is_complete_and_an_abandoned_one_leaves_nothing() {
    let folder = Folder::new();
    let mut store = create(folder.path(), small()).unwrap();
    store.write(&batch(&vec![row(NOON, "A"); 7], 0)).unwrap();
    let during: Vec<String> = files(folder.path()).into_keys().collect();
    assert_eq!(during, ["l2/exchange=binance-futures/date=2024-10-04/.part-00000.parquet.tmp"]);
    assert!(store.buffered_bytes() > 0);
    drop(store);
    assert!(files(folder.path()).is_empty());
}

#[test]
fn stored_data_is_never_overwritten() {
    let folder = Folder::new();
    store(folder.path(), &[row(NOON, "A")], &[], StoreOptions::default());
    let before = files(folder.path());
    let error = create(folder.path(), StoreOptions::default()).err().unwrap();
    assert!(matches!(&error, RuntimeError::Exists { table: "l2", .. }), "{error}");
    assert!(error.to_string().contains("name another folder"), "{error}");
    // Another table may stand beside it.
    ParquetStore::create(folder.path(), &[Table::Trades], StoreOptions::default()).unwrap();
    let more = StoreOptions { existing: Existing::Continue, ..StoreOptions::default() };
    let parts = store(folder.path(), &[row(NOON, "B")], &[], more);
    assert!(parts[0].path.ends_with("part-00001.parquet"));
    let after = files(folder.path());
    assert_eq!(after.len(), 2);
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
}

#[test]
fn one_table_has_one_schema_also_over_runs() {
    let folder = Folder::new();
    store(folder.path(), &[row(NOON, "A")], &[], StoreOptions::default());
    let more = StoreOptions { existing: Existing::Continue, ..StoreOptions::default() };
    let mut store = create(folder.path(), more).unwrap();
    let rows = batch(&[row(NOON, "A")], 0).rows;
    let other = Schema::clone(&schema()).with_metadata([("xtrader.numeric".to_owned(), "fixed".to_owned())].into());
    let rows = RecordBatch::try_new(Arc::new(other), rows.columns().to_vec()).unwrap();
    let error = store.write(&Batch { table: Table::L2, rows }).unwrap_err();
    assert!(error.to_string().contains("another schema"), "{error}");
    assert!(matches!(store.write(&batch(&[row(NOON, "A")], 0)), Err(RuntimeError::Incomplete { .. })));
    assert!(matches!(store.finish(), Err(RuntimeError::Incomplete { .. })));
}

#[test]
fn two_writers_cannot_have_one_folder() {
    let folder = Folder::new();
    let first = create(folder.path(), StoreOptions::default()).unwrap();
    assert!(matches!(create(folder.path(), StoreOptions::default()), Err(RuntimeError::Busy { .. })));
    drop(first);
    create(folder.path(), StoreOptions::default()).unwrap();
}

// Fault: B14
#[test]
fn a_name_that_is_not_ours_never_becomes_a_folder() {
    let folder = Folder::new();
    let mut store = create(folder.path(), StoreOptions::default()).unwrap();
    let rows = batch(&[row(NOON, "A")], 0).rows;
    let mut columns = rows.columns().to_vec();
    let words = Arc::new(StringArray::from(vec!["../../etc"]));
    columns[2] = Arc::new(DictionaryArray::new(Int8Array::from(vec![0]), words));
    let rows = RecordBatch::try_new(schema(), columns).unwrap();
    assert!(matches!(store.write(&Batch { table: Table::L2, rows }), Err(RuntimeError::Batch { .. })));
    drop(store);
    assert!(files(folder.path()).is_empty());
}

#[test]
fn options_out_of_bounds_are_refused_by_name() {
    let folder = Folder::new();
    for (name, options) in [
        ("row_group_rows", StoreOptions { row_group_rows: 0, ..StoreOptions::default() }),
        ("zstd_level", StoreOptions { zstd_level: -1, ..StoreOptions::default() }),
    ] {
        let error = create(folder.path(), options).err().unwrap().to_string();
        assert!(error.contains(name), "{error}");
    }
}

fn any_row() -> impl Strategy<Value = Row> {
    let symbol = prop::sample::select(vec!["BTCUSDT", "ETHUSDT", "1000PEPEUSDT", ""]);
    let sizes = prop::collection::vec(0.0..9.0, 0..4);
    // Around one midnight, and now and then far from it.
    let time = prop_oneof![8 => -3_i64..3, 1 => prop::sample::select(vec![-2 * NS_PER_DAY, 2 * NS_PER_DAY])];
    (time, symbol, sizes, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(time, symbol, sizes, payload)| Row {
        ts_recv: NOON + NS_PER_DAY / 2 + time,
        symbol,
        sizes,
        payload,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_rows_give_the_same_bytes_however_they_were_cut(
        rows in prop::collection::vec(any_row(), 1..60),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len())).collect();
        let (whole, cut) = (Folder::new(), Folder::new());
        store(whole.path(), &rows, &[], small());
        store(cut.path(), &rows, &cuts, small());
        prop_assert_eq!(files(whole.path()), files(cut.path()));
    }

    #[test]
    fn every_row_is_there_once_by_symbol_within_a_group_and_in_order_within_a_symbol(
        rows in prop::collection::vec(any_row(), 1..60),
    ) {
        let folder = Folder::new();
        let parts = store(folder.path(), &rows, &[], small());
        let mut naive: BTreeMap<(String, &str), Vec<i64>> = BTreeMap::new();
        for (id, row) in rows.iter().enumerate() {
            let day = row.ts_recv.div_euclid(NS_PER_DAY);
            let folder = layout::partition(Path::new(""), Table::L2, "binance-futures", day);
            naive.entry((folder.to_str().unwrap().to_owned(), row.symbol)).or_default().push(id as i64);
        }
        let mut found: BTreeMap<(String, &str), Vec<i64>> = BTreeMap::new();
        for name in files(folder.path()).keys() {
            let path = folder.path().join(name);
            let day = Path::new(name).parent().unwrap().to_str().unwrap();
            for group in read(&path) {
                prop_assert!(group.len() <= 5);
                let mut runs: Vec<&str> = group.iter().map(|(symbol, _)| symbol.as_str()).collect();
                runs.dedup();
                prop_assert!(runs.windows(2).all(|pair| pair[0] < pair[1]), "a symbol stands in two places: {:?}", runs);
                for (symbol, id) in &group {
                    let known = rows.iter().map(|row| row.symbol).find(|known| known == symbol).unwrap();
                    found.entry((day.to_owned(), known)).or_default().push(*id);
                }
            }
        }
        prop_assert_eq!(found, naive);
        prop_assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), rows.len() as u64);
    }
}

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow_array::{Int8Array, Int64Array, TimestampNanosecondArray, UInt16Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::*;
use crate::testing::Folder;

/// A row as a test writes it down.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) kind: InputKind,
    pub(crate) at: Stamp,
    pub(crate) msg_id: i64,
    pub(crate) conn: u16,
    pub(crate) request: Option<u64>,
    pub(crate) status: Option<u16>,
    pub(crate) headers: Option<&'static str>,
    pub(crate) url: Option<&'static str>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn written(kind: InputKind, msg_id: i64, payload: &[u8]) -> Written {
    Written {
        kind,
        at: Stamp { wall: 1_700_000_000_000_000_000 + msg_id, mono: 10 * msg_id.unsigned_abs() },
        msg_id,
        conn: 0,
        request: None,
        status: None,
        headers: None,
        url: None,
        payload: payload.to_vec(),
    }
}

/// A part of `raw` as `collect` writes it.
pub(crate) fn part(folder: &Folder, name: &str, rows: &[Written]) -> PathBuf {
    part_as(folder, name, rows, Compression::UNCOMPRESSED)
}

fn part_as(folder: &Folder, name: &str, rows: &[Written], compression: Compression) -> PathBuf {
    let word = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into());
    let fields = vec![
        Field::new("ts_recv", DataType::Timestamp(arrow_schema::TimeUnit::Nanosecond, Some("UTC".into())), false),
        Field::new("symbol", DataType::Utf8, false),
        Field::new("shard", DataType::UInt16, false),
        Field::new("msg_id", DataType::Int64, false),
        Field::new("conn_id", DataType::UInt16, false),
        Field::new("ts_mono", DataType::UInt64, false),
        Field::new("kind", word, false),
        Field::new("request_id", DataType::UInt64, true),
        Field::new("status", DataType::UInt16, true),
        Field::new("headers", DataType::Utf8, true),
        Field::new("url", DataType::Utf8, true),
        Field::new("payload", DataType::Binary, false),
    ];
    let words = Arc::new(StringArray::from(InputKind::DICTIONARY.to_vec()));
    let kinds = Int8Array::from_iter_values(rows.iter().map(|row| row.kind as i8));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.at.wall)).with_timezone("UTC")),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| ""))),
        Arc::new(UInt16Array::from_iter_values(rows.iter().map(|_| 0))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.msg_id))),
        Arc::new(UInt16Array::from_iter_values(rows.iter().map(|row| row.conn))),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.at.mono))),
        Arc::new(DictionaryArray::new(kinds, words)),
        Arc::new(rows.iter().map(|row| row.request).collect::<UInt64Array>()),
        Arc::new(rows.iter().map(|row| row.status).collect::<UInt16Array>()),
        Arc::new(rows.iter().map(|row| row.headers).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.url).collect::<StringArray>()),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.payload))),
    ];
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let path = folder.file(name, b"");
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    path
}

fn ids(path: &Path) -> Result<Vec<i64>, RuntimeError> {
    let mut reader = RawReader::open(&[path.to_owned()])?;
    let mut ids = Vec::new();
    while reader.advance()? {
        ids.push(reader.row()?.msg_id);
    }
    assert_eq!(reader.bytes_read(), reader.bytes_total());
    Ok(ids)
}

#[test]
fn a_row_comes_back_with_everything_that_was_recorded() {
    let folder = Folder::new();
    let mut reply = written(InputKind::Http, 1, b"{\"lastUpdateId\":1}");
    (reply.request, reply.status) = (Some(3), Some(429));
    (reply.headers, reply.url) = (Some("retry-after-ms: 5"), Some("https://x/depth"));
    let mut frame = written(InputKind::Frame, 2, b"{}");
    frame.conn = 7;
    let path = part(&folder, "part-00000.parquet", &[written(InputKind::Start, 0, b"{}"), reply.clone(), frame]);
    let mut reader = RawReader::open(&[path]).unwrap();
    assert!(reader.advance().unwrap() && reader.advance().unwrap());
    let expected = RawRow {
        at: reply.at,
        shard: 0,
        msg_id: 1,
        kind: InputKind::Http,
        conn: ConnId::NONE,
        request: Some(3),
        status: Some(429),
        headers: Some("retry-after-ms: 5"),
        url: Some("https://x/depth"),
        payload: b"{\"lastUpdateId\":1}",
    };
    assert_eq!(reader.row().unwrap(), expected);
    assert!(reader.advance().unwrap());
    let frame = reader.row().unwrap();
    assert_eq!((frame.conn, frame.request, frame.status, frame.url), (ConnId(7), None, None, None));
    assert!(!reader.advance().unwrap());
}

#[test]
fn a_folder_is_read_by_path_and_what_is_not_complete_is_not_read() {
    let folder = Folder::new();
    let rows: Vec<Written> =
        (0..4).map(|id| written(if id == 0 { InputKind::Start } else { InputKind::Frame }, id, b"x")).collect();
    let day = |date: &str, number: u32| format!("raw/exchange=binance-futures/date={date}/part-{number:05}.parquet");
    part(&folder, &day("2026-01-02", 0), &rows[3..]);
    part(&folder, &day("2026-01-01", 1), &rows[2..3]);
    part(&folder, &day("2026-01-01", 0), &rows[..2]);
    folder.file("raw/exchange=binance-futures/date=2026-01-02/.part-00001.parquet.tmp", b"PAR1");
    folder.file("trades/exchange=binance-futures/date=2026-01-01/part-00000.parquet", b"other");
    for place in ["", "raw", "raw/exchange=binance-futures"] {
        let path = folder.path().join(place);
        assert!(is_raw(&path), "{place}");
        assert_eq!(ids(&path).unwrap(), [0, 1, 2, 3], "{place}");
    }
    assert!(is_raw(&folder.path().join(day("2026-01-01", 0))));
    assert!(!is_raw(&folder.file("captures/a.jsonl", b"")) && !is_raw(&folder.path().join("captures")));
}

/// As pyarrow and others write it when somebody rewrites a table.
#[test]
fn it_may_be_compressed_in_another_way() {
    let rows = [written(InputKind::Start, 0, b"{}"), written(InputKind::Frame, 1, &[b'x'; 4096])];
    for compression in [Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
        let folder = Folder::new();
        let path = part_as(&folder, "part-00000.parquet", &rows, compression);
        assert_eq!(ids(&path).unwrap(), [0, 1], "{compression:?}");
    }
}

#[test]
fn a_row_that_is_missing_is_an_error_with_its_place() {
    let start = || written(InputKind::Start, 0, b"{}");
    let frame = |id| written(InputKind::Frame, id, b"{}");
    for (rows, names) in [
        (vec![start(), frame(1), frame(3)], "row 3: msg_id 3 follows 1"),
        (vec![start(), frame(1), frame(1)], "row 3: msg_id 1 follows 1"),
        (vec![frame(1)], "row 1: the recording does not begin with a `start` row"),
    ] {
        let folder = Folder::new();
        let text = ids(&part(&folder, "part-00000.parquet", &rows)).unwrap_err().to_string();
        assert!(text.contains("part-00000.parquet, ") && text.contains(names), "{text}");
    }
    let folder = Folder::new();
    let again = [start(), frame(1), start(), frame(1)];
    assert_eq!(ids(&part(&folder, "part-00000.parquet", &again)).unwrap(), [0, 1, 0, 1]);
}

#[test]
fn another_table_is_refused_by_the_column_that_it_lacks() {
    let folder = Folder::new();
    let path = folder.file("part-00000.parquet", b"");
    let rows = RecordBatch::try_from_iter([("symbol", Arc::new(StringArray::from(vec!["A"])) as ArrayRef)]).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let text = ids(&path).unwrap_err().to_string();
    assert!(text.contains("no `raw` table"), "{text}");
    let broken = folder.file("part-00001.parquet", b"PAR1 cut");
    assert!(matches!(ids(&broken), Err(RuntimeError::Parquet { .. })));
}

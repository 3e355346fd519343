//! What is known of a table's columns: what a row weighs, and how each is encoded.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Numbers that mostly rise by little. (In `fixed`, prices are integers too, and those repeat: they get a dictionary.)
const RISING: &[&str] =
    &["msg_id", "row", "first_id", "last_id", "prev_id", "seq", "update_id", "gap_id", "ts_mono", "request_id"];

/// Where each column stands in a file, whose schema is that of the batches without `exchange`.
pub(super) struct Columns {
    kept: Vec<usize>,
    pub(super) symbol: usize,
    fixed_bytes: usize,
    variable: Vec<usize>,
}

impl Columns {
    /// Looks at the schema of the batches and makes that of the files.
    pub(super) fn new(batch: &Schema) -> Result<(Self, SchemaRef), String> {
        let kept: Vec<usize> = (0..batch.fields().len()).filter(|at| batch.field(*at).name() != "exchange").collect();
        let file = batch.project(&kept).map_err(|error| error.to_string())?;
        let symbol = file.index_of("symbol").map_err(|error| error.to_string())?;
        if file.field(symbol).data_type() != &DataType::Utf8 {
            return Err("symbol is not utf8".to_owned());
        }
        let mut columns = Self { kept, symbol, fixed_bytes: 0, variable: Vec::new() };
        for (at, field) in file.fields().iter().enumerate() {
            match field.data_type() {
                DataType::Utf8 | DataType::Binary => columns.variable.push(at),
                DataType::List(item) if item.data_type().primitive_width().is_some() => columns.variable.push(at),
                DataType::Boolean => columns.fixed_bytes += 1,
                DataType::Dictionary(key, _) => columns.fixed_bytes += key.primitive_width().unwrap_or(1),
                other => {
                    let width = other.primitive_width();
                    columns.fixed_bytes +=
                        width.ok_or_else(|| format!("column {} has a type no file holds", field.name()))?;
                }
            }
        }
        Ok((columns, Arc::new(file)))
    }

    /// The rows as they stand in a file.
    pub(super) fn without_exchange(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        batch.project(&self.kept)
    }

    /// What each row weighs: by its content alone, so that the same rows always end a row group.
    pub(super) fn row_bytes(&self, rows: &RecordBatch) -> Vec<usize> {
        let mut bytes = vec![self.fixed_bytes; rows.num_rows()];
        let mut add = |offsets: &[i32], width: usize| {
            for (row, pair) in bytes.iter_mut().zip(offsets.windows(2)) {
                *row += usize::try_from(pair[1] - pair[0]).unwrap_or(0) * width;
            }
        };
        for at in &self.variable {
            let column = rows.column(*at);
            match column.data_type() {
                DataType::Utf8 => add(column.as_string::<i32>().value_offsets(), 1),
                DataType::Binary => add(column.as_binary::<i32>().value_offsets(), 1),
                DataType::List(item) => {
                    add(column.as_list::<i32>().value_offsets(), item.data_type().primitive_width().unwrap_or(1));
                }
                _ => {}
            }
        }
        bytes
    }
}

/// How the files of a table are written: everything in them follows from the rows.
pub(super) fn properties(file: &Schema, zstd_level: i32) -> Result<WriterProperties, parquet::errors::ParquetError> {
    let mut metadata: Vec<KeyValue> =
        file.metadata().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    metadata.sort_by(|a, b| a.key.cmp(&b.key));
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("xtrader version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
        .set_key_value_metadata(Some(metadata))
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(None);
    for field in file.fields() {
        builder = encode(builder, field.name(), field.data_type());
    }
    Ok(builder.build())
}

fn encode(builder: WriterPropertiesBuilder, name: &str, data_type: &DataType) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(name);
    let plain = |builder: WriterPropertiesBuilder, encoding| {
        builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path.clone(), encoding)
    };
    match (name, data_type) {
        (_, DataType::Timestamp(..)) => plain(builder, Encoding::DELTA_BINARY_PACKED),
        (name, _) if RISING.contains(&name) => plain(builder, Encoding::DELTA_BINARY_PACKED),
        ("trade_id", DataType::Utf8) => plain(builder, Encoding::DELTA_BYTE_ARRAY),
        (_, DataType::Binary) => {
            plain(builder, Encoding::PLAIN).set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
        }
        _ => builder,
    }
}

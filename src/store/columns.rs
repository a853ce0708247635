//! The columns of bars in Arrow and in SQL, derived from [`COLUMNS`].
//!
//! Every batch of bars begins with the timestamp and the columns of the table. A *scan* adds the
//! source and the commit of each row.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, DictionaryArray, Int64Array, PrimitiveArray, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Field, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit,
};
use arrow::error::ArrowError;

use crate::model::columns::{COLUMN_COUNT, COLUMNS, Kind, Optional};
use crate::model::{Bars, ColumnValues};

/// Index of the timestamp in every batch of bars.
pub const TIMESTAMP: usize = 0;
/// Index of the first column of [`COLUMNS`] in every batch of bars.
pub const FIRST_VALUE: usize = TIMESTAMP + 1;
/// Number of columns of a bar with its timestamp.
pub const BAR_COLUMNS: usize = FIRST_VALUE + COLUMN_COUNT;
/// Index of the source in a scan and in a partition.
pub(super) const SOURCE: usize = BAR_COLUMNS;
/// Index of the commit number in a scan and in a partition.
pub(super) const COMMIT_SEQ: usize = SOURCE + 1;
/// Number of columns of a scan and of a partition.
pub(super) const SCAN_COLUMNS: usize = COMMIT_SEQ + 1;

/// The columns of a bar: `timestamp, open, …, trades`.
pub static BAR_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(bar_fields())));

static SCAN_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let names = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields = bar_fields();
    fields.push(Field::new("source", names, false));
    fields.push(Field::new("commit_seq", DataType::Int64, false));
    Arc::new(Schema::new(fields))
});

/// Columns of a scan: those of a bar, then `source` and `commit_seq`.
pub fn scan_schema() -> SchemaRef {
    SCAN_SCHEMA.clone()
}

/// The type of a bar's timestamp in Arrow.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The fields of a bar, timestamp first.
pub fn bar_fields() -> Vec<Field> {
    let mut fields = vec![Field::new("timestamp", timestamp_type(), false)];
    fields.extend(COLUMNS.iter().map(|column| {
        let data_type = match column.kind {
            Kind::Double => DataType::Float64,
            Kind::Integer => DataType::Int64,
        };
        Field::new(column.name, data_type, column.optional)
    }));
    fields
}

/// The arrays of bars, in the order of [`bar_fields`], without copying the columns.
pub fn bars_into_arrays(bars: Bars) -> Vec<ArrayRef> {
    let (timestamps, columns) = bars.into_columns();
    let rows = timestamps.len();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(SCAN_COLUMNS);
    arrays.push(Arc::new(
        TimestampMicrosecondArray::from(timestamps).with_timezone("UTC"),
    ));
    for (values, column) in columns.into_iter().zip(&COLUMNS) {
        arrays.push(match values {
            ColumnValues::Double(values) => array::<Float64Type>(values, rows, column.optional),
            ColumnValues::Integer(values) => array::<Int64Type>(values, rows, column.optional),
        });
    }
    arrays
}

fn array<T>(mut values: Vec<T::Native>, rows: usize, optional: bool) -> ArrayRef
where
    T: ArrowPrimitiveType,
    T::Native: Optional,
{
    if !optional {
        return Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), None));
    }
    if values.is_empty() {
        return Arc::new(PrimitiveArray::<T>::new_null(rows));
    }
    let present = BooleanBuffer::collect_bool(rows, |row| !values[row].is_missing());
    // Files of the Arrow format contain what is under a null.
    for value in values.iter_mut().filter(|value| value.is_missing()) {
        *value = T::Native::default();
    }
    let nulls = NullBuffer::new(present);
    Arc::new(PrimitiveArray::<T>::new(
        ScalarBuffer::from(values),
        Some(nulls),
    ))
}

/// Bars as a batch of [`BAR_SCHEMA`].
pub fn bar_batch(bars: Bars) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(BAR_SCHEMA.clone(), bars_into_arrays(bars))
}

/// The bars of the first columns of a batch; `None` if these have other types.
pub fn bars_from_batch(batch: &RecordBatch) -> Option<Bars> {
    let values = batch.columns().get(FIRST_VALUE..BAR_COLUMNS)?;
    bars_from_arrays(timestamps(batch)?.to_vec(), values)
}

/// The bars of arrays in the order of [`COLUMNS`]; `None` if these have other types.
pub(super) fn bars_from_arrays(timestamps: Vec<i64>, arrays: &[ArrayRef]) -> Option<Bars> {
    let mut columns = COLUMNS.map(|column| ColumnValues::new(column.kind));
    for ((values, array), column) in columns.iter_mut().zip(arrays).zip(&COLUMNS) {
        let optional = column.optional;
        match values {
            ColumnValues::Double(values) => *values = from_array::<Float64Type>(array, optional)?,
            ColumnValues::Integer(values) => *values = from_array::<Int64Type>(array, optional)?,
        }
    }
    Some(Bars::from_columns(timestamps, columns))
}

fn from_array<T>(array: &ArrayRef, optional: bool) -> Option<Vec<T::Native>>
where
    T: ArrowPrimitiveType,
    T::Native: Optional,
{
    let array = array.as_any().downcast_ref::<PrimitiveArray<T>>()?;
    if optional && array.null_count() == array.len() {
        return Some(Vec::new());
    }
    if !optional || array.null_count() == 0 {
        return Some(array.values().to_vec());
    }
    let values = array
        .iter()
        .map(|value| value.unwrap_or(T::Native::MISSING));
    Some(values.collect())
}

/// The timestamps of a batch of bars, in microseconds.
pub fn timestamps(batch: &RecordBatch) -> Option<&ScalarBuffer<i64>> {
    let column = batch.columns().get(TIMESTAMP)?;
    let column = column
        .as_any()
        .downcast_ref::<TimestampMicrosecondArray>()?;
    Some(column.values())
}

/// The commit of each row of a scan.
pub(super) fn commit_seqs(batch: &RecordBatch) -> Option<&[i64]> {
    let column = batch.columns().get(COMMIT_SEQ)?;
    Some(column.as_any().downcast_ref::<Int64Array>()?.values())
}

/// The sources of a scan: an index into the names for each row, and the names.
pub(super) fn sources(batch: &RecordBatch) -> Option<(&[i32], &StringArray)> {
    let column = batch.columns().get(SOURCE)?;
    let column = column
        .as_any()
        .downcast_ref::<DictionaryArray<Int32Type>>()?;
    let names = column.values().as_any().downcast_ref::<StringArray>()?;
    Some((column.keys().values(), names))
}

/// The type of a column in DuckDB.
pub(super) const fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Double => "DOUBLE",
        Kind::Integer => "BIGINT",
    }
}

/// The names of [`COLUMNS`], each after `prefix`, for a SELECT list.
pub(super) fn sql_list(prefix: &str) -> String {
    let names: Vec<String> = COLUMNS
        .iter()
        .map(|column| format!("{prefix}{}", column.name))
        .collect();
    names.join(", ")
}

/// The definitions of [`COLUMNS`] in a CREATE TABLE, each name after `prefix`. `strict` forbids
/// NULL in the columns that every bar has.
pub(super) fn sql_definitions(prefix: &str, strict: bool) -> String {
    let definitions: Vec<String> = COLUMNS
        .iter()
        .map(|column| {
            let not_null = if strict && !column.optional {
                " NOT NULL"
            } else {
                ""
            };
            format!(
                "{prefix}{} {}{not_null}",
                column.name,
                sql_type(column.kind)
            )
        })
        .collect();
    definitions.join(", ")
}

//! The bars of one series and year from a Parquet file of any program.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, Scalar, StringArray, new_null_array};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{cast, concat_batches, is_null, sort_to_indices, take};
use arrow::datatypes::DataType;
use bytes::Bytes;

use crate::store::columns::{TIMESTAMP, scan_schema};
use crate::store::layout::PartitionKey;
use crate::store::rows::StagedRows;

use super::any_file;
use super::guard::PARTITION_ROWS_MAX;
use super::untrusted::{Invalid, guarded};

/// The source of rows that have none.
const SOURCE: &str = "table";
/// The rows of a file may repeat keys, within reason.
const ROWS_MAX: usize = 4 * PARTITION_ROWS_MAX as usize;

/// Reads all rows, sorted by timestamp. A key can be repeated. Columns are found by name, a missing one is
/// empty; rows without a commit get `commit_seq`.
pub(crate) fn rows(
    bytes: &Bytes,
    key: &PartitionKey,
    commit_seq: u64,
) -> Result<StagedRows, Invalid> {
    let batch = guarded(|| {
        let reader = any_file::open(bytes)?.build().map_err(plain)?;
        let mut batches = Vec::new();
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(plain)?;
            rows += batch.num_rows();
            if rows > ROWS_MAX {
                return Err("it has more rows than a year has minutes".to_owned());
            }
            batches.push(conform(&batch, commit_seq)?);
        }
        let batch = concat_batches(&scan_schema(), &batches).map_err(plain)?;
        sorted(&batch).map_err(plain)
    })?;
    let rows = StagedRows::from_batch(&batch).ok_or("its columns have other types")?;
    let year = crate::store::publish::year_range(key.year);
    for bar in rows.bars.iter() {
        let timestamp = bar.timestamp;
        if !year.contains(timestamp.micros()) {
            return Err(format!(
                "its row {timestamp} isn't in the year {}",
                key.year
            ));
        }
        if let Err(why) = bar.check() {
            return Err(format!("its row {timestamp} isn't a valid bar: {why}"));
        }
    }
    Ok(rows)
}

/// The columns of a scan, from columns of the same names.
fn conform(batch: &RecordBatch, commit_seq: u64) -> Result<RecordBatch, Invalid> {
    let schema = scan_schema();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let name = field.name();
        let found = batch.column_by_name(name).cloned();
        let array = found.unwrap_or_else(|| new_null_array(&DataType::Utf8, batch.num_rows()));
        let array = match name.as_str() {
            "source" => filled(&array, Arc::new(StringArray::from(vec![SOURCE])))?,
            "commit_seq" => filled(&array, Arc::new(Int64Array::from(vec![commit_seq as i64])))?,
            _ => array,
        };
        let array = cast(&array, field.data_type()).map_err(plain)?;
        if !field.is_nullable() && array.null_count() > 0 {
            return Err(format!("it lacks values of the column {name}"));
        }
        arrays.push(array);
    }
    RecordBatch::try_new(schema, arrays).map_err(plain)
}

/// The column with `value` instead of its nulls.
fn filled(array: &ArrayRef, value: ArrayRef) -> Result<ArrayRef, Invalid> {
    let array = cast(array, value.data_type()).map_err(plain)?;
    if array.null_count() == 0 {
        return Ok(array);
    }
    let nulls = is_null(&array).map_err(plain)?;
    zip(&nulls, &Scalar::new(value), &array).map_err(plain)
}

fn sorted(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let order = sort_to_indices(batch.column(TIMESTAMP), None, None)?;
    let columns = batch.columns().iter();
    let columns = columns
        .map(|column| take(column, &order, None))
        .collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(&batch.schema()), columns)
}

fn plain(error: impl std::fmt::Display) -> Invalid {
    error.to_string()
}

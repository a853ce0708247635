//! Bars as Arrow columns.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, new_empty_array,
};
use arrow::compute::{concat, take_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::model::Ticker;
use crate::store::columns::{BAR_COLUMNS, BAR_SCHEMA};

/// The columns of exported files: `ticker` as text, then those of a bar.
pub(super) static FILE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| file_schema(DataType::Utf8));

/// The columns of rows before they are encoded: like [`FILE_SCHEMA`], with a dictionary of tickers.
/// A Parquet file in a `ticker=` folder declares this schema, because pandas and pyarrow merge only
/// a dictionary with the folder's name.
pub(super) static ROW_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    file_schema(DataType::Dictionary(
        Box::new(DataType::Int32),
        Box::new(DataType::Utf8),
    ))
});

fn file_schema(ticker: DataType) -> SchemaRef {
    let mut fields = vec![Field::new("ticker", ticker, false)];
    fields.extend(BAR_SCHEMA.fields().iter().map(|field| (**field).clone()));
    Arc::new(Schema::new(fields))
}

/// The timestamps of a batch of bars, in microseconds.
pub(super) fn timestamps(bars: &RecordBatch) -> &[i64] {
    crate::store::columns::timestamps(bars).expect("a batch of bars begins with its timestamps")
}

/// Bars of one ticker on their way to a file.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Whose bars.
    pub ticker: Ticker,
    /// Columns of [`BAR_SCHEMA`], sorted by timestamp.
    pub bars: RecordBatch,
}

/// Puts pieces one after another, each row with its ticker: columns of [`ROW_SCHEMA`].
pub(super) fn join(pieces: &[Piece]) -> Result<RecordBatch, ArrowError> {
    let mut names: Vec<&str> = Vec::new();
    let mut keys: Vec<i32> = Vec::with_capacity(pieces.iter().map(|p| p.bars.num_rows()).sum());
    for piece in pieces {
        let name = piece.ticker.as_str();
        if names.last() != Some(&name) {
            names.push(name);
        }
        keys.resize(keys.len() + piece.bars.num_rows(), names.len() as i32 - 1);
    }
    let tickers = DictionaryArray::<Int32Type>::try_new(
        Int32Array::from(keys),
        Arc::new(StringArray::from(names)),
    )?;
    let mut columns: Vec<ArrayRef> = vec![Arc::new(tickers)];
    for index in 0..BAR_COLUMNS {
        let parts: Vec<&dyn Array> = pieces
            .iter()
            .map(|piece| piece.bars.column(index).as_ref())
            .collect();
        columns.push(match parts.as_slice() {
            [] => new_empty_array(BAR_SCHEMA.field(index).data_type()),
            [_] => pieces[0].bars.column(index).clone(),
            _ => concat(&parts)?,
        });
    }
    RecordBatch::try_new(ROW_SCHEMA.clone(), columns)
}

/// Sorts bars by timestamp and keeps one for each: the first in the order of the batch, or the
/// last.
pub(super) fn sort_unique(bars: &RecordBatch, keep_last: bool) -> Result<RecordBatch, ArrowError> {
    let times = timestamps(bars);
    if times.windows(2).all(|pair| pair[0] < pair[1]) {
        return Ok(bars.clone());
    }
    let mut order: Vec<i32> = (0..times.len() as i32).collect();
    order.sort_by_key(|&row| times[row as usize]);
    if keep_last {
        order.reverse();
        order.dedup_by_key(|row| times[*row as usize]);
        order.reverse();
    } else {
        order.dedup_by_key(|row| times[*row as usize]);
    }
    take_record_batch(bars, &Int32Array::from(order))
}

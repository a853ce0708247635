//! Bars as Arrow columns.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{concat, take_record_batch};
use arrow::datatypes::{
    DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use crate::model::{Bars, NO_TRADES, Ticker};

/// How many columns describe a bar, its ticker apart.
pub(super) const BAR_COLUMNS: usize = 8;

/// `timestamp, open, high, low, close, volume, vwap, trades`: the columns of a bar inside a series.
pub(super) static BAR_SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(bar_fields())));

/// The same after a plain `ticker`: what files of bars hold.
pub(super) static FILE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| file_schema(DataType::Utf8));

/// The same after a dictionary of tickers: how bars travel to a file, and what a file inside a `ticker=` folder says
/// of itself, for pandas and pyarrow merge that with the folder's name and nothing else.
pub(super) static TRAVEL_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    file_schema(DataType::Dictionary(
        Box::new(DataType::Int32),
        Box::new(DataType::Utf8),
    ))
});

fn file_schema(ticker: DataType) -> SchemaRef {
    let mut fields = vec![Field::new("ticker", ticker, false)];
    fields.extend(bar_fields());
    Arc::new(Schema::new(fields))
}

fn bar_fields() -> Vec<Field> {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![Field::new("timestamp", utc, false)];
    for name in ["open", "high", "low", "close", "volume"] {
        fields.push(Field::new(name, DataType::Float64, false));
    }
    fields.push(Field::new("vwap", DataType::Float64, true));
    fields.push(Field::new("trades", DataType::Int64, true));
    fields
}

/// The columns of `bars`.
pub(super) fn bar_batch(bars: Bars) -> Result<RecordBatch, ArrowError> {
    let rows = bars.len();
    let columns = bars.into_columns();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(BAR_COLUMNS);
    arrays.push(Arc::new(
        TimestampMicrosecondArray::from(columns.timestamp).with_timezone("UTC"),
    ));
    for prices in columns.prices {
        arrays.push(Arc::new(Float64Array::from(prices)));
    }
    arrays.push(Arc::new(Float64Array::from(columns.volume)));
    arrays.push(Arc::new(if columns.vwap.is_empty() {
        Float64Array::new_null(rows)
    } else {
        columns
            .vwap
            .into_iter()
            .map(|vwap| (!vwap.is_nan()).then_some(vwap))
            .collect()
    }));
    arrays.push(Arc::new(if columns.trades.is_empty() {
        Int64Array::new_null(rows)
    } else {
        columns
            .trades
            .into_iter()
            .map(|trades| (trades != NO_TRADES).then_some(trades))
            .collect()
    }));
    RecordBatch::try_new(BAR_SCHEMA.clone(), arrays)
}

/// Bars of one ticker on their way to a file.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Whose bars.
    pub ticker: Ticker,
    /// Columns of [`BAR_SCHEMA`], sorted by timestamp.
    pub bars: RecordBatch,
}

/// Puts pieces one after another, each row with its ticker: columns of [`TRAVEL_SCHEMA`].
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
            [] => arrow::array::new_empty_array(BAR_SCHEMA.field(index).data_type()),
            [_] => pieces[0].bars.column(index).clone(),
            _ => concat(&parts)?,
        });
    }
    RecordBatch::try_new(TRAVEL_SCHEMA.clone(), columns)
}

/// The timestamps of a batch whose first column they are, in microseconds.
pub(super) fn timestamps(bars: &RecordBatch) -> &[i64] {
    bars.column(0)
        .as_primitive::<TimestampMicrosecondType>()
        .values()
}

/// Sorts bars by timestamp and leaves one of each: the first in the given order, or the last.
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

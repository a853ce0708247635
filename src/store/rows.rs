//! Staged bars in memory: bars with the source and the commit that each row came from.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};

use crate::model::{Bars, Columns, NO_TRADES, Source};

/// Bars of one series as they are staged, sorted by timestamp.
///
/// `source` holds, for each row, its place in `sources`; `commit_seq` the commit that wrote the row.
#[derive(Clone, Debug, Default)]
pub(crate) struct StagedRows {
    pub bars: Bars,
    pub source: Vec<i32>,
    pub sources: Vec<Source>,
    pub commit_seq: Vec<i64>,
}

impl StagedRows {
    /// Bars that one commit brings from one source.
    pub fn of_commit(bars: Bars, source: &Source, commit_seq: u64) -> Self {
        let rows = bars.len();
        Self {
            bars,
            source: vec![0; rows],
            sources: vec![source.clone()],
            commit_seq: vec![commit_seq as i64; rows],
        }
    }

    pub fn len(&self) -> usize {
        self.bars.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }

    fn source_place(&mut self, source: &Source) -> i32 {
        let place = self.sources.iter().position(|known| known == source);
        place.unwrap_or_else(|| {
            self.sources.push(source.clone());
            self.sources.len() - 1
        }) as i32
    }

    /// Adds the rows of `range` in `other` at the end.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        let places: Vec<i32> = other
            .sources
            .iter()
            .map(|source| self.source_place(source))
            .collect();
        self.source.extend(
            other.source[range.clone()]
                .iter()
                .map(|&place| places[place as usize]),
        );
        self.commit_seq
            .extend_from_slice(&other.commit_seq[range.clone()]);
        self.bars.extend_from(&other.bars, range);
    }

    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.extend_from(&other, 0..other.len());
        }
    }

    /// The rows of `range`.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut out = Self::default();
        out.extend_from(self, range);
        out
    }

    /// Both sides in one, sorted; where a key stands on both, `newer` wins.
    pub fn merge(self, newer: Self) -> Self {
        if self.is_empty() || newer.is_empty() {
            let mut out = self;
            out.append(newer);
            return out;
        }
        let (old, new) = (self.bars.timestamps(), newer.bars.timestamps());
        let mut out = Self {
            bars: Bars::with_capacity(old.len() + new.len()),
            ..Self::default()
        };
        let (mut i, mut j) = (0, 0);
        while i < old.len() && j < new.len() {
            // Whole runs at a time: a series is mostly appended to, so there are few of them.
            let run_old = old[i..].partition_point(|ts| *ts < new[j]);
            if run_old > 0 {
                out.extend_from(&self, i..i + run_old);
                i += run_old;
                continue;
            }
            let limit = old[i];
            let run_new = new[j..].partition_point(|ts| *ts < limit);
            if run_new > 0 {
                out.extend_from(&newer, j..j + run_new);
                j += run_new;
                continue;
            }
            out.extend_from(&newer, j..j + 1);
            i += 1;
            j += 1;
        }
        out.extend_from(&self, i..old.len());
        out.extend_from(&newer, j..new.len());
        out
    }

    /// The bars of each source, in order.
    pub fn by_source(self) -> Vec<(Source, Bars)> {
        if let [source] = self.sources.as_slice() {
            return vec![(source.clone(), self.bars)];
        }
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); self.sources.len()];
        for (row, place) in self.source.iter().enumerate() {
            places[*place as usize].push(row);
        }
        let of_source = |(source, rows): (Source, Vec<usize>)| (source, self.bars.select(&rows));
        self.sources
            .into_iter()
            .zip(places)
            .filter(|(_, rows)| !rows.is_empty())
            .map(of_source)
            .collect()
    }

    /// Highest commit among the rows, 0 without rows.
    pub fn max_commit_seq(&self) -> u64 {
        self.commit_seq.iter().copied().max().unwrap_or(0) as u64
    }

    /// The rows as an Arrow batch of [`scan_schema`], without copying the columns.
    pub fn into_batch(self) -> RecordBatch {
        let dictionary: StringArray = self
            .sources
            .iter()
            .map(|source| Some(source.as_str()))
            .collect();
        let mut arrays = bars_into_arrays(self.bars);
        arrays.push(Arc::new(DictionaryArray::<Int32Type>::new(
            Int32Array::from(self.source),
            Arc::new(dictionary),
        )));
        arrays.push(Arc::new(Int64Array::from(self.commit_seq)));
        RecordBatch::try_new(scan_schema(), arrays)
            .expect("columns of one length and the schema's types")
    }

    /// The rows of an Arrow batch of [`scan_schema`]; `None` when it has other columns.
    pub fn from_batch(batch: &RecordBatch) -> Option<Self> {
        let bars = bars_from_batch(batch)?;
        let source = batch
            .column(8)
            .as_any()
            .downcast_ref::<DictionaryArray<Int32Type>>()?;
        let names = source.values().as_any().downcast_ref::<StringArray>()?;
        let commit_seq = batch.column(9).as_any().downcast_ref::<Int64Array>()?;
        Some(Self {
            bars,
            source: source.keys().values().to_vec(),
            sources: names
                .iter()
                .map(|name| Source::new(name.unwrap_or("")))
                .collect(),
            commit_seq: commit_seq.values().to_vec(),
        })
    }
}

/// Columns of a scan: timestamp, open, high, low, close, volume, vwap, trades, source, `commit_seq`.
pub fn scan_schema() -> SchemaRef {
    let source = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields = bar_fields();
    fields.push(Field::new("source", source, false));
    fields.push(Field::new("commit_seq", DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

/// The type of a bar's timestamp in Arrow.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The fields of a bar, timestamp first.
pub fn bar_fields() -> Vec<Field> {
    let double = |name: &str, nullable| Field::new(name, DataType::Float64, nullable);
    vec![
        Field::new("timestamp", timestamp_type(), false),
        double("open", false),
        double("high", false),
        double("low", false),
        double("close", false),
        double("volume", false),
        double("vwap", true),
        Field::new("trades", DataType::Int64, true),
    ]
}

/// The eight arrays of a bar, in the order of [`bar_fields`].
pub fn bars_into_arrays(bars: Bars) -> Vec<ArrayRef> {
    let rows = bars.len();
    let Columns {
        timestamp,
        prices,
        volume,
        vwap,
        trades,
    } = bars.into_columns();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(10);
    arrays.push(Arc::new(
        TimestampMicrosecondArray::from(timestamp).with_timezone("UTC"),
    ));
    for column in prices {
        arrays.push(Arc::new(Float64Array::from(column)));
    }
    arrays.push(Arc::new(Float64Array::from(volume)));
    arrays.push(if vwap.is_empty() {
        Arc::new(Float64Array::new_null(rows))
    } else {
        let nulls = NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| !vwap[row].is_nan()));
        Arc::new(Float64Array::new(ScalarBuffer::from(vwap), Some(nulls)))
    });
    arrays.push(if trades.is_empty() {
        Arc::new(Int64Array::new_null(rows))
    } else {
        let nulls = NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| {
            trades[row] != NO_TRADES
        }));
        Arc::new(Int64Array::new(ScalarBuffer::from(trades), Some(nulls)))
    });
    arrays
}

/// The bars of the first eight columns of a batch; `None` when they are of other types.
pub fn bars_from_batch(batch: &RecordBatch) -> Option<Bars> {
    if batch.num_columns() < 8 {
        return None;
    }
    let double = |place: usize| batch.column(place).as_any().downcast_ref::<Float64Array>();
    let timestamp = batch
        .column(0)
        .as_any()
        .downcast_ref::<TimestampMicrosecondArray>()?;
    let vwap = double(6)?;
    let trades = batch.column(7).as_any().downcast_ref::<Int64Array>()?;
    Some(Bars::from_columns(Columns {
        timestamp: timestamp.values().to_vec(),
        prices: [
            double(1)?.values().to_vec(),
            double(2)?.values().to_vec(),
            double(3)?.values().to_vec(),
            double(4)?.values().to_vec(),
        ],
        volume: double(5)?.values().to_vec(),
        vwap: if vwap.null_count() == vwap.len() {
            Vec::new()
        } else {
            vwap.iter().map(|value| value.unwrap_or(f64::NAN)).collect()
        },
        trades: if trades.null_count() == trades.len() {
            Vec::new()
        } else {
            trades
                .iter()
                .map(|value| value.unwrap_or(NO_TRADES))
                .collect()
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bar, Timestamp};

    fn rows(minutes: &[i64], close: f64, seq: u64) -> StagedRows {
        let bars = minutes
            .iter()
            .map(|minute| Bar {
                timestamp: Timestamp::from_micros(minute * 60_000_000),
                open: close,
                high: close,
                low: close,
                close,
                volume: 1.0,
                vwap: (minute % 2 == 0).then_some(close),
                trades: (minute % 3 == 0).then_some(*minute),
            })
            .collect();
        StagedRows::of_commit(bars, &Source::new(if seq == 1 { "a" } else { "b" }), seq)
    }

    #[test]
    fn merging_keeps_every_key_once_and_the_newer_value() {
        let merged = rows(&[1, 3, 5, 9], 1.0, 1).merge(rows(&[0, 3, 4, 10, 11], 2.0, 2));
        let minutes: Vec<i64> = merged
            .bars
            .timestamps()
            .iter()
            .map(|ts| ts / 60_000_000)
            .collect();
        assert_eq!(minutes, [0, 1, 3, 4, 5, 9, 10, 11]);
        assert_eq!(merged.commit_seq, [2, 1, 2, 2, 1, 1, 2, 2]);
        assert_eq!(merged.bars.get(2).close, 2.0);
        let sources: Vec<&str> = merged
            .source
            .iter()
            .map(|s| merged.sources[*s as usize].as_str())
            .collect();
        assert_eq!(sources, ["b", "a", "b", "b", "a", "a", "b", "b"]);
    }

    #[test]
    fn rows_survive_the_way_through_arrow() {
        let before = rows(&[1, 2, 3, 4, 6], 1.5, 1);
        let after = StagedRows::from_batch(&before.clone().into_batch()).unwrap();
        assert!(before.bars.iter().eq(after.bars.iter()));
        assert_eq!(before.commit_seq, after.commit_seq);
    }
}

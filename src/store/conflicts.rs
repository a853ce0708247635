//! Conflicts: offered bars that differed from the stored ones, with both values.
//!
//! The ledger of conflicts is a table of the catalog. If a commit has many, as an update of a whole
//! day has, they are in a Parquet file in the folder of segments instead, because appending to
//! DuckDB's table takes longer than the rest of the update. Such a file is listed like a segment
//! without parts, and is never changed or removed.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};

use crate::model::columns::{COLUMNS, Value};
use crate::model::{Bar, Bars, Source};

use super::columns::{FIRST_VALUE, bar_fields, bars_into_arrays, timestamp_type};
use super::durable::Digest;
use super::error::Error;
use super::segment;

/// The most rows that are encoded at once.
const BATCH_ROWS: usize = 131_072;

/// Who offered the two values of a conflict, and which was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub staged: Source,
    pub offered: Source,
    /// Whether the offered values replaced the stored ones.
    pub is_update: bool,
    /// The commit that wrote the stored values.
    pub staged_seq: i64,
    /// The commit that has the conflict.
    pub commit_seq: i64,
}

/// Conflicts of one series, column by column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conflicts {
    pub staged: Bars,
    pub offered: Bars,
    pub origins: Vec<Origin>,
}

/// Series, timestamp and offered values of conflicts, hashed. A ledger has each once.
pub(crate) type KnownConflicts = HashSet<(i32, i64, u64)>;

/// The entry of an offered bar in [`KnownConflicts`].
pub(crate) fn known_entry(series_id: i32, offered: &Bar) -> (i32, i64, u64) {
    let mut hasher = DefaultHasher::new();
    for value in offered.values() {
        match value {
            // Both zeros are equal.
            Value::Double(value) => (value + 0.0).to_bits().hash(&mut hasher),
            Value::Integer(value) => value.hash(&mut hasher),
        }
    }
    (series_id, offered.timestamp.micros(), hasher.finish())
}

impl Conflicts {
    pub fn len(&self) -> usize {
        self.origins.len()
    }

    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    pub fn push(&mut self, staged: &Bar, offered: &Bar, origin: Origin) {
        self.staged.push(staged);
        self.offered.push(offered);
        self.origins.push(origin);
    }

    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.extend_from(&other, 0..other.len());
        }
    }

    fn extend_from(&mut self, other: &Self, range: std::ops::Range<usize>) {
        self.staged.extend_from(&other.staged, range.clone());
        self.offered.extend_from(&other.offered, range.clone());
        self.origins.extend_from_slice(&other.origins[range]);
    }

    /// The commits are known once the commit has its number.
    pub fn set_commit(&mut self, commit_seq: u64) {
        for origin in &mut self.origins {
            origin.commit_seq = commit_seq as i64;
            // Stored by an earlier batch of the same commit.
            if origin.staged_seq == 0 {
                origin.staged_seq = commit_seq as i64;
            }
        }
    }

    /// The columns of the commits.
    pub fn commits(&self) -> [ArrayRef; 2] {
        let column = |commit: fn(&Origin) -> i64| -> ArrayRef {
            Arc::new(self.origins.iter().map(commit).collect::<Int64Array>())
        };
        [
            column(|origin| origin.staged_seq),
            column(|origin| origin.commit_seq),
        ]
    }

    /// The conflicts of a series that aren't in `known`, each once. Updates are always kept: together
    /// they are the history of a bar, which can have the same values more than once.
    pub fn without(self, series_id: i32, known: &KnownConflicts) -> Self {
        let sorted = self.offered.is_sorted_unique();
        if sorted && known.is_empty() {
            return self;
        }
        let mut seen = HashSet::new();
        let new: Vec<usize> = (0..self.len())
            .filter(|row| {
                let entry = known_entry(series_id, &self.offered.get(*row));
                let is_new = !known.contains(&entry) && (sorted || seen.insert(entry));
                self.origins[*row].is_update || is_new
            })
            .collect();
        Self {
            staged: self.staged.select(&new),
            offered: self.offered.select(&new),
            origins: new.iter().map(|row| self.origins[*row].clone()).collect(),
        }
    }
}

/// The columns of a file: series, timestamp, stored and offered values, their sources, whether the
/// offered values were kept, and the commits of both values. An offered value that equals the
/// stored one is missing, except in optional columns.
fn schema() -> SchemaRef {
    let side = |prefix: &str, is_nullable: bool| -> Vec<Field> {
        let fields = bar_fields().split_off(FIRST_VALUE).into_iter();
        fields
            .map(|field| {
                let nullable = is_nullable || field.is_nullable();
                Field::new(
                    format!("{prefix}{}", field.name()),
                    field.data_type().clone(),
                    nullable,
                )
            })
            .collect()
    };
    let mut fields = vec![
        Field::new("series_id", DataType::Int32, false),
        Field::new("timestamp", timestamp_type(), false),
    ];
    fields.extend(side("staged_", false));
    fields.extend(side("offered_", true));
    fields.push(Field::new("staged_source", DataType::Utf8, false));
    fields.push(Field::new("offered_source", DataType::Utf8, false));
    fields.push(Field::new("is_update", DataType::Boolean, false));
    fields.push(Field::new("staged_seq", DataType::Int64, false));
    fields.push(Field::new("commit_seq", DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

/// Writes conflicts of series, by their ids, to a new file at `path`, and flushes it.
pub(super) fn write(path: &Path, series: &[(i32, &Conflicts)]) -> Result<Digest, Error> {
    let schema = schema();
    let mut left = series.iter().peekable();
    let batches = std::iter::from_fn(|| {
        left.peek()?;
        let (mut rows, mut ids) = (Conflicts::default(), Vec::new());
        while let Some((id, conflicts)) =
            left.next_if(|(_, more)| ids.is_empty() || ids.len() + more.len() <= BATCH_ROWS)
        {
            rows.extend_from(conflicts, 0..conflicts.len());
            ids.resize(rows.len(), *id);
        }
        Some(columns(rows, ids))
    });
    segment::write_file(path, &schema, batches)
}

fn columns(rows: Conflicts, ids: Vec<i32>) -> Vec<ArrayRef> {
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(ids))];
    let commits = rows.commits();
    let (staged, offered) = (
        bars_into_arrays(rows.staged),
        bars_into_arrays(rows.offered),
    );
    let changed: Vec<ArrayRef> = (COLUMNS.iter().zip(&staged[FIRST_VALUE..]))
        .zip(&offered[FIRST_VALUE..])
        .map(|((column, staged), offered)| match column.optional {
            true => Arc::clone(offered),
            false => without_equal(staged, offered),
        })
        .collect();
    arrays.extend(staged);
    arrays.extend(changed);
    let texts = |source: fn(&Origin) -> &Source| -> ArrayRef {
        let names = rows.origins.iter().map(|origin| source(origin).as_str());
        Arc::new(names.map(Some).collect::<StringArray>())
    };
    arrays.push(texts(|origin| &origin.staged));
    arrays.push(texts(|origin| &origin.offered));
    let updates = rows.origins.iter().map(|origin| Some(origin.is_update));
    arrays.push(Arc::new(updates.collect::<BooleanArray>()));
    arrays.extend(commits);
    arrays
}

/// The offered values, with null where they are equal to the stored ones.
fn without_equal(staged: &ArrayRef, offered: &ArrayRef) -> ArrayRef {
    let doubles = |array: &ArrayRef| array.as_primitive_opt::<Float64Type>().cloned();
    let (Some(staged), Some(values)) = (doubles(staged), doubles(offered)) else {
        return Arc::clone(offered);
    };
    let differs = BooleanBuffer::collect_bool(values.len(), |row| {
        staged.value(row).to_bits() != values.value(row).to_bits()
    });
    let values = values.values().clone();
    Arc::new(Float64Array::new(values, Some(NullBuffer::new(differs))))
}

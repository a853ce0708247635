//! Compares a batch with the stored bars: new, identical, restated. Pure.

use crate::model::{Bar, Bars, OnConflict, Timestamp};

use super::rows::StagedRows;

/// A sorted batch with each key once, and the rows that were left out.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub bars: Bars,
    /// Number of rows with the same values as another row of their key.
    pub identical: u64,
    /// Rows with other values than another row of their key: (kept, dropped).
    pub clashes: Vec<(Bar, Bar)>,
}

/// Sorts a batch by timestamp and keeps one row per key: the first, or under `update` the last.
pub(crate) fn sort(bars: Bars, on_conflict: OnConflict) -> Sorted {
    if bars.is_sorted_unique() {
        return Sorted {
            bars,
            ..Sorted::default()
        };
    }
    let timestamps = bars.timestamps();
    let mut order: Vec<usize> = (0..bars.len()).collect();
    // Stable: rows of one key stay in the order of the file.
    order.sort_by_key(|row| timestamps[*row]);
    let mut kept: Vec<usize> = Vec::with_capacity(order.len());
    let mut out = Sorted::default();
    for row in order {
        let Some(before) = kept
            .last_mut()
            .filter(|before| timestamps[**before] == timestamps[row])
        else {
            kept.push(row);
            continue;
        };
        let (old, new) = (bars.get(*before), bars.get(row));
        if old.is_identical(&new) {
            out.identical += 1;
            if old.lacks_a_value_of(&new) {
                *before = row;
            }
        } else if on_conflict == OnConflict::Update {
            out.clashes.push((new, old));
            *before = row;
        } else {
            out.clashes.push((old, new));
        }
    }
    out.bars = bars.select(&kept);
    out
}

/// A sorted batch compared with the stored rows of its range.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Indices of bars in the batch whose key isn't stored.
    pub new: Vec<usize>,
    /// Indices (batch, stored) of bars that are stored with other values.
    pub restated: Vec<(usize, usize)>,
    /// Number of bars that are stored with the same values.
    pub identical: u64,
    /// The first key that is stored already.
    pub first_conflict: Option<Timestamp>,
    /// The first key that is stored with other values.
    pub first_restated: Option<Timestamp>,
}

/// Compares a sorted batch with sorted stored rows, key by key.
pub(crate) fn compare(batch: &Bars, staged: &StagedRows) -> Compared {
    let (offered, stored) = (batch.timestamps(), staged.bars.timestamps());
    let mut out = Compared::default();
    let mut at = 0;
    for (index, timestamp) in offered.iter().enumerate() {
        while at < stored.len() && stored[at] < *timestamp {
            at += 1;
        }
        if at == stored.len() || stored[at] != *timestamp {
            out.new.push(index);
            continue;
        }
        let instant = Timestamp::from_micros(*timestamp);
        out.first_conflict.get_or_insert(instant);
        if batch.get(index).is_identical(&staged.bars.get(at)) {
            out.identical += 1;
        } else {
            out.first_restated.get_or_insert(instant);
            out.restated.push((index, at));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Source;

    fn bar(minute: i64, close: f64) -> Bar {
        Bar::new(
            Timestamp::from_micros(minute * 60_000_000),
            [close, close, close, close],
            1.0,
        )
    }

    #[test]
    fn of_two_rows_of_a_key_the_first_is_kept_or_under_update_the_last() {
        let rows = [
            bar(3, 1.0),
            bar(1, 1.0),
            bar(3, 2.0),
            bar(1, 1.0),
            bar(2, 5.0),
        ];
        let first = sort(rows.into_iter().collect(), OnConflict::Ignore);
        assert_eq!(
            first.bars.iter().collect::<Vec<_>>(),
            [bar(1, 1.0), bar(2, 5.0), bar(3, 1.0)]
        );
        assert_eq!((first.identical, first.clashes.len()), (1, 1));
        let last = sort(rows.into_iter().collect(), OnConflict::Update);
        assert_eq!(last.bars.get(2), bar(3, 2.0));
        assert_eq!(last.clashes, [(bar(3, 2.0), bar(3, 1.0))]);
    }

    #[test]
    fn a_batch_splits_into_new_identical_and_restated() {
        let staged = StagedRows::of_commit(
            [bar(1, 1.0), bar(2, 2.0), bar(5, 5.0)]
                .into_iter()
                .collect(),
            &Source::csv(),
            1,
        );
        let batch: Bars = [bar(0, 1.0), bar(1, 1.0), bar(2, 2.5), bar(6, 1.0)]
            .into_iter()
            .collect();
        let compared = compare(&batch, &staged);
        assert_eq!(compared.new, [0, 3]);
        assert_eq!(compared.restated, [(2, 1)]);
        assert_eq!(compared.identical, 1);
        assert_eq!(compared.first_conflict, Some(bar(1, 0.0).timestamp));
    }
}

//! A batch against what is staged: new, identical, restated. Pure.

use crate::model::{Bar, Bars, OnConflict, Timestamp};

use super::rows::StagedRows;

/// A batch in order, each key once, and what that took.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub bars: Bars,
    /// Rows that said the same as another row of the batch.
    pub identical: u64,
    /// Rows that said otherwise than another row of their key: (kept, dropped).
    pub clashes: Vec<(Bar, Bar)>,
}

/// Sorts a batch by timestamp and collapses keys that stand twice: the first stays, or under `update` the last.
pub(crate) fn sort(bars: Bars, on_conflict: OnConflict) -> Sorted {
    if bars.is_sorted_unique() {
        return Sorted {
            bars,
            ..Sorted::default()
        };
    }
    let timestamps = bars.timestamps();
    let mut order: Vec<usize> = (0..bars.len()).collect();
    // Stable, so that rows of one key stay in the order of the file.
    order.sort_by_key(|place| timestamps[*place]);
    let mut kept: Vec<usize> = Vec::with_capacity(order.len());
    let mut out = Sorted::default();
    for place in order {
        let Some(before) = kept
            .last_mut()
            .filter(|before| timestamps[**before] == timestamps[place])
        else {
            kept.push(place);
            continue;
        };
        let (old, new) = (bars.get(*before), bars.get(place));
        if old.is_identical(&new) {
            out.identical += 1;
            if old.lacks_a_value_of(&new) {
                *before = place;
            }
        } else if on_conflict == OnConflict::Update {
            out.clashes.push((new, old));
            *before = place;
        } else {
            out.clashes.push((old, new));
        }
    }
    out.bars = bars.select(&kept);
    out
}

/// A sorted batch compared with the staged rows of its range.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Places in the batch of bars whose key is not staged.
    pub new: Vec<usize>,
    /// Places (batch, staged) of bars staged with other values.
    pub restated: Vec<(usize, usize)>,
    /// Bars staged with the same values.
    pub identical: u64,
    /// The first key that is staged already.
    pub first_conflict: Option<Timestamp>,
    /// The first key that is staged with other values.
    pub first_restated: Option<Timestamp>,
}

/// Compares a sorted batch with sorted staged rows, key by key.
pub(crate) fn compare(batch: &Bars, staged: &StagedRows) -> Compared {
    let (offered, held) = (batch.timestamps(), staged.bars.timestamps());
    let mut out = Compared::default();
    let mut at = 0;
    for (place, timestamp) in offered.iter().enumerate() {
        while at < held.len() && held[at] < *timestamp {
            at += 1;
        }
        if at == held.len() || held[at] != *timestamp {
            out.new.push(place);
            continue;
        }
        let instant = Timestamp::from_micros(*timestamp);
        out.first_conflict.get_or_insert(instant);
        if batch.get(place).is_identical(&staged.bars.get(at)) {
            out.identical += 1;
        } else {
            out.first_restated.get_or_insert(instant);
            out.restated.push((place, at));
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
    fn a_key_twice_keeps_the_first_or_under_update_the_last() {
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

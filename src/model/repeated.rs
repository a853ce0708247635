//! The local times that occur twice when clocks go back, resolved by the rows around them.
//!
//! Consecutive rows whose local times occur twice form a *stretch*. If its times step back once,
//! the rows before the step are of the first hour and the others of the second. If they never step
//! back, a neighbour exactly one bar away shows which hour the stretch is in. Anything else is
//! unresolved.

use std::ops::Range;

use super::{Bars, Interval};

/// A bar whose local time occurs twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated<T> {
    /// The bar's index.
    pub row: usize,
    /// The later of its two instants, in microseconds UTC.
    pub second: i64,
    /// What the caller needs to report the row if it stays unresolved.
    pub origin: T,
}

/// Moves each repeated bar to the instant that the rows around it show. Removes the unresolved bars
/// and returns their entries.
///
/// Bars are of one ticker, in the order of their source, oldest or newest first; each repeated bar
/// is at its first instant. `repeated` is in the order of the bars. Without `interval`, neighbours
/// aren't considered.
pub fn resolve_repeated<T>(
    bars: &mut Bars,
    repeated: Vec<Repeated<T>>,
    interval: Option<Interval>,
) -> Vec<Repeated<T>> {
    let mut unresolved = vec![false; repeated.len()];
    let mut start = 0;
    while start < repeated.len() {
        let mut end = start + 1;
        while end < repeated.len() && is_one_stretch(bars, &repeated[end - 1], &repeated[end]) {
            end += 1;
        }
        match second_hour(bars, &repeated[start..end], interval) {
            Some(second) => {
                for entry in &repeated[start..end][second] {
                    bars.timestamps_mut()[entry.row] = entry.second;
                }
            }
            None => unresolved[start..end].fill(true),
        }
        start = end;
    }
    let removed: Vec<Repeated<T>> = repeated
        .into_iter()
        .zip(unresolved)
        .filter_map(|(entry, unresolved)| unresolved.then_some(entry))
        .collect();
    if !removed.is_empty() {
        let mut gone = removed.iter().map(|entry| entry.row).peekable();
        let kept: Vec<usize> = (0..bars.len())
            .filter(|row| gone.next_if_eq(row).is_none())
            .collect();
        *bars = bars.select(&kept);
    }
    removed
}

/// Whether two entries are of consecutive rows and of the same clock change.
fn is_one_stretch<T>(bars: &Bars, before: &Repeated<T>, after: &Repeated<T>) -> bool {
    let times = bars.timestamps();
    let shift = |entry: &Repeated<T>| entry.second - times[entry.row];
    let distance = (times[after.row] - times[before.row]).abs();
    after.row == before.row + 1 && distance < shift(before) && shift(before) == shift(after)
}

/// Which entries of a stretch are of the second hour; `None` if the rows don't show it.
fn second_hour<T>(
    bars: &Bars,
    stretch: &[Repeated<T>],
    interval: Option<Interval>,
) -> Option<Range<usize>> {
    let times = bars.timestamps();
    let (first, last) = (stretch.first()?, stretch.last()?);
    let before = first.row.checked_sub(1).map(|row| times[row]);
    let after = times.get(last.row + 1).copied();
    let is_ascending = is_ascending(&times[first.row..=last.row], before, after)?;

    let is_step = |pair: &[Repeated<T>]| {
        let (a, b) = (times[pair[0].row], times[pair[1].row]);
        if is_ascending { b <= a } else { b >= a }
    };
    let mut steps = (1..stretch.len()).filter(|&at| is_step(&stretch[at - 1..=at]));
    if let Some(step) = steps.next() {
        let (a, b) = (bars.get(stretch[step - 1].row), bars.get(stretch[step].row));
        // The same row written twice isn't a second hour.
        if steps.next().is_some() || a.is_identical(&b) {
            return None;
        }
        return Some(if is_ascending {
            step..stretch.len()
        } else {
            0..step
        });
    }

    let interval = interval?.micros();
    let (earlier, oldest, latest, later) = if is_ascending {
        (before, first, last, after)
    } else {
        (after, last, first, before)
    };
    let joins_earlier = earlier.is_some_and(|earlier| times[oldest.row] - earlier == interval);
    let joins_later = later.is_some_and(|later| later - latest.second == interval);
    match (joins_earlier, joins_later) {
        (true, false) => Some(0..0),
        (false, true) => Some(0..stretch.len()),
        _ => None,
    }
}

/// Whether rows run from old to new around a stretch: its neighbours show it, or else most of its
/// own rows. `None` if nothing does.
fn is_ascending(stretch: &[i64], before: Option<i64>, after: Option<i64>) -> Option<bool> {
    if let Some(before) = before {
        return Some(before < *stretch.first()?);
    }
    if let Some(after) = after {
        return Some(after > *stretch.last()?);
    }
    let pairs = || stretch.windows(2);
    let forward = pairs().filter(|pair| pair[0] < pair[1]).count();
    let backward = pairs().filter(|pair| pair[0] > pair[1]).count();
    if forward > 0 && forward * 2 >= pairs().len() {
        Some(true)
    } else {
        (backward > 0).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Bar, MINUTE_MICROS, Timestamp};

    /// Rows as (minute, whether its local time occurs twice, close); the clock goes back at minute
    /// 60.
    type Rows = Vec<(i64, bool, u8)>;

    fn bars(rows: &Rows) -> Bars {
        rows.iter()
            .map(|(minute, _, close)| {
                Bar::new(
                    Timestamp::from_micros(minute * MINUTE_MICROS),
                    [1.0, 9.0, 1.0, f64::from(*close)],
                    1.0,
                )
            })
            .collect()
    }

    /// The minute of each row after resolving; `None` for an unresolved one.
    fn resolved(rows: &Rows, interval: Option<Interval>) -> Vec<Option<i64>> {
        let mut bars = bars(rows);
        let repeated = (rows.iter().enumerate())
            .filter(|(_, (_, repeated, _))| *repeated)
            .map(|(row, (minute, ..))| Repeated {
                row,
                second: (minute + 60) * MINUTE_MICROS,
                origin: (),
            })
            .collect();
        let unresolved = resolve_repeated(&mut bars, repeated, interval);
        assert_eq!(bars.len() + unresolved.len(), rows.len());
        let mut kept = bars.timestamps().iter();
        (0..rows.len())
            .map(|row| {
                let is_kept = unresolved.iter().all(|entry| entry.row != row);
                is_kept.then(|| kept.next().unwrap() / MINUTE_MICROS)
            })
            .collect()
    }

    fn minutes(rows: &[(i64, bool)]) -> Vec<Option<i64>> {
        let rows = rows
            .iter()
            .map(|(minute, repeated)| (*minute, *repeated, 5));
        resolved(&rows.collect(), Some(Interval::M1))
    }

    fn some(minutes: &[i64]) -> Vec<Option<i64>> {
        minutes.iter().copied().map(Some).collect()
    }

    #[test]
    fn a_step_back_or_a_neighbour_shows_the_hour() {
        let (once, twice) = (false, true);
        // Both hours are there, oldest first and newest first.
        let both = [
            (58, twice),
            (59, twice),
            (0, twice),
            (59, twice),
            (120, once),
        ];
        assert_eq!(minutes(&both), some(&[58, 59, 60, 119, 120]));
        let newest_first = [
            (120, once),
            (59, twice),
            (0, twice),
            (59, twice),
            (58, twice),
        ];
        assert_eq!(minutes(&newest_first), some(&[120, 119, 60, 59, 58]));
        // The first hour only, next to the row before; the second only, next to the row after.
        let first = [(-1, once), (0, twice), (1, twice), (125, once)];
        assert_eq!(minutes(&first), some(&[-1, 0, 1, 125]));
        let second = [(-9, once), (59, twice), (120, once)];
        assert_eq!(minutes(&second), some(&[-9, 119, 120]));
        let second_newest_first = [(120, once), (59, twice), (-9, once)];
        assert_eq!(minutes(&second_newest_first), some(&[120, 119, -9]));
        // Alone, or next to both neighbours.
        assert_eq!(minutes(&[(30, twice)]), [None]);
        let joined_to_both = [(-1, once), (0, twice), (59, twice), (120, once)];
        assert_eq!(minutes(&joined_to_both), [Some(-1), None, None, Some(120)]);
        // No clock goes back twice.
        assert_eq!(minutes(&[(5, twice); 3]), [None; 3]);
    }

    #[test]
    fn the_same_row_twice_is_not_a_second_hour() {
        let rows = |close| {
            vec![
                (-30, false, 5),
                (30, true, 5),
                (30, true, close),
                (90, false, 5),
            ]
        };
        assert_eq!(resolved(&rows(5), None), [Some(-30), None, None, Some(90)]);
        assert_eq!(resolved(&rows(6), None), some(&[-30, 30, 90, 90]));
    }

    #[test]
    fn each_clock_change_is_resolved_by_itself() {
        let year = 365 * 24 * 60;
        let rows = vec![
            (58, true, 5),
            (0, true, 5),
            (year + 59, true, 5),
            (year + 120, false, 5),
        ];
        let expected = some(&[58, 60, year + 119, year + 120]);
        assert_eq!(resolved(&rows, Some(Interval::M1)), expected);
    }

    /// The rows whose local time occurs twice.
    fn stretch_of(rows: &Rows) -> Range<usize> {
        let mut repeated = rows.iter().enumerate().filter(|(_, row)| row.1);
        let first = repeated.next().map_or(0, |(row, _)| row);
        first..repeated.next_back().map_or(first, |(row, _)| row) + 1
    }

    /// The earlier rule for responses of a provider: rows are oldest first.
    fn by_step_back_or_neighbour(rows: &Rows) -> Vec<Option<i64>> {
        let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let mut out = some(&times);
        let Range { start, end } = stretch_of(rows);
        let back: Vec<usize> = (start + 1..end)
            .filter(|&row| times[row] <= times[row - 1])
            .collect();
        let follows = start > 0 && times[start] - times[start - 1] == 1;
        let leads = end < rows.len() && times[end] - (times[end - 1] + 60) == 1;
        let split = match (&back[..], follows, leads) {
            ([one], ..) => Some(*one),
            ([], true, false) => Some(end),
            ([], false, true) => Some(start),
            _ => None,
        };
        for row in start..end {
            out[row] = split.map(|split| times[row] + if row < split { 0 } else { 60 });
        }
        out
    }

    /// The rule that CSV files had before.
    fn by_one_turn(rows: &Rows) -> Vec<Option<i64>> {
        let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let mut out = some(&times);
        let Range { start, end } = stretch_of(rows);
        let stretch = &times[start..end];
        let forward: Vec<bool> = stretch.windows(2).map(|pair| pair[1] > pair[0]).collect();
        let ascending = match (start.checked_sub(1), times.get(end)) {
            (Some(before), _) => times[before] < stretch[0],
            (None, Some(after)) => *after > stretch[stretch.len() - 1],
            (None, None) => forward.iter().filter(|step| **step).count() * 2 >= forward.len(),
        };
        let turns: Vec<usize> = (1..stretch.len())
            .filter(|&at| forward[at - 1] != ascending)
            .collect();
        let all = bars(rows);
        for row in start..end {
            out[row] = match turns[..] {
                [turn]
                    if !all
                        .get(start + turn - 1)
                        .is_identical(&all.get(start + turn)) =>
                {
                    Some(
                        times[row]
                            + if (row - start >= turn) == ascending {
                                60
                            } else {
                                0
                            },
                    )
                }
                _ => None,
            };
        }
        out
    }

    proptest! {
        #[test]
        fn no_case_of_the_two_rules_before_is_lost(
            hour in prop::collection::vec((0..60_i64, 0..3_u8), 1..7),
            sorted in any::<bool>(),
            turn in any::<prop::sample::Index>(),
            before in prop::option::of(-3..0_i64),
            after in prop::option::of(120..123_i64),
        ) {
            let mut hour = hour;
            if sorted {
                // Two hours, each in order, as in most files.
                let turn = turn.index(hour.len());
                hour[..turn].sort_unstable();
                hour[turn..].sort_unstable();
            }
            let mut rows: Rows = Vec::new();
            rows.extend(before.map(|minute| (minute, false, 5)));
            rows.extend(hour.iter().map(|(minute, close)| (*minute, true, *close)));
            rows.extend(after.map(|minute| (minute, false, 5)));
            let is_resolved = |minutes: &[Option<i64>]| minutes.iter().all(Option::is_some);

            // Where it took rows for newest first, the rule of CSV files saw no step between two
            // rows of one local time.
            let oldest_first = before.is_some() || after.is_some();
            let same_time = rows.windows(2).any(|pair| pair[0].0 == pair[1].0);
            let now = resolved(&rows, Some(Interval::M1));
            let one_turn = by_one_turn(&rows);
            if (oldest_first || !same_time) && is_resolved(&one_turn) {
                prop_assert_eq!(&now, &one_turn);
            }
            // The rule of providers knew its rows to be oldest first, and took a row written twice
            // for the second hour.
            let stepped = by_step_back_or_neighbour(&rows);
            let all = bars(&rows);
            let written_twice = (1..rows.len()).any(|row| all.get(row - 1).is_identical(&all.get(row)));
            if oldest_first && !written_twice && is_resolved(&stepped) {
                prop_assert_eq!(&now, &stepped);
            }

            // Newest first, the same rows have the same instants.
            rows.reverse();
            let one_turn = by_one_turn(&rows);
            let mut reversed = resolved(&rows, Some(Interval::M1));
            if !same_time && is_resolved(&one_turn) {
                prop_assert_eq!(&reversed, &one_turn);
            }
            if oldest_first {
                reversed.reverse();
                prop_assert_eq!(reversed, now);
            }
        }
    }
}

//! Local times that a clock change repeats, settled by the rows around them.
//!
//! When the clock is put back, an hour of local times comes twice. A dump that holds both hours shows it: its local
//! times step back once. The rows up to that step are the first hour, those after it the second. Where the times never
//! step back, or more than once, nothing tells which hour a row belongs to, and it is a reject.

use super::parsed::{BadRow, Repeated};
use crate::model::Bars;

/// Puts the bars whose local time was repeated where they belong; those that nothing settles come back as rejects.
///
/// `repeated` is in the order of the bars; each bar stands as its first meaning.
pub(super) fn settle(mut bars: Bars, repeated: &[Repeated]) -> (Bars, Vec<BadRow>) {
    let mut rejects = Vec::new();
    let mut dropped = Vec::new();
    let mut from = 0;
    while from < repeated.len() {
        let mut to = from + 1;
        while to < repeated.len() && belongs(&bars, &repeated[to - 1], &repeated[to]) {
            to += 1;
        }
        let run = &repeated[from..to];
        match second_hour(&bars, run) {
            Some(second) => {
                let timestamps = bars.timestamps_mut();
                for row in &run[second] {
                    timestamps[row.row] = row.second;
                }
            }
            None => {
                dropped.extend(run.iter().map(|row| row.row));
                rejects.extend(run.iter().map(|row| row.bad.clone()));
            }
        }
        from = to;
    }
    if !dropped.is_empty() {
        let mut gone = dropped.iter().copied().peekable();
        let kept: Vec<usize> = (0..bars.len())
            .filter(|row| gone.next_if_eq(row).is_none())
            .collect();
        bars = bars.select(&kept);
    }
    (bars, rejects)
}

/// Whether two repeated rows stand one after the other and belong to the same clock change.
fn belongs(bars: &Bars, before: &Repeated, after: &Repeated) -> bool {
    let shift = |row: &Repeated| row.second - bars.timestamps()[row.row];
    let apart = (bars.timestamps()[after.row] - bars.timestamps()[before.row]).abs();
    after.row == before.row + 1 && apart < shift(before) && shift(before) == shift(after)
}

/// Which rows of a run are the second of the two hours; `None` when nothing tells.
fn second_hour(bars: &Bars, run: &[Repeated]) -> Option<std::ops::Range<usize>> {
    let at = |row: usize| bars.timestamps()[row];
    let rows: Vec<usize> = run.iter().map(|row| row.row).collect();
    let steps: Vec<bool> = rows
        .windows(2)
        .map(|pair| at(pair[1]) > at(pair[0]))
        .collect();
    let forward = steps.iter().filter(|step| **step).count();
    // The rows outside the hour say in which direction the dump runs; without them, most steps inside do.
    let first = *rows.first()?;
    let last = *rows.last()?;
    let before = first.checked_sub(1).map(at);
    let after = (last + 1 < bars.len()).then(|| at(last + 1));
    let ascending = match (before, after) {
        (Some(before), _) if before < at(first) => true,
        (Some(_), _) => false,
        (None, Some(after)) => after > at(last),
        (None, None) => forward * 2 >= steps.len(),
    };
    let mut turns = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| **step != ascending)
        .map(|(at, _)| at + 1);
    let turn = turns.next()?;
    if turns.next().is_some() {
        return None;
    }
    // The same row written twice is no second hour.
    let (a, b) = (bars.get(rows[turn - 1]), bars.get(rows[turn]));
    if a.is_identical(&b) {
        return None;
    }
    Some(if ascending { turn..run.len() } else { 0..turn })
}

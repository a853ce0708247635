//! Moves a piece's bars to their opens, finds those of its rejects, and leaves out other dates.

use rayon::prelude::*;

use super::interval::relabel;
use super::missing::missing;
use super::piece::Piece;
use super::plan::Plan;
use super::settings::{Label, Settings};
use crate::model::{Bars, Interval, TimeRange};

/// Moves bars to their opens, sets those of the rejects, and leaves out other dates.
pub(super) fn trim(settings: &Settings, plan: &Plan, piece: &mut Piece, interval: Interval) {
    piece.missing = missing(&piece.rejects, interval);
    if plan.label == Label::Close {
        let opens = |closes: &mut [i64]| relabel(closes, interval, &plan.calendar);
        piece
            .groups
            .par_iter_mut()
            .for_each(|group| opens(group.bars.timestamps_mut()));
        piece.missing.values_mut().for_each(|bars| opens(bars));
    }
    let range = plan.calendar.range(settings.start, settings.end);
    if range == TimeRange::ALL {
        return;
    }
    for group in &mut piece.groups {
        keep(&mut group.bars, range);
    }
    piece.groups.retain(|group| !group.bars.is_empty());
    for bars in piece.missing.values_mut() {
        bars.retain(|at| range.contains(*at));
    }
}

fn keep(bars: &mut Bars, range: TimeRange) {
    let inside: Vec<usize> = bars
        .timestamps()
        .iter()
        .enumerate()
        .filter(|(_, at)| range.contains(**at))
        .map(|(row, _)| row)
        .collect();
    if inside.len() < bars.len() {
        *bars = bars.select(&inside);
    }
}

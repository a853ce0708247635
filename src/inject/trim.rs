//! Moves a piece's bars to their opens, and leaves out those of other dates.

use rayon::prelude::*;

use super::interval::relabel;
use super::piece::Piece;
use super::plan::Plan;
use super::settings::{Label, Settings};
use crate::model::{Bars, Interval, TimeRange};

/// Moves bars to their opens, and leaves out those of other dates.
pub(super) fn trim(settings: &Settings, plan: &Plan, piece: &mut Piece, interval: Interval) {
    if plan.label == Label::Close {
        piece
            .groups
            .par_iter_mut()
            .for_each(|group| relabel(&mut group.bars, interval, &plan.calendar));
    }
    let range = plan.calendar.range(settings.start, settings.end);
    if range == TimeRange::ALL {
        return;
    }
    for group in &mut piece.groups {
        keep(&mut group.bars, range);
    }
    piece.groups.retain(|group| !group.bars.is_empty());
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

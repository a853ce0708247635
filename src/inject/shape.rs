//! A piece's bars brought to what the run takes: labelled with their open, inside its dates.

use chrono::NaiveDate;
use rayon::prelude::*;

use super::interval::relabel;
use super::piece::Piece;
use super::plan::Plan;
use super::settings::{Label, Settings};
use crate::calendar::Calendar;
use crate::model::{Bars, DAY_MICROS, Interval, MINUTE_MICROS, TimeRange, Timestamp, date_micros};

/// Days around a date within which its session begins, whatever the zone.
const MARGIN_DAYS: i64 = 2;

/// Moves bars to where they open, and leaves out those of other dates.
pub(super) fn shape(settings: &Settings, plan: &Plan, piece: &mut Piece, interval: Interval) {
    if settings.label == Label::Close {
        piece
            .groups
            .par_iter_mut()
            .for_each(|group| relabel(&mut group.bars, interval, &plan.calendar));
    }
    let range = time_range(settings, &plan.calendar);
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

/// The instants of the run's dates, which are local to the exchange.
fn time_range(settings: &Settings, calendar: &Calendar) -> TimeRange {
    TimeRange {
        start: settings
            .start
            .map_or(TimeRange::ALL.start, |date| begin(calendar, date)),
        end: settings
            .end
            .and_then(|date| date.succ_opt())
            .map_or(TimeRange::ALL.end, |date| begin(calendar, date)),
    }
}

/// The first minute that belongs to `date` or a later one.
fn begin(calendar: &Calendar, date: NaiveDate) -> i64 {
    let midnight = date_micros(date);
    let minute = |at: i64| at / MINUTE_MICROS;
    let mut before = minute(midnight - MARGIN_DAYS * DAY_MICROS);
    let mut after = minute(midnight + MARGIN_DAYS * DAY_MICROS);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        let at = Timestamp::from_micros(middle * MINUTE_MICROS);
        if calendar.session_date(at) < date {
            before = middle;
        } else {
            after = middle;
        }
    }
    after * MINUTE_MICROS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_exchange() {
        let first = |code: &str, date: &str| {
            let calendar = Calendar::for_exchange(code).unwrap();
            Timestamp::from_micros(begin(&calendar, date.parse().unwrap())).to_string()
        };
        assert_eq!(first("NASDAQ", "2025-01-02"), "2025-01-02T05:00:00Z");
        assert_eq!(first("NASDAQ", "2025-07-02"), "2025-07-02T04:00:00Z");
        assert_eq!(first("FOREX", "2025-01-06"), "2025-01-05T22:00:00Z");
        assert_eq!(first("CRYPTO", "2025-01-06"), "2025-01-06T00:00:00Z");
    }
}

//! The shift in time that makes the bars of a session agree: a wrong label, a wrong zone, or a clock change
//! on one side only.
//!
//! A shift is found only if it raises the agreement clearly above that of every other shift. So a price that
//! stays the same for hours, which agrees at every shift, gives none.

use super::bars::Rows;
use super::join::Tolerance;
use crate::model::{Interval, MINUTE_MICROS};

/// The farthest zones are this many minutes apart.
const ZONE_MINUTES_MAX: i32 = 14 * 60;
/// Zones differ by multiples of this.
const ZONE_MINUTES_STEP: i32 = 15;
/// Bars of a session that all shifts are tried with.
const SAMPLE_BARS: usize = 48;
/// A session is searched if a smaller share of its bars agrees without a shift.
pub(super) const SEARCH_BELOW: f64 = 0.7;
/// The share of the bars that must agree.
const AGREEING_SHARE_MIN: f64 = 0.5;
/// How much larger this share must be than without a shift, and than with any other shift.
const RAISE_MIN: f64 = 0.25;
/// The fewest bars that must agree.
const AGREEING_BARS_MIN: usize = 5;
/// The fewest different closes among them.
const CLOSES_MIN: usize = 3;

/// The bars there around a session, found by minute.
struct Window {
    rows: Rows,
    first_minute: i64,
    /// Index in `rows` plus 1 for each minute; 0 without a bar.
    by_minute: Vec<u32>,
}

impl Window {
    fn new(here: &Rows, around: [&Rows; 3]) -> Option<Self> {
        let reach =
            i64::from(ZONE_MINUTES_MAX + i32::from(Interval::M60.minutes())) * MINUTE_MICROS;
        let (first, last) = (here.times.first()? - reach, here.times.last()? + reach);
        let mut rows = Rows::default();
        for day in around {
            rows.extend_inside(day, first, last);
        }
        let first_minute = rows.times.first()? / MINUTE_MICROS;
        let minutes = rows.times.last()? / MINUTE_MICROS - first_minute + 1;
        let mut by_minute = vec![0; usize::try_from(minutes).ok()?];
        for (row, time) in rows.times.iter().enumerate() {
            by_minute[(time / MINUTE_MICROS - first_minute) as usize] = row as u32 + 1;
        }
        Some(Self {
            rows,
            first_minute,
            by_minute,
        })
    }

    /// The bar that opens `shift` minutes after `time`.
    fn row(&self, time: i64, shift: i32) -> Option<usize> {
        let minute = time / MINUTE_MICROS + i64::from(shift) - self.first_minute;
        let row = *self.by_minute.get(usize::try_from(minute).ok()?)?;
        (row as usize).checked_sub(1)
    }

    /// The rows here that agree at this shift, among every `step`th row.
    fn agreeing(&self, here: &Rows, shift: i32, step: usize, tolerance: Tolerance) -> Vec<usize> {
        let agrees = |row: &usize| {
            self.row(here.times[*row], shift)
                .is_some_and(|other| tolerance.holds_for(here, *row, &self.rows, other))
        };
        (0..here.len()).step_by(step).filter(agrees).collect()
    }

    /// The share of the bars that agree: of those here, or of those there in the same stretch of time if
    /// they are fewer.
    fn share(&self, here: &Rows, shift: i32, agreeing: usize) -> f64 {
        let micros = i64::from(shift) * MINUTE_MICROS;
        let times = &self.rows.times;
        let (first, last) = (here.times[0] + micros, here.times[here.len() - 1] + micros);
        let there = times.partition_point(|time| *time <= last)
            - times.partition_point(|time| *time < first);
        agreeing as f64 / here.len().min(there).max(1) as f64
    }
}

/// What a search found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether there were bars there to look for.
    pub is_searched: bool,
    pub minutes: Option<i32>,
}

/// Searches the shift of the bars of a session. `around` are the bars there of the day before, of the day,
/// and of the day after.
pub(super) fn search(
    here: &Rows,
    around: [&Rows; 3],
    interval: Interval,
    tolerance: Tolerance,
) -> Found {
    let Some(window) = Window::new(here, around) else {
        return Found::default();
    };
    let share = |shift: i32, step: usize| {
        let agreeing = window.agreeing(here, shift, step, tolerance);
        (window.share(here, shift, agreeing.len() * step), agreeing)
    };
    let step = here.len().div_ceil(SAMPLE_BARS);
    let (mut best, mut second) = ((0, 0.0), 0.0_f64);
    for shift in candidates(i32::from(interval.minutes())) {
        let (share, _) = share(shift, step);
        if share > best.1 {
            second = best.1;
            best = (shift, share);
        } else {
            second = second.max(share);
        }
    }
    let (plain, _) = share(0, 1);
    let (share, agreeing) = share(best.0, 1);
    let mut closes: Vec<u64> = agreeing
        .iter()
        .map(|row| here.close(*row).to_bits())
        .collect();
    closes.sort_unstable();
    closes.dedup();
    let is_clear = agreeing.len() >= AGREEING_BARS_MIN
        && closes.len() >= CLOSES_MIN
        && share >= AGREEING_SHARE_MIN
        && share >= plain.max(second) + RAISE_MIN;
    Found {
        is_searched: true,
        minutes: (best.0 != 0 && is_clear).then_some(best.0),
    }
}

/// The shifts that are tried, in minutes: one label, whole zones, and a zone together with a label.
fn candidates(interval: i32) -> impl Iterator<Item = i32> {
    let zones = (0..=ZONE_MINUTES_MAX / ZONE_MINUTES_STEP).map(|count| count * ZONE_MINUTES_STEP);
    let shifts = zones.flat_map(move |zone| [zone - interval, zone, zone + interval]);
    let mut shifts: Vec<i32> = shifts.flat_map(|shift| [shift, -shift]).collect();
    shifts.sort_unstable_by_key(|shift| (shift.abs(), *shift));
    shifts.dedup();
    shifts.into_iter().filter(|shift| *shift != 0)
}

//! The times at which the bars of a file open: few rows at other times are rejects.

use super::error::{FileError, NoInterval};
use super::piece::Group;
use crate::calendar::Calendar;
use crate::model::{Interval, Timestamp};

/// The share of bars that makes a distance from the full interval usual: one in ten.
const USUAL_SHARE: usize = 10;

/// The times at which bars of an interval open, or close if they are labelled so.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    interval: Interval,
    /// The usual distances from the full interval.
    phases: Vec<i64>,
    calendar: Calendar,
}

impl Grid {
    /// The grid of bars, and how many of them are not on it. An error if these are too many to be
    /// odd rows.
    pub(super) fn of(
        groups: &[Group],
        interval: Interval,
        calendar: &Calendar,
    ) -> Result<(Self, usize), FileError> {
        let timestamps = || groups.iter().flat_map(|group| group.bars.timestamps());
        let mut grid = Self {
            interval,
            phases: Vec::new(),
            calendar: calendar.clone(),
        };
        // Each ticker may have its own.
        for group in groups {
            let mut counts: Vec<(i64, usize)> = Vec::new();
            for at in group.bars.timestamps() {
                let phase = at.rem_euclid(interval.micros());
                match counts.iter_mut().find(|(known, _)| *known == phase) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((phase, 1)),
                }
            }
            for (phase, count) in counts {
                if count * USUAL_SHARE >= group.bars.len() && !grid.phases.contains(&phase) {
                    grid.phases.push(phase);
                }
            }
        }
        let rows = timestamps().count();
        let odd = timestamps().filter(|at| !grid.has(**at)).count();
        if odd * USUAL_SHARE > rows {
            return Err(FileError::NoInterval(NoInterval::Mixed));
        }
        Ok((grid, odd))
    }

    /// Whether a bar may open or close at this time. The beginning and the end of a session are
    /// always allowed.
    pub(super) fn has(&self, at: i64) -> bool {
        self.phases.contains(&at.rem_euclid(self.interval.micros())) || self.is_edge(at)
    }

    #[cold]
    fn is_edge(&self, at: i64) -> bool {
        let at = Timestamp::from_micros(at);
        let session = self.calendar.session_on(self.calendar.session_date(at));
        session
            .ok()
            .flatten()
            .is_some_and(|session| session.parts().any(|(start, end)| start == at || end == at))
    }
}

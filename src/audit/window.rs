//! The sessions around a date.

use std::collections::VecDeque;

use super::day::Day;
use super::usual::Usual;

/// Dates on each side of the one that is checked.
const SIDE: usize = 10;

/// Keeps a date until the dates after it are known.
#[derive(Default)]
pub(super) struct Window {
    days: VecDeque<(Day, Usual)>,
    /// Dates before the next one to check.
    checked: usize,
}

impl Window {
    /// Adds the next date, and calls `check` for the date that now has all dates around it.
    pub fn push(&mut self, day: Day, check: impl FnMut(&Day, Usual)) {
        let usual = Usual::of(&day);
        self.days.push_back((day, usual));
        if self.days.len() > self.checked + SIDE {
            self.check_next(check);
        }
    }

    /// Calls `check` for the dates that are left.
    pub fn finish(mut self, mut check: impl FnMut(&Day, Usual)) {
        while self.checked < self.days.len() {
            self.check_next(&mut check);
        }
    }

    fn check_next(&mut self, mut check: impl FnMut(&Day, Usual)) {
        let at = self.checked;
        let Some((day, own)) = self.days.get(at) else {
            return;
        };
        let others = self.days.iter().enumerate();
        let others = others.filter(|(index, _)| *index != at && *index <= at + SIDE);
        let others = others.map(|(_, (_, usual))| *usual);
        check(day, Usual::around(*own, second_volume(day), others));
        if at == SIDE {
            self.days.pop_front();
        } else {
            self.checked += 1;
        }
    }
}

/// The second largest volume of a session.
fn second_volume(day: &Day) -> Option<f64> {
    let (mut largest, mut second) = (0.0_f64, 0.0_f64);
    let volumes = day
        .parts
        .iter()
        .flat_map(|part| &day.volume()[part.clone()]);
    for &volume in volumes {
        if volume > largest {
            second = largest;
            largest = volume;
        } else {
            second = second.max(volume);
        }
    }
    Some(second).filter(|second| *second > 0.0)
}

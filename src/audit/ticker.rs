//! All series of one ticker, read in step.

use chrono::NaiveDate;

use super::check::Check;
use super::checks::{OF_A_DAY, resolution};
use super::day::{Day, Trading};
use super::finding::{Finding, Findings};
use super::limits::Limits;
use super::usual::Usual;
use super::view::View;
use super::window::Window;
use crate::calendar::{Calendar, Days};
use crate::model::{Bars, Hours, Interval, SeriesKey, Timestamp};

/// One series to check.
pub(super) struct Input<I> {
    pub key: SeriesKey,
    pub hours: Hours,
    /// Its bars in order, in pieces of any length.
    pub pieces: I,
    pub calendar: Calendar,
    /// Whether the calendar is that of the exchange.
    pub is_known: bool,
    /// Whether its findings are wanted. If not, it is read only for [`Check::Resolution`].
    pub is_wanted: bool,
    /// Whether its longer bars can be compared with the one-minute bars of the ticker.
    pub is_comparable: bool,
}

/// What is the same for all series.
#[derive(Clone, Copy)]
pub(super) struct Common<'a> {
    pub checks: &'a [Check],
    pub limits: &'a Limits,
    pub now: Timestamp,
}

/// A series while it is read.
struct Series<I> {
    days: Days<Bars, I>,
    calendar: Calendar,
    is_known: bool,
    state: State,
    is_wanted: bool,
    is_comparable: bool,
}

struct State {
    interval: Interval,
    hours: Hours,
    window: Window,
    findings: Findings,
    /// Dates given to the window, and those that it gave back.
    read: u64,
    checked: u64,
    bars: u64,
}

/// What was found in a ticker.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// By interval.
    pub findings: Vec<Finding>,
    /// Findings that aren't in the list.
    pub dropped: u64,
    /// Bars of the series that are wanted.
    pub bars: u64,
}

/// Checks the series of a ticker.
pub(super) fn audit<E, I: Iterator<Item = Result<Bars, E>>>(
    inputs: Vec<Input<I>>,
    common: Common<'_>,
) -> Result<Checked, E> {
    let mut all = Vec::new();
    for input in inputs {
        all.push(Series {
            days: Days::new(input.pieces, input.calendar.clone())?,
            calendar: input.calendar,
            is_known: input.is_known,
            state: State {
                interval: input.key.interval,
                hours: input.hours,
                window: Window::default(),
                findings: Findings::new(input.key),
                read: 0,
                checked: 0,
                bars: 0,
            },
            is_wanted: input.is_wanted,
            is_comparable: input.is_comparable,
        });
    }
    loop {
        let dates = all.iter().filter_map(|series| series.days.date());
        let Some(date) = dates.min() else { break };
        let mut minutes = None;
        for series in &mut all {
            if series.days.date() != Some(date) {
                continue;
            }
            let day = series.read(date)?;
            let state = &mut series.state;
            // Series are in the order of their intervals, so the minutes come first.
            if series.is_comparable
                && let Some(minutes) = &minutes
            {
                state.compare(minutes, &day, common);
            }
            if state.interval == Interval::M1 {
                minutes = Some(day.clone());
            }
            if series.is_wanted {
                state.push(day, common);
            }
        }
    }
    let mut checked = Checked::default();
    for series in all {
        checked.bars += series.state.bars;
        let findings = series.state.finish(common);
        checked.dropped += findings.dropped;
        checked.findings.extend(findings.into_sorted());
    }
    Ok(checked)
}

impl<E, I: Iterator<Item = Result<Bars, E>>> Series<I> {
    /// Reads the next date, which is `date`.
    fn read(&mut self, date: NaiveDate) -> Result<Day, E> {
        let mut bars = Bars::default();
        self.days
            .read(|piece, rows| bars.extend_from(piece, rows))?;
        let trading = match self.calendar.session_on(date) {
            Ok(Some(session)) if self.is_known => Trading::Session(session),
            Ok(None) if self.is_known => Trading::Closed,
            _ => Trading::Unknown,
        };
        Ok(Day::new(trading, bars))
    }
}

impl State {
    fn compare(&mut self, minutes: &Day, longer: &Day, common: Common<'_>) {
        let tolerance = common.limits.tolerance;
        let session = minutes.session();
        if session.is_some_and(|session| session.close <= common.now)
            && let Some(found) =
                resolution::check(minutes, longer, self.interval, self.hours, tolerance)
        {
            self.findings.add(Check::Resolution, self.read, found);
        }
    }

    fn push(&mut self, day: Day, common: Common<'_>) {
        self.read += 1;
        self.bars += day.bars.len() as u64;
        let (window, mut run) = self.split(common);
        window.push(day, &mut run);
    }

    fn finish(mut self, common: Common<'_>) -> Findings {
        let window = std::mem::take(&mut self.window);
        let (_, mut run) = self.split(common);
        window.finish(&mut run);
        drop(run);
        self.findings
    }

    /// The window, and what runs the checks for a date that it gives back.
    fn split<'s>(
        &'s mut self,
        common: Common<'s>,
    ) -> (&'s mut Window, impl FnMut(&Day, Usual) + 's) {
        let (interval, hours) = (self.interval, self.hours);
        let (findings, checked) = (&mut self.findings, &mut self.checked);
        let mut found = Vec::new();
        let run = move |day: &Day, usual: Usual| {
            let view = View {
                day,
                usual,
                interval,
                hours,
                limits: common.limits,
                now: common.now,
            };
            for (check, run) in OF_A_DAY {
                if common.checks.contains(&check) {
                    run(&view, &mut found);
                    for found in found.drain(..) {
                        findings.add(check, *checked, found);
                    }
                }
            }
            *checked += 1;
        };
        (&mut self.window, run)
    }
}

//! The interval of a file's bars, from the gaps between them; and the opens of bars labelled with
//! their close.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;

use super::error::{FileError, NoInterval};
use super::piece::Group;
use crate::calendar::Calendar;
use crate::model::{DAY_MICROS, Interval, MINUTE_MICROS, Ticker, Timestamp};

/// Fewer bars don't show an interval.
const BARS_MIN: u64 = 30;
/// Fewer gaps don't contradict an interval that the name or an option shows: bars closer together,
/// and bars farther apart.
const CLOSER_MIN: u64 = 5;
const FARTHER_MIN: u64 = 20;
/// At least this many sessions with one bar each show daily bars, even if the name or an option
/// shows another interval.
const DAYS_MIN: u64 = 10;
/// Daily bars have the same time of day, except for clock changes. Single trades don't.
const CLOCKS_MAX: usize = 3;
/// The most gaps that are counted.
const GAPS_MAX: u64 = 4_096;

/// How far apart a file's bars are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spacing {
    TooFew,
    /// Minutes. They may be another number than those of the intervals that can be stored.
    Minutes(i64),
    /// A day or more.
    Days(i64),
    /// They have no common distance. Has the longest interval of which most gaps are a multiple.
    Mixed(Option<Interval>),
}

/// Detects how far apart the bars of a file are, from the gaps of all its tickers. Gaps from session
/// to session don't count.
pub(super) struct IntervalDetector<'c> {
    calendar: &'c Calendar,
    /// Whether timestamps are closes. Then the gap before the end of a session may be a short bar.
    is_close: bool,
    bars: u64,
    /// How often each gap inside a session occurs.
    gaps: BTreeMap<i64, u64>,
    count: u64,
    /// How often each distance in days occurs between sessions with one bar.
    days: BTreeMap<i64, u64>,
    sessions: u64,
    single_bars: u64,
    /// The local times of day of such bars.
    clocks: BTreeSet<i64>,
    /// The last timestamp of each ticker in the pieces so far.
    last: HashMap<Ticker, i64>,
}

impl<'c> IntervalDetector<'c> {
    pub(super) fn new(calendar: &'c Calendar, is_close: bool) -> Self {
        Self {
            calendar,
            is_close,
            bars: 0,
            gaps: BTreeMap::new(),
            count: 0,
            days: BTreeMap::new(),
            sessions: 0,
            single_bars: 0,
            clocks: BTreeSet::new(),
            last: HashMap::new(),
        }
    }

    /// Observes the bars of a piece; `more` means that another follows.
    pub(super) fn observe(&mut self, groups: &[Group], more: bool) {
        self.bars += groups
            .iter()
            .map(|group| group.bars.len() as u64)
            .sum::<u64>();
        for group in groups {
            if self.is_certain() {
                return;
            }
            let mut timestamps: Vec<i64> = Vec::new();
            timestamps.extend(self.last.get(&group.ticker));
            timestamps.extend_from_slice(group.bars.timestamps());
            if more && let Some(last) = group.bars.timestamps().last() {
                self.last.insert(group.ticker.clone(), *last);
            }
            self.gaps(&sorted(&timestamps));
        }
    }

    /// Whether there are enough gaps.
    pub(super) const fn is_certain(&self) -> bool {
        self.count >= GAPS_MAX
    }

    pub(super) fn spacing(&self) -> Spacing {
        if self.count == 0 || self.single_bars * 10 > self.sessions * 9 {
            return match self.days.iter().max_by_key(|(_, count)| **count) {
                Some((days, _)) if self.sessions > DAYS_MIN && self.clocks.len() <= CLOCKS_MAX => {
                    Spacing::Days(*days)
                }
                _ => Spacing::TooFew,
            };
        }
        let multiples = |of: i64| -> u64 {
            let multiples = self.gaps.iter().filter(|(gap, _)| *gap % of == 0);
            multiples.map(|(_, count)| count).sum()
        };
        let are_most = |count: u64| count * 10 >= self.count * 9;
        let common = self
            .gaps
            .iter()
            .find(|(gap, count)| **count * 10 >= self.count && are_most(multiples(**gap)));
        if let Some((gap, _)) = common {
            return Spacing::Minutes(gap / MINUTE_MICROS);
        }
        let fits = |interval: &Interval| are_most(multiples(interval.micros()));
        Spacing::Mixed(Interval::ALL.into_iter().rev().find(fits))
    }

    /// The interval, or why the bars don't show it.
    pub(super) fn interval(&self) -> Result<Interval, NoInterval> {
        match self.spacing() {
            Spacing::Days(days) => Err(NoInterval::Unsupported(days * 1440)),
            spacing if self.bars < BARS_MIN => Err(NoInterval::TooFew {
                bars: self.bars,
                likely: match spacing {
                    Spacing::Minutes(minutes) => interval_of(minutes),
                    _ => None,
                },
            }),
            Spacing::Minutes(minutes) => {
                interval_of(minutes).ok_or(NoInterval::Unsupported(minutes))
            }
            Spacing::Mixed(Some(interval)) => Ok(interval),
            Spacing::Mixed(None) => Err(NoInterval::Mixed),
            Spacing::TooFew => Err(NoInterval::TooFew {
                bars: self.bars,
                likely: None,
            }),
        }
    }

    /// Checks an interval that an option, a column or the name shows.
    pub(super) fn check(
        &self,
        interval: Interval,
        shown_by: &'static str,
    ) -> Result<(), FileError> {
        let minutes = i64::from(interval.minutes());
        let found = match self.spacing() {
            Spacing::Minutes(found) if found < minutes && self.count >= CLOSER_MIN => found,
            Spacing::Minutes(found) if found > minutes && self.count >= FARTHER_MIN => found,
            Spacing::Days(days) => days * 1440,
            Spacing::Mixed(Some(found)) if found < interval && self.count >= FARTHER_MIN => {
                i64::from(found.minutes())
            }
            _ => return Ok(()),
        };
        Err(match interval_of(found) {
            None => FileError::NoInterval(NoInterval::Unsupported(found)),
            Some(found) => FileError::OtherInterval {
                shown: interval,
                shown_by,
                found,
            },
        })
    }

    fn gaps(&mut self, timestamps: &[i64]) {
        // A bar labelled with its close belongs to the session in which it ends.
        let shift = if self.is_close { MINUTE_MICROS } else { 0 };
        let opens: Cow<'_, [i64]> = if self.is_close {
            timestamps.iter().map(|at| at - shift).collect()
        } else {
            Cow::Borrowed(timestamps)
        };
        let mut single_before: Option<NaiveDate> = None;
        for (date, run) in self.calendar.session_runs(&opens) {
            self.sessions += 1;
            if run.len() == 1 {
                self.single_bars += 1;
                if self.clocks.len() <= CLOCKS_MAX {
                    let local = self.calendar.zone().to_local(opens[run.start]);
                    self.clocks.insert(local.rem_euclid(DAY_MICROS));
                }
                if let Some(before) = single_before.replace(date) {
                    *self.days.entry((date - before).num_days()).or_default() += 1;
                }
                continue;
            }
            single_before = None;
            let ends = self.ends(date);
            let bars = &opens[run];
            let skipped = usize::from(self.is_short_first(date, bars));
            for pair in bars[skipped..].windows(2) {
                let gap = pair[1] - pair[0];
                if gap == 0 || gap >= DAY_MICROS || ends.contains(&(pair[1] + shift)) {
                    continue;
                }
                *self.gaps.entry(gap).or_default() += 1;
                self.count += 1;
            }
            if self.is_certain() {
                return;
            }
        }
    }

    /// Whether the first bar of a session is short, because the others open at full hours: 9:30,
    /// 10:00, 11:00.
    fn is_short_first(&self, date: NaiveDate, bars: &[i64]) -> bool {
        let [first, second, third, ..] = bars else {
            return false;
        };
        let session = || self.calendar.session_on(date).ok().flatten();
        second - first < third - second
            && session().is_some_and(|session| session.open.micros() == *first)
    }

    /// The ends of a session's parts, before which bars may be short.
    fn ends(&self, date: NaiveDate) -> Vec<i64> {
        if !self.is_close {
            return Vec::new();
        }
        match self.calendar.session_on(date) {
            Ok(Some(session)) => session.parts().map(|(_, end)| end.micros()).collect(),
            _ => Vec::new(),
        }
    }
}

fn interval_of(minutes: i64) -> Option<Interval> {
    u32::try_from(minutes).ok().and_then(Interval::from_minutes)
}

fn sorted(timestamps: &[i64]) -> Cow<'_, [i64]> {
    if timestamps.is_sorted() {
        return Cow::Borrowed(timestamps);
    }
    let mut copy = timestamps.to_vec();
    copy.sort_unstable();
    Cow::Owned(copy)
}

/// Moves bars labelled with their close to their open: one interval earlier, except for the short
/// last bar of a session, which opens on the calendar's grid.
///
/// If the bars around it aren't on that grid (full hours in a session that opens at half past), the
/// last bar isn't short.
pub(super) fn relabel(timestamps: &mut [i64], interval: Interval, calendar: &Calendar) {
    let labels = timestamps.to_vec();
    for timestamp in timestamps.iter_mut() {
        *timestamp -= interval.micros();
    }
    if interval == Interval::M1 {
        return;
    }
    let mut known: Option<(NaiveDate, Vec<(i64, i64)>)> = None;
    for (row, label) in labels.iter().enumerate() {
        let date = calendar.session_date(Timestamp::from_micros(label - MINUTE_MICROS));
        if known.as_ref().is_none_or(|(known, _)| *known != date) {
            let parts = match calendar.session_on(date) {
                Ok(Some(session)) => session
                    .parts()
                    .map(|(start, end)| (start.micros(), end.micros()))
                    .collect(),
                _ => Vec::new(),
            };
            known = Some((date, parts));
        }
        let Some((start, end)) = known
            .iter()
            .flat_map(|(_, parts)| parts)
            .find(|(_, end)| end == label)
        else {
            continue;
        };
        let short = (end - start) % interval.micros();
        let off_grid = |at: Option<&i64>| {
            at.is_some_and(|at| start < at && at < end && (at - start) % interval.micros() != 0)
        };
        let before = row.checked_sub(1).and_then(|row| labels.get(row));
        if short == 0 || off_grid(before) || off_grid(labels.get(row + 1)) {
            continue;
        }
        timestamps[row] = end - short;
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::model::{Bar, Bars};

    fn bars(times: &[&str]) -> Bars {
        times
            .iter()
            .map(|time| {
                Bar::new(
                    time.parse::<DateTime<chrono::Utc>>().unwrap().into(),
                    [1.0, 1.0, 1.0, 1.0],
                    1.0,
                )
            })
            .collect()
    }

    fn opens(interval: Interval, times: &[&str]) -> Vec<String> {
        let mut bars = bars(times);
        relabel(
            bars.timestamps_mut(),
            interval,
            &Calendar::for_exchange("NASDAQ").unwrap(),
        );
        bars.iter()
            .map(|bar| bar.timestamp.to_utc().format("%H:%M").to_string())
            .collect()
    }

    #[test]
    fn the_short_last_bar_stays_on_the_grid() {
        // 15:30 and 16:00 New York.
        assert_eq!(
            opens(
                Interval::M60,
                &["2025-01-02T20:30:00Z", "2025-01-02T21:00:00Z"]
            ),
            ["19:30", "20:30"]
        );
        // Half a day: 12:30 and 13:00.
        assert_eq!(
            opens(
                Interval::M60,
                &["2024-12-24T17:30:00Z", "2024-12-24T18:00:00Z"]
            ),
            ["16:30", "17:30"]
        );
        assert_eq!(opens(Interval::M60, &["2025-01-02T21:00:00Z"]), ["20:30"]);
        assert_eq!(opens(Interval::M30, &["2025-01-02T21:00:00Z"]), ["20:30"]);
        assert_eq!(opens(Interval::M1, &["2025-01-02T21:00:00Z"]), ["20:59"]);
    }

    #[test]
    fn hours_on_the_hour_have_no_short_bar() {
        assert_eq!(
            opens(
                Interval::M60,
                &["2025-01-02T20:00:00Z", "2025-01-02T21:00:00Z"]
            ),
            ["19:00", "20:00"]
        );
    }
}

//! The interval of a file's bars, from the gaps between them; and the opens of bars labelled with
//! their close.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::NaiveDate;

use super::error::NoInterval;
use super::piece::Group;
use crate::calendar::Calendar;
use crate::model::{Bars, DAY_MICROS, Interval, MINUTE_MICROS, Ticker, Timestamp};

/// Fewer bars don't show an interval.
const BARS_MIN: u64 = 30;

/// Detects a file's interval: the largest that divides all gaps of all tickers. Gaps from session
/// to session don't count.
pub(super) struct IntervalDetector<'c> {
    calendar: &'c Calendar,
    /// Whether timestamps are closes. Then the gap before the end of a session may be a short bar.
    is_close: bool,
    divisor: i64,
    bars: u64,
    /// The last timestamp of each ticker in the pieces so far.
    last: HashMap<Ticker, i64>,
}

impl<'c> IntervalDetector<'c> {
    pub(super) fn new(calendar: &'c Calendar, is_close: bool) -> Self {
        Self {
            calendar,
            is_close,
            divisor: 0,
            bars: 0,
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

    /// Whether more gaps can't change the interval.
    pub(super) fn is_certain(&self) -> bool {
        self.divisor == MINUTE_MICROS && self.bars >= BARS_MIN
    }

    /// The interval, or why the bars don't show it.
    pub(super) fn interval(&self) -> Result<Interval, NoInterval> {
        if self.bars < BARS_MIN {
            return Err(NoInterval::TooFew(self.bars));
        }
        if self.divisor == 0 {
            return Err(NoInterval::Daily);
        }
        let fits = |interval: &Interval| self.divisor % interval.micros() == 0;
        Ok(Interval::ALL
            .into_iter()
            .rev()
            .find(fits)
            .unwrap_or(Interval::M1))
    }

    fn gaps(&mut self, timestamps: &[i64]) {
        // A bar labelled with its close belongs to the session in which it ends.
        let shift = if self.is_close { MINUTE_MICROS } else { 0 };
        let opens: Cow<'_, [i64]> = if self.is_close {
            timestamps.iter().map(|at| at - shift).collect()
        } else {
            Cow::Borrowed(timestamps)
        };
        for (date, run) in self.calendar.session_runs(&opens) {
            let ends = self.ends(date);
            for pair in opens[run].windows(2) {
                let gap = pair[1] - pair[0];
                if gap == 0 || gap >= DAY_MICROS || ends.contains(&(pair[1] + shift)) {
                    continue;
                }
                self.divisor = gcd(self.divisor, gap);
                if self.divisor == MINUTE_MICROS {
                    return;
                }
            }
        }
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

fn sorted(timestamps: &[i64]) -> Cow<'_, [i64]> {
    if timestamps.is_sorted() {
        return Cow::Borrowed(timestamps);
    }
    let mut copy = timestamps.to_vec();
    copy.sort_unstable();
    Cow::Owned(copy)
}

fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Moves bars labelled with their close to their open: one interval earlier, except for the short
/// last bar of a session, which opens on the calendar's grid.
///
/// If the bars around it aren't on that grid (full hours in a session that opens at half past), the
/// last bar isn't short.
pub(super) fn relabel(bars: &mut Bars, interval: Interval, calendar: &Calendar) {
    let labels = bars.timestamps().to_vec();
    bars.shift(-interval.micros());
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
        bars.timestamps_mut()[row] = end - short;
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::model::Bar;

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
            &mut bars,
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

//! Cuts days into windows, one per request.

use chrono::{Datelike, Days, NaiveDate};

use super::days::Day;
use super::limits::RequestLimits;
use crate::model::DateRange;

/// One request: its dates, and those of them whose bars are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The requested dates; never more than one request may span.
    pub request: DateRange,
    /// The dates whose bars are kept. `request` can be wider, so that no request has one session
    /// only, and so that the response has a stored session to compare.
    pub keep: DateRange,
    /// Trading days inside `keep` whose bars are wanted, in order. None in a window that only
    /// compares stored bars.
    pub days: Vec<Day>,
    /// Trading days inside `keep` that are answered already; their bars are left out.
    pub skip: Vec<NaiveDate>,
    /// Some of it was requested before, so stored bars with the same values don't conflict.
    pub refetch: bool,
}

impl Window {
    /// A window that requests one stored session and keeps none of its bars.
    pub(super) fn comparison(session: NaiveDate) -> Self {
        let only = date_range(session, session);
        Self {
            request: only,
            keep: only,
            days: Vec::new(),
            skip: vec![session],
            refetch: false,
        }
    }

    /// Whether the window only serves to compare stored bars: it has no days of its own.
    pub fn is_comparison(&self) -> bool {
        self.days.is_empty()
    }

    /// Whether a bar of this local date is kept.
    pub fn keeps(&self, date: NaiveDate) -> bool {
        self.keep.contains(date) && !self.skip.contains(&date)
    }
}

/// What a run does with a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DayState {
    /// Request it; it was never requested.
    New,
    /// Request it again.
    Refetch,
    /// Leave it out: it is answered.
    Done,
}

/// The windows over those of `days` that are not done, as few as `limits` allow.
///
/// If responses can lack their oldest bars, the cut is chosen in which no window has one session
/// only, because a response for one session alone can lack its opening bar. Where that needs another
/// date, it is taken from before the window, and its bars are left out.
pub fn windows(days: &[(Day, DayState)], limits: &RequestLimits) -> Vec<Window> {
    let span_max = i64::from(limits.span_max.max(1));
    let wanted: Vec<usize> = (0..days.len())
        .filter(|&index| days[index].1 != DayState::Done)
        .collect();
    let trading_dates: Vec<NaiveDate> = days.iter().map(|(day, _)| day.date).collect();
    let date = |index: usize| trading_dates[wanted[index]];
    let month = |index: usize| (date(index).year(), date(index).month());
    let fits = |first: usize, last: usize| {
        (date(last) - date(first)).num_days() < span_max
            && (!limits.ends_with_month || month(first) == month(last))
    };

    // Half-open ranges of `wanted`, each as long as possible.
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    while start < wanted.len() {
        let end = (start + 1..wanted.len())
            .find(|&index| !fits(start, index))
            .unwrap_or(wanted.len());
        ranges.push((start, end));
        start = end;
    }
    // A range of one day takes the last day of the range before it, if that has days to spare and
    // both days fit into one window.
    let pairs = if limits.loses_oldest() {
        1..ranges.len()
    } else {
        0..0
    };
    for index in pairs {
        let (before, this) = (ranges[index - 1], ranges[index]);
        if this.1 - this.0 == 1 && before.1 - before.0 > 2 && fits(before.1 - 1, this.0) {
            ranges[index - 1].1 -= 1;
            ranges[index].0 -= 1;
        }
    }

    ranges
        .iter()
        .map(|&(start, end)| {
            let keep = date_range(date(start), date(end - 1));
            let inside = &days[wanted[start]..=wanted[end - 1]];
            let (done, wanted): (Vec<_>, Vec<_>) = inside
                .iter()
                .partition(|(_, state)| *state == DayState::Done);
            Window {
                request: match limits.loses_oldest() {
                    true => widened(&trading_dates, keep, span_max),
                    false => keep,
                },
                keep,
                refetch: wanted.iter().any(|(_, state)| *state == DayState::Refetch),
                days: wanted.into_iter().map(|(day, _)| day).collect(),
                skip: done.into_iter().map(|(day, _)| day.date).collect(),
            }
        })
        .collect()
}

/// `keep`, and if it has one session only, also the session before it, or at least another date.
///
/// Never a later date: a truncated response still has its last date, and shows by it where it was
/// cut. `trading_dates` is sorted.
pub(super) fn widened(trading_dates: &[NaiveDate], keep: DateRange, span_max: i64) -> DateRange {
    let start = trading_dates.partition_point(|date| *date < keep.first());
    let end = trading_dates.partition_point(|date| *date <= keep.last());
    if end - start > 1 || span_max < 2 {
        return keep;
    }
    let before = start
        .checked_sub(1)
        .map(|index| trading_dates[index])
        .filter(|before| (keep.last() - *before).num_days() < span_max);
    match before {
        Some(before) => date_range(before, keep.last()),
        None if keep.days() == 1 => date_range(keep.first() - Days::new(1), keep.last()),
        None => keep,
    }
}

/// The dates from `first` to `last`; `first` alone if `last` is before it.
pub(super) fn date_range(first: NaiveDate, last: NaiveDate) -> DateRange {
    DateRange::new(first, last.max(first)).unwrap_or_else(|_| unreachable!("the ends are in order"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Hours, Interval, Timestamp, TypedDate};
    use crate::provider::Truncation;
    use proptest::prelude::*;

    fn date(typed: &str) -> NaiveDate {
        typed.parse::<TypedDate>().unwrap().0
    }

    fn limits(span_max: u16) -> RequestLimits {
        RequestLimits {
            history_start: None,
            interval: Interval::M1,
            hours: Hours::Regular,
            span_max,
            ends_with_month: false,
            tickers_max: 1,
            truncation: Truncation::KeepsNewest,
            window_requests: None,
        }
    }

    /// A provider that says when a response is not complete needs no neighbours.
    #[test]
    fn a_session_is_requested_alone_if_nothing_can_be_lost() {
        let limits = RequestLimits {
            truncation: Truncation::Announces {
                page_bars: 100,
                by_ticker: false,
            },
            ..limits(3)
        };
        let requests: Vec<DateRange> = (windows(&january("6 7 8 13"), &limits).iter())
            .map(|window| window.request)
            .collect();
        let january = |first, last| DateRange::new(date(first), date(last)).unwrap();
        assert_eq!(
            requests,
            [
                january("2025-01-06", "2025-01-08"),
                january("2025-01-13", "2025-01-13")
            ]
        );
    }

    fn day(date: NaiveDate) -> Day {
        Day {
            date,
            open: Timestamp::from_micros(0),
            close: Timestamp::from_micros(0),
        }
    }

    /// Days of January 2025 by number, `!` for answered and `?` for requested before.
    fn january(list: &str) -> Vec<(Day, DayState)> {
        list.split_whitespace()
            .map(|word| {
                let known = match word.chars().last() {
                    Some('!') => DayState::Done,
                    Some('?') => DayState::Refetch,
                    _ => DayState::New,
                };
                let number = word.trim_end_matches(['!', '?']);
                (day(date(&format!("2025-01-{number:0>2}"))), known)
            })
            .collect()
    }

    /// `request first-last keep first-last`, by day of the month.
    fn planned(list: &str, span_max: u16) -> Vec<String> {
        let show = |range: DateRange| {
            format!(
                "{}-{}",
                range.first().format("%-d"),
                range.last().format("%-d")
            )
        };
        (windows(&january(list), &limits(span_max)).iter())
            .map(|w| {
                let skip: String = w
                    .skip
                    .iter()
                    .map(|d| d.format(" skip %-d").to_string())
                    .collect();
                let again = if w.refetch { " again" } else { "" };
                format!(
                    "request {} keep {}{skip}{again}",
                    show(w.request),
                    show(w.keep)
                )
            })
            .collect()
    }

    #[test]
    fn weeks_of_one_minute_bars() {
        // 6 January 2025 is a Monday.
        assert_eq!(
            planned("6 7 8 9 10 13 14 15 16 17", 3),
            [
                "request 6-8 keep 6-8",
                "request 9-10 keep 9-10",
                "request 13-15 keep 13-15",
                "request 16-17 keep 16-17"
            ]
        );
    }

    #[test]
    fn no_session_is_requested_alone_if_another_fits() {
        // Four days in two windows of two each.
        assert_eq!(
            planned("6 7 8 9", 3),
            ["request 6-7 keep 6-7", "request 8-9 keep 8-9"]
        );
        // A Monday at the end: Friday is too far, so the dates in between widen it.
        assert_eq!(
            planned("8 9 10 13", 3),
            ["request 8-10 keep 8-10", "request 12-13 keep 13-13"]
        );
        // One day alone in the range: with the date before it.
        assert_eq!(planned("7", 3), ["request 6-7 keep 7-7"]);
        // A day between answered ones is requested with the one before it.
        assert_eq!(planned("6! 7! 8 9! 10!", 3), ["request 7-8 keep 8-8"]);
    }

    #[test]
    fn answered_days_are_left_out_and_partial_ones_requested_again() {
        assert_eq!(
            planned("6 7! 8? 9! 10", 3),
            [
                "request 6-8 keep 6-8 skip 7 again",
                "request 9-10 keep 10-10"
            ]
        );
        assert!(planned("6! 7! 8!", 3).is_empty());
        assert!(planned("", 3).is_empty());
    }

    proptest! {
        #[test]
        fn every_wanted_day_is_kept_once_and_no_window_is_too_wide(
            gaps in proptest::collection::vec((1u64..5, 0u8..4), 1..60),
            span_max in 1u16..9,
        ) {
            let first = date("2025-01-06");
            let mut at = first;
            let mut days = Vec::new();
            for (gap, known) in gaps {
                at = at + Days::new(gap);
                let known = match known {
                    0 => DayState::Done,
                    1 => DayState::Refetch,
                    _ => DayState::New,
                };
                days.push((day(at), known));
            }
            let windows = windows(&days, &limits(span_max));
            for (day, known) in &days {
                let kept = windows.iter().filter(|w| w.keeps(day.date)).count();
                prop_assert_eq!(kept, usize::from(*known != DayState::Done), "{}", day.date);
            }
            for window in &windows {
                prop_assert!(window.request.days() <= i64::from(span_max), "{:?}", window);
                prop_assert!(window.request.contains(window.days[0].date));
                prop_assert!(window.request.contains(window.days[window.days.len() - 1].date));
                prop_assert!(span_max == 1 || window.request.days() > 1, "{:?}", window);
                prop_assert_eq!(window.keep.last(), window.request.last());
            }
            let mut requests: Vec<DateRange> = windows.iter().map(|w| w.request).collect();
            requests.dedup();
            prop_assert_eq!(requests.len(), windows.len());
        }
    }
}

//! Which part of a store a bundle holds.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::bounded::optional_bounded_list;
use super::defect::BadManifest;
use crate::calendar::{self, Calendar, Overrides};
use crate::model::{Interval, SeriesKey, Ticker, TimeRange, Timestamp};

/// The most tickers that a filter can name.
const FILTER_TICKERS_MAX: usize = 100_000;
/// The years that a date can have, as on the command line.
const YEARS: std::ops::Range<i32> = 1900..2200;

/// Which part of a store a bundle holds; `None` means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Sorted.
    #[serde(deserialize_with = "optional_bounded_list::<_, FILTER_TICKERS_MAX>")]
    pub tickers: Option<Vec<String>>,
    /// The length of the bars.
    pub interval_minutes: Option<u16>,
    /// First day, exchange-local, inclusive.
    pub start: Option<NaiveDate>,
    /// Last day, exchange-local, inclusive.
    pub end: Option<NaiveDate>,
}

/// The instants that a filter's dates mean at one exchange: from `start` to before `end`.
///
/// They are in the manifest, so that verifying a bundle doesn't need the exchange's calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first instant inside.
    pub start: Option<String>,
    /// The first instant after.
    pub end: Option<String>,
}

impl From<TimeRange> for Span {
    fn from(range: TimeRange) -> Self {
        let text = |micros: i64| Timestamp::from_micros(micros).to_string();
        Self {
            start: (range.start != TimeRange::ALL.start).then(|| text(range.start)),
            end: (range.end != TimeRange::ALL.end).then(|| text(range.end)),
        }
    }
}

impl Span {
    /// Whether both instants are inside. Instants in text form sort by time.
    #[must_use]
    pub fn contains(&self, first: &str, last: &str) -> bool {
        self.start.as_deref().is_none_or(|start| start <= first)
            && self.end.as_deref().is_none_or(|end| last < end)
    }
}

impl Filter {
    /// An empty list and missing dates mean all.
    #[must_use]
    pub fn new(
        tickers: &[Ticker],
        interval: Option<Interval>,
        start: Option<NaiveDate>,
        end: Option<NaiveDate>,
    ) -> Self {
        let mut names: Vec<String> = tickers.iter().map(|t| t.as_str().to_owned()).collect();
        names.sort();
        names.dedup();
        Self {
            tickers: (!names.is_empty()).then_some(names),
            interval_minutes: interval.map(Interval::minutes),
            start,
            end,
        }
    }

    /// The canonical form, by which two filters are compared.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and numbers: this can't fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the series is inside.
    #[must_use]
    pub fn has(&self, series: &SeriesKey) -> bool {
        self.interval_minutes
            .is_none_or(|minutes| minutes == series.interval.minutes())
            && self.tickers.as_ref().is_none_or(|tickers| {
                tickers
                    .binary_search_by(|ticker| ticker.as_str().cmp(series.ticker.as_str()))
                    .is_ok()
            })
    }

    /// The instants inside, for the bars of one exchange.
    pub fn range(
        &self,
        exchange: &str,
        calendars: &Overrides,
    ) -> Result<TimeRange, calendar::Error> {
        Calendar::range_at(exchange, calendars, self.start, self.end)
    }

    /// Whether it limits the bars by date.
    #[must_use]
    pub fn has_dates(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    /// The part of `typed` that differs from this filter.
    #[must_use]
    pub fn contradiction(&self, typed: &Self) -> Option<&'static str> {
        let differs = |is_typed: bool, is_same: bool| is_typed && !is_same;
        [
            (
                "the tickers",
                differs(typed.tickers.is_some(), typed.tickers == self.tickers),
            ),
            (
                "the intervals",
                differs(
                    typed.interval_minutes.is_some(),
                    typed.interval_minutes == self.interval_minutes,
                ),
            ),
            (
                "the first days",
                differs(typed.start.is_some(), typed.start == self.start),
            ),
            (
                "the last days",
                differs(typed.end.is_some(), typed.end == self.end),
            ),
        ]
        .into_iter()
        .find_map(|(name, differs)| differs.then_some(name))
    }

    /// Checks that it is as [`new`](Self::new) makes it.
    pub(super) fn check(&self) -> Result<(), BadManifest> {
        let wrong = |what: &str| Err(BadManifest::Contradiction(format!("its filter's {what}")));
        if let Some(tickers) = &self.tickers {
            let is_valid =
                |name: &String| Ticker::new(name).is_ok_and(|known| known.as_str() == name);
            if tickers.is_empty()
                || !tickers.iter().all(is_valid)
                || !tickers.windows(2).all(|pair| pair[0] < pair[1])
            {
                return wrong("tickers are invalid or not sorted");
            }
        }
        if self
            .interval_minutes
            .is_some_and(|m| Interval::from_minutes(m.into()).is_none())
        {
            return wrong("interval is unknown");
        }
        let is_in_range =
            |date: Option<NaiveDate>| date.is_none_or(|date| YEARS.contains(&date.year()));
        if !is_in_range(self.start) || !is_in_range(self.end) {
            return wrong("dates are out of range");
        }
        if self
            .start
            .zip(self.end)
            .is_some_and(|(start, end)| start > end)
        {
            return wrong("start is after its end");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_differing_part_is_found() {
        let ticker = |name| Ticker::new(name).unwrap();
        let filter = Filter::new(&[ticker("B"), ticker("A"), ticker("B")], None, None, None);
        assert_eq!(filter.tickers, Some(vec!["A".to_owned(), "B".to_owned()]));
        assert_eq!(filter.contradiction(&Filter::default()), None);
        assert_eq!(filter.contradiction(&filter), None);
        let other = Filter::new(&[ticker("A")], None, None, None);
        assert_eq!(filter.contradiction(&other), Some("the tickers"));
        let other = Filter::new(&[], Some(Interval::M5), None, None);
        assert_eq!(filter.contradiction(&other), Some("the intervals"));
    }
}

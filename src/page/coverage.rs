//! The coverage view: the state of every session of every series, from the counts in the catalog.
//!
//! A cell is a session. Its values are run-length encoded, because neighbours are mostly the same:
//! five years of a ticker that is complete are one entry.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use chrono::{Datelike, NaiveDate};
use serde_json::{Value, json};

use super::{Error, PageData};
use crate::gaps::{Reason, SeriesGaps, survey_by_counts};
use crate::model::{DateRange, SeriesKey};
use crate::store::{CoverageEntry, SessionCount};

/// Which rows of the view are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// The first, in the order of the series.
    pub first: usize,
    pub count: usize,
}

impl Rows {
    /// All of them.
    pub const ALL: Self = Self {
        first: 0,
        count: usize::MAX,
    };
}

impl PageData<'_> {
    /// `backfill.coverage/1`.
    ///
    /// - `total`: number of rows; `first`: index of the first row in this document.
    /// - `calendars`: for each exchange the sessions from the first to the last of all its series, as
    ///   days since 1970: the first day, then the distance to each next one.
    /// - `rows`: one row per series. `from` is the index of its first session in the calendar. `states`
    ///   has one letter per session (`c` complete, `s` short, `p` partial, `e` empty, `f` failed, `n`
    ///   never asked), `bars` and `expected` the numbers of bars; each value is followed by `*` and
    ///   how often it is repeated, if that is more than once.
    /// - `requests` of a row: what was requested from providers, oldest first.
    pub fn coverage(&mut self, rows: Rows) -> Result<Value, Error> {
        let all = self.reader.series()?;
        let mut spans: BTreeMap<String, (NaiveDate, NaiveDate)> = BTreeMap::new();
        let mut keys = Vec::new();
        for row in &all {
            if !self.filter.has(&row.key) {
                continue;
            }
            let exchange = &row.provenance.exchange;
            let date = |at| {
                (self.calendars.calendar(exchange))
                    .map_or_else(|| at_utc(at), |calendar| calendar.session_date(at))
            };
            let mut date = date;
            let (first, last) = (date(row.first), date(row.last));
            spans
                .entry(exchange.clone())
                .and_modify(|span| *span = (span.0.min(first), span.1.max(last)))
                .or_insert((first, last));
            keys.push(row.key.clone());
        }
        let total = keys.len();
        let wanted: Vec<SeriesKey> = (keys.into_iter().skip(rows.first).take(rows.count)).collect();
        let whole = wanted.len() == total;
        let facts = match whole {
            true => self.facts()?,
            false => self.facts_of(&wanted)?,
        };
        let tickers = match whole {
            true => self.filter.tickers.clone(),
            false => wanted.iter().map(|key| key.ticker.clone()).collect(),
        };
        let scope = self.scope(tickers);
        let survey = survey_by_counts(self.reader, &scope, &facts, self.calendars)?;
        for series in &survey.series {
            if let Some(checked) = series.checked {
                spans
                    .entry(series.provenance.exchange.clone())
                    .and_modify(|span| {
                        *span = (span.0.min(checked.first()), span.1.max(checked.last()));
                    });
            }
        }
        let mut calendars = serde_json::Map::new();
        for (exchange, (first, last)) in &spans {
            let sessions = self.calendars.sessions(exchange, *first, *last);
            let dates = sessions.into_iter().flatten().map(|session| session.date);
            calendars.insert(exchange.clone(), json!(distances(dates)));
        }
        let by_key: BTreeMap<&SeriesKey, &SeriesGaps> = (survey.series.iter())
            .map(|series| (&series.key, series))
            .collect();
        let mut out = Vec::with_capacity(wanted.len());
        for key in &wanted {
            let (Some(series), Some(counts)) = (by_key.get(key), facts.counts.get(key)) else {
                continue;
            };
            let span = spans.get(&series.provenance.exchange).copied();
            let requests = facts.coverage.get(key).map_or(&[][..], Vec::as_slice);
            out.push(self.row(series, counts, span, requests));
        }
        Ok(json!({
            "schema": "backfill.coverage/1",
            "total": total,
            "first": rows.first,
            "calendars": calendars,
            "rows": out,
        }))
    }

    fn row(
        &mut self,
        series: &SeriesGaps,
        counts: &[SessionCount],
        span: Option<(NaiveDate, NaiveDate)>,
        requests: &[CoverageEntry],
    ) -> Value {
        let exchange = &series.provenance.exchange;
        let interval = series.key.interval;
        let (mut states, mut bars, mut expected) = (Runs::new(), Runs::new(), Runs::new());
        let mut from = 0;
        if let (Some(checked), Some((first, _))) = (series.checked, span) {
            from = self.sessions_between(exchange, first, checked);
            let sessions = self
                .calendars
                .sessions(exchange, checked.first(), checked.last());
            let mut gaps = series.gaps.iter().peekable();
            let mut counts = counts.iter().peekable();
            for session in sessions.into_iter().flatten() {
                while counts
                    .next_if(|count| count.session < session.date)
                    .is_some()
                {}
                let count = counts.next_if(|count| count.session == session.date);
                let gap = gaps.next_if(|gap| gap.session == session.date);
                states.push(gap.map_or('c', |gap| letter(gap.reason)));
                bars.push(count.map_or(0, |count| count.regular));
                expected.push(gap.map_or_else(
                    || u32::try_from(session.expected(interval)).unwrap_or(u32::MAX),
                    |gap| gap.expected,
                ));
            }
        }
        let requests: Vec<Value> = requests
            .iter()
            .map(|entry| {
                json!({
                    "provider": entry.provider,
                    "first": entry.dates.first().to_string(),
                    "last": entry.dates.last().to_string(),
                    "status": entry.status.as_str(),
                    "rows": entry.rows,
                    "reason": entry.reason,
                    "asked_at": entry.asked_at.to_string(),
                })
            })
            .collect();
        json!({
            "interval_minutes": interval.minutes(),
            "ticker": series.key.ticker.as_str(),
            "exchange": exchange,
            "from": from,
            "states": states.finish(),
            "bars": bars.finish(),
            "expected": expected.finish(),
            "requests": requests,
        })
    }

    /// How many sessions there are from `first` up to the first checked one.
    fn sessions_between(&mut self, exchange: &str, first: NaiveDate, checked: DateRange) -> usize {
        let sessions = self.calendars.sessions(exchange, first, checked.first());
        let sessions = sessions.into_iter().flatten();
        sessions
            .filter(|session| session.date < checked.first())
            .count()
    }
}

fn at_utc(at: crate::model::Timestamp) -> NaiveDate {
    at.to_utc().date_naive()
}

const fn letter(reason: Reason) -> char {
    match reason {
        Reason::NeverAsked => 'n',
        Reason::Empty => 'e',
        Reason::Partial => 'p',
        Reason::Failed => 'f',
        Reason::Short => 's',
    }
}

/// Days since 1970: the first, then the distance to each next one.
fn distances(dates: impl Iterator<Item = NaiveDate>) -> Vec<i32> {
    let epoch = NaiveDate::default().num_days_from_ce();
    let mut last = 0;
    dates
        .map(|date| {
            let day = date.num_days_from_ce() - epoch;
            let distance = day - last;
            last = day;
            distance
        })
        .collect()
}

/// Values, each with how often it is repeated: `390*12,300,390*40`.
pub(super) struct Runs<T> {
    text: String,
    last: Option<(T, u32)>,
}

impl<T: Display + PartialEq> Runs<T> {
    pub fn new() -> Self {
        Self {
            text: String::new(),
            last: None,
        }
    }

    pub fn push(&mut self, value: T) {
        match &mut self.last {
            Some((last, count)) if *last == value => *count += 1,
            _ => {
                self.write();
                self.last = Some((value, 1));
            }
        }
    }

    pub fn finish(mut self) -> String {
        self.write();
        self.text
    }

    fn write(&mut self) {
        let Some((value, count)) = self.last.take() else {
            return;
        };
        if !self.text.is_empty() {
            self.text.push(',');
        }
        // Writing into a string can't fail.
        let _ = match count {
            1 => write!(self.text, "{value}"),
            count => write!(self.text, "{value}*{count}"),
        };
    }
}

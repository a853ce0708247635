//! The chart: the bars of one series, combined into longer ones until they are few enough.

use std::ops::Range;

use chrono::{Datelike, NaiveDate};
use serde_json::{Value, json};

use super::resolution::Resolution;
use super::{Error, PageData};
use crate::calendar::{Calendar, Session};
use crate::export::Resampler;
use crate::gaps::survey_by_counts;
use crate::model::columns::{CLOSE, OPEN};
use crate::model::{Bar, Bars, CombinedBar, DateRange, SeriesKey, TimeRange, Timestamp};
use crate::store::{SeriesRow, SessionCount, bars_from_batch};

/// Sessions that are shown if no dates are given.
const SESSIONS_DEFAULT: usize = 5;
/// How far the first open may be from a simple ratio of the last close for a suspected split.
const SPLIT_TOLERANCE: f64 = 0.04;
/// Ratios of splits that are looked for, and their inverses.
const SPLIT_RATIOS: [f64; 13] = [
    1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 50.0,
];
/// The most conflicts that are marked.
const MARKS_MAX: usize = 2_000;

/// Which bars a chart wants.
#[derive(Clone, Debug)]
pub struct BarsQuery {
    pub series: SeriesKey,
    /// The first trading date; `None`: five sessions before the last.
    pub from: Option<NaiveDate>,
    /// The last trading date; `None`: the last with bars.
    pub to: Option<NaiveDate>,
    /// The most bars of the response.
    pub max: u64,
    /// The shortest bars of the response, if they can be made: the resolution of the chart over
    /// which these are drawn.
    pub at_least: Option<Resolution>,
}

impl PageData<'_> {
    /// `backfill.bars/1`. Times are seconds since 1970 in UTC, columns are arrays.
    ///
    /// - `resolution`: minutes, `day` or `week`.
    /// - `sessions`: open, close and break (null without one) of each session; null for bars of a
    ///   day and longer.
    /// - `lacking`: the sessions of `gaps`, with their reasons.
    /// - `rejected`: sessions with rejected rows whose bars aren't stored.
    /// - `conflicts`: times of bars that were offered with other values.
    /// - `splits`: where the first open after a close looks like a split, with the ratio.
    pub fn bars(&mut self, query: &BarsQuery) -> Result<Value, Error> {
        let row = (self.reader.series()?.into_iter()).find(|row| row.key == query.series);
        let Some(row) = row else {
            return Err(Error::UnknownSeries {
                ticker: query.series.ticker.to_string(),
                interval: query.series.interval,
            });
        };
        let facts = self.facts_of(std::slice::from_ref(&row.key))?;
        let counts = facts.counts.get(&row.key).map_or(&[][..], Vec::as_slice);
        let Some(dates) = dates(query, counts) else {
            return Ok(self.document(&row, None, Resolution::Day, &Bars::default(), &[]));
        };
        let inside: Vec<&SessionCount> =
            (counts.iter().filter(|count| dates.contains(count.session))).collect();
        let stored = inside.iter().map(|count| u64::from(count.bars)).sum();
        let resolution = Resolution::of(
            row.key.interval,
            stored,
            inside.len() as u64,
            query.max.max(1),
        )
        .at_least(query.at_least, row.key.interval);
        let calendar = self.calendars.calendar(&row.provenance.exchange).cloned();
        let range = match &calendar {
            Some(calendar) => calendar.instants(dates),
            None => utc(dates),
        };
        let mut ends = Ends::default();
        let bars = self.scan(&row.key, range, calendar.as_ref(), resolution, &mut ends)?;
        let mut document = self.document(&row, Some(dates), resolution, &bars, &ends.splits());
        let mut scope = self.scope(vec![row.key.ticker.clone()]);
        (scope.interval, scope.start, scope.end) = (
            Some(row.key.interval),
            Some(dates.first()),
            Some(dates.last()),
        );
        let rejected = facts.rejected.get(&row.key).map(|rows| &rows.sessions);
        document["rejected"] = (rejected.into_iter().flatten())
            .filter(|(session, _)| dates.contains(**session))
            .map(|(session, rows)| json!({"session": session.to_string(), "rows": rows}))
            .collect();
        let survey = survey_by_counts(self.reader, &scope, &facts, self.calendars)?;
        document["lacking"] = (survey.gaps())
            .map(|gap| json!({"session": gap.session.to_string(), "reason": gap.reason.as_str()}))
            .collect();
        let conflicts = self.reader.conflict_times(&row.key, range, MARKS_MAX)?;
        document["conflicts"] = conflicts.iter().map(|at| seconds(at.micros())).collect();
        Ok(document)
    }

    fn scan(
        &self,
        key: &SeriesKey,
        range: TimeRange,
        calendar: Option<&Calendar>,
        resolution: Resolution,
        ends: &mut Ends,
    ) -> Result<Bars, Error> {
        let mut folded = match (resolution, calendar) {
            (Resolution::Minutes(minutes), Some(calendar)) if minutes != key.interval.minutes() => {
                Folded::Minutes(Resampler::new(calendar.clone(), minutes))
            }
            (Resolution::Minutes(_), _) => Folded::Stored,
            (Resolution::Day | Resolution::Week, _) => Folded::Dates(None),
        };
        let mut out = Bars::default();
        for batch in self.reader.scan(key, range)? {
            let Some(bars) = bars_from_batch(&batch?) else {
                continue;
            };
            let dated = dated(calendar, bars.timestamps());
            for (date, run) in &dated {
                ends.add(*date, &bars, run);
            }
            match &mut folded {
                Folded::Stored => out.append(bars),
                Folded::Minutes(resampler) => out.append(resampler.push(&bars)),
                Folded::Dates(open) => {
                    for (date, run) in dated {
                        for index in run {
                            combine(open, bucket(date, resolution), &bars.get(index), &mut out);
                        }
                    }
                }
            }
        }
        match folded {
            Folded::Stored => {}
            Folded::Minutes(resampler) => out.append(resampler.finish()),
            Folded::Dates(open) => {
                if let Some(last) = open {
                    last.close(&mut out);
                }
            }
        }
        Ok(out)
    }

    fn document(
        &mut self,
        row: &SeriesRow,
        dates: Option<DateRange>,
        resolution: Resolution,
        bars: &Bars,
        splits: &[(i64, f64)],
    ) -> Value {
        let exchange = &row.provenance.exchange;
        let calendar = self.calendars.calendar(exchange);
        let timezone = calendar
            .map_or("UTC", |calendar| calendar.tz().name())
            .to_owned();
        let sessions = match (resolution, dates) {
            (Resolution::Minutes(_), Some(dates)) => {
                self.calendars
                    .sessions(exchange, dates.first(), dates.last())
            }
            _ => None,
        };
        let time: Vec<i64> = bars.timestamps().iter().map(|at| seconds(*at)).collect();
        let column =
            |of: fn(&Bar) -> f64| -> Vec<f64> { bars.iter().map(|bar| of(&bar)).collect() };
        json!({
            "schema": "backfill.bars/1",
            "interval_minutes": row.key.interval.minutes(),
            "ticker": row.key.ticker.as_str(),
            "exchange": exchange,
            "timezone": timezone,
            "from": dates.map(|dates| dates.first().to_string()),
            "to": dates.map(|dates| dates.last().to_string()),
            "resolution": resolution.name(),
            "time": time,
            "open": column(|bar| bar.open),
            "high": column(|bar| bar.high),
            "low": column(|bar| bar.low),
            "close": column(|bar| bar.close),
            "volume": column(|bar| bar.volume),
            "sessions": sessions.map(|sessions| sessions.iter().map(of_session).collect::<Vec<_>>()),
            "lacking": [],
            "rejected": [],
            "conflicts": [],
            "splits": (splits.iter())
                .map(|(at, ratio)| json!({"time": seconds(*at), "ratio": ratio}))
                .collect::<Vec<_>>(),
        })
    }
}

/// How bars become longer ones.
enum Folded {
    Stored,
    Minutes(Resampler),
    Dates(Option<Open>),
}

/// The bar of a day or a week that is being combined.
struct Open {
    bucket: i64,
    first: Timestamp,
    bar: CombinedBar,
}

impl Open {
    fn close(self, out: &mut Bars) {
        out.push(&self.bar.into_bar(self.first));
    }
}

/// Adds a bar to the open longer one, and moves that to `out` when the next one begins.
fn combine(open: &mut Option<Open>, bucket: i64, bar: &Bar, out: &mut Bars) {
    match open {
        Some(longer) if longer.bucket == bucket => longer.bar.add(bar),
        _ => {
            let next = Open {
                bucket,
                first: bar.timestamp,
                bar: CombinedBar::new(*bar),
            };
            if let Some(done) = open.replace(next) {
                done.close(out);
            }
        }
    }
}

fn bucket(date: NaiveDate, resolution: Resolution) -> i64 {
    let day = i64::from(date.num_days_from_ce());
    match resolution {
        Resolution::Week => day - i64::from(date.weekday().num_days_from_monday()),
        _ => day,
    }
}

/// First open and last close of each trading date, in order.
#[derive(Default)]
struct Ends(Vec<End>);

struct End {
    date: NaiveDate,
    /// When the first bar opens, in microseconds.
    at: i64,
    open: f64,
    close: f64,
}

impl Ends {
    /// Adds the bars `run` of a date.
    fn add(&mut self, date: NaiveDate, bars: &Bars, run: &Range<usize>) {
        let price = |column: usize, row: usize| {
            let value = bars.column(column).get(row);
            value.as_double().unwrap_or(f64::NAN)
        };
        let close = price(CLOSE, run.end - 1);
        match self.0.last_mut() {
            Some(last) if last.date == date => last.close = close,
            _ => self.0.push(End {
                date,
                at: bars.timestamps()[run.start],
                open: price(OPEN, run.start),
                close,
            }),
        }
    }

    /// Where the first open of a date is near a simple multiple or fraction of the last close.
    fn splits(&self) -> Vec<(i64, f64)> {
        (self.0.windows(2))
            .filter_map(|pair| Some((pair[1].at, split_ratio(pair[0].close / pair[1].open)?)))
            .collect()
    }
}

/// The ratio of a split that `change` is close to: 4 if prices fell to a quarter.
fn split_ratio(change: f64) -> Option<f64> {
    let is_near = |ratio: f64| (change / ratio - 1.0).abs() <= SPLIT_TOLERANCE;
    let inverses = SPLIT_RATIOS.iter().map(|ratio| 1.0 / ratio);
    (SPLIT_RATIOS.into_iter().chain(inverses)).find(|ratio| is_near(*ratio))
}

/// The dates of a query; `None` if there are no bars.
fn dates(query: &BarsQuery, counts: &[SessionCount]) -> Option<DateRange> {
    let last = query.to.or(counts.last().map(|count| count.session))?;
    let before = &counts[..counts.partition_point(|count| count.session <= last)];
    let default = before.get(before.len().saturating_sub(SESSIONS_DEFAULT));
    let first = query.from.or(default.map(|count| count.session))?;
    DateRange::new(first, last).ok()
}

/// Timestamps by trading date; without a calendar by UTC date.
fn dated(calendar: Option<&Calendar>, timestamps: &[i64]) -> Vec<(NaiveDate, Range<usize>)> {
    if let Some(calendar) = calendar {
        return calendar.session_runs(timestamps).collect();
    }
    let date = |at: i64| Timestamp::from_micros(at).to_utc().date_naive();
    let mut start = 0;
    (timestamps.chunk_by(|a, b| date(*a) == date(*b)))
        .map(|run| {
            let range = start..start + run.len();
            start = range.end;
            (date(run[0]), range)
        })
        .collect()
}

fn utc(dates: DateRange) -> TimeRange {
    TimeRange {
        start: crate::model::date_micros(dates.first()),
        end: crate::model::date_micros(dates.last()) + crate::model::DAY_MICROS,
    }
}

fn of_session(session: &Session) -> Value {
    let pause = session
        .pause
        .map(|(start, end)| [start, end].map(|at| seconds(at.micros())));
    json!({
        "date": session.date.to_string(),
        "open": seconds(session.open.micros()),
        "close": seconds(session.close.micros()),
        "pause": pause,
    })
}

fn seconds(micros: i64) -> i64 {
    micros.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_simple_ratios_look_like_splits() {
        assert_eq!(split_ratio(4.05), Some(4.0));
        assert_eq!(split_ratio(0.248), Some(0.25));
        assert_eq!(split_ratio(1.52), Some(1.5));
        for usual in [1.0, 1.1, 0.9, 1.3, 0.75, 2.3, f64::NAN, f64::INFINITY] {
            assert_eq!(split_ratio(usual), None, "{usual}");
        }
    }
}

//! Rows that a file or a response had for a session, but that can't become bars.
//!
//! They are missing from their sessions until bars with the same times are stored, from any source.
//! The catalog keeps only their times: the rows are in `rejects/<run>.csv`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int16Array, StringArray};
use arrow::datatypes::{Date32Type, Int16Type, TimestampMicrosecondType};
use chrono::NaiveDate;

use crate::calendar::Calendar;
use crate::model::{Interval, SeriesKey, Ticker, TimeRange, Timestamp};

use super::catalog::records::{dates, instants, texts};
use super::catalog::{Catalog, date_from_days, quoted};
use super::error::Error;
use super::handle::Store;
use super::reader::Reader;
use super::timestamps::Wanted;

/// Times of rejected rows of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRows {
    pub series: SeriesKey,
    pub exchange: String,
    /// When their bars would open, in microseconds, in any order.
    pub opens: Vec<i64>,
}

/// Rejected rows of a series whose bars aren't stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRows {
    pub exchange: String,
    /// How many in each session with any.
    pub sessions: BTreeMap<NaiveDate, u32>,
}

/// Rejected rows of a session, one interval apart.
#[derive(Clone, Debug)]
struct Stretch {
    exchange: String,
    session: NaiveDate,
    first: i64,
    last: i64,
}

impl Stretch {
    fn opens(&self, interval: Interval) -> impl Iterator<Item = i64> + use<> {
        let step = usize::try_from(interval.micros()).unwrap_or(usize::MAX);
        (self.first..=self.last).step_by(step)
    }
}

impl Store {
    /// Records when rejected rows open, durably. Times outside regular hours are left out, because
    /// no bar is expected there.
    pub fn record_rejected(&self, rows: &[RejectedRows]) -> Result<(), Error> {
        self.check_whole()?;
        let mut inner = self.inner();
        let series = match rows {
            [] => return Ok(()),
            [one] => Some(std::slice::from_ref(&one.series)),
            // One query: a file of a whole day has thousands of series.
            _ => None,
        };
        let recorded = inner.catalog.rejected(series)?;
        let mut opens_by_series: BTreeMap<(&SeriesKey, &str), Vec<i64>> = BTreeMap::new();
        for one in rows {
            let opens = opens_by_series.entry((&one.series, &one.exchange));
            opens.or_default().extend(&one.opens);
        }
        let mut new: Vec<(&SeriesKey, Stretch)> = Vec::new();
        for ((series, exchange), mut opens) in opens_by_series {
            let known = opens_of(recorded.get(series), series.interval);
            opens.sort_unstable();
            opens.dedup();
            opens.retain(|open| known.binary_search(open).is_err());
            let calendar = inner.calendar(exchange);
            let stretches = stretches(series.interval, exchange, &opens, calendar.as_ref());
            new.extend(stretches.into_iter().map(|stretch| (series, stretch)));
        }
        if new.is_empty() {
            return Ok(());
        }
        inner
            .catalog
            .transaction(|catalog| catalog.append_rejected(&new))?;
        drop(inner);
        crate::crash_point!("rejected.after-transaction");
        Ok(())
    }
}

/// All times of some stretches, sorted.
fn opens_of(stretches: Option<&Vec<Stretch>>, interval: Interval) -> Vec<i64> {
    let mut opens: Vec<i64> = (stretches.into_iter().flatten())
        .flat_map(|stretch| stretch.opens(interval))
        .collect();
    opens.sort_unstable();
    opens
}

/// The times in regular hours as stretches. Without a calendar, a session is a UTC date.
fn stretches(
    interval: Interval,
    exchange: &str,
    opens: &[i64],
    calendar: Option<&Calendar>,
) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for open in opens {
        let at = Timestamp::from_micros(*open);
        let session = match calendar {
            Some(calendar) => calendar.session_date(at),
            None => at.to_utc().date_naive(),
        };
        let is_regular = calendar.is_none_or(|calendar| {
            let hours = calendar.session_on(session);
            hours.is_ok_and(|hours| hours.is_some_and(|hours| hours.contains(at)))
        });
        if !is_regular {
            continue;
        }
        match found.last_mut() {
            Some(last) if last.session == session && last.last + interval.micros() == *open => {
                last.last = *open;
            }
            _ => found.push(Stretch {
                exchange: exchange.to_owned(),
                session,
                first: *open,
                last: *open,
            }),
        }
    }
    found
}

impl Reader {
    /// The rejected rows whose bars aren't stored, by series. A row that opens inside a stored bar
    /// isn't missing: its time may have seconds, for example.
    pub fn missing_rows(&self) -> Result<BTreeMap<SeriesKey, MissingRows>, Error> {
        let rejected = self.catalog()?.rejected(None)?;
        self.missing_of(rejected)
    }

    /// The same for some series.
    pub fn missing_rows_of(
        &self,
        series: &[SeriesKey],
    ) -> Result<BTreeMap<SeriesKey, MissingRows>, Error> {
        let rejected = self.catalog()?.rejected(Some(series))?;
        self.missing_of(rejected)
    }

    fn missing_of(
        &self,
        rejected: BTreeMap<SeriesKey, Vec<Stretch>>,
    ) -> Result<BTreeMap<SeriesKey, MissingRows>, Error> {
        let wanted: Vec<Wanted> = (rejected.iter())
            .map(|(series, stretches)| (series.clone(), ranges(stretches, series.interval)))
            .collect();
        let mut found = BTreeMap::new();
        for ((series, stretches), stored) in rejected.into_iter().zip(self.timestamps(&wanted)?) {
            let mut missing = MissingRows {
                exchange: String::new(),
                sessions: BTreeMap::new(),
            };
            for stretch in stretches {
                let is_missing = |open: &i64| {
                    let after = stored.partition_point(|at| at <= open);
                    let before = after.checked_sub(1).and_then(|index| stored.get(index));
                    before.is_none_or(|at| at + series.interval.micros() <= *open)
                };
                let rows = stretch.opens(series.interval).filter(is_missing).count();
                if rows > 0 {
                    *missing.sessions.entry(stretch.session).or_default() += rows as u32;
                    missing.exchange = stretch.exchange;
                }
            }
            if !missing.sessions.is_empty() {
                found.insert(series, missing);
            }
        }
        Ok(found)
    }
}

/// Where bars can be that contain the times of some stretches, in order and without overlaps.
fn ranges(stretches: &[Stretch], interval: Interval) -> Vec<TimeRange> {
    let mut ranges: Vec<TimeRange> = Vec::new();
    for stretch in stretches {
        let start = stretch.first - interval.micros() + 1;
        let end = stretch.last + 1;
        match ranges.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => ranges.push(TimeRange { start, end }),
        }
    }
    ranges
}

impl Catalog {
    /// The recorded stretches of some series, or of all, in order of time.
    fn rejected(
        &self,
        series: Option<&[SeriesKey]>,
    ) -> Result<BTreeMap<SeriesKey, Vec<Stretch>>, Error> {
        let mut found: BTreeMap<SeriesKey, Vec<Stretch>> = BTreeMap::new();
        // A store that is opened for reading may be older than the table.
        if series.is_some_and(<[_]>::is_empty) || !self.has_table("rejected")? {
            return Ok(found);
        }
        let of_series = series.map_or_else(String::new, |series| {
            let keys: Vec<String> = (series.iter())
                .map(|key| {
                    format!(
                        "({}, {})",
                        key.interval.minutes(),
                        quoted(key.ticker.as_str())
                    )
                })
                .collect();
            format!("WHERE (interval, ticker) IN ({})", keys.join(", "))
        });
        let sql = format!(
            "SELECT interval, ticker, exchange, session, first, last FROM rejected {of_series} ORDER BY first"
        );
        let mut statement = (self.connection.prepare(&sql)).map_err(|error| self.failed(error))?;
        let batches = (statement.query_arrow([])).map_err(|error| self.failed(error))?;
        for batch in batches {
            let text = |column: usize, row: usize| -> Option<&str> {
                let column = batch.column(column);
                let texts = column.as_any().downcast_ref::<StringArray>()?;
                (!texts.is_null(row)).then(|| texts.value(row))
            };
            let minutes = batch.column(0).as_primitive::<Int16Type>().values();
            let sessions = batch.column(3).as_primitive::<Date32Type>().values();
            let time = |column: usize| {
                let times = batch.column(column);
                times.as_primitive::<TimestampMicrosecondType>().values()
            };
            let (first, last) = (time(4), time(5));
            for row in 0..batch.num_rows() {
                let interval = u32::try_from(minutes[row]).ok();
                let key = (interval.and_then(Interval::from_minutes))
                    .zip(text(1, row).and_then(|ticker| Ticker::new(ticker).ok()))
                    .map(|(interval, ticker)| SeriesKey { interval, ticker });
                let Some((key, exchange)) = key.zip(text(2, row)) else {
                    continue;
                };
                found.entry(key).or_default().push(Stretch {
                    exchange: exchange.to_owned(),
                    session: date_from_days(sessions[row]),
                    first: first[row],
                    last: last[row],
                });
            }
        }
        Ok(found)
    }

    fn append_rejected(&self, new: &[(&SeriesKey, Stretch)]) -> Result<(), Error> {
        let minutes = |key: &SeriesKey| key.interval.minutes() as i16;
        let instant = Timestamp::from_micros;
        self.append(
            "rejected",
            vec![
                Arc::new(
                    new.iter()
                        .map(|(key, _)| minutes(key))
                        .collect::<Int16Array>(),
                ),
                texts(new.iter().map(|(key, _)| key.ticker.as_str())),
                texts(new.iter().map(|(_, stretch)| stretch.exchange.as_str())),
                dates(new.iter().map(|(_, stretch)| stretch.session)),
                instants(new.iter().map(|(_, stretch)| instant(stretch.first))),
                instants(new.iter().map(|(_, stretch)| instant(stretch.last))),
            ],
        )
    }
}

//! The comparison itself: which series, and one series after another.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use chrono::NaiveDate;

use super::Error;
use super::bars::{Piece, Rows};
use super::factor;
use super::join::{DifferingBar, Joined, Tolerance};
use super::series::{SeriesComparison, Sum};
use super::session::{Counts, SessionComparison};
use super::shift;
use crate::calendar::{Calendar, Days, Overrides};
use crate::export::{in_order, worker_count};
use crate::model::{Interval, Provenance, SeriesKey, Ticker, TimeRange};
use crate::report::{Event, Observer, Stop};
use crate::store::{Reader, SeriesRow};

/// Bars between two reports of the progress.
const PROGRESS_BARS: u64 = 65_536;

/// One of the two stores.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub reader: &'a Reader,
    /// The calendars that the user of this store has.
    pub calendars: &'a Overrides,
}

/// Which bars are compared. An empty list of tickers means all.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub tickers: Vec<Ticker>,
    pub interval: Option<Interval>,
    pub start: Option<NaiveDate>,
    pub end: Option<NaiveDate>,
}

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    pub scope: Scope,
    /// How far two prices may be apart and still agree, in basis points of the larger one.
    pub tolerance_bps: f64,
}

/// All series of both stores.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    pub series: Vec<SeriesComparison>,
}

impl Compared {
    /// All bars of all series.
    #[must_use]
    pub fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        self.series.iter().for_each(|one| totals += one.counts);
        totals
    }

    /// Whether there are bars, and the agreement of each series with bars is at least `share`.
    #[must_use]
    pub fn reaches(&self, share: f64) -> bool {
        let agreements = || self.series.iter().filter_map(|one| one.counts.agreement());
        agreements().next().is_some() && agreements().all(|agreement| agreement >= share)
    }
}

/// The bars of a trading day that differ, as [`Comparison::bars`] passes them on.
#[derive(Clone, Copy, Debug)]
pub struct Bars<'a> {
    pub series: &'a SeriesKey,
    pub session: NaiveDate,
    /// In order, at least one.
    pub bars: &'a [DifferingBar],
}

/// A series that is in one of the stores.
struct Job {
    series: SeriesKey,
    here: Option<SeriesRow>,
    there: Option<SeriesRow>,
}

/// The two stores, and how they are compared.
#[derive(Clone, Copy)]
pub struct Comparison<'a> {
    pub here: Side<'a>,
    pub there: Side<'a>,
    pub settings: &'a Settings,
    pub stop: &'a Stop,
    pub observer: &'a dyn Observer,
}

impl Comparison<'_> {
    /// Compares the series on all cores. Passes each series with its sessions to `on_series`, in order.
    pub fn run(
        &self,
        mut on_series: impl FnMut(&SeriesComparison, &[SessionComparison]) -> Result<(), Error>,
    ) -> Result<Compared, Error> {
        let jobs = self.jobs()?;
        let mut compared = Compared::default();
        in_order::<Job, _, Error>(
            worker_count(),
            |emit| {
                let _ = (jobs.into_iter()).try_for_each(|job| match self.stop.is_set() {
                    true => ControlFlow::Break(()),
                    false => emit(job),
                });
                Ok(())
            },
            |job| {
                let mut sessions = Vec::new();
                let series = self.series(&job, |session, _, _, _| {
                    sessions.push(session);
                    Ok(())
                })?;
                Ok((series, sessions))
            },
            |(series, sessions)| {
                on_series(&series, &sessions)?;
                compared.series.push(series);
                Ok(())
            },
        )?;
        self.check_stop()?;
        Ok(compared)
    }

    /// Compares the series one after another, and passes the bars that differ to `on_bars`, in order,
    /// without collecting them.
    pub fn bars(
        &self,
        mut on_bars: impl FnMut(Bars<'_>) -> Result<(), Error>,
    ) -> Result<Compared, Error> {
        let mut compared = Compared::default();
        for job in self.jobs()? {
            let series = self.series(&job, |session, joined, here, there| {
                let bars = joined.differing(here, there);
                match bars.is_empty() {
                    true => Ok(()),
                    false => on_bars(Bars {
                        series: &job.series,
                        session: session.session,
                        bars: &bars,
                    }),
                }
            })?;
            compared.series.push(series);
        }
        Ok(compared)
    }

    /// The series in scope, in order.
    fn jobs(&self) -> Result<Vec<Job>, Error> {
        let scope = &self.settings.scope;
        let mut jobs: BTreeMap<SeriesKey, Job> = BTreeMap::new();
        let mut bars = 0;
        for (side, is_here) in [(self.here, true), (self.there, false)] {
            for row in side.reader.series()? {
                if !row.key.is_among(&scope.tickers, scope.interval) {
                    continue;
                }
                bars += row.rows;
                let job = jobs.entry(row.key.clone()).or_insert_with(|| Job {
                    series: row.key.clone(),
                    here: None,
                    there: None,
                });
                *(if is_here {
                    &mut job.here
                } else {
                    &mut job.there
                }) = Some(row);
            }
        }
        self.observer.event(&Event::Planned {
            unit: "bars",
            total: bars,
        });
        Ok(jobs.into_values().collect())
    }

    fn check_stop(&self) -> Result<(), Error> {
        match self.stop.is_set() {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }

    /// Compares one series, and passes each session to `on_session`, with the bars of both stores.
    fn series(
        &self,
        job: &Job,
        mut on_session: impl FnMut(SessionComparison, &Joined, &Rows, &Rows) -> Result<(), Error>,
    ) -> Result<SeriesComparison, Error> {
        let provenance = |row: &Option<SeriesRow>| row.as_ref().map(|row| row.provenance.clone());
        let (of_here, of_there) = (provenance(&job.here), provenance(&job.there));
        let calendar = self.calendar(&job.series, of_here.as_ref(), of_there.as_ref())?;
        let scope = &self.settings.scope;
        let range = match (scope.start, scope.end) {
            (None, None) => TimeRange::ALL,
            (start, end) => calendar.range(start, end),
        };
        let mut sum = Sum::default();
        let mut unreported = 0;
        let mut window = DayWindow {
            here: Days::new(self.scan(self.here, job, range)?, calendar.clone())?,
            there: Days::new(self.scan(self.there, job, range)?, calendar.clone())?,
            days: Default::default(),
        };
        window.advance()?;
        while let Some(date) = window.advance()? {
            self.check_stop()?;
            let [before, day, after] = &window.days;
            let joined = Joined::new(&day.here, &day.there, self.tolerance());
            let around = [&before.there, &day.there, &after.there];
            let session = self.session(date, job.series.interval, &joined, &day.here, around);
            sum.add(&session);
            unreported += (day.here.len() + day.there.len()) as u64;
            on_session(session, &joined, &day.here, &day.there)?;
            if unreported >= PROGRESS_BARS {
                self.report(std::mem::take(&mut unreported));
            }
        }
        self.report(unreported);
        Ok(sum.finish(job.series.clone(), of_here, of_there))
    }

    fn report(&self, bars: u64) {
        self.observer.event(&Event::Progress { done: bars, bars });
    }

    fn tolerance(&self) -> Tolerance {
        Tolerance::of_basis_points(self.settings.tolerance_bps)
    }

    /// The calendar that decides what a session is: this store's, or the other one's for its own series.
    fn calendar(
        &self,
        series: &SeriesKey,
        here: Option<&Provenance>,
        there: Option<&Provenance>,
    ) -> Result<Calendar, Error> {
        let (side, provenance) = match (here, there) {
            (Some(here), _) => (self.here, Some(here)),
            (None, there) => (self.there, there),
        };
        let exchange = provenance.map_or("", |provenance| provenance.exchange.as_str());
        Calendar::for_exchange_with(exchange, side.calendars).map_err(|source| Error::Calendar {
            series: series.clone(),
            source,
        })
    }

    fn scan<'b>(
        &self,
        side: Side<'b>,
        job: &Job,
        range: TimeRange,
    ) -> Result<impl Iterator<Item = Result<Piece, Error>> + use<'b>, Error> {
        let series = job.series.clone();
        let unreadable = move |source| Error::Read {
            series: series.clone(),
            source: Box::new(source),
        };
        // A series that the store doesn't have is a scan without bars.
        let batches = side.reader.scan(&job.series, range).map_err(&unreadable)?;
        let series = job.series.clone();
        Ok(batches.map(move |batch| {
            let other_columns = || Error::Columns {
                series: series.clone(),
            };
            Piece::new(&batch.map_err(&unreadable)?).ok_or_else(other_columns)
        }))
    }

    fn session(
        &self,
        date: NaiveDate,
        interval: Interval,
        joined: &Joined,
        here: &Rows,
        around: [&Rows; 3],
    ) -> SessionComparison {
        let [_, there, _] = around;
        let tolerance = self.tolerance();
        let counts = joined.counts;
        let pairs: Vec<_> = (joined.different.iter())
            .filter(|(row, other)| !tolerance.holds(here.close(*row), there.close(*other)))
            .map(|(row, other)| (here.bar(*row), there.bar(*other)))
            .collect();
        let agreeing = (counts.identical + counts.within) as f64;
        let fewer = here.len().min(there.len()).max(1) as f64;
        let found = match agreeing / fewer < shift::SEARCH_BELOW {
            true => shift::search(here, around, interval, tolerance),
            false => shift::Found::default(),
        };
        let differing = match found.minutes {
            // Closes of different minutes have no factor.
            Some(_) => 0,
            None => pairs.len() as u64,
        };
        let factor = || factor::of_session(&pairs, counts.both - differing);
        SessionComparison {
            session: date,
            counts,
            differing_closes: differing,
            close_factor: (differing > 0).then(factor).flatten(),
            disagrees: found.is_searched,
            shift_minutes: found.minutes,
        }
    }
}

/// One trading day of both stores.
#[derive(Default)]
struct Day {
    date: Option<NaiveDate>,
    here: Rows,
    there: Rows,
}

/// Three days in a row: the one that is compared, and the days before and after it.
struct DayWindow<I> {
    here: Days<Piece, I>,
    there: Days<Piece, I>,
    days: [Day; 3],
}

impl<I: Iterator<Item = Result<Piece, Error>>> DayWindow<I> {
    /// Moves to the next day that one of the stores has. Returns the date in the middle; `None` at the end.
    fn advance(&mut self) -> Result<Option<NaiveDate>, Error> {
        self.days.rotate_left(1);
        let [_, day, after] = &mut self.days;
        after.here.clear();
        after.there.clear();
        after.date = match (self.here.date(), self.there.date()) {
            (Some(here), Some(there)) => Some(here.min(there)),
            (here, there) => here.or(there),
        };
        if self.here.date() == after.date {
            self.here
                .read(|piece, rows| after.here.extend_from(piece, rows))?;
        }
        if self.there.date() == after.date {
            self.there
                .read(|piece, rows| after.there.extend_from(piece, rows))?;
        }
        Ok(day.date)
    }
}

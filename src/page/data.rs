//! The documents of a page, from one reader.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::Error;
use crate::calendar::CalendarCache;
use crate::compare::Side;
use crate::documents;
use crate::gaps::{Facts, Scope, survey_by_counts};
use crate::model::{Interval, SeriesKey, Ticker, Timestamp};
use crate::status::Overview;
use crate::store::{Reader, SeriesRow};

/// The most gaps in a document.
const GAPS_MAX: usize = 50_000;
/// If a store has more sessions than this, no document counts all of them.
const SESSIONS_MAX: u64 = 5_000_000;

/// Which series and dates a page shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The tickers; empty for all.
    pub tickers: Vec<Ticker>,
    /// The length of the bars; `None` for all.
    pub interval: Option<Interval>,
    pub start: Option<NaiveDate>,
    pub end: Option<NaiveDate>,
}

impl Filter {
    /// Whether a series is shown.
    #[must_use]
    pub fn has(&self, series: &SeriesKey) -> bool {
        series.is_among(&self.tickers, self.interval)
    }
}

/// Makes the documents of a page.
pub struct PageData<'a> {
    pub(super) reader: &'a Reader,
    pub(super) calendars: &'a mut CalendarCache,
    pub(super) filter: &'a Filter,
    /// The time. A session that isn't over lacks nothing.
    pub(super) now: Timestamp,
    /// The store's size on disk.
    bytes: u64,
    /// A second store, whose bars can be laid over those of this one.
    compared: Option<&'a Reader>,
    facts: Option<Arc<Facts>>,
    overview: Option<Rc<Overview>>,
}

impl<'a> PageData<'a> {
    /// Documents of what `reader` sees.
    pub fn new(
        reader: &'a Reader,
        calendars: &'a mut CalendarCache,
        filter: &'a Filter,
        now: Timestamp,
        bytes: u64,
    ) -> Self {
        Self {
            reader,
            calendars,
            filter,
            now,
            bytes,
            compared: None,
            facts: None,
            overview: None,
        }
    }

    /// Documents that show which series a second store has too.
    #[must_use]
    pub fn compared_with(mut self, reader: &'a Reader) -> Self {
        self.compared = Some(reader);
        self
    }

    /// Documents from what is known of the sessions of all series, if it is.
    #[must_use]
    pub fn with_sessions(mut self, known: Option<KnownSessions>) -> Self {
        self.facts = known.map(|known| known.0);
        self
    }

    /// This store in a comparison.
    pub(super) fn side(&self) -> Side<'_> {
        Side {
            reader: self.reader,
            calendars: self.calendars.overrides(),
        }
    }

    /// What the catalog knows of the sessions of all series, read once.
    pub(super) fn facts(&mut self) -> Result<Arc<Facts>, Error> {
        if let Some(facts) = &self.facts {
            return Ok(Arc::clone(facts));
        }
        let facts = Arc::new(Facts::of_all(self.reader)?);
        self.facts = Some(Arc::clone(&facts));
        Ok(facts)
    }

    /// The facts of some series at least: those of all, if they are known.
    pub(super) fn facts_of(&self, series: &[SeriesKey]) -> Result<Arc<Facts>, Error> {
        match &self.facts {
            Some(facts) => Ok(Arc::clone(facts)),
            None => Ok(Arc::new(Facts::of(self.reader, series)?)),
        }
    }

    /// Whether there are too many sessions to look at all of them for one document.
    pub(super) fn is_too_large(&self) -> Result<bool, Error> {
        Ok(self.filter.tickers.is_empty() && has_too_many_sessions(self.reader)?)
    }

    fn overview(&mut self) -> Result<Rc<Overview>, Error> {
        if let Some(overview) = &self.overview {
            return Ok(Rc::clone(overview));
        }
        let filter = self.filter;
        let keep = |row: &SeriesRow| filter.has(&row.key);
        let overview = match self.is_too_large()? {
            true => Overview::without_sessions(self.reader, keep, self.bytes)?,
            false => Overview::read(self.reader, keep, self.calendars, self.bytes)?,
        };
        let overview = Rc::new(overview);
        self.overview = Some(Rc::clone(&overview));
        Ok(overview)
    }

    /// The shown series, by interval and ticker.
    pub(super) fn rows(&self) -> Result<Vec<SeriesRow>, Error> {
        let mut rows = self.reader.series()?;
        rows.retain(|row| self.filter.has(&row.key));
        Ok(rows)
    }

    pub(super) fn scope(&self, tickers: Vec<Ticker>) -> Scope {
        Scope {
            tickers,
            interval: self.filter.interval,
            start: self.filter.start,
            end: self.filter.end,
            now: self.now,
        }
    }

    /// `backfill.status/1`, with the store's name in place of its path. `too_many_sessions` is whether
    /// there are too many to count the complete ones and to list all gaps. If there is a second store: its
    /// name as `compared_store`, and whether it has a series too as `compared`.
    pub fn series(&mut self) -> Result<Value, Error> {
        let overview = self.overview()?;
        let mut document = documents::status(&overview);
        document["store"] = json!(store_name(self.reader));
        document["too_many_sessions"] = json!(self.is_too_large()?);
        let snapshot = self.reader.writer_snapshot();
        let as_of = snapshot.map_or(self.now, |snapshot| snapshot.as_of);
        document["as_of"] = json!(as_of.to_string());
        let compared = self.compared.map(Reader::series).transpose()?;
        let compared: Option<BTreeSet<SeriesKey>> =
            compared.map(|rows| rows.into_iter().map(|row| row.key).collect());
        if let Some(reader) = self.compared {
            document["compared_store"] = json!(store_name(reader));
        }
        for (series, status) in
            (document["series"].as_array_mut().into_iter().flatten()).zip(&overview.series)
        {
            let calendar = self.calendars.calendar(&status.row.provenance.exchange);
            series["timezone"] = json!(calendar.map_or("UTC", |calendar| calendar.tz().name()));
            if let Some(compared) = &compared {
                series["compared"] = json!(compared.contains(&status.row.key));
            }
        }
        Ok(document)
    }

    /// `backfill.gaps/1`, with the number of all gaps as `total`: if there are very many, the
    /// newest are listed. In a session with some bars, the first and last missing one are those of
    /// the whole session.
    pub fn gaps(&mut self) -> Result<Value, Error> {
        if self.is_too_large()? {
            return Err(Error::TooManySessions);
        }
        let facts = match self.filter.tickers.as_slice() {
            [] => self.facts()?,
            // Also those without bars.
            tickers => {
                let series = tickers.iter().flat_map(|ticker| {
                    Interval::ALL.map(|interval| SeriesKey {
                        interval,
                        ticker: ticker.clone(),
                    })
                });
                self.facts_of(&series.collect::<Vec<_>>())?
            }
        };
        let scope = self.scope(self.filter.tickers.clone());
        let mut survey = survey_by_counts(self.reader, &scope, &facts, self.calendars)?;
        let mut sessions: Vec<NaiveDate> = survey.gaps().map(|gap| gap.session).collect();
        let total = sessions.len();
        if total > GAPS_MAX {
            let (_, oldest, _) = sessions.select_nth_unstable(total - GAPS_MAX);
            for series in &mut survey.series {
                series.gaps.retain(|gap| gap.session >= *oldest);
            }
        }
        let mut document = documents::gaps(&survey);
        document["total"] = json!(total);
        document["notices"] = json!(survey.notices);
        Ok(document)
    }

    /// `backfill.targets/1`: what each table of sync and push lacked when it was last seen.
    pub fn targets(&mut self) -> Result<Value, Error> {
        let overview = self.overview()?;
        let of_target = |index: usize, target: &String| {
            let lacked: Vec<Value> = (overview.series.iter())
                .filter_map(|series| {
                    let unsynced = series.unsynced[index]?;
                    Some(json!({
                        "interval_minutes": series.row.key.interval.minutes(),
                        "ticker": series.row.key.ticker.as_str(),
                        "rows": unsynced.rows,
                        "seen_at": unsynced.seen_at.to_string(),
                    }))
                })
                .collect();
            json!({"target": target, "series": lacked})
        };
        let targets: Vec<Value> = (overview.targets.iter().enumerate())
            .map(|(index, target)| of_target(index, target))
            .collect();
        Ok(json!({"schema": "backfill.targets/1", "targets": targets}))
    }
}

/// What the catalog knows of the sessions of all series, kept for several documents.
#[derive(Clone)]
pub struct KnownSessions(Arc<Facts>);

impl KnownSessions {
    /// Those of a store; `None` if there are too many to keep.
    pub fn read(reader: &Reader) -> Result<Option<Self>, crate::store::Error> {
        match has_too_many_sessions(reader)? {
            true => Ok(None),
            false => Ok(Some(Self(Arc::new(Facts::of_all(reader)?)))),
        }
    }
}

/// Whether there are too many sessions to look at all of them for one document.
fn has_too_many_sessions(reader: &Reader) -> Result<bool, crate::store::Error> {
    Ok(reader.is_lake_only().is_none() && reader.session_total()? > SESSIONS_MAX)
}

/// The name of a store's folder.
fn store_name(reader: &Reader) -> String {
    let dir = reader.dir();
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = dir.file_name().map(|name| name.to_string_lossy());
    name.unwrap_or_default().into_owned()
}

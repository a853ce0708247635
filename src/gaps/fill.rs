//! A fill: requests the sessions that lack bars again, and records those that stay missing.

use std::collections::BTreeMap;

use super::error::Error;
use super::refill::{RefillRequest, RequestKind, attempts_after, refill_requests};
use super::survey::{Scope, Survey, survey};
use crate::backfill::{Plan, Planner, RequestLimits};
use crate::calendar::{Calendar, CalendarCache};
use crate::model::{DateRange, Provenance, SeriesKey, Source, Timestamp};
use crate::report::RunReport;
use crate::store::{Reader, RefillAttempts, Store};

/// What a fill requests, and from which provider.
#[derive(Clone, Debug)]
pub struct FillOptions {
    /// The sessions.
    pub scope: Scope,
    /// The provider's source.
    pub source: Source,
    /// Also request sessions that two refills returned empty.
    pub retry_empty: bool,
}

/// A fill, ready to run.
pub struct Fill {
    options: FillOptions,
    /// What is missing before it.
    pub before: Survey,
    /// How many sessions are skipped, because two refills returned them empty.
    pub skipped: usize,
    requests: Vec<RefillRequest>,
    attempts: BTreeMap<SeriesKey, Vec<RefillAttempts>>,
}

impl Fill {
    /// Finds what is missing. `provenance` returns what to request for a series from the provenance
    /// it is stored under.
    pub fn find(
        reader: &Reader,
        options: FillOptions,
        calendars: &mut CalendarCache,
        provenance: impl Fn(&Provenance) -> Provenance,
    ) -> Result<Self, Error> {
        let before = survey(reader, &options.scope, calendars)?;
        let attempts = reader.refills(options.source.as_str())?;
        let retry_empty = options.retry_empty;
        let (requests, skipped) =
            refill_requests(&before, &attempts, retry_empty, calendars, provenance);
        Ok(Self {
            options,
            before,
            skipped,
            requests,
            attempts,
        })
    }

    /// Whether there is nothing to request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The kinds of bars that it requests.
    pub fn kinds(&self) -> impl Iterator<Item = RequestKind> {
        self.by_kind().into_iter().map(|(kind, _)| kind)
    }

    /// The windows of all requests. `limits` are those of the provider for bars of a kind.
    pub fn plan<E: From<Error>>(
        &self,
        reader: &Reader,
        calendars: &mut CalendarCache,
        limits: impl Fn(&RequestKind) -> Result<RequestLimits, E>,
    ) -> Result<Plan, E> {
        let mut all = Plan::default();
        for (kind, requests) in self.by_kind() {
            let calendar = calendar(calendars, &kind)?;
            let limits = limits(&kind)?;
            all.append(self.plan_kind(reader, &calendar, limits, &kind, &requests)?);
        }
        Ok(all)
    }

    /// Requests what is missing, one kind of series after another, and records the sessions that
    /// were requested without result. `run` runs the windows of one kind. Returns the report, and
    /// what is missing now.
    pub fn run<E: From<Error>>(
        self,
        store: &Store,
        started_at: Timestamp,
        calendars: &mut CalendarCache,
        limits: impl Fn(&RequestKind) -> Result<RequestLimits, E>,
        run: impl Fn(&RequestKind, Calendar, Plan) -> RunReport,
    ) -> Result<(RunReport, Survey), E> {
        let mut report = RunReport::default();
        for (kind, requests) in self.by_kind() {
            if report.interrupted || report.quota || report.fatal.is_some() {
                break;
            }
            let calendar = calendar(calendars, &kind)?;
            let limits = limits(&kind)?;
            let reader = store.reader().map_err(Error::from)?;
            let plan = self.plan_kind(&reader, &calendar, limits, &kind, &requests)?;
            drop(reader);
            report.append(run(&kind, calendar, plan));
        }
        let after = self.record(store, started_at, calendars)?;
        Ok((report, after))
    }

    /// Records the attempts, and returns what is missing now.
    fn record(
        &self,
        store: &Store,
        started_at: Timestamp,
        calendars: &mut CalendarCache,
    ) -> Result<Survey, Error> {
        let reader = store.reader()?;
        let after = survey(&reader, &self.options.scope, calendars)?;
        let mut changed = BTreeMap::new();
        let mut coverage = reader.all_coverage()?;
        for request in &self.requests {
            let series = &request.series;
            let coverage = coverage.remove(series).unwrap_or_default();
            let before = self.attempts.get(series).map_or(&[][..], Vec::as_slice);
            let attempts =
                attempts_after(request, before, &after, &coverage, started_at, calendars);
            if attempts != before {
                changed.insert(series.clone(), attempts);
            }
        }
        drop(reader);
        store.record_refills(self.options.source.as_str(), &changed)?;
        Ok(after)
    }

    /// The requests by kind, in the order of their first series.
    fn by_kind(&self) -> Vec<(RequestKind, Vec<&RefillRequest>)> {
        let mut kinds: Vec<(RequestKind, Vec<&RefillRequest>)> = Vec::new();
        for request in &self.requests {
            let kind = request.kind();
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, requests)) => requests.push(request),
                None => kinds.push((kind, vec![request])),
            }
        }
        kinds
    }

    /// As few windows as possible over the gaps of series of one kind.
    fn plan_kind(
        &self,
        reader: &Reader,
        calendar: &Calendar,
        limits: RequestLimits,
        kind: &RequestKind,
        requests: &[&RefillRequest],
    ) -> Result<Plan, Error> {
        let dates = requests.iter().flat_map(|request| &request.dates);
        let ends = dates.clone().min().zip(dates.max());
        let Some(dates) = ends.and_then(|(first, last)| DateRange::new(*first, *last).ok()) else {
            return Ok(Plan::default());
        };
        let now = self.options.scope.now;
        let planner = Planner {
            calendar,
            dates,
            hours: kind.provenance.hours,
            limits,
            now,
            since: None,
            overlap: 0,
            resumes: false,
        };
        let mut comparable = reader.sessions_around(kind.interval, dates)?;
        // The provider has nothing yet of a session in the future.
        let today = calendar.session_date(now);
        for sessions in comparable.values_mut() {
            sessions.retain(|date| *date <= today);
        }
        let days: Vec<_> = (requests.iter())
            .map(|request| (request.series.ticker.clone(), request.dates.clone()))
            .collect();
        Ok(planner.plan_days(&days, &comparable)?)
    }
}

fn calendar(calendars: &mut CalendarCache, kind: &RequestKind) -> Result<Calendar, Error> {
    let exchange = &kind.provenance.exchange;
    let calendar = calendars.calendar(exchange).cloned();
    calendar.ok_or_else(|| Error::NoCalendar(exchange.clone()))
}

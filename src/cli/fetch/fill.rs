//! `gaps --fill` and `--gap-fill`: settings of a fill, and its connection to the provider.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::plan_view;
use super::record::{STORE_MEMORY_MIB, STORE_THREADS, record_end};
use super::session::{Concurrency, FetchSession, quota_left};
use super::settings::{Service, Settings};
use crate::advice::Continuation;
use crate::backfill::{Job, Plan};
use crate::calendar::{Calendar, CalendarCache};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::seal_after::SealArgs;
use crate::gaps::{self, Fill, FillOptions, RequestKind, Scope, Survey};
use crate::model::{Basis, DateRange, Hours, OnConflict, Provenance, Ticker};
use crate::report::{ExitStatus, RunReport, UnitReport, UnitStatus};
use crate::store::{OpenOptions, RunId, Store};

/// The settings of a fill.
pub(in crate::cli) struct FillSettings {
    pub scope: Scope,
    pub service: Service,
    pub on_conflict: OnConflict,
    /// Also request sessions that two refills returned empty.
    pub again: bool,
    /// Print the requests, and send none.
    pub plan: bool,
    pub concurrency: Concurrency,
    pub seal: SealArgs,
    /// How long to wait for another writer.
    pub wait: Duration,
}

/// How a fill ended.
pub(in crate::cli) enum Filled {
    /// Its report, and what is missing now.
    Report(Box<RunReport>, Survey),
    /// Its plan was printed.
    Planned(Outcome),
}

impl From<gaps::Error> for CliError {
    fn from(error: gaps::Error) -> Self {
        match error {
            gaps::Error::Store(error) => error.into(),
            error => Self::of(ExitStatus::Failed, &error),
        }
    }
}

/// `gaps --fill`: requests what is missing from the store in `dir`.
pub(in crate::cli) fn fill_gaps(
    context: &Context,
    dir: &Path,
    settings: &FillSettings,
    calendars: &mut CalendarCache,
) -> Result<Filled, CliError> {
    let service = &settings.service;
    let options = || FillOptions {
        scope: settings.scope.clone(),
        source: service.info.source.clone(),
        retry_empty: settings.again,
    };
    let provenance = |stored: &Provenance| requested_provenance(service, stored);
    // A missing store isn't created, and a plan takes no lock.
    let reader = context.open_reader(dir)?;
    if settings.plan {
        let fill = Fill::find(&reader, options(), calendars, provenance)?;
        let limits = |kind: &RequestKind| service.limits_of(kind);
        let plan = fill.plan::<CliError>(&reader, calendars, limits)?;
        let left = quota_left(context, service, Some(&reader))?;
        plan_view::windows(context.stdout()?, &plan, service.rate, left)?;
        note_skipped(&fill);
        return Ok(Filled::Planned(Outcome::Done));
    }
    drop(reader);
    let open_options = OpenOptions {
        memory_limit_mib: STORE_MEMORY_MIB,
        threads: STORE_THREADS,
        ..context.store_options(dir)?
    };
    let store = Arc::new(context.open_store(dir, &open_options, settings.wait)?);
    let fill = Fill::find(&store.reader()?, options(), calendars, provenance)?;
    note_skipped(&fill);
    if fill.is_empty() {
        settings.seal.seal(context, &store);
        return Ok(Filled::Report(Box::default(), fill.before));
    }
    // Nothing is requested if the provider lacks a part of it.
    for kind in fill.kinds() {
        service.limits_of(&kind)?;
    }
    let opened = (service.provider).open(context, service.provider_url.as_ref())?;
    let left = quota_left(context, service, Some(&store.reader()?))?;
    let session = FetchSession::new(opened, service, settings.concurrency, left)?;
    let run = store.begin_run(&context.info().command, context.started_at())?;
    let filler = Filler {
        context,
        session: &session,
        store: &store,
        run: &run,
        service,
        on_conflict: settings.on_conflict,
    };
    match filler.run(fill, calendars) {
        Ok((report, survey)) => {
            settings.seal.seal(context, &store);
            let report = record_end(context, &store, &run, report);
            Ok(Filled::Report(Box::new(report), survey))
        }
        Err(error) => {
            let report = RunReport {
                fatal: Some((&error).into()),
                ..RunReport::default()
            };
            record_end(context, &store, &run, report);
            Err(error)
        }
    }
}

/// `--gap-fill`: after a run, requests the sessions of its range that lack bars, and adds the
/// result to its report. It does nothing after a run that ended early, and leaves out tickers with
/// conflicts.
pub(super) fn after(
    context: &Context,
    settings: &Settings,
    session: &FetchSession,
    store: &Arc<Store>,
    run: &RunId,
    report: &mut RunReport,
) {
    if report.interrupted || report.quota || report.fatal.is_some() {
        return;
    }
    let has_conflicts =
        |unit: &UnitReport| unit.status == UnitStatus::Conflict || unit.counts.conflicts > 0;
    let tickers: Vec<Ticker> = (report.tickers.iter())
        .filter(|unit| !has_conflicts(unit))
        .filter_map(|unit| unit.name.parse().ok())
        .collect();
    let dates = context.info().dates;
    if tickers.is_empty() {
        return;
    }
    let options = FillOptions {
        scope: Scope {
            tickers,
            interval: Some(settings.interval),
            start: dates.map(DateRange::first),
            end: dates.map(DateRange::last),
            now: context.now(),
        },
        source: settings.service.info.source.clone(),
        retry_empty: false,
    };
    let filler = Filler {
        context,
        session,
        store,
        run,
        service: &settings.service,
        on_conflict: settings.on_conflict,
    };
    let mut calendars = CalendarCache::new(settings.calendars.clone());
    let provenance = |_: &Provenance| settings.provenance();
    let filled = (store.reader().map_err(gaps::Error::from))
        .and_then(|reader| Fill::find(&reader, options, &mut calendars, provenance))
        .map_err(CliError::from)
        .and_then(|fill| filler.run(fill, &mut calendars));
    match filled {
        Ok((filled, _)) => report.absorb(filled),
        Err(error) => report.fatal = Some((&error).into()),
    }
}

/// What a fill runs with.
struct Filler<'a> {
    context: &'a Context,
    session: &'a FetchSession,
    store: &'a Arc<Store>,
    run: &'a RunId,
    service: &'a Service,
    on_conflict: OnConflict,
}

impl Filler<'_> {
    fn run(
        &self,
        fill: Fill,
        calendars: &mut CalendarCache,
    ) -> Result<(RunReport, Survey), CliError> {
        let limits = |kind: &RequestKind| self.service.limits_of(kind);
        let run = |kind: &RequestKind, calendar, plan| self.run_kind(kind, calendar, plan);
        fill.run(self.store, self.context.now(), calendars, limits, run)
    }

    fn run_kind(&self, kind: &RequestKind, calendar: Calendar, plan: Plan) -> RunReport {
        let job = Job {
            fetcher: self
                .session
                .fetcher(calendar, kind.interval, &kind.provenance),
            plan,
            store: Some((self.store.clone(), self.run.clone())),
            output: None,
            on_conflict: self.on_conflict,
            tickers_at_once: self.session.concurrency.requests(),
            spending: Some(self.session.spending(self.store)),
            observer: Arc::new(self.context.run_observer(
                self.store,
                self.run,
                Some(self.session.request_count()),
            )),
            continue_with: Continuation::SameCommand,
        };
        self.session.run(self.context, job)
    }
}

/// What to request for a series: the provenance it is stored under, unless an option sets another.
fn requested_provenance(service: &Service, stored: &Provenance) -> Provenance {
    Provenance {
        exchange: stored.exchange.clone(),
        basis: match stored.basis {
            _ if service.unadjusted => Basis::Unadjusted,
            Basis::Unknown => service.basis(),
            known => known,
        },
        hours: match stored.hours {
            _ if service.extended_hours => Hours::Extended,
            Hours::Unknown => service.hours(),
            known => known,
        },
    }
}

fn note_skipped(fill: &Fill) {
    if fill.skipped > 0 {
        tracing::info!(
            "skipping {} sessions that two refills returned empty; --again requests them too",
            fill.skipped
        );
    }
}

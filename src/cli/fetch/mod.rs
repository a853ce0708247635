//! `specific` and `concurrent`: from the options to a run and its report.

mod args;
mod fill;
mod future_bars;
mod plan_view;
mod record;
mod session;
mod settings;
pub(super) mod source;
mod tickers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::context::{Context, Outcome};
use super::error::CliError;
use super::metrics;
use super::sync_after::{StoredRun, SyncAfterRun};
use crate::advice::Continuation;
use crate::backfill::{History, Job, Plan, Planner, partial_dates};
use crate::export::BarsWriter;
use crate::model::{Ticker, Timestamp};
use crate::report::{ExitStatus, Observer, RunKind, RunReport};
use crate::store::{OpenOptions, Reader, RunId, Store};

pub(super) use args::provider_url_help;
pub use args::{FetchArgs, ServiceArgs};
pub(super) use fill::{FillSettings, Filled, fill_gaps};
use record::{STORE_MEMORY_MIB, STORE_THREADS, record_end};
pub use session::Concurrency;
use session::{FetchSession, quota_left};
pub(super) use settings::Service;
use settings::{Settings, Staged};
use source::Opened;
pub use source::ProviderChoice;
pub(super) use source::feed_help;

/// A run of `specific` with more requests than this gets a hint.
const REQUESTS_FOR_CONCURRENT: u64 = 50;

/// Runs `specific` or `concurrent`.
pub fn run(
    context: &Context,
    args: FetchArgs,
    concurrency: Concurrency,
) -> Result<Outcome, CliError> {
    let dir = context.store_dir(args.service.provider.is_demo());
    let output = args.output_filename.as_ref();
    let output = output.map(|file| context.output_file(file)).transpose()?;
    metrics::write_to(context, &args.metrics)?;
    let settings = Settings::resolve(args, context.calendars(&dir)?, output)?;
    context.describe(|info| {
        info.kind = RunKind::Fetch;
        info.interval = Some(settings.interval);
        info.dry_run = settings.dry_run;
        info.on_conflict = Some(settings.on_conflict);
    });
    let sync_after = match settings.dry_run || settings.plan {
        true => None,
        false => SyncAfterRun::resolve(
            context,
            &settings.sync_after,
            settings.on_conflict,
            settings.is_demo(),
        )?,
    };
    if !settings.since_last {
        // A range that the calendar doesn't cover is refused before anything is opened or created.
        plan(context, &settings, None, false)?;
    }
    if settings.plan {
        return print_plan(context, &settings, &dir);
    }
    let service = &settings.service;
    let opened = (service.provider).open(context, service.provider_url.as_ref())?;
    let mut report = match settings.dry_run {
        true => dry_run(context, &settings, &dir, opened, concurrency)?,
        false => fetch_into_store(context, &settings, &dir, opened, concurrency, sync_after)?,
    };
    if concurrency == Concurrency::One && report.totals.requests > REQUESTS_FOR_CONCURRENT {
        let hint =
            "`backfill concurrent` takes the same options and sends several requests at once";
        report.hints.push(hint.into());
    }
    Ok(Outcome::Run(Box::new(report)))
}

fn print_plan(context: &Context, settings: &Settings, dir: &Path) -> Result<Outcome, CliError> {
    let out = context.stdout()?;
    let known = context.open_reader_if_any(dir)?;
    future_bars::warn(context, settings, known.as_ref())?;
    let everything = plan(context, settings, known.as_ref(), false)?;
    let plan = plan(context, settings, known.as_ref(), true)?;
    let left = quota_left(context, &settings.service, known.as_ref())?;
    plan_view::print(out, &plan, &everything, settings, left)
}

fn dry_run(
    context: &Context,
    settings: &Settings,
    dir: &Path,
    opened: Opened,
    concurrency: Concurrency,
) -> Result<RunReport, CliError> {
    let needs_history =
        settings.resume || settings.needs_sessions() || settings.service.daily_quota.is_some();
    let known = match needs_history {
        true => context.open_reader_if_any(dir)?,
        false => None,
    };
    future_bars::warn(context, settings, known.as_ref())?;
    let plan = plan(context, settings, known.as_ref(), settings.resume)?;
    // Its requests aren't recorded, but it sends no more than the quota has left.
    let left = quota_left(context, &settings.service, known.as_ref())?;
    drop(known);
    let session = FetchSession::new(opened, &settings.service, concurrency, left)?;
    run_job(context, settings, &session, plan, None)
}

fn fetch_into_store(
    context: &Context,
    settings: &Settings,
    dir: &Path,
    opened: Opened,
    concurrency: Concurrency,
    sync_after: Option<SyncAfterRun>,
) -> Result<RunReport, CliError> {
    let options = OpenOptions {
        memory_limit_mib: STORE_MEMORY_MIB,
        threads: STORE_THREADS,
        calendars: settings.calendars.clone(),
        ..OpenOptions::default()
    };
    let store = Arc::new(context.open_store(dir, &options, settings.wait)?);
    let known = store.reader()?;
    future_bars::warn(context, settings, Some(&known))?;
    let plan = plan(context, settings, Some(&known), settings.resume)?;
    let left = quota_left(context, &settings.service, Some(&known))?;
    drop(known);
    let run = store.begin_run(&context.info().command, context.started_at())?;
    let target = Some((store.clone(), run.clone()));
    let result =
        FetchSession::new(opened, &settings.service, concurrency, left).and_then(|session| {
            let mut report = run_job(context, settings, &session, plan, target)?;
            if settings.gap_fill {
                fill::after(context, settings, &session, &store, &run, &mut report);
            }
            Ok(report)
        });
    // Before a sync, so that it reads the sealed bars.
    settings.seal.seal(context, &store);
    match (result, sync_after) {
        (Ok(report), Some(sync_after)) => {
            let stored = StoredRun {
                dir,
                options: &options,
                run: &run,
                interval: Some(settings.interval),
            };
            Ok(sync_after.run(context, store, &stored, report))
        }
        (Ok(report), None) => Ok(record_end(context, &store, &run, report)),
        (Err(error), _) => {
            let report = RunReport {
                fatal: Some((&error).into()),
                ..RunReport::default()
            };
            record_end(context, &store, &run, report);
            Err(error)
        }
    }
}

/// The plan. `known` is the store, if there is one; `resumes` skips what its coverage shows as
/// answered.
fn plan(
    context: &Context,
    settings: &Settings,
    known: Option<&Reader>,
    resumes: bool,
) -> Result<Plan, CliError> {
    let service = &settings.service;
    let provenance = settings.provenance();
    let mut staged = match known.filter(|_| settings.needs_sessions()) {
        Some(reader) => staged(reader, settings, context.now())?,
        None => Staged::new(),
    };
    let mut answers = match known.filter(|_| resumes || settings.since_last) {
        Some(reader) => reader.coverage_of(service.info.source.as_str(), settings.interval)?,
        None => HashMap::new(),
    };
    let first_partial = |ticker: &Ticker| {
        let answers = answers.get(ticker)?;
        partial_dates(answers, &provenance).first().copied()
    };
    let dates = settings.dates(&staged, first_partial, context.now())?;
    context.describe(|info| info.dates = Some(dates));
    let planner = Planner {
        calendar: &settings.calendar,
        dates,
        hours: settings.service.hours(),
        limits: service.limits(settings.interval, service.basis(), service.hours())?,
        now: context.now(),
        since: settings.since(),
        overlap: settings.overlap,
        resumes,
    };
    // A dry run stores nothing, so there is nothing to compare.
    let mut comparable = match known.filter(|_| !settings.dry_run) {
        Some(reader) => reader.sessions_around(settings.interval, dates)?,
        None => HashMap::new(),
    };
    // The provider has no bars of a session in the future.
    let today = settings.calendar.session_date(context.now());
    for sessions in comparable.values_mut() {
        sessions.retain(|date| *date <= today);
    }
    let history = |ticker: &Ticker| -> Result<History, crate::backfill::Error> {
        Ok(History {
            coverage: answers.remove(ticker).unwrap_or_default(),
            sessions: staged.remove(ticker).unwrap_or_default(),
            comparable: comparable.remove(ticker).unwrap_or_default(),
        })
    };
    let plan = planner.plan(&settings.tickers, history, &provenance);
    plan.map_err(|error| match error {
        crate::backfill::Error::Calendar(error) => CliError::of(ExitStatus::Usage, &error),
        crate::backfill::Error::Store(error) => error.into(),
        error => CliError::of(ExitStatus::Failed, &error),
    })
}

/// The first and the last sessions with stored bars of the run's interval. Sessions in the future
/// are left out: after such a one nothing would ever be requested again.
fn staged(reader: &Reader, settings: &Settings, now: Timestamp) -> Result<Staged, CliError> {
    let today = settings.calendar.session_date(now);
    Ok(reader.end_sessions(settings.interval, settings.overlap, today)?)
}

/// Requests everything in the plan and stores it.
fn run_job(
    context: &Context,
    settings: &Settings,
    session: &FetchSession,
    plan: Plan,
    target: Option<(Arc<Store>, RunId)>,
) -> Result<RunReport, CliError> {
    let output = settings
        .output
        .as_ref()
        .map(|file| BarsWriter::create(file, settings.on_conflict))
        .transpose()
        .map_err(|error| CliError::of(ExitStatus::Failed, &error))?;
    let observer: Arc<dyn Observer> = match &target {
        Some((store, run)) => {
            let requests = session.request_count();
            Arc::new(context.run_observer(store, run, Some(requests)))
        }
        None => Arc::new(context.observer()),
    };
    let job = Job {
        fetcher: session.fetcher(
            settings.calendar.clone(),
            settings.interval,
            &settings.provenance(),
        ),
        plan,
        spending: target.as_ref().map(|(store, _)| session.spending(store)),
        store: target,
        output,
        on_conflict: settings.on_conflict,
        tickers_at_once: session.concurrency.requests(),
        observer,
        continue_with: Continuation::Resume,
    };
    Ok(session.run(context, job))
}

//! `specific` and `concurrent`: from what was typed to a run, and to its report.

mod ahead;
mod args;
mod fill;
mod plan_view;
mod settings;
pub(super) mod source;
mod tickers;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use super::context::{Context, Outcome};
use super::error::CliError;
use super::push::{self, Push};
use crate::advice::Continuation;
use crate::backfill::{History, Job, Plan, Planner, partial_dates};
use crate::export::BarsWriter;
use crate::model::{Ticker, Timestamp};
use crate::report::{ExitStatus, RunKind, RunReport};
use crate::store::{OpenOptions, Reader, RunId, Store};

pub(super) use args::provider_url_help;
pub use args::{FetchArgs, ServiceArgs};
pub(super) use fill::{FillSettings, Filled, fill_gaps};
pub(super) use settings::Service;
use settings::{Settings, Staged};
pub use source::ProviderChoice;
use wire::Wire;

/// Windows from which on asking for one at a time is worth a hint.
const WINDOWS_FOR_CONCURRENT: u64 = 50;

/// Memory that DuckDB may take in a fetch: commits are small, and the whole run is to stay under 300 MiB.
const STORE_MEMORY_MIB: u64 = 96;

/// How many requests a run keeps in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One ticker after another, one request after another.
    One,
    /// So many requests, over as many tickers.
    Many(usize),
}

impl Width {
    fn requests(self) -> usize {
        match self {
            Self::One => 1,
            Self::Many(count) => count.max(1),
        }
    }
}

/// Runs `specific` or `concurrent`.
pub fn run(context: &Context, args: FetchArgs, width: Width) -> Result<Outcome, CliError> {
    let dir = context.store_dir(args.service.provider.is_demo());
    let output = args.output_filename.as_ref();
    let output = output.map(|file| context.output_file(file)).transpose()?;
    let settings = Settings::resolve(args, context.calendars(&dir)?, output)?;
    context.describe(|info| {
        info.kind = RunKind::Fetch;
        info.interval = Some(settings.interval);
        info.dry_run = settings.dry_run;
        info.on_conflict = Some(settings.on_conflict);
    });
    let push = match settings.dry_run || settings.plan {
        true => None,
        false => Push::resolve(
            context,
            settings.push,
            settings.on_conflict,
            settings.is_demo(),
        )?,
    };
    if !settings.since_last {
        // Before anything is opened or made: a range that the calendar does not cover ends here.
        plan(context, &settings, None, false)?;
    }
    if settings.plan {
        let out = context.stdout()?;
        let known = context.open_reader_if_any(&dir)?;
        ahead::warn(context, &settings, known.as_ref())?;
        let everything = plan(context, &settings, known.as_ref(), false)?;
        let plan = plan(context, &settings, known.as_ref(), true)?;
        let left = quota_left(context, &settings.service, known.as_ref())?;
        return plan_view::print(out, &plan, &everything, &settings, left);
    }
    let service = &settings.service;
    let opened = (service.provider).open(context, service.provider_url.as_ref())?;
    let mut report = if settings.dry_run {
        let looks =
            settings.resume || settings.looks_at_staged() || settings.service.daily_quota.is_some();
        let known = match looks {
            true => context.open_reader_if_any(&dir)?,
            false => None,
        };
        ahead::warn(context, &settings, known.as_ref())?;
        let plan = plan(context, &settings, known.as_ref(), settings.resume)?;
        // What it asks is not written down, but it asks no more than is left.
        let left = quota_left(context, &settings.service, known.as_ref())?;
        drop(known);
        let wire = Wire::new(opened, &settings.service, width, left)?;
        go(context, &settings, &wire, plan, None)?
    } else {
        let options = OpenOptions {
            memory_limit_mib: STORE_MEMORY_MIB,
            calendars: settings.calendars.clone(),
            ..OpenOptions::default()
        };
        let store = Arc::new(context.open_store(&dir, &options)?);
        let known = store.reader()?;
        ahead::warn(context, &settings, Some(&known))?;
        let plan = plan(context, &settings, Some(&known), settings.resume)?;
        let left = quota_left(context, &settings.service, Some(&known))?;
        drop(known);
        let run = store.begin_run(&context.info().command, context.started_at())?;
        let target = Some((store.clone(), run.clone()));
        let went = Wire::new(opened, &settings.service, width, left).and_then(|wire| {
            let mut report = go(context, &settings, &wire, plan, target)?;
            if settings.gap_fill {
                fill::after(context, &settings, &wire, &store, &run, &mut report);
            }
            Ok(report)
        });
        match went {
            Ok(report) => match push {
                Some(push) => {
                    let staged = push::Staged {
                        dir: &dir,
                        options: &options,
                        run: &run,
                        interval: Some(settings.interval),
                    };
                    push.run(context, store, &staged, report)
                }
                None => record_end(context, &store, &run, report),
            },
            Err(error) => {
                let report = RunReport {
                    fatal: Some((&error).into()),
                    ..RunReport::default()
                };
                record_end(context, &store, &run, report);
                return Err(error);
            }
        }
    };
    if width == Width::One && report.totals.requests > WINDOWS_FOR_CONCURRENT {
        let hint =
            "`backfill concurrent` takes the same options and asks for several windows at once";
        report.hints.push(hint.into());
    }
    Ok(Outcome::Run(Box::new(report)))
}

/// The plan. `known` is what the store holds; `resumes` skips what its coverage shows as answered.
fn plan(
    context: &Context,
    settings: &Settings,
    known: Option<&Reader>,
    resumes: bool,
) -> Result<Plan, CliError> {
    let service = &settings.service;
    let provenance = settings.provenance();
    let mut staged = match known.filter(|_| settings.looks_at_staged()) {
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
        limits: service.limits(settings.interval, service.hours())?,
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
    // The provider has nothing yet of a session in the future.
    let today = settings.calendar.session_date(context.now());
    for sessions in comparable.values_mut() {
        sessions.retain(|date| *date <= today);
    }
    let history = |ticker: &Ticker| -> Result<History, crate::backfill::Error> {
        Ok(History {
            answers: answers.remove(ticker).unwrap_or_default(),
            sessions: staged.remove(ticker).unwrap_or_default(),
            comparable: comparable.remove(ticker).unwrap_or_default(),
        })
    };
    (planner.plan(&settings.tickers, history, &provenance)).map_err(|error| match error {
        crate::backfill::Error::Calendar(error) => CliError::of(ExitStatus::Usage, &error),
        crate::backfill::Error::Store(error) => error.into(),
        error => CliError::of(ExitStatus::Failed, &error),
    })
}

/// What is left of the day's quota, where there is one: what was spent is counted under the key's fingerprint.
fn quota_left(
    context: &Context,
    service: &Service,
    known: Option<&Reader>,
) -> Result<Option<u64>, CliError> {
    let Some(quota) = service.daily_quota else {
        return Ok(None);
    };
    let spent = match known.zip(service.provider.fingerprint(context)) {
        Some((reader, fingerprint)) => {
            reader.requests_spent(&fingerprint, context.now().to_utc().date_naive())?
        }
        None => 0,
    };
    Ok(Some(quota.saturating_sub(spent)))
}

/// The first and the last sessions with staged bars, of the run's interval. Sessions that lie ahead
/// are left out: after one of those nothing would ever be asked for again.
fn staged(reader: &Reader, settings: &Settings, now: Timestamp) -> Result<Staged, CliError> {
    let today = settings.calendar.session_date(now);
    Ok(reader.end_sessions(settings.interval, settings.overlap, today)?)
}

/// Asks for everything and stages it.
fn go(
    context: &Context,
    settings: &Settings,
    wire: &Wire,
    plan: Plan,
    target: Option<(Arc<Store>, RunId)>,
) -> Result<RunReport, CliError> {
    let output = (settings.output.as_ref())
        .map(|file| BarsWriter::create(file, settings.on_conflict))
        .transpose()
        .map_err(|error| CliError::of(ExitStatus::Failed, &error))?;
    let job = Job {
        fetcher: wire.fetcher(
            settings.calendar.clone(),
            settings.interval,
            &settings.provenance(),
        ),
        plan,
        spending: (target.as_ref()).map(|(store, _)| wire.spending(store)),
        store: target,
        output,
        on_conflict: settings.on_conflict,
        tickers_at_once: wire.width.requests(),
        observer: Arc::new(context.observer()),
        continue_with: Continuation::Resume,
    };
    Ok(wire.run(context, job))
}

/// Writes the run's end into the store; where that fails, the run failed.
fn record_end(context: &Context, store: &Store, run: &RunId, mut report: RunReport) -> RunReport {
    let summary = context.summary_json(&report);
    let status = report.status().as_str();
    if let Err(error) = store.finish_run(run, context.now(), status, &summary)
        && report.fatal.is_none()
    {
        report.fatal = Some((&CliError::from(error)).into());
    }
    report
}

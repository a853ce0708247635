//! Fills: asking again for the sessions that lack bars.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::settings::{Service, Settings};
use super::wire::Wire;
use super::{Width, plan_view, quota_left, record_end};
use crate::advice::Continuation;
use crate::backfill::{Job, Plan, Planner};
use crate::calendar::{Book, Calendar};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::gaps::{RefillRequest, RequestKind, Scope, Survey, asked, outcome, survey};
use crate::model::{Basis, DateRange, Hours, OnConflict, Provenance, SeriesKey, Ticker};
use crate::report::{ExitStatus, RunReport, UnitReport, UnitStatus};
use crate::store::{CoverageEntry, OpenOptions, Reader, RefillAttempts, RunId, Store};

/// What a fill is to do.
pub(in crate::cli) struct FillSettings {
    pub scope: Scope,
    pub service: Service,
    pub on_conflict: OnConflict,
    /// Also what two fills asked for in vain.
    pub again: bool,
    /// Print what would be asked, and ask nothing.
    pub plan: bool,
    pub width: Width,
}

/// How a fill ended.
pub(in crate::cli) enum Filled {
    /// It asked, or had nothing to ask: its report, and what is lacking now.
    Report(Box<RunReport>, Survey),
    /// It was to print its plan.
    Planned(Outcome),
}

/// `gaps --fill`: asks for all gaps of `settings.scope` in the store in `dir`.
pub(in crate::cli) fn fill_gaps(
    context: &Context,
    dir: &Path,
    settings: &FillSettings,
    book: &mut Book,
) -> Result<Filled, CliError> {
    // A store that is not there is not made, and a plan takes no lock.
    let reader = context.open_reader(dir)?;
    if settings.plan {
        let work = Work::find(&reader, settings, book, None)?;
        let mut all = Plan::default();
        for (kind, asked) in work.by_request_kind() {
            all.append(plan_of(
                context,
                &reader,
                &settings.service,
                book,
                &kind,
                &asked,
            )?);
        }
        let left = super::quota_left(context, &settings.service, Some(&reader))?;
        plan_view::windows(context.stdout()?, &all, settings.service.rate, left)?;
        work.tell(settings);
        return Ok(Filled::Planned(Outcome::Done));
    }
    drop(reader);
    let options = OpenOptions {
        memory_limit_mib: super::STORE_MEMORY_MIB,
        ..context.store_options(dir)?
    };
    let store = Arc::new(context.open_store(dir, &options)?);
    let reader = store.reader()?;
    let work = Work::find(&reader, settings, book, None)?;
    drop(reader);
    work.tell(settings);
    if work.asked.is_empty() {
        return Ok(Filled::Report(Box::default(), work.survey));
    }
    let service = &settings.service;
    let opened = (service.provider).open(context, service.provider_url.as_ref())?;
    let left = quota_left(context, service, Some(&store.reader()?))?;
    let wire = Wire::new(opened, service, settings.width, left)?;
    let run = store.begin_run(&context.info().command, context.started_at())?;
    match work.go(context, &wire, &store, &run, settings, book) {
        Ok((report, survey)) => {
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

/// `--gap-fill`: after a run, asks again for the sessions of its range that lack bars, and adds what came to its report.
/// A run that was stopped, and a ticker that ran into conflicts, are left as they are.
pub(super) fn after(
    context: &Context,
    settings: &Settings,
    wire: &Wire,
    store: &Arc<Store>,
    run: &RunId,
    report: &mut RunReport,
) {
    if report.interrupted || report.quota || report.fatal.is_some() {
        return;
    }
    let went_on =
        |unit: &&UnitReport| unit.status != UnitStatus::Conflict && unit.counts.conflicts == 0;
    let tickers: Vec<Ticker> = (report.tickers.iter().filter(went_on))
        .filter_map(|unit| unit.name.parse().ok())
        .collect();
    let dates = context.info().dates;
    if tickers.is_empty() {
        return;
    }
    let fill = FillSettings {
        scope: Scope {
            tickers,
            interval: Some(settings.interval),
            start: dates.map(DateRange::first),
            end: dates.map(DateRange::last),
            now: context.now(),
        },
        service: settings.service.clone(),
        on_conflict: settings.on_conflict,
        again: false,
        plan: false,
        width: wire.width,
    };
    let mut book = Book::new(settings.calendars.clone());
    let filled = (store.reader().map_err(CliError::from))
        .and_then(|reader| Work::find(&reader, &fill, &mut book, Some(&settings.provenance())))
        .and_then(|work| work.go(context, wire, store, run, &fill, &mut book));
    match filled {
        Ok((filled, _)) => merge(report, filled),
        Err(error) => report.fatal = Some((&error).into()),
    }
}

/// Adds what a fill came to to the report of the run before it: one entry a ticker.
fn merge(report: &mut RunReport, filled: RunReport) {
    for unit in filled.tickers {
        let Some(of_run) = (report.tickers.iter_mut()).find(|of_run| of_run.name == unit.name)
        else {
            report.tickers.push(unit);
            continue;
        };
        of_run.counts += unit.counts;
        of_run.elapsed += unit.elapsed;
        match (of_run.status, unit.status) {
            (UnitStatus::Ok | UnitStatus::Empty, UnitStatus::Failed | UnitStatus::Conflict) => {
                of_run.status = unit.status;
                of_run.error = unit.error;
                of_run.hint = unit.hint;
            }
            (UnitStatus::Empty, UnitStatus::Ok) => of_run.status = UnitStatus::Ok,
            _ => {}
        }
    }
    report.totals += filled.totals;
    report.interrupted |= filled.interrupted;
    report.quota |= filled.quota;
    report.fatal = report.fatal.take().or(filled.fatal);
    report.hints.extend(filled.hints);
}

/// What a fill has to do.
struct Work {
    survey: Survey,
    asked: Vec<RefillRequest>,
    in_vain: BTreeMap<SeriesKey, Vec<RefillAttempts>>,
    left_out: usize,
}

impl Work {
    /// `as_what` is what all series are asked for; where it is open, each is asked for as what it is staged.
    fn find(
        reader: &Reader,
        settings: &FillSettings,
        book: &mut Book,
        as_what: Option<&Provenance>,
    ) -> Result<Self, CliError> {
        let survey = survey(reader, &settings.scope, book)?;
        let in_vain = reader.refills(settings.service.info.source.as_str())?;
        let service = &settings.service;
        let provenance = |staged: &Provenance| match as_what {
            Some(provenance) => provenance.clone(),
            None => Provenance {
                exchange: staged.exchange.clone(),
                basis: match staged.basis {
                    _ if service.unadjusted => Basis::Unadjusted,
                    Basis::Unknown => service.basis(),
                    known => known,
                },
                hours: match staged.hours {
                    _ if service.extended_hours => Hours::Extended,
                    Hours::Unknown => service.hours(),
                    known => known,
                },
            },
        };
        let (asked, left_out) = asked(&survey, &in_vain, settings.again, book, provenance);
        Ok(Self {
            survey,
            asked,
            in_vain,
            left_out,
        })
    }

    fn tell(&self, settings: &FillSettings) {
        if self.left_out > 0 && !settings.again {
            tracing::info!(
                "{} sessions that two fills asked for in vain are left out; --again asks for them too",
                self.left_out
            );
        }
    }

    fn by_request_kind(&self) -> Vec<(RequestKind, Vec<&RefillRequest>)> {
        let mut kinds: Vec<(RequestKind, Vec<&RefillRequest>)> = Vec::new();
        for asked in &self.asked {
            let kind = RequestKind {
                interval: asked.series.interval,
                provenance: asked.provenance.clone(),
            };
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, all)) => all.push(asked),
                None => kinds.push((kind, vec![asked])),
            }
        }
        kinds
    }

    /// Asks, kind after kind, and writes down what was asked for in vain.
    fn go(
        self,
        context: &Context,
        wire: &Wire,
        store: &Arc<Store>,
        run: &RunId,
        settings: &FillSettings,
        book: &mut Book,
    ) -> Result<(RunReport, Survey), CliError> {
        let began = context.now();
        let mut report = RunReport::default();
        for (kind, asked) in self.by_request_kind() {
            if report.interrupted || report.quota || report.fatal.is_some() {
                break;
            }
            let reader = store.reader()?;
            let plan = plan_of(context, &reader, &settings.service, book, &kind, &asked)?;
            drop(reader);
            let calendar = calendar_of(book, &kind.provenance)?;
            let job = Job {
                fetcher: wire.fetcher(calendar, kind.interval, &kind.provenance),
                plan,
                store: Some((store.clone(), run.clone())),
                output: None,
                on_conflict: settings.on_conflict,
                tickers_at_once: settings.width.requests(),
                spending: Some(wire.spending(store)),
                observer: Arc::new(context.observer()),
                continue_with: Continuation::SameCommand,
            };
            let of_kind = wire.run(context, job);
            report.tickers.extend(of_kind.tickers);
            report.totals += of_kind.totals;
            report.interrupted |= of_kind.interrupted;
            report.quota |= of_kind.quota;
            report.fatal = report.fatal.take().or(of_kind.fatal);
            report.hints.extend(of_kind.hints);
        }
        let reader = store.reader()?;
        let after = survey(&reader, &settings.scope, book)?;
        let provider = &settings.service.info.source;
        let mut outcomes = BTreeMap::new();
        let mut coverage = reader.all_coverage()?;
        for asked in &self.asked {
            let answers: Vec<CoverageEntry> = coverage.remove(&asked.series).unwrap_or_default();
            let before = self
                .in_vain
                .get(&asked.series)
                .map_or(&[][..], Vec::as_slice);
            let known = outcome(asked, before, &after, &answers, began, book);
            if known != before {
                outcomes.insert(asked.series.clone(), known);
            }
        }
        drop(reader);
        store.record_refills(provider.as_str(), &outcomes)?;
        Ok((report, after))
    }
}

fn calendar_of(book: &mut Book, provenance: &Provenance) -> Result<Calendar, CliError> {
    (book.calendar(&provenance.exchange).cloned())
        .ok_or_else(|| CliError::failed(format!("no calendar is known of {}", provenance.exchange)))
}

/// The fewest windows over the gaps of series of one kind.
fn plan_of(
    context: &Context,
    reader: &Reader,
    service: &Service,
    book: &mut Book,
    kind: &RequestKind,
    asked: &[&RefillRequest],
) -> Result<Plan, CliError> {
    let calendar = calendar_of(book, &kind.provenance)?;
    let dates = asked.iter().flat_map(|asked| &asked.dates);
    let (Some(first), Some(last)) = (dates.clone().min(), dates.max()) else {
        return Ok(Plan::default());
    };
    let planner = Planner {
        calendar: &calendar,
        dates: DateRange::new(*first, *last)?,
        hours: kind.provenance.hours,
        limits: service.limits(kind.interval, kind.provenance.hours)?,
        now: context.now(),
        since: None,
        overlap: 0,
        resumes: false,
    };
    let mut comparable = reader.sessions_around(kind.interval, planner.dates)?;
    // The provider has nothing yet of a session in the future.
    let today = calendar.session_date(context.now());
    for sessions in comparable.values_mut() {
        sessions.retain(|date| *date <= today);
    }
    let days: Vec<_> = (asked.iter())
        .map(|asked| (asked.series.ticker.clone(), asked.dates.clone()))
        .collect();
    (planner.plan_days(&days, &comparable))
        .map_err(|error| CliError::of(ExitStatus::Failed, &error))
}

//! A run over all files, several at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::commit_order::CommitOrder;
use super::context::{RunContext, Sink};
use super::error::{Error, plain};
use super::file::{self, ReadFile};
use super::find_files::{Found, InputFile, InputFiles};
use super::settings::Settings;
use crate::advice::Advice;
use crate::report::{Counts, Event, Fatal, Observer, RunReport, Stop, UnitReport, UnitStatus};

/// The number of files named in one line.
const NAMED_MAX: usize = 20;

/// Injects `files` into `sink` until `stop` is set. `Err` means that the run could not start; later
/// errors are in the report.
pub fn run(
    sink: Sink<'_>,
    settings: &Settings,
    files: InputFiles,
    observer: &dyn Observer,
    stop: &Stop,
) -> Result<RunReport, Error> {
    let InputFiles(Found {
        files,
        others,
        specials,
        stores,
        unreadable,
    }) = files;
    note_ignored(observer, "not CSV files", &others);
    note_ignored(observer, "pipes, sockets or devices", &specials);
    note_ignored(observer, "stores", &stores);
    if files.is_empty() {
        observer.event(&Event::Warning(
            "no CSV files found (.csv, .txt, .tsv, also with .gz, .zst, .bz2 or .xz; .zip, .parquet, .arrow, \
             .feather, .jsonl)",
        ));
    }
    let context = RunContext::new(settings, sink, &files, observer, stop)?;
    observer.event(&Event::Planned {
        unit: "bytes",
        total: files.iter().map(|file| file.bytes).sum(),
    });
    let mut reports = Vec::new();
    for (name, error) in unreadable {
        let unit = UnitReport {
            status: UnitStatus::Failed,
            error: Some(format!("the folder can't be read: {}", plain(&error))),
            ..UnitReport::done(name, Counts::default(), Duration::ZERO)
        };
        observer.event(&Event::FileDone(&unit));
        reports.push(unit);
    }
    reports.extend(inject_all(&context, &files));
    warn_of_unended(&context, &files);
    Ok(finish(context, reports))
}

/// Injects all files, and returns their reports in path order.
///
/// Workers read files, and commit large ones. Small ones are committed together by one thread, while
/// the workers read the next.
fn inject_all(context: &RunContext<'_>, files: &[InputFile]) -> Vec<UnitReport> {
    let order = CommitOrder::new(files.len(), context.settings.limits.waiting_rows);
    let done: Mutex<BTreeMap<usize, UnitReport>> = Mutex::default();
    let report = |(index, unit): (usize, UnitReport)| {
        context.observer.event(&Event::FileDone(&unit));
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(index, unit);
    };
    std::thread::scope(|scope| {
        for _ in 0..context.settings.threads.max(1).min(files.len()) {
            let worker = order.worker();
            scope.spawn(|| {
                let _worker = worker;
                while let Some(index) = order.next(|| context.is_stopped()) {
                    if let Some(file) = file::inject(context, &order, index, &files[index]) {
                        report(file.report());
                    }
                }
            });
        }
        scope.spawn(|| {
            let _committer = order.committer();
            while let Some(group) = order.next_group(|| context.has_failed()) {
                let group = file::commit_together(context, &order, group);
                group.into_iter().map(ReadFile::report).for_each(report);
            }
            let left = order.take_queue().into_iter();
            left.map(|(_, file)| file.report_stopped()).for_each(report);
        });
    });
    done.into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_values()
        .collect()
}

/// Finishes the files of rejects and of all bars, and makes the report.
fn finish(context: RunContext<'_>, files: Vec<UnitReport>) -> RunReport {
    let interrupted = context.stop.is_set();
    let totals: Counts = files.iter().map(|file| file.counts).sum();
    if let Err(error) = context.rejects.sort() {
        context.fail(error);
    }
    if let Some(path) = context.rejects.written() {
        let text = format!("{} rows rejected; see {}", totals.rejected, path.display());
        context.observer.event(&Event::Warning(&text));
    }
    let mut results = std::mem::take(&mut *context.results());
    // A run without bars because its files failed leaves an existing file as it is.
    let has_failed = files.iter().any(|file| file.status == UnitStatus::Failed);
    if results.fatal.is_none()
        && !interrupted
        && let Some(output) = context.output
        && !(has_failed && output.is_empty())
        && let Err(error) = output.finish()
    {
        results.fatal = Some(error.into());
    }
    RunReport {
        tickers: results.tickers.into_values().collect(),
        totals,
        interrupted,
        fatal: results.fatal.map(|error| Fatal {
            error: error.to_string(),
            hint: None,
        }),
        files,
        ..RunReport::default()
    }
}

/// Names the files whose last line was rejected, and the option that accepts it.
fn warn_of_unended(context: &RunContext<'_>, files: &[InputFile]) {
    let results = context.results();
    let unended = results.unended.iter();
    let names: Vec<&str> = unended.map(|index| files[*index].name.as_str()).collect();
    if !names.is_empty() {
        context.observer.event(&Event::Warning(&format!(
            "the last line has no line end and was rejected, because the file may be incomplete: {}; {}",
            first_names(&names),
            Advice::AcceptLastLine
        )));
    }
}

fn note_ignored(observer: &dyn Observer, why: &str, names: &[String]) {
    if !names.is_empty() {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = format!("ignored ({why}): {}", first_names(&names));
        observer.event(&Event::Note(&text));
    }
}

/// The first names, and how many more there are.
fn first_names(names: &[&str]) -> String {
    let mut text = names[..names.len().min(NAMED_MAX)].join(", ");
    if names.len() > NAMED_MAX {
        text += &format!(" and {} more", names.len() - NAMED_MAX);
    }
    text
}

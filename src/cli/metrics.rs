//! `--metrics`: the figures of a run in a file for a monitoring system.

use std::fs;
use std::path::Path;

use super::args::MetricsArg;
use super::context::Context;
use super::error::CliError;
use crate::calendar::CalendarCache;
use crate::export::{AtomicFile, OutputFile, Turn};
use crate::gaps::{Facts, Scope, survey_by_counts};
use crate::report::{ExitStatus, Metrics, RunKind, RunReport};

/// A longer file isn't one that an earlier run wrote.
const BEFORE_BYTES_MAX: u64 = 1 << 16;

/// Writes the metrics of this run to a file when it ends. A file that can't be written is refused
/// now, before the run has done anything.
pub(super) fn write_to(context: &Context, args: &MetricsArg) -> Result<(), CliError> {
    let Some(output) = &args.metrics else {
        return Ok(());
    };
    let file = context.output_file(output)?;
    AtomicFile::check(&file).map_err(|error| {
        let folder = file.real().parent();
        let hint = match folder.is_some_and(Path::is_dir) {
            true => "this user must be able to create files in its folder",
            false => "create its folder first",
        };
        CliError::usage(format!("the metrics can't be written to {error}")).hint(hint)
    })?;
    context.write_metrics_to(file);
    Ok(())
}

/// Writes the metrics if `--metrics` is given. A wrong command line isn't a run.
pub(super) fn write(
    context: &Context,
    report: &RunReport,
    status: ExitStatus,
) -> Result<(), CliError> {
    let file = context.metrics_file();
    let is_run = !context.info().dry_run && status != ExitStatus::Usage;
    let Some(file) = file.filter(|_| is_run) else {
        return Ok(());
    };
    let gaps = gaps(context);
    let gaps = gaps.inspect_err(|error| tracing::debug!("no gaps for the metrics: {error}"));
    let name = file.typed().file_stem();
    let (finished_at, elapsed) = context.ended();
    let metrics = Metrics {
        name: &name.unwrap_or_default().to_string_lossy(),
        report,
        status,
        gaps: gaps.ok().flatten(),
        finished_at,
        elapsed,
    };
    // Another run may continue the same file.
    let _turn = Turn::take(file);
    // node_exporter runs as another user.
    AtomicFile::write_for_all(file, metrics.to_text(&before(file)).as_bytes())
        .map_err(|error| CliError::failed(format!("the metrics could not be written to {error}")))
}

/// What an earlier run wrote; empty if there is none.
fn before(file: &OutputFile) -> String {
    let is_ours = file.special().is_none()
        && fs::metadata(file.real()).is_ok_and(|metadata| metadata.len() <= BEFORE_BYTES_MAX);
    let text = is_ours.then(|| fs::read_to_string(file.real()).ok());
    text.flatten().unwrap_or_default()
}

/// The number of incomplete sessions in the store of a run that adds bars to it.
fn gaps(context: &Context) -> Result<Option<u64>, CliError> {
    let info = context.info();
    let Some(dir) = info.store.filter(|_| info.kind != RunKind::Sync) else {
        return Ok(None);
    };
    let Some(reader) = context.open_reader_if_any(&dir)? else {
        return Ok(None);
    };
    let scope = Scope {
        tickers: Vec::new(),
        interval: None,
        start: None,
        end: None,
        now: context.now(),
    };
    let mut calendars = CalendarCache::new(context.calendars(&dir)?);
    let survey = survey_by_counts(&reader, &scope, &Facts::of_all(&reader)?, &mut calendars)?;
    Ok(Some(survey.gaps().count() as u64))
}

//! What every command does at its end: it prints the Summary line, hints or the error, writes the
//! summary's JSON, and returns the exit status.

use std::io::{self, Write};

use super::args::SummaryTarget;
use super::context::{Context, Outcome};
use super::error::CliError;
use super::log::{HINT, LINE};
use super::metrics;
use crate::export::AtomicFile;
use crate::report::{ExitStatus, Fatal, RunReport};

/// Reports how the command ended, writes the summary, and returns the exit status.
pub(super) fn finish(context: &Context, result: Result<Outcome, CliError>) -> ExitStatus {
    let result = match (result, context.output_error()) {
        // The end of a run is always reported, even if its output has no reader.
        (Ok(Outcome::Run(report)), _) => Ok(Outcome::Run(report)),
        (result, None) => result,
        // The reader closed the pipe (`| head`): not an error, and neither is what followed from
        // it.
        (_, Some(error)) if is_closed(&error) => return ExitStatus::Ok,
        (_, Some(error)) => Err(error.into()),
    };
    match result {
        Ok(Outcome::Done) => summarise(context, &RunReport::default(), ExitStatus::Ok),
        Ok(Outcome::Ended(status)) => summarise(context, &report_of(status), status),
        Ok(Outcome::Run(report)) => {
            print(context, &report);
            let status = summarise(context, &report, report.status());
            and_metrics(context, &report, status)
        }
        Err(error) => {
            print_error(&error);
            let report = RunReport {
                fatal: Some((&error).into()),
                ..RunReport::default()
            };
            let status = summarise(context, &report, error.status);
            and_metrics(context, &report, status)
        }
    }
}

/// The report of a command that counts nothing.
fn report_of(status: ExitStatus) -> RunReport {
    RunReport {
        fatal: (status == ExitStatus::Failed).then(|| Fatal {
            error: "a check failed".into(),
            hint: None,
        }),
        ..RunReport::default()
    }
}

fn print(context: &Context, report: &RunReport) {
    let wording = context.wording();
    let (_, elapsed) = context.ended();
    tracing::info!(target: LINE, "{}", wording.summary(report, elapsed));
    for hint in wording.hints(report) {
        tracing::info!(target: HINT, "{hint}");
    }
    if report.interrupted {
        tracing::warn!("interrupted; committed bars stay");
    }
    if let Some(fatal) = &report.fatal {
        print_error(&CliError::failed(&fatal.error).maybe_hint(fatal.hint.clone()));
    }
}

/// Prints an error and its hint; at DEBUG also its causes.
pub(super) fn print_error(error: &CliError) {
    tracing::error!("{}", error.message);
    for cause in &error.causes {
        tracing::debug!("caused by: {cause}");
    }
    if let Some(hint) = &error.hint {
        tracing::error!(target: HINT, "{hint}");
    }
}

/// Whether the reader of standard output closed it.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Writes the summary's JSON if `--summary-json` is given. If that fails, so does a command that
/// ended well.
fn summarise(context: &Context, report: &RunReport, status: ExitStatus) -> ExitStatus {
    let Some(target) = &context.globals().summary_json else {
        return status;
    };
    let mut json = context.summary_json_with(report, status);
    json.push('\n');
    let written = match (target, context.summary_file()) {
        (SummaryTarget::Stdout, _) => context.raw_stdout().and_then(|mut out| {
            out.write_all(json.as_bytes())?;
            Ok(out.flush()?)
        }),
        (SummaryTarget::File(_), Some(file)) => {
            AtomicFile::write(&file, json.as_bytes()).map_err(|error| {
                // Not `Usage`: the path was checked, and the command is done.
                CliError::failed(format!("the summary could not be written to {error}"))
            })
        }
        // The path was refused, so the file of that name stays as it was.
        (SummaryTarget::File(_), None) => Ok(()),
    };
    match written {
        Ok(()) => status,
        Err(_)
            if context
                .output_error()
                .is_some_and(|error| is_closed(&error)) =>
        {
            status
        }
        Err(error) => failed(&error, status),
    }
}

/// Writes the metrics if `--metrics` is given. If that fails, so does a command that ended well.
fn and_metrics(context: &Context, report: &RunReport, status: ExitStatus) -> ExitStatus {
    match metrics::write(context, report, status) {
        Ok(()) => status,
        Err(error) => failed(&error, status),
    }
}

/// The status of a command that ended with `status`, and whose report could not be written.
fn failed(error: &CliError, status: ExitStatus) -> ExitStatus {
    print_error(error);
    match status {
        ExitStatus::Ok => error.status,
        status => status,
    }
}

//! The end of every command: Summary line, hints, errors, the summary's JSON, the exit code.

use std::io::{self, Write};
use std::path::Path;

use super::args::SummaryTarget;
use super::context::{Context, Outcome};
use super::error::CliError;
use super::exit_codes;
use super::log::{HINT, LINE};
use crate::export::Draft;
use crate::report::{Fatal, RunReport, RunStatus};

/// Refuses the run because its summary may not be written where it is asked for. Nothing was done, and no summary is written.
pub(super) fn refuse(error: &CliError) -> u8 {
    print_error(error);
    error.code
}

/// Tells how the command ended and returns the exit code.
pub(super) fn finish(context: &Context, result: Result<Outcome, CliError>) -> u8 {
    let result = match (result, context.output_trouble()) {
        // A run's end is told whether or not anybody reads its output.
        (Ok(Outcome::Run(report)), _) => Ok(Outcome::Run(report)),
        (result, None) => result,
        // Whoever read our output has seen enough, and whatever the command made of that is no failure.
        (_, Some(trouble)) if is_closed(&trouble) => return exit_codes::OK,
        (_, Some(trouble)) => Err(trouble.into()),
    };
    match result {
        Ok(Outcome::Done) => summarise(context, &RunReport::default(), exit_codes::OK),
        Ok(Outcome::Code(code)) => summarise(context, &report_of(code), code),
        Ok(Outcome::Run(report)) => {
            print(context, &report);
            summarise(context, &report, report.status().exit_code())
        }
        Err(error) => fail(context, &error),
    }
}

/// The report of a command that has nothing to count, but did not end with 0.
fn report_of(code: u8) -> RunReport {
    RunReport {
        incomplete: code == exit_codes::PARTIAL,
        quota: code == exit_codes::QUOTA,
        interrupted: code == exit_codes::INTERRUPTED,
        fatal: matches!(code, exit_codes::FAILED | exit_codes::USAGE).then(|| Fatal {
            error: "what was checked is not as it should be".into(),
            hint: None,
        }),
        ..RunReport::default()
    }
}

fn fail(context: &Context, error: &CliError) -> u8 {
    print_error(error);
    let report = RunReport {
        fatal: Some(error.into()),
        interrupted: error.code == exit_codes::INTERRUPTED,
        ..RunReport::default()
    };
    summarise(context, &report, error.code)
}

fn print(context: &Context, report: &RunReport) {
    let wording = context.wording();
    let (_, elapsed) = context.ended();
    tracing::info!(target: LINE, "{}", wording.summary(report, elapsed));
    for hint in wording.hints(report) {
        tracing::info!(target: HINT, "{hint}");
    }
    if report.status() == RunStatus::Interrupted {
        tracing::warn!("interrupted; what was committed stays");
    }
    if let Some(fatal) = &report.fatal {
        print_error(&CliError::failed(&fatal.error).maybe_hint(fatal.hint.clone()));
    }
}

fn print_error(error: &CliError) {
    tracing::error!("{}", error.message);
    for cause in &error.causes {
        tracing::debug!("caused by: {cause}");
    }
    if let Some(hint) = &error.hint {
        tracing::error!(target: HINT, "{hint}");
    }
}

/// Whether the reader of standard output went away.
fn is_closed(trouble: &io::Error) -> bool {
    trouble.kind() == io::ErrorKind::BrokenPipe
}

/// Writes the summary's file.
fn write_file(context: &Context, path: &Path, contents: &[u8]) -> Result<(), CliError> {
    // Not code 2: the command is done, and the path was fine before it.
    let file = (context.summary_file(path))
        .map_err(|error| CliError::failed(format!("the summary could not be written: {error}")))?;
    Draft::write(&file, contents)
        .map_err(|error| CliError::failed(format!("the summary could not be written to {error}")))
}

/// Writes the summary's JSON where it was asked for; a run whose summary is lost did not end well.
fn summarise(context: &Context, report: &RunReport, code: u8) -> u8 {
    let Some(target) = &context.globals().summary_json else {
        return code;
    };
    let mut json = context.summary_json_with(report, code);
    json.push('\n');
    let written = match target {
        SummaryTarget::Stdout => context.raw_stdout().and_then(|mut out| {
            out.write_all(json.as_bytes())?;
            Ok(out.flush()?)
        }),
        SummaryTarget::File(path) => write_file(context, path, json.as_bytes()),
    };
    match written {
        Ok(()) => code,
        Err(_)
            if context
                .output_trouble()
                .is_some_and(|trouble| is_closed(&trouble)) =>
        {
            code
        }
        Err(error) => {
            print_error(&error);
            if code == exit_codes::OK {
                error.code
            } else {
                code
            }
        }
    }
}

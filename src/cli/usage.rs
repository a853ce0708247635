//! Wrong command lines, reported in two lines like every other error.

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::report::ExitStatus;
use crate::secret::{HIDDEN, may_hold_password};

/// Prints the requested help, or why the command line `typed` is wrong. Help goes to
/// standard output, errors to standard error.
pub(super) fn report(error: &clap::Error, command: &Command, typed: &[OsString]) -> ExitStatus {
    match error.kind() {
        ErrorKind::DisplayHelp => {
            let _ = error.print();
            return ExitStatus::Ok;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
        }
        _ => {
            let (message, hint) = (message(error), hint(error, &path(command, typed)));
            let _ = writeln!(std::io::stderr(), "error: {message}\nhint: {hint}");
        }
    }
    ExitStatus::Usage
}

fn message(error: &clap::Error) -> String {
    let of = |kind| shown(error, kind);
    let argument = of(ContextKind::InvalidArg).unwrap_or_default();
    let value = of(ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => format!("unexpected argument '{argument}' found"),
        ErrorKind::InvalidSubcommand => {
            let name = of(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("unknown command '{name}'")
        }
        ErrorKind::MissingRequiredArgument => format!("missing {argument}"),
        ErrorKind::ArgumentConflict => match of(ContextKind::PriorArg) {
            Some(prior) if prior != argument => {
                format!("'{argument}' can't be used with '{prior}'")
            }
            _ => format!("'{argument}' is given more than once"),
        },
        ErrorKind::InvalidValue if value.is_empty() => format!("'{argument}' needs a value"),
        ErrorKind::InvalidValue => {
            let valid = of(ContextKind::ValidValue).unwrap_or_default();
            format!("invalid value '{value}' for '{argument}' (valid: {valid})")
        }
        ErrorKind::ValueValidation => {
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            let reason = without_secret(error, &reason);
            format!("invalid value '{value}' for '{argument}': {reason}")
        }
        ErrorKind::NoEquals => format!("'{argument}' needs an equals sign before its value"),
        kind => {
            let reason = kind.as_str().unwrap_or("wrong command line");
            match argument.is_empty() {
                true => reason.to_owned(),
                false => format!("{reason}: '{argument}'"),
            }
        }
    }
}

fn hint(error: &clap::Error, path: &str) -> String {
    let suggested = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    if let Some(suggested) = suggested.into_iter().find_map(|kind| shown(error, kind)) {
        return format!("did you mean '{suggested}'?");
    }
    if error.kind() == ErrorKind::UnknownArgument && path == "backfill query" {
        return "SQL that begins with a comment is given after `--`".to_owned();
    }
    format!("`{path} --help` lists the options")
}

/// What clap knows of the error, without values that may hold a password.
fn shown(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) if may_hold_password(text) => Some(HIDDEN.to_owned()),
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    }
}

/// A message that may quote the value, without the value if that may hold a password.
fn without_secret(error: &clap::Error, message: &str) -> String {
    match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if may_hold_password(value) => {
            let quoted = format!("{value:?}");
            let message = message.replace(quoted.trim_matches('"'), HIDDEN);
            message.replace(value.as_str(), HIDDEN)
        }
        _ => message.to_owned(),
    }
}

/// The command and its subcommand as typed: `backfill bundle create`.
fn path(command: &Command, typed: &[OsString]) -> String {
    let mut path = command.get_name().to_owned();
    let mut level = command;
    for word in typed.iter().skip(1) {
        // The command `help` has no help of its own.
        if let Some(command) = (level.find_subcommand(word)).filter(|one| one.get_name() != "help")
        {
            path = format!("{path} {}", command.get_name());
            level = command;
        }
    }
    path
}

//! Wrong command lines, in the same two lines as every other error.

use std::io::Write;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::report::ExitStatus;
use crate::secret::{HIDDEN, may_hold_password};

/// Prints what clap made of the command line, and returns the exit status: help goes to standard output, errors to
/// standard error.
pub(super) fn report(error: &clap::Error) -> ExitStatus {
    match error.kind() {
        ErrorKind::DisplayHelp => {
            let _ = error.print();
            ExitStatus::Ok
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitStatus::Usage
        }
        _ => {
            let (message, hint) = split(&without_secrets(error));
            let _ = writeln!(std::io::stderr(), "error: {message}\nhint: {hint}");
            ExitStatus::Usage
        }
    }
}

/// What clap says, without the values typed that may hold a password: an address in the wrong
/// place.
fn without_secrets(error: &clap::Error) -> String {
    let mut rendered = error.to_string();
    let typed = [
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidValue,
    ];
    for value in typed.into_iter().filter_map(|kind| error.get(kind)) {
        let ContextValue::String(value) = value else {
            continue;
        };
        if may_hold_password(value) {
            // Our own messages quote it once more.
            let quoted = format!("{value:?}");
            rendered = rendered.replace(quoted.trim_matches('"'), HIDDEN);
            rendered = rendered.replace(value.as_str(), HIDDEN);
        }
    }
    rendered
}

/// One line why and one line what to do, out of clap's paragraphs.
fn split(rendered: &str) -> (String, String) {
    let mut message = String::new();
    let mut hint = None;
    let mut usage = None;
    for line in rendered.lines() {
        let text = line.trim();
        if let Some(first) = text.strip_prefix("error: ") {
            first.clone_into(&mut message);
        } else if let Some(tip) = text.strip_prefix("tip: ") {
            hint.get_or_insert_with(|| tip.to_owned());
        } else if let Some(line) = text.strip_prefix("Usage: ") {
            usage.get_or_insert_with(|| line.to_owned());
        } else if text.is_empty() || text.starts_with("For more information") || usage.is_some() {
        } else if hint.is_none() {
            // Continuations: missing arguments one a line, or the list of possible values.
            message.push(' ');
            message.push_str(text);
        }
    }
    let command = usage.as_deref().map_or("backfill", |usage| {
        let end = usage.find(['[', '<', '-']).unwrap_or(usage.len());
        // `backfill inject-csv …`: a command's name may hold a hyphen, an option begins with one.
        let end = usage
            .find(" -")
            .unwrap_or(usage.len())
            .min(if usage[..end].ends_with(' ') {
                end
            } else {
                usage.len()
            });
        usage[..end].trim()
    });
    let help = format!("`{command} --help` tells what can be given");
    (message, hint.unwrap_or(help))
}

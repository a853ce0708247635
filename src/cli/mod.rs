//! The command line, the only part that prints, reads the environment and the time of day, and exits.
//!
//! ```text
//! .env, environment, options ─> Args ─> command ─> use case ─> RunReport ─┐
//!                                           │           └─ Event ─> log lines, progress bar
//!                                           └─ CliError ─> error:, hint: ──┴─> Summary, JSON, exit code
//! ```

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};

mod advice;
pub mod args;
mod clock;
pub mod commands;
pub mod console;
pub mod context;
mod dry_run_overview;
pub mod error;
mod exit;
mod fetch;
pub mod format_value;
mod interrupt;
mod lines_after;
mod listing;
pub mod log;
mod metrics;
mod open;
pub mod output;
mod progress;
mod push_after;
mod push_target;
mod rows;
mod seal_after;
mod sync_after;
mod system;
pub mod table;
mod terminal;
pub mod ticker_args;
mod usage;
mod version;

use crate::report::ExitStatus;
use context::Context;
use terminal::Terminal;

/// Download, store and query intraday market bars on your own machine
#[derive(Parser)]
#[command(name = "backfill", version = "", max_term_width = 100, after_help = after_help())]
pub struct Args {
    /// The global options.
    #[command(flatten)]
    pub globals: args::Globals,
    /// The command.
    #[command(subcommand)]
    pub command: commands::Command,
}

fn after_help() -> String {
    let codes =
        ExitStatus::ALL.map(|status| format!("  {:>3}  {}", status.code(), status.meaning()));
    let mut results = ExitStatus::ALL.to_vec();
    results.retain(|status| status.is_ranked());
    results.sort();
    let precedence: Vec<String> = results.iter().map(|s| s.code().to_string()).collect();
    format!(
        "Settings come from options, then the environment, then the file .env.\n\
         Data goes to standard output, everything else to standard error.\n\n\
         Exit codes (the first of {} wins):\n{}",
        precedence.join(", "),
        codes.join("\n")
    )
}

/// Runs the program with the arguments, environment and working folder of this process.
#[must_use]
pub fn main() -> ExitCode {
    system::prepare();
    std::panic::set_hook(Box::new(|fault| {
        // Already handled where the partition is decoded, as an invalid partition: don't print it.
        if crate::bundle::is_guarded() {
            tracing::debug!("{fault}");
            return;
        }
        let text = system::panic_text(&fault.to_string());
        if tracing::dispatcher::has_been_set() {
            tracing::error!("{text}");
        } else {
            let _ = writeln!(std::io::stderr(), "error: {text}");
        }
    }));
    let status = catch_unwind(AssertUnwindSafe(run)).unwrap_or(ExitStatus::Failed);
    ExitCode::from(status.code())
}

fn run() -> ExitStatus {
    // Before anything reads the environment, and before any thread starts.
    let env_file = load_env_file();
    let typed = commands::typed(std::env::args_os());
    let mut parser = Args::command();
    let matches = match parser.try_get_matches_from_mut(&typed) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => return version::print(),
        Err(error) => return usage::report(&error, &parser, &typed),
    };
    let command = matches.subcommand_name().unwrap_or_default().to_owned();
    let args = match Args::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => return usage::report(&error, &parser, &typed),
    };
    let terminal = Arc::new(Terminal::new(args.globals.progress()));
    log::start(
        args.globals.level(),
        args.globals.log_format,
        Arc::clone(&terminal),
    );
    if let Err(warning) = env_file {
        tracing::warn!("{warning}");
    }
    let inputs = args::inputs(&matches);
    let context = Context::new(args.globals, terminal, &command, inputs);
    if let Err(error) = context.open_summary() {
        exit::print_error(&error);
        return error.status;
    }
    let result = system::check_room().and_then(|()| args.command.run(&context));
    exit::finish(&context, result)
}

/// Adds the variables of `.env` in the working folder to the environment. Variables that are set
/// win.
fn load_env_file() -> Result<(), String> {
    match dotenvy::from_path(".env") {
        Ok(()) => Ok(()),
        Err(dotenvy::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(format!(".env could not be read: {error}")),
        // Not the line itself: it may hold a key.
        Err(_) => {
            Err(".env has a line that isn't NAME=value; this line and the rest aren't read".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::builder::StyledStr;

    use super::*;

    /// Values that need no example.
    const PLAIN_VALUES: [&str; 13] = [
        "CODE", "DIR", "FILE", "FORMAT", "LEVEL", "MODE", "N", "NAME", "PLAN", "SECONDS", "TICKER",
        "TICKERS", "BUNDLE",
    ];

    /// What is wrong with the help of a command and its options.
    fn faults(command: &clap::Command, path: &str) -> Vec<String> {
        let first_line = |text: Option<&StyledStr>| {
            let text = text.map(ToString::to_string).unwrap_or_default();
            let is_sentence = text.starts_with(char::is_uppercase) && !text.ends_with('.');
            is_sentence && !text.contains('\n') && !text.contains("Example")
        };
        let mut faults = Vec::new();
        if !first_line(command.get_about()) {
            faults.push(path.to_owned());
        }
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            if matches!(id, "help" | "version") || argument.is_hide_set() {
                continue;
            }
            let long = argument.get_long_help().map(ToString::to_string);
            let has_example = match argument.is_positional() {
                true => command.get_after_help().is_some(),
                false => long.is_some_and(|help| help.contains("Example: --")),
            };
            let names = argument.get_value_names().unwrap_or_default();
            let is_plain = names
                .iter()
                .all(|name| PLAIN_VALUES.contains(&name.as_str()))
                || !argument.get_default_values().is_empty()
                || !argument.get_possible_values().is_empty();
            let takes_value = argument.get_action().takes_values();
            // What isn't an option is in the command's examples.
            let is_option = argument.get_long().is_some();
            if !first_line(argument.get_help())
                || (takes_value && is_option && !is_plain && !has_example)
                || (!takes_value && has_example)
            {
                faults.push(format!("{path} {id}"));
            }
        }
        for sub in command.get_subcommands() {
            if sub.get_name() != "help" {
                faults.extend(self::faults(sub, &format!("{path} {}", sub.get_name())));
            }
        }
        faults
    }

    #[test]
    fn help_starts_with_one_line_and_has_examples_where_they_help() {
        let command = Args::command();
        command.clone().debug_assert();
        assert_eq!(faults(&command, "backfill"), Vec::<String>::new());
    }
}

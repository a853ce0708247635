//! The command line, the only part that prints, reads the environment and the clock, and exits.
//!
//! ```text
//! .env, environment, flags ─> Args ─> command ─> use case ─> RunReport ─┐
//!                                        │           └─ Event ─> log lines, progress bar
//!                                        └─ CliError ─> error:, hint: ──┴─> Summary, JSON, exit code
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
pub mod error;
mod exit;
mod fetch;
pub mod format_value;
mod interrupt;
mod listing;
pub mod log;
mod open;
pub mod output;
mod rows;
mod sync_after;
mod system;
pub mod table;
mod terminal;
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
    format!(
        "Settings come from options, then the environment, then the file .env.\n\
         Data goes to standard output, everything else to standard error.\n\n\
         Exit codes (the first of 130, 1, 5, 3, 4 wins):\n{}",
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
    use super::*;

    #[test]
    fn every_option_has_help() {
        fn check(command: &clap::Command, path: &str) -> Vec<String> {
            let mut lacking = Vec::new();
            for argument in command.get_arguments() {
                let id = argument.get_id();
                if matches!(id.as_str(), "help" | "version") || argument.is_hide_set() {
                    continue;
                }
                let help = argument
                    .get_long_help()
                    .or(argument.get_help())
                    .map(ToString::to_string)
                    .unwrap_or_default();
                if help.is_empty() {
                    lacking.push(format!("{path} {id}"));
                }
            }
            for sub in command.get_subcommands() {
                lacking.extend(check(sub, &format!("{path} {}", sub.get_name())));
            }
            lacking
        }
        let command = Args::command();
        command.clone().debug_assert();
        assert_eq!(check(&command, "backfill"), Vec::<String>::new());
    }
}

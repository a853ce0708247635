//! One file or folder per command: its arguments, whose doc comments are the help, and `run`.

// Every command owns its arguments.
#![allow(clippy::needless_pass_by_value)]

use std::ffi::OsString;

use super::context::{Context, Outcome};
use super::error::CliError;

mod audit;
mod bundle;
mod check;
mod compare;
mod completions;
mod concurrent;
mod conflicts;
mod drop;
mod due;
mod export;
mod gaps;
mod inject_csv;
mod man;
mod providers;
mod push;
mod query;
mod report;
mod seal;
mod serve;
mod simulate;
mod specific;
mod status;
mod sync;
mod verify;

/// The list of commands, in the order of the help.
macro_rules! commands {
    ($($name:ident => $module:ident,)*) => {
        /// The commands.
        #[derive(clap::Subcommand)]
        pub enum Command {
            $($name($module::Args),)*
        }

        impl Command {
            pub(super) fn run(self, context: &Context) -> Result<Outcome, CliError> {
                match self {
                    $(Self::$name(args) => $module::run(context, args),)*
                }
            }
        }
    };
}

/// The command line to parse: the SQL of `query` may begin with a comment, which looks like an
/// option.
pub(super) fn typed(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut is_query = false;
    args.map(|arg| {
        is_query |= arg == "query";
        if is_query { query::typed(arg) } else { arg }
    })
    .collect()
}

commands! {
    Specific => specific,
    Concurrent => concurrent,
    Audit => audit,
    Bundle => bundle,
    Check => check,
    Compare => compare,
    Completions => completions,
    Conflicts => conflicts,
    Drop => drop,
    Due => due,
    Export => export,
    Gaps => gaps,
    InjectCsv => inject_csv,
    Man => man,
    Providers => providers,
    Push => push,
    Query => query,
    Report => report,
    Seal => seal,
    Serve => serve,
    Simulate => simulate,
    Status => status,
    Sync => sync,
    Verify => verify,
}

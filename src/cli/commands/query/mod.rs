//! `query`: SQL over the stored bars, read-only.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use crate::cli::args::{AsOfArg, FileArg, OutputArg};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::log::LINE;
use crate::cli::rows::{Out, RowFormat};
use crate::cli::system;
use crate::export::AtomicFile;

mod files;
mod limits;
mod message;
mod names;
mod pivot;
mod print;
mod readonly;
mod session;
mod statement;
mod tokens;
mod watch;

use limits::Limits;
use print::{Count, Printer};
use session::Session;
use watch::Watch;

/// Run SQL over the stored bars
///
/// Views: bars (ticker, timestamp, open, high, low, close, volume, vwap, trades, source,
/// commit_seq, and interval in minutes), coverage, conflicts and runs. The dialect is DuckDB's, the
/// time zone UTC. Only statements that read are allowed, and nothing is downloaded. They can read
/// the store and the files of --file, and no other file. With --as-of, bars has the bars of that
/// time; the other views have the current rows.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill query \"select ticker, count(*) from bars group by ticker\"
  backfill query \"from bars where ticker = 'AAPL'\" --to aapl.parquet
  backfill query \"pivot bars on ticker using last(close) group by timestamp\"
  backfill query \"from bars join names using (ticker)\" --file names=names.csv
  backfill query - < report.sql")]
pub struct Args {
    /// SQL statement, or - to read it from standard input
    #[arg(value_name = "SQL")]
    sql: String,

    /// Output format [default: by the ending of --to, else table]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    format: Option<RowFormat>,

    /// Write to FILE instead of standard output
    ///
    /// The file appears when it is complete. Its ending sets the format: .csv, .json, .parquet,
    /// .arrow (a stream) or .txt (a table).
    ///
    /// Example: --to highs.parquet
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    to: Option<OutputArg>,

    /// Add a view NAME over a CSV or Parquet file
    ///
    /// Can be repeated. A CSV file may be compressed (gzip, zstd). Its columns ticker and symbol
    /// are read as text. PATH is a file outside the store, not a pipe.
    ///
    /// Example: --file splits=splits.csv
    #[arg(long = "file", value_name = "NAME=PATH", help_heading = "Input")]
    files: Vec<FileArg>,

    /// Most rows to print at a terminal, or 0 for all
    ///
    /// Files and pipes always get all rows.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        help_heading = "Output"
    )]
    limit: u64,

    #[command(flatten)]
    as_of: AsOfArg,

    #[command(flatten)]
    limits: Limits,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let to = args.to.filter(|to| !to.is_stdout());
    let format = match args.format {
        Some(format) => format,
        None => RowFormat::of_file(to.as_ref().map(|to| to.0.as_path()))?,
    };
    let to = to.map(|to| context.output_file(&to)).transpose()?;
    let stdout = match to {
        Some(_) => None,
        None => Some(context.stdout()?),
    };
    let files = files::check(context, args.files)?;
    let sql = statement(args.sql)?;
    let limits = args.limits.within(system::room());
    let is_limited = args.limit > 0 && to.is_none() && io::stdout().is_terminal();
    let rows_max = is_limited.then_some(args.limit);

    let session = Session::open(context, limits, &files, args.as_of)?;
    let draft = to.as_ref().map(AtomicFile::create).transpose()?;
    let watch = Watch {
        context,
        limits,
        query: session.connection.interrupt_handle(),
        spill: session.spill.as_ref().map(|spill| spill.path().to_owned()),
        draft: (draft.as_ref().and_then(AtomicFile::path)).map(Path::to_owned),
    };
    let count = watch.over(|| {
        let statement = session.check(&sql, limits)?;
        let (out, name): (Out, _) = match (&draft, stdout) {
            (Some(draft), _) => (draft.out()?, Some(draft.target())),
            (None, Some(out)) => (Box::new(out), None),
            (None, None) => return Ok(Count::default()),
        };
        let failed = |error: io::Error| match name {
            Some(file) => CliError::failed(format!("{}: {error}", file.display())),
            None => error.into(),
        };
        let start = |schema: &_| Printer::new(&statement, format, schema, out, rows_max);
        session.print(&statement.sql, limits, start, failed)
    })?;
    if let Some(draft) = draft {
        draft.publish()?;
    }
    if let Some(note) = count.note() {
        tracing::info!(target: LINE, "{note}");
    }
    Ok(Outcome::Done)
}

/// SQL may begin with a comment, which looks like an option. No option has white space in its name,
/// and a space in front of a statement has no effect.
pub(super) fn typed(arg: OsString) -> OsString {
    let comment = arg.to_str().and_then(|text| text.strip_prefix("--"));
    let name_ends = |c: char| c == '=' || c.is_whitespace();
    match comment.and_then(|text| text.chars().find(|c| name_ends(*c))) {
        Some(end) if end.is_whitespace() => {
            let mut shifted = OsString::from(" ");
            shifted.push(&arg);
            shifted
        }
        _ => arg,
    }
}

/// The statement typed, or the one on standard input.
fn statement(typed: String) -> Result<String, CliError> {
    if typed != "-" {
        return Ok(typed);
    }
    let mut sql = String::new();
    io::stdin()
        .read_to_string(&mut sql)
        .map_err(|error| CliError::failed(format!("standard input could not be read: {error}")))?;
    Ok(sql)
}

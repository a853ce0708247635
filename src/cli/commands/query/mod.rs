//! `query`: SQL over the stored bars, read-only.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use duckdb::Connection;

use crate::cli::args::OutputArg;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::rows::{Out, RowFormat, RowWriter};
use crate::cli::system;
use crate::export::AtomicFile;
use crate::store::{OpenOptions, Reader, Spill};

mod limits;
mod message;
mod readonly;
mod watch;

use limits::Limits;
use message::one_line;
use readonly::Refusal;
use watch::Watch;

/// The views that need the catalog.
const CATALOG_VIEWS: [&str; 3] = ["coverage", "conflicts", "runs"];

/// Run SQL over the stored bars
///
/// Views: bars (ticker, timestamp, open, high, low, close, volume, vwap, trades, source,
/// commit_seq, and interval in minutes), coverage, conflicts and runs. The dialect is DuckDB's, the
/// time zone UTC. Only statements that read are allowed, and nothing is downloaded.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill query \"select ticker, count(*) from bars group by ticker\"
  backfill query \"from bars where ticker = 'AAPL'\" --to aapl.parquet
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
    /// The file appears when it is complete.
    ///
    /// Example: --to highs.parquet
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    to: Option<OutputArg>,

    #[command(flatten)]
    limits: Limits,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let to = args.to.filter(|to| !to.is_stdout());
    let format = (args.format).unwrap_or_else(|| format_of(to.as_ref().map(|to| to.0.as_path())));
    let to = to.map(|to| context.output_file(&to)).transpose()?;
    let stdout = match to {
        Some(_) => None,
        None => Some(context.stdout()?),
    };
    let sql = statement(args.sql)?;
    let limits = args.limits.within(system::room());

    let session = Session::open(context, limits)?;
    let draft = to.as_ref().map(AtomicFile::create).transpose()?;
    let watch = Watch {
        context,
        limits,
        query: session.connection.interrupt_handle(),
        spill: session.spill.as_ref().map(|spill| spill.path().to_owned()),
        draft: (draft.as_ref().and_then(AtomicFile::path)).map(Path::to_owned),
    };
    watch.over(|| {
        session.check(&sql)?;
        let (out, name): (Out, _) = match (&draft, stdout) {
            (Some(draft), _) => (draft.out()?, Some(draft.target())),
            (None, Some(out)) => (Box::new(out), None),
            (None, None) => return Ok(()),
        };
        let failed = |error: io::Error| match name {
            Some(file) => CliError::failed(format!("{}: {error}", file.display())),
            None => error.into(),
        };
        session.answer(
            &sql,
            limits,
            |schema| RowWriter::new(format, schema, out),
            failed,
        )
    })?;
    if let Some(draft) = draft {
        draft.publish()?;
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

fn format_of(path: Option<&Path>) -> RowFormat {
    let ending = path
        .and_then(Path::extension)
        .and_then(|ending| ending.to_str());
    match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => RowFormat::Csv,
        Some("json") => RowFormat::Json,
        Some("parquet" | "pq") => RowFormat::Parquet,
        Some("arrow") => RowFormat::Arrow,
        _ => RowFormat::Table,
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

/// The store, open for one statement. Fields are dropped in this order: DuckDB must be closed
/// before its temporary files are removed.
struct Session {
    connection: Connection,
    reader: Reader,
    /// The folder of temporary files.
    spill: Option<Arc<Spill>>,
}

impl Session {
    fn open(context: &Context, limits: Limits) -> Result<Self, CliError> {
        let defaults = OpenOptions::default();
        let options = OpenOptions {
            memory_limit_mib: limits.duckdb_mib(),
            threads: limits.threads(defaults.threads),
            ..defaults
        };
        let reader = context.open_reader_with(&context.store_dir(false), &options)?;
        let connection = reader.sql()?;
        // From here on there are files to remove, so Ctrl-C must not end the program at once.
        let _ = context.stop();
        let spill = reader.spill(&std::env::temp_dir());
        let session = Self {
            connection,
            reader,
            spill,
        };
        session.lock(limits)?;
        Ok(session)
    }

    /// Restricts the connection to the files of bars and the folder of temporary files: no other
    /// file, no network, no extension, and no way to change that.
    fn lock(&self, limits: Limits) -> Result<(), CliError> {
        let literal = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "''"));
        let mut bars = Vec::new();
        for folder in self.reader.bar_folders() {
            bars.extend(folder.canonicalize().map(|real| literal(&real)));
            bars.push(literal(&folder));
        }
        let bars = bars.join(", ");
        // If the folder is empty, DuckDB keeps everything in memory.
        let temp_limit = limits.temp_limit;
        let spill = (self.spill.as_ref()).filter(|_| temp_limit > 0);
        let spill = literal(spill.map_or(Path::new(""), |spill| spill.path()));
        self.connection
            .execute_batch(&format!(
                "SET temp_directory = {spill};
                 SET max_temp_directory_size = '{temp_limit}B';
                 SET allowed_directories = [{bars}];
                 SET autoinstall_known_extensions = false;
                 SET autoload_known_extensions = false;
                 SET enable_external_access = false;
                 SET lock_configuration = true;"
            ))
            .map_err(|error| CliError::failed(one_line(&error)))
    }

    /// Refuses a statement that does more than read, or that needs the catalog while it can't be
    /// read.
    fn check(&self, sql: &str) -> Result<(), CliError> {
        let allowed = readonly::check(&self.connection, sql).map_err(refused)?;
        if let Some(pid) = self.reader.is_lake_only() {
            if allowed
                .tables
                .iter()
                .any(|table| CATALOG_VIEWS.contains(&table.as_str()))
            {
                return Err(busy(&self.reader, pid));
            }
            tracing::warn!(
                "another process is writing to the store: bars not in the lake yet are left out"
            );
        }
        Ok(())
    }

    /// Runs the statement and writes its rows as they come.
    fn answer(
        &self,
        sql: &str,
        limits: Limits,
        writer: impl FnOnce(&SchemaRef) -> io::Result<RowWriter>,
        not_written: impl Fn(io::Error) -> CliError,
    ) -> Result<(), CliError> {
        let failed = |error: duckdb::Error| limits.failed(&error);
        let mut statement = self.connection.prepare(sql).map_err(|error| {
            // DuckDB computes constants here already.
            if limits::is_out_of_memory(&error) {
                failed(error)
            } else {
                CliError::usage(one_line(&error))
            }
        })?;
        let schema = statement.stream_arrow([]).map_err(failed)?.get_schema();
        let mut rows = writer(&schema).map_err(&not_written)?;
        while let Some(batch) = statement.step().map_err(failed)? {
            rows.write(&RecordBatch::from(&batch))
                .map_err(&not_written)?;
        }
        rows.finish().map_err(not_written)
    }
}

fn refused(refusal: Refusal) -> CliError {
    let hint = match &refusal {
        Refusal::NotReading => Some("--to FILE writes the rows of a SELECT to a file"),
        Refusal::Function(_) => Some("a query sees the views bars, coverage, conflicts and runs"),
        Refusal::Nothing | Refusal::Several | Refusal::Sql(_) => None,
    };
    CliError::usage(refusal.to_string()).maybe_hint(hint)
}

fn busy(reader: &Reader, pid: Option<u32>) -> CliError {
    crate::store::Error::CatalogBusy {
        dir: reader.dir().to_owned(),
        pid,
    }
    .into()
}

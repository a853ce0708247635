//! `query`: SQL over what is staged. Reads, and cannot do anything else.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use duckdb::Connection;

use crate::cli::args::OutputArg;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::exit_codes;
use crate::export::Draft;
use crate::store::{OpenOptions, Reader};

mod gate;
mod render;

use gate::Refusal;
use render::Rows;

/// Memory that a query may take, in MiB; beyond it DuckDB works on the disk.
const MEMORY_MIB_MAX: u64 = 1024;
/// The views that only the catalog can fill.
const CATALOG_VIEWS: [&str; 3] = ["coverage", "conflicts", "runs"];

/// Run SQL over what is staged. Example: backfill query "select ticker, count(*) from bars group by ticker"
///
/// The views are bars (ticker, timestamp, open, high, low, close, volume, vwap, trades, source, commit_seq, and interval
/// in minutes), coverage, conflicts and runs. It is DuckDB's SQL; the time zone is UTC. Only statements that read are run,
/// and nothing is ever downloaded.
#[derive(clap::Args)]
pub struct Args {
    /// The statement, or - to read it from standard input. Example: "select max(timestamp) from bars where ticker = 'AAPL'"
    #[arg(value_name = "SQL")]
    sql: String,

    /// How the rows are written [default: by the ending of --to, else table]. Example: --format csv
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    format: Option<QueryFormat>,

    /// Write to FILE instead of standard output, which appears when it is whole. Example: --to highs.parquet
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    to: Option<OutputArg>,
}

/// What the rows are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum QueryFormat {
    /// Columns for people.
    Table,
    /// Comma-separated, with a header line.
    Csv,
    /// An array of objects.
    Json,
    /// Parquet.
    Parquet,
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

    let reader = Reader::open(
        &context.store_dir(false),
        &OpenOptions {
            memory_limit_mib: MEMORY_MIB_MAX,
            ..OpenOptions::default()
        },
    )?;
    let connection = reader.sql()?;
    let passed = gate::check(&connection, &sql).map_err(refused)?;
    if let Some(pid) = reader.is_lake_only() {
        if passed
            .tables
            .iter()
            .any(|table| CATALOG_VIEWS.contains(&table.as_str()))
        {
            return Err(busy(&reader, pid));
        }
        tracing::warn!("another process writes into the store: bars not yet sealed are left out");
    }
    lock(&connection, &reader)?;

    match (to, stdout) {
        (Some(file), _) => {
            let draft = Draft::create(&file)?;
            answer(&connection, &sql, format, draft.out()?)?;
            draft.publish()?;
        }
        (None, Some(out)) => answer(&connection, &sql, format, Box::new(out))?,
        (None, None) => {}
    }
    Ok(Outcome::Done)
}

fn format_of(path: Option<&Path>) -> QueryFormat {
    let ending = path
        .and_then(Path::extension)
        .and_then(|ending| ending.to_str());
    match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => QueryFormat::Csv,
        Some("json") => QueryFormat::Json,
        Some("parquet" | "pq") => QueryFormat::Parquet,
        _ => QueryFormat::Table,
    }
}

/// The statement typed, or the one that standard input holds.
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

/// Leaves the connection the files of bars to read, a temporary folder for what does not fit into memory, and nothing else: no
/// other file, no network, no extension, and no way to change that. DuckDB removes the folder again.
fn lock(connection: &Connection, reader: &Reader) -> Result<(), CliError> {
    let dir = reader
        .dir()
        .canonicalize()
        .unwrap_or_else(|_| reader.dir().to_owned());
    let folder = |path: PathBuf| format!("'{}'", path.display().to_string().replace('\'', "''"));
    let spill = folder(std::env::temp_dir().join(format!("backfill-query-{}", std::process::id())));
    let bars: Vec<String> = ([reader.dir(), &dir].into_iter())
        .flat_map(|dir| ["lake", "segments"].map(|inside| folder(dir.join(inside))))
        .collect();
    let bars = bars.join(", ");
    connection
        .execute_batch(&format!(
            "SET temp_directory = {spill};
             SET allowed_directories = [{bars}];
             SET autoinstall_known_extensions = false;
             SET autoload_known_extensions = false;
             SET enable_external_access = false;
             SET lock_configuration = true;"
        ))
        .map_err(|error| failed(&error))
}

/// Runs the statement and writes its rows as they come.
fn answer(
    connection: &Connection,
    sql: &str,
    format: QueryFormat,
    out: Box<dyn Write + Send>,
) -> Result<(), CliError> {
    let mut statement = connection
        .prepare(sql)
        .map_err(|error| CliError::usage(one_line(&error)))?;
    let schema = statement
        .stream_arrow([])
        .map_err(|error| failed(&error))?
        .get_schema();
    let mut rows = Rows::begin(format, &schema, out)?;
    while let Some(batch) = statement.step().map_err(|error| failed(&error))? {
        rows.write(&RecordBatch::from(&batch))?;
    }
    Ok(rows.finish()?)
}

fn refused(refusal: Refusal) -> CliError {
    let hint = match &refusal {
        Refusal::NotReading => Some("--to FILE writes the rows of a SELECT to a file"),
        Refusal::Function(_) => Some("a query sees the views bars, coverage, conflicts and runs"),
        Refusal::Nothing | Refusal::Several | Refusal::Sql(_) => None,
    };
    CliError::usage(refusal.to_string()).maybe_hint(hint.map(str::to_owned))
}

fn busy(reader: &Reader, pid: Option<u32>) -> CliError {
    crate::store::Error::CatalogBusy {
        dir: reader.dir().to_owned(),
        pid,
    }
    .into()
}

fn failed(error: &duckdb::Error) -> CliError {
    CliError::new(exit_codes::FAILED, one_line(error))
}

/// DuckDB's message without its drawing of where in the statement it is.
fn one_line(error: &duckdb::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("LINE "))
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}

//! The connection of a query, which reads the store and the files of `--file`, and nothing else.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use duckdb::Connection;

use super::files::{UserFile, text};
use super::limits::{self, Limits};
use super::message::{one_line, usage};
use super::print::{Count, Printer};
use super::statement::Statement;
use crate::cli::args::AsOfArg;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::open;
use crate::store::{OpenOptions, Reader, Spill};

/// The views that need the catalog.
const CATALOG_VIEWS: [&str; 3] = ["coverage", "conflicts", "runs"];

/// The store, open for one statement. Fields are dropped in this order: DuckDB must be closed
/// before its temporary files are removed.
pub(super) struct Session {
    pub connection: Connection,
    reader: Reader,
    /// The folder of temporary files.
    pub spill: Option<Arc<Spill>>,
}

impl Session {
    pub fn open(
        context: &Context,
        limits: Limits,
        files: &[UserFile],
        as_of: AsOfArg,
    ) -> Result<Self, CliError> {
        let defaults = OpenOptions::default();
        let options = OpenOptions {
            memory_limit_mib: limits.duckdb_mib(),
            threads: limits.threads(defaults.threads),
            ..defaults
        };
        let reader = context.open_reader_with(&context.store_dir(false), &options)?;
        let reader = context.read_as_of(reader, as_of)?;
        let forgotten = reader.forgotten()?;
        if !forgotten.is_empty() {
            tracing::warn!(
                "{} aren't in bars: some of their bars were dropped since, so the earlier ones aren't known",
                open::joined(&forgotten)
            );
        }
        let connection = reader.sql()?;
        // From here on there are files to remove, so Ctrl-C must not end the program at once.
        let _ = context.stop();
        let spill = reader.spill(&std::env::temp_dir());
        let session = Self {
            connection,
            reader,
            spill,
        };
        for file in files {
            file.create(&session.connection)?;
        }
        session.lock(limits, files)?;
        Ok(session)
    }

    /// Restricts the connection to the files of bars, those of `--file` and the folder of temporary
    /// files: no other file, no network, no extension, and no way to change that.
    fn lock(&self, limits: Limits, files: &[UserFile]) -> Result<(), CliError> {
        let literal = |path: &Path| text(&path.display().to_string());
        let mut bars = Vec::new();
        for folder in self.reader.bar_folders() {
            bars.extend(folder.canonicalize().map(|real| literal(&real)));
            bars.push(literal(&folder));
        }
        let bars = bars.join(", ");
        let files: Vec<String> = files.iter().flat_map(UserFile::paths).collect();
        let files: Vec<String> = files.iter().map(|file| text(file)).collect();
        // The store has allowed some paths already.
        let files = match &files[..] {
            [] => String::new(),
            files => format!(
                "SET allowed_paths = list_concat(current_setting('allowed_paths'), [{}]);",
                files.join(", ")
            ),
        };
        // If the folder is empty, DuckDB keeps everything in memory.
        let temp_limit = limits.temp_limit;
        let spill = (self.spill.as_ref()).filter(|_| temp_limit > 0);
        let spill = literal(spill.map_or(Path::new(""), |spill| spill.path()));
        self.connection
            .execute_batch(&format!(
                "SET temp_directory = {spill};
                 SET max_temp_directory_size = '{temp_limit}B';
                 SET allowed_directories = [{bars}];
                 {files}
                 SET autoinstall_known_extensions = false;
                 SET autoload_known_extensions = false;
                 SET enable_external_access = false;
                 SET lock_configuration = true;"
            ))
            .map_err(|error| CliError::failed(one_line(&error)))
    }

    /// Refuses a statement that does more than read, or that needs the catalog while it can't be
    /// read.
    pub fn check(&self, sql: &str, limits: Limits) -> Result<Statement, CliError> {
        let statement = Statement::check(&self.connection, sql, limits)?;
        if let Some(pid) = self.reader.is_lake_only() {
            if statement
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
        Ok(statement)
    }

    /// Runs the statement and prints its rows as they come.
    pub fn print(
        &self,
        sql: &str,
        limits: Limits,
        start: impl FnOnce(&SchemaRef) -> io::Result<Printer>,
        not_written: impl Fn(io::Error) -> CliError,
    ) -> Result<Count, CliError> {
        let failed = |error: duckdb::Error| limits.failed(&error);
        let mut statement = self.connection.prepare(sql).map_err(|error| {
            // DuckDB computes constants here already.
            if limits::is_out_of_memory(&error) {
                failed(error)
            } else {
                usage(&error)
            }
        })?;
        let schema = statement.stream_arrow([]).map_err(failed)?.get_schema();
        let mut rows = start(&schema).map_err(&not_written)?;
        while let Some(batch) = statement.step().map_err(failed)? {
            if !rows
                .write(&RecordBatch::from(&batch))
                .map_err(&not_written)?
            {
                break;
            }
        }
        rows.finish().map_err(not_written)
    }
}

fn busy(reader: &Reader, pid: Option<u32>) -> CliError {
    crate::store::Error::CatalogBusy {
        dir: reader.dir().to_owned(),
        pid,
    }
    .into()
}

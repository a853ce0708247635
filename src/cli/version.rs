//! `--version`.

use crate::report::ExitStatus;
use std::io::Write;

/// Prints the program's version, DuckDB's and the git revision, and returns the exit status.
pub(super) fn print() -> ExitStatus {
    let duckdb = duckdb::Connection::open_in_memory()
        .and_then(|connection| connection.version())
        .unwrap_or_else(|_| "unknown".into());
    let _ = writeln!(
        std::io::stdout(),
        "backfill {} (DuckDB {}, revision {})",
        env!("CARGO_PKG_VERSION"),
        duckdb.trim_start_matches('v'),
        env!("BACKFILL_REVISION"),
    );
    ExitStatus::Ok
}

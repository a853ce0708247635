//! `--version`.

use std::io::Write;

use super::exit_codes;

/// Prints the program's version, DuckDB's and the git revision, and returns the exit code.
pub(super) fn print() -> u8 {
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
    exit_codes::OK
}

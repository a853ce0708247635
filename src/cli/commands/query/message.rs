//! DuckDB's messages, as the user sees them.

use crate::cli::error::CliError;

/// DuckDB's message without its drawing of where in the statement it is.
pub(super) fn one_line(error: &duckdb::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("LINE "))
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}

/// The error for a statement that DuckDB didn't accept.
pub(super) fn usage(error: &duckdb::Error) -> CliError {
    let text = error.to_string();
    let unknown = text
        .strip_prefix("Catalog Error: Table with name ")
        .and_then(|rest| rest.split_once(" does not exist"));
    if let Some((name, _)) = unknown {
        // DuckDB would suggest tables of the catalog.
        return CliError::usage(format!("there is no view {name}"))
            .hint("SHOW TABLES lists the views; --file NAME=PATH adds one over a file");
    }
    denied(error).unwrap_or_else(|| CliError::usage(one_line(error)))
}

/// The error for what a query may not read, if DuckDB reports that.
pub(super) fn denied(error: &duckdb::Error) -> Option<CliError> {
    let text = error.to_string();
    let what = if text.starts_with("Permission Error: Cannot access ") {
        let name = text.split('"').nth(1).unwrap_or_default();
        format!("a query can't read {name:?}")
    } else if text.starts_with("Missing Extension Error") || text.contains("INSTALL ") {
        "a query can't use extensions or the network".to_owned()
    } else {
        return None;
    };
    Some(CliError::usage(what).hint("--file NAME=PATH adds a view over a CSV or Parquet file"))
}

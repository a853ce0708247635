//! DuckDB's messages, as the user sees them.

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

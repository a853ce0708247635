//! Checks a statement, and makes of it the one that is run.

use duckdb::Connection;

use super::limits::{self, Limits};
use super::message::usage;
use super::pivot::{self, Failure};
use super::readonly::{self, Refusal};
use crate::cli::error::CliError;

/// A statement that passed the check.
pub(super) struct Statement {
    pub sql: String,
    pub is_explain: bool,
    /// The names of its tables and views, in lower case.
    pub tables: Vec<String>,
    /// The names that it gives to columns.
    pub aliases: Vec<String>,
}

impl Statement {
    /// Refuses a statement that does more than read. Runs SELECTs if a PIVOT has to find its
    /// columns.
    pub fn check(connection: &Connection, sql: &str, limits: Limits) -> Result<Self, CliError> {
        let mut sql = sql.to_owned();
        let allowed = match readonly::check(connection, &sql) {
            Err(Refusal::NotReading) => {
                let expanded = pivot::with_values(connection, &sql)
                    .map_err(|failure| failed(failure, limits))?;
                sql = expanded.ok_or_else(|| refused(Refusal::NotReading))?;
                readonly::check(connection, &sql)
            }
            checked => checked,
        };
        let allowed = allowed.map_err(refused)?;
        let is_explain = readonly::explained(&sql).is_some();
        if let Some(list) = allowed.replaced_by.filter(|_| !is_explain) {
            list.clone_into(&mut sql);
        }
        Ok(Self {
            sql,
            is_explain,
            tables: allowed.tables,
            aliases: allowed.aliases,
        })
    }
}

fn refused(refusal: Refusal) -> CliError {
    let hint = match &refusal {
        Refusal::NotReading => Some(
            "--to FILE writes the rows of a SELECT to a file; --file NAME=PATH adds a view over a file",
        ),
        Refusal::Function(_) => Some(
            "a query reads the views bars, coverage, conflicts and runs; --file NAME=PATH adds one over a file",
        ),
        Refusal::Nothing | Refusal::Several | Refusal::Sql(_) => None,
    };
    CliError::usage(refusal.to_string()).maybe_hint(hint)
}

fn failed(failure: Failure, limits: Limits) -> CliError {
    match failure {
        Failure::Refused(refusal) => refused(refusal),
        Failure::Prepare(error) if !limits::is_out_of_memory(&error) => usage(&error),
        Failure::Prepare(error) | Failure::Run(error) => limits.failed(&error),
        Failure::NoValues => CliError::failed("PIVOT found no values to make columns of"),
        Failure::TooMany => CliError::failed(format!(
            "PIVOT found more than {} values to make columns of",
            pivot::VALUES_MAX
        )),
    }
}

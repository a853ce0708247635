//! `--create-table`.

use tokio_postgres::error::SqlState;

use super::quote;
use crate::sync::errors::Error;
use crate::sync::link::Link;

/// Creates the table where it is missing, as a hypertable where the server has TimescaleDB. No error where it exists,
/// nor when two do it at once.
pub(in crate::sync) async fn create(link: &Link<'_>, name: &str) -> Result<(), Error> {
    let doing = "creating the table";
    let exists = "SELECT to_regclass($1) IS NOT NULL, \
                  (SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace \
                   WHERE extname = 'timescaledb'), \
                  (SELECT array_agg(part) FROM unnest(parse_ident($1)) part)";
    let row = link
        .one(doing, exists, &[(&name, tokio_postgres::types::Type::TEXT)])
        .await?;
    if row.get::<_, bool>(0) {
        return Ok(());
    }
    let parts: Vec<String> = row.get(2);
    let table: Vec<_> = parts.iter().map(|part| quote(part)).collect();
    let table = table.join(".");
    let mut sql = format!("BEGIN; {}; ", ddl(&table, "IF NOT EXISTS "));
    if let Some(schema) = row.get::<_, Option<String>>(1) {
        // The types are named, for newer versions have a second function of that name.
        sql.push_str(&format!(
            "SELECT {schema}.create_hypertable({}::regclass, 'timestamp'::name, if_not_exists => true); ",
            super::literal(&table)
        ));
    }
    sql.push_str("COMMIT");
    for _ in 0..3 {
        let Err(error) = link.batch(doing, &sql).await else {
            return Ok(());
        };
        link.rollback().await;
        // Two at once: IF NOT EXISTS looks before the other has committed. By then it has.
        if !is_lost_race(&error) {
            return Err(error);
        }
    }
    Ok(())
}

/// Whether `error` says that somebody else created the same thing at the same time.
pub(in crate::sync) fn is_lost_race(error: &Error) -> bool {
    let code = error
        .database_source()
        .and_then(tokio_postgres::Error::code);
    code.is_some_and(|code| {
        *code == SqlState::UNIQUE_VIOLATION
            || *code == SqlState::DUPLICATE_TABLE
            || *code == SqlState::DUPLICATE_OBJECT
            || *code == SqlState::DUPLICATE_COLUMN
    })
}

/// The statement that creates the table.
pub(super) fn ddl(table: &str, condition: &str) -> String {
    format!(
        "CREATE TABLE {condition}{table} (ticker text NOT NULL, \"timestamp\" timestamptz NOT NULL, \
         open double precision NOT NULL, high double precision NOT NULL, low double precision NOT NULL, \
         close double precision NOT NULL, volume double precision NOT NULL, vwap double precision, trades bigint, \
         PRIMARY KEY (ticker, \"timestamp\"))"
    )
}

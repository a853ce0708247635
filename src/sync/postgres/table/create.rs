//! `--create-table`.

use crate::model::columns::{COLUMNS, Kind};
use crate::sync::error::Error;
use crate::sync::postgres::error::is_lost_race;
use crate::sync::postgres::link::Link;
use crate::sync::postgres::sql::{literal, quote};

/// Creates the table if it is missing; as a hypertable if the server has TimescaleDB. It isn't an
/// error if the table exists, nor if two connections create it at the same time.
pub(in crate::sync::postgres) async fn create(link: &Link<'_>, name: &str) -> Result<(), Error> {
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
        // With types, because newer versions have a second function of that name.
        sql.push_str(&format!(
            "SELECT {schema}.create_hypertable({}::regclass, 'timestamp'::name, if_not_exists => true); ",
            literal(&table)
        ));
    }
    sql.push_str("COMMIT");
    for _ in 0..3 {
        let Err(error) = link.batch(doing, &sql).await else {
            return Ok(());
        };
        link.rollback().await;
        // IF NOT EXISTS doesn't see what another connection hasn't committed yet. The next try does.
        if !is_lost_race(&error) {
            return Err(error);
        }
    }
    Ok(())
}

/// The statement that creates the table.
pub(super) fn ddl(table: &str, condition: &str) -> String {
    let columns: String = COLUMNS
        .iter()
        .map(|column| {
            let not_null = if column.optional { "" } else { " NOT NULL" };
            format!("{} {}{not_null}, ", column.name, sql_type(column.kind))
        })
        .collect();
    format!(
        "CREATE TABLE {condition}{table} (ticker text NOT NULL, \"timestamp\" timestamptz NOT NULL, \
         {columns}PRIMARY KEY (ticker, \"timestamp\"))"
    )
}

/// The type of a column in a new table.
pub(super) const fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Double => "double precision",
        Kind::Integer => "bigint",
    }
}

//! Finds the table and its columns in the server's catalog.

use tokio_postgres::types::Type;

use super::create::{ddl, sql_type};
use super::{BarTable, NumberColumn, TableSpec};
use crate::advice::SyncAdvice;
use crate::model::columns::{COLUMNS, VOLUME};
use crate::sync::error::{Error, ErrorKind};
use crate::sync::postgres::column::{ColumnClock, NumberType};
use crate::sync::postgres::error::SEES_ALL_ROWS;
use crate::sync::postgres::link::Link;
use crate::sync::postgres::sql::quote;

/// The names that the ticker column may have, the preferred one first.
const TICKER_NAMES: [&str; 2] = ["ticker", "symbol"];
/// The same for the time column.
const TIME_NAMES: [&str; 4] = ["timestamp", "ts", "time", "datetime"];
const NUMBER_TYPES: &str = "double precision, real, numeric, bigint or integer";
/// What the queries are for, in messages.
const READING: &str = "looking at the target table";

/// The table can't take the bars.
fn unusable(message: String) -> Error {
    Error::new(ErrorKind::Table, message)
}

/// One column as the catalog has it.
struct CatalogColumn {
    name: String,
    type_oid: u32,
    typmod: i32,
    sql_type: String,
    needs_value: bool,
    generated: bool,
    number: i16,
}

/// Finds the table, matches its columns and checks its key.
pub(in crate::sync::postgres) async fn find(
    link: &Link<'_>,
    spec: &TableSpec<'_>,
) -> Result<BarTable, Error> {
    let row = link
        .opt(
            READING,
            "SELECT c.oid::int8, coalesce(pg_relation_filenode(c.oid), 0)::int8, c.relkind::text, \
             quote_ident(n.nspname), quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
             row_security_active(c.oid) \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.oid = to_regclass($1)",
            &[(&spec.name, Type::TEXT)],
        )
        .await?
        .ok_or_else(|| {
            let sql = ddl(spec.name, "");
            unusable(format!("table {} does not exist", spec.name))
                .with_hint(SyncAdvice::CreateTable { sql })
        })?;
    let oid: i64 = row.get(0);
    let kind: String = row.get(2);
    let name: String = row.get(4);
    if kind != "r" && kind != "p" {
        return Err(unusable(format!("{name} is not a table")));
    }
    if row.get(5) {
        let message = format!("row-level security of {name} hides rows from the user");
        return Err(unusable(message).with_hint(SEES_ALL_ROWS));
    }
    let columns = columns(link, oid).await?;
    let keys = keys(link, oid).await?;
    let matched = Matched::new(&name, &columns, &keys, spec)?;
    Ok(BarTable {
        schema: row.get(3),
        filenode: row.get(1),
        oid,
        ticker: matched.ticker.name.clone(),
        ticker_chars_max: matched.ticker_chars_max,
        time: matched.time.name.clone(),
        clock: matched.clock,
        numbers: matched.numbers,
        name,
    })
}

async fn columns(link: &Link<'_>, oid: i64) -> Result<Vec<CatalogColumn>, Error> {
    let rows = link
        .query(
            READING,
            "SELECT a.attname::text, coalesce(nullif(t.typbasetype, 0), a.atttypid)::int8, \
             CASE WHEN t.typbasetype <> 0 THEN t.typtypmod ELSE a.atttypmod END, \
             format_type(a.atttypid, a.atttypmod), \
             a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> '', a.attnum \
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[(&oid, Type::INT8)],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| CatalogColumn {
            name: row.get(0),
            type_oid: row.get::<_, i64>(1) as u32,
            typmod: row.get(2),
            sql_type: row.get(3),
            needs_value: row.get(4),
            generated: row.get(5),
            number: row.get(6),
        })
        .collect())
}

/// The column numbers of each unique key that is checked immediately and for every row.
async fn keys(link: &Link<'_>, oid: i64) -> Result<Vec<Vec<i16>>, Error> {
    let rows = link
        .query(
            READING,
            "SELECT indkey::text, indnkeyatts FROM pg_index WHERE indrelid = $1::int8::oid \
             AND indisunique AND indisvalid AND indimmediate AND indpred IS NULL AND indexprs IS NULL",
            &[(&oid, Type::INT8)],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let columns: String = row.get(0);
            let count: i16 = row.get(1);
            let mut key: Vec<i16> = columns
                .split_whitespace()
                .take(count as usize)
                .filter_map(|number| number.parse().ok())
                .collect();
            key.sort_unstable();
            key
        })
        .collect())
}

/// The columns by role.
struct Matched<'a> {
    ticker: &'a CatalogColumn,
    ticker_chars_max: Option<usize>,
    time: &'a CatalogColumn,
    clock: ColumnClock,
    numbers: Vec<NumberColumn>,
}

impl<'a> Matched<'a> {
    fn new(
        table: &str,
        columns: &'a [CatalogColumn],
        keys: &[Vec<i16>],
        spec: &TableSpec<'_>,
    ) -> Result<Self, Error> {
        let (ticker, time) = key_columns(table, columns, keys)?;
        let wrong_type = |column: &CatalogColumn, wanted: &str| {
            unusable(format!(
                "column {} of {table} is {}; it has to be {wanted}",
                column.name, column.sql_type
            ))
        };
        let ticker_chars_max = match Type::from_oid(ticker.type_oid) {
            Some(Type::TEXT) => None,
            Some(Type::VARCHAR) => usize::try_from(ticker.typmod - 4).ok(),
            _ => return Err(wrong_type(ticker, "text or varchar")),
        };
        let clock = match Type::from_oid(time.type_oid) {
            Some(Type::TIMESTAMPTZ) => ColumnClock::Instant,
            Some(Type::TIMESTAMP) => spec.zone.map_or(ColumnClock::Utc, ColumnClock::Wall),
            _ => return Err(wrong_type(time, "timestamp with or without time zone")),
        };
        let mut numbers = Vec::new();
        for (index, bar_column) in COLUMNS.iter().enumerate() {
            let name = bar_column.name;
            let Some(column) = named(columns, name) else {
                if bar_column.optional {
                    continue;
                }
                return Err(no_column(
                    table,
                    name,
                    name,
                    name,
                    sql_type(bar_column.kind),
                ));
            };
            let number_type = NumberType::from_catalog(column.type_oid, column.typmod);
            numbers.push(NumberColumn {
                index,
                name: column.name.clone(),
                number_type: number_type.ok_or_else(|| wrong_type(column, NUMBER_TYPES))?,
                sql_type: column.sql_type.clone(),
                round: index == VOLUME && spec.round_volume,
            });
        }
        let matched = Self {
            ticker,
            ticker_chars_max,
            time,
            clock,
            numbers,
        };
        matched.check_values(table, columns)?;
        Ok(matched)
    }

    /// Every column that needs a value must get one from every bar.
    fn check_values(&self, table: &str, columns: &[CatalogColumn]) -> Result<(), Error> {
        let always = |column: &CatalogColumn| {
            column.number == self.ticker.number
                || column.number == self.time.number
                || self
                    .numbers
                    .iter()
                    .any(|number| number.name == column.name && !COLUMNS[number.index].optional)
        };
        let column = columns
            .iter()
            .find(|column| column.needs_value && !column.generated && !always(column));
        let Some(column) = column else {
            return Ok(());
        };
        let message = format!(
            "column {} of {table} is not null and has no default, and bars don't have a value for it",
            column.name
        );
        Err(unusable(message).with_hint(format!(
            "ALTER TABLE {table} ALTER COLUMN {} DROP NOT NULL; or give it a default",
            quote(&column.name)
        )))
    }
}

/// The error of a column that is missing, with the DDL that adds it.
fn no_column(table: &str, role: &str, names: &str, name: &str, sql_type: &str) -> Error {
    unusable(format!(
        "table {table} has no column for the {role}: {names}"
    ))
    .with_hint(format!("ALTER TABLE {table} ADD COLUMN {name} {sql_type}"))
}

/// The ticker and time columns: of all pairs with matching names, the first that is a key.
fn key_columns<'a>(
    table: &str,
    columns: &'a [CatalogColumn],
    keys: &[Vec<i16>],
) -> Result<(&'a CatalogColumn, &'a CatalogColumn), Error> {
    let all = |names: &[&str]| -> Vec<&CatalogColumn> {
        names
            .iter()
            .filter_map(|name| named(columns, name))
            .collect()
    };
    let missing = |role, names: &[&str], sql_type| {
        no_column(table, role, &names.join(" or "), &quote(names[0]), sql_type)
    };
    let (tickers, times) = (all(&TICKER_NAMES), all(&TIME_NAMES));
    let (Some(ticker), Some(time)) = (tickers.first(), times.first()) else {
        return Err(if tickers.is_empty() {
            missing("ticker", &TICKER_NAMES, "text")
        } else {
            missing("time", &TIME_NAMES, "timestamptz")
        });
    };
    for ticker in &tickers {
        for time in &times {
            let mut pair = [ticker.number, time.number];
            pair.sort_unstable();
            if keys.iter().any(|key| *key == pair) {
                return Ok((ticker, time));
            }
        }
    }
    let message = format!(
        "table {table} has no unique key on exactly ({}, {})",
        ticker.name, time.name
    );
    Err(unusable(message).with_hint(format!(
        "ALTER TABLE {table} ADD UNIQUE ({}, {})",
        quote(&ticker.name),
        quote(&time.name)
    )))
}

/// The column with this name, else with this name in other case. Generated columns don't count:
/// they can't be written.
fn named<'a>(columns: &'a [CatalogColumn], name: &str) -> Option<&'a CatalogColumn> {
    let usable = || columns.iter().filter(|column| !column.generated);
    usable()
        .find(|column| column.name == name)
        .or_else(|| usable().find(|column| column.name.eq_ignore_ascii_case(name)))
}

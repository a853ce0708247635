//! What the server's catalog says of the table.

use tokio_postgres::types::Type;

use super::{
    NUMBER_NAMES, NumberColumn, TICKER_NAMES, TIME_NAMES, Target, TargetError, TargetSpec, VOLUME,
    create, quote,
};
use crate::sync::column::{ColumnClock, NumberType};
use crate::sync::errors::Error;
use crate::sync::link::Link;

/// What reading the catalog is called in messages.
const LOOKING: &str = "looking at the target table";
const NUMBER_TYPES: &str = "double precision, real, numeric, bigint or integer";

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
pub(in crate::sync) async fn resolve(link: &Link<'_>, spec: &TargetSpec) -> Result<Target, Error> {
    let row = link
        .opt(
            LOOKING,
            "SELECT c.oid::int8, coalesce(pg_relation_filenode(c.oid), 0)::int8, c.relkind::text, \
             quote_ident(n.nspname), quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
             row_security_active(c.oid) \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
            &[(&spec.name, Type::TEXT)],
        )
        .await?
        .ok_or_else(|| TargetError::Missing {
            table: spec.name.clone(),
            ddl: create::ddl(&spec.name, ""),
        })?;
    let oid: i64 = row.get(0);
    let kind: String = row.get(2);
    let table: String = row.get(4);
    if kind != "r" && kind != "p" {
        return Err(TargetError::NotATable { table }.into());
    }
    if row.get(5) {
        return Err(TargetError::HiddenRows { table }.into());
    }
    let columns = columns(link, oid).await?;
    let keys = keys(link, oid).await?;
    let matched = Matched::new(&table, &columns, &keys, spec)?;
    Ok(Target {
        schema: row.get(3),
        filenode: row.get(1),
        oid,
        ticker: matched.ticker.name.clone(),
        ticker_chars_max: matched.ticker_chars_max,
        time: matched.time.name.clone(),
        clock: matched.clock,
        numbers: matched.numbers,
        vwap: matched.vwap,
        trades: matched.trades,
        table,
    })
}

async fn columns(link: &Link<'_>, oid: i64) -> Result<Vec<CatalogColumn>, Error> {
    let rows = link
        .query(
            LOOKING,
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

/// The column numbers of each unique key that holds at once and for every row.
async fn keys(link: &Link<'_>, oid: i64) -> Result<Vec<Vec<i16>>, Error> {
    let rows = link
        .query(
            LOOKING,
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
    numbers: [NumberColumn; 5],
    vwap: Option<NumberColumn>,
    trades: Option<NumberColumn>,
}

impl<'a> Matched<'a> {
    fn new(
        table: &str,
        columns: &'a [CatalogColumn],
        keys: &[Vec<i16>],
        spec: &TargetSpec,
    ) -> Result<Self, TargetError> {
        let (ticker, time) = key_columns(table, columns, keys)?;
        let wrong_type = |column: &CatalogColumn, wanted| TargetError::ColumnType {
            table: table.to_owned(),
            column: column.name.clone(),
            column_type: column.sql_type.clone(),
            wanted,
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
        let number = |column: &CatalogColumn, round| {
            let number_type = NumberType::from_catalog(column.type_oid, column.typmod)
                .ok_or_else(|| wrong_type(column, NUMBER_TYPES))?;
            Ok(NumberColumn {
                name: column.name.clone(),
                number_type,
                sql_type: column.sql_type.clone(),
                round,
            })
        };
        let required = |index: usize| {
            let name = NUMBER_NAMES[index];
            let column = find(columns, name).ok_or_else(|| TargetError::NoColumn {
                table: table.to_owned(),
                role: name,
                names: name.to_owned(),
                ddl: format!("ALTER TABLE {table} ADD COLUMN {name} double precision"),
            })?;
            number(column, index == VOLUME && spec.round_volume)
        };
        let optional = |name| {
            find(columns, name)
                .map(|column| number(column, false))
                .transpose()
        };
        let matched = Self {
            ticker,
            ticker_chars_max,
            time,
            clock,
            numbers: [
                required(0)?,
                required(1)?,
                required(2)?,
                required(3)?,
                required(VOLUME)?,
            ],
            vwap: optional("vwap")?,
            trades: optional("trades")?,
        };
        matched.check_values(table, columns)?;
        Ok(matched)
    }

    /// Every column that needs a value has to get one from every bar; vwap and trades may be missing from a bar.
    fn check_values(&self, table: &str, columns: &[CatalogColumn]) -> Result<(), TargetError> {
        let always = |column: &CatalogColumn| {
            column.number == self.ticker.number
                || column.number == self.time.number
                || self.numbers.iter().any(|number| number.name == column.name)
        };
        match columns
            .iter()
            .find(|column| column.needs_value && !column.generated && !always(column))
        {
            None => Ok(()),
            Some(column) => Err(TargetError::NoValue {
                table: table.to_owned(),
                column: column.name.clone(),
            }),
        }
    }
}

/// The ticker and time columns: of all pairs with fitting names, the first that is a key.
fn key_columns<'a>(
    table: &str,
    columns: &'a [CatalogColumn],
    keys: &[Vec<i16>],
) -> Result<(&'a CatalogColumn, &'a CatalogColumn), TargetError> {
    let all = |names: &[&str]| -> Vec<&CatalogColumn> {
        names
            .iter()
            .filter_map(|name| find(columns, name))
            .collect()
    };
    let missing = |role, names: &[&str], sql_type| TargetError::NoColumn {
        table: table.to_owned(),
        role,
        names: names.join(" or "),
        ddl: format!(
            "ALTER TABLE {table} ADD COLUMN {} {sql_type}",
            quote(names[0])
        ),
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
    Err(TargetError::NoKey {
        table: table.to_owned(),
        ticker: ticker.name.clone(),
        time: time.name.clone(),
        ddl: format!(
            "ALTER TABLE {table} ADD UNIQUE ({}, {})",
            quote(&ticker.name),
            quote(&time.name)
        ),
    })
}

/// The column of that name: exactly, else in any case. Generated columns take no values.
fn find<'a>(columns: &'a [CatalogColumn], name: &str) -> Option<&'a CatalogColumn> {
    let usable = || columns.iter().filter(|column| !column.generated);
    usable()
        .find(|column| column.name == name)
        .or_else(|| usable().find(|column| column.name.eq_ignore_ascii_case(name)))
}

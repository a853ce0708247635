//! The DuckDB file: hot bars and the catalog.
//!
//! One connection writes, protected by the store's mutex. All calls block.

mod append;
mod checkpoint;
mod history;
mod hot;
mod intents;
mod ledger;
mod log;
mod meta;
mod open;
pub(in crate::store) mod records;
mod schema;
mod statements;
mod undo;

pub(crate) use hot::segments::{NewPart, Part};
pub(crate) use hot::{HotYear, years};
pub(crate) use intents::Intent;
pub(crate) use meta::{PartitionMeta, SeriesMeta};
pub(crate) use open::{Catalog, Opened, use_utc};
pub(crate) use records::{CommitRecord, SessionRow};

/// An instant as a parameter of a statement.
pub(crate) fn instant(micros: i64) -> duckdb::types::Value {
    duckdb::types::Value::Timestamp(duckdb::types::TimeUnit::Microsecond, micros)
}

/// A text as a literal of SQL.
pub(in crate::store) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A date as a parameter of a statement.
pub(crate) fn date(date: chrono::NaiveDate) -> duckdb::types::Value {
    let days = crate::model::date_micros(date) / crate::model::DAY_MICROS;
    duckdb::types::Value::Date32(days as i32)
}

/// A date read as days since 1970.
pub(crate) fn date_from_days(days: i32) -> chrono::NaiveDate {
    chrono::DateTime::from_timestamp(i64::from(days) * 86_400, 0)
        .map_or(chrono::NaiveDate::MIN, |instant| instant.date_naive())
}

//! Reading coverage.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Int16Type, Int64Type, TimestampMicrosecondType};
use duckdb::params;

use crate::model::{DateRange, Interval, Provenance, SeriesKey, Ticker, Timestamp};

use super::compact::LoggedEntry;
use super::{CoverageEntry, CoverageStatus};
use crate::store::catalog::{Catalog, date_from_days};
use crate::store::error::Error;
use crate::store::reader::Reader;

const SELECT: &str = "SELECT provider, interval, ticker, exchange, basis, hours, first, last, status, rows, reason, asked_at FROM coverage";

impl Reader {
    /// What was requested from a provider for a series, oldest first.
    pub fn coverage(
        &self,
        provider: &str,
        series: &SeriesKey,
    ) -> Result<Vec<CoverageEntry>, Error> {
        let sql = format!(
            "{SELECT} WHERE provider = ? AND interval = ? AND ticker = ? ORDER BY asked_at"
        );
        let parameters = params![provider, series.interval.minutes(), series.ticker.as_str()];
        answers(&*self.catalog()?, &sql, parameters)
    }

    /// What was requested from a provider for bars of one interval, by ticker, oldest first: one query
    /// for thousands of tickers.
    pub fn coverage_of(
        &self,
        provider: &str,
        interval: Interval,
    ) -> Result<HashMap<Ticker, Vec<CoverageEntry>>, Error> {
        let sql = format!("{SELECT} WHERE provider = ? AND interval = ? ORDER BY asked_at");
        let found = answers(
            &*self.catalog()?,
            &sql,
            params![provider, interval.minutes()],
        )?;
        let mut by_ticker: HashMap<Ticker, Vec<CoverageEntry>> = HashMap::new();
        for answer in found {
            match by_ticker.get_mut(&answer.series.ticker) {
                Some(answers) => answers.push(answer),
                None => {
                    by_ticker.insert(answer.series.ticker.clone(), vec![answer]);
                }
            }
        }
        Ok(by_ticker)
    }

    /// All coverage, by series, oldest first.
    pub fn all_coverage(&self) -> Result<BTreeMap<SeriesKey, Vec<CoverageEntry>>, Error> {
        self.coverage_where("TRUE")
    }

    /// The coverage of some series, oldest first.
    pub fn coverage_of_series(
        &self,
        series: &[SeriesKey],
    ) -> Result<BTreeMap<SeriesKey, Vec<CoverageEntry>>, Error> {
        // No ticker contains a quote, but nothing here depends on that.
        let tickers: Vec<String> = (series.iter())
            .map(|key| format!("'{}'", key.ticker.as_str().replace('\'', "''")))
            .collect();
        let mut found = match tickers.is_empty() {
            true => BTreeMap::new(),
            false => self.coverage_where(&format!("ticker IN ({})", tickers.join(", ")))?,
        };
        found.retain(|key, _| series.contains(key));
        Ok(found)
    }

    fn coverage_where(
        &self,
        condition: &str,
    ) -> Result<BTreeMap<SeriesKey, Vec<CoverageEntry>>, Error> {
        let sql = format!("{SELECT} WHERE {condition} ORDER BY asked_at");
        let mut by_series: BTreeMap<SeriesKey, Vec<CoverageEntry>> = BTreeMap::new();
        for answer in answers(&*self.catalog()?, &sql, [])? {
            match by_series.get_mut(&answer.series) {
                Some(answers) => answers.push(answer),
                None => {
                    by_series.insert(answer.series.clone(), vec![answer]);
                }
            }
        }
        Ok(by_series)
    }
}

/// All entries with their runs, oldest first.
pub(in crate::store) fn entries(catalog: &Catalog) -> Result<Vec<LoggedEntry>, Error> {
    let sql = format!(
        "{} ORDER BY asked_at",
        SELECT.replace("asked_at FROM", "asked_at, run_id FROM")
    );
    read(catalog, &sql, [], |batch, row| {
        let entry = entry_of(batch, row)?;
        let run = batch.column(12).as_any().downcast_ref::<StringArray>()?;
        let run = run.value(row).to_owned();
        Some(LoggedEntry { entry, run })
    })
}

/// The entries that a query finds, read as columns: there may be many.
fn answers(
    catalog: &Catalog,
    sql: &str,
    parameters: impl duckdb::Params,
) -> Result<Vec<CoverageEntry>, Error> {
    read(catalog, sql, parameters, entry_of)
}

fn read<T>(
    catalog: &Catalog,
    sql: &str,
    parameters: impl duckdb::Params,
    of_row: impl Fn(&RecordBatch, usize) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut statement = (catalog.connection.prepare(sql)).map_err(|error| catalog.failed(error))?;
    let batches = statement
        .query_arrow(parameters)
        .map_err(|error| catalog.failed(error))?;
    let mut found = Vec::new();
    for batch in batches {
        found.extend((0..batch.num_rows()).filter_map(|row| of_row(&batch, row)));
    }
    Ok(found)
}

fn entry_of(batch: &RecordBatch, row: usize) -> Option<CoverageEntry> {
    let text = |column: usize| -> Option<&str> {
        let column = batch
            .column(column)
            .as_any()
            .downcast_ref::<StringArray>()?;
        (!column.is_null(row)).then(|| column.value(row))
    };
    let date = |column: usize| {
        date_from_days(batch.column(column).as_primitive::<Date32Type>().value(row))
    };
    let minutes = batch.column(1).as_primitive::<Int16Type>().value(row);
    Some(CoverageEntry {
        series: SeriesKey {
            interval: Interval::from_minutes(u32::try_from(minutes).ok()?)?,
            ticker: Ticker::new(text(2)?).ok()?,
        },
        provider: text(0)?.to_owned(),
        provenance: Provenance {
            exchange: text(3)?.to_owned(),
            basis: text(4)?.parse().ok()?,
            hours: text(5)?.parse().ok()?,
        },
        dates: DateRange::new(date(6), date(7)).ok()?,
        status: text(8)?.parse::<CoverageStatus>().ok()?,
        rows: batch.column(9).as_primitive::<Int64Type>().value(row) as u64,
        reason: text(10).map(str::to_owned),
        asked_at: Timestamp::from_micros(
            (batch.column(11).as_primitive::<TimestampMicrosecondType>()).value(row),
        ),
    })
}

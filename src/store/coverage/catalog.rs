//! The table of coverage.

use std::sync::Arc;

use arrow::array::{Int16Array, Int64Array, StringArray};
use chrono::NaiveDate;
use duckdb::params;

use crate::model::SeriesKey;

use super::CoverageEntry;
use super::compact::{CoveragePlan, Extension, LoggedEntry};
use crate::store::error::Error;
use crate::store::run::RunId;

use crate::store::catalog::records::{dates, instants, texts};
use crate::store::catalog::{Catalog, quoted};

/// Selects entries that share a date with the range from the first to the second parameter.
const OVERLAPS: &str = "last >= ?::DATE AND first <= ?::DATE";

/// Entries that one statement extends at most.
const EXTENSIONS_PER_STATEMENT: usize = 500;

/// An extension as a row of a VALUES list.
fn values(one: &Extension) -> String {
    format!(
        "({}, {}, {}, DATE '{}', DATE '{}', DATE '{}', {}, make_timestamp({}))",
        quoted(&one.provider),
        one.series.interval.minutes(),
        quoted(one.series.ticker.as_str()),
        one.was.first(),
        one.was.last(),
        one.last,
        one.rows,
        one.asked_at.micros()
    )
}

impl Catalog {
    /// Records new entries, and extends those that are open.
    pub fn insert_coverage(&self, run: &RunId, planned: &CoveragePlan) -> Result<(), Error> {
        self.extend_coverage(run, &planned.extensions)?;
        let run = run.to_string();
        let rows: Vec<(&CoverageEntry, &str)> = (planned.inserts.iter())
            .map(|answer| (answer, run.as_str()))
            .collect();
        self.append_coverage(&rows)
    }

    /// One statement for many entries: each statement takes longer than all of its rows.
    fn extend_coverage(&self, run: &RunId, extensions: &[Extension]) -> Result<(), Error> {
        for some in extensions.chunks(EXTENSIONS_PER_STATEMENT) {
            let rows: Vec<String> = some.iter().map(values).collect();
            self.run(&format!(
                "UPDATE coverage SET last = new.last, rows = coverage.rows + new.rows, asked_at = new.asked_at::TIMESTAMPTZ
                 FROM (VALUES {}) new(provider, interval, ticker, first, last_before, last, rows, asked_at)
                 WHERE coverage.provider = new.provider AND coverage.interval = new.interval AND coverage.ticker = new.ticker
                   AND coverage.first = new.first AND coverage.last = new.last_before AND coverage.run_id = {}",
                rows.join(", "),
                quoted(&run.to_string())
            ))?;
        }
        Ok(())
    }

    /// Replaces all entries by compacted ones.
    pub fn replace_coverage(&self, entries: &[LoggedEntry]) -> Result<(), Error> {
        let rows: Vec<(&CoverageEntry, &str)> = (entries.iter())
            .map(|entry| (&entry.entry, entry.run.as_str()))
            .collect();
        self.transaction(|catalog| {
            catalog.run("DELETE FROM coverage")?;
            catalog.append_coverage(&rows)
        })
    }

    /// The number of entries, and of the series they belong to, by provider and kind of bars.
    pub fn coverage_size(&self) -> Result<(u64, u64), Error> {
        let found = self.rows(
            "SELECT count(*), count(DISTINCT (provider, interval, ticker, exchange, basis, hours)) FROM coverage",
            [],
            |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)),
        )?;
        Ok(found.first().copied().unwrap_or_default())
    }

    /// The exchange of the last request for a series, else that of its rejected rows.
    pub fn exchange_asked(&self, series: &SeriesKey) -> Result<Option<String>, Error> {
        let (minutes, ticker) = (series.interval.minutes(), series.ticker.as_str());
        let found = self.rows(
            "SELECT exchange, asked_at FROM coverage WHERE interval = ? AND ticker = ?
             UNION ALL SELECT exchange, NULL FROM rejected WHERE interval = ? AND ticker = ?
             ORDER BY asked_at DESC NULLS LAST LIMIT 1",
            params![minutes, ticker, minutes, ticker],
            |row| row.get::<_, String>(0),
        )?;
        Ok(found.into_iter().next())
    }

    fn append_coverage(&self, answers: &[(&CoverageEntry, &str)]) -> Result<(), Error> {
        self.append(
            "coverage",
            vec![
                texts(answers.iter().map(|(answer, _)| answer.provider.as_str())),
                Arc::new(
                    answers
                        .iter()
                        .map(|(a, _)| a.series.interval.minutes() as i16)
                        .collect::<Int16Array>(),
                ),
                texts(
                    answers
                        .iter()
                        .map(|(answer, _)| answer.series.ticker.as_str()),
                ),
                texts(
                    answers
                        .iter()
                        .map(|(answer, _)| answer.provenance.exchange.as_str()),
                ),
                texts(
                    answers
                        .iter()
                        .map(|(answer, _)| answer.provenance.basis.as_str()),
                ),
                texts(
                    answers
                        .iter()
                        .map(|(answer, _)| answer.provenance.hours.as_str()),
                ),
                dates(answers.iter().map(|(answer, _)| answer.dates.first())),
                dates(answers.iter().map(|(answer, _)| answer.dates.last())),
                texts(answers.iter().map(|(answer, _)| answer.status.as_str())),
                Arc::new(
                    answers
                        .iter()
                        .map(|(answer, _)| answer.rows as i64)
                        .collect::<Int64Array>(),
                ),
                Arc::new(
                    answers
                        .iter()
                        .map(|(answer, _)| answer.reason.as_deref())
                        .collect::<StringArray>(),
                ),
                instants(answers.iter().map(|(answer, _)| answer.asked_at)),
                texts(answers.iter().map(|(_, run)| *run)),
            ],
        )
    }

    /// Makes dates of a series count as never requested, from `first` to `last`; `None` leaves an end
    /// open. An entry that reaches further keeps its other dates, with an unknown number of rows.
    pub fn forget_coverage(
        &self,
        series: &SeriesKey,
        first: Option<NaiveDate>,
        last: Option<NaiveDate>,
    ) -> Result<(), Error> {
        let (minutes, ticker) = (series.interval.minutes(), series.ticker.as_str());
        // Refill attempts and rejected rows are forgotten too.
        self.execute(
            "DELETE FROM fills WHERE interval = ? AND ticker = ?",
            params![minutes, ticker],
        )?;
        let text = |date: Option<NaiveDate>, open: &str| {
            date.map_or_else(|| open.to_owned(), |date| date.to_string())
        };
        let (from, to) = (text(first, "-infinity"), text(last, "infinity"));
        self.execute(
            "DELETE FROM rejected WHERE session BETWEEN ?::DATE AND ?::DATE AND interval = ? AND ticker = ?",
            params![from, to, minutes, ticker],
        )?;
        self.run("CREATE OR REPLACE TEMP TABLE trimmed AS FROM coverage LIMIT 0")?;
        let before = first.map(|_| ("first, ?::DATE - 1 AS last", "first < ?::DATE", &from));
        let after = last.map(|_| ("?::DATE + 1 AS first, last", "last > ?::DATE", &to));
        for (columns, condition, edge) in before.into_iter().chain(after) {
            self.execute(
                &format!(
                    "INSERT INTO trimmed SELECT provider, interval, ticker, exchange, basis, hours, {columns}, status, 0, 'trimmed',
                         asked_at, run_id FROM coverage WHERE {condition} AND {OVERLAPS} AND interval = ? AND ticker = ?"
                ),
                params![edge, edge, from, to, minutes, ticker],
            )?;
        }
        self.execute(
            &format!("DELETE FROM coverage WHERE {OVERLAPS} AND interval = ? AND ticker = ?"),
            params![from, to, minutes, ticker],
        )?;
        self.run("INSERT INTO coverage FROM trimmed; DROP TABLE trimmed")
    }
}

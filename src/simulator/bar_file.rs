//! Bars of a CSV file, served instead of made-up ones.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::row::Row;

/// Why a file of bars can't be served.
#[derive(Debug, thiserror::Error)]
pub enum BarFileError {
    /// The file can't be read, or isn't CSV.
    #[error("{}: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        /// The reader's error.
        source: csv::Error,
    },
    #[error("{}: column {column} is missing; the layout is ticker,timestamp,open,high,low,close,volume", path.display())]
    MissingColumn {
        path: PathBuf,
        /// The column's name.
        column: &'static str,
    },
    /// A field can't be read.
    #[error("{}: line {line}: {field:?} isn't a {what}", path.display())]
    BadField {
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// The field's text.
        field: String,
        /// What it should be.
        what: &'static str,
    },
}

/// One-minute bars by symbol, ascending. Longer intervals are combined from them.
#[derive(Debug, Default)]
pub(super) struct BarFile {
    rows: HashMap<String, Vec<Row>>,
}

impl BarFile {
    /// Reads a file in the layout of `export`. Of rows with the same ticker and time, the last one
    /// counts.
    pub(super) fn read(path: &Path) -> Result<Self, BarFileError> {
        let unreadable = |source| BarFileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(path)
            .map_err(unreadable)?;
        let headers = reader.headers().map_err(unreadable)?.clone();
        let column = |column: &'static str| {
            headers
                .iter()
                .position(|name| name.eq_ignore_ascii_case(column))
                .ok_or_else(|| BarFileError::MissingColumn {
                    path: path.to_owned(),
                    column,
                })
        };
        let (ticker, timestamp) = (column("ticker")?, column("timestamp")?);
        let numbers = [
            column("open")?,
            column("high")?,
            column("low")?,
            column("close")?,
            column("volume")?,
        ];
        let mut file = Self::default();
        for record in reader.records() {
            let record = record.map_err(unreadable)?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = |index: usize| record.get(index).unwrap_or_default();
            let bad = |index: usize, what| BarFileError::BadField {
                path: path.to_owned(),
                line,
                field: field(index).to_owned(),
                what,
            };
            let at: DateTime<Utc> = field(timestamp)
                .parse()
                .map_err(|_| bad(timestamp, "time like 2025-01-02T14:30:00Z"))?;
            let number = |index: usize| {
                field(index)
                    .parse::<f64>()
                    .map_err(|_| bad(index, "number"))
            };
            let [open, high, low, close, volume] = numbers;
            file.rows
                .entry(field(ticker).to_uppercase())
                .or_default()
                .push(Row {
                    at: at.timestamp_micros(),
                    open: number(open)?,
                    high: number(high)?,
                    low: number(low)?,
                    close: number(close)?,
                    volume: number(volume)?,
                    ..Row::default()
                });
        }
        for rows in file.rows.values_mut() {
            rows.reverse();
            rows.sort_by_key(|row| row.at);
            rows.dedup_by_key(|row| row.at);
        }
        Ok(file)
    }

    pub(super) fn rows(&self, symbol: &str) -> Option<&[Row]> {
        self.rows.get(symbol).map(Vec::as_slice)
    }
}

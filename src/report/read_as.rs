//! What a file was read as, with the reason for each part.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::model::{Interval, Ticker, Timestamp};

/// Tickers kept by name. A file of a whole market has thousands.
const TICKERS_MAX: usize = 100;
/// Tickers named in the line.
const NAMED_MAX: usize = 3;

/// The part of the report that doesn't depend on a file's rows. Files of one kind share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct FileForm {
    pub layout: Cow<'static, str>,
    /// The zone of local times; `UTC` if each time is an instant.
    pub timezone: Cow<'static, str>,
    /// `open` or `close`.
    pub timestamp_label: &'static str,
    pub exchange: String,
    /// The columns by what was read from them: their header, or their number from 1.
    #[serde(serialize_with = "as_map")]
    pub columns: Vec<(&'static str, String)>,
    /// Why, by the name of the part.
    #[serde(skip)]
    pub reasons: Vec<(&'static str, Cow<'static, str>)>,
}

/// What a file was read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAs {
    pub form: Arc<FileForm>,
    pub interval: Interval,
    /// Why the interval.
    pub interval_reason: &'static str,
    tickers: BTreeSet<Ticker>,
    ticker_count: usize,
    /// The first and the last bar.
    span: Option<(Timestamp, Timestamp)>,
}

impl ReadAs {
    #[must_use]
    pub const fn new(
        form: Arc<FileForm>,
        interval: Interval,
        interval_reason: &'static str,
    ) -> Self {
        Self {
            form,
            interval,
            interval_reason,
            tickers: BTreeSet::new(),
            ticker_count: 0,
            span: None,
        }
    }

    /// Adds bars of a ticker, from the first to the last.
    pub fn add(&mut self, ticker: &Ticker, first: Timestamp, last: Timestamp) {
        if !self.tickers.contains(ticker) {
            // Later pieces of a file with many tickers may count one twice; then only the names
            // that are kept are right, and the count is an upper bound.
            self.ticker_count += 1;
            if self.tickers.len() < TICKERS_MAX {
                self.tickers.insert(ticker.clone());
            }
        }
        self.span = Some(match self.span {
            Some((start, end)) => (start.min(first), end.max(last)),
            None => (first, last),
        });
    }

    /// The tickers, or the first hundred of more.
    #[must_use]
    pub const fn tickers(&self) -> &BTreeSet<Ticker> {
        &self.tickers
    }

    /// The number of tickers.
    #[must_use]
    pub const fn ticker_count(&self) -> usize {
        self.ticker_count
    }

    /// The first and the last bar.
    #[must_use]
    pub const fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.span
    }

    /// The line: `read as Dukascopy: 60m, UTC, FOREX, EURUSD, volume from "Volume", …`.
    #[must_use]
    pub fn line(&self) -> String {
        let form = &*self.form;
        let mut line = format!(
            "read as {}: {}m, {}, {}, ",
            form.layout,
            self.interval.minutes(),
            form.timezone,
            form.exchange
        );
        if self.ticker_count > NAMED_MAX {
            let _ = write!(line, "{} tickers", self.ticker_count);
        } else {
            let names: Vec<&str> = self.tickers.iter().map(Ticker::as_str).collect();
            line += &names.join(" ");
        }
        if form.timestamp_label == "close" {
            line += ", timestamps are closes";
        }
        match form.columns.iter().find(|(role, _)| *role == "volume") {
            Some((_, column)) => match column.parse::<usize>() {
                Ok(number) => drop(write!(line, ", volume from column {number}")),
                Err(_) => drop(write!(line, ", volume from {column:?}")),
            },
            None => line += ", no volume",
        }
        if let Some((first, last)) = self.span {
            let _ = write!(line, ", {first} to {last}");
        }
        line
    }

    /// The reason for each part: `timezone UTC: the header says so`.
    pub fn reasons(&self) -> impl Iterator<Item = String> {
        self.all_reasons().map(|(part, reason)| {
            let form = &*self.form;
            let value = match part {
                "layout" => &form.layout,
                "timezone" => &form.timezone,
                "timestamp_label" => form.timestamp_label,
                "exchange" => &form.exchange,
                _ => return format!("{part}: {reason}"),
            };
            format!("{part} {value}: {reason}")
        })
    }

    fn all_reasons(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let reasons = self.form.reasons.iter();
        let reasons = reasons.map(|(part, reason)| (*part, &**reason));
        reasons.chain([("interval_minutes", self.interval_reason)])
    }
}

impl Serialize for ReadAs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            #[serde(flatten)]
            form: &'a FileForm,
            interval_minutes: u16,
            tickers: Vec<&'a str>,
            ticker_count: usize,
            first: Option<String>,
            last: Option<String>,
            #[serde(serialize_with = "as_map")]
            reasons: Vec<(&'static str, &'a str)>,
        }
        Fields {
            form: &self.form,
            interval_minutes: self.interval.minutes(),
            tickers: self.tickers.iter().map(Ticker::as_str).collect(),
            ticker_count: self.ticker_count,
            first: self.span.map(|(first, _)| first.to_string()),
            last: self.span.map(|(_, last)| last.to_string()),
            reasons: self.all_reasons().collect(),
        }
        .serialize(serializer)
    }
}

fn as_map<S: Serializer, T: Serialize>(
    pairs: &[(&'static str, T)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_and_the_reasons_of_a_file() {
        let form = FileForm {
            layout: "Dukascopy".into(),
            timezone: "UTC".into(),
            timestamp_label: "open",
            exchange: "FOREX".into(),
            columns: vec![("volume", "Volume".into())],
            reasons: vec![("timezone", "the header says so".into())],
        };
        let mut read = ReadAs::new(
            Arc::new(form),
            Interval::M60,
            "its bars are 60 minutes apart",
        );
        let at = |hour: i64| Timestamp::from_micros(hour * 3_600_000_000);
        read.add(&Ticker::new("EURUSD").unwrap(), at(5), at(7));
        read.add(&Ticker::new("EURUSD").unwrap(), at(4), at(6));
        assert_eq!(
            read.line(),
            "read as Dukascopy: 60m, UTC, FOREX, EURUSD, volume from \"Volume\", \
             1970-01-01T04:00:00Z to 1970-01-01T07:00:00Z"
        );
        let reasons: Vec<String> = read.reasons().collect();
        assert_eq!(
            reasons,
            [
                "timezone UTC: the header says so",
                "interval_minutes: its bars are 60 minutes apart"
            ]
        );
    }
}

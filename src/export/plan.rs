//! Divides the bars of an export into files.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::Format;
use crate::calendar::Calendar;
use crate::model::{SeriesKey, TimeRange, Timestamp, year_start_micros};

/// How a folder is divided into files, hive-style. A year is the UTC year of a bar's timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PartitionBy {
    /// One file.
    #[default]
    None,
    /// `ticker=AAPL/bars.parquet`.
    Ticker,
    /// `year=2025/bars.parquet`.
    Year,
    /// `ticker=AAPL/year=2025/bars.parquet`.
    TickerYear,
}

/// The typed words are not a way to divide a folder.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} isn't a way to divide files; use ticker, year, ticker,year or none")]
pub struct NoPartition(String);

impl FromStr for PartitionBy {
    type Err = NoPartition;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let words = typed
            .split(',')
            .map(|word| word.trim().to_ascii_lowercase());
        match words.collect::<Vec<_>>().join(",").as_str() {
            "none" => Ok(Self::None),
            "ticker" => Ok(Self::Ticker),
            "year" => Ok(Self::Year),
            "ticker,year" => Ok(Self::TickerYear),
            _ => Err(NoPartition(typed.to_owned())),
        }
    }
}

impl fmt::Display for PartitionBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Ticker => "ticker",
            Self::Year => "year",
            Self::TickerYear => "ticker,year",
        })
    }
}

impl PartitionBy {
    /// Whether files are in `ticker=` folders.
    #[must_use]
    pub const fn by_ticker(self) -> bool {
        matches!(self, Self::Ticker | Self::TickerYear)
    }

    const fn by_year(self) -> bool {
        matches!(self, Self::Year | Self::TickerYear)
    }
}

/// One series of an export.
#[derive(Clone, Debug)]
pub struct SeriesPlan {
    pub key: SeriesKey,
    /// The time range in which exported bars open.
    pub(super) range: TimeRange,
    /// The grid of longer bars; `None` exports the bars as stored.
    pub(super) grid: Option<ResampleGrid>,
}

impl SeriesPlan {
    /// The bars of a series that open within `wanted`, which starts and ends with trading dates.
    /// `first` and `last` are the first and last stored bar.
    #[must_use]
    pub fn new(
        key: SeriesKey,
        (first, last): (Timestamp, Timestamp),
        wanted: TimeRange,
        grid: Option<ResampleGrid>,
    ) -> Self {
        // A longer bar can open before its first one-minute bar, but not on an earlier date.
        let earliest = first.micros() - grid.as_ref().map_or(0, ResampleGrid::step);
        Self {
            key,
            range: TimeRange {
                start: earliest.max(wanted.start),
                end: (last.micros() + 1).min(wanted.end),
            },
            grid,
        }
    }
}

/// The grid of the bars that `--resample` makes.
#[derive(Clone, Debug)]
pub struct ResampleGrid {
    /// The sessions; the bars of each are counted from its open.
    pub calendar: Calendar,
    /// Length of a bar in minutes.
    pub minutes: u16,
}

impl ResampleGrid {
    /// Length of a bar in microseconds.
    pub(super) fn step(&self) -> i64 {
        i64::from(self.minutes) * crate::model::MINUTE_MICROS
    }
}

/// One file of an export.
pub(super) struct FilePlan {
    pub path: PathBuf,
    /// The series by ticker. In a folder divided by year, each range ends with the year.
    pub series: Vec<SeriesPlan>,
}

/// Divides the series into files. Without series there is one empty file if the folder is
/// undivided, and no file otherwise.
pub(super) fn divide(
    mut series: Vec<SeriesPlan>,
    partition_by: PartitionBy,
    format: Format,
) -> Vec<FilePlan> {
    series.sort_by(|a, b| a.key.cmp(&b.key));
    let name = format!("bars.{format}");
    if partition_by == PartitionBy::None {
        return vec![FilePlan {
            path: name.into(),
            series,
        }];
    }
    let mut files: BTreeMap<(Option<String>, Option<i32>), Vec<SeriesPlan>> = BTreeMap::new();
    for plan in series {
        let ticker = partition_by
            .by_ticker()
            .then(|| plan.key.ticker.path_component());
        if partition_by.by_year() {
            for (year, range) in years(&plan) {
                files
                    .entry((ticker.clone(), Some(year)))
                    .or_default()
                    .push(SeriesPlan {
                        range,
                        ..plan.clone()
                    });
            }
        } else {
            files.entry((ticker, None)).or_default().push(plan);
        }
    }
    files
        .into_iter()
        .map(|((ticker, year), series)| {
            let mut path = PathBuf::new();
            if let Some(ticker) = ticker {
                path.push(format!("ticker={ticker}"));
            }
            if let Some(year) = year {
                path.push(format!("year={year}"));
            }
            path.push(&name);
            FilePlan { path, series }
        })
        .collect()
}

/// The UTC years in the range of a series, with the part of the range in each.
fn years(plan: &SeriesPlan) -> Vec<(i32, TimeRange)> {
    let TimeRange { start, end } = plan.range;
    if start >= end {
        return Vec::new();
    }
    let first = Timestamp::from_micros(start).year();
    let last = Timestamp::from_micros(end - 1).year();
    (first..=last)
        .map(|year| {
            let inside = TimeRange {
                start: start.max(year_start_micros(year)),
                end: end.min(year_start_micros(year + 1)),
            };
            (year, inside)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Interval, Ticker};

    fn plan(ticker: &str, first: i32, last: i32) -> SeriesPlan {
        SeriesPlan {
            key: SeriesKey {
                interval: Interval::M1,
                ticker: Ticker::new(ticker).unwrap(),
            },
            range: TimeRange {
                start: year_start_micros(first) + 5,
                end: year_start_micros(last) + 9,
            },
            grid: None,
        }
    }

    fn paths(partition_by: &str) -> Vec<String> {
        let series = vec![plan("BTC/USD", 2024, 2025), plan("007", 2025, 2025)];
        divide(series, partition_by.parse().unwrap(), Format::Parquet)
            .iter()
            .map(|file| format!("{} {}", file.path.display(), file.series.len()))
            .collect()
    }

    #[test]
    fn files_are_named_as_hive_readers_expect() {
        assert_eq!(paths("none"), ["bars.parquet 2"]);
        assert_eq!(
            paths("ticker"),
            [
                "ticker=007/bars.parquet 1",
                "ticker=BTC%2FUSD/bars.parquet 1"
            ]
        );
        assert_eq!(
            paths("year"),
            ["year=2024/bars.parquet 1", "year=2025/bars.parquet 2"]
        );
        assert_eq!(
            paths("ticker, Year"),
            [
                "ticker=007/year=2025/bars.parquet 1",
                "ticker=BTC%2FUSD/year=2024/bars.parquet 1",
                "ticker=BTC%2FUSD/year=2025/bars.parquet 1"
            ]
        );
        assert!("year,ticker".parse::<PartitionBy>().is_err());
    }

    #[test]
    fn years_divide_a_series_without_gap_or_overlap() {
        let plan = plan("A", 2023, 2025);
        let parts = years(&plan);
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0].1.start, plan.range.start);
        assert_eq!(parts[2].1.end, plan.range.end);
        assert!(
            parts
                .windows(2)
                .all(|pair| pair[0].1.end == pair[1].1.start)
        );
    }
}

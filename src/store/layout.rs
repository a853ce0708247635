//! The paths inside a store's folder.
//!
//! ```text
//! staging.duckdb                                       hot bars and the catalog
//! segments/<id>.parquet                                hot bars of large commits, until they are sealed
//! lake/interval=1m/ticker=AAPL/year=2025/bars.parquet  sealed bars, one file per partition
//! tmp/  quarantine/  rejects/<run>.csv  store.lock
//! ```

use std::path::{Path, PathBuf};

use crate::model::{Interval, SeriesKey, Ticker};

/// The file that holds one partition.
pub const PARTITION_FILE: &str = "bars.parquet";

/// The paths of one store.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    is_flat: bool,
}

/// One partition of the lake: the bars of a series in one UTC year.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionKey {
    /// Whose bars.
    pub series: SeriesKey,
    /// Of which UTC year.
    pub year: i32,
}

impl PartitionKey {
    /// The partition of `series` for one UTC year.
    #[must_use]
    pub fn new(series: &SeriesKey, year: i32) -> Self {
        let series = series.clone();
        Self { series, year }
    }
}

impl std::fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.series, self.year)
    }
}

impl Layout {
    /// The layout of the store in `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            is_flat: false,
        }
    }

    /// The layout of a snapshot in `root`: partitions of an interval are in one folder, because some
    /// file systems take milliseconds to remove a folder.
    pub(super) fn flat(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            is_flat: true,
        }
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The DuckDB file. **Only DuckDB may open it: closing any other descriptor drops DuckDB's lock.**
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("staging.duckdb")
    }

    /// DuckDB's log.
    #[must_use]
    pub fn database_log(&self) -> PathBuf {
        self.root.join("staging.duckdb.wal")
    }

    /// Files that DuckDB may keep next to the database: its log, and what its own checkpoints and
    /// recoveries leave.
    #[must_use]
    pub fn database_logs(&self) -> [PathBuf; 3] {
        ["", ".checkpoint", ".recovery"]
            .map(|suffix| self.root.join(format!("staging.duckdb.wal{suffix}")))
    }

    /// What undoes an interrupted checkpoint.
    #[must_use]
    pub fn database_undo(&self) -> PathBuf {
        self.root.join("staging.duckdb.undo")
    }

    /// The sealed tier.
    #[must_use]
    pub fn lake(&self) -> PathBuf {
        self.root.join("lake")
    }

    /// Hot bars in files of their own.
    #[must_use]
    pub fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    /// The file of a segment.
    #[must_use]
    pub fn segment(&self, name: &str) -> PathBuf {
        self.segments().join(name)
    }

    /// What is being written.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// What failed its checksum.
    #[must_use]
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Rows that could not become bars, one file per run.
    #[must_use]
    pub fn rejects(&self) -> PathBuf {
        self.root.join("rejects")
    }

    /// The lock file.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("store.lock")
    }

    /// The file of a partition.
    #[must_use]
    pub fn partition(&self, key: &PartitionKey) -> PathBuf {
        if !self.is_flat {
            return self.root.join(Self::partition_relative(key));
        }
        let ticker = key.series.ticker.path_component();
        self.lake()
            .join(format!("interval={}", key.series.interval))
            .join(format!("ticker={ticker}{}", self.year_suffix(key.year)))
    }

    /// What follows the ticker in the path of a partition.
    pub(super) fn year_suffix(&self, year: i32) -> String {
        if self.is_flat {
            format!(",year={year:04}.parquet")
        } else {
            format!("/year={year:04}/{PARTITION_FILE}")
        }
    }

    /// The file of a partition, relative to the store's folder.
    #[must_use]
    pub fn partition_relative(key: &PartitionKey) -> PathBuf {
        PathBuf::from("lake")
            .join(format!("interval={}", key.series.interval))
            .join(format!("ticker={}", key.series.ticker.path_component()))
            .join(format!("year={:04}", key.year))
            .join(PARTITION_FILE)
    }

    /// Reads a path relative to the store's folder back into the partition it names.
    #[must_use]
    pub fn parse_partition(relative: &Path) -> Option<PartitionKey> {
        let key = parse(relative, Ticker::from_path_component)?;
        (Self::partition_relative(&key) == relative).then_some(key)
    }

    /// The partition that a path in a store of an earlier version names, if it has another path now.
    pub(super) fn parse_old_partition(relative: &Path) -> Option<PartitionKey> {
        parse(relative, Ticker::from_bare_path_component)
    }
}

fn parse(relative: &Path, ticker_of: fn(&str) -> Option<Ticker>) -> Option<PartitionKey> {
    let parts: Vec<&str> = relative
        .iter()
        .map(|part| part.to_str())
        .collect::<Option<_>>()?;
    let ["lake", interval, ticker, year, PARTITION_FILE] = parts[..] else {
        return None;
    };
    let interval: Interval = interval.strip_prefix("interval=")?.parse().ok()?;
    let ticker = ticker_of(ticker.strip_prefix("ticker=")?)?;
    let year = year.strip_prefix("year=")?.parse().ok()?;
    let series = SeriesKey { interval, ticker };
    Some(PartitionKey { series, year })
}

/// Whether a folder looks like a store, even a damaged one.
#[must_use]
pub fn is_store(dir: &Path) -> bool {
    let layout = Layout::new(dir);
    layout.database().is_file() || (layout.lock().is_file() && layout.lake().is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_reads_back_from_its_path() {
        for symbol in ["AAPL", "007", "BTC/USD", "^GSPC", "NULL"] {
            let key = PartitionKey {
                series: SeriesKey {
                    interval: Interval::M5,
                    ticker: Ticker::new(symbol).unwrap(),
                },
                year: 2025,
            };
            let path = Layout::partition_relative(&key);
            assert_eq!(Layout::parse_partition(&path), Some(key));
        }
        for odd in [
            "lake/interval=1m/ticker=A/year=2025/other.parquet",
            "lake/interval=7m/ticker=A/year=2025/bars.parquet",
            "lake/interval=1m/ticker=a/year=2025/bars.parquet",
            "lake/bars.parquet",
        ] {
            assert_eq!(Layout::parse_partition(Path::new(odd)), None, "{odd}");
        }
    }
}

//! SQL over both tiers: the views `bars`, `coverage`, `conflicts` and `runs`.

use std::path::Path;

use duckdb::Connection;

use crate::model::year_start_micros;

use super::catalog::use_utc;
use super::error::{Damage, Error};
use super::layout::PartitionKey;
use super::reader::Reader;
use super::recover;
use super::segment::PART_COLUMN;

/// Types of the lake's folder keys: DuckDB would guess a number for the ticker `7203`.
pub const HIVE_TYPES: &str = "{'interval': VARCHAR, 'ticker': VARCHAR, 'year': INTEGER}";

const BAR_COLUMNS: &str = "open, high, low, close, volume, vwap, trades, source, commit_seq";

impl Reader {
    /// A connection with the views in place. Over a store that another process writes into, `bars` is the lake alone and
    /// the other views are missing.
    ///
    /// The database itself cannot be written through it; what else a statement may touch is the caller's to settle.
    pub fn sql(&self) -> Result<Connection, Error> {
        let failed = |source| Error::Catalog {
            path: self.layout.database(),
            source,
        };
        let connection = match &self.catalog {
            Some(_) => self.catalog()?.connection.try_clone().map_err(failed)?,
            None => Connection::open_in_memory().map_err(failed)?,
        };
        use_utc(&connection).map_err(failed)?;
        self.check_lake()?;
        self.check_segments()?;
        connection
            .execute_batch(&self.bars_view()?)
            .map_err(failed)?;
        if self.catalog.is_some() {
            connection.execute_batch(CATALOG_VIEWS).map_err(failed)?;
        }
        Ok(connection)
    }

    /// A glob shows what is there, and says nothing of what is not: so lake and catalog are compared first.
    fn check_lake(&self) -> Result<(), Error> {
        if self.catalog.is_none() || !self.is_locked() || !self.overlay.is_empty() {
            return Ok(());
        }
        let mut in_lake = recover::partitions_in_lake(&self.layout)?;
        let mut damage = Vec::new();
        for (series, facts) in &self.series {
            for year in facts.partitions.keys() {
                let key = PartitionKey {
                    series: series.clone(),
                    year: *year,
                };
                if in_lake.remove(&key).is_none() {
                    damage.push(Damage::PartitionMissing(key));
                }
            }
        }
        damage.extend(in_lake.into_keys().map(Damage::PartitionUnknown));
        if damage.is_empty() {
            Ok(())
        } else {
            Err(recover::damaged(&self.layout, damage))
        }
    }

    /// DuckDB would say of a segment that is gone which file it misses, and not what that means.
    fn check_segments(&self) -> Result<(), Error> {
        if self.catalog.is_none() {
            return Ok(());
        }
        let catalog = self.catalog()?;
        for name in catalog.segments()?.keys() {
            catalog.check_segment(name)?;
        }
        Ok(())
    }

    fn bars_view(&self) -> Result<String, Error> {
        let mut selects = Vec::new();
        let lake = |files: String| {
            format!(
                "SELECT ticker, timestamp, {BAR_COLUMNS}, CAST(replace(interval, 'm', '') AS SMALLINT) AS interval
                 FROM read_parquet({files}, hive_partitioning = true, hive_types = {HIVE_TYPES})"
            )
        };
        if self.overlay.is_empty() {
            if self
                .series
                .values()
                .any(|facts| !facts.partitions.is_empty())
            {
                let glob = self.layout.lake().join("*/*/*/bars.parquet");
                selects.push(lake(quoted(&glob)));
            }
        } else {
            // A killed writer left publishes that could not be carried out: name each file.
            let mut files = Vec::new();
            for (key, facts) in &self.series {
                for year in facts.partitions.keys() {
                    let key = PartitionKey {
                        series: key.clone(),
                        year: *year,
                    };
                    if !self.overlay.contains_key(&key) {
                        files.push(quoted(&self.layout.partition(&key)));
                    }
                }
            }
            if !files.is_empty() {
                selects.push(lake(format!("[{}]", files.join(", "))));
            }
            for (key, (path, intent)) in &self.overlay {
                if !intent.is_removal() {
                    selects.push(format!(
                        "SELECT '{}' AS ticker, timestamp, {BAR_COLUMNS}, {}::SMALLINT AS interval
                         FROM read_parquet({}, hive_partitioning = false)",
                        key.series.ticker.as_str().replace('\'', "''"),
                        key.series.interval.minutes(),
                        quoted(path)
                    ));
                }
            }
        }
        if self.catalog.is_some() {
            let hidden = |commit_seq: &str| -> String {
                self.overlay
                    .values()
                    .map(|(_, intent)| {
                        format!(
                            " AND NOT (s.series_id = {} AND epoch_us(h.timestamp) >= {} AND epoch_us(h.timestamp) < {} AND {commit_seq} <= {})",
                            intent.series_id,
                            year_start_micros(intent.year),
                            year_start_micros(intent.year + 1),
                            intent.new.commit_seq
                        )
                    })
                    .collect()
            };
            selects.push(format!(
                "SELECT s.ticker, h.timestamp, {BAR_COLUMNS}, s.interval
                 FROM staging.main.hot h JOIN staging.main.series s USING (series_id) JOIN staging.main.sources USING (source_id) WHERE true{}",
                hidden("h.commit_seq")
            ));
            let segments = self.catalog()?.segments()?;
            if !segments.is_empty() {
                let files: Vec<String> = (segments.keys())
                    .map(|name| quoted(&self.layout.segment(name)))
                    .collect();
                selects.push(format!(
                    "SELECT s.ticker, h.timestamp, {BAR_COLUMNS}, s.interval
                     FROM read_parquet([{}], hive_partitioning = false) h JOIN staging.main.segment_parts p USING ({PART_COLUMN})
                       JOIN staging.main.series s USING (series_id) JOIN staging.main.sources USING (source_id) WHERE true{}",
                    files.join(", "),
                    hidden("p.commit_seq")
                ));
            }
        }
        if selects.is_empty() {
            selects.push(
                "SELECT NULL::VARCHAR AS ticker, NULL::TIMESTAMPTZ AS timestamp, NULL::DOUBLE AS open, NULL::DOUBLE AS high,
                     NULL::DOUBLE AS low, NULL::DOUBLE AS close, NULL::DOUBLE AS volume, NULL::DOUBLE AS vwap, NULL::BIGINT AS trades,
                     NULL::VARCHAR AS source, NULL::BIGINT AS commit_seq, NULL::SMALLINT AS interval WHERE false"
                    .to_owned(),
            );
        }
        Ok(format!(
            "CREATE TEMP VIEW bars AS {}",
            selects.join(" UNION ALL ")
        ))
    }
}

const CATALOG_VIEWS: &str = "
CREATE TEMP VIEW coverage AS SELECT provider, interval, ticker, exchange, basis, hours, first, last, status, rows, reason, asked_at, run_id AS run
    FROM staging.main.coverage;
CREATE TEMP VIEW conflicts AS SELECT s.interval, s.ticker, c.* EXCLUDE (series_id, run_id), c.run_id AS run
    FROM staging.main.conflicts c JOIN staging.main.series s USING (series_id);
CREATE TEMP VIEW runs AS SELECT run_id AS run, command, started_at, finished_at, status, summary FROM staging.main.runs;
";

/// A path as a text literal of SQL.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}

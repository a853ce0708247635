//! SQL over both tiers: the views `bars`, `coverage`, `conflicts` and `runs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duckdb::Connection;

use crate::model::columns::COLUMNS;
use crate::model::{Interval, year_start_micros};

use super::catalog::{quoted, use_utc};
use super::columns::{sql_list, sql_type};
use super::error::Error;
use super::folder;
use super::layout::PartitionKey;
use super::reader::Reader;
use super::segment::{self, PART_COLUMN};

/// Years that all have names of the same length.
const FOUR_DIGITS: std::ops::RangeInclusive<i32> = 0..=9999;

impl Reader {
    /// A connection with the views in place. Over a store that another process writes into, `bars`
    /// is the lake alone and the other views are missing.
    ///
    /// The database itself can't be written through it. Which files a statement may read or write is up
    /// to the caller.
    pub fn sql(&self) -> Result<Connection, Error> {
        let failed = |source| self.failed(source);
        let connection = match &self.catalog {
            Some(_) => self.catalog()?.connection.try_clone().map_err(failed)?,
            None => Connection::open_in_memory().map_err(failed)?,
        };
        use_utc(&connection).map_err(failed)?;
        self.check_segments()?;
        let lake = self.lake_selects(&connection)?;
        connection
            .execute_batch(&self.bars_view(lake)?)
            .map_err(failed)?;
        if self.catalog.is_some() {
            let conflicts = self.catalog()?.conflicts_select("staging.main")?;
            let views = CATALOG_VIEWS.replace("$conflicts", &conflicts);
            connection.execute_batch(&views).map_err(failed)?;
            let runs = format!(
                "CREATE TEMP VIEW runs AS SELECT run_id AS run, command, started_at, finished_at,
                     {} AS status, summary FROM staging.main.runs",
                self.run_status()
            );
            connection.execute_batch(&runs).map_err(failed)?;
        }
        Ok(connection)
    }

    /// Checks that the segments exist. For a missing one DuckDB would only name the file.
    fn check_segments(&self) -> Result<(), Error> {
        if self.catalog.is_none() {
            return Ok(());
        }
        let catalog = self.catalog()?;
        for (name, digest) in catalog.segments()? {
            if segment::run_of_conflicts(&name).is_none() {
                catalog.check_segment(&name)?;
            } else if let Some(what) = segment::quick_check(&self.layout, &name, &digest)? {
                return Err(Error::Damaged {
                    dir: self.layout.root().to_path_buf(),
                    what,
                    more: 0,
                });
            }
        }
        Ok(())
    }

    /// SELECTs over the partitions, by an explicit list of files: other files in the folders are
    /// ignored.
    ///
    /// All files of an interval are in one `read_parquet`, so that DuckDB plans thousands of them
    /// at once. The ticker is computed from the end of the file's name. DuckDB evaluates this for
    /// each file before it opens any, and opens only the files that a condition on the ticker
    /// leaves. Its own `hive_partitioning` would also read keys from the folders above the store.
    fn lake_selects(&self, connection: &Connection) -> Result<Vec<String>, Error> {
        let mut lists: BTreeMap<Interval, String> = BTreeMap::new();
        let mut selects = Vec::new();
        for (series, meta) in &self.series {
            for year in meta.partitions.keys() {
                let key = PartitionKey::new(series, *year);
                let path = self.layout.partition(&key);
                if self.overlay.contains_key(&key) || self.is_gone(&path) {
                    continue;
                }
                if FOUR_DIGITS.contains(year) {
                    let list = lists.entry(series.interval).or_default();
                    list.push_str(&series.ticker.path_component());
                    list.push_str(&self.layout.year_suffix(*year));
                    list.push('\n');
                } else {
                    selects.push(select_one(&key, &path));
                }
            }
        }
        for (key, (path, intent)) in &self.overlay {
            if !intent.is_removal() {
                selects.push(select_one(key, path));
            }
        }
        let lake = folder::real(&self.layout.lake());
        let columns = columns_after_timestamp();
        for (interval, list) in lists {
            let before = format!("{}/interval={interval}/ticker=", lake.display());
            let after = self.layout.year_suffix(2025);
            let variable = format!("lake_{interval}");
            // DuckDB parses a list of ten thousand literals ten times slower.
            self.set(connection, &format!(
                "SET VARIABLE {variable} = list_transform(string_split('{}', chr(10)), lambda file: {} || file)",
                list.trim_end(),
                quoted(&folder::literal(&before)),
            ))?;
            let ticker = format!(
                "url_decode(left(substr(filename, {}), -{}))",
                before.chars().count() + 1,
                after.len()
            );
            selects.push(format!(
                "SELECT {ticker} AS ticker, timestamp, {columns}, {}::SMALLINT AS interval
                 FROM read_parquet(getvariable('{variable}'), filename = true, hive_partitioning = false)",
                interval.minutes()
            ));
        }
        self.allow_files(connection)?;
        Ok(selects)
    }

    /// Allows the connection to read files outside the folders that the caller allows: new partitions
    /// that could not be moved into the lake. If the store's path has characters of a pattern, also the
    /// pattern of each file, and the file that it matches.
    fn allow_files(&self, connection: &Connection) -> Result<(), Error> {
        let replaced = self.overlay.values().map(|(path, _)| folder::real(path));
        let mut files: Vec<String> = replaced.map(|path| path.display().to_string()).collect();
        let is_pattern = |folder: PathBuf| {
            let real = folder::real(&folder).display().to_string();
            real.contains(folder::PATTERN)
        };
        if is_pattern(self.layout.lake()) || is_pattern(self.layout.segments()) {
            files.extend(
                (files.clone().into_iter())
                    .chain(self.listed_files()?)
                    .map(|file| folder::literal(&file))
                    .collect::<Vec<_>>(),
            );
        }
        if files.is_empty() {
            return Ok(());
        }
        let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
        self.set(
            connection,
            &format!("SET allowed_paths = [{}]", files.join(", ")),
        )
    }

    /// The paths of all partitions and segments, with links of the two folders resolved.
    fn listed_files(&self) -> Result<Vec<String>, Error> {
        let mut files = Vec::new();
        let mut add = |folder: &Path, paths: &mut dyn Iterator<Item = PathBuf>| {
            let real = folder::real(folder);
            let inside = paths.filter_map(|path| {
                let relative = path.strip_prefix(folder).ok()?;
                Some(real.join(relative).display().to_string())
            });
            files.extend(inside);
        };
        let partitions = self.series.iter().flat_map(|(series, meta)| {
            let years = meta.partitions.keys();
            years.map(|year| self.layout.partition(&PartitionKey::new(series, *year)))
        });
        add(&self.layout.lake(), &mut partitions.into_iter());
        if self.catalog.is_some() {
            let segments = self.catalog()?.segments()?;
            let paths = segments.keys().map(|name| self.layout.segment(name));
            add(&self.layout.segments(), &mut paths.into_iter());
        }
        Ok(files)
    }

    fn set(&self, connection: &Connection, sql: &str) -> Result<(), Error> {
        connection
            .execute_batch(sql)
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: duckdb::Error) -> Error {
        Error::Catalog {
            path: self.layout.database(),
            source,
        }
    }

    /// Whether a running writer has dropped a partition.
    fn is_gone(&self, path: &Path) -> bool {
        self.catalog.is_none() && !path.exists()
    }

    fn bars_view(&self, mut selects: Vec<String>) -> Result<String, Error> {
        let columns = columns_after_timestamp();
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
                "SELECT s.ticker, h.timestamp, {columns}, s.interval
                 FROM staging.main.hot h JOIN staging.main.series s USING (series_id) JOIN staging.main.sources USING (source_id) WHERE true{}",
                hidden("h.commit_seq")
            ));
            let segments = self.catalog()?.segments()?;
            let files: Vec<String> = segments
                .keys()
                .filter(|name| segment::run_of_conflicts(name).is_none())
                .map(|name| file(&self.layout.segment(name)))
                .collect();
            if !files.is_empty() {
                selects.push(format!(
                    "SELECT s.ticker, h.timestamp, {columns}, s.interval
                     FROM read_parquet([{}], hive_partitioning = false) h JOIN staging.main.segment_parts p USING ({PART_COLUMN})
                       JOIN staging.main.series s USING (series_id) JOIN staging.main.sources USING (source_id) WHERE true{}",
                    files.join(", "),
                    hidden("p.commit_seq")
                ));
            }
        }
        if selects.is_empty() {
            let values: Vec<String> = COLUMNS
                .iter()
                .map(|column| format!("NULL::{} AS {}", sql_type(column.kind), column.name))
                .collect();
            selects.push(format!(
                "SELECT NULL::VARCHAR AS ticker, NULL::TIMESTAMPTZ AS timestamp, {},
                     NULL::VARCHAR AS source, NULL::BIGINT AS commit_seq, NULL::SMALLINT AS interval WHERE false",
                values.join(", ")
            ));
        }
        let all = selects.join(" UNION ALL ");
        let bars = match self.as_of {
            None => all,
            Some(seq) => self.bars_as_of(&all, seq)?,
        };
        Ok(format!("CREATE TEMP VIEW bars AS {bars}"))
    }
}

impl Reader {
    /// A SELECT of the bars that the store had after commit `seq`, without the series whose bars aren't
    /// known.
    fn bars_as_of(&self, all: &str, seq: u64) -> Result<String, Error> {
        let staged: Vec<String> = (COLUMNS.iter())
            .map(|column| format!("c.staged_{0} AS {0}", column.name))
            .collect();
        let forgotten: Vec<String> = (self.forgotten()?.iter())
            .map(|series| {
                let ticker = quoted(series.ticker.as_str());
                format!(
                    " AND NOT (interval = {} AND ticker = {ticker})",
                    series.interval.minutes()
                )
            })
            .collect();
        Ok(format!(
            "SELECT * FROM ({all} UNION ALL
               SELECT s.ticker, c.timestamp, {}, c.staged_source AS source, c.staged_seq AS commit_seq, s.interval
               FROM ({}) c JOIN staging.main.series s USING (series_id))
             WHERE commit_seq <= {seq}{}",
            staged.join(", "),
            self.catalog()?.replaced_select("staging.main", seq)?,
            forgotten.concat()
        ))
    }
}

const CATALOG_VIEWS: &str = "
CREATE TEMP VIEW coverage AS SELECT provider, interval, ticker, exchange, basis, hours, first, last, status, rows, reason, asked_at, run_id AS run
    FROM staging.main.coverage;
CREATE TEMP VIEW conflicts AS SELECT s.interval, s.ticker, c.* EXCLUDE (series_id, run_id, staged_seq, commit_seq), c.run_id AS run
    FROM ($conflicts) c JOIN staging.main.series s USING (series_id);
";

/// The columns of a bar after its timestamp, for a SELECT list.
fn columns_after_timestamp() -> String {
    format!("{}, source, commit_seq", sql_list(""))
}

/// A SELECT over one file.
fn select_one(key: &PartitionKey, path: &Path) -> String {
    let columns = columns_after_timestamp();
    format!(
        "SELECT {} AS ticker, timestamp, {columns}, {}::SMALLINT AS interval
         FROM read_parquet({}, hive_partitioning = false)",
        quoted(key.series.ticker.as_str()),
        key.series.interval.minutes(),
        file(path)
    )
}

/// A file as an argument of `read_parquet`.
fn file(path: &Path) -> String {
    quoted(&folder::literal(&folder::real(path).display().to_string()))
}

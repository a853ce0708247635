//! What the catalog knows of series and partitions, as it is kept in memory while the store is open.

use std::collections::BTreeMap;
use std::path::PathBuf;

use duckdb::{Row, params};
use uuid::Uuid;

use crate::model::{Interval, Provenance, SeriesKey, Ticker, Timestamp};
use crate::store::durable::Digest;
use crate::store::error::Error;
use crate::store::lake::write::Written;

use super::Catalog;

/// A partition as the catalog describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionFacts {
    pub rows: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    pub commit_seq: u64,
    pub commit_id: Uuid,
    pub row_hash: String,
    pub digest: Digest,
    pub store_id: Uuid,
}

impl From<&Written> for PartitionFacts {
    fn from(written: &Written) -> Self {
        Self {
            rows: written.footer.rows,
            first: written.first,
            last: written.last,
            commit_seq: written.footer.commit_seq,
            commit_id: written.footer.commit_id,
            row_hash: written.footer.row_hash.clone(),
            digest: written.digest.clone(),
            store_id: written.footer.store_id,
        }
    }
}

/// A partition being replaced.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    pub series_id: i32,
    pub year: i32,
    pub new: PartitionFacts,
    /// Name of the temporary file, inside `tmp/`.
    pub temporary: PathBuf,
    pub old_checksum: Option<String>,
    pub is_seal: bool,
}

impl Intent {
    /// Whether the partition goes, and nothing comes in its place: all its bars were dropped.
    pub fn is_removal(&self) -> bool {
        self.new.rows == 0
    }
}

/// A series as the catalog describes it.
#[derive(Clone, Debug)]
pub(crate) struct SeriesFacts {
    pub id: i32,
    pub provenance: Provenance,
    /// Sealed bars by UTC year.
    pub partitions: BTreeMap<i32, PartitionFacts>,
    /// Hot bars by UTC year.
    pub hot: BTreeMap<i32, super::HotYear>,
}

impl SeriesFacts {
    pub fn new(id: i32, provenance: Provenance) -> Self {
        Self {
            id,
            provenance,
            partitions: BTreeMap::new(),
            hot: BTreeMap::new(),
        }
    }

    pub fn hot_rows(&self) -> u64 {
        self.hot.values().map(|year| year.rows).sum()
    }

    pub fn sealed_rows(&self) -> u64 {
        self.partitions
            .values()
            .map(|partition| partition.rows)
            .sum()
    }

    pub fn max_commit_seq(&self) -> u64 {
        let sealed = self
            .partitions
            .values()
            .map(|partition| partition.commit_seq);
        let hot = self.hot.values().map(|year| year.max_commit_seq);
        sealed.chain(hot).max().unwrap_or(0)
    }

    pub fn first(&self) -> Option<Timestamp> {
        let sealed = self.partitions.values().map(|partition| partition.first);
        let hot = self.hot.values().map(|year| year.first);
        sealed.chain(hot).min()
    }

    pub fn last(&self) -> Option<Timestamp> {
        let sealed = self.partitions.values().map(|partition| partition.last);
        let hot = self.hot.values().map(|year| year.last);
        sealed.chain(hot).max()
    }
}

const PARTITION_COLUMNS: &str = "series_id, year, rows, epoch_us(first), epoch_us(last), commit_seq, commit_id, row_hash, \
     checksum, bytes, modified_ns, store_id";

fn read_partition(row: &Row<'_>) -> duckdb::Result<(i32, i32, PartitionFacts)> {
    let uuid = |place: usize| -> duckdb::Result<Uuid> {
        let text: String = row.get(place)?;
        Ok(Uuid::parse_str(&text).unwrap_or(Uuid::nil()))
    };
    Ok((
        row.get(0)?,
        row.get(1)?,
        PartitionFacts {
            rows: row.get(2)?,
            first: Timestamp::from_micros(row.get(3)?),
            last: Timestamp::from_micros(row.get(4)?),
            commit_seq: row.get(5)?,
            commit_id: uuid(6)?,
            row_hash: row.get(7)?,
            digest: Digest {
                checksum: row.get(8)?,
                bytes: row.get(9)?,
                modified_ns: row.get(10)?,
            },
            store_id: uuid(11)?,
        },
    ))
}

impl Catalog {
    /// All series with their partitions and hot bars.
    pub fn series(&self) -> Result<BTreeMap<SeriesKey, SeriesFacts>, Error> {
        let rows = self.rows(
            "SELECT series_id, interval, ticker, exchange, basis, hours FROM series",
            [],
            |row| {
                let (id, minutes, ticker): (i32, u32, String) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let (exchange, basis, hours): (String, String, String) =
                    (row.get(3)?, row.get(4)?, row.get(5)?);
                Ok((id, minutes, ticker, exchange, basis, hours))
            },
        )?;
        let mut by_id: BTreeMap<i32, (SeriesKey, SeriesFacts)> = BTreeMap::new();
        for (id, minutes, ticker, exchange, basis, hours) in rows {
            let (Some(interval), Ok(ticker), Ok(basis), Ok(hours)) = (
                Interval::from_minutes(minutes),
                Ticker::new(&ticker),
                basis.parse(),
                hours.parse(),
            ) else {
                return Err(Error::Log {
                    path: self
                        .connection
                        .path()
                        .map(std::path::Path::to_path_buf)
                        .unwrap_or_default(),
                    reason: format!("series {id} ({ticker} {minutes}m) cannot be read"),
                });
            };
            let provenance = Provenance {
                exchange,
                basis,
                hours,
            };
            by_id.insert(
                id,
                (
                    SeriesKey { interval, ticker },
                    SeriesFacts::new(id, provenance),
                ),
            );
        }
        let partitions = self.rows(
            &format!("SELECT {PARTITION_COLUMNS} FROM partitions"),
            [],
            read_partition,
        )?;
        for (id, year, facts) in partitions {
            if let Some((_, series)) = by_id.get_mut(&id) {
                series.partitions.insert(year, facts);
            }
        }
        for (id, year, hot) in self.hot_years()? {
            if let Some((_, series)) = by_id.get_mut(&id) {
                series.hot.insert(year, hot);
            }
        }
        Ok(by_id.into_values().collect())
    }

    /// Publishes that were recorded and not yet cleaned up.
    pub fn intents(&self) -> Result<Vec<Intent>, Error> {
        self.rows(
            &format!("SELECT {PARTITION_COLUMNS}, temporary, old_checksum, is_seal FROM intents"),
            [],
            |row| {
                let (series_id, year, new) = read_partition(row)?;
                let temporary: String = row.get(12)?;
                Ok(Intent {
                    series_id,
                    year,
                    new,
                    temporary: temporary.into(),
                    old_checksum: row.get(13)?,
                    is_seal: row.get(14)?,
                })
            },
        )
    }

    /// Records a series at its first commit.
    pub fn insert_series(
        &self,
        id: i32,
        key: &SeriesKey,
        provenance: &Provenance,
    ) -> Result<(), Error> {
        self.execute(
            "INSERT INTO series VALUES (?, ?, ?, ?, ?, ?)",
            params![
                id,
                key.interval.minutes(),
                key.ticker.as_str(),
                provenance.exchange,
                provenance.basis.as_str(),
                provenance.hours.as_str()
            ],
        )?;
        Ok(())
    }

    /// Refines what a series is recorded as, when `unknown` becomes known.
    pub fn update_series(&self, id: i32, provenance: &Provenance) -> Result<(), Error> {
        self.execute(
            "UPDATE series SET basis = ?, hours = ? WHERE series_id = ?",
            params![provenance.basis.as_str(), provenance.hours.as_str(), id],
        )?;
        Ok(())
    }

    /// Records that a partition is about to be replaced.
    pub fn insert_intent(&self, intent: &Intent) -> Result<(), Error> {
        let new = &intent.new;
        self.execute(
            "INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                intent.series_id,
                intent.year,
                new.rows,
                super::instant(new.first.micros()),
                super::instant(new.last.micros()),
                new.commit_seq,
                new.commit_id.to_string(),
                new.row_hash,
                new.digest.checksum,
                new.digest.bytes,
                new.digest.modified_ns,
                new.store_id.to_string(),
                intent.temporary.to_string_lossy(),
                intent.old_checksum,
                intent.is_seal
            ],
        )?;
        Ok(())
    }

    /// After the rename: the partition is the new one, its hot rows and its intent go. One statement each for all.
    pub fn settle_intents(&self, intents: &[Intent]) -> Result<(), Error> {
        if intents.is_empty() {
            return Ok(());
        }
        self.run("CREATE OR REPLACE TEMP TABLE settling (series_id INTEGER, year INTEGER, checksum VARCHAR, first_of_year TIMESTAMPTZ, end_of_year TIMESTAMPTZ)")?;
        for intent in intents {
            self.execute(
                "INSERT INTO settling VALUES (?, ?, ?, ?, ?)",
                params![
                    intent.series_id,
                    intent.year,
                    intent.new.digest.checksum,
                    super::instant(crate::model::year_start_micros(intent.year)),
                    super::instant(crate::model::year_start_micros(intent.year + 1))
                ],
            )?;
        }
        self.run(
            "DELETE FROM hot USING intents i, settling s
             WHERE s.series_id = i.series_id AND s.year = i.year AND s.checksum = i.checksum AND hot.series_id = i.series_id
               AND hot.timestamp >= s.first_of_year AND hot.timestamp < s.end_of_year AND hot.commit_seq <= i.commit_seq;
             DELETE FROM partitions USING settling s WHERE partitions.series_id = s.series_id AND partitions.year = s.year;
             INSERT INTO partitions SELECT i.series_id, i.year, i.rows, i.first, i.last, i.commit_seq, i.commit_id, i.row_hash,
                 i.checksum, i.bytes, i.modified_ns, i.store_id
               FROM intents i JOIN settling s ON s.series_id = i.series_id AND s.year = i.year AND s.checksum = i.checksum WHERE i.rows > 0;
             DELETE FROM intents USING settling s
               WHERE intents.series_id = s.series_id AND intents.year = s.year AND intents.checksum = s.checksum;
             DROP TABLE settling",
        )
    }

    /// Lists a partition, as a repair found it in the lake.
    pub fn insert_partition(
        &self,
        series_id: i32,
        year: i32,
        facts: &PartitionFacts,
    ) -> Result<(), Error> {
        self.execute(
            "INSERT INTO partitions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                series_id,
                year,
                facts.rows,
                super::instant(facts.first.micros()),
                super::instant(facts.last.micros()),
                facts.commit_seq,
                facts.commit_id.to_string(),
                facts.row_hash,
                facts.digest.checksum,
                facts.digest.bytes,
                facts.digest.modified_ns,
                facts.store_id.to_string()
            ],
        )?;
        Ok(())
    }

    /// Records the commits that partitions name and the catalog does not know.
    pub fn adopt_commits(&self) -> Result<(), Error> {
        self.run(
            "INSERT INTO commits SELECT DISTINCT p.commit_seq, p.commit_id, p.series_id, 'repair', 0, 0 FROM partitions p
             WHERE NOT EXISTS (SELECT 1 FROM commits c WHERE c.commit_seq = p.commit_seq AND c.commit_id = p.commit_id)",
        )
    }

    /// Forgets series without bars.
    pub fn delete_series(&self, ids: &[i32]) -> Result<(), Error> {
        for id in ids {
            self.execute("DELETE FROM series WHERE series_id = ?", params![id])?;
            self.execute("DELETE FROM sessions WHERE series_id = ?", params![id])?;
        }
        Ok(())
    }

    /// The next free number of a series: none that any record still names.
    pub fn next_series_id(&self) -> Result<i32, Error> {
        let found = self.rows(
            "SELECT 1 + greatest((SELECT coalesce(max(series_id), 0) FROM series), (SELECT coalesce(max(series_id), 0) FROM commits),
                (SELECT coalesce(max(series_id), 0) FROM conflicts))",
            [],
            |row| row.get::<_, i32>(0),
        )?;
        Ok(found.first().copied().unwrap_or(1))
    }

    /// Forgets an intent whose seal never happened: its rows are still hot.
    pub fn drop_intent(&self, intent: &Intent) -> Result<(), Error> {
        self.execute(
            "DELETE FROM intents WHERE series_id = ? AND year = ? AND checksum = ?",
            params![intent.series_id, intent.year, intent.new.digest.checksum],
        )?;
        Ok(())
    }
}

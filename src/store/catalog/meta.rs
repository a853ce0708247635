//! What the catalog knows of series and partitions, as it is kept in memory while the store is
//! open.

use std::collections::BTreeMap;

use duckdb::{Row, params};
use uuid::Uuid;

use crate::model::{Interval, Provenance, SeriesKey, Ticker, Timestamp};
use crate::store::durable::Digest;
use crate::store::error::{Damage, Error};
use crate::store::lake::Footer;
use crate::store::lake::write::Written;

use super::Catalog;

/// A partition as the catalog describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionMeta {
    pub rows: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    pub commit_seq: u64,
    pub commit_id: Uuid,
    pub row_hash: String,
    pub digest: Digest,
    pub store_id: Uuid,
}

impl PartitionMeta {
    /// A partition as its footer and its file describe it.
    pub fn new(footer: &Footer, (first, last): (Timestamp, Timestamp), digest: Digest) -> Self {
        Self {
            rows: footer.rows,
            first,
            last,
            commit_seq: footer.commit_seq,
            commit_id: footer.commit_id,
            row_hash: footer.row_hash.clone(),
            digest,
            store_id: footer.store_id,
        }
    }
}

impl From<&Written> for PartitionMeta {
    fn from(written: &Written) -> Self {
        let bounds = (written.first, written.last);
        Self::new(&written.footer, bounds, written.digest.clone())
    }
}

/// A series as the catalog describes it.
#[derive(Clone, Debug)]
pub(crate) struct SeriesMeta {
    pub id: i32,
    pub provenance: Provenance,
    /// Sealed bars by UTC year.
    pub partitions: BTreeMap<i32, PartitionMeta>,
    /// Hot bars by UTC year.
    pub hot: BTreeMap<i32, super::HotYear>,
}

impl SeriesMeta {
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

pub(super) const PARTITION_COLUMNS: &str = "series_id, year, rows, epoch_us(first), epoch_us(last), commit_seq, commit_id, row_hash, \
     checksum, bytes, modified_ns, store_id";

pub(super) fn read_partition(row: &Row<'_>) -> duckdb::Result<(i32, i32, PartitionMeta)> {
    let uuid = |place: usize| -> duckdb::Result<Uuid> {
        let text: String = row.get(place)?;
        Ok(Uuid::parse_str(&text).unwrap_or(Uuid::nil()))
    };
    Ok((
        row.get(0)?,
        row.get(1)?,
        PartitionMeta {
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
    pub fn series(&self) -> Result<BTreeMap<SeriesKey, SeriesMeta>, Error> {
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
        let mut by_id: BTreeMap<i32, (SeriesKey, SeriesMeta)> = BTreeMap::new();
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
                    reason: format!("series {id} ({ticker} {minutes}m) can't be read"),
                });
            };
            let provenance = Provenance {
                exchange,
                basis,
                hours,
            };
            let key = SeriesKey { interval, ticker };
            let listed = (key.clone(), SeriesMeta::new(id, provenance));
            if by_id.insert(id, listed).is_some() {
                return Err(self.listed_twice(&format!("series {key}")));
            }
        }
        let partitions = self.rows(
            &format!("SELECT {PARTITION_COLUMNS} FROM partitions"),
            [],
            read_partition,
        )?;
        for (id, year, meta) in partitions {
            if let Some((key, series)) = by_id.get_mut(&id)
                && series.partitions.insert(year, meta).is_some()
            {
                return Err(self.listed_twice(&format!("the year {year} of {key}")));
            }
        }
        for (id, year, hot) in self.hot_years()? {
            if let Some((_, series)) = by_id.get_mut(&id) {
                series.hot.insert(year, hot);
            }
        }
        Ok(by_id.into_values().collect())
    }

    /// A copy that was made during a checkpoint can apply a log to a database that has its rows
    /// already. Each bar would then be read several times.
    fn listed_twice(&self, what: &str) -> Error {
        let dir = self.root().to_path_buf();
        Error::Damaged {
            dir,
            what: Damage::CatalogUnreadable(format!("it lists {what} twice")),
            more: 0,
        }
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

    /// Lists a partition, as a repair found it in the lake.
    pub fn insert_partition(
        &self,
        series_id: i32,
        year: i32,
        meta: &PartitionMeta,
    ) -> Result<(), Error> {
        self.execute(
            "INSERT INTO partitions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                series_id,
                year,
                meta.rows,
                super::instant(meta.first.micros()),
                super::instant(meta.last.micros()),
                meta.commit_seq,
                meta.commit_id.to_string(),
                meta.row_hash,
                meta.digest.checksum,
                meta.digest.bytes,
                meta.digest.modified_ns,
                meta.store_id.to_string()
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

    /// The next free id of a series. No record names it, not even one of a dropped series.
    pub fn next_series_id(&self) -> Result<i32, Error> {
        let found = self.rows(
            "SELECT 1 + greatest((SELECT coalesce(max(series_id), 0) FROM series), (SELECT coalesce(max(series_id), 0) FROM commits),
                (SELECT coalesce(max(series_id), 0) FROM conflicts))",
            [],
            |row| row.get::<_, i32>(0),
        )?;
        Ok(found.first().copied().unwrap_or(1))
    }
}

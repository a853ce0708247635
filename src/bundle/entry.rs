//! What a manifest lists of each partition.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::bounded::bounded_list;
use crate::model::Provenance;
use crate::store::lake::untrusted::{PartitionSummary, SOURCES_MAX, UntrustedPartition};
use crate::store::{Layout, PartitionKey};

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The same in the bundle as in the lake.
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    pub interval_minutes: u16,
    pub ticker: String,
    /// The UTC year.
    pub year: i32,
    pub rows: u64,
    /// The first bar's timestamp.
    pub first: String,
    /// The last bar's timestamp.
    pub last: String,
    /// The first commit that wrote one of its rows.
    pub commit_seq_first: u64,
    /// The last commit that wrote one of its rows.
    pub commit_seq_last: u64,
    /// The commit that its footer names: no later one has changed it.
    pub footer_commit_seq: u64,
    /// That commit's id.
    pub footer_commit_id: Uuid,
    /// The store that wrote the file. It isn't the bundle's if that was repaired since.
    pub store_id: Uuid,
    pub schema_version: u32,
    /// The footer's hash of the rows' values.
    pub row_hash: String,
    /// Sorted.
    #[serde(deserialize_with = "bounded_list::<_, SOURCES_MAX>")]
    pub sources: Vec<String>,
    pub exchange: String,
    pub basis: String,
    pub hours: String,
}

/// Totals over all partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    pub partitions: u64,
    pub rows: u64,
    pub bytes: u64,
    pub first: Option<String>,
    pub last: Option<String>,
}

impl Entry {
    /// The entry of a partition that was read.
    pub(super) fn of(
        key: &PartitionKey,
        partition: &UntrustedPartition,
        summary: &PartitionSummary,
        sha256: String,
    ) -> Self {
        let footer = &partition.footer;
        Self {
            path: member_path(key),
            bytes: partition.bytes().len() as u64,
            sha256,
            interval_minutes: key.series.interval.minutes(),
            ticker: key.series.ticker.as_str().to_owned(),
            year: key.year,
            rows: footer.rows,
            first: summary.first.to_string(),
            last: summary.last.to_string(),
            commit_seq_first: summary.commits.0,
            commit_seq_last: summary.commits.1,
            footer_commit_seq: footer.commit_seq,
            footer_commit_id: footer.commit_id,
            store_id: footer.store_id,
            schema_version: footer.schema_version,
            row_hash: footer.row_hash.clone(),
            sources: summary.sources.iter().cloned().collect(),
            exchange: footer.provenance.exchange.clone(),
            basis: footer.provenance.basis.to_string(),
            hours: footer.provenance.hours.to_string(),
        }
    }

    /// The partition that the path names, if path, interval, ticker and year agree.
    #[must_use]
    pub fn key(&self) -> Option<PartitionKey> {
        let key = Layout::parse_partition(std::path::Path::new(&self.path))?;
        (member_path(&key) == self.path
            && key.series.interval.minutes() == self.interval_minutes
            && key.series.ticker.as_str() == self.ticker
            && key.year == self.year)
            .then_some(key)
    }

    /// The provenance of its series; `None` if the texts are unknown.
    #[must_use]
    pub fn provenance(&self) -> Option<Provenance> {
        Some(Provenance {
            exchange: self.exchange.clone(),
            basis: self.basis.parse().ok()?,
            hours: self.hours.parse().ok()?,
        })
    }

    /// The first fact in which the two differ: its name, this value, the other value.
    pub(super) fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let (Ok(serde_json::Value::Object(mine)), Ok(serde_json::Value::Object(theirs))) =
            (serde_json::to_value(self), serde_json::to_value(other))
        else {
            return None;
        };
        mine.into_iter().find_map(|(name, value)| {
            let found = theirs.get(&name)?;
            (value != *found).then(|| (name, value.to_string(), found.to_string()))
        })
    }
}

impl Totals {
    /// The totals of `partitions`.
    #[must_use]
    pub fn of(partitions: &[Entry]) -> Self {
        // Instants in text form sort by time.
        Self {
            partitions: partitions.len() as u64,
            rows: partitions.iter().map(|entry| entry.rows).sum(),
            bytes: partitions.iter().map(|entry| entry.bytes).sum(),
            first: partitions.iter().map(|entry| entry.first.clone()).min(),
            last: partitions.iter().map(|entry| entry.last.clone()).max(),
        }
    }
}

/// The path of a partition, with slashes on every system.
pub(super) fn member_path(key: &PartitionKey) -> String {
    let path = Layout::partition_relative(key);
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

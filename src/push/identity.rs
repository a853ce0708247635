//! What a file of the table is: whose bars it has, and up to which commit. It is in the tags of the file's
//! entry in the log.
//!
//! A file can have bars of several stores. For each of them a tag has the hash of the rows that the
//! store had, and the commit of its newest row. So a store finds out without reading the file
//! whether its bars are in it: the hash is equal. The commit shows whether the file is older than
//! the store's partition, or from a copy of the store that has other commits since.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::delta::action::{Add, Texts};
use crate::model::{Interval, Provenance, SeriesKey, Ticker};
use crate::store::{PartitionFile, PartitionKey};

const STORE: &str = "backfill.store.";
const SEEN: &str = "backfill.seen.";
const PROVENANCE: &str = "backfill.provenance";

/// The rows of one store that are in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    pub row_hash: String,
    pub commit_seq: u64,
    pub commit_id: Uuid,
    /// Whether the store wrote rows of the file; else it found its rows there. A store may replace
    /// a file that no other store wrote.
    pub wrote: bool,
}

/// The stores whose rows a file has.
pub type Contributions = BTreeMap<Uuid, Contribution>;

/// The stores whose rows a file has; none if another program wrote it.
#[must_use]
pub fn contributions(add: &Add) -> Contributions {
    let tags = add.tags.iter().flatten();
    tags.filter_map(|(key, value)| {
        let (id, wrote) = match key.strip_prefix(STORE) {
            Some(id) => (id, true),
            None => (key.strip_prefix(SEEN)?, false),
        };
        let store = Uuid::parse_str(id).ok()?;
        let mut words = value.as_deref()?.split(' ');
        let row_hash = words.next()?.to_owned();
        let commit_seq = words.next()?.parse().ok()?;
        let commit_id = Uuid::parse_str(words.next()?).ok()?;
        let contribution = Contribution {
            row_hash,
            commit_seq,
            commit_id,
            wrote,
        };
        Some((store, contribution))
    })
    .collect()
}

/// The rows of a partition that a store writes.
#[must_use]
pub fn own(file: &PartitionFile) -> Contribution {
    Contribution {
        row_hash: file.row_hash.clone(),
        commit_seq: file.commit_seq,
        commit_id: file.commit_id,
        wrote: true,
    }
}

/// The tags of a file.
#[must_use]
pub fn tags(contributions: &Contributions, provenance: &Provenance) -> Texts {
    let of_store = |(store, part): (&Uuid, &Contribution)| {
        let Contribution {
            row_hash,
            commit_seq,
            commit_id,
            wrote,
        } = part;
        let prefix = if *wrote { STORE } else { SEEN };
        let value = format!("{row_hash} {commit_seq} {commit_id}");
        (format!("{prefix}{store}"), Some(value))
    };
    let mut tags: Texts = contributions.iter().map(of_store).collect();
    tags.insert(PROVENANCE.to_owned(), Some(provenance_text(provenance)));
    tags
}

/// Exchange, price basis and hours as a tag has them.
#[must_use]
pub fn provenance_text(provenance: &Provenance) -> String {
    let Provenance {
        exchange,
        basis,
        hours,
    } = provenance;
    format!("{exchange} {basis} {hours}")
}

/// The provenance of a file's bars, if the file has the tag.
#[must_use]
pub fn provenance(add: &Add) -> Option<&str> {
    add.tags.as_ref()?.get(PROVENANCE)?.as_deref()
}

/// The partition of a file; `None` if no store can have such a partition.
#[must_use]
pub fn partition(add: &Add) -> Option<PartitionKey> {
    key_of(&add.partition_values)
}

/// The partition with these values; `None` if no store can have such a partition.
#[must_use]
pub fn key_of(values: &Texts) -> Option<PartitionKey> {
    let value = |name: &str| values.get(name)?.as_deref();
    let interval: Interval = value("interval")?.parse().ok()?;
    let ticker = Ticker::new(value("ticker")?).ok()?;
    let year = value("year")?.parse().ok()?;
    let key = PartitionKey::new(&SeriesKey { interval, ticker }, year);
    (partition_values(&key) == *values).then_some(key)
}

/// The values of the partition columns.
#[must_use]
pub fn partition_values(key: &PartitionKey) -> Texts {
    let series = &key.series;
    [
        ("interval", series.interval.to_string()),
        ("ticker", series.ticker.to_string()),
        ("year", key.year.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Some(value)))
    .collect()
}

//! Decides what happens to a partition: from the log's tags alone where they show it.

use std::collections::HashMap;

use uuid::Uuid;

use super::delta::action::Add;
use super::delta::snapshot::Snapshot;
use super::identity;
use super::source::Local;
use crate::model::SeriesKey;
use crate::store::PartitionKey;

/// What happens to a partition.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The table has its rows.
    Unchanged,
    /// It becomes the partition's file, instead of these.
    Publish(Vec<Add>),
    /// The table's files must be read: they have rows of others, or nothing is known of them.
    Compare(Vec<Add>),
    /// A later state of this store, or of a copy of it, was pushed.
    Newer { commit_seq: u64 },
}

/// How a commit in the log relates to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The run's state of the store includes it.
    Past,
    /// The store has it now, after the state that the run reads.
    Later,
    /// The store doesn't have it.
    Never,
}

/// The table's files by partition.
#[derive(Default)]
pub struct Files<'a> {
    by_partition: HashMap<PartitionKey, Vec<&'a Add>>,
    provenances: HashMap<SeriesKey, &'a str>,
}

impl<'a> Files<'a> {
    #[must_use]
    pub fn of(snapshot: Option<&'a Snapshot>) -> Self {
        let mut files = Self::default();
        for add in snapshot.iter().flat_map(|snapshot| snapshot.live.values()) {
            let Some(key) = identity::partition(add) else {
                continue;
            };
            if let Some(provenance) = identity::provenance(add) {
                files.provenances.insert(key.series.clone(), provenance);
            }
            files.by_partition.entry(key).or_default().push(add);
        }
        for adds in files.by_partition.values_mut() {
            adds.sort_by(|a, b| {
                (a.modification_time, &a.path).cmp(&(b.modification_time, &b.path))
            });
        }
        files
    }

    /// The files of a partition, oldest first.
    #[must_use]
    pub fn get(&self, key: &PartitionKey) -> &[&'a Add] {
        self.by_partition.get(key).map_or(&[], Vec::as_slice)
    }

    /// The provenance that the table has for a series.
    #[must_use]
    pub fn provenance(&self, series: &SeriesKey) -> Option<&'a str> {
        self.provenances.get(series).copied()
    }

    /// The commits of a store that the files of these partitions name.
    pub fn commits<'k>(
        &self,
        store: Uuid,
        keys: impl Iterator<Item = &'k PartitionKey>,
    ) -> Vec<(u64, Uuid)> {
        let adds = keys.flat_map(|key| self.get(key));
        let mut commits: Vec<_> = adds
            .filter_map(|add| identity::contributions(add).remove(&store))
            .map(|part| (part.commit_seq, part.commit_id))
            .collect();
        commits.sort_unstable();
        commits.dedup();
        commits
    }
}

/// What happens to `local`, whose partition has these `files` in the table.
pub fn decide(
    local: &Local,
    files: &[&Add],
    store: Uuid,
    known: impl Fn(u64, Uuid) -> Known,
    full: bool,
) -> Decision {
    let owned = || files.iter().map(|add| (*add).clone()).collect();
    let [add] = files else {
        return match files.is_empty() {
            true => Decision::Publish(Vec::new()),
            false => Decision::Compare(owned()),
        };
    };
    let contributions = identity::contributions(add);
    // The hash covers the rows, so equal rows of another store are these rows: a repaired store has a new id.
    let has_rows = contributions
        .values()
        .any(|part| part.row_hash == local.file.row_hash);
    if has_rows && !full {
        return Decision::Unchanged;
    }
    let Some(own) = contributions.get(&store) else {
        return Decision::Compare(owned());
    };
    if has_rows {
        return Decision::Compare(owned());
    }
    // The file is compared if others have rows in it: they may not be in the new one.
    let others = contributions.keys().any(|id| *id != store);
    match known(own.commit_seq, own.commit_id) {
        Known::Past if own.wrote && !others && !full => Decision::Publish(owned()),
        Known::Past => Decision::Compare(owned()),
        // The push of the later state had these rows.
        Known::Later => Decision::Unchanged,
        Known::Never => Decision::Newer {
            commit_seq: own.commit_seq,
        },
    }
}

//! Decides what happens to a partition: from the log's tags alone where they show it.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::delta::action::{Action, Add};
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
pub struct Files {
    by_partition: HashMap<PartitionKey, Vec<Arc<Add>>>,
    provenances: HashMap<SeriesKey, String>,
}

impl Files {
    #[must_use]
    pub fn of(snapshot: Option<&Snapshot>) -> Self {
        let mut files = Self::default();
        for add in snapshot.iter().flat_map(|snapshot| snapshot.live.values()) {
            files.insert(add);
        }
        files
    }

    /// Follows a commit of this program, which `snapshot` has already. So a push of many commits indexes each
    /// file once.
    pub fn follow(&mut self, commit: &[Action], snapshot: &Snapshot) {
        for remove in commit.iter().filter_map(|action| action.remove.as_ref()) {
            let key = remove.partition_values.as_ref().and_then(identity::key_of);
            self.forget(key, &remove.path);
        }
        for add in commit.iter().filter_map(|action| action.add.as_ref()) {
            self.forget(identity::partition(add), &add.path);
            if let Some(add) = snapshot.file(&add.path) {
                self.insert(add);
            }
        }
    }

    fn forget(&mut self, key: Option<PartitionKey>, path: &str) {
        if let Some(adds) = key.and_then(|key| self.by_partition.get_mut(&key)) {
            adds.retain(|add| add.path != path);
        }
    }

    fn insert(&mut self, add: &Arc<Add>) {
        let Some(key) = identity::partition(add) else {
            return;
        };
        if let Some(provenance) = identity::provenance(add) {
            let series = key.series.clone();
            self.provenances.insert(series, provenance.to_owned());
        }
        let adds = self.by_partition.entry(key).or_default();
        let is_older = |other: &Arc<Add>| {
            (other.modification_time, &other.path) < (add.modification_time, &add.path)
        };
        let at = adds.partition_point(is_older);
        adds.insert(at, Arc::clone(add));
    }

    /// The files of a partition, oldest first.
    #[must_use]
    pub fn get(&self, key: &PartitionKey) -> &[Arc<Add>] {
        self.by_partition.get(key).map_or(&[], Vec::as_slice)
    }

    /// The provenance that the table has for a series.
    #[must_use]
    pub fn provenance(&self, series: &SeriesKey) -> Option<&str> {
        self.provenances.get(series).map(String::as_str)
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
    files: &[Arc<Add>],
    store: Uuid,
    known: impl Fn(u64, Uuid) -> Known,
    full: bool,
) -> Decision {
    let owned = || files.iter().map(|add| Add::clone(add)).collect();
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

//! What all parts of a run share.

use std::collections::HashMap;
use std::future::Future;

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::compare;
use super::error::Error;
use super::plan::{Decision, Files, Known, decide};
use super::settings::Settings;
use super::source::{self, Local};
use crate::report::{Observer, Stop};
use crate::store::{PartitionKey, Reader};

/// What all parts of a run share.
pub struct RunContext<'a> {
    pub reader: &'a Reader,
    pub settings: &'a Settings,
    pub stop: &'a Stop,
    pub observer: &'a dyn Observer,
    /// Uploads and comparisons at the same time, in all commits.
    pub slots: Semaphore,
}

/// How the commits in the log relate to the store.
pub type KnownCommits = HashMap<(u64, Uuid), Known>;

impl RunContext<'_> {
    /// The time of day, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        (self.settings.clock)().micros() / 1_000
    }

    /// Does `work`, unless the run is stopped first.
    pub async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            done = work => done,
            () = self.stop.wait() => Err(Error::interrupted()),
        }
    }

    /// Looks up the commits that the files of these partitions name as this store's.
    pub fn known<'k>(
        &self,
        files: &Files,
        keys: impl Iterator<Item = &'k PartitionKey>,
    ) -> Result<KnownCommits, Error> {
        let commits = files.commits(self.reader.store_id(), keys);
        let seqs = |commits: &[(u64, Uuid)]| -> Vec<u64> {
            let mut seqs: Vec<u64> = commits.iter().map(|(seq, _)| *seq).collect();
            seqs.dedup();
            seqs
        };
        let ids = source::commit_ids(self.reader, &seqs(&commits))?;
        let (past, other): (Vec<_>, Vec<_>) =
            (commits.into_iter()).partition(|(seq, id)| ids.get(seq) == Some(id));
        let mut known: KnownCommits = past.into_iter().map(|one| (one, Known::Past)).collect();
        if !other.is_empty() {
            let now = source::commit_ids_now(self.reader, &seqs(&other))?;
            known.extend(
                other
                    .into_iter()
                    .map(|(seq, id)| match now.get(&seq) == Some(&id) {
                        true => ((seq, id), Known::Later),
                        false => ((seq, id), Known::Never),
                    }),
            );
        }
        Ok(known)
    }

    /// What happens to a partition.
    pub fn decide(&self, files: &Files, known: &KnownCommits, local: &Local) -> Decision {
        let known = |seq, id| known.get(&(seq, id)).copied().unwrap_or(Known::Never);
        let of_partition = files.get(&local.file.key);
        decide(
            local,
            of_partition,
            self.reader.store_id(),
            known,
            self.settings.full,
        )
    }

    /// Why a partition can't be in the table, if its series has another provenance there.
    pub fn provenance_error(&self, files: &Files, local: &Local) -> Option<Error> {
        let theirs = files.provenance(&local.file.key.series)?;
        let own = super::identity::provenance_text(&local.provenance);
        (theirs != own).then(|| compare::other_provenance(local, theirs))
    }
}

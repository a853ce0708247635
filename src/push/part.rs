//! What happens to one partition: its upload, and what the commit gets.

use bytes::Bytes;

use super::compare::{Compared, Rules, compare};
use super::delta::action::Add;
use super::error::Error;
use super::identity::{self, Contributions};
use super::source::Local;
use super::storage::Storage;
use super::upload::{self, NewFile};
use crate::advice::PushAdvice;
use crate::model::{OnConflict, Timestamp};
use crate::report::Counts;
use crate::store::TableTally;

/// What happened to one partition.
#[derive(Clone)]
pub struct Part {
    pub outcome: Outcome,
    pub counts: Counts,
}

#[derive(Clone)]
pub enum Outcome {
    Unchanged,
    /// The commit gets this entry instead of these.
    Write {
        add: Add,
        removes: Vec<Add>,
        /// Whether the table's rows change. An entry that only gets tags doesn't change them.
        data_change: bool,
    },
    /// The policy refuses it, or it failed.
    Refused(Error),
}

/// What all partitions of a run need.
#[derive(Clone)]
pub struct Work {
    /// `None` in a dry run without a target.
    pub store: Option<Storage>,
    pub rules: Rules,
    pub dry_run: bool,
    pub part_bytes: usize,
    pub now_ms: i64,
}

impl Part {
    pub fn unchanged(local: &Local) -> Self {
        let rows = local.file.rows;
        Self {
            outcome: Outcome::Unchanged,
            counts: Counts {
                fetched: rows,
                prepared: rows,
                skipped_identical: rows,
                unchanged: 1,
                ..Counts::default()
            },
        }
    }

    /// It isn't written because of `error`.
    pub fn refused(local: &Local, error: Error, conflicts: u64) -> Self {
        let rows = local.file.rows;
        Self {
            outcome: Outcome::Refused(error),
            counts: Counts {
                fetched: rows,
                prepared: rows,
                conflicts,
                ..Counts::default()
            },
        }
    }
}

impl Work {
    /// Uploads the store's partition as it is, instead of files that have no rows of other writers.
    pub async fn publish(&self, local: &Local, removes: Vec<Add>) -> Result<Part, Error> {
        self.publish_with(local, removes, Contributions::new())
            .await
    }

    /// Uploads the store's partition, which has the rows of these stores too.
    async fn publish_with(
        &self,
        local: &Local,
        removes: Vec<Add>,
        mut contributions: Contributions,
    ) -> Result<Part, Error> {
        let file = &local.file;
        let bytes = upload::read(file).await?;
        let own = identity::own(file);
        contributions.insert(self.rules.store_id, own);
        let new = New {
            bytes,
            rows: file.rows,
            bounds: (file.first, file.last),
        };
        let counts = Counts {
            committed: file.rows,
            ..Counts::default()
        };
        self.write(local, new, &contributions, removes, counts, true)
            .await
    }

    /// Reads the table's files, and merges them with the partition if needed.
    pub async fn compare(&self, local: &Local, files: Vec<Add>) -> Result<Part, Error> {
        let Some(store) = &self.store else {
            return Ok(Part::unchanged(local));
        };
        match compare(store, local, &files, self.rules).await? {
            Compared::Unchanged(tally) => Ok(same(local, tally, Outcome::Unchanged)),
            Compared::Adopt(contributions, tally) => {
                let mut files = files;
                let Some(mut add) = files.pop() else {
                    return Ok(Part::unchanged(local));
                };
                add.tags = Some(identity::tags(&contributions, &local.provenance));
                add.data_change = false;
                let outcome = Outcome::Write {
                    add,
                    removes: Vec::new(),
                    data_change: false,
                };
                Ok(same(local, tally, outcome))
            }
            Compared::Own { keeps: false } => self.publish(local, files).await,
            Compared::Own { keeps: true } => {
                // Stores that found their rows in the old file find them in the new one.
                let others = files.iter().flat_map(identity::contributions).collect();
                self.publish_with(local, files, others).await
            }
            Compared::Refused(tally) => Ok(refused(local, tally)),
            Compared::Merged(merged, contributions, tally) => {
                let updates = self.rules.on_conflict == OnConflict::Update;
                let updated = if updates { tally.restated } else { 0 };
                let counts = Counts {
                    committed: tally.new + updated,
                    updated,
                    skipped_identical: tally.identical,
                    skipped_restated: tally.restated - updated,
                    ..Counts::default()
                };
                let new = New {
                    bytes: merged.bytes.into(),
                    rows: merged.rows,
                    bounds: (merged.first, merged.last),
                };
                let changes = counts.committed + tally.repeated > 0;
                self.write(local, new, &contributions, files, counts, changes)
                    .await
            }
        }
    }

    async fn write(
        &self,
        local: &Local,
        new: New,
        contributions: &Contributions,
        removes: Vec<Add>,
        counts: Counts,
        data_change: bool,
    ) -> Result<Part, Error> {
        let key = &local.file.key;
        let name = upload::new_name(key);
        let bytes = new.bytes.len() as u64;
        if let Some(store) = self.store.clone().filter(|_| !self.dry_run) {
            let (name, part_bytes) = (name.clone(), self.part_bytes);
            // A task of its own: signing hashes all bytes.
            let put = async move { upload::put(&store, &name, new.bytes, part_bytes).await };
            let done = tokio::spawn(put).await;
            done.map_err(|error| {
                Error::new(
                    super::error::ErrorKind::Target,
                    format!("an upload failed: {error}"),
                )
            })??;
            crate::crash_point!("push.after-upload");
        }
        let file = NewFile {
            key,
            name: &name,
            bytes,
            rows: new.rows,
            first: new.bounds.0,
            last: new.bounds.1,
            contributions,
            provenance: &local.provenance,
        };
        let mut add = file.add(self.now_ms);
        add.data_change = data_change;
        Ok(Part {
            outcome: Outcome::Write {
                add,
                removes,
                data_change,
            },
            counts: Counts {
                fetched: local.file.rows,
                prepared: local.file.rows,
                files: 1,
                bytes,
                ..counts
            },
        })
    }
}

/// The content of a new file.
struct New {
    bytes: Bytes,
    rows: u64,
    bounds: (Timestamp, Timestamp),
}

/// A partition whose rows the table has, or that it keeps with other values.
fn same(local: &Local, tally: TableTally, outcome: Outcome) -> Part {
    let mut part = Part::unchanged(local);
    part.counts.skipped_identical -= tally.restated;
    part.counts.skipped_restated = tally.restated;
    part.outcome = outcome;
    part
}

/// The rows differ from another's, and the policy is `fail`.
fn refused(local: &Local, tally: TableTally) -> Part {
    let first = tally
        .first
        .map_or_else(String::new, |first| format!(", the first at {first}"));
    let repeated = match tally.repeated {
        0 => String::new(),
        rows => format!("; it has {rows} rows with the timestamp of another"),
    };
    let message = format!(
        "others wrote {} in the table, which lacks {} of the store's bars and has other values for {}{first}{repeated}",
        local.file.key, tally.new, tally.restated
    );
    let error = Error::new(super::error::ErrorKind::Conflict, message);
    let error = error.with_hint(PushAdvice::TableConflict);
    Part::refused(local, error, tally.new + tally.restated + tally.repeated)
}

//! One chunk, one transaction.
//!
//! ```text
//! BEGIN ─ lock and read the progress row ─ is any of it there?
//!           ├─ no:  COPY BINARY straight into the table
//!           └─ yes: read it back, merge here, COPY the new, UPDATE the restated
//!         ─ receipt ─ move the progress ─ COMMIT
//! ```
//!
//! A unique violation means that another writer came in between: all is rolled back and begun again from the look. After
//! three losses the rows go through a temporary table and ON CONFLICT.

use tokio::try_join;
use tokio_postgres::error::SqlState;

use super::chunk::Chunk;
use super::errors::{Class, Error, classify};
use super::link::Link;
use super::progress::{self, Progress, ProgressTable};
use super::receipt::Receipt;
use super::target::Target;
use crate::model::{OnConflict, SeriesKey};

/// Unique violations before the detour over a temporary table.
const LOSSES_MAX: u32 = 3;
/// Statements that may be met on the server under the name that the client library chose: it takes the next one then.
const NAMES_MAX: u32 = 1_000;
/// What became of a chunk in the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub inserted: u64,
    pub updated: u64,
    pub identical: u64,
    pub restated: u64,
}

/// How a chunk ended, where it did not fail.
pub(super) enum Sent {
    /// It is there, durably.
    Committed(Tally),
    /// The progress is not where it was thought to be: another sync of the series moved it. Nothing was written.
    Moved(Option<Progress>),
    /// The table is another one, or was emptied. Nothing was written.
    Replaced {
        /// Its object id now.
        oid: i64,
        /// Its file now.
        filenode: i64,
    },
}

/// A COMMIT whose answer is not known, and what it would have done.
#[derive(Clone, Copy, Debug)]
pub(super) struct InDoubt {
    pub txid: i64,
    pub tally: Tally,
    pub rows: u64,
    pub next: Option<Progress>,
    pub through: Option<i64>,
}

/// What to do with a chunk.
pub(super) struct Job<'a> {
    pub target: &'a Target,
    pub progress_table: &'a ProgressTable,
    pub series: &'a SeriesKey,
    /// The bars; none where only the progress moves.
    pub chunk: &'a Chunk,
    /// Where the progress is thought to be.
    pub expected: Progress,
    /// Where it goes; `None` leaves it.
    pub next: Option<Progress>,
    /// The table's identity that the progress speaks of.
    pub identity: (i64, i64),
    pub on_conflict: OnConflict,
    pub receipt: Receipt,
}

impl Job<'_> {
    /// Where the progress goes if the chunk ended as `tally`.
    pub(super) fn next_after(&self, tally: &Tally) -> Option<Progress> {
        self.next.map(|next| Progress {
            kept: next.kept + tally.restated as i64,
            ..next
        })
    }
}

/// A connection and what is not known of it.
pub(super) struct Session<'a> {
    pub link: Link<'a>,
    /// Set while a COMMIT is under way.
    pub in_doubt: Option<InDoubt>,
}

impl<'a> Session<'a> {
    pub(super) fn new(link: Link<'a>) -> Self {
        Self {
            link,
            in_doubt: None,
        }
    }

    /// Sends a chunk. After an error the transaction is rolled back, where the connection still stands.
    pub(super) async fn send(&mut self, job: &Job<'_>) -> Result<Sent, Error> {
        let mut losses = 0;
        let mut names = 0;
        loop {
            let result = self.try_send(job, losses >= LOSSES_MAX).await;
            if !matches!(result, Ok(Sent::Committed(_))) && self.in_doubt.is_none() {
                self.link.rollback().await;
            }
            match result {
                Err(error) if losses < LOSSES_MAX && is_loss(&error) => losses += 1,
                Err(error) if names < NAMES_MAX && is_taken_name(&error) => names += 1,
                other => return other,
            }
        }
    }

    async fn try_send(&mut self, job: &Job<'_>, detour: bool) -> Result<Sent, Error> {
        let look = look_sql(job);
        let lock = job.progress_table.lock_sql(job.target, job.series);
        let client = self.link.client();
        // One round trip: the server takes them one after the other.
        let answers = async {
            try_join!(
                biased;
                self.link.begin_unwatched(),
                async {
                    let locked = client.query_typed_opt(&lock, &[]).await;
                    locked.map_err(|source| job.progress_table.rights(source))
                },
                async {
                    let looked = client.query_typed_opt(&look, &[]).await;
                    looked.map_err(Error::database("looking at the target table"))
                },
            )
        };
        let doing = "locking the progress and the target table";
        let ((), locked, looked) = self.link.wait_all(doing, answers).await?;
        let found = locked.as_ref().and_then(progress::read);
        let (Some(locked), Some(found)) = (locked, found) else {
            return Ok(Sent::Moved(None));
        };
        if found != job.expected {
            return Ok(Sent::Moved(Some(found)));
        }
        // An empty table takes another zone, and another sync may have chosen one since.
        if let Some(ours) = job.target.clock.zone_name()
            && let Some(zone) = locked.get::<_, Option<String>>(progress::COLUMN_COUNT + 1)
            && zone != ours
        {
            return Err(Error::OtherZone {
                table: job.target.table.clone(),
                remembered: vec![zone],
                given: ours.to_owned(),
            });
        }
        let txid: i64 = locked.get(progress::COLUMN_COUNT);
        let identity = looked
            .as_ref()
            .map_or((0, 0), |row| (row.get(0), row.get(1)));
        if identity != job.identity {
            return Ok(Sent::Replaced {
                oid: identity.0,
                filenode: identity.1,
            });
        }
        let occupied = looked.is_some_and(|row| row.get(2));
        let tally = self.write(job, occupied, detour).await?;
        crate::crash_point!("sync.before-commit");
        self.commit(job, txid, tally).await?;
        crate::crash_point!("sync.after-commit");
        Ok(Sent::Committed(tally))
    }

    /// Moves the progress and commits. From here to its end the outcome is in doubt.
    async fn commit(&mut self, job: &Job<'_>, txid: i64, tally: Tally) -> Result<(), Error> {
        self.in_doubt = Some(InDoubt {
            txid,
            tally,
            rows: job.chunk.len() as u64,
            next: job.next_after(&tally),
            through: job.chunk.instants.last().copied(),
        });
        let moving = job
            .next_after(&tally)
            .map(|next| job.progress_table.move_sql(job.target, job.series, &next));
        let client = self.link.client();
        let moved = async {
            match &moving {
                Some(sql) => client
                    .execute_typed(sql, &[])
                    .await
                    .map_err(|source| job.progress_table.rights(source)),
                None => Ok(1),
            }
        };
        // A failed UPDATE makes the COMMIT after it a ROLLBACK.
        let committed = async {
            let committed = client.batch_execute("COMMIT").await;
            committed.map_err(Error::database("committing"))
        };
        let answers = async { try_join!(biased; moved, committed) };
        let result = self.link.wait_commit(answers).await;
        // What the server refused did not happen; but a server that is going down may have committed before.
        let refused = matches!(
            &result,
            Err(error) if error.is_answer() && classify(error) != Class::Reconnect
        );
        if result.is_ok() || refused {
            self.in_doubt = None;
        }
        result.map(|_| ())
    }
}

/// Whether the name of a statement means another one on the server that a pooler chose.
fn is_taken_name(error: &Error) -> bool {
    error
        .database_source()
        .and_then(tokio_postgres::Error::code)
        .is_some_and(|code| *code == SqlState::DUPLICATE_PSTATEMENT)
}

/// Looks what the table is and whether any row stands in the chunk's range. The table is locked from here on, so it
/// stays the same until the end.
fn look_sql(job: &Job<'_>) -> String {
    let occupied = match (job.chunk.times.first(), job.chunk.times.last()) {
        (Some(&first), Some(&last)) => format!(
            "EXISTS (SELECT 1 FROM {} WHERE {})",
            job.target.table,
            job.target
                .range_sql(job.series.ticker.as_str(), first, last)
        ),
        _ => format!("EXISTS (SELECT 1 FROM {} WHERE false)", job.target.table),
    };
    identity_sql(job.target, &occupied)
}

/// SQL for a table's object id and file, and one thing more.
pub(super) fn identity_sql(target: &Target, more: &str) -> String {
    format!(
        "SELECT c.oid::int8, coalesce(pg_relation_filenode(c.oid), 0)::int8, {more} \
         FROM pg_class c WHERE c.oid = to_regclass({})",
        super::target::literal(&target.table)
    )
}

/// Whether another writer came in between: a key that was not there, or a row that is no longer there.
fn is_loss(error: &Error) -> bool {
    error
        .database_source()
        .and_then(tokio_postgres::Error::code)
        .is_some_and(|code| *code == SqlState::UNIQUE_VIOLATION)
}

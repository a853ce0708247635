//! One chunk, one transaction.
//!
//! ```text
//! BEGIN ─ lock and read the progress row ─ does the table have rows in the chunk's range?
//!           ├─ no:  COPY BINARY into the table
//!           └─ yes: read them, compare here, COPY the new, UPDATE the restated
//!         ─ check delivery ─ move the progress ─ COMMIT
//! ```
//!
//! After a unique violation, which means another writer, the transaction is rolled back and
//! repeated. After three of them the rows go through a temporary table and ON CONFLICT.

use tokio::try_join;
use tokio_postgres::error::SqlState;

use super::error::{failed, sql_state};
use super::job::Job;
use super::link::Link;
use super::progress::{self, PgTable};
use super::sql::literal;
use super::write::{COPYING, copy_sql, write};
use super::zone::other_zone;
use crate::model::SeriesKey;
use crate::sync::error::{Error, ErrorKind, Retry};
use crate::sync::target::{Epoch, Outcome, Tally, TransactionId, Written};

/// Unique violations before the rows go through a temporary table.
const KEY_CONFLICTS_MAX: u32 = 3;
/// How often the client library's next statement name may be taken on the server. It uses another
/// one each time.
const NAMES_MAX: u32 = 1_000;

/// Sends a chunk. Unless it was committed, or may have been, its transaction is rolled back.
pub(super) async fn send(link: &Link<'_>, job: &Job<'_>) -> Result<Written, Error> {
    let mut key_conflicts = 0;
    let mut names = 0;
    loop {
        let via_temp_table = key_conflicts >= KEY_CONFLICTS_MAX;
        let result = try_send(link, job, via_temp_table).await;
        if !matches!(result, Ok(Written::Committed(_) | Written::Unknown { .. })) {
            link.rollback().await;
        }
        match result.as_ref().err().and_then(sql_state) {
            Some(code) if *code == SqlState::UNIQUE_VIOLATION && !via_temp_table => {
                key_conflicts += 1;
            }
            // Another program's statement has the name, on the server that a pooler chose.
            Some(code) if *code == SqlState::DUPLICATE_PSTATEMENT && names < NAMES_MAX => {
                names += 1;
            }
            _ => return result,
        }
    }
}

async fn try_send(link: &Link<'_>, job: &Job<'_>, via_temp_table: bool) -> Result<Written, Error> {
    let bars = &job.table.bars;
    let look = look_sql(job);
    let lock = job.table.lock_sql(job.write.series);
    let copy = (!via_temp_table && !job.chunk().is_empty()).then(|| copy_sql(job, &bars.name));
    let client = link.client();
    // One round trip: the server executes them one after the other.
    let responses = async {
        try_join!(
            biased;
            link.begin_together(),
            async {
                let locked = client.query_typed_opt(&lock, &[]).await;
                let locked = locked.map_err(failed(progress::READING));
                locked.map_err(|error| job.table.progress.explain(error))
            },
            async {
                let looked = client.query_typed_opt(&look, &[]).await;
                looked.map_err(failed("looking at the target table"))
            },
            async {
                let Some(copy) = &copy else {
                    return Ok(None);
                };
                let prepared = client.prepare(copy).await.map_err(failed(COPYING))?;
                Ok(Some(prepared))
            },
        )
    };
    let doing = "locking the progress and the target table";
    let ((), locked, looked, into_table) = link.wait_all(doing, responses).await?;
    let found = locked.as_ref().and_then(progress::read);
    let (Some(locked), Some(found)) = (locked, found) else {
        return Ok(Written::Moved(None));
    };
    if found != job.write.expected {
        return Ok(Written::Moved(Some(found)));
    }
    // Another sync may have recorded a zone since this run started, if the table was empty.
    if let Some(ours) = bars.clock.zone_name()
        && let Some(zone) = locked.get::<_, Option<String>>(progress::COLUMN_COUNT + 1)
        && zone != ours
    {
        return Err(other_zone(&bars.name, &[zone], ours));
    }
    let transaction = TransactionId(locked.get(progress::COLUMN_COUNT));
    let epoch = looked
        .as_ref()
        .map_or(Epoch::default(), |row| Epoch([row.get(0), row.get(1)]));
    if epoch != job.write.epoch {
        let Epoch([oid, _]) = epoch;
        if oid == bars.oid {
            return Ok(Written::Emptied(epoch));
        }
        let message = format!("table {} was replaced during the sync", bars.name);
        let hint = "sync again: all bars go into the new table";
        return Err(Error::new(ErrorKind::Replaced, message).with_hint(hint));
    }
    let occupied = looked.is_some_and(|row| row.get(2));
    let tally = write(link, job, occupied, into_table).await?;
    crate::crash_point!("sync.before-commit");
    let written = commit(link, job, transaction, tally).await?;
    crate::crash_point!("sync.after-commit");
    Ok(written)
}

/// Moves the progress and commits.
async fn commit(
    link: &Link<'_>,
    job: &Job<'_>,
    transaction: TransactionId,
    tally: Tally,
) -> Result<Written, Error> {
    let next = job.write.next_after(&tally);
    let moving = next.map(|next| job.table.move_sql(job.write.series, &next));
    let client = link.client();
    let moved = async {
        let Some(sql) = &moving else {
            return Ok(1);
        };
        let moved = client.execute_typed(sql, &[]).await;
        let moved = moved.map_err(failed(progress::READING));
        moved.map_err(|error| job.table.progress.explain(error))
    };
    // If the UPDATE fails, the server makes the COMMIT a ROLLBACK.
    let committed = async {
        let committed = client.batch_execute("COMMIT").await;
        committed.map_err(failed("committing"))
    };
    let responses = async { try_join!(biased; moved, committed) };
    let Err(error) = link.wait_commit(responses).await else {
        return Ok(Written::Committed(tally));
    };
    // What the server refused did not happen. But a server that stops may have committed first.
    let no_reply = matches!(error.kind(), ErrorKind::NoResponse | ErrorKind::Interrupted);
    if no_reply || error.retry() == Retry::NewConnection {
        return Ok(Written::Unknown {
            transaction,
            tally,
            error,
        });
    }
    Err(error)
}

/// SQL for the table's object id, its file, and whether it has rows in the chunk's range. It locks
/// the table until the end of the transaction, so that it stays the same.
fn look_sql(job: &Job<'_>) -> String {
    let bars = &job.table.bars;
    let range = match (job.times.first(), job.times.last()) {
        (Some(&first), Some(&last)) => bars.range_sql(job.ticker(), first, last),
        _ => "false".to_owned(),
    };
    format!(
        "SELECT c.oid::int8, coalesce(pg_relation_filenode(c.oid), 0)::int8, \
         EXISTS (SELECT 1 FROM {} WHERE {range}) FROM pg_class c WHERE c.oid = to_regclass({})",
        bars.name,
        literal(&bars.name)
    )
}

/// Finds out whether a transaction was committed. The lock waits until it is over.
pub(super) async fn outcome(
    link: &Link<'_>,
    table: &PgTable,
    series: &SeriesKey,
    transaction: TransactionId,
) -> Result<Outcome, Error> {
    let doing = "finding out whether a commit succeeded";
    link.begin().await?;
    let row = link.opt(doing, &table.lock_sql(series), &[]).await;
    let row = row.map_err(|error| table.progress.explain(error))?;
    let status = format!("SELECT txid_status({})", transaction.0);
    let status: Option<String> = link.one(doing, &status, &[]).await?.get(0);
    link.rollback().await;
    Ok(Outcome {
        committed: status.map(|status| status == "committed"),
        progress: row.as_ref().and_then(progress::read),
    })
}

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

use std::io::Cursor;
use std::pin::pin;

use futures_util::{SinkExt, TryStreamExt};
use tokio::try_join;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Row, Statement};

use super::chunk::{Chunk, misfit};
use super::column::time_text;
use super::copy::{Merger, Reader, Standing, Writer};
use super::errors::{Class, Error, classify};
use super::progress::{self, Progress, ProgressTable};
use super::receipt::{self, Receipt};
use super::target::{NumberColumn, Target, quote};
use crate::model::{OnConflict, SeriesKey};

/// Bytes gathered before they are handed to the connection.
const COPY_BUFFER_BYTES: usize = 128 * 1024;
/// Unique violations before the detour over a temporary table.
const LOSSES_MAX: u32 = 3;
/// From this many places for a bar for each bar on, rows are read back one by one rather than as a range.
const SPARSE_FACTOR: i64 = 64;

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

/// A connection and what is prepared on it.
pub(super) struct Session {
    pub client: Client,
    /// The COPY statement, by table and columns.
    copy_in: Option<(String, Statement)>,
    /// Set while a COMMIT is under way.
    pub in_doubt: Option<InDoubt>,
}

impl Session {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            copy_in: None,
            in_doubt: None,
        }
    }

    /// Sends a chunk. After an error the transaction is rolled back, where the connection still stands.
    pub(super) async fn send(&mut self, job: &Job<'_>) -> Result<Sent, Error> {
        let mut losses = 0;
        loop {
            let result = self.try_send(job, losses >= LOSSES_MAX).await;
            if !matches!(result, Ok(Sent::Committed(_))) && self.in_doubt.is_none() {
                let _ = self.client.batch_execute("ROLLBACK").await;
            }
            match result {
                Err(error) if losses < LOSSES_MAX && is_loss(&error) => losses += 1,
                other => return other,
            }
        }
    }

    async fn try_send(&mut self, job: &Job<'_>, detour: bool) -> Result<Sent, Error> {
        let look = look_sql(job);
        let lock = job.progress_table.lock_sql(job.target, job.series);
        // One round trip: the server takes them one after the other.
        let (_, locked, looked) = try_join!(
            biased;
            async {
                self.client
                    .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
                    .await
                    .map_err(Error::database("beginning a transaction"))
            },
            async {
                self.client
                    .query_typed_opt(&lock, &[])
                    .await
                    .map_err(|source| job.progress_table.rights(source))
            },
            async {
                self.client
                    .query_typed_opt(&look, &[])
                    .await
                    .map_err(Error::database("looking at the target table"))
            },
        )?;
        let found = locked.as_ref().and_then(progress::read);
        let (Some(locked), Some(found)) = (locked, found) else {
            return Ok(Sent::Moved(None));
        };
        if found != job.expected {
            return Ok(Sent::Moved(Some(found)));
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
        self.commit(job, txid, tally).await?;
        Ok(Sent::Committed(tally))
    }

    /// Writes the chunk's rows and checks that they arrived.
    async fn write(&mut self, job: &Job<'_>, occupied: bool, detour: bool) -> Result<Tally, Error> {
        let chunk = job.chunk;
        if chunk.len() == 0 {
            return Ok(Tally::default());
        }
        let all: Vec<usize> = (0..chunk.len()).collect();
        if !occupied && !detour {
            let inserted = self.copy(job, &all, None).await?;
            let tally = Tally {
                inserted,
                ..Tally::default()
            };
            self.check_sum(job, &all, true).await?;
            return Ok(tally);
        }
        let mut standing = read_back(&self.client, job).await?;
        refuse_restated(job, &standing)?;
        let mut inserted = rows_that_are(&standing, Standing::New);
        if detour {
            let wanted = inserted;
            inserted = self.insert_around(job, &wanted).await?;
            if inserted.len() < wanted.len() {
                // Somebody else's rows came first. They are there now: look what they hold.
                standing = read_back(&self.client, job).await?;
                inserted
                    .iter()
                    .for_each(|&row| standing[row] = Standing::New);
                refuse_restated(job, &standing)?;
            }
        } else if !inserted.is_empty() {
            self.copy(job, &inserted, None).await?;
        }
        let restated = rows_that_are(&standing, Standing::Restated);
        let mut tally = Tally {
            inserted: inserted.len() as u64,
            identical: rows_that_are(&standing, Standing::Identical).len() as u64,
            ..Tally::default()
        };
        if job.on_conflict == OnConflict::Update && !restated.is_empty() {
            self.update(job, &restated).await?;
            tally.updated = restated.len() as u64;
        } else {
            tally.restated = restated.len() as u64;
        }
        let skipped = job.on_conflict == OnConflict::Ignore;
        let summed: Vec<usize> = all
            .into_iter()
            .filter(|&row| !(skipped && standing[row] == Standing::Restated))
            .collect();
        self.check_sum(job, &summed, false).await?;
        Ok(tally)
    }

    async fn check_sum(&self, job: &Job<'_>, rows: &[usize], alone: bool) -> Result<(), Error> {
        if job.receipt != Receipt::Checksum {
            return Ok(());
        }
        receipt::compare(&self.client, job.target, job.series, job.chunk, rows, alone).await
    }

    /// COPYs rows of the chunk into the table, or into `instead`. Returns how many the server says it took.
    async fn copy(
        &mut self,
        job: &Job<'_>,
        rows: &[usize],
        instead: Option<&str>,
    ) -> Result<u64, Error> {
        let table = instead.unwrap_or(&job.target.table);
        let sql = format!(
            "COPY {table} ({}) FROM STDIN (FORMAT binary)",
            job.target.written_columns()
        );
        let failed = Error::database("copying rows in");
        let statement = match &self.copy_in {
            Some((prepared, statement)) if *prepared == sql => statement.clone(),
            _ => {
                let statement = self.client.prepare(&sql).await.map_err(&failed)?;
                self.copy_in = Some((sql, statement.clone()));
                statement
            }
        };
        let sink = self
            .client
            .copy_in::<_, Cursor<Vec<u8>>>(&statement)
            .await
            .map_err(&failed)?;
        let mut sink = pin!(sink);
        let writer = Writer::new(job.target, job.series, job.chunk);
        let mut buffer = Vec::with_capacity(COPY_BUFFER_BYTES + 512);
        writer.header(&mut buffer);
        let mut cut = false;
        for &row in rows {
            // An error here drops the sink, which tells the server to forget the COPY.
            writer.row(row, &mut buffer)?;
            if buffer.len() >= COPY_BUFFER_BYTES {
                let full =
                    std::mem::replace(&mut buffer, Vec::with_capacity(COPY_BUFFER_BYTES + 512));
                if sink.feed(Cursor::new(full)).await.is_err() {
                    // The server's reason comes with the end.
                    cut = true;
                    break;
                }
            }
        }
        if !cut {
            writer.trailer(&mut buffer);
            let _ = sink.feed(Cursor::new(buffer)).await;
        }
        let took = sink.finish().await.map_err(&failed)?;
        if took != rows.len() as u64 && job.receipt != Receipt::None {
            return Err(Error::Receipt {
                series: job.series.clone(),
                table: job.target.table.clone(),
                sent: rows.len() as u64,
                took,
                first: job.chunk.at(rows[0]),
            });
        }
        Ok(took)
    }

    /// Inserts rows by way of a temporary table, around those that another writer put there first. Returns which of
    /// them were inserted.
    async fn insert_around(&mut self, job: &Job<'_>, rows: &[usize]) -> Result<Vec<usize>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let failed = Error::database("inserting by way of a temporary table");
        let target = job.target;
        let columns = target.written_columns();
        self.client
            .batch_execute(&format!(
                "CREATE TEMPORARY TABLE backfill_chunk ON COMMIT DROP AS SELECT {columns} FROM {} WITH NO DATA",
                target.table
            ))
            .await
            .map_err(&failed)?;
        self.copy_in = None;
        let copied = self.copy(job, rows, Some("pg_temp.backfill_chunk")).await;
        self.copy_in = None;
        copied?;
        let (ticker, time) = (quote(&target.ticker), quote(&target.time));
        let sql = format!(
            "INSERT INTO {} ({columns}) SELECT {columns} FROM pg_temp.backfill_chunk ORDER BY {time} \
             ON CONFLICT ({ticker}, {time}) DO NOTHING RETURNING (extract(epoch FROM {time}) * 1000000)::int8",
            target.table
        );
        let returned = self.client.query_typed(&sql, &[]).await.map_err(&failed)?;
        let mut times: Vec<i64> = returned.iter().map(|row| row.get(0)).collect();
        times.sort_unstable();
        Ok(rows
            .iter()
            .copied()
            .filter(|&row| times.binary_search(&job.chunk.times[row]).is_ok())
            .collect())
    }

    /// Gives restated rows their new values, in place.
    async fn update(&self, job: &Job<'_>, rows: &[usize]) -> Result<(), Error> {
        let (target, chunk) = (job.target, job.chunk);
        let mut values: Vec<Vec<Option<String>>> = vec![
            rows.iter()
                .map(|&row| Some(time_text(chunk.times[row], target.clock)))
                .collect(),
        ];
        let mut sets = Vec::new();
        let text = |column: &NumberColumn, row: usize, value: Option<f64>| {
            value
                .map(|value| {
                    column.number_type.text(value, column.round).map_err(|why| {
                        misfit(why, job.series, target, column, chunk.at(row), value)
                    })
                })
                .transpose()
        };
        for (index, column) in target.number_columns().enumerate() {
            let value = |row: usize| match index {
                0..5 => Some(chunk.numbers[index][row]),
                _ if target
                    .vwap
                    .as_ref()
                    .is_some_and(|vwap| vwap.name == column.name) =>
                {
                    chunk.vwap(row)
                }
                _ => chunk.trades(row).map(|trades| trades as f64),
            };
            values.push(
                rows.iter()
                    .map(|&row| text(column, row, value(row)))
                    .collect::<Result<_, _>>()?,
            );
            sets.push(format!(
                "{} = u.c{}::{}",
                quote(&column.name),
                index + 1,
                column.sql_type
            ));
        }
        let names: Vec<String> = (0..values.len()).map(|i| format!("c{i}")).collect();
        let arrays: Vec<String> = (1..=values.len()).map(|i| format!("${i}")).collect();
        let sql = format!(
            "UPDATE {} t SET {} FROM unnest({}) AS u({}) WHERE t.{} AND t.{} = u.c0::{}",
            target.table,
            sets.join(", "),
            arrays.join(", "),
            names.join(", "),
            target.ticker_sql(job.series.ticker.as_str()),
            quote(&target.time),
            target.clock.sql_type()
        );
        let parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> = values
            .iter()
            .map(|column| {
                (
                    column as &(dyn tokio_postgres::types::ToSql + Sync),
                    Type::TEXT_ARRAY,
                )
            })
            .collect();
        let took = self
            .client
            .execute_typed(&sql, &parameters)
            .await
            .map_err(Error::database("updating restated rows"))?;
        if took != rows.len() as u64 && job.receipt != Receipt::None {
            return Err(Error::Receipt {
                series: job.series.clone(),
                table: target.table.clone(),
                sent: rows.len() as u64,
                took,
                first: chunk.at(rows[0]),
            });
        }
        Ok(())
    }

    /// Moves the progress and commits. From here to its end the outcome is in doubt.
    async fn commit(&mut self, job: &Job<'_>, txid: i64, tally: Tally) -> Result<(), Error> {
        self.in_doubt = Some(InDoubt {
            txid,
            tally,
            rows: job.chunk.len() as u64,
            next: job.next,
            through: job.chunk.instants.last().copied(),
        });
        let moving = job
            .next
            .map(|next| job.progress_table.move_sql(job.target, job.series, &next));
        let moved = async {
            match &moving {
                Some(sql) => self
                    .client
                    .execute_typed(sql, &[])
                    .await
                    .map_err(|source| job.progress_table.rights(source)),
                None => Ok(1),
            }
        };
        // A failed UPDATE makes the COMMIT behind it a ROLLBACK.
        let committed = async {
            self.client
                .batch_execute("COMMIT")
                .await
                .map_err(Error::database("committing"))
        };
        let result = try_join!(biased; moved, committed);
        // What the server refused did not happen; but a server that is going down may have committed before.
        let refused = matches!(&result, Err(error) if classify(error) != Class::Reconnect);
        if result.is_ok() || refused {
            self.in_doubt = None;
        }
        result.map(|_| ())
    }
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

/// How each row of the chunk stands to the table.
pub(super) async fn read_back(client: &Client, job: &Job<'_>) -> Result<Vec<Standing>, Error> {
    let (target, chunk, series) = (job.target, job.chunk, job.series);
    let mut merger = Merger::new(target, series, chunk);
    let (Some(&first), Some(&last)) = (chunk.times.first(), chunk.times.last()) else {
        return Ok(merger.standing);
    };
    let failed = Error::database("reading rows back");
    let time = quote(&target.time);
    let select = format!(
        "SELECT {} FROM {} WHERE {}",
        target.read_columns(),
        target.table,
        target.range_sql(series.ticker.as_str(), first, last)
    );
    let places = (last - first) / series.interval.micros() + 1;
    if places > SPARSE_FACTOR * (chunk.len() as i64 + 16) {
        let wanted: Vec<String> = chunk
            .times
            .iter()
            .map(|&micros| time_text(micros, target.clock))
            .collect();
        let sql = format!(
            "{select} AND {time} = ANY ($1::{}[]) ORDER BY {time}",
            target.clock.sql_type()
        );
        let parameters = [(wanted, Type::TEXT_ARRAY)];
        let rows = client
            .query_typed_raw(&sql, parameters)
            .await
            .map_err(&failed)?;
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            let fields = raw_fields(&row).map_err(&failed)?;
            merger.held(&fields)?;
        }
        return Ok(merger.standing);
    }
    let stream = client
        .copy_out(&format!(
            "COPY ({select} ORDER BY {time}) TO STDOUT (FORMAT binary)"
        ))
        .await
        .map_err(&failed)?;
    let mut stream = pin!(stream);
    let mut reader = Reader::default();
    let unreadable = |what| Error::Unreadable {
        table: target.table.clone(),
        what,
    };
    while let Some(message) = stream.try_next().await.map_err(&failed)? {
        reader
            .message(&message, |fields| merger.held(fields))?
            .map_err(unreadable)?;
    }
    if !reader.is_complete() {
        return Err(unreadable("the stream ended early"));
    }
    Ok(merger.standing)
}

/// The bytes of a value as they came over the wire.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn raw_fields(row: &Row) -> Result<Vec<Option<&[u8]>>, tokio_postgres::Error> {
    (0..row.len())
        .map(|index| Ok(row.try_get::<_, Option<Raw<'_>>>(index)?.map(|raw| raw.0)))
        .collect()
}

/// The rows of one standing.
pub(super) fn rows_that_are(standing: &[Standing], wanted: Standing) -> Vec<usize> {
    (0..standing.len())
        .filter(|&row| standing[row] == wanted)
        .collect()
}

/// Under `fail`, a chunk with restated rows is refused whole.
fn refuse_restated(job: &Job<'_>, standing: &[Standing]) -> Result<(), Error> {
    if job.on_conflict != OnConflict::Fail {
        return Ok(());
    }
    let restated = rows_that_are(standing, Standing::Restated);
    match restated.first() {
        None => Ok(()),
        Some(&first) => Err(Error::Restated {
            series: job.series.clone(),
            table: job.target.table.clone(),
            restated: restated.len() as u64,
            rows: standing.len() as u64,
            first: job.chunk.at(first),
        }),
    }
}

/// Whether another writer came in between: a key that was not there, or a row that is no longer there.
fn is_loss(error: &Error) -> bool {
    error
        .database_source()
        .and_then(tokio_postgres::Error::code)
        .is_some_and(|code| *code == SqlState::UNIQUE_VIOLATION)
}

//! A chunk's rows into the table: straight by COPY, or around what stands there already.

use std::io::Cursor;
use std::pin::pin;

use futures_util::SinkExt;
use tokio_postgres::types::{ToSql, Type};

use super::chunk::misfit;
use super::column::time_text;
use super::copy::{Standing, Writer};
use super::errors::Error;
use super::read_back::{read_back, rows_that_are};
use super::receipt::{self, Receipt};
use super::target::{NumberColumn, quote};
use super::transfer::{Job, Session, Tally};
use crate::model::OnConflict;

/// Bytes gathered before they are handed to the connection.
const COPY_BUFFER_BYTES: usize = 128 * 1024;
impl Session<'_> {
    /// Writes the chunk's rows and checks that they arrived.
    pub(super) async fn write(
        &mut self,
        job: &Job<'_>,
        occupied: bool,
        detour: bool,
    ) -> Result<Tally, Error> {
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
        let mut standing = read_back(&self.link, job).await?;
        refuse_restated(job, &standing)?;
        let mut inserted = rows_that_are(&standing, Standing::New);
        if detour {
            let wanted = inserted;
            inserted = self.insert_around(job, &wanted).await?;
            if inserted.len() < wanted.len() {
                // Somebody else's rows came first. They are there now: look what they hold.
                standing = read_back(&self.link, job).await?;
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
        receipt::compare(&self.link, job.target, job.series, job.chunk, rows, alone).await
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
        let doing = "copying rows in";
        let (link, client) = (&self.link, self.link.client());
        // The client library knows no COPY without a name. This one is made in this transaction, so on the server that
        // the transaction is on, and a name that is taken there is an error: it cannot mean another statement. It goes
        // out of use, by drop, before the transaction ends.
        let statement = link.wait(doing, client.prepare(&sql)).await?;
        let sink = client.copy_in::<_, Cursor<Vec<u8>>>(&statement);
        let mut sink = pin!(link.wait(doing, sink).await?);
        let writer = Writer::new(job.target, job.series, job.chunk);
        let mut buffer = Vec::with_capacity(COPY_BUFFER_BYTES + 512);
        writer.header(&mut buffer);
        // Says whether the server still takes rows; where it does not, its reason comes with the end.
        let mut feed =
            async |rows: Vec<u8>| match link.wait(doing, sink.feed(Cursor::new(rows))).await {
                Err(Error::Database { .. }) => Ok(false),
                fed => fed.map(|()| true),
            };
        let mut takes = true;
        for &row in rows {
            // An error here drops the sink, which tells the server to forget the COPY.
            writer.row(row, &mut buffer)?;
            if buffer.len() >= COPY_BUFFER_BYTES {
                let full =
                    std::mem::replace(&mut buffer, Vec::with_capacity(COPY_BUFFER_BYTES + 512));
                takes = feed(full).await?;
                if !takes {
                    break;
                }
            }
        }
        if takes {
            writer.trailer(&mut buffer);
            feed(buffer).await?;
        }
        let took = link.wait(doing, sink.as_mut().finish()).await?;
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
        let doing = "inserting by way of a temporary table";
        let target = job.target;
        let columns = target.written_columns();
        let create = format!(
            "CREATE TEMPORARY TABLE backfill_chunk ON COMMIT DROP AS SELECT {columns} FROM {} WITH NO DATA",
            target.table
        );
        self.link.batch(doing, &create).await?;
        self.copy(job, rows, Some("pg_temp.backfill_chunk")).await?;
        let (ticker, time) = (quote(&target.ticker), quote(&target.time));
        let sql = format!(
            "INSERT INTO {} ({columns}) SELECT {columns} FROM pg_temp.backfill_chunk ORDER BY {time} \
             ON CONFLICT ({ticker}, {time}) DO NOTHING RETURNING (extract(epoch FROM {time}) * 1000000)::int8",
            target.table
        );
        let returned = self.link.query(doing, &sql, &[]).await?;
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
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = values
            .iter()
            .map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY))
            .collect();
        let took = self
            .link
            .execute("updating restated rows", &sql, &parameters)
            .await?;
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
}

/// Under `fail`, a chunk with restated rows is refused whole.
pub(super) fn refuse_restated(job: &Job<'_>, standing: &[Standing]) -> Result<(), Error> {
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

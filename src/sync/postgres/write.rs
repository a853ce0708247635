//! The rows of a chunk into the table: by COPY, or around the rows that it has already.

use std::io::Cursor;
use std::pin::pin;

use futures_util::SinkExt;
use tokio_postgres::Statement;
use tokio_postgres::types::{ToSql, Type};

use super::checksum;
use super::column::time_text;
use super::compare::{RowState, compare};
use super::copy::Writer;
use super::job::Job;
use super::link::Link;
use super::sql::quote;
use crate::model::OnConflict;
use crate::sync::error::{Error, ErrorKind};
use crate::sync::settings::DeliveryCheck;
use crate::sync::target::Tally;

/// Bytes that are collected before they are passed to the connection.
const COPY_BUFFER_BYTES: usize = 128 * 1024;
/// What [`copy_sql`] is called in messages.
pub(super) const COPYING: &str = "copying rows in";

/// Writes the rows of a chunk and checks that they arrived.
///
/// `occupied` means that the table has rows in the chunk's time range. `into_table` is the
/// statement of [`copy_sql`] for it. Without it, rows are inserted through a temporary table,
/// around those that other writers add meanwhile.
pub(super) async fn write(
    link: &Link<'_>,
    job: &Job<'_>,
    occupied: bool,
    into_table: Option<Statement>,
) -> Result<Tally, Error> {
    let all: Vec<usize> = (0..job.chunk().len()).collect();
    if all.is_empty() {
        return Ok(Tally::default());
    }
    if let Some(statement) = &into_table
        && !occupied
    {
        let inserted = copy(link, job, &all, statement).await?;
        check_sum(link, job, &all, true).await?;
        return Ok(Tally {
            inserted,
            ..Tally::default()
        });
    }
    let mut compared = compare(link, job).await?;
    compared.check(job)?;
    let mut inserted = compared.rows(RowState::New);
    if let Some(statement) = &into_table {
        if !inserted.is_empty() {
            copy(link, job, &inserted, statement).await?;
        }
    } else {
        let new = inserted;
        inserted = insert_around(link, job, &new).await?;
        if inserted.len() < new.len() {
            // Another writer inserted some of them first: compare with its values.
            compared = compare(link, job).await?;
            compared.set_new(&inserted);
            compared.check(job)?;
        }
    }
    let restated = compared.rows(RowState::Restated);
    let mut tally = Tally {
        inserted: inserted.len() as u64,
        identical: compared.rows(RowState::Identical).len() as u64,
        ..Tally::default()
    };
    if job.write.on_conflict == OnConflict::Update && !restated.is_empty() {
        update(link, job, &restated).await?;
        tally.updated = restated.len() as u64;
    } else {
        tally.restated = restated.len() as u64;
    }
    let skips = job.write.on_conflict == OnConflict::Ignore;
    let summed: Vec<usize> = all
        .into_iter()
        .filter(|&row| !(skips && compared.state(row) == RowState::Restated))
        .collect();
    check_sum(link, job, &summed, false).await?;
    Ok(tally)
}

async fn check_sum(
    link: &Link<'_>,
    job: &Job<'_>,
    rows: &[usize],
    alone: bool,
) -> Result<(), Error> {
    match job.write.check {
        DeliveryCheck::Checksum => checksum::compare(link, job, rows, alone).await,
        DeliveryCheck::Counts | DeliveryCheck::None => Ok(()),
    }
}

/// Compares the number of rows that the server took with the number that was sent.
fn check_count(job: &Job<'_>, rows: &[usize], took: u64) -> Result<(), Error> {
    if took == rows.len() as u64 || job.write.check == DeliveryCheck::None {
        return Ok(());
    }
    Err(job.undelivered(rows[0], rows.len(), took))
}

/// The statement that copies rows of a chunk into `table`.
///
/// The client library has no COPY without a statement name. This one is prepared in the transaction
/// that uses it, so on the transaction's server connection, and closed before the transaction ends.
/// If its name is taken there, that is an error: it can't mean another statement.
pub(super) fn copy_sql(job: &Job<'_>, table: &str) -> String {
    let columns = job.table.bars.written_columns();
    format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)")
}

/// Copies rows of the chunk by `statement`. Returns how many the server took.
async fn copy(
    link: &Link<'_>,
    job: &Job<'_>,
    rows: &[usize],
    statement: &Statement,
) -> Result<u64, Error> {
    let doing = COPYING;
    let client = link.client();
    let sink = client.copy_in::<_, Cursor<Vec<u8>>>(statement);
    let mut sink = pin!(link.wait(doing, sink).await?);
    let writer = Writer::new(job);
    let buffer = || Vec::with_capacity(COPY_BUFFER_BYTES + 512);
    let mut bytes = buffer();
    Writer::header(&mut bytes);
    // Returns whether the server still accepts rows. If not, `finish` returns the reason.
    let mut feed = async |rows: Vec<u8>| match link.wait(doing, sink.feed(Cursor::new(rows))).await
    {
        Err(error) if error.kind() == ErrorKind::Database => Ok(false),
        fed => fed.map(|()| true),
    };
    let mut accepts_more = true;
    for &row in rows {
        // An error here drops the sink, which makes the server forget the COPY.
        writer.row(row, &mut bytes)?;
        if bytes.len() >= COPY_BUFFER_BYTES {
            accepts_more = feed(std::mem::replace(&mut bytes, buffer())).await?;
            if !accepts_more {
                break;
            }
        }
    }
    if accepts_more {
        Writer::trailer(&mut bytes);
        feed(bytes).await?;
    }
    let took = link.wait(doing, sink.as_mut().finish()).await?;
    check_count(job, rows, took)?;
    Ok(took)
}

/// Inserts rows through a temporary table, except those that another writer inserted first. Returns
/// which ones were inserted.
async fn insert_around(
    link: &Link<'_>,
    job: &Job<'_>,
    rows: &[usize],
) -> Result<Vec<usize>, Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let doing = "inserting through a temporary table";
    let bars = &job.table.bars;
    let (table, columns) = (&bars.name, bars.written_columns());
    let create = format!(
        "CREATE TEMPORARY TABLE backfill_chunk ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
    );
    link.batch(doing, &create).await?;
    let into_temp = copy_sql(job, "pg_temp.backfill_chunk");
    let statement = link
        .wait(COPYING, link.client().prepare(&into_temp))
        .await?;
    copy(link, job, rows, &statement).await?;
    let (ticker, time) = (quote(&bars.ticker), quote(&bars.time));
    let sql = format!(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM pg_temp.backfill_chunk ORDER BY {time} \
         ON CONFLICT ({ticker}, {time}) DO NOTHING RETURNING (extract(epoch FROM {time}) * 1000000)::int8"
    );
    let returned = link.query(doing, &sql, &[]).await?;
    let mut times: Vec<i64> = returned.iter().map(|row| row.get(0)).collect();
    times.sort_unstable();
    let is_inserted = |row: &usize| times.binary_search(&job.times[*row]).is_ok();
    Ok(rows.iter().copied().filter(is_inserted).collect())
}

/// Updates restated rows in place.
async fn update(link: &Link<'_>, job: &Job<'_>, rows: &[usize]) -> Result<(), Error> {
    let (bars, chunk) = (&job.table.bars, job.chunk());
    let times = rows.iter().map(|&row| job.times[row]);
    let mut values: Vec<Vec<Option<String>>> = vec![
        times
            .map(|micros| Some(time_text(micros, bars.clock)))
            .collect(),
    ];
    let mut sets = Vec::new();
    for column in &bars.numbers {
        let numbers = chunk.column(column.index);
        let text = |&row: &usize| {
            let Some(value) = numbers.get(row).to_double() else {
                return Ok(None);
            };
            let text = column.number_type.text(value, column.round);
            text.map(Some)
                .map_err(|misfit| job.misfit(column, row, value, misfit))
        };
        sets.push(format!(
            "{} = u.c{}::{}",
            quote(&column.name),
            values.len(),
            column.sql_type
        ));
        values.push(rows.iter().map(text).collect::<Result<_, Error>>()?);
    }
    let names: Vec<String> = (0..values.len()).map(|i| format!("c{i}")).collect();
    let arrays: Vec<String> = (1..=values.len()).map(|i| format!("${i}")).collect();
    let sql = format!(
        "UPDATE {} t SET {} FROM unnest({}) AS u({}) WHERE t.{} AND t.{} = u.c0::{}",
        bars.name,
        sets.join(", "),
        arrays.join(", "),
        names.join(", "),
        bars.ticker_sql(job.ticker()),
        quote(&bars.time),
        bars.clock.sql_type()
    );
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = values
        .iter()
        .map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY))
        .collect();
    let took = link
        .execute("updating restated rows", &sql, &parameters)
        .await?;
    check_count(job, rows, took)
}

//! `--receipt checksum`: a hash over the rows of a chunk, computed on both sides.

use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;

use super::column::{put_time, time_text};
use super::job::Job;
use super::link::Link;
use super::sql::quote;
use super::table::{BarTable, NumberColumn};
use crate::model::columns::COLUMNS;
use crate::sync::error::{Error, ErrorKind};

/// Compares the hash of `rows` of the chunk with that of the same rows in the table, inside the
/// transaction that wrote them. `alone` means that the table has no other rows between them.
pub(super) async fn compare(
    link: &Link<'_>,
    job: &Job<'_>,
    rows: &[usize],
    alone: bool,
) -> Result<(), Error> {
    let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else {
        return Ok(());
    };
    let bars = &job.table.bars;
    let ours = hash(job, rows)?;
    let time = quote(&bars.time);
    let mut parts = format!("{}_send({time})", bars.clock.sql_type());
    for column in summed(bars) {
        parts.push_str(" || ");
        parts.push_str(&column.number_type.canonical_sql(&quote(&column.name)));
    }
    let range = bars.range_sql(job.ticker(), job.times[first], job.times[last]);
    let mut sql = format!(
        "SELECT count(*), \
         encode(sha256(coalesce(string_agg({parts}, ''::bytea ORDER BY {time}), ''::bytea)), 'hex') \
         FROM {} WHERE {range}",
        bars.name
    );
    let doing = "computing the checksum in the target";
    let found = if alone {
        link.one(doing, &sql, &[]).await?
    } else {
        sql.push_str(&format!(
            " AND {time} = ANY ($1::{}[])",
            bars.clock.sql_type()
        ));
        let times = rows.iter().map(|&row| job.times[row]);
        let times: Vec<String> = times.map(|micros| time_text(micros, bars.clock)).collect();
        link.one(doing, &sql, &[(&times, Type::TEXT_ARRAY)]).await?
    };
    let (count, theirs): (i64, String) = (found.get(0), found.get(1));
    if count as usize == rows.len() && theirs == ours {
        return Ok(());
    }
    let message = format!(
        "{}: the checksum of {} rows from {} to {} in {} differs from that of the stored bars",
        job.write.series,
        rows.len(),
        job.at(first),
        job.at(last),
        bars.name
    );
    Err(Error::new(ErrorKind::Delivery, message)
        .with_hint("does a trigger or a rule of the table change values?"))
}

/// The columns that the checksum includes: those that every bar has.
fn summed(bars: &BarTable) -> impl Iterator<Item = &NumberColumn> {
    let numbers = bars.numbers.iter();
    numbers.filter(|column| !COLUMNS[column.index].optional)
}

fn hash(job: &Job<'_>, rows: &[usize]) -> Result<String, Error> {
    let (bars, chunk) = (&job.table.bars, job.chunk());
    let mut sum = Sha256::new();
    let mut bytes = Vec::with_capacity(128);
    for &row in rows {
        bytes.clear();
        put_time(job.times[row], &mut bytes);
        bytes.drain(..4);
        for column in summed(bars) {
            let value = chunk.column(column.index).get(row);
            let value = value.to_double().unwrap_or_default();
            column
                .number_type
                .put_canonical(value, column.round, &mut bytes)
                .map_err(|misfit| job.misfit(column, row, value, misfit))?;
        }
        sum.update(&bytes);
    }
    let digest = sum.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

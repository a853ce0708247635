//! Checksums: the same hash, computed by the server over what it holds and by us over what was to be there.

use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;

use super::chunk::{Chunk, misfit};
use super::column::{put_time, time_text};
use super::errors::Error;
use super::link::Link;
use super::target::{Target, quote};
use crate::model::SeriesKey;

/// How a chunk's arrival is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Receipt {
    /// The server's own row counts against what was sent.
    #[default]
    Counts,
    /// As before, and a hash over (timestamp, open, high, low, close, volume), computed on both sides.
    Checksum,
    /// Not at all.
    None,
}

/// Compares the hash of `rows` of the chunk with that of the same rows in the table, inside the transaction that wrote
/// them. `alone` says that the table holds nothing else between the first and the last.
pub(super) async fn compare(
    link: &Link<'_>,
    target: &Target,
    series: &SeriesKey,
    chunk: &Chunk,
    rows: &[usize],
    alone: bool,
) -> Result<(), Error> {
    let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else {
        return Ok(());
    };
    let ours = hash(target, series, chunk, rows)?;
    let time = quote(&target.time);
    let mut parts = format!("{}_send({time})", target.clock.sql_type());
    for column in &target.numbers {
        parts.push_str(" || ");
        parts.push_str(&column.number_type.canonical_sql(&quote(&column.name)));
    }
    let range = target.range_sql(
        series.ticker.as_str(),
        chunk.times[first],
        chunk.times[last],
    );
    let only = format!("AND {time} = ANY ($1::{}[])", target.clock.sql_type());
    let sql = format!(
        "SELECT count(*), encode(sha256(coalesce(string_agg({parts}, ''::bytea ORDER BY {time}), ''::bytea)), 'hex') \
         FROM {} WHERE {range} {}",
        target.table,
        if alone { "" } else { &only }
    );
    let wanted: Vec<String>;
    let doing = "summing what the target holds";
    let found = if alone {
        link.one(doing, &sql, &[]).await?
    } else {
        wanted = rows
            .iter()
            .map(|&row| time_text(chunk.times[row], target.clock))
            .collect();
        link.one(doing, &sql, &[(&wanted, Type::TEXT_ARRAY)])
            .await?
    };
    let (count, theirs): (i64, String) = (found.get(0), found.get(1));
    if count as usize == rows.len() && theirs == ours {
        return Ok(());
    }
    Err(Error::Checksum {
        series: series.clone(),
        table: target.table.clone(),
        rows: rows.len() as u64,
        first: chunk.at(first),
        last: chunk.at(last),
    })
}

fn hash(
    target: &Target,
    series: &SeriesKey,
    chunk: &Chunk,
    rows: &[usize],
) -> Result<String, Error> {
    let mut sum = Sha256::new();
    let mut bytes = Vec::with_capacity(128);
    for &row in rows {
        bytes.clear();
        put_time(chunk.times[row], &mut bytes);
        bytes.drain(..4);
        for (column, values) in target.numbers.iter().zip(&chunk.numbers) {
            column
                .number_type
                .put_canonical(values[row], column.round, &mut bytes)
                .map_err(|why| misfit(why, series, target, column, chunk.at(row), values[row]))?;
        }
        sum.update(&bytes);
    }
    Ok(format!("{:x}", sum.finalize()))
}

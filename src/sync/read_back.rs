//! What the table holds of a chunk's keys.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::column::time_text;
use super::copy::{Merger, Standing};
use super::errors::Error;
use super::link::Link;
use super::target::quote;
use super::transfer::Job;

/// From this many places for a bar for each bar on, rows are read back one by one rather than as a range.
const SPARSE_FACTOR: i64 = 64;

/// How each row of the chunk compares with the table.
pub(super) async fn read_back(link: &Link<'_>, job: &Job<'_>) -> Result<Vec<Standing>, Error> {
    let (target, chunk, series) = (job.target, job.chunk, job.series);
    let mut merger = Merger::new(target, series, chunk);
    let (Some(&first), Some(&last)) = (chunk.times.first(), chunk.times.last()) else {
        return Ok(merger.standing);
    };
    let doing = "reading rows back";
    let time = quote(&target.time);
    let mut sql = format!(
        "SELECT {} FROM {} WHERE {}",
        target.read_columns(),
        target.table,
        target.range_sql(series.ticker.as_str(), first, last)
    );
    let mut parameters = Vec::new();
    let places = (last - first) / series.interval.micros() + 1;
    if places > SPARSE_FACTOR * (chunk.len() as i64 + 16) {
        let wanted: Vec<String> = chunk
            .times
            .iter()
            .map(|&micros| time_text(micros, target.clock))
            .collect();
        sql.push_str(&format!(
            " AND {time} = ANY ($1::{}[])",
            target.clock.sql_type()
        ));
        parameters.push((wanted, Type::TEXT_ARRAY));
    }
    sql.push_str(&format!(" ORDER BY {time}"));
    link.each(doing, &sql, parameters, |row| {
        let fields = raw_fields(row).map_err(Error::database(doing))?;
        merger.held(&fields)
    })
    .await?;
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

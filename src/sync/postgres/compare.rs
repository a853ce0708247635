//! Compares the rows of a chunk with those of the table.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::column::{get_time, time_text};
use super::error::failed;
use super::job::Job;
use super::link::Link;
use super::sql::quote;
use crate::model::OnConflict;
use crate::model::columns::COLUMNS;
use crate::sync::error::{Error, ErrorKind};

/// If the time range of a chunk has more than this many intervals per bar, rows are read by their
/// times instead of as a range.
const SPARSE_FACTOR: i64 = 64;

/// How a row of a chunk compares with the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowState {
    /// The table doesn't have it.
    New,
    /// The table has it with the same values.
    Identical,
    /// The table has it with other values.
    Restated,
}

/// How the rows of a chunk compare with the table.
pub(super) struct Compared(Vec<RowState>);

impl Compared {
    /// The indexes of the rows in one state.
    pub(super) fn rows(&self, state: RowState) -> Vec<usize> {
        (0..self.0.len())
            .filter(|&row| self.0[row] == state)
            .collect()
    }

    pub(super) fn state(&self, row: usize) -> RowState {
        self.0[row]
    }

    /// Counts rows as new although the table has them now: this transaction inserted them.
    pub(super) fn set_new(&mut self, rows: &[usize]) {
        for &row in rows {
            self.0[row] = RowState::New;
        }
    }

    /// Refuses a chunk with restated rows under `fail`.
    pub(super) fn check(&self, job: &Job<'_>) -> Result<(), Error> {
        let restated = self.rows(RowState::Restated);
        match job.write.on_conflict {
            OnConflict::Fail if !restated.is_empty() => Err(job.restated(&restated)),
            OnConflict::Fail | OnConflict::Ignore | OnConflict::Update => Ok(()),
        }
    }
}

/// Compares the rows of the chunk with those of the table.
pub(super) async fn compare(link: &Link<'_>, job: &Job<'_>) -> Result<Compared, Error> {
    let (bars, series) = (&job.table.bars, job.write.series);
    let mut merger = Merger::new(job);
    let (Some(&first), Some(&last)) = (job.times.first(), job.times.last()) else {
        return Ok(Compared(merger.states));
    };
    let doing = "reading rows back";
    let time = quote(&bars.time);
    let mut sql = format!(
        "SELECT {} FROM {} WHERE {}",
        bars.read_columns(),
        bars.name,
        bars.range_sql(job.ticker(), first, last)
    );
    let mut parameters = Vec::new();
    let intervals = (last - first) / series.interval.micros() + 1;
    if intervals > SPARSE_FACTOR * (job.chunk().len() as i64 + 16) {
        let times = job.times.iter();
        let texts: Vec<String> = times.map(|&micros| time_text(micros, bars.clock)).collect();
        sql.push_str(&format!(
            " AND {time} = ANY ($1::{}[])",
            bars.clock.sql_type()
        ));
        parameters.push((texts, Type::TEXT_ARRAY));
    }
    sql.push_str(&format!(" ORDER BY {time}"));
    link.each(doing, &sql, parameters, |row| {
        let fields = raw_fields(row).map_err(failed(doing))?;
        merger.on_target_row(&fields)
    })
    .await?;
    Ok(Compared(merger.states))
}

/// The bytes of a value as they are on the wire.
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

/// Merges rows of the table, in the order of time, with the rows of a chunk.
struct Merger<'a> {
    job: &'a Job<'a>,
    next: usize,
    states: Vec<RowState>,
}

impl<'a> Merger<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        Self {
            job,
            next: 0,
            states: vec![RowState::New; job.chunk().len()],
        }
    }

    /// Merges one row of the table: its time, then its numbers, as they are on the wire.
    fn on_target_row(&mut self, fields: &[Option<&[u8]>]) -> Result<(), Error> {
        let Some(time) = fields.first().copied().flatten().and_then(get_time) else {
            let table = &self.job.table.bars.name;
            let message = format!("{table} returned a time that is not eight bytes");
            return Err(Error::new(ErrorKind::Table, message));
        };
        let times = &self.job.times;
        while self.next < times.len() && times[self.next] < time {
            self.next += 1;
        }
        if self.next == times.len() || times[self.next] != time {
            return Ok(());
        }
        let row = self.next;
        self.next += 1;
        self.states[row] = match self.agrees(row, &fields[1..])? {
            true => RowState::Identical,
            false => RowState::Restated,
        };
        Ok(())
    }

    fn agrees(&self, row: usize, stored: &[Option<&[u8]>]) -> Result<bool, Error> {
        let mut all = true;
        // All values are compared, also after a difference: a misfit is reported first.
        for (column, stored) in self.job.table.bars.numbers.iter().zip(stored) {
            let value = self.job.chunk().column(column.index).get(row).to_double();
            let optional = COLUMNS[column.index].optional;
            all &= match (value, stored) {
                // A missing optional value agrees with any value.
                (None, _) => true,
                (_, None) if optional => true,
                (Some(value), stored) => column
                    .number_type
                    .agrees(stored.unwrap_or_default(), value, column.round)
                    .map_err(|misfit| self.job.misfit(column, row, value, misfit))?,
            };
        }
        Ok(all)
    }
}

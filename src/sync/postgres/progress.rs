//! `backfill_sync`: how far each series of each store has come, kept next to the target table.
//!
//! The row of a series changes in the transaction that writes its bars, so it is always true. It is
//! created in an earlier transaction. Every chunk locks it first, which waits for another sync of
//! the series, and for a COMMIT whose reply was lost.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::column::{ColumnClock, time_literal};
use super::link::Link;
use super::progress_table::{KEPT, ProgressTable, ZONE};
use super::sql::literal;
use super::table::BarTable;
use crate::model::{Interval, SeriesKey};
use crate::sync::error::Error;
use crate::sync::target::{Epoch, Mark, Probe, Progress, Table};

/// The number of columns that [`read`] needs.
pub(super) const COLUMN_COUNT: usize = 8;
/// What reading the table is called in messages.
pub(super) const READING: &str = "reading how far the target is";

/// The table for the bars of an interval, and its progress table.
pub struct PgTable {
    pub(super) bars: BarTable,
    pub(super) interval: Interval,
    pub(super) progress: ProgressTable,
}

impl Table for PgTable {
    fn name(&self) -> &str {
        &self.bars.name
    }

    fn epoch(&self) -> Epoch {
        self.bars.epoch()
    }
}

impl PgTable {
    /// The columns that [`read`] reads.
    fn columns(&self) -> String {
        let kept = match self.progress.has_kept {
            true => KEPT,
            false => "0::int8",
        };
        format!(
            "p.base_seq, p.base_id::text, p.pass_seq, p.pass_id::text, \
             (extract(epoch FROM p.through_ts) * 1000000)::int8, p.rel_oid, p.rel_filenode, {kept}"
        )
    }

    /// The progress of many series, in the order of `tickers`, by one query.
    pub(super) async fn probe(
        &self,
        link: &Link<'_>,
        tickers: &[&str],
    ) -> Result<Vec<Probe>, Error> {
        let sql = format!(
            "SELECT {}, p.first_ts IS DISTINCT FROM {} OR p.last_ts IS DISTINCT FROM {} \
             FROM unnest($1) WITH ORDINALITY AS s(ticker, number) LEFT JOIN {} p \
             ON p.store_id = $2::text::uuid AND p.target_table = $3 AND p.\"interval\" = $4 \
             AND p.ticker = s.ticker ORDER BY s.number",
            self.columns(),
            self.bars.edge_sql("min", "s.ticker"),
            self.bars.edge_sql("max", "s.ticker"),
            self.progress.name
        );
        let rows = link
            .query(
                READING,
                &sql,
                &[
                    (&tickers, Type::TEXT_ARRAY),
                    (&self.progress.store_id.to_string(), Type::TEXT),
                    (&self.bars.name, Type::TEXT),
                    (&i32::from(self.interval.minutes()), Type::INT4),
                ],
            )
            .await
            .map_err(|error| self.progress.explain(error))?;
        Ok(rows
            .iter()
            .map(|row| Probe {
                progress: read(row),
                edges_changed: row.get(COLUMN_COUNT),
            })
            .collect())
    }

    /// Creates the rows of series that have none.
    pub(super) async fn make_rows(&self, link: &Link<'_>, tickers: &[&str]) -> Result<(), Error> {
        // A table that never needed a zone may lack the column.
        let (column, value) = match self.bars.clock.zone_name() {
            Some(zone) => (format!(", {ZONE}"), format!(", {}", literal(zone))),
            None => (String::new(), String::new()),
        };
        let sql = format!(
            "INSERT INTO {} (store_id, target_table, \"interval\", ticker{column}) \
             SELECT '{}'::uuid, {}, {}, s.ticker{value} FROM unnest($1) AS s(ticker) ORDER BY s.ticker \
             ON CONFLICT DO NOTHING",
            self.progress.name,
            self.progress.store_id,
            literal(&self.bars.name),
            self.interval.minutes()
        );
        link.execute(READING, &sql, &[(&tickers, Type::TEXT_ARRAY)])
            .await
            .map(|_| ())
            .map_err(|error| self.progress.explain(error))
    }

    /// The row of a series, which is created if it is missing.
    pub(super) async fn read_or_make(
        &self,
        link: &Link<'_>,
        series: &SeriesKey,
    ) -> Result<Progress, Error> {
        let sql = format!(
            "SELECT {} FROM {} p WHERE {}",
            self.columns(),
            self.progress.name,
            self.row_sql(series)
        );
        for _ in 0..2 {
            let row = link.opt(READING, &sql, &[]).await;
            if let Some(row) = row.map_err(|error| self.progress.explain(error))? {
                return Ok(read(&row).unwrap_or_default());
            }
            self.make_rows(link, &[series.ticker.as_str()]).await?;
        }
        Ok(Progress::default())
    }

    /// SQL that locks and reads a series' row, this transaction's id and the recorded zone.
    pub(super) fn lock_sql(&self, series: &SeriesKey) -> String {
        format!(
            "SELECT {}, txid_current(), {} FROM {} p WHERE {} FOR UPDATE",
            self.columns(),
            // A table that never needed a zone may lack the column.
            match self.bars.clock.zone_name() {
                Some(_) => ZONE,
                None => "NULL::text",
            },
            self.progress.name,
            self.row_sql(series)
        )
    }

    /// SQL that sets a series' row to `to`, and records the series' first and last timestamp in the
    /// table.
    pub(super) fn move_sql(&self, series: &SeriesKey, to: &Progress) -> String {
        let ticker = literal(series.ticker.as_str());
        let through = to.through.map_or("NULL".to_owned(), |micros| {
            time_literal(micros, ColumnClock::Instant)
        });
        let kept = match self.progress.has_kept {
            true => format!(", {KEPT} = {}", to.kept),
            false => String::new(),
        };
        let Epoch([oid, filenode]) = to.epoch;
        format!(
            "UPDATE {} p SET base_seq = {}, base_id = '{}', pass_seq = {}, pass_id = '{}', \
             through_ts = {through}, rel_oid = {oid}, rel_filenode = {filenode}, \
             first_ts = {}, last_ts = {}{kept} WHERE {}",
            self.progress.name,
            to.base.seq,
            to.base.id,
            to.pass.seq,
            to.pass.id,
            self.bars.edge_sql("min", &ticker),
            self.bars.edge_sql("max", &ticker),
            self.row_sql(series)
        )
    }

    fn row_sql(&self, series: &SeriesKey) -> String {
        format!(
            "p.store_id = '{}' AND p.target_table = {} AND p.\"interval\" = {} AND p.ticker = {}",
            self.progress.store_id,
            literal(&self.bars.name),
            self.interval.minutes(),
            literal(series.ticker.as_str())
        )
    }
}

/// The progress in the first [`COLUMN_COUNT`] columns of a row; `None` if a join found none.
pub(super) fn read(row: &Row) -> Option<Progress> {
    let mark = |seq: usize| -> Option<Mark> {
        Some(Mark {
            seq: row.get::<_, Option<i64>>(seq)? as u64,
            id: row.get::<_, Option<&str>>(seq + 1)?.parse().ok()?,
        })
    };
    Some(Progress {
        base: mark(0)?,
        pass: mark(2)?,
        through: row.get(4),
        epoch: Epoch([row.get(5), row.get(6)]),
        kept: row.get::<_, Option<i64>>(7)?.try_into().ok()?,
    })
}

//! `backfill_sync`: how far each series of each store has come, kept next to the target table.
//!
//! The row of a series changes in the transaction that writes its bars, so it is always true. It is
//! created in an earlier transaction. Every chunk locks it first, which waits for another sync of
//! the series, and for a COMMIT whose reply was lost.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::column::{ColumnClock, time_literal};
use super::error::{SEES_ALL_ROWS, is_lost_race, sql_state};
use super::link::Link;
use super::sql::literal;
use super::table::BarTable;
use crate::model::{Interval, SeriesKey};
use crate::sync::error::{Error, ErrorKind};
use crate::sync::target::{Epoch, Mark, Probe, Progress, Table};

/// The zone of a `timestamp` column. Tables of older versions get it when it is needed.
pub(super) const ZONE: &str = "time_zone";
/// The number of restated rows that `ignore` left. Tables of older versions get it when it is
/// needed, if the user may add it.
const KEPT: &str = "kept_rows";
/// The columns that every version has.
const FIRST_COLUMNS: [&str; 13] = [
    "store_id",
    "target_table",
    "interval",
    "ticker",
    "base_seq",
    "base_id",
    "pass_seq",
    "pass_id",
    "through_ts",
    "rel_oid",
    "rel_filenode",
    "first_ts",
    "last_ts",
];
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

/// The progress table of a store in the schema of its target table.
#[derive(Clone, Debug)]
pub(super) struct ProgressTable {
    /// The full name.
    pub name: String,
    schema: String,
    pub store_id: Uuid,
    /// Whether it has the column [`KEPT`].
    has_kept: bool,
}

/// Columns that tables of older versions lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewColumns {
    /// Whether the table has [`ZONE`].
    pub zone: bool,
    /// Whether the table has [`KEPT`].
    kept: bool,
}

impl Table for PgTable {
    fn name(&self) -> &str {
        &self.bars.name
    }

    fn epoch(&self) -> Epoch {
        self.bars.epoch()
    }
}

impl ProgressTable {
    /// The table in `schema`.
    pub(super) fn new(schema: &str, store_id: Uuid) -> Self {
        Self {
            name: format!("{schema}.backfill_sync"),
            schema: schema.to_owned(),
            store_id,
            has_kept: true,
        }
    }

    /// Creates the table if it is missing, and returns which columns it has; `None` if it is
    /// missing in a dry run.
    ///
    /// `keeps` says that this run may leave restated rows unchanged, which [`KEPT`] counts: an older
    /// table gets that column then.
    pub(super) async fn ensure(
        &mut self,
        link: &Link<'_>,
        dry_run: bool,
        keeps: bool,
    ) -> Result<Option<NewColumns>, Error> {
        let columns = match self.look(link).await? {
            Look::Missing { .. } if dry_run => return Ok(None),
            Look::Missing { user, may_create } => {
                self.create(link, &user, may_create).await?;
                NewColumns {
                    zone: true,
                    kept: true,
                }
            }
            Look::Found(mut columns) => {
                if keeps && !dry_run && !columns.kept {
                    columns.kept = self.add_kept(link).await?;
                }
                columns
            }
        };
        self.has_kept = columns.kept;
        Ok(Some(columns))
    }

    async fn look(&self, link: &Link<'_>) -> Result<Look, Error> {
        let row = link
            .one(
                "looking for backfill_sync",
                "SELECT quote_ident(current_user), has_schema_privilege(to_regnamespace($2), 'CREATE'), \
                 row_security_active(to_regclass($1)), (SELECT array_agg(attname::text) FROM pg_attribute \
                 WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped), \
                 to_regclass($1) IS NOT NULL",
                &[(&self.name, Type::TEXT), (&self.schema, Type::TEXT)],
            )
            .await?;
        if !row.get::<_, bool>(4) {
            return Ok(Look::Missing {
                user: row.get(0),
                may_create: row.get::<_, Option<bool>>(1) != Some(false),
            });
        }
        let columns: Vec<String> = row.get::<_, Option<_>>(3).unwrap_or_default();
        let has = |name: &&str| columns.iter().any(|column| column == name);
        let missing: Vec<_> = FIRST_COLUMNS
            .into_iter()
            .filter(|name| !has(name))
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "{} is another program's table: it has no column {}",
                self.name,
                missing.join(", ")
            );
            return Err(Error::new(ErrorKind::Progress, message).with_hint(
                "a sync keeps its progress in a table of that name next to its target: rename the \
                 other table, or choose a target in another schema with --table SCHEMA.NAME",
            ));
        }
        if row.get::<_, Option<bool>>(2) == Some(true) {
            let message = format!(
                "row-level security of {} hides rows from the user",
                self.name
            );
            let error = Error::new(ErrorKind::Progress, message);
            return Err(error.with_hint(SEES_ALL_ROWS));
        }
        Ok(Look::Found(NewColumns {
            zone: has(&ZONE),
            kept: has(&KEPT),
        }))
    }

    async fn create(&self, link: &Link<'_>, user: &str, may_create: bool) -> Result<(), Error> {
        if !may_create {
            let message = format!("{} is missing, and the user may not create it", self.name);
            let grant = format!("GRANT CREATE ON SCHEMA {} TO {user}", self.schema);
            return Err(Error::new(ErrorKind::Progress, message).with_hint(grant));
        }
        let nil = Uuid::nil();
        let ddl = format!(
            "CREATE TABLE IF NOT EXISTS {} (store_id uuid NOT NULL, target_table text NOT NULL, \
             \"interval\" integer NOT NULL, ticker text NOT NULL, \
             base_seq bigint NOT NULL DEFAULT 0, base_id uuid NOT NULL DEFAULT '{nil}', \
             pass_seq bigint NOT NULL DEFAULT 0, pass_id uuid NOT NULL DEFAULT '{nil}', \
             through_ts timestamptz, \
             rel_oid bigint NOT NULL DEFAULT 0, rel_filenode bigint NOT NULL DEFAULT 0, \
             first_ts timestamptz, last_ts timestamptz, {ZONE} text, \
             {KEPT} bigint NOT NULL DEFAULT 0, \
             PRIMARY KEY (store_id, target_table, \"interval\", ticker))",
            self.name
        );
        for _ in 0..3 {
            match link.batch("creating backfill_sync", &ddl).await {
                // IF NOT EXISTS doesn't see what another session hasn't committed yet. The next
                // try does.
                Err(error) if is_lost_race(&error) => {}
                other => return other,
            }
        }
        Ok(())
    }

    /// Adds [`KEPT`]; `false` if the user may not.
    async fn add_kept(&self, link: &Link<'_>) -> Result<bool, Error> {
        let ddl = format!(
            "ALTER TABLE {} ADD COLUMN IF NOT EXISTS {KEPT} bigint NOT NULL DEFAULT 0",
            self.name
        );
        match link.batch("adding a column to backfill_sync", &ddl).await {
            Err(error) if is_denied(&error) => Ok(false),
            Err(error) if !is_lost_race(&error) => Err(error),
            _ => Ok(true),
        }
    }

    /// The columns that [`read`] reads.
    fn columns(&self) -> String {
        let kept = match self.has_kept {
            true => KEPT,
            false => "0::int8",
        };
        format!(
            "p.base_seq, p.base_id::text, p.pass_seq, p.pass_id::text, \
             (extract(epoch FROM p.through_ts) * 1000000)::int8, p.rel_oid, p.rel_filenode, {kept}"
        )
    }

    /// Replaces an error of a statement on the progress table if rights are missing: by one with
    /// the GRANT that helps.
    pub(super) fn explain(&self, error: Error) -> Error {
        if !is_denied(&error) || !error.to_string().contains("backfill_sync") {
            return error;
        }
        let message = format!("the user may not read and write {}", self.name);
        Error::new(ErrorKind::Progress, message).with_hint(format!(
            "GRANT SELECT, INSERT, UPDATE ON {} TO the user who syncs",
            self.name
        ))
    }
}

/// What a schema has under the name of the progress table.
enum Look {
    Missing { user: String, may_create: bool },
    Found(NewColumns),
}

impl PgTable {
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
            self.progress.columns(),
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
            self.progress.columns(),
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
            self.progress.columns(),
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

/// Whether the user lacks a right.
pub(super) fn is_denied(error: &Error) -> bool {
    sql_state(error) == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
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

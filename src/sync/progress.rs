//! `backfill_sync`: how far each series of each store has come, kept by the target itself.
//!
//! A row moves in the same transaction as the bars it speaks of, so it never lies about them. It is made beforehand in
//! a transaction of its own, and locked first thing in every chunk: that waits for another sync of the series, and for
//! the ghost of a COMMIT whose answer was lost.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::column::{ColumnClock, time_literal};
use super::errors::Error;
use super::link::Link;
use super::target::{Target, create::is_lost_race, literal, quote};
use crate::model::{Interval, SeriesKey};

/// How far a series has come in a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// All rows up to this commit are there.
    pub base: Mark,
    /// The pass that is under way, or was the last: its commit.
    pub pass: Mark,
    /// The last instant of that pass that is there; none where no pass is under way, or it has only begun.
    pub through: Option<i64>,
    /// The table's object id when this was written.
    pub oid: i64,
    /// The table's file when this was written.
    pub filenode: i64,
    /// Restated rows that syncs under `ignore` have left as they were since the last full comparison.
    pub kept: i64,
}

/// A commit of the store: its place and its id. The pair tells a store from its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub seq: u64,
    pub id: Uuid,
}

impl Progress {
    /// Whether a pass was begun and not finished.
    pub(super) fn is_under_way(&self) -> bool {
        self.pass != self.base
    }

    /// Whether anything was ever synced.
    pub(super) fn is_new(&self) -> bool {
        *self == Self::default()
    }
}

/// What the probe found of one series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probed {
    /// Its row; `None` where there is none yet.
    pub progress: Option<Progress>,
    /// Whether the series' first or last timestamp in the table is another than when the row was written.
    pub edges_changed: bool,
}

/// The progress table of one store in one target's schema.
#[derive(Clone, Debug)]
pub(super) struct ProgressTable {
    pub table: String,
    schema: String,
    pub store_id: Uuid,
    /// Whether it has [`KEPT`].
    has_kept: bool,
}

const COLUMNS: &str = "p.base_seq, p.base_id::text, p.pass_seq, p.pass_id::text, \
     (extract(epoch FROM p.through_ts) * 1000000)::int8, p.rel_oid, p.rel_filenode";
/// Columns that [`ProgressTable::columns`] lists.
pub(super) const COLUMN_COUNT: usize = 8;
/// What reading the table is called in messages.
pub(super) const READING: &str = "reading how far the target is";
/// The columns that every version has.
const OF_OLD: [&str; 13] = [
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
/// The zone of a `timestamp` column; missing from tables that an older version made, until it is needed.
pub(super) const ZONE: &str = "time_zone";

/// The number of restated rows that `ignore` left; missing from tables that an older version made, until it is needed.
const KEPT: &str = "kept_rows";

/// Columns of the table that older versions don't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether it has [`ZONE`].
    pub zone: bool,
    /// Whether it has [`KEPT`].
    pub kept: bool,
}

impl Found {
    const ALL: Self = Self {
        zone: true,
        kept: true,
    };
}

impl ProgressTable {
    /// The table next to `target`.
    pub(super) fn next_to(target: &Target, store_id: Uuid) -> Self {
        Self {
            table: format!("{}.backfill_sync", target.schema),
            schema: target.schema.clone(),
            store_id,
            has_kept: true,
        }
    }

    /// Creates the table if it is missing, and returns what it has; `None` if it is missing in a dry run.
    ///
    /// `keeps` says that restated rows may be left as they are, which [`KEPT`] counts: it is added to an older table
    /// then, if the user may.
    pub(super) async fn ensure(
        &mut self,
        link: &Link<'_>,
        dry: bool,
        keeps: bool,
    ) -> Result<Option<Found>, Error> {
        let mut found = self.look_or_create(link, dry).await?;
        if let Some(found) = &mut found {
            if keeps && !dry && !found.kept {
                found.kept = self.add_kept(link).await?;
            }
            self.has_kept = found.kept;
        }
        Ok(found)
    }

    /// Adds [`KEPT`] to a table of an older version; `false` if the user may not.
    async fn add_kept(&self, link: &Link<'_>) -> Result<bool, Error> {
        let ddl = format!(
            "ALTER TABLE {} ADD COLUMN IF NOT EXISTS {KEPT} bigint NOT NULL DEFAULT 0",
            self.table
        );
        match link.batch("adding a column to backfill_sync", &ddl).await {
            Err(Error::Database { answer, .. })
                if answer.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) =>
            {
                Ok(false)
            }
            Err(error) if is_lost_race(&error) => Ok(true),
            other => other.map(|()| true),
        }
    }

    async fn look_or_create(&self, link: &Link<'_>, dry: bool) -> Result<Option<Found>, Error> {
        let doing = "looking for backfill_sync";
        let row = link
            .one(
                doing,
                "SELECT quote_ident(current_user), has_schema_privilege(to_regnamespace($2), 'CREATE'), \
                 row_security_active(to_regclass($1)), (SELECT array_agg(attname::text) FROM pg_attribute \
                 WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped), to_regclass($1) IS NOT NULL",
                &[(&self.table, Type::TEXT), (&self.schema, Type::TEXT)],
            )
            .await?;
        if row.get::<_, bool>(4) {
            let columns: Vec<String> = row.get::<_, Option<_>>(3).unwrap_or_default();
            let has = |name: &str| columns.iter().any(|column| column == name);
            let missing: Vec<_> = OF_OLD
                .into_iter()
                .filter(|name| !has(name))
                .map(str::to_owned)
                .collect();
            if !missing.is_empty() {
                return Err(Error::ForeignProgress {
                    table: self.table.clone(),
                    missing,
                });
            }
            if row.get::<_, Option<bool>>(2) == Some(true) {
                return Err(Error::HiddenProgress {
                    table: self.table.clone(),
                });
            }
            return Ok(Some(Found {
                zone: has(ZONE),
                kept: has(KEPT),
            }));
        }
        if dry {
            return Ok(None);
        }
        let user: String = row.get(0);
        if row.get::<_, Option<bool>>(1) == Some(false) {
            return Err(Error::NoProgressTable {
                table: self.table.clone(),
                grant: format!("GRANT CREATE ON SCHEMA {} TO {user}", self.schema),
            });
        }
        let nil = Uuid::nil();
        let ddl = format!(
            "CREATE TABLE IF NOT EXISTS {} (store_id uuid NOT NULL, target_table text NOT NULL, \
             \"interval\" integer NOT NULL, ticker text NOT NULL, \
             base_seq bigint NOT NULL DEFAULT 0, base_id uuid NOT NULL DEFAULT '{nil}', \
             pass_seq bigint NOT NULL DEFAULT 0, pass_id uuid NOT NULL DEFAULT '{nil}', through_ts timestamptz, \
             rel_oid bigint NOT NULL DEFAULT 0, rel_filenode bigint NOT NULL DEFAULT 0, \
             first_ts timestamptz, last_ts timestamptz, {ZONE} text, \
             {KEPT} bigint NOT NULL DEFAULT 0, \
             PRIMARY KEY (store_id, target_table, \"interval\", ticker))",
            self.table
        );
        for _ in 0..3 {
            match link.batch("creating backfill_sync", &ddl).await {
                // Two at once: IF NOT EXISTS looks before the other has committed. By then it has.
                Err(error) if is_lost_race(&error) => {}
                other => return other.map(|()| Some(Found::ALL)),
            }
        }
        Ok(Some(Found::ALL))
    }

    /// The columns that [`read`] reads.
    fn columns(&self) -> String {
        let kept = if self.has_kept {
            "p.kept_rows"
        } else {
            "0::int8"
        };
        format!("{COLUMNS}, {kept}")
    }

    /// What is known of many series, in the order of `tickers`, by one query.
    pub(super) async fn probe(
        &self,
        link: &Link<'_>,
        target: &Target,
        interval: Interval,
        tickers: &[&str],
    ) -> Result<Vec<Probed>, Error> {
        let edge = |which: &str| {
            let time = target.instant_sql(&format!("{which}(t.{})", quote(&target.time)));
            format!(
                "(SELECT {time} FROM {} t WHERE t.{} = s.ticker)",
                target.table,
                quote(&target.ticker)
            )
        };
        let sql = format!(
            "SELECT {}, p.first_ts IS DISTINCT FROM {} OR p.last_ts IS DISTINCT FROM {} \
             FROM unnest($1) WITH ORDINALITY AS s(ticker, place) LEFT JOIN {} p \
             ON p.store_id = $2::text::uuid AND p.target_table = $3 AND p.\"interval\" = $4 AND p.ticker = s.ticker \
             ORDER BY s.place",
            self.columns(),
            edge("min"),
            edge("max"),
            self.table
        );
        let rows = link
            .query(
                READING,
                &sql,
                &[
                    (&tickers, Type::TEXT_ARRAY),
                    (&self.store_id.to_string(), Type::TEXT),
                    (&target.table, Type::TEXT),
                    (&i32::from(interval.minutes()), Type::INT4),
                ],
            )
            .await
            .map_err(|error| self.explain(error))?;
        Ok(rows
            .iter()
            .map(|row| Probed {
                progress: read(row),
                edges_changed: row.get(COLUMN_COUNT),
            })
            .collect())
    }

    /// Makes the rows of series that have none, in a transaction of their own.
    pub(super) async fn make_rows(
        &self,
        link: &Link<'_>,
        target: &Target,
        interval: Interval,
        tickers: &[&str],
    ) -> Result<(), Error> {
        // Where there are no zones there may be no column for them.
        let (column, value) = match target.clock.zone_name() {
            Some(zone) => (format!(", {ZONE}"), format!(", {}", literal(zone))),
            None => (String::new(), String::new()),
        };
        let sql = format!(
            "INSERT INTO {} (store_id, target_table, \"interval\", ticker{column}) \
             SELECT $2::text::uuid, $3, $4, s.ticker{value} FROM unnest($1) AS s(ticker) ORDER BY s.ticker \
             ON CONFLICT DO NOTHING",
            self.table
        );
        link.execute(
            READING,
            &sql,
            &[
                (&tickers, Type::TEXT_ARRAY),
                (&self.store_id.to_string(), Type::TEXT),
                (&target.table, Type::TEXT),
                (&i32::from(interval.minutes()), Type::INT4),
            ],
        )
        .await
        .map(|_| ())
        .map_err(|error| self.explain(error))
    }

    /// SQL that reads a series' row, waiting for whoever has it, and with it this transaction's id and the recorded zone.
    pub(super) fn lock_sql(&self, target: &Target, series: &SeriesKey) -> String {
        format!(
            "SELECT {}, txid_current(), {} FROM {} p WHERE {} FOR UPDATE",
            self.columns(),
            // Where there are no zones there may be no column for them.
            match target.clock.zone_name() {
                Some(_) => ZONE,
                None => "NULL::text",
            },
            self.table,
            self.row_sql(target, series)
        )
    }

    /// SQL that reads a series' row as it stands.
    pub(super) fn read_sql(&self, target: &Target, series: &SeriesKey) -> String {
        format!(
            "SELECT {} FROM {} p WHERE {}",
            self.columns(),
            self.table,
            self.row_sql(target, series)
        )
    }

    /// SQL that moves a series' row to `to`, and notes the series' first and last timestamp in the table.
    pub(super) fn move_sql(&self, target: &Target, series: &SeriesKey, to: &Progress) -> String {
        let edge = |which: &str| {
            let time = target.instant_sql(&format!("{which}({})", quote(&target.time)));
            format!(
                "(SELECT {time} FROM {} WHERE {})",
                target.table,
                target.ticker_sql(series.ticker.as_str())
            )
        };
        let through = to.through.map_or("NULL".to_owned(), |micros| {
            time_literal(micros, ColumnClock::Instant)
        });
        let kept = match self.has_kept {
            true => format!(", {KEPT} = {}", to.kept),
            false => String::new(),
        };
        format!(
            "UPDATE {} p SET base_seq = {}, base_id = '{}', pass_seq = {}, pass_id = '{}', through_ts = {through}, \
             rel_oid = {}, rel_filenode = {}, first_ts = {}, last_ts = {}{kept} WHERE {}",
            self.table,
            to.base.seq,
            to.base.id,
            to.pass.seq,
            to.pass.id,
            to.oid,
            to.filenode,
            edge("min"),
            edge("max"),
            self.row_sql(target, series)
        )
    }

    fn row_sql(&self, target: &Target, series: &SeriesKey) -> String {
        format!(
            "p.store_id = '{}' AND p.target_table = {} AND p.\"interval\" = {} AND p.ticker = {}",
            self.store_id,
            literal(&target.table),
            series.interval.minutes(),
            literal(series.ticker.as_str())
        )
    }

    /// An error of a statement on the progress table; missing rights are told with the GRANT that mends them.
    pub(super) fn rights(&self, source: tokio_postgres::Error) -> Error {
        let denied = source.as_db_error().is_some_and(|db| {
            *db.code() == SqlState::INSUFFICIENT_PRIVILEGE && db.message().contains("backfill_sync")
        });
        if denied {
            Error::ProgressRights {
                table: self.table.clone(),
                grant: format!(
                    "GRANT SELECT, INSERT, UPDATE ON {} TO the user who syncs",
                    self.table
                ),
            }
        } else {
            Error::database(READING)(source)
        }
    }

    /// The same for an error that may be another one.
    pub(super) fn explain(&self, error: Error) -> Error {
        match error {
            Error::Database { answer, .. } => self.rights(answer),
            other => other,
        }
    }
}

/// The progress in the first [`COLUMN_COUNT`] columns of a row; `None` where a join found none.
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
        oid: row.get(5),
        filenode: row.get(6),
        kept: row.get::<_, Option<i64>>(7)?,
    })
}

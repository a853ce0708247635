//! The zone of a `timestamp` column: recorded with the progress, so that no later sync writes times
//! of another zone.

use tokio_postgres::types::Type;

use super::column::ColumnClock;
use super::error::is_lost_race;
use super::link::Link;
use super::progress::{PgTable, READING};
use super::progress_table::{NewColumns, ProgressTable, ZONE, is_denied};
use super::table::BarTable;
use crate::advice::{Advice, SyncAdvice};
use crate::sync::error::{Error, ErrorKind};
use crate::sync::source::SeriesInfo;

/// The first half of the key of the advisory lock under which a table's zone is recorded: "zone" in
/// ASCII.
const ZONE_LOCK: i32 = 0x7a6f_6e65;

/// What chooses the zone.
struct Choice<'a> {
    link: &'a Link<'a>,
    table: &'a PgTable,
    series: &'a [SeriesInfo],
    /// The zone that the user requested.
    requested: Option<ColumnClock>,
    columns: NewColumns,
    dry_run: bool,
}

/// Finds out which zone the times of a `timestamp` column are in, and records it.
///
/// The first sync of a table decides: the requested zone, else UTC. If an older version recorded
/// progress without a zone, a requested zone is accepted; UTC only if the first timestamps that it
/// recorded are those of the stored bars.
pub(super) async fn settle_zone(
    link: &Link<'_>,
    table: &mut PgTable,
    series: &[SeriesInfo],
    requested: Option<ColumnClock>,
    columns: NewColumns,
    dry_run: bool,
) -> Result<(), Error> {
    if !columns.zone && !dry_run {
        table.progress.add_zone(link).await?;
    }
    if !dry_run {
        // Two stores that start at the same time agree: the second sees what the first recorded.
        link.begin().await?;
        let lock = format!(
            "SELECT pg_advisory_xact_lock({ZONE_LOCK}, {}::oid::int8::bit(32)::int4)",
            table.bars.oid
        );
        link.query("locking the target's time zone", &lock, &[])
            .await?;
    }
    let choice = Choice {
        link,
        table,
        series,
        requested,
        columns,
        dry_run,
    };
    let chosen = choice.make().await;
    if chosen.is_err() && !dry_run {
        link.rollback().await;
    }
    let clock = chosen?;
    table.bars.clock = clock;
    if dry_run {
        return Ok(());
    }
    let tickers: Vec<&str> = series.iter().map(|info| info.key.ticker.as_str()).collect();
    table.make_rows(link, &tickers).await?;
    let zone = clock.zone_name().unwrap_or_default();
    table.progress.set_zone(link, &table.bars, zone).await?;
    link.batch("recording the time zone of the target", "COMMIT")
        .await
}

impl Choice<'_> {
    async fn make(&self) -> Result<ColumnClock, Error> {
        let (link, progress, bars) = (self.link, &self.table.progress, &self.table.bars);
        let recorded = match self.columns.zone || !self.dry_run {
            true => progress.zones(link, bars).await?,
            false => Vec::new(),
        };
        let requested = self.requested.and_then(ColumnClock::zone_name);
        match (self.requested, recorded.as_slice()) {
            (Some(clock), []) => return Ok(clock),
            (Some(clock), [zone]) if requested == Some(zone.as_str()) => return Ok(clock),
            (None, [zone]) if let Some(clock) = ColumnClock::of_zone(zone) => return Ok(clock),
            (None, []) => return self.utc().await,
            _ => {}
        }
        if !self.dry_run {
            // A chunk in flight ends first, and the next one sees what is recorded here.
            progress.lock_all(link, bars).await?;
        }
        let empty = format!("SELECT NOT EXISTS (SELECT 1 FROM {})", bars.name);
        let empty = link
            .one("looking at the target table", &empty, &[])
            .await?
            .get(0);
        if empty {
            return Ok(self.requested.unwrap_or(ColumnClock::Utc));
        }
        Err(other_zone(
            &bars.name,
            &recorded,
            requested.unwrap_or("UTC"),
        ))
    }

    /// UTC, unless an older version recorded times that don't look like it.
    async fn utc(&self) -> Result<ColumnClock, Error> {
        let firsts = self
            .table
            .firsts_without_zone(self.link, self.columns.zone)
            .await?;
        let differs = self.series.iter().find(|info| {
            firsts.iter().any(|(ticker, first)| {
                ticker == info.key.ticker.as_str() && *first != info.first.micros()
            })
        });
        let Some(info) = differs else {
            return Ok(ColumnClock::Utc);
        };
        let message = format!(
            "no time zone is recorded for the times in {}, and those of {} don't look like UTC",
            self.table.bars.name, info.key.ticker
        );
        Err(Error::new(ErrorKind::UnknownZone, message).with_hint(SyncAdvice::NameZone))
    }
}

/// The table has times of other zones than the requested one. A chunk finds this too, if another
/// sync has recorded a zone since the run started.
pub(super) fn other_zone(table: &str, recorded: &[String], requested: &str) -> Error {
    let message = format!(
        "the times in {table} are in {}, not in {requested}",
        recorded.join(" and in ")
    );
    Error::new(ErrorKind::OtherZone, message).with_hint(match recorded {
        [zone] => Advice::from(SyncAdvice::RecordedZone { zone: zone.clone() }),
        _ => "the table has times of several zones: empty it and sync again".into(),
    })
}

impl ProgressTable {
    /// Adds the column for the zone to a table of an older version.
    async fn add_zone(&self, link: &Link<'_>) -> Result<(), Error> {
        let ddl = format!(
            "ALTER TABLE {} ADD COLUMN IF NOT EXISTS {ZONE} text",
            self.name
        );
        match link.batch("adding a column to backfill_sync", &ddl).await {
            Err(error) if is_denied(&error) => {
                let message = format!(
                    "{} has no column time_zone yet, and the user may not add it: {error}",
                    self.name
                );
                Err(Error::new(ErrorKind::Progress, message)
                    .with_hint(format!("the table's owner must run: {ddl}")))
            }
            Err(error) if !is_lost_race(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The zones that all stores have recorded for a table.
    ///
    /// A table that was renamed or moved to another schema keeps its times: it is found by its
    /// object id, also in the progress tables of other schemas.
    async fn zones(&self, link: &Link<'_>, bars: &BarTable) -> Result<Vec<String>, Error> {
        let others = "SELECT quote_ident(n.nspname) || '.backfill_sync' \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relname = 'backfill_sync' AND c.relkind IN ('r', 'p') \
             AND c.oid IS DISTINCT FROM to_regclass($1)::oid \
             AND has_schema_privilege(n.oid, 'USAGE') \
             AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) \
             AND (SELECT count(*) FROM pg_attribute a \
             WHERE a.attrelid = c.oid AND NOT a.attisdropped AND (a.attname, a.atttypid) \
             IN (('time_zone', 'text'::regtype), ('rel_oid', 'int8'::regtype))) = 2 ORDER BY 1";
        let others = link
            .query(READING, others, &[(&self.name, Type::TEXT)])
            .await?;
        let mut sql = format!(
            "SELECT {ZONE} FROM {} WHERE (target_table = $1 OR rel_oid = $2) AND {ZONE} IS NOT NULL",
            self.name
        );
        for row in &others {
            let table: &str = row.get(0);
            sql.push_str(&format!(
                " UNION SELECT {ZONE} FROM {table} WHERE rel_oid = $2 AND {ZONE} IS NOT NULL"
            ));
        }
        let rows = link
            .query(
                READING,
                &format!("SELECT DISTINCT {ZONE} FROM ({sql}) recorded ORDER BY 1"),
                &[(&bars.name, Type::TEXT), (&bars.oid, Type::INT8)],
            )
            .await
            .map_err(|error| self.explain(error))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Waits until no chunk of a table is in flight, and keeps others from starting.
    async fn lock_all(&self, link: &Link<'_>, bars: &BarTable) -> Result<(), Error> {
        let sql = format!(
            "SELECT 1 FROM {} WHERE target_table = $1 ORDER BY store_id, \"interval\", ticker FOR UPDATE",
            self.name
        );
        let locked = link.query(READING, &sql, &[(&bars.name, Type::TEXT)]).await;
        locked.map(|_| ()).map_err(|error| self.explain(error))
    }

    /// Records the zone of a table's times in every store's rows. Rows without the table's object id
    /// get it too: a run with dates writes bars and records no progress.
    async fn set_zone(&self, link: &Link<'_>, bars: &BarTable, zone: &str) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {} SET {ZONE} = $2, rel_oid = CASE rel_oid WHEN 0 THEN $3 ELSE rel_oid END \
             WHERE target_table = $1 AND ({ZONE} IS DISTINCT FROM $2 OR rel_oid = 0)",
            self.name
        );
        link.execute(
            "recording the time zone of the target",
            &sql,
            &[
                (&bars.name, Type::TEXT),
                (&zone, Type::TEXT),
                (&bars.oid, Type::INT8),
            ],
        )
        .await
        .map(|_| ())
        .map_err(|error| self.explain(error))
    }
}

impl PgTable {
    /// The recorded first timestamp, read as UTC, of each of this store's series without a zone.
    async fn firsts_without_zone(
        &self,
        link: &Link<'_>,
        has_zone: bool,
    ) -> Result<Vec<(String, i64)>, Error> {
        let without = match has_zone {
            true => format!("AND {ZONE} IS NULL"),
            false => String::new(),
        };
        let sql = format!(
            "SELECT ticker, (extract(epoch FROM first_ts) * 1000000)::int8 FROM {} \
             WHERE store_id = $1::text::uuid AND target_table = $2 AND \"interval\" = $3 \
             AND first_ts IS NOT NULL {without} ORDER BY ticker",
            self.progress.name
        );
        let rows = link
            .query(
                READING,
                &sql,
                &[
                    (&self.progress.store_id.to_string(), Type::TEXT),
                    (&self.bars.name, Type::TEXT),
                    (&i32::from(self.interval.minutes()), Type::INT4),
                ],
            )
            .await
            .map_err(|error| self.progress.explain(error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

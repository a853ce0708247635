//! The zone of a `timestamp` column: recorded with the progress, so that no later sync writes another one's times.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::column::ColumnClock;
use super::errors::{Error, describe};
use super::link::Link;
use super::progress::{Found, ProgressTable, READING, ZONE};
use super::run::{Shared, Stream};
use super::source::SeriesInfo;
use super::target::{Target, create::is_lost_race};
use crate::model::Interval;

/// The first half of the key of the lock under which a target's time zone is recorded: "zone" in ASCII.
const ZONE_LOCK: i32 = 0x7a6f_6e65;

/// Finds out which zone the times of a `timestamp` column are of, and records it.
///
/// Recorded is what the first sync of the table said: its option, else UTC. Rows of an older version have no zone; an
/// option is believed then, and UTC where the first timestamp that they recorded is that of the staged bars.
pub(super) async fn settle_zone(
    shared: &Shared<'_>,
    link: &Link<'_>,
    stream: &mut Stream,
    series: &[SeriesInfo],
    found: Found,
) -> Result<(), Error> {
    let dry = shared.settings.dry_run;
    if !found.zone && !dry {
        stream.progress.add_zone(link).await?;
    }
    if !dry {
        // Two stores that begin at once agree here: the second sees what the first recorded.
        link.begin().await?;
        let both = format!(
            "SELECT pg_advisory_xact_lock({}, {}::oid::int8::bit(32)::int4)",
            ZONE_LOCK, stream.target.oid
        );
        link.query("locking the target's time zone", &both, &[])
            .await?;
    }
    let chosen = choose_zone(shared, link, stream, series, found).await;
    if dry {
        stream.target.clock = chosen?;
        return Ok(());
    }
    let clock = match chosen {
        Ok(clock) => clock,
        Err(error) => {
            link.rollback().await;
            return Err(error);
        }
    };
    stream.target.clock = clock;
    let tickers: Vec<&str> = series.iter().map(|info| info.key.ticker.as_str()).collect();
    stream.make_rows(link, &tickers).await?;
    let zone = clock.zone_name().unwrap_or_default();
    stream.progress.set_zone(link, &stream.target, zone).await?;
    link.batch("recording the time zone of the target", "COMMIT")
        .await
}

async fn choose_zone(
    shared: &Shared<'_>,
    link: &Link<'_>,
    stream: &Stream,
    series: &[SeriesInfo],
    found: Found,
) -> Result<ColumnClock, Error> {
    let (progress, target) = (&stream.progress, &stream.target);
    let remembered = match found {
        Found { zone: false, .. } if shared.settings.dry_run => Vec::new(),
        _ => progress.zones(link, target).await?,
    };
    let asked = shared.settings.target_zone.map(ColumnClock::Wall);
    let asked_name = asked.and_then(ColumnClock::zone_name);
    match (asked, remembered.as_slice()) {
        (Some(asked), []) => return Ok(asked),
        (Some(asked), [zone]) if asked_name == Some(zone.as_str()) => return Ok(asked),
        (None, [zone]) if let Some(clock) = ColumnClock::of_zone(zone) => return Ok(clock),
        (None, []) => {
            let firsts = progress
                .firsts(link, target, stream.interval, found)
                .await?;
            let differs = series.iter().find(|info| {
                firsts.iter().any(|(ticker, first)| {
                    ticker == info.key.ticker.as_str() && *first != info.first.micros()
                })
            });
            return match differs {
                None => Ok(ColumnClock::Utc),
                Some(info) => Err(Error::UnknownZone {
                    table: target.table.clone(),
                    ticker: info.key.ticker.to_string(),
                }),
            };
        }
        _ => {}
    }
    if !shared.settings.dry_run {
        // A chunk that is under way ends first; the next one sees what is recorded here.
        progress.lock_all(link, target).await?;
    }
    let empty = format!("SELECT NOT EXISTS (SELECT 1 FROM {})", target.table);
    let empty: bool = link
        .one("looking at the target table", &empty, &[])
        .await?
        .get(0);
    if empty {
        return Ok(asked.unwrap_or(ColumnClock::Utc));
    }
    Err(Error::OtherZone {
        table: target.table.clone(),
        remembered,
        given: asked_name.unwrap_or("UTC").to_owned(),
    })
}

impl ProgressTable {
    /// Adds the column for the zone to a table of an older version.
    async fn add_zone(&self, link: &Link<'_>) -> Result<(), Error> {
        let ddl = format!(
            "ALTER TABLE {} ADD COLUMN IF NOT EXISTS {ZONE} text",
            self.table
        );
        match link.batch("adding a column to backfill_sync", &ddl).await {
            Err(Error::Database { answer, .. })
                if answer.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) =>
            {
                Err(Error::OldProgress {
                    table: self.table.clone(),
                    ddl,
                    why: describe(&answer),
                })
            }
            Err(error) if is_lost_race(&error) => Ok(()),
            other => other,
        }
    }

    /// The zones that are recorded for a table, by all stores.
    ///
    /// A table that was renamed or moved to another schema keeps its times: it is found by its object id, also in the
    /// progress tables of other schemas.
    async fn zones(&self, link: &Link<'_>, target: &Target) -> Result<Vec<String>, Error> {
        let elsewhere = "SELECT quote_ident(n.nspname) || '.backfill_sync' \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relname = 'backfill_sync' AND c.relkind IN ('r', 'p') \
             AND c.oid IS DISTINCT FROM to_regclass($1)::oid AND has_schema_privilege(n.oid, 'USAGE') \
             AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) \
             AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped \
             AND (a.attname, a.atttypid) IN (('time_zone', 'text'::regtype), ('rel_oid', 'int8'::regtype))) = 2 \
             ORDER BY 1";
        let found = link
            .query(READING, elsewhere, &[(&self.table, Type::TEXT)])
            .await?;
        let mut sql = format!(
            "SELECT {ZONE} FROM {} WHERE (target_table = $1 OR rel_oid = $2) AND {ZONE} IS NOT NULL",
            self.table
        );
        for row in &found {
            let table: &str = row.get(0);
            sql.push_str(&format!(
                " UNION SELECT {ZONE} FROM {table} WHERE rel_oid = $2 AND {ZONE} IS NOT NULL"
            ));
        }
        let sql = format!("SELECT DISTINCT {ZONE} FROM ({sql}) recorded ORDER BY 1");
        let rows = link
            .query(
                READING,
                &sql,
                &[(&target.table, Type::TEXT), (&target.oid, Type::INT8)],
            )
            .await
            .map_err(|error| self.explain(error))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Waits until no chunk of a table is under way, and keeps others from beginning.
    async fn lock_all(&self, link: &Link<'_>, target: &Target) -> Result<(), Error> {
        let sql = format!(
            "SELECT 1 FROM {} WHERE target_table = $1 ORDER BY store_id, \"interval\", ticker FOR UPDATE",
            self.table
        );
        let locked = link
            .query(READING, &sql, &[(&target.table, Type::TEXT)])
            .await;
        locked.map(|_| ()).map_err(|error| self.explain(error))
    }

    /// Records the zone of a table's times, with every store's progress, and by the table's object id too where no
    /// pass has recorded it: a run with dates writes rows and records no progress.
    async fn set_zone(&self, link: &Link<'_>, target: &Target, zone: &str) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {} SET {ZONE} = $2, rel_oid = CASE rel_oid WHEN 0 THEN $3 ELSE rel_oid END \
             WHERE target_table = $1 AND ({ZONE} IS DISTINCT FROM $2 OR rel_oid = 0)",
            self.table
        );
        link.execute(
            "recording the time zone of the target",
            &sql,
            &[
                (&target.table, Type::TEXT),
                (&zone, Type::TEXT),
                (&target.oid, Type::INT8),
            ],
        )
        .await
        .map(|_| ())
        .map_err(|error| self.explain(error))
    }

    /// The first timestamp that was recorded for each of this store's series, read as UTC, where the zone was not.
    async fn firsts(
        &self,
        link: &Link<'_>,
        target: &Target,
        interval: Interval,
        found: Found,
    ) -> Result<Vec<(String, i64)>, Error> {
        let sql = format!(
            "SELECT ticker, (extract(epoch FROM first_ts) * 1000000)::int8 FROM {} \
             WHERE store_id = $1::text::uuid AND target_table = $2 AND \"interval\" = $3 \
             AND first_ts IS NOT NULL {} ORDER BY ticker",
            self.table,
            if found.zone {
                format!("AND {ZONE} IS NULL")
            } else {
                String::new()
            }
        );
        let rows = link
            .query(
                READING,
                &sql,
                &[
                    (&self.store_id.to_string(), Type::TEXT),
                    (&target.table, Type::TEXT),
                    (&i32::from(interval.minutes()), Type::INT4),
                ],
            )
            .await
            .map_err(|error| self.explain(error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

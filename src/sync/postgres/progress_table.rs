//! The table `backfill_sync` itself: found, created, extended.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::error::{SEES_ALL_ROWS, is_lost_race, sql_state};
use super::link::Link;
use crate::advice::SyncAdvice;
use crate::sync::error::{Error, ErrorKind};

/// The zone of a `timestamp` column. Tables of older versions get it when it is needed.
pub(super) const ZONE: &str = "time_zone";
/// The number of restated rows that `ignore` left. Tables of older versions get it when it is
/// needed, if the user may add it.
pub(super) const KEPT: &str = "kept_rows";
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
/// The progress table of a store in the schema of its target table.
#[derive(Clone, Debug)]
pub(super) struct ProgressTable {
    /// The full name.
    pub name: String,
    schema: String,
    pub store_id: Uuid,
    /// Whether it has the column [`KEPT`].
    pub has_kept: bool,
}

/// Columns that tables of older versions lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewColumns {
    /// Whether the table has [`ZONE`].
    pub zone: bool,
    /// Whether the table has [`KEPT`].
    kept: bool,
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
    /// `keeps` means that this run may leave restated rows unchanged. [`KEPT`] counts them, so an
    /// older table gets that column then.
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
            let error = Error::new(ErrorKind::Progress, message);
            return Err(error.with_hint(SyncAdvice::OtherSchema));
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
                // IF NOT EXISTS doesn't see what another connection hasn't committed yet. The next
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

/// Whether the user lacks a right.
pub(super) fn is_denied(error: &Error) -> bool {
    sql_state(error) == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

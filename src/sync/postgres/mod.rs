//! Postgres as a target.
//!
//! ```text
//! mod (Target, Connection) ─> transfer: one transaction ─> write ─> compare, copy, checksum
//!        │                     └─> progress, zone: the table backfill_sync
//!        └─> table: the target table ─> column: its types
//! all of them ─> link: one connection ─> connect: addresses, TLS, hosts
//! ```

mod checksum;
mod column;
mod compare;
mod connect;
mod copy;
mod error;
mod job;
mod link;
mod progress;
mod progress_table;
mod sql;
mod table;
mod transfer;
mod write;
mod zone;

use std::time::Duration;

use chrono_tz::Tz;
use uuid::Uuid;

use self::column::ColumnClock;
use self::compare::RowState;
use self::job::Job;
use self::link::{Link, Server};
use self::progress::PgTable;
use self::progress_table::ProgressTable;
use self::table::TableSpec;
use self::zone::settle_zone;
use super::error::{Error, ErrorKind};
use super::settings::Settings;
use super::source::SeriesInfo;
use super::target::{
    Connection, Outcome, Probe, Progress, Signals, Tally, Target, TransactionId, Write, Written,
};
use crate::model::{Interval, OnConflict, SeriesKey};

pub use self::connect::{Address, AddressError, ConnectError, SslMode};

/// How long to wait for a response of the server, by default.
pub const STATEMENT_TIMEOUT_SECONDS_DEFAULT: u64 = 3_600;
/// How often a server that is starting is tried again, and how long each wait is.
const STARTING_ATTEMPTS_MAX: u32 = 20;
const STARTING_WAIT: Duration = Duration::from_millis(250);

/// The database, and settings that only Postgres has.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server and the database.
    pub address: Address,
    /// How long to wait for a response of the server; without limit if `None`.
    pub statement_timeout: Option<Duration>,
    /// Round volumes for an integer column.
    pub round_volume: bool,
    /// The zone of a `timestamp` column.
    pub target_zone: Option<Tz>,
}

impl Options {
    /// The defaults for a database.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            statement_timeout: Some(Duration::from_secs(STATEMENT_TIMEOUT_SECONDS_DEFAULT)),
            round_volume: false,
            target_zone: None,
        }
    }
}

/// A Postgres database, for one run.
pub struct Postgres {
    server: Server,
    round_volume: bool,
    target_zone: Option<Tz>,
}

impl Postgres {
    /// The database that `options` name. Doesn't connect yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            server: Server::new(options.address, options.statement_timeout),
            round_volume: options.round_volume,
            target_zone: options.target_zone,
        }
    }
}

/// A connection to Postgres.
pub struct PgConnection<'a> {
    postgres: &'a Postgres,
    link: Link<'a>,
}

impl Target for Postgres {
    type Table = PgTable;
    type Connection<'a> = PgConnection<'a>;

    async fn open<'a>(&'a self, signals: Signals<'a>) -> Result<PgConnection<'a>, Error> {
        let mut attempts = 0;
        let connection = loop {
            match self.connect(signals).await {
                Err(error)
                    if error
                        .cause::<ConnectError>()
                        .is_some_and(ConnectError::is_starting)
                        && attempts < STARTING_ATTEMPTS_MAX
                        && !signals.stop.is_set() =>
                {
                    attempts += 1;
                    tokio::time::sleep(STARTING_WAIT).await;
                }
                other => break other?,
            }
        };
        connection.check_transactions().await?;
        Ok(connection)
    }

    async fn connect<'a>(&'a self, signals: Signals<'a>) -> Result<PgConnection<'a>, Error> {
        Ok(PgConnection {
            postgres: self,
            link: Link::connect(&self.server, signals).await?,
        })
    }
}

impl PgConnection<'_> {
    /// A pooler in statement mode has no transactions, and refuses the first.
    async fn check_transactions(&self) -> Result<(), Error> {
        let begun = self.link.begin().await;
        if let Err(error) = &begun
            && error.to_string().contains("statement pooling mode")
        {
            let message = format!(
                "{} is a connection pooler in statement mode, and a sync needs transactions",
                self.postgres.server.address.label()
            );
            return Err(Error::new(ErrorKind::NoTransactions, message).with_hint(
                "set pool_mode of this database to transaction or session, or connect to the \
                 server itself",
            ));
        }
        begun?;
        self.link.rollback().await;
        Ok(())
    }
}

impl Connection for PgConnection<'_> {
    type Table = PgTable;

    async fn find_table(
        &mut self,
        settings: &Settings,
        store_id: Uuid,
        name: &str,
        interval: Interval,
    ) -> Result<PgTable, Error> {
        if settings.create_table && !settings.dry_run {
            table::create(&self.link, name).await?;
        }
        let spec = TableSpec {
            name,
            zone: self.postgres.target_zone,
            round_volume: self.postgres.round_volume,
        };
        let bars = table::find(&self.link, &spec).await?;
        Ok(PgTable {
            progress: ProgressTable::new(&bars.schema, store_id),
            bars,
            interval,
        })
    }

    async fn probe(
        &mut self,
        settings: &Settings,
        table: &mut PgTable,
        series: &[SeriesInfo],
    ) -> Result<Vec<Probe>, Error> {
        let link = &self.link;
        let keeps = settings.on_conflict == OnConflict::Ignore;
        let columns = table.progress.ensure(link, settings.dry_run, keeps).await?;
        let Some(columns) = columns else {
            return Ok(vec![Probe::default(); series.len()]);
        };
        if table.bars.clock != ColumnClock::Instant {
            let requested = self.postgres.target_zone.map(ColumnClock::Wall);
            settle_zone(link, table, series, requested, columns, settings.dry_run).await?;
        }
        let tickers: Vec<&str> = series.iter().map(|info| info.key.ticker.as_str()).collect();
        let mut probes = table.probe(link, &tickers).await?;
        let new: Vec<&str> = tickers
            .iter()
            .zip(&probes)
            .filter(|(_, probe)| probe.progress.is_none())
            .map(|(ticker, _)| *ticker)
            .collect();
        if !new.is_empty() && !settings.dry_run {
            table.make_rows(link, &new).await?;
            // If another sync moved one of them meanwhile, the first write finds that.
            for probe in &mut probes {
                probe.progress.get_or_insert_default();
            }
        }
        Ok(probes)
    }

    async fn progress(&mut self, table: &PgTable, series: &SeriesKey) -> Result<Progress, Error> {
        table.read_or_make(&self.link, series).await
    }

    async fn write(&mut self, table: &PgTable, write: &Write<'_>) -> Result<Written, Error> {
        transfer::send(&self.link, &Job::new(table, write)?).await
    }

    async fn compare(&mut self, table: &PgTable, write: &Write<'_>) -> Result<Tally, Error> {
        let job = Job::new(table, write)?;
        let compared = compare::compare(&self.link, &job).await?;
        compared.check(&job)?;
        let count = |state| compared.rows(state).len() as u64;
        Ok(Tally {
            inserted: count(RowState::New),
            updated: 0,
            identical: count(RowState::Identical),
            restated: count(RowState::Restated),
        })
    }

    async fn outcome(
        &mut self,
        table: &PgTable,
        series: &SeriesKey,
        transaction: TransactionId,
    ) -> Result<Outcome, Error> {
        transfer::outcome(&self.link, table, series, transaction).await
    }

    async fn reset(&mut self) {
        self.link.rollback().await;
    }
}

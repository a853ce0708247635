//! One connection, and how long it waits for a response.
//!
//! **Every response of the server is awaited in [`Link::wait`]**: it reports a long wait and its
//! reason, gives up at the limit, and ends at Ctrl-C. In both cases it cancels the statement first.
//!
//! **No statement has a name outside of a transaction.** A connection pooler may run the next
//! transaction on another of its connections, where the same name means another program's
//! statement.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_postgres::types::{BorrowToSql, ToSql, Type};
use tokio_postgres::{CancelToken, Client, Row};

use super::connect::Address;
use super::error::failed;
use crate::advice::SyncAdvice;
use crate::report::Event;
use crate::sync::context::lock;
use crate::sync::error::{Error, ErrorKind};
use crate::sync::target::Signals;

/// A wait this long is reported.
const REPORT_AFTER: Duration = Duration::from_secs(5);
/// After this long the server is asked what blocks the statement, so that the report can name it.
const LOOK_AFTER: Duration = Duration::from_secs(3);
/// How long that query may take. It needs a connection too, which a full pooler doesn't have.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// How long a statement may continue after Ctrl-C.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// The same for a COMMIT: without its response the chunk isn't counted.
const STOP_GRACE_COMMIT: Duration = Duration::from_secs(5);
/// How long the request to cancel a statement may take.
const CANCEL_MAX: Duration = Duration::from_secs(2);

/// Begins every transaction that writes.
///
/// If this program is killed, the server must not keep its locks for hours: it probes the connection
/// and ends idle transactions. Rows hidden by row-level security must not count as missing: with
/// this setting the server refuses the query instead. All settings end with the transaction, so
/// other clients of a pooler never see them.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; \
     SET LOCAL tcp_keepalives_count = 3; \
     SET LOCAL idle_in_transaction_session_timeout = '120s'; SET LOCAL row_security = off";

/// Connections that block one of this program's connections.
const BLOCKERS: &str = "SELECT DISTINCT blocker.pid, b.usename::text, nullif(b.application_name, ''), b.state, \
     to_char(coalesce(b.xact_start, b.state_change) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
     FROM pg_stat_activity a CROSS JOIN LATERAL unnest(pg_blocking_pids(a.pid)) AS blocker(pid) \
     LEFT JOIN pg_stat_activity b ON b.pid = blocker.pid \
     WHERE a.usename = session_user AND a.datname = current_database() AND a.wait_event_type = 'Lock' \
     AND a.application_name = current_setting('application_name') ORDER BY blocker.pid LIMIT 3";

/// The server of a run, and what its connections share.
pub(super) struct Server {
    pub address: Address,
    /// How long to wait for a response; without limit by default.
    pub statement_timeout: Option<Duration>,
    /// When Ctrl-C was first seen.
    stopped_at: OnceLock<Instant>,
    /// Warnings that were printed.
    warned: Mutex<HashSet<String>>,
}

/// A connection of a run.
pub(super) struct Link<'a> {
    server: &'a Server,
    signals: Signals<'a>,
    client: Client,
    cancel: CancelToken,
    /// Set when the wait for a response was given up: the next response would be that one.
    given_up: AtomicBool,
    /// The connections that the current wait is for, if known.
    waits_for: Mutex<Option<String>>,
}

/// Parameters of a statement with their types, which saves a query for the types.
pub(super) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

impl Server {
    pub(super) fn new(address: Address, statement_timeout: Option<Duration>) -> Self {
        Self {
            address,
            statement_timeout,
            stopped_at: OnceLock::new(),
            warned: Mutex::default(),
        }
    }

    /// Prints a warning, unless the run has printed it before.
    fn warn_once(&self, signals: Signals<'_>, text: &str) {
        if lock(&self.warned).insert(text.to_owned()) {
            signals.observer.event(&Event::Warning(text));
        }
    }

    /// Waits for Ctrl-C and then for `grace`, counted from when it was first seen.
    async fn stopped(&self, signals: Signals<'_>, grace: Duration) {
        signals.stop.wait().await;
        sleep_until(*self.stopped_at.get_or_init(Instant::now) + grace).await;
    }

    /// Reports that connecting takes long. Never returns.
    async fn report_connecting(&self, signals: Signals<'_>) {
        sleep(REPORT_AFTER).await;
        self.warn_once(signals, &no_response("connecting"));
        std::future::pending::<()>().await;
    }
}

impl<'a> Link<'a> {
    /// Connects. Each server of the address has its own limit. Ctrl-C ends the wait immediately.
    pub(super) async fn connect(server: &'a Server, signals: Signals<'a>) -> Result<Self, Error> {
        let client = tokio::select! {
            biased;
            () = signals.stop.wait() => return Err(Error::interrupted()),
            client = server.address.connect() => client?,
            () = server.report_connecting(signals) => return Err(Error::interrupted()),
        };
        Ok(Self {
            server,
            signals,
            cancel: client.cancel_token(),
            client,
            given_up: AtomicBool::new(false),
            waits_for: Mutex::default(),
        })
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        self.batch("beginning a transaction", BEGIN).await
    }

    /// The same for statements that are sent together, which [`wait_all`](Self::wait_all) awaits.
    pub(super) async fn begin_together(&self) -> Result<(), Error> {
        let begun = self.client.batch_execute(BEGIN).await;
        begun.map_err(failed("beginning a transaction"))
    }

    /// Rolls back the transaction. On a lost connection the server does it.
    pub(super) async fn rollback(&self) {
        if !self.given_up.load(Ordering::Relaxed) {
            // Without a transaction the server only warns.
            let _ = self.batch("rolling back", "ROLLBACK").await;
        }
    }

    /// Runs statements without parameters or rows.
    pub(super) async fn batch(&self, doing: &'static str, sql: &str) -> Result<(), Error> {
        self.wait(doing, self.client.batch_execute(sql)).await
    }

    /// The rows of a query.
    pub(super) async fn query(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        self.wait(doing, self.client.query_typed(sql, parameters))
            .await
    }

    /// The row of a query that has exactly one.
    pub(super) async fn one(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Row, Error> {
        self.wait(doing, self.client.query_typed_one(sql, parameters))
            .await
    }

    /// The row of a query that has one or none.
    pub(super) async fn opt(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>, Error> {
        self.wait(doing, self.client.query_typed_opt(sql, parameters))
            .await
    }

    /// Calls `take` for each row of a query as it arrives.
    pub(super) async fn each<P, I>(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: I,
        mut take: impl FnMut(&Row) -> Result<(), Error>,
    ) -> Result<(), Error>
    where
        P: BorrowToSql,
        I: IntoIterator<Item = (P, Type)>,
    {
        let rows = self
            .wait(doing, self.client.query_typed_raw(sql, parameters))
            .await?;
        let mut rows = pin!(rows);
        while let Some(row) = self.wait(doing, rows.try_next()).await? {
            take(&row)?;
        }
        Ok(())
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<u64, Error> {
        self.wait(doing, self.client.execute_typed(sql, parameters))
            .await
    }

    /// The connection itself, for statements that are sent together or streamed. Their responses must
    /// be awaited in [`wait`](Self::wait) or [`wait_all`](Self::wait_all).
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for one response of the server.
    pub(super) async fn wait<T>(
        &self,
        doing: &'static str,
        response: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let response = async { response.await.map_err(failed(doing)) };
        self.wait_for(doing, STOP_GRACE, response).await
    }

    /// Waits for the responses of several statements.
    pub(super) async fn wait_all<T>(
        &self,
        doing: &'static str,
        responses: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.wait_for(doing, STOP_GRACE, responses).await
    }

    /// Waits for a COMMIT.
    pub(super) async fn wait_commit<T>(
        &self,
        responses: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.wait_for("committing", STOP_GRACE_COMMIT, responses)
            .await
    }

    async fn wait_for<T>(
        &self,
        doing: &'static str,
        grace: Duration,
        responses: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let limit = self.server.statement_timeout;
        *lock(&self.waits_for) = None;
        let error = tokio::select! {
            biased;
            result = responses => return result,
            () = self.report(doing) => Error::interrupted(),
            () = elapsed(limit) => self.timed_out(doing, limit.unwrap_or_default()),
            () = self.server.stopped(self.signals, grace) => Error::interrupted(),
        };
        self.given_up.store(true, Ordering::Relaxed);
        let _ = timeout(CANCEL_MAX, self.server.address.cancel(&self.cancel)).await;
        Err(error)
    }

    /// The server didn't respond within the limit.
    fn timed_out(&self, doing: &str, limit: Duration) -> Error {
        let blockers = lock(&self.waits_for).take();
        let blockers = blockers.map_or_else(String::new, |text| format!(", waiting for {text}"));
        let message = format!(
            "{doing}: no response within {} s{blockers}",
            limit.as_secs()
        );
        Error::new(ErrorKind::NoResponse, message).with_hint(SyncAdvice::WaitLonger)
    }

    /// Reports a long wait after [`REPORT_AFTER`], with the connections that block the statement if
    /// they are known by then, else again when they are. Never returns.
    async fn report(&self, doing: &'static str) {
        let report_at = Instant::now() + REPORT_AFTER;
        sleep(LOOK_AFTER).await;
        let mut look = pin!(timeout(LOOK_MAX, self.blockers()));
        let mut found = timeout_at(report_at, &mut look).await;
        if found.is_err() {
            self.server.warn_once(self.signals, &no_response(doing));
            found = Ok(look.await);
        } else {
            sleep_until(report_at).await;
        }
        let blockers = found.ok().and_then(Result::ok).flatten();
        let text = match &blockers {
            Some(blockers) => format!("{doing}: waiting for {blockers}"),
            None => no_response(doing),
        };
        *lock(&self.waits_for) = blockers;
        self.server.warn_once(self.signals, &text);
        std::future::pending::<()>().await;
    }

    /// The connections that block those of this program, read over another one. `None` if
    /// there are none, or the user may not see them.
    async fn blockers(&self) -> Option<String> {
        let client = self.server.address.connect().await.ok()?;
        let rows = client.query_typed(BLOCKERS, &[]).await.ok()?;
        let described: Vec<_> = rows.iter().map(describe_blocker).collect();
        (!described.is_empty()).then(|| described.join(", "))
    }
}

/// `process 4711 (user me, application psql, idle in transaction since 2025-01-02T14:30:00Z)`.
fn describe_blocker(row: &Row) -> String {
    let pid: i32 = row.get(0);
    if pid == 0 {
        return "a prepared transaction".to_owned();
    }
    let text = |index: usize| row.get::<_, Option<String>>(index);
    let mut facts = Vec::new();
    if let Some(user) = text(1) {
        facts.push(format!("user {user}"));
    }
    if let Some(application) = text(2) {
        facts.push(format!("application {application}"));
    }
    match (text(3), text(4)) {
        (Some(state), Some(since)) => facts.push(format!("{state} since {since}")),
        (Some(state), None) => facts.push(state),
        (None, _) => {}
    }
    format!("process {pid} ({})", facts.join(", "))
}

fn no_response(doing: &str) -> String {
    format!(
        "{doing}: no response for {} s; is the server busy, or does a connection pooler have no free connection?",
        REPORT_AFTER.as_secs()
    )
}

/// Waits for `limit`; without end if there is none.
async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

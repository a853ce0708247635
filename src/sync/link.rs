//! One connection, and how long an answer is waited for.
//!
//! **Every answer of the server is waited for in [`Link::wait`]**: after a few seconds it reports what the wait is for,
//! it gives up at the limit, and Ctrl-C ends it. Each of the two cancels the statement first.
//!
//! **No statement has a name outside of a transaction.** A connection pooler may hand the next transaction to another of
//! its connections, where the same name means another program's statement.

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_postgres::types::{BorrowToSql, ToSql, Type};
use tokio_postgres::{CancelToken, Client, Row};

use super::errors::Error;
use super::run::{Shared, lock};
use crate::report::Event;

/// A wait this long is reported.
const REPORT_AFTER: Duration = Duration::from_secs(5);
/// After this long the server is asked what blocks the statement, so that the report can name it.
const LOOK_AFTER: Duration = Duration::from_secs(3);
/// How long that question may take. It needs a connection too, which a full pooler doesn't have.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// How long a chunk that is under way may go on after Ctrl-C.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// The same for a COMMIT: without its answer, what it did is not counted.
const STOP_GRACE_COMMIT: Duration = Duration::from_secs(5);
/// How long asking the server to cancel a statement may take.
const CANCEL_MAX: Duration = Duration::from_secs(2);

/// What begins every transaction that writes.
///
/// A client that vanishes without a word must not hold its locks for hours: the server looks after it, and ends
/// transactions that stay idle. Rows that row-level security hides must not count as missing: with this setting the
/// server refuses the query. All of it ends with the transaction, so a pooler's other clients never see it.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; \
     SET LOCAL tcp_keepalives_count = 3; \
     SET LOCAL idle_in_transaction_session_timeout = '120s'; SET LOCAL row_security = off";

/// Sessions that block one of this program's, described.
const BLOCKERS: &str = "SELECT DISTINCT blocker.pid, b.usename::text, nullif(b.application_name, ''), b.state, \
     to_char(coalesce(b.xact_start, b.state_change) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
     FROM pg_stat_activity a CROSS JOIN LATERAL unnest(pg_blocking_pids(a.pid)) AS blocker(pid) \
     LEFT JOIN pg_stat_activity b ON b.pid = blocker.pid \
     WHERE a.usename = session_user AND a.datname = current_database() AND a.wait_event_type = 'Lock' \
     AND a.application_name = current_setting('application_name') ORDER BY blocker.pid LIMIT 3";

/// A connection of a run.
pub(super) struct Link<'a> {
    shared: &'a Shared<'a>,
    client: Client,
    cancel: CancelToken,
    /// Set when an answer was given up on: the next one would be that answer.
    given_up: AtomicBool,
    /// What the wait under way is for, as far as it is known.
    waits_for: Mutex<Option<String>>,
}

/// Parameters of a statement with their types: nothing has to be asked about them first.
pub(super) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

impl<'a> Link<'a> {
    /// Connects. Each server of the address has its own limit; Ctrl-C ends the wait at once.
    pub(super) async fn connect(shared: &'a Shared<'a>) -> Result<Self, Error> {
        let client = tokio::select! {
            biased;
            () = shared.stop.wait() => return Err(Error::Interrupted),
            client = shared.settings.address.connect() => client?,
            () = report_connecting(shared) => return Err(Error::Interrupted),
        };
        Ok(Self {
            shared,
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

    /// The same without waiting for the answer: for statements that are sent together.
    pub(super) async fn begin_unwatched(&self) -> Result<(), Error> {
        let begun = self.client.batch_execute(BEGIN).await;
        begun.map_err(Error::database("beginning a transaction"))
    }

    /// Rolls back what was begun. Nothing to do where the connection is lost: the server does it then.
    pub(super) async fn rollback(&self) {
        if !self.given_up.load(Ordering::Relaxed) {
            // A session without a transaction only warns.
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

    /// Gives each row of a query to `take`, as they come.
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

    /// The connection itself, for statements that are sent together or streamed; their answers are for
    /// [`wait`](Self::wait).
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for one answer of the server.
    pub(super) async fn wait<T>(
        &self,
        doing: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let answer = async { answer.await.map_err(Error::database(doing)) };
        self.wait_for(doing, STOP_GRACE, answer).await
    }

    /// Waits for the answers of several statements.
    pub(super) async fn wait_all<T>(
        &self,
        doing: &'static str,
        answers: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.wait_for(doing, STOP_GRACE, answers).await
    }

    /// Waits for a COMMIT.
    pub(super) async fn wait_commit<T>(
        &self,
        answers: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.wait_for("committing", STOP_GRACE_COMMIT, answers)
            .await
    }

    async fn wait_for<T>(
        &self,
        doing: &'static str,
        grace: Duration,
        answers: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let limit = self.shared.settings.statement_timeout;
        let error = tokio::select! {
            biased;
            result = answers => return result,
            () = self.report(doing) => return Err(Error::Interrupted),
            () = elapsed(limit) => Error::NoAnswer {
                doing,
                seconds: limit.unwrap_or_default().as_secs(),
                waits_for: lock(&self.waits_for).take(),
            },
            () = self.shared.stopped(grace) => Error::Interrupted,
        };
        self.given_up.store(true, Ordering::Relaxed);
        let address = &self.shared.settings.address;
        let _ = timeout(CANCEL_MAX, address.cancel(&self.cancel)).await;
        Err(error)
    }

    /// Reports a long wait, each text once: after [`REPORT_AFTER`], with what blocks the statement if that is known
    /// by then, else again when it is. Never returns.
    async fn report(&self, doing: &'static str) {
        let report_at = Instant::now() + REPORT_AFTER;
        sleep(LOOK_AFTER).await;
        let mut look = pin!(timeout(LOOK_MAX, self.blockers()));
        let mut found = timeout_at(report_at, &mut look).await;
        if found.is_err() {
            self.shared.warn_once(&no_answer(doing));
            found = Ok(look.await);
        } else {
            sleep_until(report_at).await;
        }
        let blockers = found.ok().and_then(Result::ok).flatten();
        let text = match &blockers {
            Some(blockers) => format!("{doing}: waiting for {blockers}"),
            None => no_answer(doing),
        };
        *lock(&self.waits_for) = blockers;
        self.shared.warn_once(&text);
        std::future::pending::<()>().await;
    }

    /// The sessions that block this program's, asked over another connection. `None` where there are none, or none can be
    /// seen.
    async fn blockers(&self) -> Option<String> {
        let client = self.shared.settings.address.connect().await.ok()?;
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

fn no_answer(doing: &str) -> String {
    format!(
        "{doing}: no answer for {} s; is the server busy, or does a connection pooler have no free connection?",
        REPORT_AFTER.as_secs()
    )
}

/// Reports that connecting takes long. Never returns.
async fn report_connecting(shared: &Shared<'_>) {
    sleep(REPORT_AFTER).await;
    shared.warn_once(&no_answer("connecting"));
    std::future::pending::<()>().await;
}

/// Waits for so long; for ever where there is no limit.
async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

impl Shared<'_> {
    /// Prints a warning, unless the run has printed it before.
    fn warn_once(&self, text: &str) {
        if lock(&self.waits).insert(text.to_owned()) {
            self.observer.event(&Event::Warning(text));
        }
    }

    /// Waits for Ctrl-C and then for `grace`, counted from when it was first seen.
    async fn stopped(&self, grace: Duration) {
        self.stop.wait().await;
        sleep_until(*self.stopped_at.get_or_init(Instant::now) + grace).await;
    }
}

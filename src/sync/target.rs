//! Where the bars go: a database that keeps its own progress.
//!
//! A sync is exactly-once because a [`Connection`] writes the rows of a chunk and the new progress in
//! one atomic step. This program keeps no record that decides what is sent.

use uuid::Uuid;

use super::error::Error;
use super::settings::{DeliveryCheck, Settings};
use super::source::SeriesInfo;
use crate::model::{Bars, Interval, OnConflict, SeriesKey};
use crate::report::{Observer, Stop};

/// A commit of the store: its sequence and its id. The pair distinguishes a store from its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mark {
    /// The sequence; 0 is before the first commit.
    pub seq: u64,
    /// The id; nil for sequence 0.
    pub id: Uuid,
}

/// Identifies the table and its contents that a progress belongs to. Only the target knows what the numbers mean;
/// another value means that the table was emptied or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Epoch(pub [i64; 2]);

/// How far a series has come in a target. The default is a series that was never synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// All rows up to this commit are in the table.
    pub base: Mark,
    /// The commit that the current pass, or the last one, goes up to.
    pub pass: Mark,
    /// The last instant that the current pass has written; `None` before its first chunk, and if
    /// no pass is unfinished.
    pub through: Option<i64>,
    /// The table, and its contents, that this progress belongs to.
    pub epoch: Epoch,
    /// Restated rows that syncs under `ignore` left unchanged since the last full comparison.
    pub kept: u64,
}

impl Progress {
    /// Whether a pass was started and not finished.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.pass != self.base
    }

    /// Whether the series was never synced.
    #[must_use]
    pub fn is_new(&self) -> bool {
        *self == Self::default()
    }
}

/// What a target knows of a series before the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probe {
    /// Its progress; `None` if none is recorded.
    pub progress: Option<Progress>,
    /// Whether its first or last timestamp in the table has changed since the progress was
    /// recorded, so that rows were deleted or added by something else.
    pub edges_changed: bool,
}

/// What happened to the rows of a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that the table didn't have.
    pub inserted: u64,
    /// Restated rows that got the new values.
    pub updated: u64,
    /// Rows that the table has with the same values.
    pub identical: u64,
    /// Restated rows that keep their values.
    pub restated: u64,
}

/// One chunk for [`Connection::write`].
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The series of the bars.
    pub series: &'a SeriesKey,
    /// The bars, sorted by timestamp; none if only the progress moves.
    pub chunk: &'a Bars,
    /// The table that `next` is about.
    pub epoch: Epoch,
    /// The progress that the caller knows.
    pub expected: Progress,
    /// The progress after this chunk, if no row is left restated; `None` doesn't change it.
    pub next: Option<Progress>,
    /// What to do with restated rows.
    pub on_conflict: OnConflict,
    /// How delivery is checked.
    pub check: DeliveryCheck,
}

impl Write<'_> {
    /// The progress to record with the rows, which counts those that are left restated.
    #[must_use]
    pub fn next_after(&self, tally: &Tally) -> Option<Progress> {
        self.next.map(|next| Progress {
            kept: next.kept + tally.restated,
            ..next
        })
    }
}

/// A transaction of the target whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionId(pub i64);

/// How [`Connection::write`] ended, unless it failed.
#[derive(Debug)]
pub enum Written {
    /// Rows and progress are durable.
    Committed(Tally),
    /// The recorded progress isn't the expected one: another sync moved it. Nothing was written.
    Moved(Option<Progress>),
    /// The table was emptied, or is another one under the same name. Nothing was written.
    Emptied(Epoch),
    /// The commit was sent and its reply lost.
    Unknown {
        /// The transaction, for [`Connection::outcome`].
        transaction: TransactionId,
        /// What it did, if it was committed.
        tally: Tally,
        /// Why there is no reply.
        error: Error,
    },
}

/// The outcome of a transaction whose reply was lost.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Whether it was committed; `None` if the target doesn't remember it any more.
    pub committed: Option<bool>,
    /// The progress now.
    pub progress: Option<Progress>,
}

/// How a run is stopped, and where its warnings go.
#[derive(Clone, Copy)]
pub struct Signals<'a> {
    /// Set by Ctrl-C.
    pub stop: &'a Stop,
    /// Gets the warnings.
    pub observer: &'a dyn Observer,
}

/// A database. One value serves one run, from many threads.
#[allow(async_fn_in_trait)] // each future runs on the thread that made it, and needs no Send
pub trait Target: Sync {
    /// A table for the bars of one interval.
    type Table: Table;
    /// A connection.
    type Connection<'a>: Connection<Table = Self::Table> + Send
    where
        Self: 'a;

    /// The first connection of a run. It waits for a database that is starting, and checks what would
    /// make every sync fail.
    async fn open<'a>(&'a self, signals: Signals<'a>) -> Result<Self::Connection<'a>, Error>;

    /// One more connection.
    async fn connect<'a>(&'a self, signals: Signals<'a>) -> Result<Self::Connection<'a>, Error>;
}

/// A table for the bars of one interval.
pub trait Table: Sync {
    /// Its full name.
    fn name(&self) -> &str;

    /// What its content was when it was found.
    fn epoch(&self) -> Epoch;
}

/// A connection to a target.
///
/// After an error the caller calls [`reset`](Self::reset). If [`Error::retry`] is
/// [`NewConnection`](super::Retry::NewConnection), it drops the connection instead.
#[allow(async_fn_in_trait)]
pub trait Connection {
    /// A table for the bars of one interval.
    type Table: Table;

    /// Finds the table for bars of `interval` and checks that it can take them; creates it if it is
    /// missing and the settings allow that.
    async fn find_table(
        &mut self,
        settings: &Settings,
        store_id: Uuid,
        name: &str,
        interval: Interval,
    ) -> Result<Self::Table, Error>;

    /// What the target knows of each of `series`, all of the table's interval, in their order.
    /// Prepares the record of progress for those that have none, except in a dry run.
    async fn probe(
        &mut self,
        settings: &Settings,
        table: &mut Self::Table,
        series: &[SeriesInfo],
    ) -> Result<Vec<Probe>, Error>;

    /// The recorded progress of a series; the default if there is none.
    async fn progress(
        &mut self,
        table: &Self::Table,
        series: &SeriesKey,
    ) -> Result<Progress, Error>;

    /// Writes a chunk and moves the progress: both or neither.
    ///
    /// Writes only if the recorded progress is the expected one and the table has the expected
    /// epoch. Waits for other transactions on the series first, also for a commit of this program
    /// whose reply was lost. Values are compared as the table stores them. Under `fail` a chunk
    /// with restated rows is refused with [`Restated`](super::ErrorKind::Restated).
    async fn write(&mut self, table: &Self::Table, write: &Write<'_>) -> Result<Written, Error>;

    /// Compares a chunk as [`write`](Self::write) would, and changes nothing.
    async fn compare(&mut self, table: &Self::Table, write: &Write<'_>) -> Result<Tally, Error>;

    /// Finds out whether a transaction was committed, after it has ended.
    async fn outcome(
        &mut self,
        table: &Self::Table,
        series: &SeriesKey,
        transaction: TransactionId,
    ) -> Result<Outcome, Error>;

    /// Makes the connection usable again after an error.
    async fn reset(&mut self);
}

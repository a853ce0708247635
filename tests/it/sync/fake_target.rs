//! A target in memory, which fails where a test wants it to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use backfill::model::{Bar, Interval, OnConflict, SeriesKey};
use backfill::sync::{
    Connection, Epoch, Error, ErrorKind, Outcome, Probe, Progress, Retry, SeriesInfo, Settings,
    Signals, Table, Tally, Target, TransactionId, Write, Written,
};
use uuid::Uuid;

use super::memory::line;

/// What happens at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The connection is lost before the commit is sent.
    Lost,
    /// The target can't commit now, but the connection stays.
    Busy,
    /// The commit succeeds and its reply is lost.
    ReplyLost,
    /// The commit is lost.
    CommitLost,
    /// As `ReplyLost`, and the target forgets the transaction.
    ReplyLostAndForgotten,
    /// As `CommitLost`, and the target forgets the transaction.
    CommitLostAndForgotten,
    /// Another program empties the table just before.
    Emptied,
    /// Another program writes other values for all rows of the chunk just before.
    Overwritten,
    /// The record of progress is deleted just before.
    ProgressDeleted,
}

pub const FAULTS: [Fault; 9] = [
    Fault::Lost,
    Fault::Busy,
    Fault::ReplyLost,
    Fault::CommitLost,
    Fault::ReplyLostAndForgotten,
    Fault::CommitLostAndForgotten,
    Fault::Emptied,
    Fault::Overwritten,
    Fault::ProgressDeleted,
];

type Rows = BTreeMap<i64, Bar>;
/// Progress, and the first and last instant of the series when it was recorded.
type Recorded = (Progress, Option<(i64, i64)>);

/// What a transaction would store.
#[derive(Clone, Default)]
struct Stored {
    rows: BTreeMap<SeriesKey, Rows>,
    progress: BTreeMap<(Uuid, SeriesKey), Recorded>,
    epoch: i64,
}

#[derive(Default)]
struct State {
    stored: Stored,
    transactions: BTreeMap<i64, bool>,
    transactions_begun: i64,
    faults: VecDeque<Fault>,
    writes: usize,
    connections: usize,
}

/// A database in memory.
#[derive(Default)]
pub struct FakeTarget(Mutex<State>);

pub struct FakeTable {
    name: String,
    store_id: Uuid,
    interval: Interval,
    epoch: Epoch,
}

pub struct FakeConnection<'a> {
    target: &'a FakeTarget,
    lost: bool,
}

impl FakeTarget {
    /// Lets the next writes fail so.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().faults = faults.into_iter().collect();
    }

    /// Whether all faults took place.
    pub fn has_failed(&self) -> bool {
        self.0.lock().unwrap().faults.is_empty()
    }

    /// How many writes there were.
    pub fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.0.lock().unwrap().connections
    }

    /// All rows, as [`Memory::table`](super::memory::Memory::table) shows them.
    pub fn table(&self) -> String {
        let mut lines = Vec::new();
        for (series, rows) in &self.0.lock().unwrap().stored.rows {
            lines.extend(rows.values().map(|bar| line(series, bar)));
        }
        lines.join("\n")
    }
}

impl Target for FakeTarget {
    type Table = FakeTable;
    type Connection<'a> = FakeConnection<'a>;

    async fn open<'a>(&'a self, signals: Signals<'a>) -> Result<FakeConnection<'a>, Error> {
        self.connect(signals).await
    }

    async fn connect<'a>(&'a self, _: Signals<'a>) -> Result<FakeConnection<'a>, Error> {
        self.0.lock().unwrap().connections += 1;
        Ok(FakeConnection {
            target: self,
            lost: false,
        })
    }
}

impl Table for FakeTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Stored {
    fn edges(&self, series: &SeriesKey) -> Option<(i64, i64)> {
        let rows = self.rows.get(series)?;
        Some((*rows.first_key_value()?.0, *rows.last_key_value()?.0))
    }

    /// What `write` does to the rows.
    fn merge(&mut self, write: &Write<'_>) -> Result<Tally, Error> {
        let rows = self.rows.entry(write.series.clone()).or_default();
        let mut tally = Tally::default();
        for bar in write.chunk.iter() {
            let instant = bar.timestamp.micros();
            match rows.get(&instant) {
                None => {
                    rows.insert(instant, bar);
                    tally.inserted += 1;
                }
                Some(stored) if *stored == bar => tally.identical += 1,
                Some(_) if write.on_conflict == OnConflict::Update => {
                    rows.insert(instant, bar);
                    tally.updated += 1;
                }
                Some(_) => tally.restated += 1,
            }
        }
        if write.on_conflict == OnConflict::Fail && tally.restated > 0 {
            let kind = ErrorKind::Restated {
                restated: tally.restated,
                rows: write.chunk.len() as u64,
            };
            return Err(Error::new(kind, "restated rows"));
        }
        Ok(tally)
    }
}

impl State {
    /// What other programs do before the write.
    fn disturb(&mut self, fault: Fault, write: &Write<'_>) {
        match fault {
            Fault::Emptied => {
                self.stored.rows.clear();
                self.stored.epoch += 1;
            }
            Fault::Overwritten => {
                let rows = self.stored.rows.entry(write.series.clone()).or_default();
                for bar in write.chunk.iter() {
                    let close = bar.close + 1.0;
                    rows.insert(bar.timestamp.micros(), Bar { close, ..bar });
                }
            }
            Fault::ProgressDeleted => self.stored.progress.clear(),
            _ => {}
        }
    }
}

impl FakeConnection<'_> {
    fn check(&self) -> Result<(), Error> {
        match self.lost {
            true => Err(lost()),
            false => Ok(()),
        }
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Database, "connection lost").with_retry(Retry::NewConnection)
}

impl Connection for FakeConnection<'_> {
    type Table = FakeTable;

    async fn find_table(
        &mut self,
        _: &Settings,
        store_id: Uuid,
        name: &str,
        interval: Interval,
    ) -> Result<FakeTable, Error> {
        let state = self.target.0.lock().unwrap();
        Ok(FakeTable {
            name: name.to_owned(),
            store_id,
            interval,
            epoch: Epoch([1, state.stored.epoch]),
        })
    }

    async fn probe(
        &mut self,
        _: &Settings,
        table: &mut FakeTable,
        series: &[SeriesInfo],
    ) -> Result<Vec<Probe>, Error> {
        let stored = &self.target.0.lock().unwrap().stored;
        let probe = |info: &SeriesInfo| {
            assert_eq!(info.key.interval, table.interval);
            let recorded = stored.progress.get(&(table.store_id, info.key.clone()));
            Probe {
                progress: recorded.map(|(progress, _)| *progress),
                edges_changed: recorded.is_some_and(|(_, edges)| *edges != stored.edges(&info.key)),
            }
        };
        Ok(series.iter().map(probe).collect())
    }

    async fn progress(&mut self, table: &FakeTable, series: &SeriesKey) -> Result<Progress, Error> {
        self.check()?;
        let stored = &self.target.0.lock().unwrap().stored;
        let recorded = stored.progress.get(&(table.store_id, series.clone()));
        Ok(recorded.map(|(progress, _)| *progress).unwrap_or_default())
    }

    async fn write(&mut self, table: &FakeTable, write: &Write<'_>) -> Result<Written, Error> {
        self.check()?;
        let state = &mut *self.target.0.lock().unwrap();
        state.writes += 1;
        let fault = state.faults.pop_front().unwrap_or(Fault::None);
        state.disturb(fault, write);
        let key = (table.store_id, write.series.clone());
        let recorded = state
            .stored
            .progress
            .get(&key)
            .map(|(progress, _)| *progress);
        if recorded.unwrap_or_default() != write.expected {
            return Ok(Written::Moved(recorded));
        }
        let epoch = Epoch([1, state.stored.epoch]);
        if epoch != write.epoch {
            return Ok(Written::Emptied(epoch));
        }
        let mut stored = state.stored.clone();
        let tally = stored.merge(write)?;
        if let Some(next) = write.next_after(&tally) {
            let edges = stored.edges(write.series);
            stored.progress.insert(key, (next, edges));
        }
        state.transactions_begun += 1;
        let transaction = TransactionId(state.transactions_begun);
        let (commits, forgets) = match fault {
            Fault::Busy => {
                return Err(
                    Error::new(ErrorKind::Database, "busy").with_retry(Retry::SameConnection)
                );
            }
            Fault::Lost => {
                self.lost = true;
                return Err(lost());
            }
            Fault::ReplyLost => (true, false),
            Fault::ReplyLostAndForgotten => (true, true),
            Fault::CommitLost => (false, false),
            Fault::CommitLostAndForgotten => (false, true),
            _ => {
                state.stored = stored;
                return Ok(Written::Committed(tally));
            }
        };
        if commits {
            state.stored = stored;
        }
        if !forgets {
            state.transactions.insert(transaction.0, commits);
        }
        self.lost = true;
        Ok(Written::Unknown {
            transaction,
            tally,
            error: lost(),
        })
    }

    async fn compare(&mut self, _: &FakeTable, write: &Write<'_>) -> Result<Tally, Error> {
        self.target.0.lock().unwrap().stored.clone().merge(write)
    }

    async fn outcome(
        &mut self,
        table: &FakeTable,
        series: &SeriesKey,
        transaction: TransactionId,
    ) -> Result<Outcome, Error> {
        self.check()?;
        let state = self.target.0.lock().unwrap();
        let recorded = state.stored.progress.get(&(table.store_id, series.clone()));
        Ok(Outcome {
            committed: state.transactions.get(&transaction.0).copied(),
            progress: recorded.map(|(progress, _)| *progress),
        })
    }

    async fn reset(&mut self) {}
}

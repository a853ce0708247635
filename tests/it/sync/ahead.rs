//! Bars are read before the target needs them: also when reading fails, and when the run ends
//! before.

use std::collections::HashMap;

use backfill::model::{OnConflict, SeriesKey, TimeRange};
use backfill::report::{Event, Observer, Silent, Stop};
use backfill::sync::{self, Batches, SeriesInfo, Settings, Source, SourceError};
use uuid::Uuid;

use super::fake_target::FakeTarget;
use super::memory::{Memory, bar};

/// A source that can't read one ticker.
struct Damaged<'a>(&'a Memory, &'static str);

impl Source for Damaged<'_> {
    fn store_id(&self) -> Uuid {
        self.0.store_id()
    }

    fn series(&self) -> Result<Vec<SeriesInfo>, SourceError> {
        self.0.series()
    }

    fn commit_ids(&self, seqs: &[u64]) -> Result<HashMap<u64, Uuid>, SourceError> {
        self.0.commit_ids(seqs)
    }

    fn scan_since(
        &self,
        key: &SeriesKey,
        range: TimeRange,
        after_seq: u64,
        through_seq: u64,
    ) -> Result<Batches<'_>, SourceError> {
        if key.ticker.as_str() == self.1 {
            return Err("damaged".into());
        }
        self.0.scan_since(key, range, after_seq, through_seq)
    }
}

/// Stops a run after its first ticker.
struct StopAfterFirst<'a>(&'a Stop);

impl Observer for StopAfterFirst<'_> {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::TickerDone(_)) {
            self.0.set();
        }
    }
}

fn memory() -> Memory {
    let mut memory = Memory::new();
    for ticker in ["AAPL", "MSFT", "NVDA"] {
        memory.commit(ticker, (0..12).map(bar));
    }
    memory
}

fn settings() -> Settings {
    Settings {
        on_conflict: OnConflict::Fail,
        threads: 1,
        chunk_rows: 5,
        ..Settings::default()
    }
}

#[test]
fn a_ticker_that_cannot_be_read_ahead_fails_alone() {
    let (memory, target) = (memory(), FakeTarget::default());
    let damaged = Damaged(&memory, "MSFT");
    let synced = sync::run(&damaged, &target, &settings(), &Stop::new(), &Silent);
    let report = synced.unwrap().report;
    let errors: Vec<_> = report
        .tickers
        .iter()
        .map(|unit| unit.error.clone())
        .collect();
    let error = "the stored bars of MSFT 1m can't be read: damaged";
    assert_eq!(errors, [None, Some(error.to_owned()), None]);
    assert_eq!(report.totals.committed, 24);
    // The progress of the failed ticker is as it was: the next run sends all of it.
    let synced = sync::run(&memory, &target, &settings(), &Stop::new(), &Silent);
    assert_eq!(synced.unwrap().report.totals.committed, 12);
    assert_eq!(target.table(), memory.table());
}

#[test]
fn a_run_that_is_stopped_drops_what_it_read_ahead() {
    let (memory, target, stop) = (memory(), FakeTarget::default(), Stop::new());
    let observer = StopAfterFirst(&stop);
    let report = sync::run(&memory, &target, &settings(), &stop, &observer)
        .unwrap()
        .report;
    assert!(report.interrupted);
    assert_eq!(report.totals.committed, 12);
    let synced = sync::run(&memory, &target, &settings(), &Stop::new(), &Silent);
    assert_eq!(synced.unwrap().report.totals.committed, 24);
    assert_eq!(target.table(), memory.table());
}

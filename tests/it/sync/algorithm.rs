//! The algorithm of a sync, without a server: each fault at each write, alone and in pairs.

use backfill::model::OnConflict;
use backfill::report::{RunReport, Silent, Stop};
use backfill::sync::{self, RetryPolicy, Settings};

use super::fake_target::{FAULTS, FakeTarget, Fault};
use super::memory::{Memory, bar, restated};

/// Two series; the second commit restates rows of the first.
fn memory() -> Memory {
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..25).map(bar));
    memory.commit("MSFT", (0..10).map(bar));
    memory.commit("AAPL", (20..24).map(restated).chain([bar(30)]));
    memory
}

fn settings() -> Settings {
    Settings {
        on_conflict: OnConflict::Update,
        threads: 1,
        chunk_rows: 5,
        retry: RetryPolicy {
            failures_max: 8,
            wait_ms_min: 0,
            wait_ms_max: 0,
        },
        ..Settings::default()
    }
}

#[track_caller]
fn run(memory: &Memory, target: &FakeTarget, settings: &Settings) -> RunReport {
    let synced = sync::run(memory, target, settings, &Stop::new(), &Silent);
    synced.unwrap().report
}

/// Whether a fault leaves the table as this program wrote it.
fn is_harmless(fault: Fault) -> bool {
    !matches!(fault, Fault::Emptied | Fault::Overwritten)
}

/// Syncs with `faults` before the writes. At the end the target has all bars, a further sync has
/// nothing to do, and what was counted is true.
#[track_caller]
fn converges(faults: &[Fault]) {
    let (memory, target) = (memory(), FakeTarget::default());
    target.fail(faults.iter().copied());
    let report = run(&memory, &target, &settings());
    assert!(target.has_failed(), "{faults:?}");
    assert_eq!(report.status().code(), 0, "{faults:?} {report:#?}");
    if faults.iter().all(|fault| is_harmless(*fault)) {
        assert_eq!(report.totals.committed, memory.rows(), "{faults:?}");
    }
    if faults.contains(&Fault::Emptied) || faults.contains(&Fault::ProgressDeleted) {
        // Only the next run notices what happened to a series that was complete before.
        run(&memory, &target, &settings());
    }
    assert_eq!(target.table(), memory.table(), "{faults:?}");
    let again = run(&memory, &target, &settings());
    assert_eq!(again.totals.prepared, 0, "{faults:?}");
}

/// How many writes an undisturbed sync needs.
fn writes() -> usize {
    let target = FakeTarget::default();
    run(&memory(), &target, &settings());
    target.writes()
}

#[test]
fn any_fault_at_any_write_is_repaired_in_the_same_run() {
    assert_eq!(writes(), 6 + 2);
    for fault in FAULTS {
        for before in 0..writes() {
            let mut faults = vec![Fault::None; before];
            faults.push(fault);
            converges(&faults);
        }
    }
}

#[test]
fn any_two_faults_are_repaired_in_the_same_run() {
    for first in FAULTS {
        for second in FAULTS {
            for between in 0..3 {
                let mut faults = vec![Fault::None, first];
                faults.extend(vec![Fault::None; between]);
                faults.push(second);
                converges(&faults);
            }
        }
    }
}

/// The program ends at a fault, and another one continues.
#[test]
fn the_next_run_continues_after_any_fault() {
    for fault in FAULTS {
        for before in 0..writes() {
            let (memory, target) = (memory(), FakeTarget::default());
            let mut faults = vec![Fault::None; before];
            faults.push(fault);
            target.fail(faults);
            let impatient = Settings {
                retry: RetryPolicy {
                    failures_max: 0,
                    ..settings().retry
                },
                ..settings()
            };
            let first = run(&memory, &target, &impatient);
            let mut committed = first.totals.committed;
            for _ in 0..2 {
                let next = run(&memory, &target, &settings());
                assert_eq!(next.status().code(), 0, "{fault:?} {before} {next:#?}");
                committed += next.totals.committed;
            }
            assert_eq!(target.table(), memory.table(), "{fault:?} {before}");
            // A commit whose reply was lost isn't counted by the run that sent it.
            let counts_all = matches!(
                fault,
                Fault::Lost | Fault::Busy | Fault::CommitLost | Fault::CommitLostAndForgotten
            );
            if counts_all {
                assert_eq!(committed, memory.rows(), "{fault:?} {before}");
            }
        }
    }
}

#[test]
fn a_lost_connection_is_replaced_and_a_busy_one_kept() {
    for (fault, connections) in [(Fault::Busy, 1), (Fault::Lost, 2)] {
        let target = FakeTarget::default();
        target.fail([fault]);
        let report = run(&memory(), &target, &settings());
        assert_eq!(target.connections(), connections, "{fault:?}");
        assert_eq!(report.totals.retries, 1, "{fault:?}");
    }
}

#[test]
fn a_series_is_given_up_after_its_failures_in_a_row() {
    let target = FakeTarget::default();
    let policy = RetryPolicy {
        failures_max: 3,
        ..settings().retry
    };
    let settings = Settings {
        retry: policy,
        ..settings()
    };
    // A committed chunk in between starts the count again.
    let busy = |count| vec![Fault::Busy; count];
    target.fail([busy(3), vec![Fault::None], busy(3)].concat());
    assert_eq!(run(&memory(), &target, &settings).status().code(), 0);

    let target = FakeTarget::default();
    target.fail(busy(4));
    let report = run(&memory(), &target, &settings);
    assert_eq!(report.status().code(), 3, "{report:#?}");
    assert_eq!(report.tickers[0].error.as_deref(), Some("busy"));
    // The other ticker isn't affected.
    assert_eq!(report.tickers[1].counts.committed, 10);
}

#[test]
fn values_of_another_writer_are_refused_kept_or_replaced() {
    for (mode, code, equal) in [
        (OnConflict::Fail, 4, false),
        (OnConflict::Ignore, 0, false),
        (OnConflict::Update, 0, true),
    ] {
        let (memory, target) = (memory(), FakeTarget::default());
        target.fail([Fault::None, Fault::Overwritten]);
        let settings = Settings {
            on_conflict: mode,
            ..settings()
        };
        let report = run(&memory, &target, &settings);
        assert_eq!(report.status().code(), code, "{mode:?} {report:#?}");
        assert_eq!(target.table() == memory.table(), equal, "{mode:?}");
        if mode == OnConflict::Ignore {
            assert_eq!(report.totals.skipped_restated, 5);
            let updating = Settings {
                on_conflict: OnConflict::Update,
                ..settings
            };
            let hints = run(&memory, &target, &updating).hints;
            assert_eq!(hints.len(), 1, "{hints:?}");
            let full = Settings {
                full: true,
                ..updating
            };
            assert_eq!(run(&memory, &target, &full).hints.len(), 0);
            assert_eq!(target.table(), memory.table());
        }
    }
}

#[test]
fn a_copy_with_other_commits_is_compared_in_full() {
    let target = FakeTarget::default();
    let mut original = memory();
    run(&original, &target, &settings());
    let mut copy = original.clone();
    original.commit("AAPL", (40..45).map(bar));
    copy.commit("AAPL", (50..55).map(bar));
    run(&original, &target, &settings());
    let report = run(&copy, &target, &settings());
    assert_eq!(report.totals.committed, 5);
    assert_eq!(report.totals.skipped_identical, 26, "{report:#?}");
}

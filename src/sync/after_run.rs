//! A sync at the end of another run, and the store's record of how far its targets are.

use std::collections::HashMap;

use super::error::Error;
use super::run::{Seen, run};
use super::settings::Settings;
use super::source::Source;
use super::target::Target;
use crate::model::Timestamp;
use crate::report::{Fatal, Observer, RunReport, Stop};
use crate::store::{self, Reader, Store};

/// Syncs what a run stored, and adds the outcome to its report: a failed sync fails the run, and the
/// bars stay stored. `label` names the database. Returns how far the target is.
pub fn after_run<T: Target>(
    source: &dyn Source,
    (target, label): (&T, &str),
    settings: &Settings,
    stop: &Stop,
    observer: &dyn Observer,
    report: &mut RunReport,
) -> Result<Vec<Seen>, Error> {
    let synced = run(source, target, settings, stop, observer)?;
    report.append(RunReport {
        interrupted: synced.report.interrupted,
        fatal: failure(label, &synced.report),
        hints: synced.report.hints,
        ..RunReport::default()
    });
    Ok(synced.seen)
}

/// Why the run failed, if its sync did.
fn failure(label: &str, synced: &RunReport) -> Option<Fatal> {
    if let Some(fatal) = &synced.fatal {
        return Some(fatal.clone());
    }
    let failed = synced.tickers.iter().filter(|unit| unit.error.is_some());
    let first = failed.clone().next()?;
    Some(Fatal {
        error: format!(
            "{} of {} tickers were not synced to {label}, the first {}: {}",
            failed.count(),
            synced.tickers.len(),
            first.name,
            first.error.as_deref().unwrap_or_default()
        ),
        hint: first.hint.clone(),
    })
}

/// Those of `seen` that the store has no record of.
#[must_use]
pub fn unrecorded(reader: &Reader, label: &str, seen: &[Seen]) -> Vec<Seen> {
    let known: HashMap<_, _> = reader
        .targets()
        .unwrap_or_default()
        .into_iter()
        .map(|row| ((row.target, row.series), row.base_seq))
        .collect();
    seen.iter()
        .filter(|seen| {
            let key = (target_name(label, seen), seen.series.clone());
            known.get(&key) != Some(&seen.base_seq)
        })
        .cloned()
        .collect()
}

/// Records how far the target is, for `status`.
pub fn record(
    store: &Store,
    label: &str,
    seen: &[Seen],
    now: Timestamp,
) -> Result<(), store::Error> {
    let rows: Vec<_> = seen
        .iter()
        .map(|seen| (target_name(label, seen), &seen.series, seen.base_seq))
        .collect();
    store.record_targets_seen(&rows, now)
}

/// A target's name in the store: the database, without a password, and the table.
fn target_name(label: &str, seen: &Seen) -> String {
    format!("{label} {}", seen.table)
}

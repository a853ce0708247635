//! What every fetch into the store shares: its memory, and the record of its end.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::report::RunReport;
use crate::store::{RunId, Store};

/// Memory for DuckDB in a fetch: commits are small, and the whole run should stay below 300 MiB.
pub(super) const STORE_MEMORY_MIB: u64 = 96;

/// Threads of DuckDB in a fetch. With more of them a thread of DuckDB runs each of the many small
/// statements, and the writer thread polls it meanwhile: that takes a quarter of the run's
/// processor time.
pub(super) const STORE_THREADS: u16 = 1;

/// Records the end of the run in the store. If that fails, the run failed.
pub(super) fn record_end(
    context: &Context,
    store: &Store,
    run: &RunId,
    mut report: RunReport,
) -> RunReport {
    let summary = context.summary_json(&report);
    let status = report.status().as_str();
    if let Err(error) = store.finish_run(run, context.now(), status, &summary)
        && report.fatal.is_none()
    {
        report.fatal = Some((&CliError::from(error)).into());
    }
    report
}

//! Ends a query that is interrupted, or that uses more memory than it may.
//!
//! DuckDB limits only its buffers: strings, lists and results grow without limit. So a thread
//! checks the memory of this process many times a second. Memory counts when it is written to,
//! which takes time, so even a single huge string is noticed while it grows. (A limit on the
//! address space would count memory that is reserved and never used, and most libraries crash when
//! they reach it.)
//!
//! The query is interrupted first. If it doesn't end, for example inside a single function call
//! over a huge value, or if it still grows, this thread ends the process.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use duckdb::InterruptHandle;

use super::limits::Limits;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::{exit, system};
use crate::report::ExitStatus;
use crate::store::remove_busy_dir;

/// How often the thread checks.
const CHECK_EVERY: Duration = Duration::from_millis(5);
/// How long an interrupted query may take to end.
const GRACE: Duration = Duration::from_secs(1);

/// Why a query was interrupted.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Stopped,
    Memory,
}

/// What to watch, and what to remove if the process has to be ended.
pub(super) struct Watch<'a> {
    pub context: &'a Context,
    pub limits: Limits,
    pub query: Arc<InterruptHandle>,
    /// The folder of temporary files.
    pub spill: Option<PathBuf>,
    /// The unfinished file of `--to`.
    pub draft: Option<PathBuf>,
}

impl Watch<'_> {
    /// Runs the query, and ends it early if it has to be.
    pub fn over<T>(&self, query: impl FnOnce() -> Result<T, CliError>) -> Result<T, CliError> {
        let cause = OnceLock::new();
        let before = system::memory_used().unwrap_or(0);
        let (running, ended) = channel();
        let result = std::thread::scope(|scope| {
            // Dropped when the query ends, even by a panic.
            let running = running;
            let check = {
                let cause = &cause;
                move || self.check(before, cause, &ended)
            };
            std::thread::Builder::new()
                .name("watch".into())
                .spawn_scoped(scope, check)
                .map_err(|error| {
                    CliError::failed(format!("a thread could not be started: {error}"))
                })?;
            let result = query();
            drop(running);
            result
        });
        result.map_err(|error| cause.get().map_or(error, |cause| self.error(*cause)))
    }

    fn check(&self, before: u64, cause: &OnceLock<Cause>, ended: &Receiver<()>) {
        let stop = self.context.stop();
        let limit = self.limits.memory_limit;
        let mut interrupted_at = None;
        while ended.recv_timeout(CHECK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let used = system::memory_used().unwrap_or(0).saturating_sub(before);
            if stop.is_set() {
                cause.get_or_init(|| Cause::Stopped);
            } else if used > limit {
                cause.get_or_init(|| Cause::Memory);
            }
            let Some(cause) = cause.get() else { continue };
            // Every time: a query that is just starting loses the interrupt.
            self.query.interrupt();
            let interrupted_at = interrupted_at.get_or_insert_with(Instant::now);
            if interrupted_at.elapsed() > GRACE || used > limit.saturating_add(limit / 4) {
                self.end(*cause);
            }
        }
    }

    /// Ends the process. Nothing else stops DuckDB.
    fn end(&self, cause: Cause) -> ! {
        if let Some(spill) = &self.spill {
            remove_busy_dir(spill);
        }
        if let Some(draft) = &self.draft {
            let _ = std::fs::remove_file(draft);
        }
        let status = exit::finish(self.context, Err(self.error(cause)));
        system::exit_now(status)
    }

    fn error(&self, cause: Cause) -> CliError {
        match cause {
            Cause::Stopped => CliError::new(ExitStatus::Interrupted, "interrupted"),
            Cause::Memory => self.limits.memory_reached(),
        }
    }
}

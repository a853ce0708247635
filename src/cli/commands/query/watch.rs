//! Ends a query that is interrupted, or that uses more memory than it may.
//!
//! DuckDB limits its buffers and nothing else: strings, lists and results grow without limit. So a thread looks at the
//! memory of this process many times a second. Memory counts once it is written to, and that takes time, so even a single
//! huge string is noticed while it grows. (A limit on the address space would count what is reserved and never used, and
//! reaching it is a crash in most libraries.)
//!
//! The query is asked to end first. If it doesn't, as inside a single function call over a huge value, or if it grows
//! on, this thread ends the process.

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

/// How often the thread looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a query that was asked to end may take.
const GRACE: Duration = Duration::from_secs(1);

/// Why a query was asked to end.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Stopped,
    Memory,
}

/// What is watched, and what is to be removed if the process has to be ended.
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
            // Dropped at the end of the query, also by a panic.
            let running = running;
            let look = {
                let cause = &cause;
                move || self.look(before, cause, &ended)
            };
            std::thread::Builder::new()
                .name("watch".into())
                .spawn_scoped(scope, look)
                .map_err(|error| CliError::failed(format!("no thread can be started: {error}")))?;
            let result = query();
            drop(running);
            result
        });
        result.map_err(|error| cause.get().map_or(error, |cause| self.error(*cause)))
    }

    fn look(&self, before: u64, cause: &OnceLock<Cause>, ended: &Receiver<()>) {
        let stop = self.context.stop();
        let limit = self.limits.memory_limit;
        let mut asked_at = None;
        while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let used = system::memory_used().unwrap_or(0).saturating_sub(before);
            if stop.is_set() {
                cause.get_or_init(|| Cause::Stopped);
            } else if used > limit {
                cause.get_or_init(|| Cause::Memory);
            }
            let Some(cause) = cause.get() else { continue };
            // Each time: a query that is just beginning forgets that it was asked.
            self.query.interrupt();
            let asked_at = asked_at.get_or_insert_with(Instant::now);
            if asked_at.elapsed() > GRACE || used > limit.saturating_add(limit / 4) {
                self.end(*cause);
            }
        }
    }

    /// Ends the process. Nothing else can stop what DuckDB does.
    fn end(&self, cause: Cause) -> ! {
        if let Some(spill) = &self.spill {
            remove_busy_dir(spill);
        }
        if let Some(draft) = &self.draft {
            drop(std::fs::remove_file(draft));
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

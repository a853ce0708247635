//! The observer of a run that writes into a store: it prints the run's events, and writes the
//! progress file that `status` reads in other processes.

use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::clock;
use super::console::Console;
use super::context::Context;
use crate::model::Timestamp;
use crate::report::{Event, Observer, UnitReport, UnitStatus};
use crate::store::{ProgressFile, RunId, RunProgress, Store};

/// How often the file is replaced.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// The rate is that of this many of the last writes.
const SAMPLES_MAX: usize = 30;

/// Counts the requests that a run has sent.
pub type RequestCount = Box<dyn Fn() -> u64 + Send>;

/// Prints the events of a run and writes its progress file. Dropping it removes both the progress
/// bar and the file; drop it before the store.
pub struct RunObserver {
    console: Console,
    counts: Arc<Mutex<Counts>>,
    wake: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    unit: &'static str,
    done: u64,
    total: u64,
    failed: u64,
}

impl Context {
    /// The observer of a run that writes into `store`. `requests` counts the requests of a run that
    /// sends some. [`describe`](Self::describe) the run first.
    #[must_use]
    pub fn run_observer(
        &self,
        store: &Store,
        run: &RunId,
        requests: Option<RequestCount>,
    ) -> RunObserver {
        let counts = Arc::default();
        let (wake, woken) = mpsc::channel();
        let mut writer = ProgressWriter {
            file: store.progress_file(),
            run: run.to_string(),
            command: self.info().command,
            started_at: self.started_at(),
            counts: Arc::clone(&counts),
            requests,
            samples: VecDeque::new(),
        };
        let work = move || {
            loop {
                writer.write();
                if woken.recv_timeout(WRITE_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("progress".to_owned());
        RunObserver {
            console: self.observer(),
            counts,
            wake: Some(wake),
            // Without a thread there is no file, and the run works.
            thread: thread.spawn(work).ok(),
        }
    }
}

impl Observer for RunObserver {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::Planned { unit, total } => {
                let mut counts = lock(&self.counts);
                counts.unit = unit;
                counts.total += total;
            }
            Event::Progress { done, .. } => lock(&self.counts).done += done,
            Event::TickerDone(unit) | Event::FileDone(unit) if has_failed(unit) => {
                lock(&self.counts).failed += 1;
            }
            _ => {}
        }
        self.console.event(event);
    }
}

impl Drop for RunObserver {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn has_failed(unit: &UnitReport) -> bool {
    matches!(unit.status, UnitStatus::Failed | UnitStatus::Conflict)
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread that writes the file has.
struct ProgressWriter {
    file: ProgressFile,
    run: String,
    command: String,
    started_at: Timestamp,
    counts: Arc<Mutex<Counts>>,
    requests: Option<RequestCount>,
    /// When the last writes were, and what was done then.
    samples: VecDeque<(Instant, u64)>,
}

impl ProgressWriter {
    fn write(&mut self) {
        let mut progress = {
            let counts = lock(&self.counts);
            RunProgress {
                pid: std::process::id(),
                run: self.run.clone(),
                command: self.command.clone(),
                started_at_us: self.started_at.micros(),
                updated_at_us: clock::now().micros(),
                unit: counts.unit.to_owned(),
                done: counts.done,
                total: counts.total,
                per_second: 0.0,
                failed: counts.failed,
                rows_committed: self.file.rows_committed(),
                requests: self.requests.as_ref().map(|requests| requests()),
            }
        };
        progress.per_second = self.rate(progress.done);
        // The next second tries again: the run doesn't depend on it.
        let _ = self.file.write(&progress);
    }

    /// What was done per second since the oldest of the last writes.
    fn rate(&mut self, done: u64) -> f64 {
        let now = Instant::now();
        self.samples.push_back((now, done));
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
        let (since, before) = self.samples[0];
        let seconds = now.duration_since(since).as_secs_f64();
        match seconds > 0.0 {
            true => done.saturating_sub(before) as f64 / seconds,
            false => 0.0,
        }
    }
}

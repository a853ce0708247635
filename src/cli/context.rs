//! What every command gets: global options, clock, environment, outputs.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::args::{Globals, OutputArg, SummaryTarget};
use super::clock;
use super::console::Console;
use super::error::CliError;
use super::interrupt;
use super::output::{OutputError, Stdout};
use super::terminal::Terminal;
use crate::export::{BadOutput, Guard, OutputFile, OutputFolder};
use crate::model::Timestamp;
use crate::report::{ExitStatus, RunInfo, RunReport, Stop, Summary, Wording};

/// The default store.
pub const STORE_DEFAULT: &str = "data/staging";
/// The default store of the simulator's bars.
pub const STORE_DEMO: &str = "data/demo";

/// What every command gets.
pub struct Context {
    globals: Globals,
    terminal: Arc<Terminal>,
    output_error: OutputError,
    guard: Guard,
    outputs: Mutex<Outputs>,
    notices: Mutex<HashSet<String>>,
    began: Instant,
    info: Mutex<RunInfo>,
    metrics: OnceLock<OutputFile>,
    ended: OnceLock<(Timestamp, Duration)>,
    stop: OnceLock<Stop>,
}

/// The files that the command writes.
#[derive(Default)]
struct Outputs {
    summary: Option<OutputFile>,
    files: Vec<OutputFile>,
}

/// How a command ended, if it did not fail.
pub enum Outcome {
    /// All is done.
    Done,
    /// Done, with another exit status.
    Ended(ExitStatus),
    /// A run. Its report decides the Summary line, the hints, the JSON and the exit status.
    Run(Box<RunReport>),
}

impl Context {
    /// `inputs` are the files that the command reads; no output may be one of them.
    pub(super) fn new(
        globals: Globals,
        terminal: Arc<Terminal>,
        command: &str,
        inputs: Vec<PathBuf>,
    ) -> Self {
        let typed = globals
            .store
            .iter()
            .filter(|dir| !dir.as_os_str().is_empty());
        let mut stores: Vec<PathBuf> = typed.cloned().collect();
        if stores.is_empty() {
            stores = [STORE_DEFAULT, STORE_DEMO].map(PathBuf::from).into();
        }
        Self {
            guard: Guard {
                stores,
                inputs,
                is_read: crate::inject::is_csv_name,
            },
            outputs: Mutex::default(),
            globals,
            terminal,
            output_error: OutputError::default(),
            notices: Mutex::default(),
            began: Instant::now(),
            info: Mutex::new(RunInfo::new(command, clock::now())),
            metrics: OnceLock::new(),
            ended: OnceLock::new(),
            stop: OnceLock::new(),
        }
    }

    /// The store's folder: `--store`, `BACKFILL_STORE`, or the default, which depends on `demo`.
    #[must_use]
    pub fn store_dir(&self, demo: bool) -> PathBuf {
        let fallback = if demo { STORE_DEMO } else { STORE_DEFAULT };
        let dir = self
            .globals
            .store
            .clone()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or_else(|| PathBuf::from(fallback));
        self.describe(|info| info.store = Some(dir.clone()));
        dir
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        clock::now()
    }

    /// When the program started.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.info().started_at
    }

    /// The time since the program started.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// A variable of the environment or of `.env`; `None` if it is empty.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Records what is known of the run, for its lines and its summary: kind, dates, dry run and so
    /// on.
    pub fn describe(&self, change: impl FnOnce(&mut RunInfo)) {
        change(&mut self.info.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What is known of the run.
    #[must_use]
    pub fn info(&self) -> RunInfo {
        self.info
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The observer that prints the run's events. [`describe`](Self::describe) the run first. Drop
    /// the observer when the run ends: that removes the progress bar.
    #[must_use]
    pub fn observer(&self) -> Console {
        Console::new(self.wording(), Arc::clone(&self.terminal))
    }

    /// Standard output, for data. Refused if the summary goes there too. Call it before any work
    /// begins.
    pub fn stdout(&self) -> Result<Stdout, CliError> {
        let summary = &self.globals.summary_json;
        let is_shared = match self.summary_file() {
            Some(file) => file.is_stdout(),
            None => *summary == Some(SummaryTarget::Stdout),
        };
        if is_shared {
            return Err(CliError::usage(
                "--summary-json and this command's data can't both go to standard output",
            )
            .hint("--summary-json=FILE writes the summary to a file"));
        }
        self.raw_stdout()
    }

    pub(super) fn raw_stdout(&self) -> Result<Stdout, CliError> {
        Ok(Stdout::open(&self.output_error)?)
    }

    /// A file that the command may write: outside every store, not an input, no other output's
    /// file. Call it before the command opens anything, and before [`stop`](Self::stop): a pipe is
    /// opened here, which waits for its reader.
    pub fn output_file(&self, output: &OutputArg) -> Result<OutputFile, CliError> {
        let file = self.guard.file(&output.0)?;
        if file.is_stdout() {
            self.stdout()?;
        }
        let mut outputs = self.outputs();
        let is_same = |other: &OutputFile| are_same(other, &file);
        let is_summary = outputs.summary.as_ref().is_some_and(is_same);
        if is_summary {
            // The file must stay as it was, so the summary isn't written.
            outputs.summary = None;
        }
        if is_summary || outputs.files.iter().any(is_same) {
            return Err(CliError::usage(format!(
                "{} is named for two outputs",
                file.typed().display()
            )));
        }
        outputs.files.push(file.clone());
        Ok(file)
    }

    /// A folder that the command may fill: outside every store.
    pub fn output_folder(&self, output: &OutputArg) -> Result<OutputFolder, CliError> {
        Ok(self.guard.folder(&output.0)?)
    }

    /// Sets the file that the metrics of the run go to, also if it fails.
    pub(super) fn write_metrics_to(&self, file: OutputFile) {
        let _ = self.metrics.set(file);
    }

    /// The file that the metrics of the run go to.
    pub(super) fn metrics_file(&self) -> Option<&OutputFile> {
        self.metrics.get()
    }

    /// Checks that a path is outside every store.
    pub fn outside_stores(&self, path: &Path) -> Result<(), BadOutput> {
        self.guard.outside_stores(path)
    }

    /// Checks the summary's file before the command begins. A pipe is opened now, while Ctrl-C
    /// still ends the program.
    pub(super) fn open_summary(&self) -> Result<(), CliError> {
        if let Some(SummaryTarget::File(path)) = &self.globals.summary_json {
            self.outputs().summary = Some(self.guard.file(path)?);
        }
        Ok(())
    }

    /// The file that the summary goes to.
    pub(super) fn summary_file(&self) -> Option<OutputFile> {
        self.outputs().summary.clone()
    }

    fn outputs(&self) -> MutexGuard<'_, Outputs> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The switch that Ctrl-C sets. Until the first call, Ctrl-C ends the program; after it, the
    /// caller must watch the switch and stop.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop
            .get_or_init(|| {
                let stop = Stop::new();
                interrupt::listen(stop.clone(), Arc::clone(&self.terminal));
                stop
            })
            .clone()
    }

    /// Whether Ctrl-C has stopped the command. Before the first call of [`stop`](Self::stop), Ctrl-C
    /// ends the program instead.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.get().is_some_and(Stop::is_set)
    }

    /// The summary of a finished run as JSON. The first call sets the time of its end.
    #[must_use]
    pub fn summary_json(&self, report: &RunReport) -> String {
        self.summary_json_with(report, report.status())
    }

    /// The summary of a run as JSON, as if it ended now.
    #[must_use]
    pub fn summary_so_far(&self, report: &RunReport) -> String {
        Summary {
            info: &self.info(),
            report,
            status: report.status(),
            finished_at: self.now(),
            elapsed: self.elapsed(),
        }
        .to_json()
    }

    pub(super) fn summary_json_with(&self, report: &RunReport, status: ExitStatus) -> String {
        let (finished_at, elapsed) = self.ended();
        Summary {
            info: &self.info(),
            report,
            status,
            finished_at,
            elapsed,
        }
        .to_json()
    }

    pub(super) fn ended(&self) -> (Timestamp, Duration) {
        *self.ended.get_or_init(|| (self.now(), self.elapsed()))
    }

    pub(super) fn wording(&self) -> Wording {
        let info = self.info();
        Wording {
            kind: info.kind,
            dry_run: info.dry_run,
        }
    }

    pub(super) fn globals(&self) -> &Globals {
        &self.globals
    }

    /// The first error of writing to standard output, or to a pipe that its reader closed.
    pub(super) fn output_error(&self) -> Option<io::Error> {
        let is_closed = self.outputs().files.iter().any(OutputFile::is_closed);
        let closed = || is_closed.then(|| io::ErrorKind::BrokenPipe.into());
        self.output_error.take().or_else(closed)
    }

    /// Prints what opening a store found, each notice once however often the store is opened.
    pub(super) fn warn_once(&self, notices: &[String]) {
        let mut printed = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        for notice in notices {
            if printed.insert(notice.clone()) {
                tracing::warn!("{notice}");
            }
        }
    }
}

/// Whether two outputs would be mixed, or one would replace the other. Devices such as `/dev/null`
/// can be shared.
fn are_same(one: &OutputFile, other: &OutputFile) -> bool {
    let is_device = |file: &File| file.metadata().is_ok_and(|metadata| is_device(&metadata));
    one.real() == other.real() && !one.special().is_some_and(is_device)
}

#[cfg(unix)]
fn is_device(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    metadata.file_type().is_char_device()
}

#[cfg(not(unix))]
fn is_device(_: &Metadata) -> bool {
    false
}

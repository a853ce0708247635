//! What every command gets: the global settings, the clock, the ways out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::args::{Globals, OutputArg, SummaryTarget};
use super::clock;
use super::console::Console;
use super::error::CliError;
use super::exit_codes;
use super::interrupt;
use super::output::{Stdout, Trouble};
use super::terminal::Terminal;
use crate::calendar::Overrides;
use crate::export::{Guard, OutputFile, OutputFolder};
use crate::model::Timestamp;
use crate::report::{RunInfo, RunReport, Stop, Summary, Wording};
use crate::store::{self, OpenOptions, Reader, Store};

/// Where bars are staged unless told otherwise.
pub const STORE_DEFAULT: &str = "data/staging";
/// Where the simulator's bars are staged unless told otherwise.
pub const STORE_DEMO: &str = "data/demo";

/// The folder of a store in which the user's calendars stand.
const CALENDARS: &str = "calendars";

/// What every command gets.
pub struct Context {
    globals: Globals,
    terminal: Arc<Terminal>,
    trouble: Trouble,
    guard: Guard,
    outputs: Mutex<Vec<PathBuf>>,
    began: Instant,
    info: Mutex<RunInfo>,
    ended: OnceLock<(Timestamp, Duration)>,
    stop: OnceLock<Stop>,
}

/// How a command ended, where it did not fail.
pub enum Outcome {
    /// All is done.
    Done,
    /// Done, but with this code of [`exit_codes`].
    Code(u8),
    /// A run: the frame prints its Summary line, hints and JSON, and takes the exit code from it.
    Run(Box<RunReport>),
}

impl Context {
    /// `inputs` is what the command reads; no output may be one of them.
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
                is_read: crate::inject::is_dump_name,
            },
            outputs: Mutex::default(),
            globals,
            terminal,
            trouble: Trouble::default(),
            began: Instant::now(),
            info: Mutex::new(RunInfo::new(command, clock::now())),
            ended: OnceLock::new(),
            stop: OnceLock::new(),
        }
    }

    /// The store's folder: `--store`, `BACKFILL_STORE`, or the default, which is another one for demo bars.
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

    /// Opens a store for reading, and prints what opening found.
    pub fn reader(&self, dir: &Path, options: &OpenOptions) -> Result<Reader, store::Error> {
        let reader = Reader::open(dir, options)?;
        warn_of(reader.notices());
        Ok(reader)
    }

    /// Opens a store for writing, making it where there is none, and prints what opening found.
    pub fn store(&self, dir: &Path, options: &OpenOptions) -> Result<Store, store::Error> {
        let store = Store::open(dir, options)?;
        warn_of(store.notices());
        Ok(store)
    }

    /// The user's calendars: those in the folder `calendars` of the store in `store_dir`, and over them those of
    /// `--calendar-dir`. A file that cannot be read as one is refused (code 2), and so is a folder that was named and is
    /// not there.
    pub fn calendars(&self, store_dir: &Path) -> Result<Overrides, CliError> {
        // Else a store that can't be opened would read as a broken calendar.
        store::check_folder(store_dir)?;
        let load = |dir: &Path| {
            Overrides::load(dir).map_err(|error| {
                CliError::of(exit_codes::USAGE, &error)
                    .hint("data/calendars/README.md tells the form of such a file")
            })
        };
        let of_store = load(&store_dir.join(CALENDARS))?;
        match &self.globals.calendar_dir {
            Some(dir) if !dir.is_dir() => Err(CliError::usage(format!(
                "--calendar-dir: {} is no folder",
                dir.display()
            ))),
            Some(dir) => Ok(of_store.and(load(dir)?)),
            None => Ok(of_store),
        }
    }

    /// How the store in `store_dir` is opened, with the user's calendars.
    pub fn store_options(&self, store_dir: &Path) -> Result<OpenOptions, CliError> {
        Ok(OpenOptions {
            calendars: self.calendars(store_dir)?,
            ..OpenOptions::default()
        })
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        clock::now()
    }

    /// When the program began.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.info().started_at
    }

    /// How long the program has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// A variable of the environment, or of `.env`; an empty one is none.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Says what is known of the run by now, for its lines and its summary: kind, dates, dry run and so on.
    pub fn describe(&self, change: impl FnOnce(&mut RunInfo)) {
        change(&mut self.info.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What is known of the run by now.
    #[must_use]
    pub fn info(&self) -> RunInfo {
        self.info
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The observer that prints the run's events. [`describe`](Self::describe) the run before; drop the observer when
    /// the run ends, for the progress bar goes with it.
    #[must_use]
    pub fn observer(&self) -> Console {
        Console::new(self.wording(), Arc::clone(&self.terminal))
    }

    /// Standard output, for data. Refused (code 2) where the summary goes there: ask before any work begins.
    pub fn stdout(&self) -> Result<Stdout, CliError> {
        if self.globals.summary_json == Some(SummaryTarget::Stdout) {
            return Err(CliError::usage(
                "--summary-json and this command's data cannot both go to standard output",
            )
            .hint("--summary-json=FILE writes the summary to a file"));
        }
        self.raw_stdout()
    }

    pub(super) fn raw_stdout(&self) -> Result<Stdout, CliError> {
        Ok(Stdout::open(&self.trouble)?)
    }

    /// A file that the command may write, checked (code 2): outside every store, not one of its inputs, named once. Ask before
    /// anything is opened, and before [`stop`](Self::stop): a pipe is opened here, and waits for its reader.
    pub fn output_file(&self, output: &OutputArg) -> Result<OutputFile, CliError> {
        let file = self.guard.file(&output.0)?;
        if file.special().is_none() {
            self.take_output(&output.0, file.real())?;
        }
        Ok(file)
    }

    /// A folder that the command may fill, checked (code 2): outside every store.
    pub fn output_folder(&self, output: &OutputArg) -> Result<OutputFolder, CliError> {
        Ok(self.guard.folder(&output.0)?)
    }

    /// Checks the summary's file before the command begins.
    pub(super) fn check_summary(&self) -> Result<(), CliError> {
        match &self.globals.summary_json {
            Some(SummaryTarget::File(path)) => self.take_output(path, &self.guard.check(path)?),
            _ => Ok(()),
        }
    }

    /// The summary's file, to be written to.
    pub(super) fn summary_file(&self, path: &Path) -> Result<OutputFile, CliError> {
        Ok(self.guard.file(path)?)
    }

    fn take_output(&self, typed: &Path, real: &Path) -> Result<(), CliError> {
        let mut outputs = (self.outputs.lock()).unwrap_or_else(PoisonError::into_inner);
        let is_regular = !real.exists() || real.is_file();
        if is_regular && outputs.iter().any(|other| other == real) {
            return Err(CliError::usage(format!(
                "{} is named for two outputs",
                typed.display()
            )));
        }
        outputs.push(real.to_owned());
        Ok(())
    }

    /// The switch that Ctrl-C turns. Whoever asks for it takes on to look at it; before that Ctrl-C ends the program.
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

    /// The summary of a finished run as JSON. The first call sets the time at which the run ended.
    #[must_use]
    pub fn summary_json(&self, report: &RunReport) -> String {
        self.summary_json_with(report, report.status().exit_code())
    }

    /// The summary of a run that is not over yet as JSON: as if it ended now.
    #[must_use]
    pub fn summary_so_far(&self, report: &RunReport) -> String {
        Summary {
            info: &self.info(),
            report,
            exit_code: report.status().exit_code(),
            finished_at: self.now(),
            elapsed: self.elapsed(),
        }
        .to_json()
    }

    pub(super) fn summary_json_with(&self, report: &RunReport, exit_code: u8) -> String {
        let (finished_at, elapsed) = self.ended();
        Summary {
            info: &self.info(),
            report,
            exit_code,
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

    /// The first failure to write to standard output, if there was one.
    pub(super) fn output_trouble(&self) -> Option<io::Error> {
        self.trouble.take()
    }
}

/// Prints what opening a store found.
pub(super) fn warn_of(notices: &[String]) {
    for notice in notices {
        tracing::warn!("{notice}");
    }
}

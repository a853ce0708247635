//! Opening a store: the one way for every command. What opening finds is printed once, and errors
//! have their hints.

use std::path::Path;
use std::time::{Duration, Instant};

use super::args::{AsOf, AsOfArg};
use super::context::{Context, STORE_DEFAULT, STORE_DEMO};
use super::error::CliError;
use super::log::LINE;
use crate::advice::Advice;
use crate::calendar::Overrides;
use crate::model::{Interval, SeriesKey, Ticker};
use crate::report::ExitStatus;
use crate::store::{self, Error, OpenOptions, Reader, Repaired, Store};

/// The folder of a store that holds the user's calendars.
const CALENDARS: &str = "calendars";

/// How long to wait for another process that has the store for a moment, for example to record the
/// progress of a sync.
const SHORT_WAIT: Duration = Duration::from_secs(3);
/// How often a waiting process looks whether the writer has ended.
const WRITER_POLL: Duration = Duration::from_millis(50);

impl Context {
    /// Opens the store in `dir` for reading.
    pub fn open_reader(&self, dir: &Path) -> Result<Reader, CliError> {
        self.open_reader_with(dir, &OpenOptions::default())
    }

    /// Opens the store in `dir` for reading, with limits of the caller.
    pub fn open_reader_with(&self, dir: &Path, options: &OpenOptions) -> Result<Reader, CliError> {
        let reader = Reader::open(dir, options).map_err(|error| self.failed_to_open(error))?;
        Ok(self.opened(reader))
    }

    /// Opens the store in `dir` for reading; `None` if there is no store.
    pub fn open_reader_if_any(&self, dir: &Path) -> Result<Option<Reader>, CliError> {
        match Reader::open(dir, &OpenOptions::default()) {
            Ok(reader) => Ok(Some(self.opened(reader))),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(self.failed_to_open(error)),
        }
    }

    /// Opens the store in `dir` for a long read: writers don't wait for this reader. If another
    /// process writes and publishes no snapshot, hot bars can't be read: this waits for a short
    /// write, and a longer one is an error.
    pub fn open_detached_reader(&self, dir: &Path) -> Result<Reader, CliError> {
        let reader = retry_for_a_moment(|| {
            let reader = Reader::open_detached(dir, &OpenOptions::default())?;
            match reader.is_lake_only() {
                None => Ok(reader),
                Some(pid) => Err(Error::WriterRuns {
                    dir: dir.to_owned(),
                    pid,
                }),
            }
        });
        let reader = reader.map_err(|error| self.failed_to_open(error))?;
        Ok(self.opened(reader))
    }

    /// Opens the store that is compared with the one of `--store`, in the same way.
    pub fn open_second_reader(&self, dir: &Path) -> Result<Reader, CliError> {
        self.open_detached_reader(dir).map_err(|mut error| {
            if let Some(Advice::NameStore | Advice::NameOtherStore { .. }) = error.hint {
                error.hint = Some(Advice::NameSecondStore);
            }
            error
        })
    }

    /// The same reader, as of an earlier state. An error if that isn't known.
    pub fn read_as_of(&self, reader: Reader, as_of: AsOfArg) -> Result<Reader, CliError> {
        let seq = match as_of.as_of {
            None => return Ok(reader),
            Some(AsOf::Commit(seq)) => seq,
            Some(AsOf::Time(at)) if at > self.now() => {
                return Err(CliError::usage(format!("--as-of: {at} is in the future")));
            }
            Some(AsOf::Time(at)) => reader.commit_at(at)?,
        };
        let reader = reader.as_of(seq)?;
        tracing::info!(target: LINE, "note: reading the bars as of commit {seq}");
        Ok(reader)
    }

    /// Refuses tickers whose bars aren't known as of an earlier state. Without tickers, all are wanted.
    pub fn check_known(
        &self,
        reader: &Reader,
        tickers: &[Ticker],
        interval: Option<Interval>,
    ) -> Result<(), CliError> {
        let mut forgotten = reader.forgotten()?;
        forgotten.retain(|series| series.is_among(tickers, interval));
        match forgotten.as_slice() {
            [] => Ok(()),
            forgotten => Err(CliError::failed(format!(
                "the earlier bars of {} aren't known: some were dropped since",
                joined(forgotten)
            ))
            .hint(Advice::LeaveOutTickers)),
        }
    }

    /// Prints what opening a reader found, and as of when it reads if another process writes.
    fn opened(&self, reader: Reader) -> Reader {
        self.warn_once(reader.notices());
        if let Some(seen) = reader.writer_snapshot() {
            let pid = process(seen.pid);
            let as_of = seen.as_of.to_utc().format("%H:%M:%SZ");
            tracing::info!(target: LINE, "note: {pid} is writing; reading the store as of {as_of}");
        }
        reader
    }

    /// Opens the store in `dir` for writing, and creates it if there is none. Waits up to `wait` for
    /// the end of another writer.
    pub fn open_store(
        &self,
        dir: &Path,
        options: &OpenOptions,
        wait: Duration,
    ) -> Result<Store, CliError> {
        let store = self.after_writer(wait, || Store::open(dir, options))?;
        self.opened_to_write(store)
    }

    /// Prints what opening a store found, and records which runs were killed.
    fn opened_to_write(&self, store: Store) -> Result<Store, CliError> {
        self.warn_once(store.notices());
        store.record_killed_runs()?;
        Ok(store)
    }

    /// Repairs the store in `dir`. Waits up to `wait` for the end of another writer.
    pub fn repair_store(
        &self,
        dir: &Path,
        options: &OpenOptions,
        wait: Duration,
    ) -> Result<Repaired, CliError> {
        self.after_writer(wait, || store::repair(dir, options))
    }

    /// Calls `open` until no other process writes, for up to `wait`. Ctrl-C ends the wait.
    fn after_writer<T>(
        &self,
        wait: Duration,
        open: impl Fn() -> Result<T, Error>,
    ) -> Result<T, CliError> {
        let deadline = Instant::now() + wait;
        let mut noted = None;
        loop {
            let pid = match open() {
                Err(Error::WriterRuns { pid, .. }) if Instant::now() < deadline => pid,
                Err(error @ Error::WriterRuns { .. }) => {
                    return Err(CliError::from(error).hint(Advice::WaitForWriter));
                }
                opened => return opened.map_err(|error| self.failed_to_open(error)),
            };
            // A writer has the lock for an instant before its pid is in the file.
            if pid.is_some() && noted != Some(pid) {
                noted = Some(pid);
                tracing::info!(
                    target: LINE,
                    "note: {} is writing; waiting up to {} s for its end",
                    process(pid),
                    wait.as_secs()
                );
            }
            if self.is_stopped() {
                return Err(CliError::new(
                    ExitStatus::Interrupted,
                    format!("interrupted while {} was writing", process(pid)),
                ));
            }
            std::thread::sleep(WRITER_POLL);
        }
    }

    /// The error of opening a store, with its hint.
    fn failed_to_open(&self, error: Error) -> CliError {
        let is_default =
            |dir: &Path| dir == Path::new(STORE_DEFAULT) && store::is_store(Path::new(STORE_DEMO));
        match error {
            Error::Missing { ref dir } if is_default(dir) => {
                let demo = STORE_DEMO.into();
                CliError::from(error).hint(Advice::NameOtherStore { store: demo })
            }
            error => error.into(),
        }
    }

    /// Opens a store that stays as it is, with every bar in a partition: the store in `dir` itself,
    /// or, while another process writes into it, a sealed copy of the writer's snapshot.
    pub fn open_sealed(&self, dir: &Path, options: &OpenOptions) -> Result<Store, CliError> {
        if !store::is_there(dir)? {
            let dir = dir.to_owned();
            return Err(self.failed_to_open(Error::Missing { dir }));
        }
        match Store::open(dir, options) {
            Err(Error::WriterRuns { .. }) => {
                let reader = self.open_detached_reader(dir)?;
                Ok(reader.into_sealed_copy(options)?)
            }
            opened => {
                let store = opened.map_err(|error| self.failed_to_open(error))?;
                self.opened_to_write(store)
            }
        }
    }

    /// Opens an existing store for writing. Waits up to `wait` for the end of another writer.
    pub fn open_existing_store(
        &self,
        dir: &Path,
        options: &OpenOptions,
        wait: Duration,
    ) -> Result<Store, CliError> {
        if !store::is_there(dir)? {
            let dir = dir.to_owned();
            return Err(self.failed_to_open(Error::Missing { dir }));
        }
        self.open_store(dir, options, wait)
    }

    /// Opens the store of a run that just ended, to record what came after it. Waits at most a few
    /// seconds for readers and for another writer.
    pub fn reopen_store(&self, dir: &Path, options: &OpenOptions) -> Result<Store, CliError> {
        let options = OpenOptions {
            wait_for_readers: SHORT_WAIT,
            ..options.clone()
        };
        let store = retry_for_a_moment(|| Store::open(dir, &options))?;
        self.warn_once(store.notices());
        Ok(store)
    }

    /// The user's calendars: those in the store's folder `calendars`, then those of
    /// `--calendar-dir`, which win. A file that isn't a calendar is refused as a wrong command
    /// line, and so is a missing folder.
    pub fn calendars(&self, store_dir: &Path) -> Result<Overrides, CliError> {
        // Otherwise a store that can't be opened would be reported as a broken calendar.
        store::check_folder(store_dir)?;
        let load = |dir: &Path| {
            Overrides::load(dir).map_err(|error| {
                CliError::of(ExitStatus::Usage, &error)
                    .hint("data/calendars/README.md describes the format of calendar files")
            })
        };
        let of_store = load(&store_dir.join(CALENDARS))?;
        match &self.globals().calendar_dir {
            Some(dir) if !dir.is_dir() => Err(CliError::usage(format!(
                "--calendar-dir: {} isn't a folder",
                dir.display()
            ))),
            Some(dir) => Ok(of_store.and(load(dir)?)),
            None => Ok(of_store),
        }
    }

    /// The options to open the store in `store_dir` with: the user's calendars, and defaults.
    pub fn store_options(&self, store_dir: &Path) -> Result<OpenOptions, CliError> {
        Ok(OpenOptions {
            calendars: self.calendars(store_dir)?,
            ..OpenOptions::default()
        })
    }
}

/// The first of some series, in words.
pub(super) fn joined(series: &[SeriesKey]) -> String {
    let named: Vec<String> = series.iter().take(5).map(ToString::to_string).collect();
    match series.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// A writer in the words of a note.
fn process(pid: Option<u32>) -> String {
    pid.map_or("another process".to_owned(), |pid| format!("process {pid}"))
}

/// Opens a store, and tries again for a few seconds while another process writes.
fn retry_for_a_moment<T>(open: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let deadline = Instant::now() + SHORT_WAIT;
    loop {
        match open() {
            Err(Error::WriterRuns { .. }) if Instant::now() < deadline => {
                std::thread::sleep(WRITER_POLL);
            }
            other => return other,
        }
    }
}

//! Opening a store: the one way for every command. What opening finds is printed once, and errors
//! come with their hints.

use std::path::Path;
use std::time::{Duration, Instant};

use super::context::Context;
use super::error::CliError;
use super::log::LINE;
use crate::calendar::Overrides;
use crate::report::ExitStatus;
use crate::store::{self, Error, OpenOptions, Reader, Store};

/// The folder of a store that holds the user's calendars.
const CALENDARS: &str = "calendars";

/// How long to wait for another process that has the store for a moment, as to note how far a sync
/// came.
const WRITER_WAIT: Duration = Duration::from_secs(3);
const WRITER_POLL: Duration = Duration::from_millis(50);

impl Context {
    /// Opens the store in `dir` for reading.
    pub fn open_reader(&self, dir: &Path) -> Result<Reader, CliError> {
        self.open_reader_with(dir, &OpenOptions::default())
    }

    /// Opens the store in `dir` for reading, with limits of the caller.
    pub fn open_reader_with(&self, dir: &Path, options: &OpenOptions) -> Result<Reader, CliError> {
        Ok(self.opened(Reader::open(dir, options)?))
    }

    /// Opens the store in `dir` for reading; `None` if there is no store.
    pub fn open_reader_if_any(&self, dir: &Path) -> Result<Option<Reader>, CliError> {
        match Reader::open(dir, &OpenOptions::default()) {
            Ok(reader) => Ok(Some(self.opened(reader))),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the store in `dir` for reading for long: writers don't wait for this reader. If another
    /// process writes and publishes no snapshot, hot bars can't be read: a short write is waited
    /// for, and a longer one is an error.
    pub fn open_detached_reader(&self, dir: &Path) -> Result<Reader, CliError> {
        let reader = wait_for_writer(|| {
            let reader = Reader::open_detached(dir, &OpenOptions::default())?;
            match reader.is_lake_only() {
                None => Ok(reader),
                Some(pid) => Err(Error::WriterRuns {
                    dir: dir.to_owned(),
                    pid,
                }),
            }
        })?;
        Ok(self.opened(reader))
    }

    /// Prints what opening a reader found, and as of when it reads if another process writes.
    fn opened(&self, reader: Reader) -> Reader {
        self.warn_once(reader.notices());
        if let Some(seen) = reader.writer_snapshot() {
            let pid = seen
                .pid
                .map_or("another process".to_owned(), |pid| format!("process {pid}"));
            let as_of = seen.as_of.to_utc().format("%H:%M:%SZ");
            tracing::info!(target: LINE, "note: {pid} is writing; reading the store as of {as_of}");
        }
        reader
    }

    /// Opens the store in `dir` for writing, and creates it if there is none.
    pub fn open_store(&self, dir: &Path, options: &OpenOptions) -> Result<Store, CliError> {
        let store = Store::open(dir, options)?;
        self.warn_once(store.notices());
        Ok(store)
    }

    /// Opens a store that stays as it is, with every bar in a partition: the store in `dir` itself,
    /// or, while another process writes into it, a sealed copy of the writer's snapshot.
    pub fn open_sealed(&self, dir: &Path, options: &OpenOptions) -> Result<Store, CliError> {
        if !store::is_there(dir)? {
            let dir = dir.to_owned();
            return Err(Error::Missing { dir }.into());
        }
        match Store::open(dir, options) {
            Err(Error::WriterRuns { .. }) => {
                let reader = self.open_detached_reader(dir)?;
                Ok(reader.into_sealed_copy(options)?)
            }
            opened => {
                let store = opened?;
                self.warn_once(store.notices());
                Ok(store)
            }
        }
    }

    /// Opens an existing store for writing.
    pub fn open_existing_store(
        &self,
        dir: &Path,
        options: &OpenOptions,
    ) -> Result<Store, CliError> {
        if !store::is_there(dir)? {
            let dir = dir.to_owned();
            return Err(Error::Missing { dir }.into());
        }
        self.open_store(dir, options)
    }

    /// Opens the store of a run that just ended, to note what came after it. Neither a reader nor a
    /// writer is waited for longer than a few seconds.
    pub fn reopen_store(&self, dir: &Path, options: &OpenOptions) -> Result<Store, CliError> {
        let options = OpenOptions {
            wait_for_readers: WRITER_WAIT,
            ..options.clone()
        };
        let store = wait_for_writer(|| Store::open(dir, &options))?;
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

/// Opens a store, and tries again for a few seconds while another process writes.
fn wait_for_writer<T>(open: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let deadline = Instant::now() + WRITER_WAIT;
    loop {
        match open() {
            Err(Error::WriterRuns { .. }) if Instant::now() < deadline => {
                std::thread::sleep(WRITER_POLL);
            }
            other => return other,
        }
    }
}

//! The store as the page sees it: one reader, opened anew when the store has changed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::calendar::Overrides;
use crate::page::KnownSessions;
use crate::store::{self, Error, OpenOptions, Reader, Stamp};

/// How long a reader is used without looking whether the store has changed.
const FRESH: Duration = Duration::from_secs(2);
/// How long a document is kept.
const DOCUMENT_AGE_MAX: Duration = Duration::from_secs(60);

/// What one reader sees.
#[derive(Clone)]
pub(super) struct Seen {
    pub reader: Arc<Reader>,
    /// How many readers were opened before it: another number is another state of the store.
    pub generation: u64,
    /// The store's size on disk when the reader was opened.
    pub bytes: u64,
    documents: Arc<Documents>,
    sessions: Arc<OnceLock<Option<KnownSessions>>>,
}

/// Documents made from one reader, by name.
type Documents = Mutex<HashMap<String, (Instant, Bytes)>>;

impl Seen {
    /// What is known of the sessions of all series, kept for all documents; `None` if it is too much.
    pub fn sessions(&self) -> Result<Option<KnownSessions>, Error> {
        if let Some(known) = self.sessions.get() {
            return Ok(known.clone());
        }
        let known = KnownSessions::read(&self.reader)?;
        Ok(self.sessions.get_or_init(|| known).clone())
    }

    /// The document `name`. If it depends on the time, it is made again after a minute: a session may
    /// have ended since.
    pub fn document<E>(
        &self,
        name: &str,
        is_lasting: bool,
        make: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        let known = || {
            self.documents
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some((made_at, document)) = known().get(name)
            && (is_lasting || made_at.elapsed() < DOCUMENT_AGE_MAX)
        {
            return Ok(document.clone());
        }
        let document = make()?;
        known().insert(name.to_owned(), (Instant::now(), document.clone()));
        Ok(document)
    }
}

/// A store that is served.
pub struct ServedStore {
    pub dir: PathBuf,
    pub calendars: Overrides,
    pub options: OpenOptions,
}

/// Opens readers.
pub(super) struct Source {
    pub store: ServedStore,
    current: Mutex<Option<Current>>,
}

struct Current {
    seen: Seen,
    stamp: Stamp,
    checked_at: Instant,
}

impl Source {
    pub fn new(store: ServedStore) -> Self {
        Self {
            store,
            current: Mutex::new(None),
        }
    }

    /// A reader of the store as it is, or as it was at most a few seconds ago. While another process
    /// writes, its last snapshot.
    pub fn seen(&self) -> Result<Seen, Error> {
        let ServedStore { dir, options, .. } = &self.store;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = current.as_mut() {
            if known.checked_at.elapsed() < FRESH {
                return Ok(known.seen.clone());
            }
            if known.stamp == store::stamp(dir) {
                known.checked_at = Instant::now();
                return Ok(known.seen.clone());
            }
        }
        // Before opening: a commit during it is seen the next time.
        let stamp = store::stamp(dir);
        let generation = current
            .as_ref()
            .map_or(0, |known| known.seen.generation + 1);
        let seen = Seen {
            generation,
            reader: Arc::new(Reader::open_detached(dir, options)?),
            bytes: store::bytes_below(dir),
            documents: Arc::default(),
            sessions: Arc::default(),
        };
        *current = Some(Current {
            seen: seen.clone(),
            stamp,
            checked_at: Instant::now(),
        });
        Ok(seen)
    }
}

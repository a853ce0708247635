//! The store as the page sees it: one reader, opened anew when the store has changed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::calendar::Overrides;
use crate::store::{self, Error, OpenOptions, Reader, Stamp};

/// How long a reader is used without looking whether the store has changed.
const FRESH: Duration = Duration::from_secs(2);

/// What one reader sees.
#[derive(Clone)]
pub(super) struct Seen {
    pub reader: Arc<Reader>,
    /// The store's size on disk when the reader was opened.
    pub bytes: u64,
}

/// Opens readers.
pub(super) struct Source {
    pub dir: PathBuf,
    pub calendars: Overrides,
    options: OpenOptions,
    current: Mutex<Option<Current>>,
}

struct Current {
    seen: Seen,
    stamp: Stamp,
    checked_at: Instant,
}

impl Source {
    pub fn new(dir: PathBuf, calendars: Overrides, options: OpenOptions) -> Self {
        Self {
            dir,
            calendars,
            options,
            current: Mutex::new(None),
        }
    }

    /// A reader of the store as it is, or as it was at most a few seconds ago. While another process
    /// writes, its last snapshot.
    pub fn seen(&self) -> Result<Seen, Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = current.as_mut() {
            if known.checked_at.elapsed() < FRESH {
                return Ok(known.seen.clone());
            }
            if known.stamp == store::stamp(&self.dir) {
                known.checked_at = Instant::now();
                return Ok(known.seen.clone());
            }
        }
        // Before opening: a commit during it is seen the next time.
        let stamp = store::stamp(&self.dir);
        let seen = Seen {
            reader: Arc::new(Reader::open_detached(&self.dir, &self.options)?),
            bytes: store::bytes_below(&self.dir),
        };
        *current = Some(Current {
            seen: seen.clone(),
            stamp,
            checked_at: Instant::now(),
        });
        Ok(seen)
    }
}

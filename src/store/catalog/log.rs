//! Reads DuckDB's log as bytes, to find out whether its tail is complete.
//!
//! ```text
//! version entry | size u64, checksum u64, entry | … | size, checksum, flush | …
//! ```
//!
//! Everything up to a flush is one transaction. If the log ends inside an entry, DuckDB silently
//! drops what comes after the last flush, even where a damaged size in the middle only makes it look
//! torn. That is right after a kill, and wrong if a commit there was acknowledged. So the log is
//! checked before DuckDB opens it.
//!
//! The format was read from the source of the DuckDB versions in [`KNOWN_VERSIONS`].

use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::store::error::{Error, IoContext};
use crate::store::layout::Layout;
use crate::store::{durable, quarantine};

/// The DuckDB versions whose log (here) and headers (`undo.rs`) this program knows. Before adding
/// one, compare both formats with its source and run the store's tests.
pub(super) const KNOWN_VERSIONS: &[&str] = &["v1.5.6"];

/// A log whose tail was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MendedLog {
    /// Where it ends now.
    pub cut_at: u64,
    /// It ends inside an entry, as a kill leaves it, unless a commit after the cut was acknowledged.
    pub broke_off: bool,
    /// What was kept of it, in quarantine.
    pub copies: Vec<PathBuf>,
}

impl MendedLog {
    /// Removes the copies, once it is known that no acknowledged commit came after the cut.
    pub fn forget(&self) {
        for copy in &self.copies {
            let _ = durable::remove_file(copy);
        }
    }
}

/// Cuts the log after its last whole transaction, if anything follows. A copy goes to quarantine
/// first, and if the tail is damaged, a copy of the database too. Only called while DuckDB has both
/// closed and this process holds the store's lock.
#[allow(clippy::disallowed_methods)]
pub(super) fn mend(layout: &Layout) -> Result<Option<MendedLog>, Error> {
    let path = layout.database_log();
    let Some(bytes) = content(layout)? else {
        return Ok(None);
    };
    let (cut_at, broke_off) = match read(&bytes) {
        Log::Whole | Log::Strange => return Ok(None),
        Log::CutOff(at) => (at, true),
        Log::Damaged(at) => (at, false),
    };
    drop(bytes);
    let mut copies = vec![quarantine::copy_aside(layout, &path)?];
    if !broke_off {
        copies.push(quarantine::copy_aside(layout, &layout.database())?);
    }
    crate::crash_point!("recover.before-log-cut");
    let file = OpenOptions::new().write(true).open(&path).at(&path)?;
    file.set_len(cut_at).at(&path)?;
    file.sync_all().at(&path)?;
    Ok(Some(MendedLog {
        cut_at,
        broke_off,
        copies,
    }))
}

/// Whether [`mend`] would change anything.
pub(super) fn needs_mending(layout: &Layout) -> bool {
    match content(layout) {
        Ok(Some(bytes)) => !matches!(read(&bytes), Log::Whole | Log::Strange),
        Ok(None) => false,
        Err(_) => true,
    }
}

fn content(layout: &Layout) -> Result<Option<Vec<u8>>, Error> {
    let path = layout.database_log();
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(&path, error)),
    }
}

/// What a log is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    /// It ends with a flush.
    Whole,
    /// Its last flush ends at this byte, and the beginning of a transaction follows.
    CutOff(u64),
    /// What follows this byte isn't an entry, or fails its checksum.
    Damaged(u64),
    /// It begins in an unknown way, and is left to DuckDB.
    Strange,
}

/// The version entry ends with this mark.
const END_OF_OBJECT: [u8; 2] = [0xff, 0xff];
/// A flush: field 100, the entry's type 100, the end.
const FLUSH: [u8; 5] = [100, 0, 100, 0xff, 0xff];
/// The version entry: field 100, type 98.
const VERSION: [u8; 3] = [100, 0, 98];
/// The version entry is short: a number, sixteen bytes of identity, a number.
const VERSION_BYTES_MAX: usize = 64;

/// Checks a log entry by entry.
fn read(log: &[u8]) -> Log {
    if log.is_empty() {
        return Log::Whole;
    }
    let Some(start) = end_of_version(log) else {
        return Log::Strange;
    };
    let (mut at, mut flushed) = (start, 0);
    loop {
        let rest = &log[at..];
        if rest.is_empty() {
            return if at == flushed {
                Log::Whole
            } else {
                Log::CutOff(flushed as u64)
            };
        }
        let number = |from: usize| {
            let bytes = rest.get(from..from + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let (Some(size), Some(stored)) = (number(0), number(8)) else {
            return Log::CutOff(flushed as u64);
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(entry) = rest.get(16..).and_then(|rest| rest.get(..size)) else {
            // Torn, or a damaged size: only the caller knows whether a commit after it was
            // acknowledged.
            return Log::CutOff(flushed as u64);
        };
        if checksum(entry) != stored {
            return Log::Damaged(flushed as u64);
        }
        at += 16 + size;
        if entry == FLUSH {
            flushed = at;
        }
    }
}

fn end_of_version(log: &[u8]) -> Option<usize> {
    if !log.starts_with(&VERSION) {
        return None;
    }
    let head = &log[..log.len().min(VERSION_BYTES_MAX)];
    // The identity is random bytes, which may contain the mark: a whole entry, or nothing, must
    // follow.
    (VERSION.len()..head.len() - 1)
        .filter(|place| head[*place..*place + 2] == END_OF_OBJECT)
        .map(|place| place + 2)
        .find(|end| {
            let rest = &log[*end..];
            let size = rest.get(..8).and_then(|bytes| bytes.try_into().ok());
            size.is_none_or(|size| u64::from_le_bytes(size) < 1 << 40)
        })
}

/// DuckDB's checksum of an entry, and of a block.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let mut result = 5381_u64;
    for chunk in &mut chunks {
        let word = chunk.try_into().map_or(0, u64::from_le_bytes);
        result ^= word.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        result ^= checksum_of_rest(rest);
    }
    result
}

/// The last bytes, fewer than eight.
fn checksum_of_rest(rest: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xe17a_1465;
    let mut hash = SEED ^ (rest.len() as u64).wrapping_mul(M);
    for (place, byte) in rest.iter().enumerate() {
        hash ^= u64::from(*byte) << (8 * place);
    }
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 47;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 47)
}

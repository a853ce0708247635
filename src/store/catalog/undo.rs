//! Undoes checkpoints that a kill interrupted.
//!
//! DuckDB's checkpoint writes data into free blocks and its header last, but it overwrites blocks
//! of metadata in place, 256 KiB each. A kill during such a write leaves a block whose checksum
//! fails, and a database that doesn't open again. So DuckDB makes no automatic checkpoints here.
//! Before each of ours, the headers and those blocks are saved in `staging.duckdb.undo`. If the
//! checkpoint didn't reach its header, the next writer puts them back: the log still has everything
//! then.
//!
//! The layout of the headers was read from the source of DuckDB 1.5. Opening checks that the linked
//! DuckDB is one of [`KNOWN_VERSIONS`](super::log::KNOWN_VERSIONS).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::store::durable;
use crate::store::error::{Error, IoContext};
use crate::store::layout::Layout;

/// DuckDB's main header and its two database headers, which it writes in turn.
const HEADER_BYTES: usize = 4096;
const HEADERS_BYTES: usize = 3 * HEADER_BYTES;
/// Where the block size is in a database header: after checksum, iteration and three pointers.
const BLOCK_SIZE_AT: usize = 40;
/// No block of DuckDB is larger.
const BLOCK_BYTES_MAX: u64 = 1 << 20;

const MAGIC: &[u8; 16] = b"backfill undo 1\n";
const DIGEST_BYTES: usize = 16;

/// What a checkpoint may overwrite: the headers, and the file's blocks of metadata.
pub(super) fn read_before(mut file: &File, blocks: &[i64]) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let mut out = MAGIC.to_vec();
    out.resize(MAGIC.len() + HEADERS_BYTES, 0);
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut out[MAGIC.len()..])?;
    let at = MAGIC.len() + HEADER_BYTES + BLOCK_SIZE_AT;
    let block_bytes = u64_at(&out, at)
        .filter(|bytes| (4096..=BLOCK_BYTES_MAX).contains(bytes))
        .ok_or_else(|| io::Error::other("its header names no block size"))?;
    for block in blocks {
        let start = HEADERS_BYTES as u64 + *block as u64 * block_bytes;
        if start + block_bytes > length {
            continue;
        }
        out.extend_from_slice(&start.to_le_bytes());
        out.extend_from_slice(&block_bytes.to_le_bytes());
        let from = out.len();
        out.resize(from + block_bytes as usize, 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut out[from..])?;
    }
    let digest = xxh3_128(&out).to_le_bytes();
    out.extend_from_slice(&digest);
    Ok(out)
}

/// Undoes an interrupted checkpoint. Only called while DuckDB has the file closed and this process
/// holds the store's lock.
#[allow(clippy::disallowed_methods)]
pub(super) fn undo(layout: &Layout) -> Result<bool, Error> {
    let undo = layout.database_undo();
    let saved = match std::fs::read(&undo) {
        Ok(saved) => saved,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io(&undo, error)),
    };
    let database = layout.database();
    let mut undone = false;
    if database.exists() && is_whole(&saved) {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&database)
            .at(&database)?;
        if !reached_its_header(&mut file, &saved).at(&database)? {
            put_back(&mut file, &saved).at(&database)?;
            undone = true;
        }
    }
    crate::crash_point!("recover.after-undo");
    durable::remove_file(&undo).at(&undo)?;
    durable::sync_dir(layout.root()).at(layout.root())?;
    Ok(undone)
}

fn is_whole(saved: &[u8]) -> bool {
    let least = MAGIC.len() + HEADERS_BYTES + DIGEST_BYTES;
    if saved.len() < least || !saved.starts_with(MAGIC) {
        return false;
    }
    let (content, digest) = saved.split_at(saved.len() - DIGEST_BYTES);
    xxh3_128(content).to_le_bytes() == digest
}

/// Whether the headers changed and are whole: then the blocks that they name are whole too.
fn reached_its_header(file: &mut File, saved: &[u8]) -> io::Result<bool> {
    let mut now = vec![0; HEADERS_BYTES];
    file.seek(SeekFrom::Start(0))?;
    match file.read_exact(&mut now) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(error),
    }
    let before = &saved[MAGIC.len()..MAGIC.len() + HEADERS_BYTES];
    let whole = now
        .chunks(HEADER_BYTES)
        .all(|header| u64_at(header, 0) == Some(super::log::checksum(&header[8..])));
    Ok(now != before && whole)
}

fn put_back(file: &mut File, saved: &[u8]) -> io::Result<()> {
    let mut rest = &saved[MAGIC.len()..saved.len() - DIGEST_BYTES];
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&rest[..HEADERS_BYTES])?;
    rest = &rest[HEADERS_BYTES..];
    while let (Some(start), Some(bytes)) = (u64_at(rest, 0), u64_at(rest, 8)) {
        let Some(block) = rest.get(16..16 + bytes as usize) else {
            break;
        };
        file.seek(SeekFrom::Start(start))?;
        file.write_all(block)?;
        rest = &rest[16 + bytes as usize..];
    }
    file.sync_all()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Opens the database before DuckDB does. The descriptor must stay open for as long as DuckDB has
/// the file: closing any descriptor drops DuckDB's lock.
pub(super) fn hold(path: &Path) -> io::Result<File> {
    File::open(path)
}

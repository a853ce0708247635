//! Use case: move bars to another store in one file that can be verified.
//!
//! ```text
//! store ─seal─> partitions ─(cut)─> check ─> tar: partitions, manifest, hash      create
//!                                                     │
//!                      every byte, row and fact <─────┤                           verify
//!                                                     │
//! store <─ ordinary commits, one record <─ VerifiedBundle                         apply
//! ```
//!
//! **A bundle is a plain tar in one canonical form**: what `create` wouldn't have written is
//! refused. Nothing is written into a store before the whole bundle is verified
//! ([`VerifiedBundle`]). Memory use depends on the size of partitions, not of bundles.

mod apply;
mod archive;
mod bounded;
mod create;
mod defect;
mod digest;
mod entry;
mod error;
mod filter;
mod manifest;
#[cfg(test)]
mod tests;
mod verify;

pub use apply::{apply, check_base, check_order};
pub use archive::Archive;
pub use create::{Created, create};
pub use defect::{BadManifest, Defect};
pub use digest::grouped;
pub use entry::{Entry, Totals};
pub use error::Error;
pub use filter::{Filter, Span};
pub use manifest::{Base, Commit, Manifest, SCHEMA};
pub use verify::{VerifiedBundle, verify};

/// Verifies `bytes` as `bundle verify` verifies a file. For fuzzing and tests.
pub fn verify_bytes(bytes: &[u8]) -> Result<Manifest, Error> {
    let archive = Archive::open(std::io::Cursor::new(bytes))?;
    let stop = crate::report::Stop::new();
    let verified = verify(archive, &crate::report::Silent, &stop)?;
    Ok(Manifest::clone(verified.manifest()))
}

/// Whether this thread is decoding untrusted bytes. Parquet's reader panics at some of them; the
/// panic is caught and becomes a defect of the bundle, so panic hooks shouldn't print it.
#[must_use]
pub fn is_guarded() -> bool {
    crate::store::lake::untrusted::is_guarded()
}

/// Checks `bytes` as a partition of the year 2025, with any hash, as a forged bundle could contain
/// it. For fuzzing and tests.
pub fn verify_partition_bytes(bytes: &[u8]) -> Result<u64, String> {
    use crate::store::lake::untrusted::UntrustedPartition;
    let path = std::path::Path::new("lake/interval=1m/ticker=A/year=2025/bars.parquet");
    let key = crate::store::Layout::parse_partition(path).ok_or("no path")?;
    let image = UntrustedPartition::open(bytes::Bytes::copy_from_slice(bytes))?;
    image.check(&key)?;
    Ok(image.footer.rows)
}

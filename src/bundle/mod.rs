//! Use case: bars across an air gap, with the proof attached.
//!
//! ```text
//! store ─seal─> partitions ─(cut)─> check ─> tar: partitions, manifest, hash      create
//!                                                     │
//!                      every byte, row and fact <─────┤                           verify
//!                                                     │
//! store <─ ordinary commits, one record <── Sound <───┘                           apply
//! ```
//!
//! **A bundle is a plain tar in one form only**: what `create` would not have written is refused, and nothing is written
//! into a store before all of a bundle was read and found [`Sound`]. **Memory is bounded by partitions, not by bundles.**

mod apply;
mod archive;
mod create;
mod digest;
mod entry;
mod error;
mod fault;
mod few;
mod filter;
mod manifest;
#[cfg(test)]
mod tests;
mod verify;

pub use apply::{apply, check_base, check_order};
pub use archive::Archive;
pub use create::{Created, create};
pub use digest::grouped;
pub use entry::{Entry, Totals};
pub use error::Error;
pub use fault::Fault;
pub use filter::{Filter, Span};
pub use manifest::{BadManifest, Base, Commit, Manifest, SCHEMA};
pub use verify::{Sound, verify};

/// Reads `bytes` as a bundle, from the first to the last: what `bundle verify` does with a file. For tests that feed it
/// with anything.
pub fn verify_bytes(bytes: &[u8]) -> Result<Manifest, Error> {
    let archive = Archive::open(std::io::Cursor::new(bytes))?;
    let stop = crate::report::Stop::new();
    let sound = verify(archive, &crate::report::Silent, &stop)?;
    Ok(Manifest::clone(sound.manifest()))
}

/// Whether this thread decodes bytes from elsewhere just now. Parquet's reader answers some of them with a panic, which is caught
/// and becomes a fault of the bundle; hooks for panics keep quiet about it.
#[must_use]
pub fn is_guarded() -> bool {
    crate::store::lake::image::is_guarded()
}

/// Reads `bytes` as one partition of the year 2025, whatever hash they have: what a bundle made to deceive could hold.
/// For tests that feed it with anything.
pub fn verify_partition_bytes(bytes: &[u8]) -> Result<u64, String> {
    use crate::store::lake::image::Image;
    let path = std::path::Path::new("lake/interval=1m/ticker=A/year=2025/bars.parquet");
    let key = crate::store::Layout::parse_partition(path).ok_or("no path")?;
    let image = Image::open(bytes::Bytes::copy_from_slice(bytes))?;
    image.check(&key)?;
    Ok(image.footer.rows)
}

//! Replaces the crate `vcpkg`, which libduckdb-sys uses only on Windows.
//!
//! What matters is the build script. Cargo runs it before that of libduckdb-sys, which fails if the
//! library can neither be found nor downloaded. After a failure cargo starts nothing more, so only
//! this script can print what to do.

use std::path::PathBuf;

/// A search that never finds a library.
#[derive(Default)]
pub struct Config;

/// A found library.
pub struct Library {
    /// Where its headers are.
    pub include_paths: Vec<PathBuf>,
}

impl Config {
    /// Starts a search.
    pub fn new() -> Self {
        Self
    }

    /// Finds nothing.
    pub fn probe(&mut self, _name: &str) -> Result<Library, &'static str> {
        Err("vcpkg isn't used")
    }
}

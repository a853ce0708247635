//! Stands in for the crate `vcpkg`, which libduckdb-sys asks for libraries on Windows alone.
//!
//! What matters is its build script. Cargo runs it before that of libduckdb-sys, which is the one that fails where the
//! library can neither be found nor downloaded; and after a failure cargo starts nothing more. So this is the one place
//! from which a message in our own words is sure to be read. Nothing is ever found here.

use std::path::PathBuf;

/// Looks for libraries, and finds none.
#[derive(Default)]
pub struct Config;

/// A library that was found.
pub struct Library {
    /// Where its headers are.
    pub include_paths: Vec<PathBuf>,
}

impl Config {
    /// A search.
    pub fn new() -> Self {
        Self
    }

    /// Finds nothing.
    pub fn probe(&mut self, _name: &str) -> Result<Library, &'static str> {
        Err("vcpkg is not asked")
    }
}

//! Prints what to do if libduckdb is missing.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    if env::var_os("DUCKDB_LIB_DIR").is_some() {
        return;
    }
    match downloaded() {
        Some(library) => println!("cargo:rerun-if-changed={}", library.display()),
        None => {
            // A missing file counts as changed: this runs again at the next build.
            println!("cargo:rerun-if-changed=not-downloaded-yet");
            println!(
                "cargo:warning=libduckdb is not in vendor/duckdb: libduckdb-sys now tries to download it. If that fails, run \
                 `make setup`, or build with `--features bundled` (about twenty minutes), which needs no library."
            );
        }
    }
}

/// The library that libduckdb-sys downloaded before: `target/duckdb-download/<triple>/<version>/libduckdb.*`.
fn downloaded() -> Option<PathBuf> {
    let out = PathBuf::from(env::var_os("OUT_DIR")?);
    let build = out
        .ancestors()
        .find(|dir| dir.file_name() == Some(OsStr::new("build")))?;
    let target = build.parent()?.parent()?;
    entries(&target.join("duckdb-download"))
        .flat_map(|triple| entries(&triple))
        .flat_map(|version| entries(&version))
        .find(|file| {
            let name = file.file_name().and_then(OsStr::to_str);
            name.is_some_and(|name| name.starts_with("libduckdb.") && !name.ends_with(".zip"))
        })
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

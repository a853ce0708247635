//! Sets the git revision, and where binaries find libduckdb.
//!
//! The library is linked, not compiled in (except with the feature `bundled`). So each binary has run
//! paths relative to itself, and the library is linked or copied into the folder of the profile's binaries.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a binary looks for libduckdb, relative to its own folder.
const RUN_PATHS: [&str; 4] = [
    "",                 // target/release/backfill, or both files copied into one folder
    "/..",              // target/debug/deps/it-…, target/debug/examples/…
    "/../lib/backfill", // PREFIX/bin/backfill, as `make install` installs it
    "/deps",            // target/debug/backfill, where libduckdb-sys downloaded the library itself
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=BACKFILL_REVISION={}", revision());
    if env::var_os("CARGO_FEATURE_BUNDLED").is_none() {
        link();
    }
}

/// The checked-out commit; `unknown` if this folder isn't the root of a repository.
fn revision() -> String {
    let here = env::var("CARGO_MANIFEST_DIR")
        .ok()
        .and_then(|dir| fs::canonicalize(dir).ok());
    let top = git(&["rev-parse", "--show-toplevel"]).and_then(|dir| fs::canonicalize(dir).ok());
    if top.is_none() || top != here {
        return "unknown".to_owned();
    }
    // Changed by each commit and checkout only.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn link() {
    let macos = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos");
    let (origin, library) = if macos {
        ("@loader_path", "libduckdb.dylib")
    } else {
        ("$ORIGIN", "libduckdb.so")
    };
    for path in RUN_PATHS {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}{path}");
    }
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");

    let Some(profile) = profile_dir() else { return };
    let vendored = Path::new("vendor/duckdb").join(library);
    if vendored.exists() {
        // With a path that doesn't exist, cargo would build everything again each time.
        println!("cargo:rerun-if-changed={}", vendored.display());
    }
    let source = env::var_os("DUCKDB_LIB_DIR")
        .map(|dir| PathBuf::from(dir).join(library))
        .filter(|path| path.exists())
        .or_else(|| vendored.exists().then_some(vendored));
    // Neither of them: libduckdb-sys downloads it into `deps` itself.
    if let Some(source) = source {
        put_next_to_binaries(&source, &profile.join(library));
    }
}

/// The folder that the binaries of this profile go to: OUT_DIR is `<it>/build/<package>/out`.
fn profile_dir() -> Option<PathBuf> {
    let out = PathBuf::from(env::var_os("OUT_DIR")?);
    out.ancestors()
        .find(|dir| dir.file_name() == Some(OsStr::new("build")))
        .and_then(Path::parent)
        .map(Path::to_path_buf)
}

/// Makes a hard link of the library next to the binaries, or a copy if there can't be a link.
fn put_next_to_binaries(source: &Path, target: &Path) {
    let same = |a: fs::Metadata, b: fs::Metadata| {
        a.len() == b.len() && a.modified().ok() == b.modified().ok()
    };
    if let (Ok(a), Ok(b)) = (fs::metadata(source), fs::metadata(target))
        && same(a, b)
    {
        return;
    }
    let _ = fs::remove_file(target);
    if fs::hard_link(source, target).is_err()
        && let Err(error) = fs::copy(source, target)
    {
        println!(
            "cargo:warning={} could not be copied next to the program: {error}",
            source.display()
        );
    }
}

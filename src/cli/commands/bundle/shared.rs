//! What the bundle commands share: opening a file, its errors, and the lines about it.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::advice::Hint;
use crate::bundle::{Archive, Error, Manifest, grouped};
use crate::cli::error::CliError;
use crate::report::{BundleInfo, ExitStatus, RunInfo};

/// Memory for DuckDB in MiB: bundles need little.
pub(super) const STORE_MEMORY_MIB: u64 = 96;

/// Opens a bundle and checks its manifest and member headers, but not its partitions yet.
pub(super) fn open(file: &Path) -> Result<Archive<BufReader<File>>, CliError> {
    let opened = File::open(file)
        .map_err(|error| CliError::failed(format!("{}: {error}", file.display())))?;
    Archive::open(BufReader::with_capacity(1 << 18, opened))
        .map_err(|defect| failure(file, defect.into()))
}

/// An error about the bundle in `file`.
pub(super) fn failure(file: &Path, error: Error) -> CliError {
    let hint = error.hint();
    let code = match &error {
        Error::OtherFilter { .. } | Error::ReplacesBase => ExitStatus::Usage,
        Error::Interrupted => ExitStatus::Interrupted,
        _ => ExitStatus::Failed,
    };
    if let Error::Store(error) = error {
        return error.into();
    }
    let failed = CliError::of(code, &error).maybe_hint(hint);
    CliError {
        message: format!("{}: {}", file.display(), failed.message),
        ..failed
    }
}

/// Adds the bundle to the summary.
pub(super) fn describe(info: &mut RunInfo, file: &Path, manifest: &Manifest, hash: &str) {
    info.bundle = Some(BundleInfo {
        file: file.display().to_string(),
        manifest_sha256: hash.to_owned(),
        base_manifest_sha256: manifest
            .base
            .as_ref()
            .map(|base| base.manifest_sha256.clone()),
        store_id: manifest.store_id.to_string(),
        partitions: manifest.totals.partitions,
        rows: manifest.totals.rows,
        bytes: manifest.totals.bytes,
    });
}

/// What a bundle holds, and its manifest's hash: two lines.
pub(super) fn result_lines(verb: &str, manifest: &Manifest, hash: &str) -> String {
    let totals = &manifest.totals;
    let since = manifest.base.as_ref().map_or_else(String::new, |base| {
        format!(
            " since={}",
            &base.manifest_sha256[..8.min(base.manifest_sha256.len())]
        )
    });
    format!(
        "{verb}: partitions={} rows={} bytes={}{since}\nmanifest: {}",
        totals.partitions,
        totals.rows,
        totals.bytes,
        grouped(hash)
    )
}

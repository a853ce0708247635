//! `bundle`: moves bars to another store in one file that can be verified.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::bundle::{Archive, Error, Manifest, grouped};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::report::{BundleInfo, ExitStatus, RunInfo};

mod apply;
mod create;
mod verify;

/// Memory for DuckDB in MiB: bundles need little.
const STORE_MEMORY_MIB: u64 = 96;

/// Move bars to another machine without a network, in one verified file
///
/// `create` writes the sealed partitions and a manifest, and prints the manifest's hash. On the
/// other side `verify` checks each byte and prints the hash that it found, and `apply` stores the
/// bars. If both hashes are equal (compare them over the phone), the file arrived unchanged.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill bundle create monday.tar
  backfill bundle create tuesday.tar --since monday.tar
  backfill bundle verify tuesday.tar
  backfill bundle apply tuesday.tar --store /data/bars --on-conflict update")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Create(create::Args),
    Verify(verify::Args),
    Apply(apply::Args),
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let named = |name: &str| context.describe(|info| info.command = format!("bundle {name}"));
    match args.action {
        Action::Create(args) => {
            named("create");
            create::run(context, args)
        }
        Action::Verify(args) => {
            named("verify");
            verify::run(context, args)
        }
        Action::Apply(args) => {
            named("apply");
            apply::run(context, args)
        }
    }
}

/// Opens a bundle and checks its manifest and member headers, but not its partitions yet.
fn open(file: &Path) -> Result<Archive<BufReader<File>>, CliError> {
    let opened = File::open(file)
        .map_err(|error| CliError::failed(format!("{}: {error}", file.display())))?;
    Archive::open(BufReader::with_capacity(1 << 18, opened))
        .map_err(|defect| failure(file, defect.into()))
}

/// An error about the bundle in `file`.
fn failure(file: &Path, error: Error) -> CliError {
    let hint = error.hint().map(str::to_owned);
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
fn describe(info: &mut RunInfo, file: &Path, manifest: &Manifest, hash: &str) {
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
fn result_lines(verb: &str, manifest: &Manifest, hash: &str) -> String {
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

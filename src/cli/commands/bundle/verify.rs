//! `bundle verify`: is every byte of a bundle one that `bundle create` wrote?

use std::io::Write;
use std::path::PathBuf;

use crate::bundle;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;

/// Check every byte, row and fact of a bundle; 1 at the first difference, which is named. Example: backfill bundle verify bars.tar
///
/// Prints the hash of the manifest that it found: it must be the one that was read out where the bundle was made. No store is
/// needed.
#[derive(clap::Args)]
pub struct Args {
    /// The bundle. Example: bars.tar
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let file = args.file.as_path();
    let mut out = context.stdout()?;
    let archive = super::open(file)?;
    let observer = context.observer();
    let sound = bundle::verify(archive, &observer, &context.stop())
        .map_err(|error| super::failure(file, error))?;
    drop(observer);
    let (manifest, hash) = (sound.manifest(), sound.hash());
    context.describe(|info| super::describe(info, file, manifest, hash));
    writeln!(out, "{}", super::told("verified", manifest, hash))?;
    out.flush()?;
    Ok(Outcome::Done)
}

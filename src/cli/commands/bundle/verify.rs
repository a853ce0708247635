//! `bundle verify`: checks a bundle without a store.

use std::io::Write;
use std::path::PathBuf;

use super::shared;
use crate::bundle;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;

/// Check each byte, row and fact of a bundle
///
/// Ends with code 1 at the first defect. Prints the manifest's hash, which must be the one that
/// `bundle create` printed. Needs no store.
#[derive(clap::Args)]
pub struct Args {
    /// The bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let file = args.file.as_path();
    let mut out = context.stdout()?;
    let archive = shared::open(file)?;
    let observer = context.observer();
    let verified = bundle::verify(archive, &observer, &context.stop())
        .map_err(|error| shared::failure(file, error))?;
    drop(observer);
    let (manifest, hash) = (verified.manifest(), verified.hash());
    context.describe(|info| shared::describe(info, file, manifest, hash));
    writeln!(out, "{}", shared::result_lines("verified", manifest, hash))?;
    out.flush()?;
    Ok(Outcome::Done)
}

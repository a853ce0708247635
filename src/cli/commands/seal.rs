//! `seal`: hot rows into the lake.

use std::io::Write;

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::store::OpenOptions;

/// Move all hot rows into the lake, where any tool that reads Parquet sees them. Example: backfill seal
#[derive(clap::Args)]
pub struct Args {}

pub fn run(context: &Context, _: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let dir = context.store_dir(false);
    let store = context.open_existing_store(&dir, &OpenOptions::default())?;
    let sealed = store.seal()?;
    writeln!(
        out,
        "sealed: partitions={} rows={}",
        sealed.partitions, sealed.rows
    )?;
    out.flush()?;
    Ok(Outcome::Done)
}

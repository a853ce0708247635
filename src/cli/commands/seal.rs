//! `seal`: moves hot rows into the lake.

use std::io::Write;

use crate::cli::args::WaitArg;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::store::OpenOptions;

/// Move hot bars into the lake
///
/// The lake is Parquet files that any program can read. Commands that store bars do this at their end.
/// This moves the bars that they left out: because it would have taken long, because of --seal never,
/// or because they were killed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill seal
  backfill seal --store /data/bars")]
pub struct Args {
    #[command(flatten)]
    wait: WaitArg,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let dir = context.store_dir(false);
    let store = context.open_existing_store(&dir, &OpenOptions::default(), args.wait.duration())?;
    let sealed = store.seal()?;
    writeln!(
        out,
        "sealed: partitions={} rows={}",
        sealed.partitions, sealed.rows
    )?;
    out.flush()?;
    Ok(Outcome::Done)
}

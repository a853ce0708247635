//! `concurrent`: a range of dates, many tickers at once.

use std::num::NonZeroUsize;

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::fetch::{self, FetchArgs, Width};

/// Backfill a range of dates, many tickers at once. Example: backfill concurrent --start 010125 --end 310125 --threads 8
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    fetch: FetchArgs,

    /// Requests in flight at most, over as many tickers. Example: --threads 8
    #[arg(long, value_name = "N", default_value = "6", help_heading = "Provider")]
    threads: NonZeroUsize,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    fetch::run(context, args.fetch, Width::Many(args.threads.get()))
}

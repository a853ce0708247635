//! `concurrent`: downloads a range of dates, several requests at a time.

use std::num::NonZeroUsize;

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::fetch::{self, Concurrency, FetchArgs};

/// Download a range of dates, several requests at a time
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill concurrent --start 2025-01-01 --end 2025-01-31 --tickers-file sp500.json --threads 8
  backfill concurrent --since-last --rate 750")]
pub struct Args {
    #[command(flatten)]
    fetch: FetchArgs,

    /// Maximum number of requests in flight, and of tickers (or groups that share requests)
    /// downloaded at once
    #[arg(long, value_name = "N", default_value = "6", help_heading = "Provider")]
    threads: NonZeroUsize,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    fetch::run(context, args.fetch, Concurrency::Many(args.threads.get()))
}

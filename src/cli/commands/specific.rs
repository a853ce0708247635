//! `specific`: downloads a range of dates, one request at a time.

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::fetch::{self, Concurrency, FetchArgs};

/// Download a range of dates, one request at a time
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill specific --start 2025-01-01 --end 2025-01-31 --tickers AAPL
  backfill specific --since-last --tickers AAPL MSFT")]
pub struct Args {
    #[command(flatten)]
    fetch: FetchArgs,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    fetch::run(context, args.fetch, Concurrency::One)
}

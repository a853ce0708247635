//! `specific`: a range of dates, one ticker after another.

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::fetch::{self, FetchArgs, Width};

/// Backfill a range of dates, one ticker after another. Example: backfill specific --start 010125 --end 310125 --tickers AAPL
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    fetch: FetchArgs,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    fetch::run(context, args.fetch, Width::One)
}

//! The options that `specific` and `concurrent` share, as they are typed.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;

use super::source::{ProviderChoice, of_each};
use crate::cli::args::OutputArg;
use crate::cli::push::PushArgs;
use crate::model::{Interval, OnConflict, TypedDate};
use crate::secret::SecretUrl;

/// What to fetch, from whom, and what becomes of it.
#[derive(Clone, Debug, clap::Args)]
pub struct FetchArgs {
    /// First day, inclusive, exchange-local: DDMMYY (20YY) or YYYY-MM-DD. Example: --start 010125
    #[arg(
        long,
        value_name = "DATE",
        help_heading = "Range",
        required_unless_present = "since_last"
    )]
    pub start: Option<TypedDate>,

    /// Last day, inclusive, exchange-local: DDMMYY (20YY) or YYYY-MM-DD [default: today, with --since-last]. Example:
    /// --end 2025-01-31
    #[arg(
        long,
        value_name = "DATE",
        help_heading = "Range",
        required_unless_present = "since_last"
    )]
    pub end: Option<TypedDate>,

    /// Each ticker from its last staged session on, and from --start where that lies before its first. Example: --since-last
    #[arg(long, help_heading = "Range")]
    pub since_last: bool,

    /// Ask for the last N staged sessions again, to find restated history [default: 1 with --since-last, else 0]. Example:
    /// --overlap 5
    #[arg(long, value_name = "N", help_heading = "Range")]
    pub overlap: Option<usize>,

    /// Tickers, with spaces or commas between them [default: --tickers-file, else tickers.json in the working folder,
    /// else beside the program]. Example: --tickers AAPL MSFT
    #[arg(long, value_name = "TICKER", num_args = 1.., help_heading = "Range", conflicts_with = "tickers_file")]
    pub tickers: Vec<String>,

    /// A JSON list of tickers, or a ticker a line; - for standard input. Example: --tickers-file sp500.json
    #[arg(long, value_name = "FILE", help_heading = "Range")]
    pub tickers_file: Option<PathBuf>,

    /// This machine's share of the tickers: the I-th of N, by a stable hash of the name. Example: --shard 2/3
    #[arg(long, value_name = "I/N", help_heading = "Range")]
    pub shard: Option<Shard>,

    /// Exchange, which sets calendar and time zone. Example: --exchange XETRA
    #[arg(
        long,
        value_name = "CODE",
        default_value = "NASDAQ",
        help_heading = "Range"
    )]
    pub exchange: String,

    /// Bar length in minutes: 1, 5, 15, 30 or 60. Example: --interval 5
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Range")]
    pub interval: Minutes,

    /// Who is asked, and for what.
    #[command(flatten)]
    pub service: ServiceArgs,

    /// Leave out what the store's coverage shows as answered. Example: --resume
    #[arg(long, help_heading = "Quota")]
    pub resume: bool,

    /// Print windows, requests and least time, after coverage is taken off, and ask nothing. Example: --plan
    #[arg(long, help_heading = "Quota")]
    pub plan: bool,

    /// After the run, ask again for the sessions that lack bars; skipped in a dry run. Example: --gap-fill
    #[arg(long, help_heading = "Quota")]
    pub gap_fill: bool,

    /// What to do with bars that are staged already: fail, ignore or update. Example: --on-conflict ignore
    #[arg(
        long,
        value_name = "MODE",
        default_value = "fail",
        help_heading = "Conflicts"
    )]
    pub on_conflict: OnConflict,

    /// Fetch and parse, stage nothing. Example: --dry-run
    #[arg(long, help_heading = "Output")]
    pub dry_run: bool,

    /// Also write every valid bar fetched, staged or not, into one .csv or .parquet file. Example: --output-filename jan.csv
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub output_filename: Option<OutputArg>,

    /// What follows the run.
    #[command(flatten)]
    pub push: PushArgs,
}

/// Who is asked, for what kind of bars, and how much.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ServiceArgs {
    /// Who is asked; demo is the built-in simulator, whose bars go to a store of their own. Example: --provider demo
    #[arg(
        long,
        value_name = "NAME",
        default_value_t = ProviderChoice::default(),
        value_parser = ProviderChoice::parser(),
        help_heading = "Provider"
    )]
    pub provider: ProviderChoice,

    /// Base URL of the provider
    #[arg(long, value_name = "URL", help_heading = "Provider", long_help = provider_url_help())]
    pub provider_url: Option<SecretUrl>,

    /// Pre- and post-market bars too. Example: --extended-hours
    #[arg(long, help_heading = "Provider")]
    pub extended_hours: bool,

    /// Prices and volumes without split adjustment. Example: --unadjusted
    #[arg(long, help_heading = "Provider")]
    pub unadjusted: bool,

    /// Also store bars that may still change
    #[arg(long, help_heading = "Provider", long_help = include_forming_help())]
    pub include_forming: bool,

    /// Maximum requests per minute
    #[arg(long, value_name = "N", help_heading = "Quota", long_help = rate_help())]
    pub rate: Option<NonZeroU32>,

    /// Stop cleanly (code 5) when so many requests were sent. Example: --max-requests 100
    #[arg(long, value_name = "N", help_heading = "Quota")]
    pub max_requests: Option<NonZeroU64>,

    /// Requests a UTC day at most, counted in the store across runs. Example: --daily-quota 250
    #[arg(long, value_name = "N", help_heading = "Quota")]
    pub daily_quota: Option<NonZeroU64>,
}

impl ServiceArgs {
    /// Whether any of it was given, or all is as it is by default.
    pub(in crate::cli) fn is_default(&self) -> bool {
        *self
            == Self {
                provider: ProviderChoice::default(),
                provider_url: None,
                extended_hours: false,
                unadjusted: false,
                include_forming: false,
                rate: None,
                max_requests: None,
                daily_quota: None,
            }
    }
}

/// Help of `--provider-url`, with each provider's variable.
pub(in crate::cli) fn provider_url_help() -> String {
    let variables = of_each(|entry| entry.base_url_env.map(str::to_owned));
    format!(
        "Base URL of the provider\n\nAlso read from the environment: {variables}. Example: --provider-url http://127.0.0.1:8080/stable"
    )
}

fn rate_help() -> String {
    let rates = of_each(|entry| Some((entry.info)().rate_default.to_string()));
    format!("Maximum requests per minute\n\nDefault: {rates}. Example: --rate 750")
}

fn include_forming_help() -> String {
    let seconds = of_each(|entry| Some(format!("{} s", (entry.info)().settles_after.as_secs())));
    format!(
        "Also store bars that may still change\n\nThose are bars that still form, or closed too short a time ago: {seconds}. Without it they are held back and counted. Example: --include-forming"
    )
}

/// A bar length typed as a number of minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minutes(pub Interval);

impl FromStr for Minutes {
    type Err = crate::model::UnknownInterval;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        typed.parse().map(Self)
    }
}

/// One of so many shares, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

/// What was typed is no shard.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not I/N with I from 1 to N, as in 2/3")]
pub struct BadShard(String);

impl FromStr for Shard {
    type Err = BadShard;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        typed
            .split_once('/')
            .and_then(|(index, count)| {
                Some((index.trim().parse().ok()?, count.trim().parse().ok()?))
            })
            .filter(|(index, count)| (1..=*count).contains(index))
            .map(|(index, count)| Self { index, count })
            .ok_or_else(|| BadShard(typed.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_one() {
        let shard = |typed: &str| typed.parse::<Shard>().ok().map(|s| (s.index, s.count));
        assert_eq!(shard("2/3"), Some((2, 3)));
        assert_eq!(shard("1/1"), Some((1, 1)));
        for typed in ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", ""] {
            assert_eq!(shard(typed), None, "{typed}");
        }
    }
}

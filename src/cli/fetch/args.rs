//! The options that `specific` and `concurrent` share, as they are typed.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;

use super::source::{ProviderChoice, feed_help, of_each};
use crate::cli::args::{MetricsArg, OutputArg, WaitArg};
use crate::cli::seal_after::SealArgs;
use crate::cli::sync_after::SyncAfterArgs;
use crate::model::{Interval, OnConflict, TypedDate};
use crate::secret::SecretUrl;

/// What to fetch, from which provider, and what to do with it.
#[derive(Clone, Debug, clap::Args)]
pub struct FetchArgs {
    /// First date to request: YYYY-MM-DD or DDMMYY
    ///
    /// Dates are local to the exchange and included.
    ///
    /// Example: --start 2025-01-01
    #[arg(
        long,
        value_name = "DATE",
        help_heading = "Range",
        required_unless_present = "since_last"
    )]
    pub start: Option<TypedDate>,

    /// Last date to request: YYYY-MM-DD or DDMMYY [default: today, with --since-last]
    ///
    /// Example: --end 2025-01-31
    #[arg(
        long,
        value_name = "DATE",
        help_heading = "Range",
        required_unless_present = "since_last"
    )]
    pub end: Option<TypedDate>,

    /// Continue each ticker from its last stored session
    ///
    /// With --start, the dates from --start to the first stored session are requested too.
    #[arg(long, help_heading = "Range")]
    pub since_last: bool,

    /// Request the last N stored sessions again [default: 1 with --since-last, else 0]
    ///
    /// This finds restated history.
    #[arg(long, value_name = "N", help_heading = "Range")]
    pub overlap: Option<usize>,

    /// Tickers to request, separated by spaces or commas
    ///
    /// By default they are read from --tickers-file, else from tickers.json in the working folder,
    /// else from tickers.json next to the program.
    ///
    /// Example: --tickers AAPL MSFT
    #[arg(long, value_name = "TICKER", num_args = 1.., help_heading = "Range", conflicts_with = "tickers_file")]
    pub tickers: Vec<String>,

    /// Read the tickers from a file: a JSON list, or one ticker per line; - for standard input
    ///
    /// Example: --tickers-file sp500.json
    #[arg(long, value_name = "FILE", help_heading = "Range")]
    pub tickers_file: Option<PathBuf>,

    /// Process only shard I of N
    ///
    /// Tickers are split by a hash of their name, so several machines can share a list.
    ///
    /// Example: --shard 2/3
    #[arg(long, value_name = "I/N", help_heading = "Range")]
    pub shard: Option<Shard>,

    /// Exchange of the tickers
    #[arg(long, value_name = "CODE", help_heading = "Range", long_help = exchange_help())]
    pub exchange: Option<String>,

    /// Length of the bars in minutes: 1, 5, 15, 30 or 60
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Range")]
    pub interval: Minutes,

    /// The provider.
    #[command(flatten)]
    pub service: ServiceArgs,

    /// Skip dates that are answered already
    ///
    /// The store records how each requested date was answered. Failed and partial ones are
    /// requested again.
    #[arg(long, help_heading = "Quota")]
    pub resume: bool,

    /// Print the requests that this run would send, then exit
    ///
    /// One line per ticker; --log-level debug shows each request. Dates that are answered already are
    /// left out, as with --resume; a hint has the number of requests without it. Sends no request and creates no store.
    #[arg(long, help_heading = "Quota")]
    pub plan: bool,

    /// After the run, request incomplete sessions again
    ///
    /// Skipped in a dry run.
    #[arg(long, help_heading = "Quota")]
    pub gap_fill: bool,

    /// What to do with bars that are stored already: fail, ignore or update
    #[arg(
        long,
        value_name = "MODE",
        default_value = "fail",
        help_heading = "Conflicts"
    )]
    pub on_conflict: OnConflict,

    /// Request and check bars, but store nothing
    #[arg(long, help_heading = "Output")]
    pub dry_run: bool,

    /// Also write all valid bars to one file: .csv, .parquet or .arrow
    ///
    /// The file has every valid bar that was downloaded, stored or not. It is replaced at the end of the run.
    ///
    /// Example: --output-filename jan.csv
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub output_filename: Option<OutputArg>,

    #[command(flatten)]
    pub metrics: MetricsArg,

    #[command(flatten)]
    pub seal: SealArgs,

    /// What follows the run.
    #[command(flatten)]
    pub sync_after: SyncAfterArgs,

    #[command(flatten)]
    pub wait: WaitArg,
}

/// The provider, the kind of bars, and how many requests.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ServiceArgs {
    /// Data provider
    ///
    /// demo is a built-in simulator; its bars go to data/demo.
    #[arg(
        long,
        value_name = "NAME",
        default_value_t = ProviderChoice::default(),
        value_parser = ProviderChoice::parser(),
        help_heading = "Provider"
    )]
    pub provider: ProviderChoice,

    /// Feed of the provider
    #[arg(long, value_name = "NAME", help_heading = "Provider", long_help = feed_help())]
    pub feed: Option<String>,

    /// Base URL of the provider
    #[arg(long, value_name = "URL", help_heading = "Provider", long_help = provider_url_help())]
    pub provider_url: Option<SecretUrl>,

    /// Also request bars before and after the session
    #[arg(long, help_heading = "Provider")]
    pub extended_hours: bool,

    /// Request prices and volumes without split adjustment
    #[arg(long, help_heading = "Provider")]
    pub unadjusted: bool,

    /// Also store bars that may still change
    #[arg(long, help_heading = "Provider", long_help = include_forming_help())]
    pub include_forming: bool,

    /// Maximum requests per minute
    #[arg(long, value_name = "N", help_heading = "Quota", long_help = rate_help())]
    pub rate: Option<NonZeroU32>,

    /// Stop after N requests, with code 5
    #[arg(long, value_name = "N", help_heading = "Quota")]
    pub max_requests: Option<NonZeroU64>,

    /// Maximum requests per UTC day, across runs
    ///
    /// They are counted in the store.
    #[arg(long, value_name = "N", help_heading = "Quota")]
    pub daily_quota: Option<NonZeroU64>,
}

impl ServiceArgs {
    /// Whether no option was given.
    pub(in crate::cli) fn is_default(&self) -> bool {
        *self
            == Self {
                provider: ProviderChoice::default(),
                feed: None,
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
        "Base URL of the provider\n\nAlso read from the environment ({variables}). By default the provider's own.\n\nExample: --provider-url http://127.0.0.1:8080/stable"
    )
}

fn exchange_help() -> String {
    let exchanges = of_each(|entry| Some((entry.info)().exchange.to_owned()));
    format!(
        "Exchange of the tickers\n\nIt sets the calendar and the time zone. Default: {exchanges}.\n\nExample: --exchange XETRA"
    )
}

fn rate_help() -> String {
    let rates = of_each(|entry| {
        let rate = (entry.info)().rate_default;
        Some(rate.map_or_else(|| "no limit".to_owned(), |rate| rate.to_string()))
    });
    format!("Maximum requests per minute\n\nDefault: {rates}.")
}

fn include_forming_help() -> String {
    let seconds = of_each(|entry| Some(format!("{} s", (entry.info)().settles_after.as_secs())));
    format!(
        "Also store bars that may still change\n\nA bar may change until some time after its close: {seconds}. By default such bars are left out and counted."
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

/// One of N shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1 to `count`.
    pub index: u64,
    /// N.
    pub count: u64,
}

/// Not a shard.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} isn't I/N with I from 1 to N, as in 2/3")]
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

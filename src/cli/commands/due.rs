//! `due`: whether there is a new session to request, for schedulers.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use crate::calendar::{Calendar, suffix_exchange};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::fetch::{ProviderChoice, feed_help};
use crate::cli::log::LINE;
use crate::cli::ticker_args::split_tickers;
use crate::model::{MINUTE_MICROS, Ticker, Timestamp};
use crate::report::ExitStatus;

/// The largest `--delay`: after more than a day two sessions wait at once.
const DELAY_MAX: i64 = 24 * 60;
/// How long `--wait` sleeps without looking at the time. A machine that was suspended notices that
/// soon after it resumes.
const NAP: Duration = Duration::from_millis(500);

/// Exit with 0 once the last session is over and published, else with 75
///
/// For schedulers: `backfill due && backfill concurrent --since-last`. The last session is the one
/// that began last, so during a session the code is 75, and the time at which its bars will be
/// published is printed. Where sessions follow each other without a pause (CRYPTO), or bars are
/// published only after the next open, it is the last one that has ended. Sends no request and
/// needs no store.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill due --wait && backfill concurrent --tickers AAPL MSFT --since-last
  backfill due --tickers VOD.L SAP.DE
  backfill due --provider binance --delay 10")]
pub struct Args {
    /// Exchange of the tickers [default: the provider's]
    ///
    /// Example: --exchange XETRA
    #[arg(long, value_name = "CODE", help_heading = "Range")]
    exchange: Option<String>,

    /// Tickers, whose suffixes name their exchanges
    ///
    /// The last session of each exchange must be published. A ticker without a suffix belongs to
    /// --exchange.
    ///
    /// Example: --tickers AAPL VOD.L
    #[arg(long, value_name = "TICKER", num_args = 1.., help_heading = "Range")]
    tickers: Vec<String>,

    /// Data provider
    #[arg(
        long,
        value_name = "NAME",
        default_value_t = ProviderChoice::default(),
        value_parser = ProviderChoice::parser(),
        help_heading = "Provider"
    )]
    provider: ProviderChoice,

    /// Feed of the provider
    #[arg(long, value_name = "NAME", help_heading = "Provider", long_help = feed_help())]
    feed: Option<String>,

    /// Minutes from the close until the provider has the session
    ///
    /// The default is the time after which the provider's bars are final (settles_after_seconds of
    /// `backfill providers`). A plan that withholds a day's bars for longer needs more, and so do
    /// bars after regular hours: 245 for four hours of them.
    ///
    /// Example: --delay 245
    #[arg(long, value_name = "N", help_heading = "Provider", value_parser = clap::value_parser!(u16).range(..=DELAY_MAX))]
    delay: Option<u16>,

    /// Sleep until the session is published
    ///
    /// Ctrl-C ends it.
    #[arg(long)]
    wait: bool,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let provider = args.provider.with_feed(args.feed.as_deref())?;
    let info = provider.info();
    let exchange = args.exchange.as_deref().unwrap_or(info.exchange);
    let exchanges = exchanges(exchange, &args.tickers)?;
    let calendars = context.calendars(&context.store_dir(provider.is_demo()))?;
    let delay = match args.delay {
        Some(minutes) => i64::from(minutes) * MINUTE_MICROS,
        None => i64::try_from(info.settles_after.as_micros()).unwrap_or(i64::MAX),
    };
    let now = context.now();
    let mut due = now;
    for exchange in exchanges {
        let calendar = Calendar::for_exchange_with(&exchange, &calendars)
            .map_err(|error| CliError::of(ExitStatus::Usage, &error))?;
        let session = calendar
            .session_to_request(now, delay)
            .map_err(|error| CliError::of(ExitStatus::Failed, &error))?;
        let published = session.close.micros().saturating_add(delay);
        due = due.max(Timestamp::from_micros(published));
    }
    if due <= now {
        return Ok(Outcome::Done);
    }
    if args.wait {
        return sleep_until(context, due);
    }
    writeln!(context.stdout()?, "{due}")?;
    Ok(Outcome::Ended(ExitStatus::NotDue))
}

/// The exchanges of the tickers; without tickers `exchange` alone.
fn exchanges(exchange: &str, tickers: &[String]) -> Result<BTreeSet<String>, CliError> {
    let mut exchanges = BTreeSet::new();
    for ticker in tickers.iter().flat_map(|list| split_tickers(list)) {
        let ticker = Ticker::new(ticker)?;
        let of_suffix = suffix_exchange(ticker.as_str());
        exchanges.insert(of_suffix.unwrap_or(exchange).to_owned());
    }
    if tickers.is_empty() {
        exchanges.insert(exchange.to_owned());
    }
    if exchanges.is_empty() {
        return Err(CliError::usage("--tickers is empty"));
    }
    Ok(exchanges)
}

/// Sleeps until the clock shows `due`, or until Ctrl-C. The steps are short, because the time of a long
/// sleep doesn't pass while a machine is suspended.
fn sleep_until(context: &Context, due: Timestamp) -> Result<Outcome, CliError> {
    let stop = context.stop();
    tracing::info!(target: LINE, "waiting until {due}");
    while !stop.is_set() {
        let left = due.micros() - context.now().micros();
        match u64::try_from(left) {
            Ok(left) if left > 0 => std::thread::sleep(Duration::from_micros(left).min(NAP)),
            _ => return Ok(Outcome::Done),
        }
    }
    Err(CliError::new(ExitStatus::Interrupted, "interrupted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_name_exchanges() {
        let of = |tickers: &[&str]| {
            let tickers: Vec<String> = tickers.iter().map(|t| (*t).to_owned()).collect();
            let found = exchanges("NYSE", &tickers).unwrap();
            found.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(&[]), "NYSE");
        assert_eq!(of(&["AAPL", "BRK.B"]), "NYSE");
        assert_eq!(of(&["VOD.L,SAP.DE", "BARC.L"]), "LSE XETRA");
        assert_eq!(of(&["AAPL VOD.L"]), "LSE NYSE");
        // An empty variable of a shell isn't "no tickers".
        assert!(exchanges("NYSE", &[String::new()]).is_err());
    }
}

//! `simulate`: runs the simulator as a server, for trials and external tests.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::clock;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::report::ExitStatus;
use crate::simulator::{Config, Error, FaultRule, SimulatedProvider, Simulator, Tier};

const AFTER_HELP: &str = "\
Faults are KIND[@SYMBOL][=WHEN]. WHEN is a probability (0.1), a number of first requests (3),
each:N (the first N times of each distinct request) or after:N; without it, always.
Kinds: 500, 502, 503, reset, reset-body, stall, stall-body, cut, cut-chunked, half, slow, garbage,
html, empty, truncated (the newest date alone), capped (500 bars), strings (numbers as strings),
renamed (close is called last), error-object, strange-object, repeated-page, foreign-page,
other-ticker, other-basis, 400, 401, 402 (the plan lacks the interval or the dates), 402-symbol,
403, 403-suspended, 429, 429-retry-after, 429-empty, 429-bandwidth; in files of binance
wrong-checksum, missing-file, header-line; and on single bars bad-ohlc, spike, late-opening.

Any key but `invalid` is accepted. Symbols starting with NOSUCH are unknown, those with PREMIUM not
in the plan. The header x-simulator-fault requests a fault for its own request.
GET /simulator shows the counters, /simulator/log the requests, and
/simulator/bars/1min?symbol=AAPL&from=...&to=... all bars of the market. POST /simulator changes the
simulated market, for example {\"clock\": \"2025-02-04T15:00:30Z\"}.";

/// Serve a simulated provider on 127.0.0.1 until Ctrl-C
///
/// The first line of standard output is its URL.
///
/// Example: backfill simulate --port 8080 --tier starter --fault 500=0.05 --fault cut=3
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP, next_help_heading = "Simulator")]
pub struct Args {
    /// Provider to simulate
    ///
    /// All have the same market: a bar of a symbol is the same from each of them.
    #[arg(long, value_name = "NAME", default_value_t = SimulatedProvider::default())]
    provider: SimulatedProvider,

    /// Port to listen on; 0 for a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,

    /// Plan of every key: free, starter, premium or ultimate [default: no limits]
    ///
    /// fmp: starter allows 300 requests per minute, premium 750, ultimate 3000; free has no intraday
    /// bars. massive: free allows 5 requests per minute and has 2 years without today, starter has 5
    /// years and premium 10, a quarter of an hour late. alpaca: free allows 200 requests per minute, without
    /// the newest quarter of an hour of the feed sip, and the others 10000.
    #[arg(long, value_name = "PLAN")]
    tier: Option<Tier>,

    /// Delay of every response in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,

    /// Fault to apply; can be repeated
    ///
    /// Example: --fault 500=0.05 --fault cut=each:2
    #[arg(long, value_name = "FAULT")]
    fault: Vec<FaultRule>,

    /// Seed of the market and of random faults
    #[arg(long, value_name = "N", default_value_t = Config::default().seed)]
    seed: u64,

    /// Serve the one-minute bars of a CSV file instead of made-up ones
    ///
    /// The file has the layout of `export`.
    ///
    /// Example: --bars bars.csv
    #[arg(long, value_name = "FILE")]
    bars: Option<PathBuf>,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let config = Config {
        provider: args.provider,
        port: args.port,
        tier: args.tier,
        latency: Duration::from_millis(args.latency_ms),
        faults: args.fault,
        seed: args.seed,
        bars: args.bars,
        ..Config::default()
    };
    let running = Simulator::start(config, Arc::new(clock::now)).map_err(|error| {
        let hint =
            matches!(error, Error::Bind { .. }).then(|| "--port 0 uses a free port".to_owned());
        CliError::of(ExitStatus::Failed, &error).maybe_hint(hint)
    })?;
    // Not before: `--bars` may be a pipe, and then Ctrl-C still ends the wait for its writer.
    let stop = context.stop();
    writeln!(out, "{}", running.url())?;
    out.flush()?;
    // Ctrl-C is the normal end: code 0.
    tokio::runtime::Builder::new_current_thread()
        .build()?
        .block_on(stop.wait());
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::FaultKind;

    #[test]
    fn the_help_names_every_fault() {
        let words: Vec<&str> = AFTER_HELP
            .split(|c: char| !c.is_alphanumeric() && c != '-')
            .collect();
        for kind in FaultKind::names() {
            assert!(words.contains(&kind), "{kind}");
        }
    }
}

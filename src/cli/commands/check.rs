//! `check`: what works here, what does not, and why.

use std::io::Write;
use std::time::{Duration, Instant};

use chrono::Days;

use crate::calendar::Calendar;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::fetch::ProviderName;
use crate::cli::fetch::source::{self, Opened};
use crate::model::{Basis, DateRange, Hours, Interval, Ticker};
use crate::provider::{self, Provider, Query};
use crate::report::ExitStatus;
use crate::secret::SecretUrl;
use crate::sync::Address;

/// The symbol that the provider is asked for: every plan that has intraday bars at all has it.
const TICKER: &str = "AAPL";

/// Check the store, the provider's key (by one request) and the database. Example: backfill check
#[derive(clap::Args)]
pub struct Args {
    /// Who is asked. Example: --provider demo
    #[arg(
        long,
        value_name = "NAME",
        default_value = "fmp",
        help_heading = "Provider"
    )]
    provider: ProviderName,

    /// Base URL of the provider [env: FMP_BASE_URL] [default: the provider's own]. Example: --provider-url http://127.0.0.1:8080/stable
    #[arg(long, value_name = "URL", help_heading = "Provider")]
    provider_url: Option<SecretUrl>,

    /// Bar length in minutes that the plan should allow: 1, 5, 15, 30 or 60. Example: --interval 5
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Provider")]
    interval: Interval,

    /// Database to try [env: DATABASE_URL, PG*] [default: none]. Example: --database-url postgresql://me@db/bars
    #[arg(long, value_name = "URL", help_heading = "Output")]
    database_url: Option<SecretUrl>,
}

/// How long the database may take to answer one query.
const DATABASE_MAX: Duration = Duration::from_secs(10);

/// Looks at one thing.
type Check = fn(&Context, &Args) -> Result<Finding, CliError>;

/// What was found: a line, and whether it is as it should be.
struct Finding {
    what: &'static str,
    word: &'static str,
    detail: String,
    hint: Option<String>,
}

impl Finding {
    fn good(what: &'static str, word: &'static str, detail: String) -> Self {
        Self {
            what,
            word,
            detail,
            hint: None,
        }
    }

    fn bad(what: &'static str, error: CliError) -> Self {
        for cause in &error.causes {
            tracing::debug!("caused by: {cause}");
        }
        Self {
            what,
            word: "failed",
            detail: error.message,
            hint: error.hint,
        }
    }
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let checks: [Check; 3] = [store, provider, database];
    let names = ["store", "provider", "database"];
    let mut all_good = true;
    for (check, what) in checks.into_iter().zip(names) {
        let finding = check(context, &args).unwrap_or_else(|error| Finding::bad(what, error));
        writeln!(
            out,
            "{:<9} {:<7} {}",
            finding.what, finding.word, finding.detail
        )?;
        if let Some(hint) = &finding.hint {
            writeln!(out, "{:<17} hint: {hint}", "")?;
        }
        out.flush()?;
        all_good &= finding.word != "failed";
    }
    Ok(if all_good {
        Outcome::Done
    } else {
        Outcome::Ended(ExitStatus::Failed)
    })
}

fn store(context: &Context, args: &Args) -> Result<Finding, CliError> {
    let dir = context.store_dir(args.provider == ProviderName::Demo);
    let Some(reader) = context.open_reader_if_any(&dir)? else {
        let detail = format!(
            "{} doesn't exist yet; the first run creates it",
            dir.display()
        );
        return Ok(Finding::good("store", "none", detail));
    };
    let series = reader.series()?;
    let rows: u64 = series.iter().map(|series| series.rows).sum();
    let beside = match reader.is_lake_only() {
        Some(_) => "; another process is writing, so what it has not sealed is not counted",
        None => "",
    };
    let detail = format!(
        "{}: {rows} rows in {} series{beside}",
        dir.display(),
        series.len()
    );
    Ok(Finding::good("store", "ok", detail))
}

fn provider(context: &Context, args: &Args) -> Result<Finding, CliError> {
    let failed = |error: &(dyn std::error::Error + 'static), hint: Option<&str>| {
        CliError::of(ExitStatus::Failed, error).maybe_hint(hint.map(str::to_owned))
    };
    let Opened { fmp, simulator, .. } =
        source::open(context, args.provider, args.provider_url.as_ref())?;
    let calendars = context.calendars(&context.store_dir(args.provider == ProviderName::Demo))?;
    let calendar =
        Calendar::for_exchange_with("NASDAQ", &calendars).map_err(|error| failed(&error, None))?;
    let today = calendar.session_date(context.now());
    let recent = DateRange::new(today - Days::new(10), today - Days::new(1))?;
    let sessions = calendar
        .sessions(recent)
        .map_err(|error| failed(&error, None))?;
    let last = sessions
        .last()
        .map_or(recent.last(), |session| session.date);
    let query = Query {
        tickers: vec![Ticker::new(TICKER)?],
        interval: args.interval,
        dates: DateRange::new(last - Days::new(1), last)?,
        tz: calendar.tz(),
        basis: Basis::SplitAdjusted,
        hours: Hours::Regular,
        latest: context.now(),
        page: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error, None))?;
    let start = Instant::now();
    let page = (runtime.block_on(fmp.ask(&query)))
        .and_then(|reply| fmp.read(&query, &reply))
        .map_err(|error| failed(&error, error.hint()))?;
    drop(simulator);
    let bars: usize = page.series.iter().map(|(_, rows)| rows.bars.len()).sum();
    let rejects = || page.series.iter().flat_map(|(_, rows)| &rows.rejects);
    if rejects().count() > bars {
        let rows = bars + rejects().count();
        let error = provider::Error::of_rejects(&query.to_string(), rows, rejects());
        return Err(failed(&error, None));
    }
    Ok(Finding::good(
        "provider",
        "ok",
        format!(
            "{} takes the key: {bars} bars for {query} in {:.2} s",
            fmp.capabilities().source,
            start.elapsed().as_secs_f64()
        ),
    ))
}

fn database(context: &Context, args: &Args) -> Result<Finding, CliError> {
    let url = args
        .database_url
        .clone()
        .or_else(|| context.env("DATABASE_URL").map(SecretUrl::from));
    if url.is_none() && context.env("PGHOST").is_none() && context.env("PGDATABASE").is_none() {
        return Ok(Finding::good(
            "database",
            "none",
            "DATABASE_URL is not set".into(),
        ));
    }
    let address = Address::resolve(url.as_ref(), &|name| context.env(name)).map_err(|error| {
        CliError::of(ExitStatus::Failed, &error).maybe_hint(error.hint().map(str::to_owned))
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("no thread for the database: {error}")))?;
    let version = runtime.block_on(async {
        let client = address
            .connect()
            .await
            .map_err(|error| CliError::of(ExitStatus::Failed, &error))?;
        let version = client.query_typed_one("SHOW server_version", &[]);
        let row = tokio::time::timeout(DATABASE_MAX, version)
            .await
            .map_err(|_| {
                CliError::failed(format!(
                    "{} lets one in, but did not answer a query within {} s",
                    address.label(),
                    DATABASE_MAX.as_secs()
                ))
                .hint("is it a connection pooler without a free connection?")
            })?
            .map_err(|error| CliError::of(ExitStatus::Failed, &error))?;
        Ok::<String, CliError>(row.get(0))
    })?;
    let detail = format!("{} answers: PostgreSQL {version}", address.label());
    Ok(Finding::good("database", "ok", detail))
}

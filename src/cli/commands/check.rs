//! `check`: tries the store, the provider, the database and a table.

use std::io::Write;
use std::time::{Duration, Instant};

use chrono::Days;

use crate::advice::{Advice, Hint};
use crate::calendar::Calendar;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::fetch::{ProviderChoice, feed_help, provider_url_help};
use crate::cli::push_target::{self, TargetArgs};
use crate::model::{Bar, Basis, DateRange, Hours, Interval, Ticker};
use crate::provider::{self, Request, Rows};
use crate::push::{self, Probed};
use crate::report::ExitStatus;
use crate::secret::SecretUrl;
use crate::sync::postgres::Address;

/// Pages of the request at most: enough for two days of minutes.
const PAGES_MAX: usize = 16;

/// Check the store, the provider's key, the database and a table
///
/// Requests two days of one ticker from the provider. Prints what works, what doesn't, and why.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill check
  backfill check --push s3://bucket/bars")]
pub struct Args {
    /// Data provider to try
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

    /// Base URL of the provider
    #[arg(long, value_name = "URL", help_heading = "Provider", long_help = provider_url_help())]
    provider_url: Option<SecretUrl>,

    /// Length in minutes of the bars to request: 1, 5, 15, 30 or 60
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Provider")]
    interval: Interval,

    /// Database to try [env: DATABASE_URL, PG*] [default: none]
    ///
    /// Example: --database-url postgresql://me@db/bars
    #[arg(long, value_name = "URL", help_heading = "Output")]
    database_url: Option<SecretUrl>,

    /// Table to try, as `push` takes it [default: none]
    ///
    /// Reads the table, and checks that `push` can commit to it. The table stays as it is.
    ///
    /// Example: --push s3://bucket/bars
    #[arg(long, value_name = "URL", help_heading = "Output")]
    push: Option<SecretUrl>,

    #[command(flatten)]
    target: TargetArgs,
}

/// How long one query may take.
const DATABASE_MAX: Duration = Duration::from_secs(10);

/// Checks one thing.
type Check = fn(&Context, &Args) -> Result<Finding, CliError>;

/// The result of one check.
struct Finding {
    what: &'static str,
    word: &'static str,
    detail: String,
    hint: Option<Advice>,
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
    let options = &args.target;
    let is_set = options.endpoint_url.is_some() || options.region.is_some() || options.allow_http;
    if is_set && args.push.is_none() {
        let message = "--endpoint-url, --region and --allow-http have no effect without --push";
        return Err(CliError::usage(message).hint("add --push URL"));
    }
    let mut out = context.stdout()?;
    let mut checks: Vec<(Check, &str)> = vec![
        (store, "store"),
        (provider, "provider"),
        (database, "database"),
    ];
    if args.push.is_some() {
        checks.push((table, "table"));
    }
    let mut all_good = true;
    for (check, what) in checks {
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
    let dir = context.store_dir(args.provider.is_demo());
    let Some(reader) = context.open_reader_if_any(&dir)? else {
        let detail = format!(
            "{} doesn't exist yet; the first run creates it",
            dir.display()
        );
        return Ok(Finding::good("store", "none", detail));
    };
    let series = reader.series()?;
    let rows: u64 = series.iter().map(|series| series.rows).sum();
    let unsealed = match reader.is_lake_only() {
        Some(_) => "; another process is writing, so rows that are not sealed yet are not counted",
        None => "",
    };
    let detail = format!(
        "{}: {rows} rows in {} series{unsealed}",
        dir.display(),
        series.len()
    );
    Ok(Finding::good("store", "ok", detail))
}

fn provider(context: &Context, args: &Args) -> Result<Finding, CliError> {
    let failed = |error: &(dyn std::error::Error + 'static), hint: Option<Advice>| {
        CliError::of(ExitStatus::Failed, error).maybe_hint(hint)
    };
    let provider = args.provider.with_feed(args.feed.as_deref())?;
    let opened = provider.open(context, args.provider_url.as_ref())?;
    let info = opened.provider.info();
    let calendars = context.calendars(&context.store_dir(args.provider.is_demo()))?;
    let calendar = Calendar::for_exchange_with(info.exchange, &calendars)
        .map_err(|error| failed(&error, None))?;
    let today = calendar.session_date(context.now());
    let recent = DateRange::new(today - Days::new(10), today - Days::new(1))?;
    let sessions = calendar
        .sessions(recent)
        .map_err(|error| failed(&error, None))?;
    let last = sessions
        .last()
        .map_or(recent.last(), |session| session.date);
    let mut request = Request {
        tickers: vec![Ticker::new(info.probe)?],
        interval: args.interval,
        dates: DateRange::new(last - Days::new(1), last)?,
        tz: calendar.tz(),
        basis: info.basis.first().copied().unwrap_or(Basis::Unknown),
        hours: info.hours_to_request(Hours::Regular),
        latest: Bar::latest_open(context.now()),
        page: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error, None))?;
    let start = Instant::now();
    let mut all = Rows::default();
    for _ in 0..PAGES_MAX {
        let page = (runtime.block_on(opened.provider.fetch(&request)))
            .and_then(|reply| opened.provider.parse(&request, &reply))
            .map_err(|error| failed(&error, error.hint()))?;
        for (_, rows) in page.series {
            all.bars.append(rows.bars);
            all.rejects.extend(rows.rejects);
        }
        match page.next {
            Some(next) => request.page = Some(next),
            None => break,
        }
    }
    let (bars, rejects) = (all.bars.len(), all.rejects.len());
    if rejects > bars {
        let error =
            provider::Error::of_rejects(&request.to_string(), bars + rejects, all.rejects.iter());
        return Err(failed(&error, None));
    }
    let accepts = match args.provider.needs_key() {
        true => "accepts the key",
        false => "responds",
    };
    Ok(Finding::good(
        "provider",
        "ok",
        format!(
            "{} {accepts}: {bars} bars for {request} in {:.2} s",
            info.source,
            start.elapsed().as_secs_f64()
        ),
    ))
}

/// The target of pushes, if one is given.
fn table(context: &Context, args: &Args) -> Result<Finding, CliError> {
    let Some(url) = &args.push else {
        return Ok(Finding::good("table", "none", "--push is not set".into()));
    };
    let target = push_target::resolve(context, url, &args.target)?;
    let address = &target.address;
    let found = target.open(false)?.map(|storage| push::probe(&storage));
    Ok(match found.transpose().map_err(push_target::error)? {
        None | Some(Probed::Empty) => {
            let detail = format!("{address} has no table yet; the first push makes it");
            Finding::good("table", "none", detail)
        }
        Some(Probed::Table {
            version,
            files,
            is_tried,
        }) => {
            let works = match is_tried {
                true => "takes commits",
                false => "can be read; the first push tries a commit",
            };
            let detail = format!("{address} {works}: version {version}, {files} files");
            Finding::good("table", "ok", detail)
        }
    })
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
    let address = Address::resolve(url.as_ref(), &|name| context.env(name))
        .map_err(|error| CliError::of(ExitStatus::Failed, &error).maybe_hint(error.hint()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            CliError::failed(format!(
                "the thread for the database could not be started: {error}"
            ))
        })?;
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
                    "{} accepted the connection, but a query took longer than {} s",
                    address.label(),
                    DATABASE_MAX.as_secs()
                ))
                .hint("it may be a connection pooler without a free connection")
            })?
            .map_err(|error| CliError::of(ExitStatus::Failed, &error))?;
        Ok::<String, CliError>(row.get(0))
    })?;
    let detail = format!("{} runs PostgreSQL {version}", address.label());
    Ok(Finding::good("database", "ok", detail))
}

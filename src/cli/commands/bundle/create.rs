//! `bundle create`: what is staged, or what came since another bundle, as one file.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::bundle::{self, Created, Error, Filter};
use crate::cli::args::RangeArgs;
use crate::cli::commands::export::keep_out_of;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::log::LINE;
use crate::export::Draft;
use crate::model::{Interval, Ticker};
use crate::store::{self, OpenOptions, Store};

/// Write what is staged as one tar file, hot bars sealed first. Example: backfill bundle create bars.tar
///
/// The same store gives the same bytes. The manifest's hash is printed at the end, in groups of four: whoever has it can
/// tell that the file arrived as it was written.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill bundle create bars.tar
  backfill bundle create apple.tar --tickers AAPL --interval 1 --start 2025-01-01
  backfill bundle create tuesday.tar --since monday.tar
  backfill bundle create - | ssh gate 'cat > bars.tar'")]
pub struct Args {
    /// The file, or - for standard output. Example: bars.tar
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Only what came after another bundle of this store, by its commits; the same tickers, interval and dates as there.
    /// Bars that were dropped meanwhile stay on the other side. Example: --since monday.tar
    #[arg(long, value_name = "BUNDLE", help_heading = "Range")]
    since: Option<PathBuf>,

    /// Tickers, with commas between them [default: all]. Example: --tickers AAPL,MSFT
    #[arg(
        long,
        value_name = "TICKERS",
        value_delimiter = ',',
        num_args = 1,
        help_heading = "Range"
    )]
    tickers: Vec<String>,

    /// Only bars of N minutes. Example: --interval 1
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    range: RangeArgs,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let file = args.file.as_path();
    let tickers = tickers(&args.tickers)?;
    let (start, end) = args.range.resolve()?;
    let filter = Filter::new(&tickers, args.interval, start, end);
    let dir = context.store_dir(false);
    keep_out_of(&dir, file)?;
    let mut stdout = context.stdout()?;
    let base = match &args.since {
        Some(since) => {
            let base = super::open(since)?;
            Some((base.manifest().clone(), base.hash().to_owned()))
        }
        None => None,
    };
    if !dir.join("staging.duckdb").exists() && !dir.join("lake").exists() {
        return Err(store::Error::Missing { dir }.into());
    }
    let options = OpenOptions {
        memory_limit_mib: super::STORE_MEMORY_MIB,
        ..context.store_options(&dir)?
    };
    let store = Store::open(&dir, &options)?;
    for notice in store.notices() {
        tracing::warn!("{notice}");
    }
    let staged = store.reader()?.series()?;
    for ticker in &tickers {
        if !staged.iter().any(|row| row.key.ticker == *ticker) {
            tracing::warn!("no bars of {ticker} are staged");
        }
    }

    let observer = context.observer();
    let stop = context.stop();
    let base = base
        .as_ref()
        .map(|(manifest, hash)| (&**manifest, hash.as_str()));
    let write = |out: &mut dyn Write| {
        bundle::create(
            &store,
            &filter,
            base,
            &options.calendars,
            out,
            &observer,
            &stop,
        )
    };
    let created = into(file, &mut stdout, write)?;
    drop(observer);
    context.describe(|info| super::describe(info, file, &created.manifest, &created.hash));
    let told = super::told("bundled", &created.manifest, &created.hash);
    if file == Path::new("-") {
        for line in told.lines() {
            tracing::info!(target: LINE, "{line}");
        }
    } else {
        writeln!(stdout, "{told}")?;
    }
    stdout.flush()?;
    Ok(Outcome::Done)
}

/// Writes to standard output, to what is no regular file as it stands, or beside FILE and renamed when all is there.
fn into(
    file: &Path,
    stdout: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> Result<Created, Error>,
) -> Result<Created, CliError> {
    let failed = |error| super::failure(file, error);
    if file == Path::new("-") {
        return write(stdout).map_err(failed);
    }
    if std::fs::metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
        let mut out = std::fs::OpenOptions::new()
            .write(true)
            .open(file)
            .map_err(|error| failed(Error::Write(error)))?;
        return write(&mut out).map_err(failed);
    }
    let draft = Draft::create(file)?;
    let created = {
        let mut out = draft.out()?;
        write(&mut out).map_err(failed)?
    };
    crate::crash_point!("bundle.create.before-rename");
    draft.publish()?;
    crate::crash_point!("bundle.create.after-rename");
    Ok(created)
}

fn tickers(typed: &[String]) -> Result<Vec<Ticker>, CliError> {
    let mut tickers = Vec::new();
    for typed in typed.iter().flat_map(|typed| typed.split_whitespace()) {
        tickers.push(typed.parse()?);
    }
    if tickers.is_empty() && !typed.is_empty() {
        return Err(CliError::usage("--tickers names no ticker"));
    }
    Ok(tickers)
}

//! `bundle create`: writes stored bars, or those since another bundle, into one file.

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::shared;
use crate::bundle::{self, Archive, Created, Error, Filter};
use crate::cli::args::{OutputArg, RangeArgs};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::log::LINE;
use crate::cli::ticker_args::TypedTickers;
use crate::export::{AtomicFile, OutputFile};
use crate::model::Interval;
use crate::store::OpenOptions;

/// Write the stored bars into one tar file
///
/// Hot bars are sealed first. The same store always gives the same bytes. At the end the manifest's
/// hash is printed: compare it with the hash that `bundle verify` prints on the other side.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill bundle create bars.tar
  backfill bundle create apple.tar --tickers AAPL --interval 1 --start 2025-01-01
  backfill bundle create tuesday.tar --since monday.tar
  backfill bundle create - | ssh gate 'cat > bars.tar'")]
pub struct Args {
    /// File to write, or - for standard output
    #[arg(value_name = "FILE")]
    file: OutputArg,

    /// Include only bars committed after another bundle of this store
    ///
    /// Tickers, interval and dates are those of that bundle. Applying a bundle removes nothing: if you
    /// dropped bars since then, run `drop` on the other store too.
    ///
    /// Example: --since monday.tar
    #[arg(long, value_name = "BUNDLE", help_heading = "Range")]
    since: Option<PathBuf>,

    /// Tickers, separated by commas [default: all]
    ///
    /// Example: --tickers AAPL,MSFT
    #[arg(long, value_name = "TICKERS", num_args = 1, help_heading = "Range")]
    tickers: Vec<String>,

    /// Include only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    range: RangeArgs,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let file = args.file.0.as_path();
    let tickers = TypedTickers::new(&args.tickers)?;
    let (start, end) = args.range.resolve()?;
    let dir = context.store_dir(false);
    let output = match args.file.is_stdout() {
        true => None,
        false => Some(context.output_file(&args.file)?),
    };
    let mut stdout = context.stdout()?;
    let base = match &args.since {
        Some(since) => {
            let base = shared::open(since)?;
            if replaces_base(&base, output.as_ref()) {
                return Err(shared::failure(file, Error::ReplacesBase));
            }
            Some((base.manifest().clone(), base.hash().to_owned()))
        }
        None => None,
    };
    let options = OpenOptions {
        memory_limit_mib: shared::STORE_MEMORY_MIB,
        ..context.store_options(&dir)?
    };
    let store = context.open_sealed(&dir, &options)?;
    let staged = store.reader()?.series()?;
    let tickers = tickers.among(|| Ok(staged.clone()))?;
    let filter = Filter::new(&tickers, args.interval, start, end);
    for ticker in &tickers {
        if !staged.iter().any(|row| row.key.ticker == *ticker) {
            tracing::warn!("no bars of {ticker} are stored");
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
    let created = into(file, output.as_ref(), &mut stdout, write)?;
    drop(observer);
    context.describe(|info| shared::describe(info, file, &created.manifest, &created.hash));
    let lines = shared::result_lines("bundled", &created.manifest, &created.hash);
    if output.as_ref().is_none_or(OutputFile::is_stdout) {
        for line in lines.lines() {
            tracing::info!(target: LINE, "{line}");
        }
    } else {
        writeln!(stdout, "{lines}")?;
    }
    stdout.flush()?;
    Ok(Outcome::Done)
}

/// Whether FILE is the bundle that `base` was made with `--since` of.
fn replaces_base<R: Read + Seek>(base: &Archive<R>, output: Option<&OutputFile>) -> bool {
    let existing = output
        .filter(|output| output.special().is_none())
        .and_then(|output| File::open(output.real()).ok())
        .and_then(|file| Archive::open(BufReader::new(file)).ok());
    existing.is_some_and(|existing| base.builds_on(&existing))
}

/// Writes to standard output, or to FILE.
fn into(
    file: &Path,
    output: Option<&OutputFile>,
    stdout: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> Result<Created, Error>,
) -> Result<Created, CliError> {
    let failed = |error| shared::failure(file, error);
    let Some(output) = output else {
        return write(stdout).map_err(failed);
    };
    let draft = AtomicFile::create(output)?;
    let created = write(&mut draft.out()?).map_err(failed)?;
    crate::crash_point!("bundle.create.before-rename");
    draft.publish()?;
    crate::crash_point!("bundle.create.after-rename");
    Ok(created)
}

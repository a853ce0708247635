//! `serve`: the page over the live store.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::cli::clock;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::report::ExitStatus;
use crate::serve::{Config, Error, ServedStore, Server, Token};

/// Serve a page that shows what is stored, until Ctrl-C
///
/// The page shows coverage, charts, gaps, conflicts, runs and targets, the findings of
/// `backfill audit`, and a run in progress in another process. The first line of standard output is
/// its URL. The URL can be opened once, in one browser. The server listens on this machine only,
/// unless --listen is given. No request changes the store.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:
  backfill serve --open
  backfill serve --port 0 --store data/demo
  backfill serve --compare data/other
  backfill serve --listen 10.0.0.5 --token-file token.txt",
    next_help_heading = "Server"
)]
pub struct Args {
    /// Port to listen on; 0 for a free one
    #[arg(long, value_name = "N", default_value_t = 8787)]
    port: u16,

    /// Open the page in the default browser
    #[arg(long)]
    open: bool,

    /// Address to listen on instead of 127.0.0.1 and ::1
    ///
    /// Bars, runs and targets can then be read by everyone who has the token and reaches the
    /// address: the connection isn't encrypted.
    ///
    /// Example: --listen 10.0.0.5
    #[arg(long, value_name = "ADDR", requires = "token_file")]
    listen: Option<IpAddr>,

    /// File with the token of the URL: at least 16 letters, digits, '-' or '_'
    ///
    /// The URL with this token can be opened any number of times.
    #[arg(long, value_name = "FILE", requires = "listen")]
    token_file: Option<PathBuf>,

    /// Folder of a second store: shows what both have in common, and its bars in charts
    ///
    /// Its bars are compared, as `backfill compare` does, when that view is first opened.
    ///
    /// Example: --compare data/other
    #[arg(long, value_name = "DIR", help_heading = "Comparison")]
    compare: Option<PathBuf>,

    /// Host name under which browsers reach the server; can be repeated
    ///
    /// Requests with another name are refused, so that a page of another site can't read the store.
    ///
    /// Example: --allow-host quant.example.com
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let dir = context.store_dir(false);
    let listen = match (args.listen, &args.token_file) {
        (Some(address), Some(file)) => Some((address, token(file)?)),
        _ => None,
    };
    // A store that can't be read is refused now, with a hint.
    drop(context.open_detached_reader(&dir)?);
    if let Some(second) = &args.compare {
        drop(context.open_second_reader(second)?);
    }
    let served = |dir: PathBuf| -> Result<ServedStore, CliError> {
        Ok(ServedStore {
            calendars: context.calendars(&dir)?,
            options: context.store_options(&dir)?,
            dir,
        })
    };
    let server = Server::start(Config {
        store: served(dir)?,
        compared: args.compare.map(served).transpose()?,
        port: args.port,
        listen,
        allow_hosts: args.allow_host,
        clock: clock::now,
    })
    .map_err(failed)?;
    let stop = context.stop();
    let url = server.url();
    writeln!(out, "{url}")?;
    out.flush()?;
    if args.open
        && let Err(error) = open::that_detached(&url)
    {
        tracing::warn!("no browser could be opened: {error}");
    }
    // Ctrl-C is the normal end: code 0.
    server.run(&stop);
    Ok(Outcome::Done)
}

fn token(file: &Path) -> Result<Token, CliError> {
    let text = fs::read_to_string(file)
        .map_err(|error| CliError::usage(format!("--token-file: {}: {error}", file.display())))?;
    Token::new(text.trim())
        .map_err(|error| CliError::usage(format!("--token-file: {}: {error}", file.display())))
}

fn failed(error: Error) -> CliError {
    match error {
        Error::Store(error) => error.into(),
        error => {
            let hint =
                matches!(error, Error::Bind { .. }).then(|| "--port 0 uses a free port".to_owned());
            CliError::of(ExitStatus::Failed, &error).maybe_hint(hint)
        }
    }
}

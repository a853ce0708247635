//! `bundle apply`: commits the bars of a bundle to the store.

use std::path::PathBuf;

use super::shared;
use crate::bundle;
use crate::cli::args::WaitArg;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::log::LINE;
use crate::cli::seal_after::SealArgs;
use crate::model::OnConflict;
use crate::report::{Fatal, RunKind, RunReport};
use crate::store::{OpenOptions, is_there};

/// Verify a bundle and store its bars, each with its source
///
/// If it was interrupted, run it again. Bars that are stored with the same values are skipped and
/// counted, under --on-conflict fail too. A bundle made with --since needs the one before it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill bundle apply monday.tar
  backfill bundle apply tuesday.tar --on-conflict update")]
pub struct Args {
    /// The bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// What to do with bars that are stored with other values: fail, ignore or update
    #[arg(
        long,
        value_name = "MODE",
        default_value = "fail",
        help_heading = "Conflicts"
    )]
    on_conflict: OnConflict,

    /// Apply the bundle although a newer one of the same store was applied
    ///
    /// With --on-conflict update: its values replace newer ones where both bundles have a bar.
    #[arg(long, help_heading = "Conflicts")]
    allow_older: bool,

    #[command(flatten)]
    seal: SealArgs,

    #[command(flatten)]
    wait: WaitArg,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let file = args.file.as_path();
    let dir = context.store_dir(false);
    context.describe(|info| {
        info.kind = RunKind::Files;
        info.on_conflict = Some(args.on_conflict);
    });
    let failed = |error| shared::failure(file, error);
    let archive = shared::open(file)?;
    let stop = context.stop();
    let observer = context.observer();
    let verified = bundle::verify(archive, &observer, &stop).map_err(failed)?;
    drop(observer);
    context.describe(|info| shared::describe(info, file, verified.manifest(), verified.hash()));
    for line in shared::result_lines("verified", verified.manifest(), verified.hash()).lines() {
        tracing::info!(target: LINE, "{line}");
    }

    let options = OpenOptions {
        memory_limit_mib: shared::STORE_MEMORY_MIB,
        ..context.store_options(&dir)?
    };
    // Before anything is written, even the store's folder.
    if !is_there(&dir)? {
        bundle::check_base(None, verified.manifest()).map_err(failed)?;
    } else if verified.manifest().base.is_some() {
        let reader = context.open_reader_with(&dir, &options)?;
        bundle::check_base(Some(&reader), verified.manifest()).map_err(failed)?;
    }
    let store = context.open_store(&dir, &options, args.wait.duration())?;
    if args.on_conflict == OnConflict::Update && !args.allow_older {
        bundle::check_order(&store.reader()?, verified.manifest()).map_err(failed)?;
    }
    let run = store.begin_run("bundle apply", context.started_at())?;
    let name = file.display().to_string();
    let observer = context.run_observer(&store, &run, None);
    let result = bundle::apply(
        &store,
        &run,
        verified,
        &name,
        args.on_conflict,
        context.started_at(),
        &observer,
        &stop,
    );
    drop(observer);
    let report = result.map_err(failed).unwrap_or_else(|error| RunReport {
        fatal: Some(Fatal::from(&error)),
        ..RunReport::default()
    });
    args.seal.seal(context, &store);
    let summary = context.summary_json(&report);
    store.finish_run(&run, context.now(), report.status().as_str(), &summary)?;
    Ok(Outcome::Run(Box::new(report)))
}

//! `verify`: checks every value of the store; `--repair` restores what it can.

use std::io::Write;

use crate::cli::args::WaitArg;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::report::ExitStatus;
use crate::store;

/// Check the whole store
///
/// Checks every hash, row count, order and key, and compares the catalog with the lake. Any
/// difference ends with code 1.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill verify
  backfill verify --repair")]
pub struct Args {
    /// Repair the store, and list what is lost
    ///
    /// Rebuilds the catalog from the lake, moves partitions that fail their hash to quarantine/,
    /// and gives the store a new id. Nothing is deleted.
    #[arg(long)]
    repair: bool,

    #[command(flatten)]
    wait: WaitArg,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let dir = context.store_dir(false);
    let options = context.store_options(&context.store_dir(false))?;
    if args.wait.is_given() && !args.repair {
        return Err(CliError::usage("--wait has no effect without --repair").hint("add --repair"));
    }
    if args.repair {
        let repaired = context.repair_store(&dir, &options, args.wait.duration())?;
        for line in &repaired.lost {
            writeln!(out, "lost: {line}")?;
        }
        for path in &repaired.quarantined {
            writeln!(out, "quarantined: {}", path.display())?;
        }
        writeln!(
            out,
            "repaired: store={} partitions={} rows={} lost={}",
            repaired.store_id,
            repaired.partitions,
            repaired.rows,
            repaired.lost.len()
        )?;
    }
    let verified = store::verify(&dir, &options)?;
    for damage in &verified.damage {
        writeln!(out, "damage: {damage}")?;
    }
    writeln!(
        out,
        "verified: partitions={} rows={} hot={} differences={}",
        verified.partitions,
        verified.rows,
        verified.hot_rows,
        verified.damage.len()
    )?;
    out.flush()?;
    match verified.damage.len() {
        0 => Ok(Outcome::Done),
        count => Err(CliError::new(
            ExitStatus::Failed,
            format!(
                "the store in {} differs from its catalog in {count} places",
                dir.display()
            ),
        )
        .hint("verify --repair restores what it can and lists what is lost")),
    }
}

//! `verify`: is what the store says it has there, value by value; and `--repair`, which makes it so again.

use std::io::Write;

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::report::ExitStatus;
use crate::store;

/// Check every hash, count and order, and the catalog against the lake; 1 on any difference. Example: backfill verify
///
/// --repair rebuilds the catalog from the lake, moves what fails its hash to quarantine/, gives the store a new id and
/// lists what is lost. Nothing is deleted.
#[derive(clap::Args)]
pub struct Args {
    /// Mend what can be mended, and list what is lost. Example: backfill verify --repair
    #[arg(long)]
    repair: bool,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let dir = context.store_dir(false);
    let options = context.store_options(&context.store_dir(false))?;
    if args.repair {
        let repaired = store::repair(&dir, &options)?;
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
        .hint("verify --repair mends what can be mended and lists what is lost")),
    }
}

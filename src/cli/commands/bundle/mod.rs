//! `bundle`: moves bars to another store in one file that can be verified.

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;

mod apply;
mod create;
mod shared;
mod verify;

/// Move bars to another machine without a network, in one verified file
///
/// `create` writes the sealed partitions and a manifest, and prints the manifest's hash. On the
/// other side `verify` checks each byte and prints the hash that it found, and `apply` stores the
/// bars. If both hashes are equal (compare them over the phone), the file arrived unchanged.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill bundle create monday.tar
  backfill bundle create tuesday.tar --since monday.tar
  backfill bundle verify tuesday.tar
  backfill bundle apply tuesday.tar --store /data/bars --on-conflict update")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Create(create::Args),
    Verify(verify::Args),
    Apply(apply::Args),
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let named = |name: &str| context.describe(|info| info.command = format!("bundle {name}"));
    match args.action {
        Action::Create(args) => {
            named("create");
            create::run(context, args)
        }
        Action::Verify(args) => {
            named("verify");
            verify::run(context, args)
        }
        Action::Apply(args) => {
            named("apply");
            apply::run(context, args)
        }
    }
}

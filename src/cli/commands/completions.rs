//! `completions`: a shell's script that completes command lines.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill completions bash > /etc/bash_completion.d/backfill")]
pub struct Args {
    /// Shell to complete for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::cli::Args::command(),
        "backfill",
        &mut script,
    );
    out.write_all(&script)?;
    out.flush()?;
    Ok(Outcome::Done)
}

//! `man`: the manual page.

use std::io::Write;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;

/// Print the manual page. Example: backfill man > backfill.1
#[derive(clap::Args)]
pub struct Args {}

pub fn run(context: &Context, _: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let mut page = Vec::new();
    Man::new(crate::cli::Args::command()).render(&mut page)?;
    out.write_all(&page)?;
    out.flush()?;
    Ok(Outcome::Done)
}

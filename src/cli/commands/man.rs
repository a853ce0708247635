//! `man`: the manual page, with all commands on one page.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::provider::registry;
use crate::report::ExitStatus;

/// Print the manual page
///
/// Example: backfill man | man -l -
#[derive(clap::Args)]
pub struct Args {}

pub fn run(context: &Context, _: Args) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    out.write_all(one_preamble(&page(crate::cli::Args::command())?).as_bytes())?;
    out.flush()?;
    Ok(Outcome::Done)
}

/// Variables of the environment that the program reads.
fn environment() -> Vec<(String, String)> {
    let providers = registry::PROVIDERS.iter().filter(|entry| !entry.hidden);
    let of_providers = providers.flat_map(|entry| {
        let keys = entry.keys.iter().map(|names| {
            let meaning = format!("Key of the provider {}. Never printed.", entry.name);
            (names.join(", "), meaning)
        });
        let url = entry.base_url_env.map(|name| {
            let meaning = format!(
                "Base URL of the provider {}, as --provider-url.",
                entry.name
            );
            (name.to_owned(), meaning)
        });
        keys.chain(url)
    });
    let fixed = |(name, meaning): (&str, &str)| (name.to_owned(), meaning.to_owned());
    let mut all = vec![fixed((
        "BACKFILL_STORE",
        "Folder of the store, as --store.",
    ))];
    all.extend(of_providers);
    all.extend([
        (
            "DATABASE_URL",
            "Database that sync writes to, as --database-url; else PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and PGSSLMODE.",
        ),
        (
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
            "Keys of the bucket that push writes to; else those of the profile AWS_PROFILE. Never printed.",
        ),
        (
            "AWS_REGION, AWS_ENDPOINT_URL",
            "Region and server of the bucket, as --region and --endpoint-url of push.",
        ),
        ("HTTPS_PROXY, NO_PROXY", "A proxy for requests to the provider."),
    ].map(fixed));
    all
}

const FILES: [(&str, &str); 4] = [
    (
        ".env",
        "In the working folder: one NAME=value per line. The environment wins.",
    ),
    (
        "tickers.json",
        "In the working folder or next to the program: the tickers if none are given.",
    ),
    ("data/staging", "The store if none is given."),
    (
        "data/demo",
        "The store of --provider demo if none is given.",
    ),
];

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let commands: Vec<Command> = command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
        .cloned()
        .collect();
    let man = Man::new(command).title("BACKFILL").manual("backfill");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    writeln!(
        page,
        ".SH SYNOPSIS\n\\fBbackfill\\fR [\\fIglobal options\\fR] \\fIcommand\\fR [\\fIoptions\\fR]"
    )?;
    writeln!(page, ".SH DESCRIPTION")?;
    text(
        &mut page,
        "Downloads market bars from a provider or reads them from CSV files, keeps them in a local store of Parquet files, and \
         writes them to files, SQL results or Postgres. Settings come from options, then \
         the environment, then .env in the working folder. Data goes to standard output, everything else to standard error.",
    )?;
    options(&mut page, &man, "SH")?;
    writeln!(page, ".SH COMMANDS")?;
    for sub in commands {
        let name = format!("backfill {}", sub.get_name());
        let about = sub.get_long_about().or(sub.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        writeln!(page, ".SS {name}")?;
        text(&mut page, &about)?;
        let nested: Vec<Command> = sub.get_subcommands().cloned().collect();
        options(&mut page, &Man::new(sub.disable_help_flag(true)), "PP")?;
        for inner in nested
            .into_iter()
            .filter(|inner| inner.get_name() != "help")
        {
            let about = inner.get_about().map(ToString::to_string);
            writeln!(page, ".SS {name} {}", inner.get_name())?;
            text(&mut page, &about.unwrap_or_default())?;
            options(&mut page, &Man::new(inner.disable_help_flag(true)), "PP")?;
        }
    }
    writeln!(page, ".SH EXIT STATUS")?;
    for status in ExitStatus::ALL {
        entry(&mut page, &status.code().to_string(), status.meaning())?;
    }
    writeln!(page, ".SH ENVIRONMENT")?;
    for (name, meaning) in environment() {
        entry(&mut page, &name, &meaning)?;
    }
    writeln!(page, ".SH FILES")?;
    for (name, meaning) in FILES {
        entry(&mut page, name, meaning)?;
    }
    Ok(page)
}

/// The page with the preamble of its parts once, at the beginning.
fn one_preamble(page: &[u8]) -> String {
    let is_preamble = |line: &&str| line.starts_with(".ie ") || line.starts_with(".el ");
    let text = String::from_utf8_lossy(page);
    let preamble = text.lines().take_while(is_preamble);
    let rest = text.lines().filter(|line| !is_preamble(line));
    preamble
        .chain(rest)
        .fold(String::new(), |page, line| page + line + "\n")
}

/// The options of a command; their groups become headings of kind `heading`.
fn options(page: &mut Vec<u8>, man: &Man, heading: &str) -> io::Result<()> {
    let mut section = Vec::new();
    man.render_options_section(&mut section)?;
    for line in String::from_utf8_lossy(&section).lines() {
        match line.strip_prefix(".SH ") {
            Some(name) if heading == "PP" => {
                writeln!(page, ".PP\n\\fB{}\\fR", name.trim_matches('"'))?;
            }
            _ => writeln!(page, "{line}")?,
        }
    }
    Ok(())
}

fn entry(page: &mut Vec<u8>, name: &str, meaning: &str) -> io::Result<()> {
    writeln!(page, ".TP\n\\fB{}\\fR", escaped(name))?;
    text(page, meaning)
}

fn text(page: &mut Vec<u8>, text: &str) -> io::Result<()> {
    for line in text.lines() {
        writeln!(page, "{}", escaped(line))?;
    }
    Ok(())
}

/// Text that roff prints as it is: no line begins with a control character.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}

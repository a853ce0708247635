//! The documents' commands: each one in a `console` block is run, and output shown below it must be
//! printed.

use std::path::{Path, PathBuf};
use std::process::Command;

use backfill::simulator::Config;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::fetch::Bench;
use crate::support::{Database, redact};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap()
}

/// The lines of each fenced block, with the word after the opening fence.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                found.push((language.to_owned(), Vec::new()));
            }
        } else if is_open && let Some((_, lines)) = found.last_mut() {
            lines.push(line.to_owned());
        }
    }
    found
}

/// Runs the commands of a document in order, in one working folder with the sample files. The
/// providers are simulators, the database is empty, and the date is soon after theirs.
fn run_commands(document: &str, prepare: &str) -> Bench {
    let bench = Bench::new();
    let alpaca = Bench::with(Config {
        provider: "alpaca".parse().unwrap(),
        ..Config::default()
    });
    let binance = Bench::with(Config {
        provider: "binance".parse().unwrap(),
        ..Config::default()
    });
    let massive = Bench::with(Config {
        provider: "massive".parse().unwrap(),
        ..Config::default()
    });
    let database = Database::new();
    for file in std::fs::read_dir(root().join("data/sample")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        bench.env.write(
            &format!("data/sample/{name}"),
            std::fs::read(&path).unwrap(),
        );
    }
    let run = |line: &str| -> String {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_backfill"));
        let path = std::env::var("PATH").unwrap();
        let result = Command::new("sh")
            .args(["-c", line])
            .env_clear()
            .env(
                "PATH",
                format!("{}:{path}", program.parent().unwrap().display()),
            )
            .env("HOME", bench.env.dir())
            .env("FMP_API_KEY", "key")
            .env("FMP_BASE_URL", bench.simulator.url())
            .env("MASSIVE_API_KEY", "key")
            .env("MASSIVE_BASE_URL", massive.simulator.url())
            .env("APCA_API_KEY_ID", "id")
            .env("APCA_API_SECRET_KEY", "secret")
            .env("ALPACA_BASE_URL", alpaca.simulator.url())
            .env("BINANCE_BASE_URL", binance.simulator.url())
            .env("DATABASE_URL", database.url())
            .env("BACKFILL_NOW", "2025-02-03T22:00:00Z")
            .current_dir(bench.env.dir())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let printed = text(&result.stdout) + &text(&result.stderr);
        assert!(
            result.status.success(),
            "{document}: $ {line}\n{}\n{printed}",
            result.status
        );
        redact(&printed)
    };
    if !prepare.is_empty() {
        run(prepare);
    }
    let makefile = read("Makefile");
    for (language, lines) in blocks(&read(document)) {
        if language != "console" {
            let command = lines.iter().find(|line| line.starts_with("backfill "));
            assert_eq!(command, None, "{document}: put it into a console block");
            continue;
        }
        let mut printed = String::new();
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            match line.strip_prefix("$ ") {
                Some(line) if line.starts_with("backfill ") => printed = run(line),
                Some(line) if line.starts_with("export ") => {}
                Some(line) => {
                    let target = line
                        .strip_prefix("make ")
                        .and_then(|line| line.split(' ').next());
                    let target = target.unwrap_or_else(|| panic!("{document}: {line}?"));
                    let rule = format!("\n{target}:");
                    assert!(makefile.contains(&rule), "{document}: no target {target}");
                }
                None => assert!(
                    printed.contains(&redact(line)),
                    "{document} shows {line:?}, but this was printed:\n{printed}"
                ),
            }
        }
    }
    bench
}

#[test]
fn the_readme_is_true() {
    let readme = read("README.md");
    let bench = run_commands("README.md", "");
    // The folder and the numbers of rows of the Python lines.
    let (_, lake) = readme.split_once("lake = \"").unwrap();
    let (lake, python) = lake.split_once('"').unwrap();
    let rows = |ticker: &str| -> usize {
        let files = bench.env.files(&format!("{lake}/ticker={ticker}"));
        assert_eq!(files.len(), 1, "{files:?}");
        let file = std::fs::File::open(bench.env.path(&files[0])).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader
            .build()
            .unwrap()
            .map(|batch| batch.unwrap().num_rows())
            .sum()
    };
    let (one, all) = (rows("ACME"), ["ACME", "GLOBEX", "INITECH"].map(rows));
    assert!(python.contains("{lake}/ticker=ACME"), "{python}");
    assert!(python.contains(&format!("# one: {one} rows")), "{one}");
    let all: usize = all.iter().sum();
    assert!(
        python.contains(&format!("# all tickers: {all} rows")),
        "{all}"
    );
}

#[test]
fn the_other_documents_are_true() {
    let staged = "backfill inject-csv --csv-dir data/sample -q";
    for file in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            run_commands(&format!("docs/{name}"), staged);
        }
    }
}

//! The tickers of a run: typed, from a file, or from `tickers.json`.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cli::error::CliError;
use crate::cli::ticker_args::split_tickers;
use crate::model::Ticker;

/// The file that is read if no tickers are given.
const DEFAULT_FILE: &str = "tickers.json";

/// The tickers of `--tickers` or `--tickers-file`, each once, in the order given.
pub(super) fn resolve(typed: &[String], file: Option<&Path>) -> Result<Vec<Ticker>, CliError> {
    if !typed.is_empty() {
        let typed = typed.iter().flat_map(|list| split_tickers(list));
        return unique(typed, "--tickers");
    }
    if let Some(file) = file {
        let text = if file == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(file)
        };
        return read(text, file);
    }
    let next_to_program = std::env::current_exe()
        .ok()
        .and_then(|program| program.parent().map(|folder| folder.join(DEFAULT_FILE)));
    for file in [Some(PathBuf::from(DEFAULT_FILE)), next_to_program]
        .into_iter()
        .flatten()
    {
        match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            text => return read(text, &file),
        }
    }
    Err(CliError::usage("no tickers are given, and tickers.json does not exist").hint(
        "give --tickers AAPL MSFT, or --tickers-file FILE, or put a JSON list into tickers.json in the working folder",
    ))
}

fn read(text: std::io::Result<String>, file: &Path) -> Result<Vec<Ticker>, CliError> {
    let name = if file == Path::new("-") {
        "standard input".into()
    } else {
        file.to_string_lossy()
    };
    let text =
        text.map_err(|error| CliError::usage(format!("{name} could not be read: {error}")))?;
    unique(
        listed(&text).map_err(|why| CliError::usage(format!("{name}: {why}")))?,
        &name,
    )
}

/// The words of a JSON list, or of lines.
fn listed(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with(['[', '{', '"']) {
        return Ok(split_tickers(text).map(str::to_owned).collect());
    }
    let json = |text: &str| serde_json::from_str::<Vec<String>>(text);
    // Python's form is accepted too: ['AAPL', 'MSFT'].
    json(text)
        .or_else(|error| json(&text.replace('\'', "\"")).map_err(|_| error))
        .map_err(|error| format!("it isn't a JSON list of tickers: {error}"))
}

fn unique<W: AsRef<str>>(
    words: impl IntoIterator<Item = W>,
    origin: &str,
) -> Result<Vec<Ticker>, CliError> {
    let mut seen = HashSet::new();
    let mut tickers = Vec::new();
    for word in words {
        let ticker = Ticker::new(word.as_ref())?;
        if seen.insert(ticker.clone()) {
            tickers.push(ticker);
        }
    }
    if tickers.is_empty() {
        return Err(CliError::usage(format!("{origin} has no tickers")));
    }
    Ok(tickers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ExitStatus;

    #[test]
    fn lists_are_read_in_several_forms() {
        let names = |text: &str| {
            let tickers = unique(listed(text).unwrap(), "x").unwrap();
            tickers
                .iter()
                .map(Ticker::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(names(r#"["AAPL", "msft"]"#), "AAPL MSFT");
        assert_eq!(names("['AAPL', 'MSFT', 'AAPL']"), "AAPL MSFT");
        assert_eq!(
            names("\u{feff}AAPL\r\n MSFT \n\nBRK-B, ^GSPC\n"),
            "AAPL MSFT BRK-B ^GSPC"
        );
        for text in ["[1, 2]", "[\"AAPL\"", "{}", "['A', 3]"] {
            assert!(listed(text).is_err(), "{text}");
        }
        assert_eq!(
            unique(listed("[]").unwrap(), "x").unwrap_err().status,
            ExitStatus::Usage
        );
    }
}

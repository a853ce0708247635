//! What the folders of a partitioned table show about the rows in them: `ticker=AAPL/year=2025`.

use std::path::Path;

use percent_encoding::percent_decode_str;

use super::columns::{Role, normalise, role_of};
use super::filename::minutes_of_word;

/// What the folders above a file show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Folders {
    /// Columns that all rows have: name and value.
    pub(super) columns: Vec<(String, String)>,
    /// `1m`
    pub(super) interval: Option<String>,
}

impl Folders {
    pub(super) fn of(file: &Path) -> Self {
        let mut found = Self::default();
        let folders = file.parent().into_iter().flat_map(Path::components);
        for folder in folders {
            let folder = folder.as_os_str().to_string_lossy();
            let Some((name, value)) = folder.split_once('=') else {
                continue;
            };
            let Ok(value) = percent_decode_str(value).decode_utf8() else {
                continue;
            };
            let name = normalise(name);
            if role_of(&name) == Role::Ticker {
                found.columns.retain(|(known, _)| *known != name);
                found.columns.push((name, value.into_owned()));
            } else if name == "interval" && minutes_of_word(&value).is_some() {
                found.interval = Some(value.into_owned());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_partitioned_table() {
        let folders = |path: &str| Folders::of(Path::new(path));
        let found = folders("lake/interval=1m/ticker=BRK%2FB/year=2025/bars.parquet");
        assert_eq!(found.columns, [("ticker".to_owned(), "BRK/B".to_owned())]);
        assert_eq!(found.interval.as_deref(), Some("1m"));
        let found = folders("Symbol=AAPL/date=2025-01-02/interval=x/ticker=A.parquet");
        assert_eq!(found.columns, [("symbol".to_owned(), "AAPL".to_owned())]);
        assert_eq!(found.interval, None);
    }
}

//! The runs of a store, for the page.

use serde_json::Value;

use super::{Error, PageData};
use crate::documents;

/// The most entries of a list in a summary: a run of ten thousand tickers has a list with all of them.
const LISTED_MAX: usize = 50;
/// The number of newest runs whose summaries have lists.
const RUNS_WITH_LISTS: usize = 500;

impl PageData<'_> {
    /// `backfill.runs/1`, with paths of this machine taken out of the summaries. Long lists in summaries
    /// are cut; `left_out` of a run is how many entries that left out.
    pub fn runs(&self) -> Result<Value, Error> {
        let mut document = documents::runs(&self.reader.runs()?);
        let runs = document["runs"].as_array_mut().into_iter().flatten();
        for (age, run) in runs.rev().enumerate() {
            let max = if age < RUNS_WITH_LISTS { LISTED_MAX } else { 0 };
            let left_out = cut_lists(&mut run["summary"], max);
            hide_paths(&mut run["summary"]);
            run["left_out"] = left_out.into();
        }
        Ok(document)
    }
}

/// Cuts every list in a summary to `max` entries, and returns how many entries it left out.
fn cut_lists(value: &mut Value, max: usize) -> usize {
    match value {
        Value::Array(values) => {
            let left_out = values.len().saturating_sub(max);
            values.truncate(max);
            left_out
                + values
                    .iter_mut()
                    .map(|value| cut_lists(value, max))
                    .sum::<usize>()
        }
        Value::Object(fields) => fields.values_mut().map(|value| cut_lists(value, max)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Replaces every absolute path in the texts of a summary by its last part.
fn hide_paths(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.contains('/') || text.contains('\\') {
                *text = without_folders(text);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide_paths),
        Value::Object(fields) => fields.values_mut().for_each(hide_paths),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `cannot open /home/anna/dump/AAPL.csv: no such file` becomes `cannot open AAPL.csv: no such file`.
/// Addresses (`https://…`) stay.
#[must_use]
pub fn without_folders(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let is_address = word.contains("://");
        let quotes: &[char] = &['"', '\'', '`', '(', '['];
        let path = word.trim_start_matches(quotes);
        let lead = &word[..word.len() - path.len()];
        let is_drive = path.as_bytes().get(1..3) == Some(b":\\");
        if !is_address && (path.starts_with('/') || path.starts_with("~/") || is_drive) {
            out.push_str(lead);
            out.push_str(path.rsplit(['/', '\\']).next().unwrap_or(path));
        } else {
            out.push_str(word);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_at_every_level() {
        let list: Vec<usize> = (0..60).collect();
        let mut summary =
            serde_json::json!({"totals": {"rows": 7}, "files": list, "tickers": [{"days": list}]});
        assert_eq!(cut_lists(&mut summary, 50), 20);
        assert_eq!(summary["files"].as_array().unwrap().len(), 50);
        assert_eq!(summary["tickers"][0]["days"][49], 49);
        assert_eq!(cut_lists(&mut summary, 0), 51);
        assert_eq!(
            summary,
            serde_json::json!({"totals": {"rows": 7}, "files": [], "tickers": []})
        );
    }
}

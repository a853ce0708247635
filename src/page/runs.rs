//! The runs of a store, for the page.

use serde_json::Value;

use super::{Error, PageData};
use crate::documents;

impl PageData<'_> {
    /// `backfill.runs/1`, with paths of this machine taken out of the summaries.
    pub fn runs(&self) -> Result<Value, Error> {
        let mut document = documents::runs(&self.reader.runs()?);
        for run in document["runs"].as_array_mut().into_iter().flatten() {
            hide_paths(&mut run["summary"]);
        }
        Ok(document)
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

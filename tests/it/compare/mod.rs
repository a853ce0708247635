//! `compare`: planted differences between two stores are found, and nothing else.

mod planted;
mod vendors;

use serde_json::Value;

use super::support::TestEnv;

/// The rows of a list in the document of `compare`, as an object each.
fn rows<'a>(document: &'a Value, list: &str) -> &'a [Value] {
    assert_eq!(document["schema"], "backfill.compare/1");
    document[list].as_array().unwrap()
}

/// The counts of a row: identical, within, different, only here, only there.
fn counts(row: &Value) -> [u64; 5] {
    [
        "identical",
        "within",
        "different",
        "only_here",
        "only_there",
    ]
    .map(|name| row[name].as_u64().unwrap())
}

/// Factor and shift of a row.
fn findings(row: &Value) -> (Option<f64>, i64) {
    (
        row["close_factor"].as_f64(),
        row["shift_minutes"].as_i64().unwrap(),
    )
}

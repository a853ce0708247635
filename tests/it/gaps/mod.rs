//! `gaps`, `--fill` and what a run does when history was restated, against the simulator over real HTTP.

mod listed;

use serde_json::Value;

use super::fetch::Bench;

/// A gap as `ticker session bars/expected reason`.
fn gaps(json: &Value) -> Vec<String> {
    assert_eq!(json["schema"], "backfill.gaps/1");
    (json["gaps"].as_array().unwrap().iter())
        .map(|gap| {
            format!(
                "{} {} {}/{} {}",
                gap["ticker"].as_str().unwrap(),
                gap["session"].as_str().unwrap(),
                gap["bars"],
                gap["expected"],
                gap["reason"].as_str().unwrap()
            )
        })
        .collect()
}

impl Bench {
    /// What `gaps` lists, with more options.
    fn gaps(&self, options: &str) -> Vec<String> {
        gaps(
            &self
                .run(&format!("gaps --format json {options}"))
                .ok()
                .json(),
        )
    }
}

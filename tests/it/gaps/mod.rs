//! `gaps`, `--fill` and runs over restated history, against the simulator over real HTTP.

mod calendars;
mod filled;
mod killed;
mod listed;
#[cfg(feature = "crash-points")]
mod partial;
mod rejected;
mod restated;
mod truncated;
#[cfg(feature = "crash-points")]
mod vendors;

use serde_json::Value;

use super::fetch::{Bench, same};

fn dates(list: &[&str]) -> Vec<chrono::NaiveDate> {
    list.iter().map(|date| date.parse().unwrap()).collect()
}

/// Minutes of a session, counted from its open at 14:30 UTC.
fn minutes(date: &str, range: std::ops::Range<i64>) -> Vec<chrono::DateTime<chrono::Utc>> {
    let open: chrono::DateTime<chrono::Utc> = format!("{date}T14:30:00Z").parse().unwrap();
    range
        .map(|minute| open + chrono::Duration::minutes(minute))
        .collect()
}

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
    /// The list of `gaps` with these options.
    fn gaps(&self, options: &str) -> Vec<String> {
        gaps(
            &self
                .run(&format!("gaps --format json {options}"))
                .ok()
                .json(),
        )
    }
}

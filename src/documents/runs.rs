//! The runs that wrote into a store.

use serde_json::{Value, json};

use crate::store::RunRow;

/// `backfill.runs/1`: the runs, oldest first.
#[must_use]
pub fn runs(runs: &[RunRow]) -> Value {
    let entries: Vec<Value> = runs
        .iter()
        .map(|run| {
            json!({
                "run": run.run,
                "command": run.command,
                "started_at": run.started_at.to_string(),
                "finished_at": run.finished_at.map(|at| at.to_string()),
                "status": run.status,
                "summary": run_summary(run),
            })
        })
        .collect();
    json!({"schema": "backfill.runs/1", "runs": entries})
}

/// The summary of a run; null if it has none.
#[must_use]
pub fn run_summary(run: &RunRow) -> Value {
    let text = run.summary.as_deref();
    let parsed = text.and_then(|text| serde_json::from_str(text).ok());
    parsed.unwrap_or(Value::Null)
}

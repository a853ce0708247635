//! What a store holds, and the run in progress.

use serde_json::{Value, json};

use crate::model::Timestamp;
use crate::status::Overview;
use crate::store::RunningWriter;

/// `backfill.status/1`: what a store holds, per series.
#[must_use]
pub fn status(overview: &Overview) -> Value {
    let series: Vec<Value> = overview
        .series
        .iter()
        .map(|series| {
            let row = &series.row;
            let unsynced: serde_json::Map<String, Value> = overview
                .targets
                .iter()
                .zip(&series.unsynced)
                .filter_map(|(target, unsynced)| {
                    let unsynced = (*unsynced)?;
                    Some((
                        target.clone(),
                        json!({"rows": unsynced.rows, "seen_at": unsynced.seen_at.to_string()}),
                    ))
                })
                .collect();
            json!({
                "interval_minutes": row.key.interval.minutes(),
                "ticker": row.key.ticker.as_str(),
                "exchange": row.provenance.exchange,
                "basis": row.provenance.basis.as_str(),
                "hours": row.provenance.hours.as_str(),
                "rows": row.rows,
                "hot_rows": row.hot_rows,
                "first": row.first.to_string(),
                "last": row.last.to_string(),
                "sessions_complete": series.sessions.map(|sessions| sessions.complete),
                "sessions_expected": series.sessions.map(|sessions| sessions.expected),
                "unsynced": unsynced,
            })
        })
        .collect();
    let (rows, hot_rows, sessions) = overview.totals();
    json!({
        "schema": "backfill.status/1",
        "store": overview.store.display().to_string(),
        "lake_only": overview.lake_only,
        "bytes_on_disk": overview.bytes,
        "writer": overview.writer.as_ref().map(progress),
        "totals": {
            "series": overview.series.len(),
            "rows": rows,
            "hot_rows": hot_rows,
            "sessions_complete": sessions.complete,
            "sessions_expected": sessions.expected,
        },
        "series": series,
    })
}

/// The process that writes into a store, and its run.
#[must_use]
pub fn progress(writer: &RunningWriter) -> Value {
    let run = writer.progress.as_ref().map(|run| {
        json!({
            "run": run.run,
            "command": run.command,
            "started_at": Timestamp::from_micros(run.started_at_us).to_string(),
            "updated_at": Timestamp::from_micros(run.updated_at_us).to_string(),
            "unit": run.unit,
            "done": run.done,
            "total": run.total,
            "per_second": run.per_second,
            "seconds_left": run.left().map(|left| left.as_secs()),
            "rows_committed": run.rows_committed,
            "requests": run.requests,
            "failed": run.failed,
        })
    });
    json!({"pid": writer.pid, "run": run})
}

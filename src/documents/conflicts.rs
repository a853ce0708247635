//! Conflicts.

use serde_json::{Map, Value, json};

use crate::model::Bar;
use crate::model::columns::{self, COLUMNS};
use crate::store::ConflictRow;

/// `backfill.conflicts/1`: bars that were offered with other values than the stored ones.
#[must_use]
pub fn conflicts(rows: &[ConflictRow]) -> Value {
    let side = |bar: &Bar, source: &str| {
        let values = bar.values().map(|value| match value {
            columns::Value::Double(_) => json!(value.as_double()),
            columns::Value::Integer(_) => json!(value.as_integer()),
        });
        let names = COLUMNS.iter().map(|column| column.name.to_owned());
        let mut side: Map<String, Value> = names.zip(values).collect();
        side.insert("source".to_owned(), source.into());
        Value::Object(side)
    };
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "interval_minutes": row.series.interval.minutes(),
                "ticker": row.series.ticker.as_str(),
                "timestamp": row.staged.timestamp.to_string(),
                "staged": side(&row.staged, &row.staged_source),
                "offered": side(&row.offered, &row.offered_source),
                "resolution": row.resolution,
                "run": row.run,
            })
        })
        .collect();
    json!({"schema": "backfill.conflicts/1", "conflicts": rows})
}

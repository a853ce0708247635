//! Gaps.

use serde_json::{Value, json};

use crate::gaps::{Gap, Shortage, Survey};

/// `backfill.gaps/1`: the sessions that lack bars.
#[must_use]
pub fn gaps(survey: &Survey) -> Value {
    let gaps: Vec<Value> = survey.gaps().map(gap).collect();
    json!({"schema": "backfill.gaps/1", "gaps": gaps})
}

fn gap(gap: &Gap) -> Value {
    json!({
        "interval_minutes": gap.series.interval.minutes(),
        "ticker": gap.series.ticker.as_str(),
        "session": gap.session.to_string(),
        "expected": gap.expected,
        "bars": gap.bars,
        "first_missing": gap.first_missing.to_string(),
        "last_missing": gap.last_missing.to_string(),
        "reason": gap.reason.as_str(),
        "shortage": gap.shortage.map(Shortage::as_str),
        "rejected": gap.rejected,
    })
}

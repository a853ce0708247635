//! Findings of an audit.

use serde_json::{Map, Value, json};

use crate::audit::{Audit, Finding};

/// `backfill.audit/1`: bars that can't be right, or are unusual.
#[must_use]
pub fn audit(audit: &Audit) -> Value {
    let findings: Vec<Value> = audit.findings.iter().map(finding).collect();
    json!({
        "schema": "backfill.audit/1",
        "series": audit.series,
        "bars": audit.bars,
        "not_listed": audit.dropped,
        "findings": findings,
    })
}

fn finding(finding: &Finding) -> Value {
    let values = finding.values.iter();
    let values: Map<String, Value> = values
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!({
        "check": finding.check.as_str(),
        "severity": finding.severity.as_str(),
        "interval_minutes": finding.series.interval.minutes(),
        "ticker": finding.series.ticker.as_str(),
        "first": finding.first.to_string(),
        "last": finding.last.to_string(),
        "bars": finding.bars,
        "values": values,
    })
}

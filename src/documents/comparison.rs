//! Comparisons of two stores.

use serde_json::{Map, Value, json};

use crate::compare::{Compared, Counts, SeriesComparison, SessionComparison};
use crate::model::{Provenance, SeriesKey};

/// `backfill.compare/1`: each series in two stores.
#[must_use]
pub fn comparison(compared: &Compared) -> Value {
    let series: Vec<Value> = compared.series.iter().map(series).collect();
    json!({
        "schema": "backfill.compare/1",
        "series": series,
        "totals": counts(&compared.totals()),
    })
}

fn series(one: &SeriesComparison) -> Value {
    let mut row = key(&one.series);
    row.extend(counts(&one.counts));
    let (factor, shift) = (&one.close_factor, &one.shift);
    let more = json!({
        "close_factor": factor.map(|found| found.factor),
        "factor_bars": factor.map(|found| found.bars),
        "factor_first": factor.map(|found| found.first.to_string()),
        "factor_last": factor.map(|found| found.last.to_string()),
        "shift_minutes": shift.map_or(0, |found| found.minutes),
        "shift_sessions": shift.map(|found| found.sessions),
        "shift_first": shift.map(|found| found.first.to_string()),
        "shift_last": shift.map(|found| found.last.to_string()),
        "here": provenance(one.here.as_ref()),
        "there": provenance(one.there.as_ref()),
        "notes": one.notes(),
    });
    extended(row, more)
}

/// The sessions of a series, in the same form as the series of [`comparison`].
#[must_use]
pub fn compared_sessions(series: &SeriesKey, sessions: &[SessionComparison]) -> Vec<Value> {
    let session = |one: &SessionComparison| {
        let mut row = key(series);
        row.insert("session".to_owned(), json!(one.session.to_string()));
        row.extend(counts(&one.counts));
        let more = json!({
            "close_factor": one.close_factor,
            "shift_minutes": one.shift_minutes.unwrap_or(0),
        });
        extended(row, more)
    };
    sessions.iter().map(session).collect()
}

fn key(series: &SeriesKey) -> Map<String, Value> {
    object(json!({
        "interval": series.interval.minutes(),
        "interval_minutes": series.interval.minutes(),
        "ticker": series.ticker.as_str(),
    }))
}

fn counts(counts: &Counts) -> Map<String, Value> {
    object(json!({
        "both": counts.both,
        "identical": counts.identical,
        "within": counts.within,
        "different": counts.different,
        "only_here": counts.only_here,
        "only_there": counts.only_there,
        "agreement": counts.agreement(),
        "volume_ratio": counts.volume_ratio(),
    }))
}

fn provenance(one: Option<&Provenance>) -> Value {
    one.map_or(Value::Null, |one| {
        json!({
            "exchange": one.exchange,
            "basis": one.basis.as_str(),
            "hours": one.hours.as_str(),
        })
    })
}

fn extended(mut row: Map<String, Value>, more: Value) -> Value {
    row.extend(object(more));
    Value::Object(row)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

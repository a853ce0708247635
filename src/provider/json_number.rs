//! Numbers of JSON bodies, read from their text.

use crate::model::Reason;
use crate::model::decimal::scan;

/// A number, to the nearest double.
pub(super) fn number(raw: Option<&str>) -> Result<f64, Reason> {
    let raw = raw.ok_or(Reason::BadNumber)?;
    match scan(raw.as_bytes(), 0) {
        Some((value, end)) if end == raw.len() => Ok(value),
        // `parse` also reads "inf" and "NaN", but no JSON number is spelled so.
        _ => raw.parse().map_err(|_| Reason::BadNumber),
    }
}

/// A whole number, whether written `12`, `12.0` or `1.2e1`.
pub(super) fn whole(raw: &str) -> Option<i64> {
    if let Ok(whole) = raw.parse() {
        return Some(whole);
    }
    let double: f64 = raw.parse().ok()?;
    let is_exact = double.fract() == 0.0 && double.abs() < 9e15;
    is_exact.then_some(double as i64)
}

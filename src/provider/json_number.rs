//! Numbers of JSON bodies, read from their text.

use serde_json::value::RawValue;

use crate::model::Reason;

/// A number, to the nearest double.
pub(super) fn number(raw: Option<&RawValue>) -> Result<f64, Reason> {
    // `parse` also reads "inf" and "NaN", but no JSON number is spelled so.
    raw.and_then(|raw| raw.get().parse().ok())
        .ok_or(Reason::BadNumber)
}

/// A whole number, whether written `12`, `12.0` or `1.2e1`.
pub(super) fn whole(raw: &RawValue) -> Option<i64> {
    if let Ok(whole) = raw.get().parse() {
        return Some(whole);
    }
    let double: f64 = raw.get().parse().ok()?;
    let is_exact = double.fract() == 0.0 && double.abs() < 9e15;
    is_exact.then_some(double as i64)
}

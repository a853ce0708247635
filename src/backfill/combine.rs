//! Bars on the grid of the session, from shorter ones of a provider that counts hours from the full
//! hour.

use crate::calendar::Session;
use crate::model::{Bar, Interval, Timestamp};
use crate::provider::Rows;

/// Combines the sorted bars of `rows` into bars of `interval`, counted from the open of each part of
/// a session. Bars outside the sessions are left out, and so is a bar of which a part is a reject: it
/// would show a part as the whole.
///
/// **Sessions open at a multiple of the shorter bars' length**, as half hours do at the exchanges of
/// these providers.
pub(super) fn combine(rows: &mut Rows, sessions: &[Session], interval: Interval) {
    let slot = |at: i64| {
        let part = (sessions.iter().flat_map(Session::parts))
            .find(|(open, close)| (open.micros()..close.micros()).contains(&at))?;
        let open = part.0.micros();
        Some(at - (at - open) % interval.micros())
    };
    let rejected: Vec<i64> = (rows.rejects.iter())
        .filter_map(|row| slot(row.at?.micros()))
        .collect();
    let mut combined: Vec<Bar> = Vec::new();
    for (index, bar) in rows.bars.iter().enumerate() {
        let at = bar.timestamp.micros();
        // Of two bars with one timestamp the later counts.
        if rows.bars.timestamps().get(index + 1) == Some(&at) {
            continue;
        }
        let Some(slot) = slot(at).filter(|slot| !rejected.contains(slot)) else {
            continue;
        };
        match combined.last_mut() {
            Some(known) if known.timestamp.micros() == slot => absorb(known, &bar),
            _ => combined.push(Bar {
                timestamp: Timestamp::from_micros(slot),
                ..bar
            }),
        }
    }
    rows.bars = combined.into_iter().collect();
}

/// Adds a later part of the same bar.
fn absorb(bar: &mut Bar, part: &Bar) {
    let volume = bar.volume + part.volume;
    bar.vwap = match (bar.vwap, part.vwap) {
        (Some(before), Some(after)) if volume > 0.0 => {
            Some((before * bar.volume + after * part.volume) / volume)
        }
        (before, Some(_)) if volume == 0.0 => before,
        _ => None,
    };
    bar.trades = bar.trades.zip(part.trades).map(|(a, b)| a + b);
    bar.high = bar.high.max(part.high);
    bar.low = bar.low.min(part.low);
    bar.close = part.close;
    bar.volume = volume;
}

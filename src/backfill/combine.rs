//! Bars on the grid of the session, from shorter ones of a provider that counts hours from the full
//! hour.

use crate::calendar::Session;
use crate::model::{CombinedBar, Interval, Timestamp};
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
    let mut combined: Vec<(i64, CombinedBar)> = Vec::new();
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
            Some((known, parts)) if *known == slot => parts.add(&bar),
            _ => combined.push((slot, CombinedBar::new(bar))),
        }
    }
    rows.bars = (combined.into_iter())
        .map(|(slot, parts)| parts.into_bar(Timestamp::from_micros(slot)))
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;
    use crate::model::{Bar, DateRange, Reason, Reject};
    use crate::provider::BadRow;

    const MINUTE: i64 = 60_000_000;

    /// Half hours of an early close, with some before and after the session, at these minutes from
    /// its open.
    fn combined(minutes: &[i64], rejected: &[i64]) -> Vec<(i64, Bar)> {
        let date = "2025-11-28".parse().unwrap();
        let dates = DateRange::new(date, date).unwrap();
        let sessions = Calendar::for_exchange("NASDAQ")
            .unwrap()
            .sessions(dates)
            .unwrap();
        let open = sessions[0].open.micros();
        let at = |minute: &i64| Timestamp::from_micros(open + minute * MINUTE);
        let bar = |minute: &i64| Bar {
            vwap: Some(*minute as f64 + 500.0),
            trades: Some(2),
            ..Bar::new(at(minute), [5.0, 9.0 + *minute as f64, 1.0, 6.0], 10.0)
        };
        let bad = |minute: &i64| BadRow {
            at: Some(at(minute)),
            reject: Reject {
                origin: String::new(),
                line: 1,
                reason: Reason::BadNumber,
                raw: String::new(),
            },
        };
        let mut rows = Rows {
            bars: minutes.iter().map(bar).collect(),
            rejects: rejected.iter().map(bad).collect(),
        };
        combine(&mut rows, &sessions, Interval::M60);
        (rows.bars.iter())
            .map(|bar| ((bar.timestamp.micros() - open) / MINUTE, bar))
            .collect()
    }

    #[test]
    fn hours_count_from_the_open_and_end_with_the_session() {
        let bars = combined(&[-30, 0, 30, 60, 150, 180, 210], &[]);
        let opens: Vec<i64> = bars.iter().map(|(open, _)| *open).collect();
        assert_eq!(opens, [0, 60, 120, 180]);
        let first = bars[0].1;
        assert_eq!(
            (first.volume, first.trades, first.vwap),
            (20.0, Some(4), Some(515.0))
        );
        assert_eq!(
            (first.open, first.high, first.low, first.close),
            (5.0, 39.0, 1.0, 6.0)
        );
    }

    #[test]
    fn a_bar_with_a_rejected_half_is_left_out_and_the_later_of_two_counts() {
        let bars = combined(&[0, 60, 60, 90], &[30]);
        assert_eq!(bars.len(), 1);
        assert_eq!((bars[0].0, bars[0].1.volume), (60, 20.0));
    }
}

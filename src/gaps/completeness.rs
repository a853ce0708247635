//! Which sessions are complete, by how many bars they have.

use crate::calendar::{COMPLETE_SHARE_MIN, Session};
use crate::model::Interval;

/// How many sessions around one show what is usual.
const NEIGHBOURS: usize = 10;

/// For each session, in order, whether it is complete: it has at least [`COMPLETE_SHARE_MIN`] of the
/// median bars of the ten nearest sessions that have any. `bars` counts those inside trading hours. Counts are relative
/// to the session's length, so a half day needs half as many.
#[must_use]
pub fn complete(sessions: &[Session], bars: &[u32], interval: Interval) -> Vec<bool> {
    let shares: Vec<f64> = sessions
        .iter()
        .zip(bars)
        .map(|(session, bars)| f64::from(*bars) / session.expected(interval).max(1) as f64)
        .collect();
    let with_bars: Vec<usize> = (0..shares.len())
        .filter(|&index| shares[index] > 0.0)
        .collect();
    let mut complete = vec![false; sessions.len()];
    for (rank, &index) in with_bars.iter().enumerate() {
        let share = shares[index];
        complete[index] = share >= COMPLETE_SHARE_MIN
            || share >= COMPLETE_SHARE_MIN * usual_share(&shares, &with_bars, rank);
    }
    complete
}

/// The median share of the nearest sessions around the one of `rank` in `with_bars`, without it.
fn usual_share(shares: &[f64], with_bars: &[usize], rank: usize) -> f64 {
    let index = with_bars[rank];
    let (mut before, mut after) = (rank, rank + 1);
    let mut around = Vec::with_capacity(NEIGHBOURS);
    while around.len() < NEIGHBOURS {
        let left = before.checked_sub(1).map(|left| index - with_bars[left]);
        let right = with_bars.get(after).map(|right| right - index);
        match (left, right) {
            (None, None) => break,
            (Some(left), right) if right.is_none_or(|right| left <= right) => {
                before -= 1;
                around.push(shares[with_bars[before]]);
            }
            _ => {
                around.push(shares[with_bars[after]]);
                after += 1;
            }
        }
    }
    around.sort_by(f64::total_cmp);
    match around.len() {
        0 => 0.0,
        count if count % 2 == 1 => around[count / 2],
        count => f64::midpoint(around[count / 2 - 1], around[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;
    use crate::model::DateRange;

    fn completeness(bars: impl Fn(usize, &Session) -> u32) -> Vec<bool> {
        let day = |text: &str| text.parse().unwrap();
        // Thanksgiving week of 2024 ends with a half day.
        let range = DateRange::new(day("2024-11-18"), day("2024-12-06")).unwrap();
        let sessions = Calendar::for_exchange("NYSE")
            .unwrap()
            .sessions(range)
            .unwrap();
        assert_eq!(sessions.len(), 14);
        let counts: Vec<u32> = sessions
            .iter()
            .enumerate()
            .map(|(index, session)| bars(index, session))
            .collect();
        complete(&sessions, &counts, Interval::M1)
    }

    #[test]
    fn full_sessions_and_half_days_are_complete() {
        assert!(
            completeness(|_, session| session.expected(Interval::M1) as u32)
                .iter()
                .all(|whole| *whole)
        );
    }

    #[test]
    fn a_missing_or_short_session_is_incomplete() {
        let whole = completeness(|index, session| match index {
            2 => 0,
            5 => 300,
            _ => session.expected(Interval::M1) as u32,
        });
        let short: Vec<usize> = (0..14).filter(|&index| !whole[index]).collect();
        assert_eq!(short, [2, 5]);
    }

    #[test]
    fn a_thinly_traded_ticker_is_compared_with_itself() {
        let whole = completeness(|index, session| {
            let usual = session.expected(Interval::M1) as u32 / 10;
            if index == 7 { usual / 2 } else { usual }
        });
        let short: Vec<usize> = (0..14).filter(|&index| !whole[index]).collect();
        assert_eq!(short, [7]);
    }

    #[test]
    fn a_single_session_is_complete_with_any_bars() {
        let whole = completeness(|index, _| u32::from(index == 3));
        assert_eq!(whole.iter().filter(|whole| **whole).count(), 1);
    }
}

//! Which sessions are complete, judged by how many bars they hold.

use crate::model::Interval;

use super::Session;

/// A session is complete with this share of what is usual around it. Thinly traded minutes have no bars, so that the
/// number of minutes alone says nothing.
const USUAL_SHARE_MIN: f64 = 0.9;
/// How many sessions around one tell what is usual.
const NEIGHBOURS: usize = 10;

/// For each session, in order, whether the bars it holds inside trading hours are what can be expected: at least 0.9 of the
/// median of the ten nearest sessions that hold any. Bars are counted relative to the session's length, so that a half day
/// is measured by half.
#[must_use]
pub fn complete(sessions: &[Session], bars: &[u32], interval: Interval) -> Vec<bool> {
    let shares: Vec<f64> = sessions
        .iter()
        .zip(bars)
        .map(|(session, bars)| f64::from(*bars) / session.expected(interval).max(1) as f64)
        .collect();
    // Sessions with bars, by their place.
    let held: Vec<usize> = (0..shares.len())
        .filter(|&place| shares[place] > 0.0)
        .collect();
    let mut out = vec![false; sessions.len()];
    for (rank, &place) in held.iter().enumerate() {
        let share = shares[place];
        out[place] =
            share >= USUAL_SHARE_MIN || share >= USUAL_SHARE_MIN * usual(&shares, &held, rank);
    }
    out
}

/// The median share of the nearest sessions with bars around the one of `rank`, that one left out.
fn usual(shares: &[f64], held: &[usize], rank: usize) -> f64 {
    let place = held[rank];
    let (mut before, mut after) = (rank, rank + 1);
    let mut around = Vec::with_capacity(NEIGHBOURS);
    while around.len() < NEIGHBOURS {
        let left = before.checked_sub(1).map(|left| place - held[left]);
        let right = held.get(after).map(|right| right - place);
        match (left, right) {
            (None, None) => break,
            (Some(left), right) if right.is_none_or(|right| left <= right) => {
                before -= 1;
                around.push(shares[held[before]]);
            }
            _ => {
                around.push(shares[held[after]]);
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

    fn judged(bars: impl Fn(usize, &Session) -> u32) -> Vec<bool> {
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
            .map(|(place, session)| bars(place, session))
            .collect();
        complete(&sessions, &counts, Interval::M1)
    }

    #[test]
    fn full_sessions_are_complete_half_days_too() {
        assert!(
            judged(|_, session| session.expected(Interval::M1) as u32)
                .iter()
                .all(|whole| *whole)
        );
    }

    #[test]
    fn a_missing_or_short_session_is_not() {
        let whole = judged(|place, session| match place {
            2 => 0,
            5 => 300,
            _ => session.expected(Interval::M1) as u32,
        });
        let short: Vec<usize> = (0..14).filter(|&place| !whole[place]).collect();
        assert_eq!(short, [2, 5]);
    }

    #[test]
    fn a_thin_ticker_is_measured_by_itself() {
        let whole = judged(|place, session| {
            let usual = session.expected(Interval::M1) as u32 / 10;
            if place == 7 { usual / 2 } else { usual }
        });
        let short: Vec<usize> = (0..14).filter(|&place| !whole[place]).collect();
        assert_eq!(short, [7]);
    }

    #[test]
    fn a_single_session_is_complete_with_whatever_it_holds() {
        let whole = judged(|place, _| u32::from(place == 3));
        assert_eq!(whole.iter().filter(|whole| **whole).count(), 1);
    }
}

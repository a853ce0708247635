//! Which sessions are complete, by their bars, their rejected rows and the exchange's hours.
//!
//! Minutes without trades have no bars, so the number of bars alone doesn't show what is missing. A
//! session is compared with the sessions around it. Its hours are compared with the calendar: if a
//! ticker trades in most minutes, but the sessions begin late or end early, bars are missing from
//! each of them. A thinly traded ticker may have no trades there, so it is compared with itself only.

use crate::calendar::{COMPLETE_SHARE_MIN, Session};
use crate::model::Interval;
use crate::store::SessionCount;

/// How many sessions around one show what is usual.
const NEIGHBOURS: usize = 10;
/// The share of a session's trading time that is missing at least if it begins late or ends early:
/// 20 of 390 minutes. FOREX instruments with a daily break of an hour are below it.
const CUT_SHARE_MIN: f64 = 0.05;
/// A session's hours are compared with the calendar only if it has at least this share of the bars
/// between its first and last.
const TRADED_SHARE_MIN: f64 = 0.5;
/// The greatest chance that a cut is a pause without trades, if pauses are as frequent as in the rest
/// of the session. It matters for long bars, of which a cut has few.
const CHANCE_MAX: f64 = 0.001;
/// A cut is systematic if at least this many sessions have it (a week with a holiday), and if most
/// sessions around each have it too.
const CUT_SESSIONS_MIN: usize = 4;

/// Whether a session has its bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    /// It has no bars, and no row of it was rejected.
    Missing,
    Short(Shortage),
}

/// Why a session is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Rows of it were rejected, and their bars aren't stored.
    RejectedRows,
    /// It has fewer bars than the sessions around it.
    FewBars,
    /// It begins late, like most sessions around it.
    LateStart,
    /// It ends early, like most sessions around it.
    EarlyEnd,
}

impl Shortage {
    /// The word in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RejectedRows => "rejected_rows",
            Self::FewBars => "few_bars",
            Self::LateStart => "late_start",
            Self::EarlyEnd => "early_end",
        }
    }
}

/// How complete each session is. `counts` are those of the sessions, in the same order, and
/// `rejected` the numbers of their rejected rows whose bars aren't stored.
///
/// A complete session has no such rows, and at least [`COMPLETE_SHARE_MIN`] of the median bars of the
/// ten nearest sessions that have any, relative to its length: a half day needs half as many. It
/// isn't one of several that are cut at the same end, like most sessions around them.
#[must_use]
pub fn completeness(
    sessions: &[Session],
    counts: &[Option<&SessionCount>],
    rejected: &[u32],
    interval: Interval,
) -> Vec<Completeness> {
    let known: Vec<Traded> = (sessions.iter().zip(counts))
        .map(|(session, count)| Traded::of(session, *count, interval))
        .collect();
    let with_bars: Vec<usize> = (0..known.len())
        .filter(|&index| known[index].share > 0.0)
        .collect();
    let mut found: Vec<Completeness> = (rejected.iter())
        .map(|rows| match rows {
            0 => Completeness::Missing,
            _ => Completeness::Short(Shortage::RejectedRows),
        })
        .collect();
    for (rank, &index) in with_bars.iter().enumerate() {
        if rejected[index] == 0 {
            found[index] = compared(&known, &with_bars, rank);
        }
    }
    found
}

/// How complete the session of `rank` in `with_bars` is, by the sessions around it.
fn compared(known: &[Traded], with_bars: &[usize], rank: usize) -> Completeness {
    let one = &known[with_bars[rank]];
    let has_enough = one.share >= COMPLETE_SHARE_MIN;
    if has_enough && !one.starts_late && !one.ends_early {
        return Completeness::Complete;
    }
    let around: Vec<&Traded> = (neighbours(with_bars, rank).into_iter())
        .map(|index| &known[index])
        .collect();
    let are_mostly_cut = |is_cut: fn(&Traded) -> bool| {
        let cut = 1 + around.iter().filter(|other| is_cut(other)).count();
        is_cut(one) && cut >= CUT_SESSIONS_MIN && 2 * cut > 1 + around.len()
    };
    if !has_enough && one.share < COMPLETE_SHARE_MIN * usual_share(&around) {
        Completeness::Short(Shortage::FewBars)
    } else if are_mostly_cut(|other| other.starts_late) {
        Completeness::Short(Shortage::LateStart)
    } else if are_mostly_cut(|other| other.ends_early) {
        Completeness::Short(Shortage::EarlyEnd)
    } else {
        Completeness::Complete
    }
}

/// What the bars of a session show.
#[derive(Clone, Copy, Debug)]
struct Traded {
    /// Its bars inside trading hours, as a share of those of its grid.
    share: f64,
    /// Whether it has no bars at its start although the ticker trades in most minutes.
    starts_late: bool,
    /// The same at its end.
    ends_early: bool,
}

impl Traded {
    fn of(session: &Session, count: Option<&SessionCount>, interval: Interval) -> Self {
        let Some(count) = count.filter(|count| count.regular > 0) else {
            return Self {
                share: 0.0,
                starts_late: false,
                ends_early: false,
            };
        };
        let whole = session.trading_before(i64::MAX);
        // Bars outside trading hours hide what is missing at the ends: then nothing is.
        let before = session.trading_before(count.first.micros());
        let after = whole - session.trading_before(count.last.micros() + interval.micros());
        let bars = |trading: i64| trading as f64 / interval.micros() as f64;
        let regular = f64::from(count.regular);
        let traded = (regular / bars(whole - before - after)).min(1.0);
        let is_cut = |missing: i64| {
            missing as f64 >= CUT_SHARE_MIN * whole as f64
                && traded >= TRADED_SHARE_MIN
                && (1.0 - traded).powf(bars(missing)) <= CHANCE_MAX
        };
        Self {
            share: regular / session.expected(interval).max(1) as f64,
            starts_late: is_cut(before),
            ends_early: is_cut(after),
        }
    }
}

/// The nearest sessions around the one of `rank` in `with_bars`, without it.
fn neighbours(with_bars: &[usize], rank: usize) -> Vec<usize> {
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
                around.push(with_bars[before]);
            }
            _ => {
                around.push(with_bars[after]);
                after += 1;
            }
        }
    }
    around
}

/// The median share of some sessions.
fn usual_share(sessions: &[&Traded]) -> f64 {
    let mut shares: Vec<f64> = sessions.iter().map(|session| session.share).collect();
    shares.sort_by(f64::total_cmp);
    match shares.len() {
        0 => 0.0,
        count if count % 2 == 1 => shares[count / 2],
        count => f64::midpoint(shares[count / 2 - 1], shares[count / 2]),
    }
}

#[cfg(test)]
mod tests;

//! The factor between closes: of a session, and of a series.

use chrono::NaiveDate;

use crate::model::{Bar, BasisChange};

/// How far the factor of a session may deviate from that of the series, as a share of it. Closes of a few
/// cents are rounded coarsely.
const DEVIATION_MAX: f64 = 0.002;

/// A factor between closes, and where it applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor {
    /// The closes there divided by those here.
    pub factor: f64,
    /// Closes that differ in sessions with this factor.
    pub bars: u64,
    /// First session with this factor.
    pub first: NaiveDate,
    /// Last session with this factor.
    pub last: NaiveDate,
}

/// The factor of a session, and how many of its closes differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfSession {
    pub session: NaiveDate,
    pub factor: f64,
    pub closes: u64,
}

/// The factor that explains `pairs` of a bar here and there whose closes differ. `agreeing` is the number
/// of the session's other bars in both stores.
pub(super) fn of_session(pairs: &[(Bar, Bar)], agreeing: u64) -> Option<f64> {
    // A change is measured from the second bar of a pair to the first one.
    let turned: Vec<(Bar, Bar)> = pairs.iter().map(|(here, there)| (*there, *here)).collect();
    BasisChange::between(&turned, agreeing).map(BasisChange::factor)
}

/// The factor of most of the closes of a series that differ, if there is one.
pub(super) fn of_series(mut sessions: Vec<OfSession>, differing_closes: u64) -> Option<Factor> {
    let total: u64 = sessions.iter().map(|session| session.closes).sum();
    sessions.sort_by(|a, b| a.factor.total_cmp(&b.factor));
    let mut before = 0;
    let middle = sessions.iter().find(|session| {
        before += session.closes;
        before * 2 >= total
    })?;
    let factor = middle.factor;
    let agrees = |session: &&OfSession| (session.factor / factor - 1.0).abs() <= DEVIATION_MAX;
    let agreeing = || sessions.iter().filter(agrees);
    let bars = agreeing().map(|session| session.closes).sum();
    (bars * 2 > differing_closes).then_some(Factor {
        factor,
        bars,
        first: agreeing().map(|session| session.session).min()?,
        last: agreeing().map(|session| session.session).max()?,
    })
}

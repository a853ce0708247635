//! What one trading day of a series has in common in both stores.

use chrono::NaiveDate;

/// Bars counted by what they have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Bars whose time is in both stores: `identical` + `within` + `different`.
    pub both: u64,
    /// Open, high, low, close and volume are equal.
    pub identical: u64,
    /// Not identical, but each of the four prices is within the tolerance.
    pub within: u64,
    /// A price is outside the tolerance.
    pub different: u64,
    pub only_here: u64,
    pub only_there: u64,
    /// The volume of the bars in both, summed.
    pub volume_here: f64,
    pub volume_there: f64,
}

impl Counts {
    /// The share of all bars that are identical or within the tolerance; `None` without bars.
    #[must_use]
    pub fn agreement(&self) -> Option<f64> {
        let all = self.both + self.only_here + self.only_there;
        (all > 0).then(|| (self.identical + self.within) as f64 / all as f64)
    }

    /// The volume there divided by the volume here, over the bars in both; `None` without a volume
    /// here.
    #[must_use]
    pub fn volume_ratio(&self) -> Option<f64> {
        (self.volume_here > 0.0).then(|| self.volume_there / self.volume_here)
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.both += more.both;
        self.identical += more.identical;
        self.within += more.within;
        self.different += more.different;
        self.only_here += more.only_here;
        self.only_there += more.only_there;
        self.volume_here += more.volume_here;
        self.volume_there += more.volume_there;
    }
}

/// One trading day of a series in both stores.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionComparison {
    /// The trading date by the exchange's calendar.
    pub session: NaiveDate,
    pub counts: Counts,
    /// Closes that differ by more than the tolerance; 0 if a shift explains the session.
    pub differing_closes: u64,
    /// The closes there divided by those here, if one factor explains the closes that differ.
    pub close_factor: Option<f64>,
    /// Whether a shift was looked for, because few of the bars agree.
    pub disagrees: bool,
    /// The minutes that bars there are later than the bars here with the same prices.
    pub shift_minutes: Option<i32>,
}

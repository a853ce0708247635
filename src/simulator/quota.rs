//! What a plan allows, and how much of it is used.

use std::collections::{HashMap, VecDeque};
use std::str::FromStr;
use std::time::Duration;

use chrono::NaiveDate;

/// The minute over which the rate is counted.
const RATE_WINDOW: Duration = Duration::from_secs(60);
/// The days over which bandwidth is counted.
const BANDWIDTH_DAYS: i64 = 30;

/// A plan; what it allows differs by provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Free,
    Starter,
    Premium,
    Ultimate,
}

/// Not a plan.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} isn't a plan; plans are free, starter, premium and ultimate")]
pub struct UnknownTier(String);

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        match typed.trim().to_ascii_lowercase().as_str() {
            "free" => Ok(Self::Free),
            "starter" => Ok(Self::Starter),
            "premium" => Ok(Self::Premium),
            "ultimate" => Ok(Self::Ultimate),
            _ => Err(UnknownTier(typed.to_owned())),
        }
    }
}

/// Limits of one key; `None` means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Calls in any 60 seconds.
    pub per_minute: Option<u32>,
    /// Whether `per_minute` is a bucket that is refilled evenly, and not a count of any 60 seconds.
    pub is_bucket: bool,
    /// Calls per day.
    pub per_day: Option<u32>,
    /// Bytes in 30 days.
    pub bandwidth_bytes: Option<u64>,
}

/// Which limit a call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Rate,
    Day,
    Bandwidth,
}

/// The counters of one key.
#[derive(Debug, Default)]
struct Account {
    /// When the calls of the last minute were allowed.
    calls: VecDeque<Duration>,
    /// What was left in the bucket, and when.
    bucket: Option<(f64, Duration)>,
    day: Option<NaiveDate>,
    today: u32,
    /// Bytes by day.
    bytes: VecDeque<(NaiveDate, u64)>,
}

impl Account {
    /// Takes a call out of a bucket of `limit` calls, which is refilled within a minute.
    fn take(&mut self, limit: f64, elapsed: Duration) -> bool {
        let (left, at) = self.bucket.unwrap_or((limit, elapsed));
        let refilled = limit * (elapsed - at).as_secs_f64() / RATE_WINDOW.as_secs_f64();
        let left = limit.min(left + refilled);
        let is_taken = left >= 1.0;
        self.bucket = Some((if is_taken { left - 1.0 } else { left }, elapsed));
        is_taken
    }
}

/// The counters of all keys. A call that is refused is not counted.
#[derive(Debug, Default)]
pub(super) struct Quota {
    accounts: HashMap<u64, Account>,
    pub peak_per_minute: usize,
}

impl Quota {
    /// Calls of a key in the last minute, as of its last call.
    pub(super) fn calls(&self, key: u64) -> usize {
        self.accounts
            .get(&key)
            .map_or(0, |account| account.calls.len())
    }

    /// Allows a call, or returns the limit that it met. `elapsed` only grows; `today` is the
    /// clock's date.
    pub(super) fn admit(
        &mut self,
        key: u64,
        limits: &Limits,
        elapsed: Duration,
        today: NaiveDate,
    ) -> Result<(), Spent> {
        let account = self.accounts.entry(key).or_default();
        while account
            .calls
            .front()
            .is_some_and(|call| *call + RATE_WINDOW <= elapsed)
        {
            account.calls.pop_front();
        }
        if account.day != Some(today) {
            account.day = Some(today);
            account.today = 0;
        }
        while account
            .bytes
            .front()
            .is_some_and(|(day, _)| (today - *day).num_days() >= BANDWIDTH_DAYS)
        {
            account.bytes.pop_front();
        }
        let bytes: u64 = account.bytes.iter().map(|(_, bytes)| bytes).sum();
        if limits.bandwidth_bytes.is_some_and(|limit| bytes >= limit) {
            return Err(Spent::Bandwidth);
        }
        if limits.per_day.is_some_and(|limit| account.today >= limit) {
            return Err(Spent::Day);
        }
        let is_spent = match limits.per_minute {
            Some(limit) if limits.is_bucket => !account.take(f64::from(limit), elapsed),
            Some(limit) => account.calls.len() >= limit as usize,
            None => false,
        };
        if is_spent {
            return Err(Spent::Rate);
        }
        account.calls.push_back(elapsed);
        account.today += 1;
        self.peak_per_minute = self.peak_per_minute.max(account.calls.len());
        Ok(())
    }

    /// Counts the bytes of a response.
    pub(super) fn sent(&mut self, key: u64, today: NaiveDate, bytes: u64) {
        let days = &mut self.accounts.entry(key).or_default().bytes;
        match days.back_mut() {
            Some((day, sum)) if *day == today => *sum += bytes,
            _ => days.push_back((today, bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn any_trailing_minute_is_counted() {
        let limits = Limits {
            per_minute: Some(3),
            ..Limits::default()
        };
        let mut quota = Quota::default();
        let mut at =
            |millis| quota.admit(1, &limits, Duration::from_millis(millis), day("2025-01-02"));
        assert!(at(0).is_ok() && at(30_000).is_ok() && at(59_000).is_ok());
        assert_eq!(at(59_999), Err(Spent::Rate));
        assert!(
            at(60_000).is_ok(),
            "the first has left the window, the refused one was not counted"
        );
        assert_eq!(at(89_999), Err(Spent::Rate));
        assert!(at(90_000).is_ok());
    }

    #[test]
    fn a_bucket_is_refilled_evenly() {
        let limits = Limits {
            per_minute: Some(60),
            is_bucket: true,
            ..Limits::default()
        };
        let mut quota = Quota::default();
        let mut at =
            |millis| quota.admit(1, &limits, Duration::from_millis(millis), day("2025-01-02"));
        assert!((0..60).all(|_| at(0).is_ok()));
        assert_eq!(at(900), Err(Spent::Rate));
        assert!(at(1_100).is_ok());
        assert_eq!(at(1_100), Err(Spent::Rate));
        assert!((0..60).all(|_| at(120_000).is_ok()));
        assert_eq!(at(120_000), Err(Spent::Rate));
    }

    #[test]
    fn a_day_and_a_month_end() {
        let limits = Limits {
            per_day: Some(2),
            bandwidth_bytes: Some(100),
            ..Limits::default()
        };
        let mut quota = Quota::default();
        let now = Duration::ZERO;
        let first = day("2025-01-02");
        assert!(
            quota.admit(1, &limits, now, first).is_ok()
                && quota.admit(1, &limits, now, first).is_ok()
        );
        assert_eq!(quota.admit(1, &limits, now, first), Err(Spent::Day));
        assert!(quota.admit(2, &limits, now, first).is_ok(), "another key");
        quota.sent(1, first, 100);
        assert_eq!(
            quota.admit(1, &limits, now, day("2025-01-03")),
            Err(Spent::Bandwidth)
        );
        assert_eq!(
            quota.admit(1, &limits, now, day("2025-01-31")),
            Err(Spent::Bandwidth)
        );
        assert!(quota.admit(1, &limits, now, day("2025-02-01")).is_ok());
    }
}

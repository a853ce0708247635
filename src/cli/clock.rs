//! The time of day. Nothing else reads the clock.

use crate::model::Timestamp;

/// The time of day. With the feature `crash-points`, the variable
/// `BACKFILL_NOW=2025-02-05T15:30:00Z` stops the clock at that instant, so that a test can be in
/// the middle of a session, and later after its end.
#[must_use]
pub fn now() -> Timestamp {
    #[cfg(feature = "crash-points")]
    if let Some(set) = std::env::var("BACKFILL_NOW")
        .ok()
        .and_then(|set| set.parse::<chrono::DateTime<chrono::Utc>>().ok())
    {
        return set.into();
    }
    Timestamp::from(chrono::Utc::now())
}

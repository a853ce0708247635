//! The time of day, which nothing else reads.

use crate::model::Timestamp;

/// What time it is. With the feature `crash-points`, where the environment says `BACKFILL_NOW=2025-02-05T15:30:00Z`, the
/// clock stands at that instant: so a test can be in the middle of a session, and behind its end later.
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

//! Named points at which the tests kill the program. Without the feature `crash-points` they are nothing.

/// Marks a step between two durable states.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "crash-points")]
        $crate::crash::reach($name);
    };
}

/// Ends the process at once when the environment names this point: `BACKFILL_CRASH=name` or `name@3`, the third time.
#[cfg(feature = "crash-points")]
pub fn reach(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static REACHED: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("BACKFILL_CRASH") else {
        return;
    };
    let (point, time) = wanted.split_once('@').unwrap_or((&wanted, "1"));
    if point == name && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == time.parse().unwrap_or(1) {
        std::process::abort();
    }
}

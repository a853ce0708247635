//! Named points at which the tests kill or hold the program. Without the feature `crash-points`
//! they compile to nothing.

/// Marks a step between two durable states.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "crash-points")]
        $crate::crash::reach($name);
    };
}

/// Kills the process if `BACKFILL_CRASH` names this point: `name`, or `name@3` for the third time.
/// If `BACKFILL_HOLD` names it, the thread waits until the file `BACKFILL_HOLD_FILE` is gone.
#[cfg(feature = "crash-points")]
pub fn reach(name: &str) {
    use std::sync::atomic::AtomicU64;
    static CRASHES: AtomicU64 = AtomicU64::new(0);
    static HOLDS: AtomicU64 = AtomicU64::new(0);
    if is_named("BACKFILL_CRASH", name, &CRASHES) {
        // Not SIGABRT: the program handles it.
        #[cfg(unix)]
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
    if is_named("BACKFILL_HOLD", name, &HOLDS)
        && let Some(file) = std::env::var_os("BACKFILL_HOLD_FILE")
    {
        while std::path::Path::new(&file).exists() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

#[cfg(feature = "crash-points")]
fn is_named(variable: &str, name: &str, reached: &std::sync::atomic::AtomicU64) -> bool {
    let Ok(wanted) = std::env::var(variable) else {
        return false;
    };
    let (point, time) = wanted.split_once('@').unwrap_or((&wanted, "1"));
    point == name
        && reached.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1
            == time.parse().unwrap_or(1)
}
